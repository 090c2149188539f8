/* What topics.c (the rules) and topics_admin.c (the requests) share. Internal. */
#pragma once
#include "kafka/client.h"
#include "kafka/topics.h"

/*  constant                   name of the setting */
#define TOPICS_SETTINGS(X)                                                                         \
    X(SETTING_CLEANUP, "cleanup.policy")                                                           \
    X(SETTING_RETENTION, "retention.ms")                                                           \
    X(SETTING_RETENTION_BYTES, "retention.bytes")                                                  \
    X(SETTING_MESSAGE_BYTES, "max.message.bytes")                                                  \
    X(SETTING_TIMESTAMP_TYPE, "message.timestamp.type")                                            \
    X(SETTING_TIMESTAMP_AFTER, "message.timestamp.after.max.ms")                                   \
    X(SETTING_DELETE_RETENTION, "delete.retention.ms")
#define X(constant, name) constant,
enum topics_setting { TOPICS_SETTINGS(X) SETTING_COUNT };
#undef X
extern const char *const topics_setting_names[SETTING_COUNT];

/* A topic as it is. */
struct live_topic {
    bool exists;
    int32_t partitions;
    bool unused; /* nothing was ever written to it; asked only where it matters */
    char values[SETTING_COUNT][TOPICS_VALUE_MAX]; /* "": the broker has no such setting */
};

struct live_topics {
    int32_t brokers;
    struct live_topic topics[TOPIC_COUNT];
};

/* One setting of a new topic. */
struct topics_value {
    const char *name;
    char value[TOPICS_VALUE_MAX];
};

enum { TOPICS_VALUES_MAX = 12 };

/* All settings that a new topic gets; returns how many. `replication` and the input's limit decide
 * some. */
int topics_new_values(const struct topics_options *options, enum topic topic,
                      int64_t input_message_bytes,
                      struct topics_value ret_values[TOPICS_VALUES_MAX]);

static inline bool topics_is_wanted(const struct topics_options *options, enum topic topic)
{
    return !options->wanted || options->wanted & 1u << topic;
}

/* The wanted topics as they are; nothing is asked about the others. */
enum rcode topics_describe(struct client *client, const struct topics_options *options,
                           struct live_topics *ret_live, struct err *err) WARN_UNUSED;

/* Whether nothing was ever written to the topic. */
enum rcode topics_unused(struct client *client, const char *topic, int32_t partitions,
                         bool *ret_unused, struct err *err) WARN_UNUSED;

enum rcode topics_create(struct client *client, const char *topic, int32_t partitions,
                         int32_t replication, const struct topics_value *values, int value_count,
                         struct err *err) WARN_UNUSED;
enum rcode topics_widen(struct client *client, const char *topic, int32_t partitions,
                        struct err *err) WARN_UNUSED;
enum rcode topics_configure(struct client *client, const char *topic, const char *setting,
                            const char *value, struct err *err) WARN_UNUSED;
/* Until the topic has that many partitions, each with a leader. */
enum rcode topics_await(struct client *client, const char *topic, int32_t partitions,
                        struct err *err) WARN_UNUSED;
