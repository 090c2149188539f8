/* The requests behind topics.c. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "kafka/facts.h"
#include "kafka/topics_parts.h"

#define REQUEST_TIMEOUT_MS 30000
#define DEADLINE_MS 30000 /* of a change to take effect */
#define UNREACHABLE_MS 10000

const char *const topics_setting_names[SETTING_COUNT] = {
#define X(constant, name) name,
    TOPICS_SETTINGS(X)
#undef X
};

static void pause_briefly(void)
{
    static const struct timespec pause = {.tv_nsec = 50 * 1000000};
    nanosleep(&pause, NULL);
}

/* --- asking --- */

static rd_kafka_AdminOptions_t *options_of(struct client *client, rd_kafka_admin_op_t operation)
{
    char text[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client->handle, operation);
    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, text, sizeof(text));
    return options;
}

/* Takes the answer of a request; it must be destroyed when the result is OK. */
static enum rcode answer_of(rd_kafka_queue_t *queue, const char *what, rd_kafka_event_t **ret_event,
                            struct err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, REQUEST_TIMEOUT_MS + 1000);
    if (!event)
        return err_set(err, E_BROKER_UNREACHABLE, "%s: no answer", what);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_event = event;
        return OK;
    }
    enum rcode rc = client_rcode(code, E_TOPICS);
    err_set(err, rc == E_TIMEOUT ? E_BROKER_UNREACHABLE : rc, "%s: %s", what,
            rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    return err ? err->code : rc;
}

static void copy_values(const rd_kafka_ConfigResource_t *resource, struct live_topic *live)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        for (int s = 0; s < SETTING_COUNT; s++) {
            const char *value = rd_kafka_ConfigEntry_value(entries[i]);
            if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), topics_setting_names[s]) == 0)
                snprintf(live->values[s], sizeof(live->values[s]), "%s", value ? value : "");
        }
}

static enum rcode describe_configs(struct client *client, const struct topics_options *options,
                                   struct live_topics *live, struct err *err)
{
    rd_kafka_ConfigResource_t *resources[TOPIC_COUNT];
    size_t count = 0, answered;
    rd_kafka_event_t *event = NULL;
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (live->topics[i].exists)
            resources[count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, options->topics[i]);
    if (!count)
        return OK;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *admin = options_of(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(client->handle, resources, count, admin, queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_ConfigResource_destroy_array(resources, count);
    enum rcode rc = answer_of(queue, "describing topics", &event, err);
    const rd_kafka_ConfigResource_t **results =
        rc == OK ? rd_kafka_DescribeConfigs_result_resources(
                       rd_kafka_event_DescribeConfigs_result(event), &answered)
                 : NULL;
    for (size_t i = 0; rc == OK && i < answered; i++) {
        const char *name = rd_kafka_ConfigResource_name(results[i]);
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            rc = client_fail(err, code, E_TOPICS, name);
        for (int t = 0; rc == OK && t < TOPIC_COUNT; t++)
            if (live->topics[t].exists && strcmp(options->topics[t], name) == 0)
                copy_values(results[i], &live->topics[t]);
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return rc;
}

/* How many partitions a topic has; 0: it does not exist. */
static enum rcode width(struct client *client, const char *topic, int32_t *ret_count,
                        struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + UNREACHABLE_MS;
    enum rcode rc;
    while ((rc = facts_partition_count(client, topic, ret_count, err)) != OK) {
        if (rc == E_TOPICS) {
            *ret_count = 0;
            return OK;
        }
        if (rcode_disposition(rc) != DISPOSITION_RETRY || clock_monotonic_ms() > deadline_ms)
            return rc;
        pause_briefly();
    }
    return OK;
}

enum rcode topics_describe(struct client *client, const struct topics_options *options,
                           struct live_topics *ret_live, struct err *err)
{
    struct live_topics live = {0};
    const struct rd_kafka_metadata *metadata;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (!topics_is_wanted(options, (enum topic)i))
            continue;
        enum rcode rc = width(client, options->topics[i], &live.topics[i].partitions, err);
        if (rc != OK)
            return rc;
        live.topics[i].exists = live.topics[i].partitions > 0;
    }
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client->handle, 0, NULL, &metadata, UNREACHABLE_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_BROKER_UNREACHABLE, "asking for the brokers");
    live.brokers = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    enum rcode rc = describe_configs(client, options, &live, err);
    if (rc == OK)
        *ret_live = live;
    return rc;
}

enum rcode topics_unused(struct client *client, const char *topic, int32_t partitions,
                         bool *ret_unused, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    bool unused = true;
    for (int32_t p = 0; unused && p < partitions; p++) {
        struct port_watermarks marks;
        enum rcode rc = facts_watermarks_wait(client, topic, p, deadline_ms, &marks, err);
        if (rc != OK)
            return rc;
        unused = marks.high == 0;
    }
    *ret_unused = unused;
    return OK;
}

/* --- changing --- */

static enum rcode topic_results(const rd_kafka_topic_result_t **results, size_t count,
                                rd_kafka_resp_err_t allowed, const char *what, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        const char *text = rd_kafka_topic_result_error_string(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != allowed)
            return err_set(err, client_rcode(code, E_TOPICS), "%s %s: %s", what,
                           rd_kafka_topic_result_name(results[i]),
                           text ? text : rd_kafka_err2str(code));
    }
    return OK;
}

