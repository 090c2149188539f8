/* The directory of one store: made when missing, locked while open, synced when its names change.
 */
#pragma once
#include "base/err.h"

struct store_dir {
    char *path;
    int fd;
    int lock_fd; /* -1: not locked */
};

/* E_STORE_LOCKED when the lock is taken, by another process or by this one. E_IO, E_STORE_FULL. */
enum rcode store_dir_open(struct store_dir *dir, const char *path, struct err *err) WARN_UNUSED;

/* Gives up the lock. */
void store_dir_close(struct store_dir *dir);

/* A missing file is no error. */
enum rcode store_dir_remove(const struct store_dir *dir, const char *name,
                            struct err *err) WARN_UNUSED;

enum rcode store_dir_sync(const struct store_dir *dir, struct err *err) WARN_UNUSED;

/* "store PATH: what: strerror(errno)": E_STORE_FULL when the disk or the quota is full, else E_IO.
 */
enum rcode store_dir_errno(const struct store_dir *dir, const char *what, struct err *err);
