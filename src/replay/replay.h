/*
 * State recomputed from the input topic, beside running workers.
 *
 * It is the worker itself (worker/worker.h) that folds, on stores of its own and on a port that
 * goes nowhere: what it sends is dropped, or handed to who wants to see it. So a replay is the live
 * fold by construction. What it does not do again:
 *
 *   reroutes       the copy that the live worker made stands in the topic, at its new place; it is
 *                  folded when it is read there, and the original is passed over as it was then
 *   dead letters   are decided again and dropped
 *   the idle scan  happens, at other moments than it did live. What it stores changes nothing that
 *                  is decided later (semantics §6), so states are compared as they count at the
 *                  partition's stream time (compare.h), never octet by octet
 *
 * Hence the result depends on the input's records, policies, rules and schemas, and on nothing
 * else: neither on the number of threads nor on how records come in batches.
 *
 * A replay belongs to one thread. It may have many partitions open.
 */
#pragma once
#include "stream/port.h"
#include "worker/worker.h"

struct replay;

struct replay_options {
    /* Of `state`: where the stores are, and under which name (`app`): nobody else's. What is there
     * under the same `cluster_id` is gone on with. */
    struct worker_options worker;
    /* What the fold sends beside its changelog; NULL: nobody wants it. `again`: the records of the
     * batch in hand are folded once more, what was sent of them counts for nothing. */
    void *context;
    void (*sent)(void *context, const struct port_message *message);
    void (*again)(void *context);
};

enum rcode replay_new(const struct replay_options *options, struct replay **ret_replay,
                      struct err *err) WARN_UNUSED;
void replay_free(struct replay *replay); /* NULL allowed; stores stay on disk */

/* `ret_next`: which input offset to feed from, 0 unless there is state of an earlier replay. */
enum rcode replay_open(struct replay *replay, int32_t partition, int64_t *ret_next,
                       struct err *err) WARN_UNUSED;
/* Throws away what is there, to begin anew. */
enum rcode replay_restart(struct replay *replay, int32_t partition, struct err *err) WARN_UNUSED;
/* keep: for a later replay; else the store is deleted. */
enum rcode replay_close(struct replay *replay, int32_t partition, bool keep,
                        struct err *err) WARN_UNUSED;

/* Folds records of one partition, in offset order; `next` is the input offset after them. */
enum rcode replay_feed(struct replay *replay, int32_t partition, const struct port_record *records,
                       size_t count, int64_t next, struct err *err) WARN_UNUSED;

/* Instead of feeding: the state as the recipients topic tells it, record by record; `next` is the
 * position after them. */
enum rcode replay_load(struct replay *replay, int32_t partition, const struct port_record *records,
                       size_t count, int64_t next, struct err *err) WARN_UNUSED;

/* The group's certificate as the worker reads it. E_CERTIFICATE_INVALID. */
enum rcode replay_certificate(struct replay *replay, const struct port_committed *committed,
                              struct certificate *ret_certificate, struct err *err) WARN_UNUSED;

/* As of the last record fed or loaded. */
const struct store_meta *replay_meta(const struct replay *replay, int32_t partition);
struct store *replay_store(const struct replay *replay, int32_t partition);

/* What was folded, by outcome, class and dead letter. */
const struct worker_stats *replay_stats(const struct replay *replay);
