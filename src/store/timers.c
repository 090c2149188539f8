/* The four databases of a store of timers: what is added, taken out, walked. */
#include "store/timers.h"

#include <assert.h>

#include "store/timer_layout.h"

static enum rcode failure(const struct store *store, int rc, const char *what, struct err *err)
{
    return store_env_error(&store->dir, rc, what, err);
}

static enum rcode corrupt(const struct store *store, int64_t offset, const char *what,
                          struct err *err)
{
    return err_set(err, E_STORE_CORRUPT, "store %s: timer %lld: %s", store->dir.path,
                   (long long)offset, what);
}

/* --- what a recipient has waiting --- */

static enum rcode prefix_of(const struct store *store, struct identity who,
                            unsigned char ret_key[CLAIM_KEY_MAX], size_t *ret_len, struct err *err)
{
    assert(store->txn);
    *ret_len = claim_prefix(who, ret_key);
    return *ret_len ? OK
                    : err_set(err, E_BUG, "store %s: a timer of no recipient", store->dir.path);
}

static bool has_prefix(MDB_val key, const unsigned char *prefix, size_t len)
{
    return key.mv_size >= len && memcmp(key.mv_data, prefix, len) == 0;
}

static enum rcode read_claim(const struct store *store, MDB_val key, MDB_val data,
                             struct timer_place *ret_place, enum timer_state *ret_state,
                             struct err *err)
{
    return claim_decode(key, data, ret_place, ret_state)
               ? OK
               : err_set(err, E_STORE_CORRUPT, "store %s: what a recipient has waiting is damaged",
                         store->dir.path);
}

enum rcode timers_find(struct store *store, struct identity who, const struct timer_id *id,
                       struct timer_place *ret_last, struct err *err)
{
    unsigned char prefix[CLAIM_KEY_MAX];
    size_t len;
    enum rcode rc = prefix_of(store, who, prefix, &len, err);
    if (rc != OK)
        return rc;
    memcpy(prefix + len, id->octets, TIMER_ID_SIZE);
    len += TIMER_ID_SIZE;
    struct timer_place last = TIMER_PLACE_FIRST;
    MDB_val key = {len, prefix}, data;
    int mdb_rc = mdb_cursor_get(store->cursors[RECIPIENTS], &key, &data, MDB_SET_RANGE);
    while (!mdb_rc && has_prefix(key, prefix, len)) {
        struct timer_place place;
        enum timer_state state;
        rc = read_claim(store, key, data, &place, &state, err);
        if (rc != OK)
            return rc;
        if (timer_place_compare(place, last) > 0)
            last = place;
        mdb_rc = mdb_cursor_get(store->cursors[RECIPIENTS], &key, &data, MDB_NEXT);
    }
    if (mdb_rc && mdb_rc != MDB_NOTFOUND)
        return failure(store, mdb_rc, "cannot look up a recipient's timers", err);
    *ret_last = last;
    return OK;
}

enum rcode timers_claim(struct store *store, const struct timer *timer, struct err *err)
{
    unsigned char octets[CLAIM_KEY_MAX];
    size_t len;
    enum rcode rc = prefix_of(store, timer->who, octets, &len, err);
    if (rc != OK)
        return rc;
    struct claim_value value;
    MDB_val key = {claim_key(len, &timer->id, timer->offset, octets), octets};
    MDB_val data = {sizeof(value), &value};
    claim_encode(key, timer->due_ms, timer->state, &value);
    int mdb_rc = mdb_cursor_put(store->cursors[RECIPIENTS], &key, &data, 0);
    return mdb_rc ? failure(store, mdb_rc, "cannot write a recipient's timer", err) : OK;
}

