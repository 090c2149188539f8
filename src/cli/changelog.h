/*
 * The recipients topic as tools read it: partition by partition, the last word on each key. What
 * has to be remembered of a partition is 16 octets for each of its keys, in a table by the key's
 * hash; two keys of one partition with the same hash of 64 bits are as good as impossible, and
 * would make a digest that no worker accepts, not a wrong state.
 */
#pragma once
#include "kafka/reader.h"

struct changelog {
    struct kafka_reader *reader;
    const char *topic;
};

/* Any other code than OK ends the reading. The record's spans are valid during the call. */
typedef enum rcode changelog_visit(void *context, const struct port_record *record,
                                   struct err *err);

/* Every state of a partition that is live, in offset order. The topic is read twice. */
enum rcode changelog_live(const struct changelog *changelog, int32_t partition,
                          changelog_visit *visit, void *context, struct err *err) WARN_UNUSED;

/* What a certificate says of a partition's state. */
struct changelog_sum {
    uint64_t entries;
    uint64_t digest;
    int64_t next; /* one beyond the last record, 0: there is none */
};

/* Of a partition as it stands now. `visit`, NULL allowed, sees every record, tombstones too. */
enum rcode changelog_sum(const struct changelog *changelog, int32_t partition,
                         changelog_visit *visit, void *context, struct changelog_sum *ret_sum,
                         struct err *err) WARN_UNUSED;

/* Waits until no transaction is open on the first `partitions` of a topic, so that what is read
 * then is all there is. E_UNSTABLE_OFFSETS after a minute and a half: a transaction whose owner has
 * died is over by then. */
enum rcode changelog_settle(struct kafka_reader *reader, const char *topic, int32_t partitions,
                            struct port_watermarks *ret_watermarks, struct err *err) WARN_UNUSED;
