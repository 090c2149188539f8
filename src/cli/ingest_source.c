#include "cli/ingest_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

#define READ_SIZE ((size_t)256 * 1024)

/* --- one file --- */

struct file {
    const char *name;
    int fd;
    int64_t modified_ms;
    struct buf window;
    struct split split;
    bool end;
};

static enum rcode read_more(struct ingest_source *source, struct file *file, struct err *err)
{
    struct buf *window = &file->window;
    ssize_t len;
    memmove(window->data, window->data + file->split.done, window->len - file->split.done);
    window->len -= file->split.done;
    split_shift(&file->split);
    buf_reserve(window, READ_SIZE);
    do
        len = read(file->fd, window->data + window->len, READ_SIZE);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return err_errno(err, E_IO, "cannot be read");
    window->len += (size_t)len;
    source->octets += len;
    file->end = len == 0;
    return OK;
}

static enum rcode read_items(struct ingest_source *source, struct file *file, struct err *err)
{
    enum rcode rc = OK;
    buf_reserve(&file->window, READ_SIZE);
    split_init(&file->split, source->kind);
    while (rc == OK && !file->end) {
        struct split_piece piece;
        rc = read_more(source, file, err);
        while (rc == OK && split_next(&file->split, buf_view(&file->window), file->end, &piece)) {
            struct ingest_source_item item = {file->name, &piece, file->modified_ms};
            rc = source->item(source->context, &item, err);
        }
    }
    return rc;
}

static enum rcode read_fd(struct ingest_source *source, const char *name, int fd,
                          int64_t modified_ms, struct err *err)
{
    struct file file = {.name = name, .fd = fd, .modified_ms = modified_ms};
    source->files++;
    enum rcode rc = read_items(source, &file, err);
    buf_deinit(&file.window);
    return rc;
}

static enum rcode read_file(struct ingest_source *source, const char *path, struct err *err)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum rcode rc = OK;
    if (fd < 0 || fstat(fd, &stat) < 0)
        rc = err_errno(err, E_IO, "cannot be read");
    else
        rc = read_fd(source, path, fd,
                     (int64_t)stat.st_mtim.tv_sec * 1000 + stat.st_mtim.tv_nsec / 1000000, err);
    if (rc == E_IO)
        err_prefix(err, "%s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* --- folders --- */

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool is_folder(const char *path)
{
    struct stat stat_of;
    return stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
}

static char *path_in(const char *folder, const char *name)
{
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "%s/%s%c", folder, name, 0);
    return path.data; /* freed as any memory of mem_alloc */
}

static enum rcode read_folder(struct ingest_source *source, const char *folder, struct err *err)
{
    struct dirent **entries = NULL;
    enum rcode rc = OK;
    int count = scandir(folder, &entries, not_hidden, alphasort);
    if (count < 0) {
        rc = err_errno(err, E_IO, "cannot be read");
        err_prefix(err, "%s", folder);
        return rc;
    }
    for (int i = 0; i < count; i++) {
        char *path = path_in(folder, entries[i]->d_name);
        if (rc == OK && is_folder(path))
            fprintf(stderr, "rimbalzo: %s: a folder within a folder is not read\n", path);
        else if (rc == OK)
            rc = read_file(source, path, err);
        mem_free(path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int64_t file_size(const char *path)
{
    struct stat stat_of;
    return stat(path, &stat_of) == 0 && S_ISREG(stat_of.st_mode) ? stat_of.st_size : 0;
}

static int64_t folder_size(const char *folder)
{
    DIR *open = opendir(folder);
    int64_t size = 0;
    for (struct dirent *entry; open && (entry = readdir(open));) {
        char *path = path_in(folder, entry->d_name);
        if (not_hidden(entry))
            size += file_size(path);
        mem_free(path);
    }
    if (open)
        closedir(open);
    return size;
}

/* A Maildir has `new`, `cur` and `tmp`; what is in the last is not delivered yet. */
static bool is_maildir(const char *path, char *ret_parts[2])
{
    ret_parts[0] = path_in(path, "new");
    ret_parts[1] = path_in(path, "cur");
    if (is_folder(ret_parts[0]) && is_folder(ret_parts[1]))
        return true;
    mem_free(ret_parts[0]);
    mem_free(ret_parts[1]);
    return false;
}

static enum rcode read_folders(struct ingest_source *source, const char *path, struct err *err)
{
    char *parts[2];
    if (!is_maildir(path, parts))
        return read_folder(source, path, err);
    enum rcode rc = read_folder(source, parts[0], err);
    if (rc == OK)
        rc = read_folder(source, parts[1], err);
    mem_free(parts[0]);
    mem_free(parts[1]);
    return rc;
}

int64_t ingest_source_size(const char *path)
{
    char *parts[2];
    if (!is_folder(path))
        return file_size(path);
    if (!is_maildir(path, parts))
        return folder_size(path);
    int64_t size = folder_size(parts[0]) + folder_size(parts[1]);
    mem_free(parts[0]);
    mem_free(parts[1]);
    return size;
}

enum rcode ingest_source_read(struct ingest_source *source, const char *path, struct err *err)
{
    if (strcmp(path, "-") == 0) {
        enum rcode rc = read_fd(source, "stdin", STDIN_FILENO, clock_wall_ms(), err);
        if (rc == E_IO)
            err_prefix(err, "stdin");
        return rc;
    }
    return is_folder(path) ? read_folders(source, path, err) : read_file(source, path, err);
}
