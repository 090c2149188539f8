#include "store/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "store/dir.h"
#include "store/env.h"
#include "store/marker.h"

#define CHUNK ((size_t)1 << 20)

static enum rcode copy_octets(int in, const struct store_dir *from, int out,
                              const struct store_dir *to, struct err *err)
{
    enum rcode rc = OK;
    char *chunk = mem_alloc(CHUNK);
    ssize_t got = 0;
    while (rc == OK && (got = read(in, chunk, CHUNK)) > 0)
        for (ssize_t done = 0, put; rc == OK && done < got; done += put) {
            put = write(out, chunk + done, (size_t)(got - done));
            if (put <= 0) {
                errno = put < 0 ? errno : ENOSPC;
                rc = store_dir_errno(to, "cannot write " DATA_NAME, err);
            }
        }
    if (rc == OK && got < 0)
        rc = store_dir_errno(from, "cannot read " DATA_NAME, err);
    if (rc == OK && fsync(out))
        rc = store_dir_errno(to, "cannot sync " DATA_NAME, err);
    mem_free(chunk);
    return rc;
}

static enum rcode copy_data(const struct store_dir *from, const struct store_dir *to,
                            struct err *err)
{
    int in = openat(from->fd, DATA_NAME, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return store_dir_errno(from, "cannot open " DATA_NAME, err);
    enum rcode rc = OK;
    int out = openat(to->fd, DATA_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        rc = store_dir_errno(to, "cannot make " DATA_NAME, err);
    else
        rc = copy_octets(in, from, out, to, err);
    if (out >= 0)
        close(out);
    close(in);
    return rc;
}

enum rcode store_copy(const char *from, const char *to, struct err *err)
{
    struct store_dir source = {.fd = -1, .lock_fd = -1}, target = {.fd = -1, .lock_fd = -1};
    if (access(from, F_OK))
        return err_set(err, E_IO, "there is no store %s", from);
    enum rcode rc = store_dir_open(&source, from, err);
    if (rc == OK)
        rc = store_dir_open(&target, to, err);
    if (rc == OK)
        rc = store_dir_remove(&target, MARKER_NAME, err);
    if (rc == OK)
        rc = copy_data(&source, &target, err);
    if (rc == OK)
        rc = store_dir_sync(&target, err);
    store_dir_close(&target);
    store_dir_close(&source);
    return rc;
}

enum rcode store_install(const char *from, const char *to, struct err *err)
{
    struct store_dir source = {.fd = -1, .lock_fd = -1}, target = {.fd = -1, .lock_fd = -1};
    enum rcode rc = store_dir_open(&source, from, err);
    if (rc == OK)
        rc = store_dir_open(&target, to, err);
    if (rc == OK && renameat(source.fd, DATA_NAME, target.fd, DATA_NAME))
        rc = store_dir_errno(&target, "cannot put " DATA_NAME " in place", err);
    /* A marker found with it would only make a worker distrust it. */
    if (rc == OK)
        rc = store_dir_remove(&target, MARKER_NAME, err);
    if (rc == OK)
        rc = store_dir_sync(&target, err);
    if (rc == OK)
        rc = store_dir_remove(&source, "lock", err);
    if (rc == OK && rmdir(from))
        rc = store_dir_errno(&source, "cannot remove the directory", err);
    store_dir_close(&target);
    store_dir_close(&source);
    return rc;
}

enum rcode store_unused(const char *path, struct err *err)
{
    struct store_dir dir;
    if (access(path, F_OK))
        return OK;
    enum rcode rc = store_dir_open(&dir, path, err);
    if (rc == OK)
        store_dir_close(&dir);
    return rc;
}
