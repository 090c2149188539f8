/* A plain producer for tools: idempotent, or transactional when it has an id. */
#pragma once
#include "kafka/property.h"
#include "stream/port.h"

struct kafka_writer;

#define KAFKA_WRITER_PARTITIONER (-1) /* Java's default: murmur2 of the key */
#define KAFKA_WRITER_NOW (-1)

/* All spans are copied. */
struct kafka_writer_record {
    const char *topic;
    int32_t partition;    /* or KAFKA_WRITER_PARTITIONER */
    int64_t timestamp_ms; /* or KAFKA_WRITER_NOW */
    struct str key;       /* null allowed */
    struct str value;     /* null: tombstone */
    const struct port_header *headers;
    int header_count;
};

/* `transactional_id` NULL: none. With one, waits up to a minute until an earlier owner is out of
 * the way. */
enum rcode kafka_writer_open(struct kafka_properties properties, const char *transactional_id,
                             struct kafka_writer **ret_writer, struct err *err) WARN_UNUSED;
/* What is not flushed or committed is lost. NULL is allowed. */
void kafka_writer_close(struct kafka_writer *writer);

/* Only with a transactional id; sends belong between begin and commit then. */
enum rcode kafka_writer_begin(struct kafka_writer *writer, struct err *err) WARN_UNUSED;
/* Adds offsets of `group`, which has no members, to the transaction. */
enum rcode kafka_writer_send_offsets(struct kafka_writer *writer, const char *group,
                                     const char *topic, const struct port_position *positions,
                                     int count, struct err *err) WARN_UNUSED;
/* Flushes first. Any error: the outcome may be unknown; close the writer. */
enum rcode kafka_writer_commit(struct kafka_writer *writer, struct err *err) WARN_UNUSED;
enum rcode kafka_writer_abort(struct kafka_writer *writer, struct err *err) WARN_UNUSED;

/* Queues the record; waits for room, up to a minute. */
enum rcode kafka_writer_send(struct kafka_writer *writer, const struct kafka_writer_record *record,
                             struct err *err) WARN_UNUSED;

/* Waits until all are written. The error of the first record that was not; E_BROKER_UNREACHABLE
 * after a minute. */
enum rcode kafka_writer_flush(struct kafka_writer *writer, struct err *err) WARN_UNUSED;

/* Records written since it was opened. */
uint64_t kafka_writer_written(const struct kafka_writer *writer);
