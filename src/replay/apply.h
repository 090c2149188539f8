/*
 * Makes recomputed states the live ones, as a member of the workers' group: the only one, with all
 * partitions. So it is fenced as a worker is. Whoever joins takes its generation away, and the
 * transaction in hand cannot commit its offsets any more.
 *
 * Each transaction writes some recipients of one partition, what corrects the outputs
 * (correct.h), and the certificate of the state that the partition has then. Broken off anywhere,
 * the live state is a proven one, of which some recipients are the old and some the new; who begins
 * again finds only the rest to differ.
 *
 *     apply_init → apply_join → apply_partition, of each → apply_deinit
 */
#pragma once
#include "replay/correct.h"
#include "replay/standing.h"
#include "stream/processor.h"

struct apply_options {
    struct port *port; /* not owned; NULL: nothing is written, only counted */
    struct codec *codec;
    const struct policy_set *policies;
    const int32_t *partition_counts; /* by topic */
    int64_t now_ms;                  /* wall clock */
    int recipients_max;              /* of one transaction; 0: 1000 */
};

/* One partition to be written. */
struct apply_target {
    int32_t partition;
    struct certificate certificate;     /* of the live state as it was read */
    uint64_t live_entries, live_digest; /* of what the recipients topic holds now */
    int64_t stream_time_ms;             /* to be certified */
    struct standing *standing;
    /* Walks the differences: compare_states, or around it. */
    void *context;
    enum rcode (*walk)(void *context, compare_visit *visit, void *visit_context, struct err *err);
};

struct apply {
    struct apply_options options;
    int32_t owned; /* partitions that the group gave us */
    bool lost;     /* and took away */
    const struct apply_target *target;
    struct certificate certificate; /* as it will be after the transaction in hand */
    int64_t input_offset;           /* that goes with it */
    bool begun;
    int in_hand; /* recipients of the transaction in hand */
    struct buf value;

    long long written[TOPIC_COUNT]; /* records */
    int64_t recipients, transactions;
};

void apply_init(struct apply *apply, const struct apply_options *options);
void apply_deinit(struct apply *apply);

/* Joins the group and opens the producer. E_LOG_ABORTABLE: there are other members. */
enum rcode apply_join(struct apply *apply, int32_t partitions, struct err *err) WARN_UNUSED;

/* E_LOG_ABORTABLE: a worker has come, or has run since the live state was read. */
enum rcode apply_partition(struct apply *apply, const struct apply_target *target,
                           struct err *err) WARN_UNUSED;
