/*
 * `rimbalzo ingest --from FORMAT kafka:TOPIC`: what mail systems write to a topic of their own goes
 * to the input topic as it comes, exactly once. A processor of the engine without a state: each
 * record of the source is an item of an adapter (ingest/ingest.h), its bounces and deliveries are
 * sent in the transaction that commits its offset, and a record that holds anything nobody can use
 * goes to the dead letters as well, whole.
 */
#pragma once
#include <stdatomic.h>

#include "ingest/ingest.h"
#include "stream/processor.h"

struct ingest_job_options {
    struct ingest_options ingest;
    struct codec_options codec;
    const char *source;                    /* the topic's name */
    int32_t partition_counts[TOPIC_COUNT]; /* as checked at start */
};

/* Of transactions that committed; written by the engine's thread, readable from any other. */
struct ingest_job_stats {
    atomic_llong entries[INGEST_OUTCOME_COUNT];
    atomic_llong skipped[INGEST_SKIP_COUNT];
    atomic_llong dead_letters[RCODE_COUNT];
};

enum rcode ingest_job_new(const struct ingest_job_options *options, struct processor **ret_job,
                          struct err *err) WARN_UNUSED;
void ingest_job_free(struct processor *job); /* NULL is allowed */

const struct ingest_job_stats *ingest_job_stats(const struct processor *job);
/* After the engine has ended: counts its last transaction. */
void ingest_job_settle(struct processor *job);
