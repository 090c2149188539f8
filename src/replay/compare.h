/*
 * Two states of a partition's recipients, held against each other: the live one, as the recipients
 * topic tells it, and the one wanted, as a replay makes it. Both count at their stream time, with
 * lapse and expiry applied, for when the idle scan stores these is nobody's business.
 */
#pragma once
#include "codec/record.h"
#include "domain/policy.h"
#include "store/store.h"

struct compare_side {
    struct store *store;
    const struct policy_set *policies;
    int64_t stream_time_ms;
};

/* What sort of a difference it is: the first that applies. */
#define DIFFERENCE_KINDS(X)                                                                        \
    X(DIFFERENCE_ADDED, "added")     /* live, nothing is known of the recipient */                 \
    X(DIFFERENCE_REMOVED, "removed") /* wanted, nothing is known */                                \
    X(DIFFERENCE_STATUS, "status")                                                                 \
    X(DIFFERENCE_SCHEDULE, "schedule") /* episode, attempt, times, policy of a suspension */       \
    X(DIFFERENCE_COUNTERS, "counters")                                                             \
    X(DIFFERENCE_DETAILS, "details")
#define X(constant, string) constant,
enum difference_kind { DIFFERENCE_KINDS(X) DIFFERENCE_KIND_COUNT };
#undef X
extern const char *const difference_kind_names[DIFFERENCE_KIND_COUNT];

/* Spans live during the call. */
struct difference {
    enum difference_kind kind;
    struct identity who;
    const struct recipient *live, *wanted; /* as they count; NULL: unknown */
    const struct recipient *stored_live;   /* as stored; NULL: nothing is */
    struct str live_value, wanted_value;   /* as stored; null: nothing */
};
typedef enum rcode compare_visit(void *context, const struct difference *difference,
                                 struct err *err);

struct compare {
    struct codec *codec;
    struct compare_side live, wanted;
    void *context;
    compare_visit *visit; /* of every recipient that differs; anything but OK ends it */
};

/* In the order of keys: first those with a live state, then those without. The stores have no
 * transaction open. `ret_recipients`: how many of either side were looked at. */
enum rcode compare_states(const struct compare *compare, uint64_t *ret_recipients,
                          struct err *err) WARN_UNUSED;

/* --- the fields of a state, for showing what differs --- */

extern const char *const recipient_field_names[];
extern const int recipient_field_count;
/* Appends the field's value as text; nothing for a null. NULL has nothing but nulls. */
void recipient_field(const struct recipient *state, int field, struct buf *out);
/* Whether it is one that the two sides differ in. */
bool recipient_field_differs(const struct recipient *left, const struct recipient *right,
                             int field);

/* Events that were applied in this life of the recipient. */
int64_t recipient_events(const struct recipient *state);