enum rcode topics_create(struct client *client, const char *topic, int32_t partitions,
                         int32_t replication, const struct topics_value *values, int value_count,
                         struct err *err)
{
    char text[256];
    rd_kafka_event_t *event = NULL;
    size_t count;
    rd_kafka_NewTopic_t *new_topic =
        rd_kafka_NewTopic_new(topic, partitions, replication, text, sizeof(text));
    if (!new_topic)
        return err_set(err, E_CONFIG, "topic %s: %s", topic, text);
    for (int i = 0; i < value_count; i++)
        rd_kafka_NewTopic_set_config(new_topic, values[i].name, values[i].value);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *admin = options_of(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(client->handle, &new_topic, 1, admin, queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewTopic_destroy(new_topic);
    enum rcode rc = answer_of(queue, "creating topics", &event, err);
    if (rc == OK) {
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        rc = topic_results(results, count, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "creating topic",
                           err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return rc;
}

enum rcode topics_widen(struct client *client, const char *topic, int32_t partitions,
                        struct err *err)
{
    char text[256];
    rd_kafka_event_t *event = NULL;
    size_t count;
    rd_kafka_NewPartitions_t *request =
        rd_kafka_NewPartitions_new(topic, (size_t)partitions, text, sizeof(text));
    if (!request)
        return err_set(err, E_CONFIG, "topic %s: %s", topic, text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *admin = options_of(client, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
    rd_kafka_CreatePartitions(client->handle, &request, 1, admin, queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewPartitions_destroy(request);
    enum rcode rc = answer_of(queue, "adding partitions", &event, err);
    if (rc == OK) {
        const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
        rc = topic_results(results, count, RD_KAFKA_RESP_ERR_NO_ERROR, "adding partitions to topic",
                           err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return rc;
}

enum rcode topics_configure(struct client *client, const char *topic, const char *setting,
                            const char *value, struct err *err)
{
    rd_kafka_event_t *event = NULL;
    size_t count;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_error_t *error = rd_kafka_ConfigResource_add_incremental_config(
        resource, setting, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, value);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *admin = options_of(client, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS);
    rd_kafka_IncrementalAlterConfigs(client->handle, &resource, 1, admin, queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_ConfigResource_destroy(resource);
    enum rcode rc = answer_of(queue, "configuring topics", &event, err);
    if (rc == OK) {
        const rd_kafka_ConfigResource_t **results =
            rd_kafka_IncrementalAlterConfigs_result_resources(
                rd_kafka_event_IncrementalAlterConfigs_result(event), &count);
        for (size_t i = 0; rc == OK && i < count; i++) {
            rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(results[i]);
            const char *text = rd_kafka_ConfigResource_error_string(results[i]);
            if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
                rc = err_set(err, client_rcode(code, E_TOPICS), "topic %s: %s=%s: %s", topic,
                             setting, value, text ? text : rd_kafka_err2str(code));
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return rc;
}

/* Watermarks need a leader. */
static enum rcode await_leaders(struct client *client, const char *topic, int32_t partitions,
                                struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    enum rcode rc = OK;
    for (int32_t p = 0; rc == OK && p < partitions; p++) {
        struct port_watermarks marks;
        rc = facts_watermarks_wait(client, topic, p, deadline_ms, &marks, err);
    }
    return rc;
}

enum rcode topics_await(struct client *client, const char *topic, int32_t partitions,
                        struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (;;) {
        int32_t count = 0;
        enum rcode rc = facts_partition_count(client, topic, &count, err);
        if (rc == OK && count >= partitions)
            return await_leaders(client, topic, partitions, err);
        if (rc == OK)
            rc = err_set(err, E_TIMEOUT, "topic %s has %d partitions so far", topic, count);
        if ((rc != E_TOPICS && rcode_disposition(rc) != DISPOSITION_RETRY) ||
            clock_monotonic_ms() > deadline_ms)
            return rc;
        pause_briefly();
    }
}
