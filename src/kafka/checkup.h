/*
 * What `rimbalzo doctor` asks a cluster beyond its topics' settings (topics.h) and the groups'
 * offsets (lag.h): who answers, what the user may do, where the replicas are, whether transactions
 * work. Nothing is written to any topic. Each call blocks for at most half a minute.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "kafka/property.h"

struct kafka_checkup;

/* E_CONFIG. Connects to nothing yet; the properties must outlive it. */
enum rcode kafka_checkup_open(struct kafka_properties properties,
                              struct kafka_checkup **ret_checkup, struct err *err) WARN_UNUSED;
void kafka_checkup_close(struct kafka_checkup *checkup); /* NULL allowed */

/* How many brokers there are. E_BROKER_UNREACHABLE; E_AUTH: they answer, and refuse the user. */
enum rcode kafka_checkup_reach(struct kafka_checkup *checkup, int *ret_brokers,
                               struct err *err) WARN_UNUSED;

/* What a user may do, as bits. */
enum kafka_right {
    KAFKA_MAY_READ = 1,
    KAFKA_MAY_WRITE = 2,
    KAFKA_MAY_DESCRIBE = 4,
    KAFKA_MAY_DESCRIBE_CONFIGS = 8,
};
#define KAFKA_RIGHTS_UNKNOWN 0x80000000u /* the broker does not tell */

struct kafka_checkup_cluster {
    char id[64];
    unsigned rights;
};

enum rcode kafka_checkup_cluster(struct kafka_checkup *checkup,
                                 struct kafka_checkup_cluster *ret_cluster,
                                 struct err *err) WARN_UNUSED;

struct kafka_checkup_topic {
    const char *name; /* in */
    enum rcode code;  /* OK, E_TOPICS: it does not exist, E_AUTH: not even that may be known */
    unsigned rights;
    int partitions;
    int replicas_min; /* of the partition with the fewest */
    int in_sync_min;
    int leaderless; /* partitions */
};

enum rcode kafka_checkup_topics(struct kafka_checkup *checkup,
                                struct kafka_checkup_topic *inout_topics, int count,
                                struct err *err) WARN_UNUSED;

/* E_AUTH: not even its state may be known. */
enum rcode kafka_checkup_group(struct kafka_checkup *checkup, const char *group,
                               unsigned *ret_rights, struct err *err) WARN_UNUSED;

/* One setting of a topic, or (`topic` NULL) of a broker. "": it has none. */
enum rcode kafka_checkup_setting(struct kafka_checkup *checkup, const char *topic, const char *name,
                                 char ret_value[64], struct err *err) WARN_UNUSED;

/* The greatest timestamp in a topic of so many partitions; -1: it holds no records. */
enum rcode kafka_checkup_newest(struct kafka_checkup *checkup, const char *topic, int partitions,
                                int64_t *ret_timestamp_ms, struct err *err) WARN_UNUSED;

/* Takes the transactional id as a producer of ours would and gives it up; nothing is written under
 * it. It must be nobody else's. E_AUTH, E_CONFIG: the brokers refuse transaction.timeout.ms. */
enum rcode kafka_checkup_transactions(struct kafka_properties properties,
                                      const char *transactional_id, struct err *err) WARN_UNUSED;
