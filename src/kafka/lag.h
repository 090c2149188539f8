/*
 * How far a group is behind on its input, as the brokers tell: committed offsets, the log's start
 * and stable end, and the time since when the first record that is not committed waits. For that
 * one the record itself is looked at, once: it stays the first until the group has committed it.
 *
 * The group is only asked about, never joined. What cannot be known (a partition without a leader,
 * a broker that does not answer in time) is told as not known, never as a number.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#include "kafka/property.h"

struct kafka_lag;

/* What one handle is asked about. */
struct kafka_lag_input {
    const char *group;
    const char *topic; /* what the group consumes. Its entry on another topic is no consumption */
};

#define KAFKA_LAG_INPUTS_MAX 4

/* The inputs are copied, the properties must outlive it. E_CONFIG. Connects to nothing yet. */
enum rcode kafka_lag_open(struct kafka_properties properties, const struct kafka_lag_input *inputs,
                          int count, struct kafka_lag **ret_lag, struct err *err) WARN_UNUSED;
void kafka_lag_close(struct kafka_lag *lag); /* NULL allowed */

struct kafka_lag_partition {
    int32_t partition; /* in: which */
    bool known;        /* the three that follow */
    int64_t committed; /* -1: the group has committed nothing there */
    int64_t log_start;
    int64_t end;        /* the last stable offset */
    bool waiting_known; /* the one that follows */
    int64_t waiting_ms; /* age of the first record that is not committed, by its timestamp and the
                           wall clock of this machine; 0: none waits */
    bool pending;       /* a transaction that commits an offset of it is open; only if asked for */
};

/* Offsets from the first that is not committed to the stable end; of a known partition. */
int64_t kafka_lag_records(const struct kafka_lag_partition *partition);

struct kafka_lag_question {
    int input;    /* index of one given to kafka_lag_open */
    bool pending; /* whether to ask for that as well */
    int timeout_ms;
    const atomic_bool *stop; /* true: give up soon; NULL: never */
};

/* OK when the group's coordinator has answered; what else has not is not known. Otherwise nothing
 * is: E_BROKER_UNREACHABLE, E_TIMEOUT, E_AUTH, … */
enum rcode kafka_lag_ask(struct kafka_lag *lag, const struct kafka_lag_question *question,
                         struct kafka_lag_partition *inout_partitions, int count,
                         struct err *err) WARN_UNUSED;

/* How many partitions the input has. E_TOPICS, E_BROKER_UNREACHABLE. */
enum rcode kafka_lag_partition_count(struct kafka_lag *lag, int input, int timeout_ms,
                                     int32_t *ret_count, struct err *err) WARN_UNUSED;

#define KAFKA_GROUP_STATES(X)                                                                      \
    X(KAFKA_GROUP_UNKNOWN, "unknown")                                                              \
    X(KAFKA_GROUP_ABSENT, "absent")           /* never was, or its offsets have expired */         \
    X(KAFKA_GROUP_EMPTY, "empty")             /* has offsets and no members */                     \
    X(KAFKA_GROUP_REBALANCING, "rebalancing") /* members come or go; nobody has partitions */      \
    X(KAFKA_GROUP_STABLE, "stable")
#define X(constant, string) constant,
enum kafka_group_state { KAFKA_GROUP_STATES(X) KAFKA_GROUP_STATE_COUNT };
#undef X
extern const char *const kafka_group_state_names[KAFKA_GROUP_STATE_COUNT];

struct kafka_group {
    enum kafka_group_state state;
    int member_count;
    char **owners; /* by partition of the input: the member's instance or client id, NULL: nobody */
    int owner_count;
};

/* As the coordinator tells. `ret_group` is to be given back, also after an error. */
enum rcode kafka_lag_group(struct kafka_lag *lag, int input, int timeout_ms,
                           struct kafka_group *ret_group, struct err *err) WARN_UNUSED;
void kafka_group_deinit(struct kafka_group *group);