enum rcode timers_unclaim(struct store *store, struct identity who, const struct timer_id *id,
                          timers_visit *visit, void *context, struct err *err)
{
    MDB_cursor *cursor = store->cursors[RECIPIENTS];
    unsigned char prefix[CLAIM_KEY_MAX];
    size_t len;
    enum rcode rc = prefix_of(store, who, prefix, &len, err);
    if (rc != OK)
        return rc;
    if (id) {
        memcpy(prefix + len, id->octets, TIMER_ID_SIZE);
        len += TIMER_ID_SIZE;
    }
    MDB_val key = {len, prefix}, data;
    int mdb_rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (!mdb_rc && has_prefix(key, prefix, len)) {
        struct timer_place place;
        enum timer_state state;
        rc = read_claim(store, key, data, &place, &state, err);
        if (rc != OK)
            return rc;
        visit(context, place, state);
        mdb_rc = mdb_cursor_del(cursor, 0);
        if (!mdb_rc)
            mdb_rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    return mdb_rc && mdb_rc != MDB_NOTFOUND
               ? failure(store, mdb_rc, "cannot take out a recipient's timers", err)
               : OK;
}

/* --- timers --- */

static enum rcode put_place(struct store *store, int database, struct timer_place place,
                            struct err *err)
{
    unsigned char octets[PLACE_KEY_SIZE];
    place_key(place, octets);
    MDB_val key = {sizeof(octets), octets}, data = {0, NULL};
    int mdb_rc = mdb_cursor_put(store->cursors[database], &key, &data, 0);
    return mdb_rc ? failure(store, mdb_rc, "cannot write a due time", err) : OK;
}

static enum rcode delete_place(struct store *store, int database, struct timer_place place,
                               struct err *err)
{
    unsigned char octets[PLACE_KEY_SIZE];
    place_key(place, octets);
    MDB_val key = {sizeof(octets), octets}, data;
    int mdb_rc = mdb_cursor_get(store->cursors[database], &key, &data, MDB_SET);
    if (mdb_rc == MDB_NOTFOUND)
        return corrupt(store, place.offset, "its due time is not there", err);
    if (!mdb_rc)
        mdb_rc = mdb_cursor_del(store->cursors[database], 0);
    return mdb_rc ? failure(store, mdb_rc, "cannot remove a due time", err) : OK;
}

/* Where a timer stands in `due` or `released`. */
static struct timer_place stands_at(const struct timer *timer, int *ret_database)
{
    *ret_database = timer->state == TIMER_PENDING ? DUE : RELEASED;
    int64_t at_ms = timer->state == TIMER_PENDING ? timer->due_ms : timer->until.due_ms;
    return (struct timer_place){at_ms, timer->offset};
}

static void count(struct store *store, const struct timer *timer, uint64_t hash, int step)
{
    if (timer->state != TIMER_PENDING)
        return;
    store->entries += (uint64_t)(int64_t)step;
    store->digest ^= hash;
}

static enum rcode write_timer(struct store *store, const struct timer *timer, unsigned flags,
                              struct err *err)
{
    unsigned char octets[OFFSET_KEY_SIZE];
    put_be64(octets, timer->offset);
    buf_clear(&store->scratch);
    timer_encode(timer, &store->scratch);
    MDB_val key = {sizeof(octets), octets}, data = {store->scratch.len, store->scratch.data};
    int mdb_rc = mdb_cursor_put(store->cursors[TIMERS], &key, &data, flags);
    if (mdb_rc == MDB_KEYEXIST)
        return corrupt(store, timer->offset, "it is older than what is stored", err);
    if (mdb_rc)
        return failure(store, mdb_rc, "cannot write a timer", err);
    const unsigned char *hash =
        (unsigned char *)store->scratch.data + offsetof(struct timer_header, hash);
    count(store, timer, get_le64(hash), 1);
    return OK;
}

enum rcode timers_put(struct store *store, const struct timer *timer, struct err *err)
{
    assert(store->txn);
    enum rcode rc = write_timer(store, timer, MDB_APPEND, err);
    if (rc != OK)
        return rc;
    int database;
    struct timer_place place = stands_at(timer, &database);
    return put_place(store, database, place, err);
}

/* Leaves the cursor at it. A key text of the recipient's is not wanted by all. */
static enum rcode locate(struct store *store, int64_t offset, char key_text[RECORD_KEY_MAX],
                         struct timer *ret_timer, uint64_t *ret_hash, struct err *err)
{
    assert(store->txn);
    unsigned char octets[OFFSET_KEY_SIZE];
    put_be64(octets, offset);
    MDB_val key = {sizeof(octets), octets}, data;
    int mdb_rc = mdb_cursor_get(store->cursors[TIMERS], &key, &data, MDB_SET);
    if (mdb_rc == MDB_NOTFOUND)
        return corrupt(store, offset, "it is not there", err);
    if (mdb_rc)
        return failure(store, mdb_rc, "cannot look up a timer", err);
    if (!timer_decode(offset, data, key_text, ret_timer, ret_hash))
        return corrupt(store, offset, "it is damaged", err);
    return OK;
}

enum rcode timers_get(struct store *store, int64_t offset, char key_text[RECORD_KEY_MAX],
                      struct timer *ret_timer, struct err *err)
{
    uint64_t hash;
    return locate(store, offset, key_text, ret_timer, &hash, err);
}

static enum rcode delete_timer(struct store *store, const struct timer *timer, uint64_t hash,
                               struct err *err)
{
    int mdb_rc = mdb_cursor_del(store->cursors[TIMERS], 0);
    if (mdb_rc)
        return failure(store, mdb_rc, "cannot remove a timer", err);
    count(store, timer, hash, -1);
    return OK;
}

enum rcode timers_drop(struct store *store, int64_t offset, struct err *err)
{
    char key_text[RECORD_KEY_MAX];
    struct timer timer;
    uint64_t hash = 0;
    enum rcode rc = locate(store, offset, key_text, &timer, &hash, err);
    if (rc != OK)
        return rc;
    int database;
    struct timer_place place = stands_at(&timer, &database);
    rc = delete_timer(store, &timer, hash, err);
    return rc == OK ? delete_place(store, database, place, err) : rc;
}

/* Leaves the cursor at the timer's claim. */
static enum rcode locate_claim(struct store *store, const struct timer *timer, struct err *err)
{
    unsigned char octets[CLAIM_KEY_MAX];
    size_t len;
    enum rcode rc = prefix_of(store, timer->who, octets, &len, err);
    if (rc != OK)
        return rc;
    MDB_val key = {claim_key(len, &timer->id, timer->offset, octets), octets}, data;
    int mdb_rc = mdb_cursor_get(store->cursors[RECIPIENTS], &key, &data, MDB_SET);
    if (mdb_rc == MDB_NOTFOUND)
        return corrupt(store, timer->offset, "its recipient does not know it", err);
    return mdb_rc ? failure(store, mdb_rc, "cannot look up a recipient's timer", err) : OK;
}

static enum rcode delete_claim(struct store *store, const struct timer *timer, struct err *err)
{
    enum rcode rc = locate_claim(store, timer, err);
    if (rc != OK)
        return rc;
    int mdb_rc = mdb_cursor_del(store->cursors[RECIPIENTS], 0);
    return mdb_rc ? failure(store, mdb_rc, "cannot remove a recipient's timer", err) : OK;
}

/* Becomes a released one. Its record goes; what is left is copied before the page it lies in is
 * written. */
static enum rcode remember(struct store *store, const struct timer *timer, uint64_t hash,
                           struct err *err)
{
    char tenant[TENANT_MAX], recipient[RECIPIENT_MAX];
    struct timer kept = *timer;
    memcpy(tenant, timer->who.tenant.data, timer->who.tenant.len);
    memcpy(recipient, timer->who.recipient.data, timer->who.recipient.len);
    kept.who =
        (struct identity){{tenant, timer->who.tenant.len}, {recipient, timer->who.recipient.len}};
    kept.state = TIMER_RELEASED;
    kept.key = kept.value = kept.headers = STR_NULL;
    count(store, timer, hash, -1);
    enum rcode rc = write_timer(store, &kept, 0, err);
    if (rc == OK)
        rc = delete_place(store, DUE, (struct timer_place){kept.due_ms, kept.offset}, err);
    if (rc == OK)
        rc = put_place(store, RELEASED, (struct timer_place){kept.until.due_ms, kept.offset}, err);
    if (rc == OK)
        rc = locate_claim(store, &kept, err);
    return rc == OK ? timers_claim(store, &kept, err) : rc;
}

/* Removes it everywhere. */
static enum rcode forget(struct store *store, const struct timer *timer, uint64_t hash,
                         struct err *err)
{
    int database;
    struct timer_place place = stands_at(timer, &database);
    enum rcode rc = delete_claim(store, timer, err); /* before its octets go */
    if (rc == OK)
        rc = delete_timer(store, timer, hash, err);
    return rc == OK ? delete_place(store, database, place, err) : rc;
}

enum rcode timers_release(struct store *store, int64_t offset, timers_over *over,
                          const void *context, struct err *err)
{
    char key_text[RECORD_KEY_MAX];
    struct timer timer;
    uint64_t hash = 0;
    enum rcode rc = locate(store, offset, key_text, &timer, &hash, err);
    if (rc != OK)
        return rc;
    if (timer.state != TIMER_PENDING)
        return corrupt(store, offset, "it was released before", err);
    return over(context, timer.until) ? forget(store, &timer, hash, err)
                                      : remember(store, &timer, hash, err);
}

enum rcode timers_keep(struct store *store, int64_t offset, struct timer_place until,
                       struct err *err)
{
    char key_text[RECORD_KEY_MAX];
    struct timer timer;
    uint64_t hash = 0;
    enum rcode rc = locate(store, offset, key_text, &timer, &hash, err);
    if (rc != OK)
        return rc;
    until = timer_place_beyond(timer.until, until);
    if (timer_place_compare(timer.until, until) == 0)
        return OK;
    int database;
    struct timer_place before = stands_at(&timer, &database);
    timer.until = until;
    count(store, &timer, hash, -1);
    rc = write_timer(store, &timer, 0, err);
    if (rc != OK || database == DUE)
        return rc;
    rc = delete_place(store, RELEASED, before, err);
    return rc == OK ? put_place(store, RELEASED, (struct timer_place){until.due_ms, offset}, err)
                    : rc;
}

enum rcode timers_forget(struct store *store, size_t max, timers_over *over, const void *context,
                         struct err *err)
{
    assert(store->txn);
    for (size_t i = 0; i < max; i++) {
        MDB_val key, data;
        int mdb_rc = mdb_cursor_get(store->cursors[RELEASED], &key, &data, MDB_FIRST);
        if (mdb_rc == MDB_NOTFOUND)
            return OK;
        if (mdb_rc)
            return failure(store, mdb_rc, "cannot walk the released timers", err);
        const unsigned char *octets = key.mv_data;
        char key_text[RECORD_KEY_MAX];
        struct timer timer;
        uint64_t hash = 0;
        enum rcode rc = locate(store, get_be64(octets + 8), key_text, &timer, &hash, err);
        if (rc != OK)
            return rc;
        if (!over(context, timer.until))
            return OK;
        rc = forget(store, &timer, hash, err);
        if (rc != OK)
            return rc;
    }
    return OK;
}

enum rcode timers_due(struct store *store, struct timer_place after, int64_t due_ms, size_t max,
                      struct timer_place *ret_places, size_t *ret_count, struct err *err)
{
    assert(store->txn);
    unsigned char octets[PLACE_KEY_SIZE];
    bool first = after.due_ms < 0;
    after.offset++; /* the place just behind */
    if (!first)
        place_key(after, octets);
    MDB_val key = {sizeof(octets), octets}, data;
    int mdb_rc =
        mdb_cursor_get(store->cursors[DUE], &key, &data, first ? MDB_FIRST : MDB_SET_RANGE);
    size_t found = 0;
    while (!mdb_rc && found < max) {
        const unsigned char *at = key.mv_data;
        struct timer_place place = {get_be64(at), get_be64(at + 8)};
        if (place.due_ms > due_ms)
            break;
        ret_places[found++] = place;
        mdb_rc = mdb_cursor_get(store->cursors[DUE], &key, &data, MDB_NEXT);
    }
    if (mdb_rc && mdb_rc != MDB_NOTFOUND)
        return failure(store, mdb_rc, "cannot walk the due times", err);
    *ret_count = found;
    return OK;
}
