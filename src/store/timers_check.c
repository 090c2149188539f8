/* Reading a store of timers as a whole: its bounds, and whether its databases agree. */
#include <assert.h>

#include "domain/address.h"
#include "store/timer_layout.h"

static enum rcode failure(const struct store *store, int rc, struct err *err)
{
    return store_env_error(&store->dir, rc, "cannot walk the timers", err);
}

static enum rcode corrupt(const struct store *store, const char *what, struct err *err)
{
    return err_set(err, E_STORE_CORRUPT, "store %s: %s", store->dir.path, what);
}

/* --- how many are due --- */

enum rcode timers_count(struct store *store, const int64_t *until_ms, int count,
                        size_t *inout_budget, uint64_t *ret_counts, struct err *err)
{
    MDB_txn *txn;
    MDB_cursor *mdb = NULL;
    MDB_val key, data;
    memset(ret_counts, 0, (size_t)count * sizeof(ret_counts[0]));
    enum rcode rc = store_begin_reading(store, &txn, err);
    if (rc != OK)
        return rc;
    int mdb_rc = mdb_cursor_open(txn, store->dbis[DUE], &mdb);
    if (!mdb_rc)
        mdb_rc = mdb_cursor_get(mdb, &key, &data, MDB_FIRST);
    int first = 0; /* of the bounds that are not passed yet */
    for (; !mdb_rc && *inout_budget; mdb_rc = mdb_cursor_get(mdb, &key, &data, MDB_NEXT)) {
        while (first < count && get_be64(key.mv_data) > until_ms[first])
            first++;
        if (first == count)
            break;
        (*inout_budget)--;
        ret_counts[first]++;
    }
    for (int i = 1; i < count; i++)
        ret_counts[i] += ret_counts[i - 1];
    if (mdb_rc && mdb_rc != MDB_NOTFOUND)
        rc = failure(store, mdb_rc, err);
    if (mdb)
        mdb_cursor_close(mdb);
    mdb_txn_abort(txn);
    return rc;
}

/* --- bounds --- */

static enum rcode find_pending(struct store *store, int64_t hint, struct timers_bounds *bounds,
                               struct err *err)
{
    unsigned char octets[OFFSET_KEY_SIZE];
    put_be64(octets, hint);
    MDB_val key = {sizeof(octets), octets}, data;
    int mdb_rc = mdb_cursor_get(store->cursors[TIMERS], &key, &data, MDB_SET_RANGE);
    for (; !mdb_rc; mdb_rc = mdb_cursor_get(store->cursors[TIMERS], &key, &data, MDB_NEXT)) {
        int64_t log_time_ms;
        enum timer_state state;
        if (!timer_peek(data, &log_time_ms, &state))
            return corrupt(store, "a timer is damaged", err);
        if (state == TIMER_PENDING)
            break;
    }
    if (mdb_rc && mdb_rc != MDB_NOTFOUND)
        return failure(store, mdb_rc, err);
    bounds->pending_offset = mdb_rc ? INT64_MAX : get_be64(key.mv_data);
    return OK;
}

enum rcode timers_bounds(struct store *store, int64_t pending_hint,
                         struct timers_bounds *ret_bounds, struct err *err)
{
    assert(store->txn);
    struct timers_bounds bounds = {INT64_MAX, INT64_MAX, INT64_MAX, 0};
    MDB_val key, data;
    int mdb_rc = mdb_cursor_get(store->cursors[DUE], &key, &data, MDB_FIRST);
    if (!mdb_rc)
        bounds.next_due_ms = get_be64(key.mv_data);
    if (!mdb_rc || mdb_rc == MDB_NOTFOUND)
        mdb_rc = mdb_cursor_get(store->cursors[TIMERS], &key, &data, MDB_FIRST);
    if (mdb_rc == MDB_NOTFOUND) {
        *ret_bounds = bounds;
        return OK;
    }
    if (mdb_rc)
        return failure(store, mdb_rc, err);
    enum timer_state state;
    if (!timer_peek(data, &bounds.needed_log_time_ms, &state))
        return corrupt(store, "a timer is damaged", err);
    bounds.needed_offset = get_be64(key.mv_data);
    enum rcode rc = find_pending(store, pending_hint, &bounds, err);
    if (rc == OK)
        *ret_bounds = bounds;
    return rc;
}

/* --- verifying --- */

struct census {
    uint64_t entries, digest;
    uint64_t counts[2]; /* by state */
};

/* That a timer stands in `recipients`, and in `due` or `released`. */
static bool is_known(struct store *store, const struct timer *timer)
{
    unsigned char place[PLACE_KEY_SIZE], claim[CLAIM_KEY_MAX];
    struct timer_place claimed;
    enum timer_state state;
    bool pending = timer->state == TIMER_PENDING;
    int64_t at_ms = pending ? timer->due_ms : timer->until.due_ms;
    place_key((struct timer_place){at_ms, timer->offset}, place);
    MDB_val key = {sizeof(place), place}, data;
    int database = pending ? DUE : RELEASED;
    if (mdb_get(store->txn, store->dbis[database], &key, &data))
        return false;
    size_t len = claim_prefix(timer->who, claim);
    key = (MDB_val){claim_key(len, &timer->id, timer->offset, claim), claim};
    return len && !mdb_get(store->txn, store->dbis[RECIPIENTS], &key, &data) &&
           claim_decode(key, data, &claimed, &state) && claimed.due_ms == timer->due_ms &&
           state == timer->state;
}

static enum rcode take_census(struct store *store, struct census *census, struct err *err)
{
    MDB_val key, data;
    int mdb_rc = mdb_cursor_get(store->cursors[TIMERS], &key, &data, MDB_FIRST);
    for (; !mdb_rc; mdb_rc = mdb_cursor_get(store->cursors[TIMERS], &key, &data, MDB_NEXT)) {
        char key_text[RECORD_KEY_MAX];
        struct timer timer;
        uint64_t hash = 0;
        if (!timer_decode(get_be64(key.mv_data), data, key_text, &timer, &hash))
            return corrupt(store, "a timer is damaged", err);
        if (!is_known(store, &timer))
            return corrupt(store, "a timer stands in one database and not in another", err);
        census->counts[timer.state]++;
        if (timer.state == TIMER_PENDING) {
            census->entries++;
            census->digest ^= hash;
        }
    }
    return mdb_rc == MDB_NOTFOUND ? OK : failure(store, mdb_rc, err);
}

static uint64_t size_of(struct store *store, int database)
{
    MDB_stat stat;
    return mdb_stat(store->txn, store->dbis[database], &stat) ? UINT64_MAX : stat.ms_entries;
}

enum rcode timers_verify(struct store *store, struct err *err)
{
    assert(store->txn);
    struct census census = {0};
    enum rcode rc = take_census(store, &census, err);
    if (rc != OK)
        return rc;
    if (size_of(store, DUE) != census.counts[TIMER_PENDING] ||
        size_of(store, RELEASED) != census.counts[TIMER_RELEASED] ||
        size_of(store, RECIPIENTS) != size_of(store, TIMERS))
        return corrupt(store, "the databases differ in size", err);
    if (census.entries != store->entries || census.digest != store->digest)
        return corrupt(store, "entries or digest are wrong", err);
    return OK;
}
