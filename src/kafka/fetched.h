/*
 * Records taken from a consumer's queue, kept until released, and where each partition stands.
 * Shared by the group's consumer (member.h) and by readers without a group (scan.h). Internal to
 * src/kafka.
 */
#pragma once
#include "base/arena.h"
#include "kafka/client.h"
#include "stream/port.h"

/* One 64-bit number per partition, -1 where none was set. */
struct offsets {
    int64_t *values;
    int32_t count;
};

static inline int64_t offsets_get(const struct offsets *offsets, int32_t partition)
{
    return partition >= 0 && partition < offsets->count ? offsets->values[partition] : -1;
}

void offsets_set(struct offsets *offsets, int32_t partition, int64_t value);
void offsets_clear(struct offsets *offsets); /* all -1; keeps the memory */
void offsets_deinit(struct offsets *offsets);

struct fetched {
    rd_kafka_message_t **messages;
    size_t count;
    size_t capacity;
    size_t seen; /* of count: handed out by earlier calls of fetched_take */
    struct arena headers;

    struct offsets start; /* where fetching was told to start; -1: partition not assigned */
    struct offsets
        next; /* next offset, as records and ends of partitions tell; -1: not known yet */

    /* Called for what is no record and no end of partition. */
    void *context;
    void (*on_error)(void *context, const rd_kafka_message_t *message);
};

void fetched_deinit(struct fetched *fetched);

/* Forgets everything and expects exactly these positions. */
void fetched_assign(struct fetched *fetched, const struct port_position *positions, int count);

/* Waits up to `timeout_ms` for the first record, then takes what is there, up to `max` records;
 * returns how many. Records of partitions that are not assigned are dropped. Callbacks are served
 * meanwhile. Ends early once `stop` is true. */
size_t fetched_take(struct fetched *fetched, rd_kafka_queue_t *queue, int timeout_ms, size_t max,
                    const bool *stop);

/* Gives back what the last fetched_take took, as if it had never been read. */
void fetched_drop_last(struct fetched *fetched);

/* The records of the last fetched_take. */
void fetched_records(struct fetched *fetched, struct port_record *ret_records);

/* Every record becomes invalid. */
void fetched_release(struct fetched *fetched);
