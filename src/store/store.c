/*
 * A store's life and its transactions.
 *
 * Order at open, and why:
 *     lock         before anything is read
 *     marker       does a crash of the machine forbid to trust the file?
 *     environment  maps the file and gives it its room on the disk (store/env.h)
 *     read         identity, positions: whose state is it, how old
 *     marker       written and synced: from here on a crash of the machine is noticed
 *     create       the first write, when the environment is new
 * Whatever forbids trust deletes data.mdb and starts again with none.
 */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "store/internal.h"

#define META_DATABASE "meta"
#define MAP_FULL_QUARTERS 3 /* grow when more than so many quarters are used */

static const char *const recipients_databases[] = {"entries"};
static const char *const timers_databases[] = {"timers", "due", "recipients", "released"};
#define COUNT(names) (int)(sizeof(names) / sizeof((names)[0]))
_Static_assert(COUNT(timers_databases) <= STORE_DATABASES_MAX, "room for the handles");

static void choose_databases(struct store *store, enum store_kind kind)
{
    switch (kind) {
    case STORE_RECIPIENTS:
        store->databases = recipients_databases;
        store->database_count = COUNT(recipients_databases);
        return;
    case STORE_TIMERS:
        store->databases = timers_databases;
        store->database_count = COUNT(timers_databases);
        return;
    }
}

static enum rcode failure(const struct store *store, int rc, const char *what, struct err *err)
{
    return store_env_error(&store->dir, rc, what, err);
}

static enum rcode closed(const struct store *store, struct err *err)
{
    return err_set(err, E_STORE, "store %s is closed after a failure", store->dir.path);
}

/* Follows the caller's clock, and no jump of the wall clock. */
static int64_t now_ms(const struct store *store)
{
    return store->opened_wall_ms + (clock_monotonic_ms() - store->opened_monotonic_ms);
}

static MDB_val val_of(const char *text)
{
    return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

static int open_databases(struct store *store, MDB_txn *txn, unsigned flags)
{
    int rc = mdb_dbi_open(txn, META_DATABASE, flags, &store->meta_dbi);
    for (int i = 0; !rc && i < store->database_count; i++)
        rc = mdb_dbi_open(txn, store->databases[i], flags, &store->dbis[i]);
    return rc;
}

static int put_positions(struct store *store, MDB_txn *txn, const struct store_meta *meta)
{
    struct positions_record record;
    positions_encode(meta, now_ms(store), &record);
    MDB_val key = val_of("positions"), data = {sizeof(record), &record};
    return mdb_put(txn, store->meta_dbi, &key, &data, 0);
}

static int put_identity(struct store *store, MDB_txn *txn)
{
    buf_clear(&store->scratch);
    buf_append(&store->scratch, &(unsigned char){STORE_FORMAT}, 1);
    buf_append(&store->scratch, store->identity, strlen(store->identity));
    MDB_val key = val_of("identity"), data = {store->scratch.len, store->scratch.data};
    return mdb_put(txn, store->meta_dbi, &key, &data, 0);
}

/* The first transaction of a new environment. */
static enum rcode create(struct store *store, struct err *err)
{
    store->committed = (struct store_meta){.stream_time_ms = TIME_NULL};
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env.mdb, NULL, 0, &txn);
    if (!rc)
        rc = open_databases(store, txn, MDB_CREATE);
    if (!rc)
        rc = put_identity(store, txn);
    if (!rc)
        rc = put_positions(store, txn, &store->committed);
    if (rc && txn)
        mdb_txn_abort(txn);
    else if (!rc)
        rc = mdb_txn_commit(txn);
    return rc ? failure(store, rc, "cannot create", err) : OK;
}

