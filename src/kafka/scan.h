/*
 * A reader of explicit partitions from explicit offsets: read_committed, no member of a group. The
 * restore reader of the port, and what tools read topics with. Internal to src/kafka.
 */
#pragma once
#include "kafka/fetched.h"

struct scan {
    struct client *client;
    rd_kafka_queue_t *queue;
    struct fetched fetched;
    char topic[256];
    bool failed; /* an error waits to be told */
    struct err failure;
};

/* `defaults`: properties that the user's override, such as client_reader_defaults. `group`:
 * librdkafka wants one for assigning. Nothing is committed to it here, and without that it never
 * comes to be. */
enum rcode scan_open(struct scan *scan, const char *role, struct kafka_properties properties,
                     const struct kafka_property *defaults, const char *group,
                     struct err *err) WARN_UNUSED;
void scan_close(struct scan *scan); /* of an open or zeroed one */

/* Reads exactly these from now on. Earlier records become invalid. */
enum rcode scan_assign(struct scan *scan, const char *topic, const struct port_position *positions,
                       int count, struct err *err) WARN_UNUSED;

/* Records of the call before become invalid. E_CHANGELOG_TRUNCATED: an offset is out of range. */
enum rcode scan_poll(struct scan *scan, int timeout_ms, size_t max, struct port_record *ret_records,
                     size_t *ret_count, struct err *err) WARN_UNUSED;

/* As port.h's restore_position. */
int64_t scan_position(const struct scan *scan, int32_t partition);
