/* Shared by worker.c, prepare.c and fold.c; nobody else includes it. */
#pragma once
#include "stream/outbox.h"
#include "worker/worker.h"

#define ARENA_KEEP ((size_t)64 * 1024 * 1024) /* octets of batch memory kept for the next batch */

/* One assigned partition. */
struct worker_slot {
    struct slot slot;
    struct store_cursor scan; /* where the idle scan goes on */
    int32_t carried;          /* as the certificate says */
};

/* One event of the batch, ready for the fold. */
struct work {
    struct event event;
    const struct port_record *record; /* of its headers, which its commands carry on */
    int64_t stream_time_ms;
    struct slot *slot;
};

/* What the batch is sorted by. */
struct order {
    const struct work *work;
    const char *key; /* the store's (store/key.h), in the batch's arena */
    size_t key_len;
};

struct worker {
    struct processor processor;
    struct worker_options options;
    struct worker_stats stats;
    struct worker_stats batch; /* of the batch in hand, until it has committed */
    int64_t now_ms;            /* wall clock at its start, for metrics only */
    struct codec *codec;
    struct classifier *classifier;
    _Atomic(const struct rule_set *) rules;        /* the classifier's */
    _Atomic(const struct rule_set *) rules_wanted; /* of the next batch */
    struct slots slots;                            /* of struct worker_slot */
    struct arena arena;                            /* of the batch in hand */
    struct work *works;
    struct order *orders;
    size_t work_cap;
    size_t work_count;
    struct buf value; /* scratch of encoders */
};

/* Decodes, validates, routes and classifies; dead letters and reroutes are sent at once. Fills
 * works. */
enum rcode prepare_batch(struct worker *worker, struct batch *batch, struct err *err) WARN_UNUSED;

/* Sorts works, folds them recipient by recipient, stages states and sends all outputs. */
enum rcode fold_batch(struct worker *worker, struct batch *batch, struct err *err) WARN_UNUSED;
