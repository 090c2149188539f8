#include "kafka/lag.h"

#include "base/clock.h"
#include "kafka/lag_parts.h"

#define SLICE_MS 50

/* One record of each partition is wanted, so little is fetched. A batch that is larger comes all
 * the same, but only one in an answer: the partitions take turns. */
static const struct kafka_property defaults[] = {
    {"client.id", "rimbalzo"},
    {"fetch.message.max.bytes", "16384"},
    {"fetch.queue.backoff.ms", "10"}, /* else it sleeps up to 1 s whenever its queue is full */
    {"fetch.wait.max.ms", "100"},
    {"queued.min.messages", "1000"},
    {"queued.max.messages.kbytes", "1024"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

/* --- life --- */

enum rcode lag_open_scan(struct kafka_lag *lag, struct err *err)
{
    bool fresh = lag->scan.client != NULL;
    for (int i = 0; i < lag->count; i++)
        fresh &= !facts_waits_too_long(lag->inputs[i].waits_ms);
    if (fresh)
        return OK;
    scan_close(&lag->scan);
    for (int i = 0; i < lag->count; i++)
        lag->inputs[i].waits_ms = 0;
    return scan_open(&lag->scan, "lag", lag->properties, defaults, lag->inputs[0].group, err);
}

enum rcode kafka_lag_open(struct kafka_properties properties, const struct kafka_lag_input *inputs,
                          int count, struct kafka_lag **ret_lag, struct err *err)
{
    struct kafka_lag *lag = mem_zalloc(sizeof(*lag));
    for (; lag->count < count; lag->count++)
        lag->inputs[lag->count] = (struct lag_input){.group = mem_strdup(inputs[lag->count].group),
                                                     .topic = mem_strdup(inputs[lag->count].topic)};
    lag->properties = properties;
    enum rcode rc = lag_open_scan(lag, err);
    if (rc != OK) {
        kafka_lag_close(lag);
        return rc;
    }
    *ret_lag = lag;
    return OK;
}

void kafka_lag_close(struct kafka_lag *lag)
{
    if (!lag)
        return;
    scan_close(&lag->scan);
    for (int i = 0; i < lag->count; i++) {
        struct lag_input *input = &lag->inputs[i];
        mem_free(input->group);
        mem_free(input->topic);
        offsets_deinit(&input->looks.from);
        offsets_deinit(&input->looks.at);
        offsets_deinit(&input->looks.timestamp_ms);
    }
    mem_free(lag);
}

rd_kafka_event_t *lag_answer(const struct lag_answers *answers)
{
    for (;;) {
        int64_t left_ms = answers->deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0 || (answers->stop && atomic_load(answers->stop)))
            return NULL;
        rd_kafka_event_t *event =
            rd_kafka_queue_poll(answers->queue, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        if (event)
            return event;
    }
}

static struct lag_answers
answers_open(struct kafka_lag *lag, const struct kafka_lag_question *question, int64_t deadline_ms)
{
    return (struct lag_answers){rd_kafka_queue_new(lag->scan.client->handle), deadline_ms,
                                question->stop};
}

/* --- committed offsets --- */

static void ask_committed(struct kafka_lag *lag, const struct lag_input *input,
                          const struct kafka_lag_partition *partitions, int count, bool stable,
                          const struct lag_answers *answers)
{
    struct client *client = lag->scan.client;
    int timeout_ms = (int)(answers->deadline_ms - clock_monotonic_ms());
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, input->topic, partitions[i].partition);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(input->group, list);
    rd_kafka_AdminOptions_t *options = facts_admin_options(
        client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout_ms > 0 ? timeout_ms : 1);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_require_stable_offsets(options, stable);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_ListConsumerGroupOffsets(client->handle, &request, 1, options, answers->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

/* NULL with OK: there is no such group. */
static enum rcode committed_list(rd_kafka_event_t *event,
                                 const rd_kafka_topic_partition_list_t **ret_list, struct err *err)
{
    size_t count = 0;
    *ret_list = NULL;
    enum rcode rc = facts_event_error(event, "committed offsets", err);
    if (rc != OK)
        return rc;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    if (count != 1)
        return err_set(err, E_LOG_RETRIABLE, "committed offsets: %zu groups in the answer", count);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (!error)
        *ret_list = rd_kafka_group_result_partitions(groups[0]);
    else if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        return client_fail(err, rd_kafka_error_code(error), E_LOG_RETRIABLE, "committed offsets");
    return OK;
}

static void take_committed(const rd_kafka_topic_partition_list_t *list,
                           const struct lag_input *input, struct kafka_lag_partition *partition)
{
    const rd_kafka_topic_partition_t *entry =
        list
            ? rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list,
                                                 input->topic, partition->partition)
            : NULL;
    partition->known = !list || (entry && entry->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    partition->committed = entry && entry->offset >= 0 ? entry->offset : -1;
}

static void take_pending(const rd_kafka_topic_partition_list_t *list, const struct lag_input *input,
                         struct kafka_lag_partition *partition)
{
    const rd_kafka_topic_partition_t *entry =
        list
            ? rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list,
                                                 input->topic, partition->partition)
            : NULL;
    partition->pending = entry && entry->err == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
}

/* `stable`: whether they are is asked; else what they are now, whatever is pending. */
static enum rcode find_committed(struct kafka_lag *lag, const struct kafka_lag_question *question,
                                 struct kafka_lag_partition *partitions, int count, bool stable,
                                 int64_t deadline_ms, struct err *err)
{
    struct lag_input *input = &lag->inputs[question->input];
    const rd_kafka_topic_partition_list_t *list = NULL;
    struct lag_answers answers = answers_open(lag, question, deadline_ms);
    ask_committed(lag, input, partitions, count, stable, &answers);
    rd_kafka_event_t *event = lag_answer(&answers);
    facts_waits(&input->waits_ms, event != NULL);
    enum rcode rc =
        event ? committed_list(event, &list, err)
              : err_set(err, E_TIMEOUT, "committed offsets of group %s: no answer", input->group);
    for (int i = 0; rc == OK && i < count; i++) {
        if (stable)
            take_pending(list, input, &partitions[i]);
        else
            take_committed(list, input, &partitions[i]);
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(answers.queue);
    return rc;
}

/* --- where the log starts and ends --- */

/* A request of its own for each, so that a partition without a leader keeps back no other. */
static void ask_offset(struct kafka_lag *lag, const char *topic, int32_t partition, int index,
                       bool end, const struct lag_answers *answers)
{
    struct client *client = lag->scan.client;
    int timeout_ms = (int)(answers->deadline_ms - clock_monotonic_ms());
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_AdminOptions_t *options =
        facts_admin_options(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout_ms > 0 ? timeout_ms : 1);
    rd_kafka_error_t *error =
        rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_AdminOptions_set_opaque(options, (void *)(uintptr_t)(index * 2 + end));
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        end ? RD_KAFKA_OFFSET_SPEC_LATEST : RD_KAFKA_OFFSET_SPEC_EARLIEST;
    rd_kafka_ListOffsets(client->handle, list, options, answers->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
}

/* -1: the answer has none, for the partition has no leader, or it is busy. */
static int64_t offset_of(rd_kafka_event_t *event)
{
    size_t count = 0;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return -1;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    if (count != 1)
        return -1;
    const rd_kafka_topic_partition_t *entry =
        rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]);
    return entry->err == RD_KAFKA_RESP_ERR_NO_ERROR ? entry->offset : -1;
}

static void find_ends(struct kafka_lag *lag, const struct kafka_lag_question *question,
                      struct kafka_lag_partition *partitions, int count, int64_t deadline_ms)
{
    const char *topic = lag->inputs[question->input].topic;
    struct lag_answers answers = answers_open(lag, question, deadline_ms);
    rd_kafka_event_t *event;
    bool refused = false;
    for (int i = 0; i < count; i++) {
        partitions[i].log_start = partitions[i].end = -1;
        ask_offset(lag, topic, partitions[i].partition, i, false, &answers);
        ask_offset(lag, topic, partitions[i].partition, i, true, &answers);
    }
    for (int left = count * 2; left && (event = lag_answer(&answers)); left--) {
        size_t place = (size_t)(uintptr_t)rd_kafka_event_opaque(event);
        struct kafka_lag_partition *partition = &partitions[place / 2];
        int64_t offset = offset_of(event);
        *(place % 2 ? &partition->end : &partition->log_start) = offset;
        refused |= offset < 0;
        rd_kafka_event_destroy(event);
    }
    for (int i = 0; i < count; i++)
        partitions[i].known &= partitions[i].log_start >= 0 && partitions[i].end >= 0;
    if (refused)
        facts_renew_leaders(lag->scan.client, topic);
    rd_kafka_queue_destroy(answers.queue);
}

/* --- all of it --- */

enum rcode kafka_lag_ask(struct kafka_lag *lag, const struct kafka_lag_question *question,
                         struct kafka_lag_partition *inout_partitions, int count, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + question->timeout_ms;
    for (int i = 0; i < count; i++)
        inout_partitions[i] =
            (struct kafka_lag_partition){.partition = inout_partitions[i].partition};
    enum rcode rc = lag_open_scan(lag, err);
    if (rc == OK)
        rc = find_committed(lag, question, inout_partitions, count, false, deadline_ms, err);
    if (rc == OK && question->pending)
        rc = find_committed(lag, question, inout_partitions, count, true, deadline_ms, err);
    if (rc != OK)
        return rc;
    /* The end comes after the offsets: it is never behind them. */
    find_ends(lag, question, inout_partitions, count, deadline_ms);
    lag_look(lag, question, inout_partitions, count, deadline_ms);
    return OK;
}

enum rcode kafka_lag_partition_count(struct kafka_lag *lag, int input, int timeout_ms,
                                     int32_t *ret_count, struct err *err)
{
    enum rcode rc = lag_open_scan(lag, err);
    if (rc != OK)
        return rc;
    return facts_partition_count_wait(lag->scan.client, lag->inputs[input].topic,
                                      clock_monotonic_ms() + timeout_ms, ret_count, err);
}
