#include "cli/log_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_address.h"
#include "ops/text_file.h"

#define RANDOM_OCTETS 20
#define KEY_MIN 16 /* octets; of fewer all can be tried */

static void file_name(const struct config *config, struct buf *path)
{
    if (config->log.address_key_file)
        buf_printf(path, "%s%c", config->log.address_key_file, 0);
    else
        buf_printf(path, "%s/log-address.key%c", config->state_dir, 0);
}

/* The file's text without the newline at its end, so that a shell's $(cat FILE) is the key. */
static enum rcode read_key(const char *path, struct buf *key, struct err *err)
{
    size_t before = key->len;
    enum rcode rc = text_file_read(path, LOG_ADDRESS_KEY_MAX, key, err);
    if (rc != OK)
        return rc;
    while (key->len > before && key->data[key->len - 1] == '\n')
        key->len--;
    if (key->len - before < KEY_MIN)
        return err_set(err, E_IO, "holds no key: %d octets at least", KEY_MIN);
    return OK;
}

enum rcode log_key_read(const struct config *config, struct buf *key, struct err *err)
{
    struct buf path;
    buf_init(&path);
    file_name(config, &path);
    struct err why = {0};
    enum rcode rc = read_key(path.data, key, &why);
    if (rc != OK && config->log.address_key_file)
        rc = config_fault(err, config_place(config, "log.address_key_file"), "log.address_key_file",
                          "%s: %s", path.data, why.text);
    else if (rc != OK)
        err_set(err, rc, "%s: %s", path.data, why.text);
    buf_deinit(&path);
    return rc;
}

static enum rcode random_key(struct buf *key, struct err *err)
{
    unsigned char octets[RANDOM_OCTETS];
    if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
        return err_errno(err, E_IO, "no random octets");
    for (size_t i = 0; i < sizeof(octets); i++)
        buf_printf(key, "%02x", octets[i]);
    return OK;
}

/* Whole or not at all, and only if nobody else has been faster: two processes must agree. */
static enum rcode write_key(const char *path, const struct buf *key, struct err *err)
{
    struct buf draft;
    enum rcode rc = OK;
    buf_init(&draft);
    buf_printf(&draft, "%s.%ld%c", path, (long)getpid(), 0);
    int fd = open(draft.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = err_errno(err, E_IO, path);
        goto out;
    }
    if (dprintf(fd, "%.*s\n", (int)key->len, key->data) < 0 || fsync(fd) ||
        (link(draft.data, path) && errno != EEXIST))
        rc = err_errno(err, E_IO, path);
    close(fd);
    unlink(draft.data);
out:
    buf_deinit(&draft);
    return rc;
}

static enum rcode make_key(const struct config *config, struct buf *key, struct err *err)
{
    struct buf path;
    buf_init(&path);
    file_name(config, &path);
    (void)mkdir(config->state_dir, 0700); /* if that fails, opening the file tells */
    enum rcode rc = random_key(key, err);
    if (rc == OK)
        rc = write_key(path.data, key, err);
    if (rc == OK) {
        buf_clear(key);
        rc = read_key(path.data, key, err);
        if (rc != OK)
            err_prefix(err, "%s", path.data);
    }
    buf_deinit(&path);
    return rc;
}

enum rcode log_key_apply(const struct config *config, struct err *err)
{
    struct buf key;
    struct err why = {0};
    buf_init(&key);
    enum rcode rc = config->log.addresses ? OK : log_key_read(config, &key, err);
    if (rc == E_IO) {
        buf_clear(&key);
        rc = make_key(config, &key, &why);
        if (rc != OK) {
            log_warn("log_address_key", why.text,
                     LOG_S("so", "the hashes of addresses change at the next start"));
            rc = key.len ? OK : random_key(&key, err);
        }
    }
    if (rc == OK)
        log_configure_addresses(config->log.addresses, buf_view(&key));
    buf_deinit(&key);
    return rc;
}
