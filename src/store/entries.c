/*
 * Entries of a store: look-up, change, walk. One cursor per transaction: LMDB's MDB_SET looks at
 * the cursor's page before it searches from the root, so ascending keys are cheap, and a put after
 * a get of the same key goes to where the cursor stands.
 */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "domain/address.h"
#include "store/internal.h"

#define ENTRIES 0 /* the only database of this kind */

static uint64_t hash_of(struct identity who, struct str value)
{
    if (!who.tenant.len)
        return hash_record(who.recipient, value);
    char key[RECORD_KEY_MAX];
    size_t len = identity_key(who, key);
    return hash_record((struct str){key, len}, value);
}

static enum rcode corrupt(const struct store *store, const char *what, struct err *err)
{
    return err_set(err, E_STORE_CORRUPT, "store %s: an entry is damaged: %s", store->dir.path,
                   what);
}

static enum rcode failure(const struct store *store, int rc, const char *what, struct err *err)
{
    return store_env_error(&store->dir, rc, what, err);
}

static enum rcode header_of(const struct store *store, MDB_val data, struct entry_mark *ret_mark,
                            struct err *err)
{
    struct entry_header header;
    if (data.mv_size < sizeof(header))
        return corrupt(store, "too short", err);
    memcpy(&header, data.mv_data, sizeof(header));
    if (header.version != ENTRY_VERSION)
        return corrupt(store, "unknown version", err);
    if (header.kind >= STORE_KINDS)
        return corrupt(store, "unknown kind", err);
    *ret_mark = (struct entry_mark){get_le64(header.hash), header.kind};
    return OK;
}

static struct str value_of(MDB_val data)
{
    return (struct str){(const char *)data.mv_data + sizeof(struct entry_header),
                        data.mv_size - sizeof(struct entry_header)};
}

/* Moves the cursor to `who` and fills `place`; the entry's octets to `ret_data` when there is one.
 * A look-up of the place where the cursor stands already is skipped unless `ret_data` is wanted. */
static enum rcode locate(struct store *store, struct identity who, MDB_val *ret_data,
                         struct err *err)
{
    struct store_place *place = &store->place;
    char octets[STORE_KEY_MAX];
    size_t len = store_key_encode(who, octets);
    if (!len)
        return err_set(err, E_BUG, "store %s: a recipient is not canonical", store->dir.path);
    if (!ret_data && len == place->key_len && memcmp(octets, place->key, len) == 0)
        return OK;

    MDB_val key = {len, octets}, data = {0, NULL};
    place->key_len = 0;
    int mdb_rc = mdb_cursor_get(store->cursors[ENTRIES], &key, &data, MDB_SET);
    if (mdb_rc && mdb_rc != MDB_NOTFOUND)
        return failure(store, mdb_rc, "cannot look up an entry", err);
    place->found = !mdb_rc;
    if (place->found) {
        enum rcode rc = header_of(store, data, &place->mark, err);
        if (rc != OK)
            return rc;
    }
    memcpy(place->key, octets, len);
    place->key_len = len;
    if (ret_data)
        *ret_data = place->found ? data : (MDB_val){0, NULL};
    return OK;
}

enum rcode store_get(struct store *store, struct identity who, struct str *ret_value,
                     struct err *err)
{
    assert(store->txn);
    MDB_val data = {0, NULL};
    enum rcode rc = locate(store, who, &data, err);
    if (rc != OK)
        return rc;
    struct str value = STR_NULL;
    if (store->place.found) {
        value = value_of(data);
        if (hash_of(who, value) != store->place.mark.hash)
            return corrupt(store, "wrong checksum", err);
    }
    *ret_value = value;
    return OK;
}

/* What counted for the entry found does no more. */
static void take_out(struct store *store)
{
    store->entries--;
    store->digest ^= store->place.mark.hash;
    store->kinds[store->place.mark.kind]--;
}

