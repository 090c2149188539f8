#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/codec.h"

/* Only names are read here; what a directory holds beyond *.avsc is nobody's business. */
static bool is_schema_name(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && name[0] != '.' && strcmp(name + len - 5, ".avsc") == 0;
}

static enum rcode read_file(int directory, const char *name, struct buf *out, struct err *err)
{
    struct stat status;
    enum rcode rc = OK;
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return err_errno(err, E_IO, "cannot be opened");
    if (fstat(file, &status) != 0)
        rc = err_errno(err, E_IO, "cannot be read");
    else if (!S_ISREG(status.st_mode))
        rc = err_set(err, E_SCHEMA, "is no file");
    else
        buf_reserve(out, SCHEMA_TEXT_MAX + 1);
    while (rc == OK && out->len <= SCHEMA_TEXT_MAX) {
        ssize_t got = read(file, out->data + out->len, SCHEMA_TEXT_MAX + 1 - out->len);
        if (got < 0)
            rc = err_errno(err, E_IO, "cannot be read");
        if (got <= 0)
            break;
        out->len += (size_t)got;
    }
    close(file);
    return rc;
}

enum rcode codec_add_directory(struct codec *codec, const char *path, struct err *err)
{
    struct buf text;
    enum rcode rc = OK;
    DIR *directory = opendir(path);
    if (!directory)
        return err_errno(err, E_IO, path);
    buf_init(&text);
    for (struct dirent *entry; rc == OK && (entry = readdir(directory));) {
        if (!is_schema_name(entry->d_name))
            continue;
        buf_clear(&text);
        rc = read_file(dirfd(directory), entry->d_name, &text, err);
        if (rc == OK)
            rc = codec_add_schema(codec, buf_view(&text), err);
        if (rc != OK)
            err_prefix(err, "%s/%s", path, entry->d_name);
    }
    buf_deinit(&text);
    closedir(directory);
    return rc;
}
