#include "kafka/scan.h"

#include <stdio.h>

#define CLOSE_DEADLINE_MS 5000

static void on_message_error(void *context, const rd_kafka_message_t *message)
{
    struct scan *scan = context;
    int64_t start = offsets_get(&scan->fetched.start, message->partition);
    int64_t next = offsets_get(&scan->fetched.next, message->partition);
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR__LOG_TRUNCATION) {
        /* This one passes librdkafka's barrier: it may be about an earlier assignment. */
        if (start < 0 || message->offset < (next < 0 ? start : next))
            return;
        scan->failed = true;
        err_set(&scan->failure, E_CHANGELOG_TRUNCATED,
                "%s-%d: offset %lld is not in the log any more, or not yet", scan->topic,
                message->partition, (long long)message->offset);
    } else if (!scan->failed) {
        enum rcode rcode = client_rcode(message->err, E_LOG_RETRIABLE);
        scan->failed = true;
        err_set(&scan->failure, rcode, "reading %s: %s", scan->topic,
                rd_kafka_message_errstr(message));
    }
}

static void on_error(void *context, rd_kafka_resp_err_t code, const char *text)
{
    struct scan *scan = context;
    if (scan->failed)
        return;
    scan->failed = true;
    err_set(&scan->failure, client_rcode(code, E_BROKER_UNREACHABLE), "%s", text);
}

enum rcode scan_open(struct scan *scan, const char *role, struct kafka_properties properties,
                     const struct kafka_property *defaults, const char *group, struct err *err)
{
    struct kafka_property required[] = {
        {"group.id", group},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {NULL, NULL},
    };
    *scan = (struct scan){0};
    struct client_options options = {
        .type = RD_KAFKA_CONSUMER,
        .role = role,
        .properties = properties,
        .defaults = defaults,
        .required = required,
        .context = scan,
        .on_error = on_error,
    };
    enum rcode rc = client_new(&options, &scan->client, err);
    if (rc != OK)
        return rc;
    scan->queue = rd_kafka_queue_get_consumer(scan->client->handle);
    scan->fetched.context = scan;
    scan->fetched.on_error = on_message_error;
    return OK;
}

void scan_close(struct scan *scan)
{
    if (!scan->client)
        return;
    fetched_deinit(&scan->fetched);
    rd_kafka_queue_destroy(scan->queue);
    client_free(scan->client, false, CLOSE_DEADLINE_MS);
    *scan = (struct scan){0};
}

enum rcode scan_assign(struct scan *scan, const char *topic, const struct port_position *positions,
                       int count, struct err *err)
{
    fetched_release(&scan->fetched);
    fetched_assign(&scan->fetched, positions, count);
    scan->failed = false;
    snprintf(scan->topic, sizeof(scan->topic), "%s", topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, positions[i].partition)->offset =
            positions[i].offset;
    rd_kafka_resp_err_t code = rd_kafka_assign(scan->client->handle, count ? list : NULL);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_LOG_RETRIABLE, "assigning partitions to read");
    return OK;
}

enum rcode scan_poll(struct scan *scan, int timeout_ms, size_t max, struct port_record *ret_records,
                     size_t *ret_count, struct err *err)
{
    fetched_release(&scan->fetched);
    *ret_count = fetched_take(&scan->fetched, scan->queue, timeout_ms, max, &scan->failed);
    fetched_records(&scan->fetched, ret_records);
    if (*ret_count || !scan->failed)
        return OK;
    scan->failed = false;
    if (err)
        *err = scan->failure;
    return scan->failure.code;
}

int64_t scan_position(const struct scan *scan, int32_t partition)
{
    return offsets_get(&scan->fetched.next, partition);
}
