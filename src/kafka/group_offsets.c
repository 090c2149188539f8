#include "kafka/group_offsets.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "kafka/facts.h"
#include "kafka/scan.h"

#define ANSWER_MS 60000
#define NAMES_MAX 8
#define KNOWN_MS 15000 /* until the coordinator has heard of a topic that was just made */

struct kafka_group_offsets {
    struct scan scan;
    char *group;
};

enum rcode kafka_group_offsets_open(struct kafka_properties properties, const char *group,
                                    struct kafka_group_offsets **ret_offsets, struct err *err)
{
    struct kafka_group_offsets *offsets = mem_zalloc(sizeof(*offsets));
    enum rcode rc =
        scan_open(&offsets->scan, "offsets", properties, client_reader_defaults, group, err);
    if (rc != OK) {
        mem_free(offsets);
        return rc;
    }
    offsets->group = mem_strdup(group);
    *ret_offsets = offsets;
    return OK;
}

void kafka_group_offsets_close(struct kafka_group_offsets *offsets)
{
    if (!offsets)
        return;
    scan_close(&offsets->scan);
    mem_free(offsets->group);
    mem_free(offsets);
}

/* The request has been sent. The answer must be destroyed when the result is OK. */
static enum rcode answer_of(const struct kafka_group_offsets *offsets, rd_kafka_queue_t *queue,
                            rd_kafka_event_t **ret_event, struct err *err)
{
    char what[128];
    snprintf(what, sizeof(what), "group %.100s", offsets->group);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    if (!event)
        return err_set(err, E_BROKER_UNREACHABLE, "%s: its coordinator does not answer", what);
    enum rcode rc = facts_event_error(event, what, err);
    if (rc != OK)
        rd_kafka_event_destroy(event);
    else
        *ret_event = event;
    return rc;
}

/* --- who is in it --- */

static enum rcode in_use(const struct kafka_group_offsets *offsets, const char *who,
                         struct err *err)
{
    return err_set(err, E_GROUP_IN_USE,
                   "group %s has members: %s. Stop them; whoever has an `instance` stays known for "
                   "kafka.session.timeout.ms after that",
                   offsets->group, who);
}

static enum rcode judge_members(const struct kafka_group_offsets *offsets,
                                const rd_kafka_ConsumerGroupDescription_t *group, struct err *err)
{
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(group);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        return OK;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_LOG_RETRIABLE, "describing the group");
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(group);
    if (!count)
        return OK;
    struct buf names;
    buf_init(&names);
    for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
        const rd_kafka_MemberDescription_t *member =
            rd_kafka_ConsumerGroupDescription_member(group, i);
        const char *instance = rd_kafka_MemberDescription_group_instance_id(member);
        buf_printf(&names, "%s%.80s on %.60s", i ? ", " : "",
                   instance ? instance : rd_kafka_MemberDescription_client_id(member),
                   rd_kafka_MemberDescription_host(member));
    }
    if (count > NAMES_MAX)
        buf_printf(&names, " and %zu more", count - NAMES_MAX);
    buf_append(&names, "", 1);
    enum rcode rc = in_use(offsets, names.data, err);
    buf_deinit(&names);
    return rc;
}

enum rcode kafka_group_offsets_unused(struct kafka_group_offsets *offsets, struct err *err)
{
    struct client *client = offsets->scan.client;
    const char *name = offsets->group;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *options =
        facts_admin_options(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, ANSWER_MS);
    rd_kafka_event_t *event = NULL;
    size_t count = 0;
    rd_kafka_DescribeConsumerGroups(client->handle, &name, 1, options, queue);
    enum rcode rc = answer_of(offsets, queue, &event, err);
    if (rc == OK) {
        const rd_kafka_ConsumerGroupDescription_t **groups =
            rd_kafka_DescribeConsumerGroups_result_groups(
                rd_kafka_event_DescribeConsumerGroups_result(event), &count);
        rc = count == 1 ? judge_members(offsets, groups[0], err)
                        : err_set(err, E_LOG_RETRIABLE, "group %s: %zu answers", name, count);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return rc;
}

/* --- setting --- */

static enum rcode set_result(const struct kafka_group_offsets *offsets, rd_kafka_event_t *event,
                             struct err *err)
{
    size_t count = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
    if (count != 1)
        return err_set(err, E_LOG_RETRIABLE, "group %s: %zu answers", offsets->group, count);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && list && i < list->cnt; i++)
        code = list->elems[i].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP)
        return in_use(offsets, "somebody has just joined", err);
    return client_fail(err, code, E_LOG_RETRIABLE, "setting offsets of the group");
}

static rd_kafka_topic_partition_list_t *list_of(const struct kafka_group_offset *items, int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *entry =
            rd_kafka_topic_partition_list_add(list, items[i].topic, items[i].partition);
        entry->offset = items[i].offset;
        if (items[i].metadata.data) {
            entry->metadata = mem_alloc(items[i].metadata.len); /* the list frees it */
            memcpy(entry->metadata, items[i].metadata.data, items[i].metadata.len);
            entry->metadata_size = items[i].metadata.len;
        }
    }
    return list;
}

static enum rcode set_once(struct kafka_group_offsets *offsets,
                           const rd_kafka_topic_partition_list_t *list, struct err *err)
{
    struct client *client = offsets->scan.client;
    rd_kafka_AlterConsumerGroupOffsets_t *request =
        rd_kafka_AlterConsumerGroupOffsets_new(offsets->group, list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->handle);
    rd_kafka_AdminOptions_t *options =
        facts_admin_options(client, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, ANSWER_MS);
    rd_kafka_event_t *event = NULL;
    rd_kafka_AlterConsumerGroupOffsets(client->handle, &request, 1, options, queue);
    enum rcode rc = answer_of(offsets, queue, &event, err);
    if (rc == OK) {
        rc = set_result(offsets, event, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    return rc;
}

enum rcode kafka_group_offsets_set(struct kafka_group_offsets *offsets,
                                   const struct kafka_group_offset *items, int count,
                                   struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 200 * 1000000};
    int64_t deadline_ms = clock_monotonic_ms() + KNOWN_MS;
    rd_kafka_topic_partition_list_t *list = list_of(items, count);
    enum rcode rc;
    while ((rc = set_once(offsets, list, err)) == E_TOPICS && clock_monotonic_ms() < deadline_ms)
        nanosleep(&pause, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}
