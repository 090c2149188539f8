/*
 * One LMDB environment (data.mdb) and its space on disk.
 *
 * A write through a map to a page that the disk has no room for is a SIGBUS. Therefore under
 * STORE_REBUILD the file is allocated up to the size of the map before the first transaction of
 * every open (LMDB cuts the file to the map when it opens), and grown before the map is. What a
 * failed allocation got is given back. This rests on posix_fallocate: file systems that copy on
 * write do not keep its promise.
 */
#pragma once
#include <lmdb.h>

#include "store/dir.h"
#include "store/store.h"

#define DATA_NAME "data.mdb"
#define MAP_SIZE_MIN ((size_t)64 << 10)

struct store_env {
    MDB_env *mdb; /* NULL: closed */
    enum store_durability durability;
    size_t map_size;
};

/* Opens or creates; `env->durability` is given. The map is the file's size, at least `size_min`.
 * When the file cannot be a database that LMDB left, it is OK with `*ret_damaged` and closed. */
enum rcode store_env_open(struct store_env *env, const struct store_dir *dir, size_t size_min,
                          bool *ret_damaged, struct err *err) WARN_UNUSED;

/* Without sync. */
void store_env_close(struct store_env *env);

/* Doubles the map; no transaction is open. E_STORE_FULL leaves the old map in use, E_STORE the env
 * closed. */
enum rcode store_env_grow(struct store_env *env, const struct store_dir *dir,
                          struct err *err) WARN_UNUSED;

/* Octets up to the last page in use as of the last commit. */
size_t store_env_used(const struct store_env *env);

/* The code for what an LMDB function returned, text "store PATH: what: …". */
enum rcode store_env_error(const struct store_dir *dir, int rc, const char *what, struct err *err);
