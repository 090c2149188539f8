/*
 * What waits in one partition of the delayed topic, in a store of kind STORE_TIMERS (store.h has
 * its life and its transactions). Everything here happens within the open transaction.
 *
 * A timer is a command of the log that has not left, known by the offset of its record. Four
 * databases hold it, all keys big-endian, so that octet order is the order of numbers:
 *
 *     timers      offset                          → header, whose, and the record to send
 *     due         due, offset                     → nothing: what leaves next comes first
 *     recipients  tenant NUL address NUL id offset → due, state: what one recipient has waiting
 *     released    until, offset                → nothing: see TIMER_RELEASED
 *
 * A released timer is kept, without its record, for as long as its id must still be recognised
 * (dispatcher/dispatcher.h); it counts neither as an entry nor in the digest. `entries` and
 * `digest` of the store are those of the pending timers: digest = XOR of a hash over offset and
 * content.
 *
 * Adding is split, because each database is fast in its own order: claim in the order of
 * recipients, put in the order of offsets.
 */
#pragma once
#include "store/store.h"

#define TIMER_ID_SIZE 16
struct timer_id {
    unsigned char octets[TIMER_ID_SIZE];
};

enum timer_state {
    TIMER_PENDING,
    TIMER_RELEASED, /* sent, or never to be; only its id is remembered */
};

/* A place in the order in which timers leave. */
struct timer_place {
    int64_t due_ms, offset;
};
#define TIMER_PLACE_FIRST ((struct timer_place){-1, -1}) /* before all */

static inline int timer_place_compare(struct timer_place a, struct timer_place b)
{
    if (a.due_ms != b.due_ms)
        return a.due_ms < b.due_ms ? -1 : 1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

/* A place that is passed only after both: frontiers descend over offsets (dispatcher/frontier.h).
 */
static inline struct timer_place timer_place_beyond(struct timer_place a, struct timer_place b)
{
    return (struct timer_place){a.due_ms > b.due_ms ? a.due_ms : b.due_ms,
                                a.offset > b.offset ? a.offset : b.offset};
}

struct timer {
    int64_t offset; /* of its record in the delayed topic */
    int64_t due_ms;
    int64_t log_time_ms; /* of the log just before its record; no part of the digest */
    /* Once it has left it is kept until this place has been passed: one beyond its own and those of
     * all that are known to repeat it only as long as this one is known. No part of the digest. */
    struct timer_place until;
    enum timer_state state;
    struct timer_id id;
    struct identity who; /* the address without NUL, at most RECIPIENT_MAX octets */
    /* The record: null key allowed. Of a released timer all are null. */
    struct str key, value;
    struct str headers; /* in the caller's encoding, "" for none */
};

/* Of what is known under this id, pending or released, the place that is due last;
 * TIMER_PLACE_FIRST: nothing is known. */
enum rcode timers_find(struct store *store, struct identity who, const struct timer_id *id,
                       struct timer_place *ret_last, struct err *err) WARN_UNUSED;

/* Adds to what the recipient has waiting; timers_put must follow. Fast in the order of recipients.
 */
enum rcode timers_claim(struct store *store, const struct timer *timer,
                        struct err *err) WARN_UNUSED;

/* Stores a claimed timer. Offsets ascend, and are above all that are stored: E_STORE_CORRUPT. */
enum rcode timers_put(struct store *store, const struct timer *timer, struct err *err) WARN_UNUSED;

/* Takes everything of a recipient, or (`id` not NULL) of one id of his, out of `recipients` and
 * tells what it was; timers_drop must follow for what was put before. The callback must not use the
 * store. */
typedef void timers_visit(void *context, struct timer_place place, enum timer_state state);
enum rcode timers_unclaim(struct store *store, struct identity who, const struct timer_id *id,
                          timers_visit *visit, void *context, struct err *err) WARN_UNUSED;

/* Removes a timer that is in `recipients` no more. Fast in the order of offsets. */
enum rcode timers_drop(struct store *store, int64_t offset, struct err *err) WARN_UNUSED;

/* A timer with its record, checked; spans are valid until the next write, the key's perhaps in
 * `key_text`. E_STORE_CORRUPT: it is not there, or is damaged. */
enum rcode timers_get(struct store *store, int64_t offset, char key_text[RECORD_KEY_MAX],
                      struct timer *ret_timer, struct err *err) WARN_UNUSED;

/* Pending timers after `after` and due at `due_ms` or before, in order, at most `max`. */
enum rcode timers_due(struct store *store, struct timer_place after, int64_t due_ms, size_t max,
                      struct timer_place *ret_places, size_t *ret_count,
                      struct err *err) WARN_UNUSED;

/* How many pending timers are due at or before each of `until_ms`, which ascend. By the store's
 * thread, no transaction open. Looks at `inout_budget` of them at most and takes what it looked at
 * from it: when it is used up, there may be more than is told. */
enum rcode timers_count(struct store *store, const int64_t *until_ms, int count,
                        size_t *inout_budget, uint64_t *ret_counts, struct err *err) WARN_UNUSED;

/* A timer, pending or released, is to be kept until that place has been passed too. */
enum rcode timers_keep(struct store *store, int64_t offset, struct timer_place until,
                       struct err *err) WARN_UNUSED;

/* Whether a timer that has left need not be known any more: log time and frontier are beyond
 * `until`. */
typedef bool timers_over(const void *context, struct timer_place until);

/* A pending timer has left: it is removed, or stays as a released one. */
enum rcode timers_release(struct store *store, int64_t offset, timers_over *over,
                          const void *context, struct err *err) WARN_UNUSED;

/* Removes released timers that are over, at most `max`, in the order of due times as far as they
 * are. */
enum rcode timers_forget(struct store *store, size_t max, timers_over *over, const void *context,
                         struct err *err) WARN_UNUSED;

struct timers_bounds {
    int64_t next_due_ms;    /* of the pending ones; INT64_MAX: none */
    int64_t pending_offset; /* the lowest of a pending one; INT64_MAX: none */
    int64_t needed_offset;  /* the lowest of all; INT64_MAX: none */
    int64_t needed_log_time_ms;
};

/* `pending_hint`: a bound below which no pending timer lies, as learned before (it only rises); 0:
 * none. */
enum rcode timers_bounds(struct store *store, int64_t pending_hint,
                         struct timers_bounds *ret_bounds, struct err *err) WARN_UNUSED;

/* Whether the four databases tell the same, and entries and digest with them. Reads everything; for
 * tests. E_STORE_CORRUPT. */
enum rcode timers_verify(struct store *store, struct err *err) WARN_UNUSED;