/* Why the records of "meta" forbid to trust the state, or NULL. */
static const char *check_meta(struct store *store, MDB_txn *txn, int64_t offline_ms_max)
{
    MDB_val key = val_of("identity"), data;
    if (mdb_get(txn, store->meta_dbi, &key, &data) || !data.mv_size)
        return "format unknown";
    const char *octets = data.mv_data;
    struct str identity = {octets + 1, data.mv_size - 1};
    if (octets[0] != STORE_FORMAT)
        return "format unknown";
    if (!str_equal(identity, str_of(store->identity)))
        return "identity differs";
    int64_t used_ms;
    key = val_of("positions");
    if (mdb_get(txn, store->meta_dbi, &key, &data) ||
        !positions_decode(data.mv_data, data.mv_size, &store->committed, &used_ms))
        return "format unknown";
    /* A clock that went back by more than that proves nothing either. */
    int64_t now = store->opened_wall_ms;
    uint64_t apart =
        now > used_ms ? (uint64_t)now - (uint64_t)used_ms : (uint64_t)used_ms - (uint64_t)now;
    if (offline_ms_max > 0 && apart > (uint64_t)offline_ms_max)
        return "offline too long";
    return NULL;
}

/* Reads what is there. `ret_new`: nothing, the file is new. `ret_distrust`: why it must be
 * discarded, or NULL. */
static enum rcode read_state(struct store *store, int64_t offline_ms_max, bool *ret_new,
                             const char **ret_distrust, struct err *err)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    int rc = mdb_txn_begin(store->env.mdb, NULL, MDB_RDONLY, &txn);
    if (!rc)
        rc = mdb_stat(txn, 1 /* the unnamed database */, &stat);
    if (rc) {
        if (txn)
            mdb_txn_abort(txn);
        return failure(store, rc, "cannot read", err);
    }
    *ret_new = stat.ms_entries == 0;
    *ret_distrust = NULL;
    if (!*ret_new) {
        rc = open_databases(store, txn, 0);
        *ret_distrust = rc ? "format unknown" : check_meta(store, txn, offline_ms_max);
    }
    if (*ret_new || *ret_distrust)
        mdb_txn_abort(txn);
    else /* keeps the handles of the databases */
        rc = mdb_txn_commit(txn);
    return rc && !*ret_distrust ? failure(store, rc, "cannot read", err) : OK;
}

/* Opens the environment and reads it. */
static enum rcode load(struct store *store, int64_t offline_ms_max, bool *ret_new,
                       const char **ret_distrust, struct err *err)
{
    bool damaged = false;
    enum rcode rc =
        store_env_open(&store->env, &store->dir, store->map_size_initial, &damaged, err);
    if (rc != OK)
        return rc;
    if (damaged) {
        *ret_distrust = "the file is damaged or truncated";
        return OK;
    }
    return read_state(store, offline_ms_max, ret_new, ret_distrust, err);
}

/* Deletes what is there and opens an environment with nothing. */
static enum rcode start_empty(struct store *store, struct err *err)
{
    store_env_close(&store->env);
    enum rcode rc = store_dir_remove(&store->dir, DATA_NAME, err);
    bool new = false;
    const char *distrust = NULL;
    if (rc == OK)
        rc = load(store, 0, &new, &distrust, err);
    if (rc == OK && !new)
        rc = err_set(err, E_STORE, "store %s: a new file is not empty", store->dir.path);
    return rc;
}

/* What a crashed run under STORE_REBUILD left in the page cache only must reach the disk before a
 * marker says "disk". */
static enum rcode sync_predecessor(struct store *store, const struct store_marker *before,
                                   struct err *err)
{
    if (store->env.durability != STORE_DISK || before->found == MARKER_ABSENT)
        return OK;
    int rc = mdb_env_sync(store->env.mdb, 1);
    return rc ? failure(store, rc, "cannot sync", err) : OK;
}

