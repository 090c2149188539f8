/*
 * The offsets of a group as tools set them from outside: only while nobody is in the group, which
 * the broker itself sees to. What is committed is read with kafka_reader_committed().
 */
#pragma once
#include "kafka/property.h"
#include "stream/port.h"

struct kafka_group_offsets;

/* Connects to nothing yet. E_CONFIG. */
enum rcode kafka_group_offsets_open(struct kafka_properties properties, const char *group,
                                    struct kafka_group_offsets **ret_offsets,
                                    struct err *err) WARN_UNUSED;
void kafka_group_offsets_close(struct kafka_group_offsets *offsets); /* NULL is allowed */

/* OK when the group has no members, or there is no such group. E_GROUP_IN_USE: the text names who
 * is in it. A static member stays until its session has timed out, whether it lives or not. */
enum rcode kafka_group_offsets_unused(struct kafka_group_offsets *offsets,
                                      struct err *err) WARN_UNUSED;

struct kafka_group_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;
    struct str metadata; /* null: none */
};

/* All of them at once, or none. E_GROUP_IN_USE when somebody has joined. */
enum rcode kafka_group_offsets_set(struct kafka_group_offsets *offsets,
                                   const struct kafka_group_offset *items, int count,
                                   struct err *err) WARN_UNUSED;
