#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DATABASES_MAX 8

enum rcode store_env_error(const struct store_dir *dir, int rc, const char *what, struct err *err)
{
    enum rcode code = E_STORE;
    if (rc == MDB_MAP_FULL)
        code = E_STORE_MAP_FULL;
    else if (rc == ENOSPC || rc == EDQUOT)
        code = E_STORE_FULL;
    else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID)
        code = E_STORE_CORRUPT;
    return err_set(err, code, "store %s: %s: %s", dir->path, what, mdb_strerror(rc));
}

size_t store_env_used(const struct store_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(env->mdb, &info);
    mdb_env_stat(env->mdb, &stat);
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

void store_env_close(struct store_env *env)
{
    if (env->mdb)
        mdb_env_close(env->mdb);
    env->mdb = NULL;
}

static int file_of(const struct store_env *env)
{
    int fd = -1;
    mdb_env_get_fd(env->mdb, &fd);
    return fd;
}

/* Gives the file `size` octets of disk. `size_before` is what to cut it back to. */
static enum rcode preallocate(int fd, const struct store_dir *dir, size_t size_before, size_t size,
                              struct err *err)
{
    struct stat file;
    struct statvfs disk;
    if (fstat(fd, &file) || fstatvfs(fd, &disk))
        return store_dir_errno(dir, "cannot look at the disk", err);
    uint64_t allocated = (uint64_t)file.st_blocks * 512;
    uint64_t wanted = size > allocated ? size - allocated : 0;
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    int rc = ENOSPC;
    if (wanted <= room) {
        do
            rc = posix_fallocate(fd, 0, (off_t)size);
        while (rc == EINTR);
    }
    if (rc == 0)
        return OK;
    if (ftruncate(fd, (off_t)size_before))
        return store_dir_errno(dir, "cannot give back the disk's last room", err);
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return err_set(err, E_STORE_FULL,
                       "store %s: the disk is full: %zu KiB are wanted for a file of %zu KiB, "
                       "%zu KiB are free; make room",
                       dir->path, (size_t)(wanted >> 10), size >> 10, (size_t)(room >> 10));
    errno = rc;
    return store_dir_errno(dir, "cannot allocate the file", err);
}

/* Makes the file as long as the map, so that a file shorter than its pages in use is known to be
 * truncated. Under STORE_DISK LMDB writes with pwrite, which can fail decently: there the file may
 * have holes. */
static enum rcode resize_file(const struct store_env *env, const struct store_dir *dir,
                              size_t size_before, size_t size, struct err *err)
{
    int fd = file_of(env);
    switch (env->durability) {
    case STORE_REBUILD:
        return preallocate(fd, dir, size_before, size, err);
    case STORE_DISK:
        break;
    }
    return ftruncate(fd, (off_t)size) ? store_dir_errno(dir, "cannot extend the file", err) : OK;
}

static size_t round_up(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

/* Whether a failure to open is this file's fault, and not the machine's or the system's. */
static bool blames_file(int rc)
{
    return rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED || rc == EFBIG ||
           rc == EINVAL;
}

static int open_mdb(struct store_env *env, const struct store_dir *dir)
{
    unsigned flags = MDB_NOTLS | MDB_NOLOCK | MDB_NORDAHEAD;
    switch (env->durability) {
    case STORE_REBUILD:
        flags |= MDB_WRITEMAP | MDB_NOSYNC;
        break;
    case STORE_DISK:
        break;
    }
    int rc = mdb_env_create(&env->mdb);
    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(env->mdb, DATABASES_MAX);
    if (!rc)
        rc = mdb_env_set_mapsize(env->mdb, env->map_size);
    if (!rc)
        rc = mdb_env_open(env->mdb, dir->path, flags, 0600);
    return rc;
}

enum rcode store_env_open(struct store_env *env, const struct store_dir *dir, size_t size_min,
                          bool *ret_damaged, struct err *err)
{
    struct stat file = {0};
    if (fstatat(dir->fd, DATA_NAME, &file, 0) && errno != ENOENT)
        return store_dir_errno(dir, "cannot look at " DATA_NAME, err);
    size_t size_before = (size_t)file.st_size;
    env->map_size = round_up(size_min > MAP_SIZE_MIN ? size_min : MAP_SIZE_MIN);
    if (env->map_size < size_before)
        env->map_size = round_up(size_before);

    enum rcode rc = OK;
    bool damaged = false;
    int mdb_rc = open_mdb(env, dir);
    if (mdb_rc) {
        damaged = size_before && blames_file(mdb_rc);
        if (!damaged && mdb_rc > 0) {
            errno = mdb_rc;
            rc = store_dir_errno(dir, "cannot open " DATA_NAME, err);
        } else if (!damaged) {
            rc = store_env_error(dir, mdb_rc, "cannot open " DATA_NAME, err);
        }
    } else if (size_before && store_env_used(env) > size_before) {
        damaged = true; /* truncated: reading on would find zeros, or SIGBUS */
    } else {
        rc = resize_file(env, dir, size_before, env->map_size, err);
    }
    if (rc != OK || damaged)
        store_env_close(env);
    if (rc != OK && !size_before)
        (void)unlinkat(dir->fd, DATA_NAME, 0);
    if (rc == OK)
        *ret_damaged = damaged;
    return rc;
}

enum rcode store_env_grow(struct store_env *env, const struct store_dir *dir, struct err *err)
{
    if (env->map_size > SIZE_MAX / 4)
        return err_set(err, E_STORE_FULL, "store %s: the map cannot grow any more", dir->path);
    size_t size = env->map_size * 2;
    enum rcode rc = resize_file(env, dir, env->map_size, size, err);
    if (rc != OK)
        return rc;
    int mdb_rc = mdb_env_set_mapsize(env->mdb, size);
    if (mdb_rc) {
        store_env_close(env); /* it has lost its map */
        return err_set(err, E_STORE, "store %s: cannot grow the map: %s", dir->path,
                       mdb_strerror(mdb_rc));
    }
    env->map_size = size;
    return OK;
}
