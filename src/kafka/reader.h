/*
 * Reads topics for tools: read_committed, no group, nothing is committed. What comes is what was
 * stable when the reading began.
 */
#pragma once
#include "kafka/property.h"
#include "stream/port.h"

struct kafka_reader;

/* `group`: librdkafka wants a name for reading explicit partitions. It is never joined; the
 * worker's passes the same access rules as the worker. E_CONFIG. */
enum rcode kafka_reader_open(struct kafka_properties properties, const char *group,
                             struct kafka_reader **ret_reader, struct err *err) WARN_UNUSED;
void kafka_reader_close(struct kafka_reader *reader); /* NULL is allowed */

/* E_TOPICS: the topic does not exist. E_BROKER_UNREACHABLE after a quarter of a minute without an
 * answer.
 */
enum rcode kafka_reader_partition_count(struct kafka_reader *reader, const char *topic,
                                        int32_t *ret_count, struct err *err) WARN_UNUSED;

/* Of a partition, now. E_BROKER_UNREACHABLE after a quarter of a minute. */
enum rcode kafka_reader_watermarks(struct kafka_reader *reader, const char *topic,
                                   int32_t partition, struct port_watermarks *ret_watermarks,
                                   struct err *err) WARN_UNUSED;

/* The first offset whose record is stamped with `time_ms` or later; -1: there is none. */
enum rcode kafka_reader_offset_at(struct kafka_reader *reader, const char *topic, int32_t partition,
                                  int64_t time_ms, int64_t *ret_offset,
                                  struct err *err) WARN_UNUSED;

/* The stable committed offsets of `group` on its input and on the topic of its certificates, as
 * port.h has them. Waits for transactions that commit one of them, for up to a minute and a half:
 * E_UNSTABLE_OFFSETS. E_BROKER_UNREACHABLE. */
enum rcode kafka_reader_committed(struct kafka_reader *reader, const char *group,
                                  const char *const topics[2], struct port_committed *inout,
                                  int count, struct err *err) WARN_UNUSED;

struct kafka_reading {
    const char *topic;
    int32_t partition; /* -1: all */
    int64_t from;      /* first offset; before the log start: from there */
    int64_t until;     /* one beyond the last offset; -1: the stable end, as it is now */

    /* Called for every record, in offset order in each partition, partitions mixed. The record's
     * spans are valid during the call. Anything but OK ends the reading with that code. */
    void *context;
    enum rcode (*record)(void *context, const struct port_record *record, struct err *err);
    /* Instead of that, called with many: those of one partition in offset order. */
    enum rcode (*batch)(void *context, const struct port_record *records, size_t count,
                        struct err *err);

    /* Called about once a second, NULL allowed: how many of the offsets are behind. */
    void (*progress)(void *context, int64_t done, int64_t total);
};

/* E_BROKER_UNREACHABLE when nothing comes for a minute. */
enum rcode kafka_reader_read(struct kafka_reader *reader, const struct kafka_reading *reading,
                             struct err *err) WARN_UNUSED;