enum rcode store_put(struct store *store, struct identity who, struct str value, unsigned char kind,
                     struct err *err)
{
    assert(store->txn && value.data && kind < STORE_KINDS);
    enum rcode rc = locate(store, who, NULL, err);
    if (rc != OK)
        return rc;
    struct store_place *place = &store->place;
    uint64_t hash = hash_of(who, value);
    struct entry_header header = {.version = ENTRY_VERSION, .kind = kind};
    put_le64(header.hash, hash);

    /* Built aside: `value` may point into the page that is about to be written. */
    buf_clear(&store->scratch);
    buf_append(&store->scratch, &header, sizeof(header));
    buf_append(&store->scratch, value.data, value.len);
    MDB_val key = {place->key_len, place->key};
    MDB_val data = {store->scratch.len, store->scratch.data};
    int mdb_rc =
        mdb_cursor_put(store->cursors[ENTRIES], &key, &data, place->found ? MDB_CURRENT : 0);
    place->key_len = 0;
    if (mdb_rc)
        return failure(store, mdb_rc, "cannot write an entry", err);
    if (place->found)
        take_out(store);
    store->entries++;
    store->digest ^= hash;
    store->kinds[kind]++;
    return OK;
}

enum rcode store_delete(struct store *store, struct identity who, struct err *err)
{
    assert(store->txn);
    enum rcode rc = locate(store, who, NULL, err);
    if (rc != OK || !store->place.found)
        return rc;
    int mdb_rc = mdb_cursor_del(store->cursors[ENTRIES], 0);
    store->place.key_len = 0;
    if (mdb_rc)
        return failure(store, mdb_rc, "cannot remove an entry", err);
    take_out(store);
    return OK;
}

/* Checks an entry found by walking; its mark to `ret_mark`, its identity (with `recipient`'s
 * octets) to `ret_who`. */
static enum rcode check_entry(const struct store *store, MDB_val key, MDB_val data,
                              char recipient[RECIPIENT_MAX], struct identity *ret_who,
                              struct entry_mark *ret_mark, struct err *err)
{
    enum rcode rc = header_of(store, data, ret_mark, err);
    if (rc != OK)
        return rc;
    if (!store_key_decode((struct str){key.mv_data, key.mv_size}, recipient, ret_who))
        return corrupt(store, "not a key", err);
    if (hash_of(*ret_who, value_of(data)) != ret_mark->hash)
        return corrupt(store, "wrong checksum", err);
    return OK;
}

/* To the first entry after the cursor's key. */
static int scan_start(MDB_cursor *mdb, struct store_cursor *cursor, MDB_val *ret_key,
                      MDB_val *ret_data)
{
    if (!cursor->len)
        return mdb_cursor_get(mdb, ret_key, ret_data, MDB_FIRST);
    *ret_key = (MDB_val){cursor->len, cursor->key};
    int rc = mdb_cursor_get(mdb, ret_key, ret_data, MDB_SET_RANGE);
    if (!rc && ret_key->mv_size == cursor->len &&
        memcmp(ret_key->mv_data, cursor->key, cursor->len) == 0)
        rc = mdb_cursor_get(mdb, ret_key, ret_data, MDB_NEXT);
    return rc;
}

