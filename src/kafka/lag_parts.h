/* What lag.c (offsets), lag_look.c (the first record) and lag_group.c (the group) share. Internal.
 */
#pragma once
#include "kafka/facts.h"
#include "kafka/lag.h"
#include "kafka/scan.h"

#define LAG_RECORDS_MAX 256

/* Per partition, the first record that was not committed when it was last looked at. Nothing lies
 * between `from` and it. */
struct lag_looks {
    struct offsets from, at, timestamp_ms;
};

struct lag_input {
    char *group;
    char *topic;
    struct lag_looks looks;
    int64_t waits_ms; /* facts_waits(), of its coordinator */
};

struct kafka_lag {
    struct kafka_properties properties; /* the caller's */
    struct scan scan;
    struct lag_input inputs[KAFKA_LAG_INPUTS_MAX];
    int count;
    struct port_record records[LAG_RECORDS_MAX];
};

/* Answers to requests that are under way at once. */
struct lag_answers {
    rd_kafka_queue_t *queue;
    int64_t deadline_ms;
    const atomic_bool *stop;
};

/* Opens `scan`, anew if a question in it has waited for too long. */
enum rcode lag_open_scan(struct kafka_lag *lag, struct err *err) WARN_UNUSED;

/* The next one, to be destroyed; NULL: none came in time, or it is to stop. */
rd_kafka_event_t *lag_answer(const struct lag_answers *answers);

/* Tells of each known partition how long its first record has waited; of those that cannot be
 * looked at in time it stays unknown. */
void lag_look(struct kafka_lag *lag, const struct kafka_lag_question *question,
              struct kafka_lag_partition *partitions, int count, int64_t deadline_ms);
