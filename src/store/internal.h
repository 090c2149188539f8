/* Shared by store.c (life, transactions) and entries.c (what a transaction reads and writes). */
#pragma once
#include "base/buf.h"
#include "store/dir.h"
#include "store/env.h"
#include "store/key.h"
#include "store/layout.h"
#include "store/marker.h"
#include "store/store.h"

/* What an entry's header says. */
struct entry_mark {
    uint64_t hash;
    unsigned char kind;
};

/* Where the transaction's cursor stands after a look-up, so that the write that follows needs none.
 */
struct store_place {
    char key[STORE_KEY_MAX];
    size_t key_len; /* 0: nowhere */
    bool found;
    struct entry_mark mark; /* of the entry found */
};

#define STORE_DATABASES_MAX 4 /* beside "meta" */

struct store {
    struct store_dir dir;
    struct store_env env;
    const char *const *databases; /* their names, by the store's kind */
    int database_count;
    MDB_dbi meta_dbi;
    MDB_dbi dbis[STORE_DATABASES_MAX];
    char *identity;
    size_t map_size_initial;
    int64_t opened_wall_ms, opened_monotonic_ms;
    struct store_marker marker; /* as on disk */
    bool failed;                /* a commit failed: do not mark clean */

    struct store_meta committed;

    MDB_txn *txn;                             /* NULL: none open */
    MDB_cursor *cursors[STORE_DATABASES_MAX]; /* one for each database, of the transaction */
    struct store_place place;
    uint64_t entries, digest, kinds[STORE_KINDS]; /* of the open transaction */
    struct buf scratch;                           /* an entry being written */
};

/* A transaction that only reads what is committed, to be ended with mdb_txn_abort. By the store's
 * thread while no other is open: without a reader table LMDB does not know of readers. */
enum rcode store_begin_reading(struct store *store, MDB_txn **ret_txn, struct err *err) WARN_UNUSED;