enum rcode store_scan(struct store *store, struct store_cursor *cursor, size_t max,
                      store_visit *visit, void *context, struct err *err)
{
    _Static_assert(sizeof(cursor->key) >= STORE_KEY_MAX, "a key fits into a cursor");
    assert(store->txn);
    MDB_cursor *mdb = NULL;
    MDB_val key, data;
    enum rcode rc = OK;
    int mdb_rc = max ? mdb_cursor_open(store->txn, store->dbis[ENTRIES], &mdb) : 0;
    if (!max || mdb_rc)
        return mdb_rc ? failure(store, mdb_rc, "cannot walk the entries", err) : OK;
    mdb_rc = scan_start(mdb, cursor, &key, &data);
    for (size_t n = 0; mdb_rc == 0 && n < max; n++) {
        char recipient[RECIPIENT_MAX];
        struct identity who;
        struct entry_mark mark;
        rc = check_entry(store, key, data, recipient, &who, &mark, err);
        if (rc == OK)
            rc = visit(context, who, value_of(data), err);
        if (rc != OK)
            break;
        memcpy(cursor->key, key.mv_data, key.mv_size);
        cursor->len = key.mv_size;
        mdb_rc = mdb_cursor_get(mdb, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(mdb);
    if (mdb_rc == MDB_NOTFOUND)
        cursor->len = 0;
    else if (mdb_rc)
        rc = failure(store, mdb_rc, "cannot walk the entries", err);
    return rc;
}

/* Entries, digest and kinds of all that is there. */
static enum rcode recompute(const struct store *store, MDB_cursor *mdb, struct store_meta *ret_sums,
                            struct err *err)
{
    MDB_val key, data;
    int mdb_rc;
    *ret_sums = (struct store_meta){0};
    while ((mdb_rc = mdb_cursor_get(mdb, &key, &data, MDB_NEXT)) == 0) {
        char recipient[RECIPIENT_MAX];
        struct identity who;
        struct entry_mark mark;
        enum rcode rc = check_entry(store, key, data, recipient, &who, &mark, err);
        if (rc != OK)
            return rc;
        ret_sums->entries++;
        ret_sums->digest ^= mark.hash;
        ret_sums->kinds[mark.kind]++;
    }
    return mdb_rc == MDB_NOTFOUND ? OK : failure(store, mdb_rc, "cannot walk the entries", err);
}

enum rcode store_look(struct store *store, struct identity who, struct buf *out, bool *ret_found,
                      struct err *err)
{
    char octets[STORE_KEY_MAX];
    MDB_val key = {store_key_encode(who, octets), octets}, data;
    MDB_txn *txn;
    struct entry_mark mark;
    enum rcode rc = store_begin_reading(store, &txn, err);
    if (rc != OK)
        return rc;
    int mdb_rc = key.mv_size ? mdb_get(txn, store->dbis[ENTRIES], &key, &data) : MDB_NOTFOUND;
    *ret_found = !mdb_rc;
    if (mdb_rc && mdb_rc != MDB_NOTFOUND)
        rc = failure(store, mdb_rc, "cannot look up an entry", err);
    if (rc == OK && *ret_found)
        rc = header_of(store, data, &mark, err);
    if (rc == OK && *ret_found && hash_of(who, value_of(data)) != mark.hash)
        rc = corrupt(store, "wrong checksum", err);
    if (rc == OK && *ret_found)
        buf_str(out, value_of(data));
    mdb_txn_abort(txn);
    return rc;
}

enum rcode store_verify(struct store *store, struct err *err)
{
    MDB_txn *txn;
    MDB_cursor *mdb = NULL;
    struct store_meta sums = {0};
    const struct store_meta *noted = &store->committed;
    enum rcode rc = store_begin_reading(store, &txn, err);
    if (rc != OK)
        return rc;
    int mdb_rc = mdb_cursor_open(txn, store->dbis[ENTRIES], &mdb);
    rc = mdb_rc ? failure(store, mdb_rc, "cannot read", err) : recompute(store, mdb, &sums, err);
    if (mdb)
        mdb_cursor_close(mdb);
    mdb_txn_abort(txn);
    if (rc != OK)
        return rc;
    if (sums.entries != noted->entries || sums.digest != noted->digest)
        return err_set(err, E_STORE_CORRUPT,
                       "store %s: %llu entries with digest %016llx are there, "
                       "%llu with digest %016llx were recorded",
                       store->dir.path, (unsigned long long)sums.entries,
                       (unsigned long long)sums.digest, (unsigned long long)noted->entries,
                       (unsigned long long)noted->digest);
    for (int i = 0; i < STORE_KINDS; i++)
        if (sums.kinds[i] != noted->kinds[i])
            return err_set(err, E_STORE_CORRUPT,
                           "store %s: %llu entries of kind %d are there, %llu were recorded",
                           store->dir.path, (unsigned long long)sums.kinds[i], i,
                           (unsigned long long)noted->kinds[i]);
    return OK;
}