static enum rcode open_state(struct store *store, const struct store_options *options,
                             const char **ret_discarded, struct err *err)
{
    struct store_marker before;
    bool new = false;
    const char *distrust = NULL;
    enum rcode rc = store_marker_read(&store->dir, &before, err);
    if (rc == OK) {
        distrust = store_marker_distrust(&before, store->marker.boot_id);
        if (!distrust)
            rc = load(store, options->offline_ms_max, &new, &distrust, err);
    }
    if (rc == OK && distrust) {
        rc = start_empty(store, err);
        new = true;
    }
    if (rc == OK)
        rc = sync_predecessor(store, &before, err);
    if (rc == OK) {
        bool crashed = before.found == MARKER_PRESENT && !distrust;
        store->marker.opens = crashed ? before.opens + 1 : 1;
        rc = store_marker_write(&store->dir, &store->marker, err);
    }
    if (rc == OK)
        rc = store_dir_sync(&store->dir, err);
    if (rc == OK && new)
        rc = create(store, err);
    if (rc == OK)
        *ret_discarded = distrust;
    return rc;
}

static enum rcode choose_boot_id(struct store *store, const char *given, struct err *err)
{
    if (!given)
        return store_boot_id(store->marker.boot_id, err);
    size_t len = strlen(given);
    if (!len || len > BOOT_ID_MAX || strpbrk(given, " \t\n"))
        return err_set(err, E_BUG, "not a boot id");
    memcpy(store->marker.boot_id, given, len + 1);
    return OK;
}

static void release(struct store *store)
{
    store_abort(store);
    store_env_close(&store->env);
    store_dir_close(&store->dir);
    buf_deinit(&store->scratch);
    mem_free(store->identity);
    mem_free(store);
}

enum rcode store_open(const struct store_options *options, struct store **ret_store,
                      const char **ret_discarded, struct err *err)
{
    struct store *store = mem_zalloc(sizeof(*store));
    choose_databases(store, options->kind);
    store->env.durability = options->durability;
    store->marker =
        (struct store_marker){.found = MARKER_PRESENT, .durability = options->durability};
    store->identity = mem_strdup(options->identity);
    store->map_size_initial = options->map_size_initial;
    store->opened_wall_ms = options->now_ms;
    store->opened_monotonic_ms = clock_monotonic_ms();
    buf_init(&store->scratch);
    enum rcode rc = store_dir_open(&store->dir, options->path, err);
    if (rc == OK)
        rc = choose_boot_id(store, options->boot_id, err);
    if (rc == OK)
        rc = open_state(store, options, ret_discarded, err);
    if (rc == OK)
        *ret_store = store;
    else
        release(store);
    return rc;
}

/* Records when the store was last used, and syncs. Whatever fails leaves the marker. */
static void mark_clean(struct store *store)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env.mdb, NULL, 0, &txn);
    if (!rc) {
        rc = put_positions(store, txn, &store->committed);
        if (rc)
            mdb_txn_abort(txn);
        else
            rc = mdb_txn_commit(txn);
    }
    if (rc &&
        rc != MDB_MAP_FULL) /* a full map keeps the time of the last commit, which is older: safe */
        return;
    if (mdb_env_sync(store->env.mdb, 1) || store_dir_sync(&store->dir, NULL) != OK)
        return;
    if (store_dir_remove(&store->dir, MARKER_NAME, NULL) == OK)
        (void)!store_dir_sync(&store->dir, NULL);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_abort(store);
    if (store->env.mdb && !store->failed)
        mark_clean(store);
    release(store);
}

void store_abandon(struct store *store)
{
    if (store)
        release(store);
}

enum rcode store_reset(struct store *store, struct err *err)
{
    assert(!store->txn);
    enum rcode rc = start_empty(store, err);
    if (rc == OK)
        rc = store_dir_sync(&store->dir, err);
    if (rc == OK)
        rc = create(store, err);
    if (rc == OK)
        store->failed = false;
    else
        store_env_close(&store->env);
    return rc;
}

const struct store_meta *store_meta(const struct store *store)
{
    return &store->committed;
}

struct store_usage store_usage(const struct store *store)
{
    if (!store->env.mdb)
        return (struct store_usage){0};
    return (struct store_usage){store->env.map_size, store_env_used(&store->env)};
}

