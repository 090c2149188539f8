#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "store/store.h"

enum rcode store_dir_errno(const struct store_dir *dir, const char *what, struct err *err)
{
    enum rcode code = errno == ENOSPC || errno == EDQUOT ? E_STORE_FULL : E_IO;
    (void)err_errno(err, code, what);
    (void)err_prefix(err, "store %s", dir->path);
    return code;
}

static enum rcode make_directories(const struct store_dir *dir, struct err *err)
{
    char *path = mem_strdup(dir->path);
    enum rcode rc = OK;
    for (char *p = path + 1; rc == OK; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            rc = store_dir_errno(dir, "cannot make the directory", err);
        *p = c;
        if (c == '\0')
            break;
    }
    mem_free(path);
    return rc;
}

static enum rcode open_directory(struct store_dir *dir, struct err *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    dir->fd = open(dir->path, flags);
    if (dir->fd < 0 && errno == ENOENT) {
        enum rcode rc = make_directories(dir, err);
        if (rc != OK)
            return rc;
        dir->fd = open(dir->path, flags);
    }
    if (dir->fd < 0)
        return store_dir_errno(dir, "cannot open the directory", err);
    return OK;
}

static enum rcode locked_by_other(const struct store_dir *dir, struct err *err)
{
    char pid[24] = "";
    ssize_t len = pread(dir->lock_fd, pid, sizeof(pid) - 1, 0);
    pid[len > 0 ? len : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return err_set(err, E_STORE_LOCKED, "store %s is in use by process %s", dir->path,
                   pid[0] ? pid : "(unknown)");
}

static enum rcode take_lock(struct store_dir *dir, struct err *err)
{
    dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir->lock_fd < 0)
        return store_dir_errno(dir, "cannot open the lock file", err);
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            return locked_by_other(dir, err);
        return store_dir_errno(dir, "cannot lock", err);
    }
    /* The pid is for people: a full disk does not keep us from running. */
    if (ftruncate(dir->lock_fd, 0) == 0)
        (void)dprintf(dir->lock_fd, "%ld\n", (long)getpid());
    return OK;
}

enum rcode store_dir_open(struct store_dir *dir, const char *path, struct err *err)
{
    *dir = (struct store_dir){.path = mem_strdup(path), .fd = -1, .lock_fd = -1};
    enum rcode rc = open_directory(dir, err);
    if (rc == OK)
        rc = take_lock(dir, err);
    if (rc != OK)
        store_dir_close(dir);
    return rc;
}

void store_dir_close(struct store_dir *dir)
{
    if (dir->lock_fd >= 0)
        close(dir->lock_fd);
    if (dir->fd >= 0)
        close(dir->fd);
    mem_free(dir->path);
    *dir = (struct store_dir){.fd = -1, .lock_fd = -1};
}

enum rcode store_dir_remove(const struct store_dir *dir, const char *name, struct err *err)
{
    if (unlinkat(dir->fd, name, 0) && errno != ENOENT)
        return store_dir_errno(dir, "cannot remove a file", err);
    return OK;
}

enum rcode store_dir_sync(const struct store_dir *dir, struct err *err)
{
    if (fsync(dir->fd))
        return store_dir_errno(dir, "cannot sync the directory", err);
    return OK;
}

enum rcode store_remove(const char *path, struct err *err)
{
    struct store_dir dir;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return OK;
    enum rcode rc = store_dir_open(&dir, path, err);
    if (rc != OK)
        return rc;
    DIR *names = fdopendir(dup(dir.fd));
    if (!names)
        rc = store_dir_errno(&dir, "cannot list the directory", err);
    for (struct dirent *entry; rc == OK && (entry = readdir(names)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = store_dir_remove(&dir, entry->d_name, err);
    if (names)
        closedir(names);
    if (rc == OK && rmdir(path) != 0)
        rc = store_dir_errno(&dir, "cannot remove the directory", err);
    store_dir_close(&dir);
    return rc;
}
