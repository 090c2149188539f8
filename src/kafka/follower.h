/*
 * Reads a topic on and on, for tools: read_committed, all partitions, from where the tool has
 * stopped before. The group that keeps its place has no members, so a second follower of the same
 * group reads everything as well. What was not committed is read again: at least once.
 */
#pragma once
#include "kafka/property.h"
#include "stream/port.h"

struct kafka_follower;

/* From what the group has committed, or the log's start where that is nothing or lies before it.
 * E_CONFIG, E_TOPICS; E_BROKER_UNREACHABLE after a quarter of a minute without an answer. */
enum rcode kafka_follower_open(struct kafka_properties properties, const char *group,
                               const char *topic, struct kafka_follower **ret_follower,
                               struct err *err) WARN_UNUSED;
void kafka_follower_close(struct kafka_follower *follower); /* NULL is allowed */

/* Waits for records; those of the call before become invalid. DISPOSITION_RETRY: passing trouble,
 * call again. */
enum rcode kafka_follower_poll(struct kafka_follower *follower, int timeout_ms,
                               const struct port_record **ret_records, size_t *ret_count,
                               struct err *err) WARN_UNUSED;

/* Commits that all records so far are done. DISPOSITION_RETRY: nothing is lost by doing so later.
 */
enum rcode kafka_follower_commit(struct kafka_follower *follower, struct err *err) WARN_UNUSED;