enum rcode store_grow(struct store *store, struct err *err)
{
    assert(!store->txn);
    if (!store->env.mdb)
        return closed(store, err);
    return store_env_grow(&store->env, &store->dir, err);
}

enum rcode store_begin(struct store *store, struct err *err)
{
    if (store->txn)
        return OK;
    if (!store->env.mdb)
        return closed(store, err);
    size_t used = store_env_used(&store->env);
    while (used > store->env.map_size / 4 * MAP_FULL_QUARTERS) {
        enum rcode rc = store_grow(store, err);
        if (rc != OK)
            return rc;
    }
    int rc = mdb_txn_begin(store->env.mdb, NULL, 0, &store->txn);
    if (rc) {
        store->txn = NULL;
        return failure(store, rc, "cannot begin", err);
    }
    for (int i = 0; !rc && i < store->database_count; i++)
        rc = mdb_cursor_open(store->txn, store->dbis[i], &store->cursors[i]);
    if (rc) {
        store_abort(store);
        return failure(store, rc, "cannot open a cursor", err);
    }
    store->place.key_len = 0;
    store->entries = store->committed.entries;
    store->digest = store->committed.digest;
    memcpy(store->kinds, store->committed.kinds, sizeof(store->kinds));
    return OK;
}

enum rcode store_begin_reading(struct store *store, MDB_txn **ret_txn, struct err *err)
{
    assert(!store->txn);
    if (!store->env.mdb)
        return closed(store, err);
    int rc = mdb_txn_begin(store->env.mdb, NULL, MDB_RDONLY, ret_txn);
    return rc ? failure(store, rc, "cannot read", err) : OK;
}

void store_pending(const struct store *store, uint64_t *ret_entries, uint64_t *ret_digest)
{
    assert(store->txn);
    *ret_entries = store->entries;
    *ret_digest = store->digest;
}

static void close_cursors(struct store *store)
{
    for (int i = 0; i < store->database_count; i++) {
        if (store->cursors[i])
            mdb_cursor_close(store->cursors[i]);
        store->cursors[i] = NULL;
    }
}

void store_abort(struct store *store)
{
    close_cursors(store);
    if (store->txn)
        mdb_txn_abort(store->txn);
    store->txn = NULL;
}

/* The state moved on: restarts from here on are no loop. A failure leaves the count, which is
 * harmless. */
static void note_progress(struct store *store)
{
    if (!store->marker.opens)
        return;
    store->marker.opens = 0;
    (void)!store_marker_write(&store->dir, &store->marker, NULL);
}

enum rcode store_commit(struct store *store, int64_t input_next, int64_t changelog_next,
                        int64_t stream_time_ms, struct err *err)
{
    assert(store->txn);
    struct store_meta meta = {
        .input_next = input_next,
        .changelog_next = changelog_next,
        .stream_time_ms = stream_time_ms,
        .entries = store->entries,
        .digest = store->digest,
        .sequence = store->committed.sequence + 1,
    };
    memcpy(meta.kinds, store->kinds, sizeof(meta.kinds));
    int mdb_rc = put_positions(store, store->txn, &meta);
    if (!mdb_rc) {
        MDB_txn *txn = store->txn;
        close_cursors(store);
        store->txn = NULL;
        mdb_rc = mdb_txn_commit(txn);
    }
    if (!mdb_rc) {
        store->committed = meta;
        note_progress(store);
        return OK;
    }
    store_abort(store);
    enum rcode rc = failure(store, mdb_rc, "cannot commit", err);
    if (rc == E_STORE_MAP_FULL) {
        /* LMDB's list of free pages had no room left. There is no transaction to redo, but the next
         * one shall not end the same way. */
        (void)!store_env_grow(&store->env, &store->dir, NULL);
        rc = err_set(err, E_STORE, "store %s: cannot commit: the map is full", store->dir.path);
    } else {
        store->failed = true;
    }
    return rc;
}
