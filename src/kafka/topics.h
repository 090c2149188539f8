/*
 * The topics of the pipeline as they must be (schemas/README.md), compared with those of a
 * cluster. What is compared is the effective configuration: a topic's own settings over the
 * broker's defaults.
 */
#pragma once
#include <stdint.h>

#include "kafka/property.h"
#include "stream/port.h"

/* A dispatcher alone needs no other. */
#define TOPICS_OF_DISPATCHER (1u << TOPIC_DELAYED | 1u << TOPIC_DUE | 1u << TOPIC_DEAD_LETTERS)

/* Nor an ingest job. */
#define TOPICS_OF_INGEST (1u << TOPIC_BOUNCES | 1u << TOPIC_DEAD_LETTERS)

struct topics_options {
    struct kafka_properties properties;
    const char *topics[TOPIC_COUNT]; /* names */
    unsigned wanted;                 /* bits 1 << topic: those looked at; 0: all */
    const char *group;               /* see reader.h */
    int32_t partitions;              /* of topics to create */
    int32_t replication;             /* likewise */
    int64_t delay_longest_ms;        /* of any command; the delayed topic must keep a week more */
    int64_t recipient_retention_ms;  /* the input must not be kept for as long; 0: not compared */
};

enum topics_change_kind {
    TOPICS_CREATE,     /* `to`: number of partitions */
    TOPICS_PARTITIONS, /* from, to: their number */
    TOPICS_CONFIG,     /* setting, from, to */
    TOPICS_FAULT,      /* cannot be mended by `apply`; the text says what to do */
};

#define TOPICS_VALUE_MAX 64

/* One thing that is not as it must be. */
struct topics_change {
    enum topic topic;
    enum topics_change_kind kind;
    const char *setting; /* e.g. "cleanup.policy"; NULL unless TOPICS_CONFIG */
    char from[TOPICS_VALUE_MAX];
    char to[TOPICS_VALUE_MAX];
    bool advice;    /* worth mending, but no reason not to start */
    char text[512]; /* what is wrong, names included */
};

#define TOPICS_CHANGES_MAX 64

struct topics_plan {
    struct topics_change changes[TOPICS_CHANGES_MAX];
    int count;
};

/* Compares. E_CONFIG: topics.replication exceeds the number of brokers; E_BROKER_UNREACHABLE,
 * E_AUTH. Blocks for up to half a minute. */
enum rcode topics_plan(const struct topics_options *options, struct topics_plan *ret_plan,
                       struct err *err) WARN_UNUSED;

/* Does all of a plan that is no fault, and waits until new topics have leaders. Safe to repeat. */
enum rcode topics_apply(const struct topics_options *options, const struct topics_plan *plan,
                        struct err *err) WARN_UNUSED;

/* What a worker wants to know of its cluster before it starts. */
struct topics_facts {
    char *cluster_id;
    int32_t partition_counts[TOPIC_COUNT];
    int64_t delete_retention_ms; /* of the recipients topic: how long its tombstones stay */
};

void topics_facts_deinit(struct topics_facts *facts); /* of a filled or zeroed one */

/* E_TOPICS with everything that is wrong and the command that mends it: for a worker at its start.
 * Advice is logged. `ret_facts` may be NULL. */
enum rcode topics_check(const struct topics_options *options, struct topics_facts *ret_facts,
                        struct err *err) WARN_UNUSED;

/* How long a topic keeps what is written to it, as its effective configuration says. */
struct topics_keeping {
    bool exists;
    bool compacted;
    int64_t retention_ms;    /* of a compacted topic: of its tombstones; -1: for ever */
    int64_t retention_bytes; /* of a partition; -1: any size */
};

/* `ret_keeping` by topic. E_BROKER_UNREACHABLE, E_AUTH. */
enum rcode topics_keeping(const struct topics_options *options,
                          struct topics_keeping ret_keeping[TOPIC_COUNT],
                          struct err *err) WARN_UNUSED;
