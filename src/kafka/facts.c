#include "kafka/facts.h"

#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

#define REQUEST_TIMEOUT_MS 15000
#define COORDINATOR_TIMEOUT_MS 3600000 /* librdkafka takes no more */
#define WAIT_MS_MAX 60000

void facts_drop(struct facts *facts)
{
    for (int i = 0; i < facts->answer_count; i++)
        rd_kafka_event_destroy(facts->answers[i]);
    if (facts->queue)
        rd_kafka_queue_destroy(facts->queue);
    *facts = (struct facts){0};
}

/* True if the question is a new one, to be sent. */
static bool facts_ask(struct facts *facts, struct client *client, const struct buf *question)
{
    uint64_t hash = hash_xxh3(question->data, question->len);
    if (facts->queue && facts->question == hash && clock_monotonic_ms() < facts->deadline_ms)
        return false;
    facts_drop(facts);
    facts->queue = rd_kafka_queue_new(client->handle);
    facts->question = hash;
    facts->deadline_ms = clock_monotonic_ms() + REQUEST_TIMEOUT_MS + FACTS_WAIT_MS;
    return true;
}

/* Waits up to FACTS_WAIT_MS for `wanted` answers. */
static enum rcode facts_wait(struct facts *facts, int wanted, const char *what, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + FACTS_WAIT_MS;
    while (facts->answer_count < wanted) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        rd_kafka_event_t *event = rd_kafka_queue_poll(facts->queue, left_ms > 0 ? (int)left_ms : 0);
        if (event)
            facts->answers[facts->answer_count++] = event;
        else if (left_ms <= 0)
            return err_set(err, E_TIMEOUT, "%s: no answer yet", what);
    }
    return OK;
}

rd_kafka_AdminOptions_t *facts_admin_options(struct client *client, rd_kafka_admin_op_t operation,
                                             int timeout_ms)
{
    char text[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client->handle, operation);
    if (operation == RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS ||
        operation == RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)
        timeout_ms = COORDINATOR_TIMEOUT_MS;
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    return options;
}

void facts_waits(int64_t *inout_since_ms, bool answered)
{
    if (answered)
        *inout_since_ms = 0;
    else if (!*inout_since_ms)
        *inout_since_ms = clock_monotonic_ms();
}

bool facts_waits_too_long(int64_t since_ms)
{
    return since_ms && clock_monotonic_ms() - since_ms > WAIT_MS_MAX;
}

enum rcode facts_event_error(rd_kafka_event_t *event, const char *what, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    return err_set(err, client_rcode(code, E_LOG_RETRIABLE), "%s: %s (%s)", what,
                   rd_kafka_event_error_string(event), rd_kafka_err2name(code));
}

/* --- committed offsets --- */

static void ask_committed(struct facts *facts, struct client *client, const char *group,
                          const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(group, partitions);
    rd_kafka_AdminOptions_t *options =
        facts_admin_options(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, REQUEST_TIMEOUT_MS);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_ListConsumerGroupOffsets(client->handle, &request, 1, options, facts->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}

static void copy_committed(const rd_kafka_topic_partition_t *entry, bool certificate,
                           struct port_committed *committed)
{
    int64_t offset = entry->offset < 0 ? -1 : entry->offset;
    if (!certificate) {
        committed->input_offset = offset;
        return;
    }
    committed->certificate_offset = offset;
    committed->metadata_len = 0;
    committed->metadata[0] = '\0';
    /* The metadata has a size and no NUL. One that is too long is none of ours. */
    if (offset >= 0 && entry->metadata && entry->metadata_size <= PORT_METADATA_MAX) {
        committed->metadata_len = entry->metadata_size;
        memcpy(committed->metadata, entry->metadata, entry->metadata_size);
        committed->metadata[entry->metadata_size] = '\0';
    }
}

static const rd_kafka_topic_partition_t *entry_of(const rd_kafka_topic_partition_list_t *list,
                                                  const char *topic, int32_t partition)
{
    return rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list,
                                              topic, partition);
}

/* Fills in nothing unless every entry is there and stable. */
static enum rcode copy_all(const rd_kafka_topic_partition_list_t *list, const char *const topics[2],
                           struct port_committed *inout, int count, struct err *err)
{
    for (int i = 0; i < count * 2; i++) {
        const rd_kafka_topic_partition_t *entry =
            entry_of(list, topics[i % 2], inout[i / 2].partition);
        if (!entry)
            return err_set(err, E_LOG_RETRIABLE, "committed offsets: %s-%d is not in the answer",
                           topics[i % 2], inout[i / 2].partition);
        if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return client_fail(err, entry->err, E_LOG_RETRIABLE, "committed offsets");
    }
    for (int i = 0; i < count * 2; i++)
        copy_committed(entry_of(list, topics[i % 2], inout[i / 2].partition), i % 2 == 1,
                       &inout[i / 2]);
    return OK;
}

static enum rcode read_committed(rd_kafka_event_t *event, const char *const topics[2],
                                 struct port_committed *inout, int count, struct err *err)
{
    static const rd_kafka_topic_partition_t none = {.offset = -1};
    size_t group_count = 0;
    enum rcode rc = facts_event_error(event, "committed offsets", err);
    if (rc != OK)
        return rc;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &group_count);
    if (group_count != 1)
        return err_set(err, E_LOG_RETRIABLE, "committed offsets: %zu groups in the answer",
                       group_count);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (!error)
        return copy_all(rd_kafka_group_result_partitions(groups[0]), topics, inout, count, err);
    if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        return client_fail(err, rd_kafka_error_code(error), E_LOG_RETRIABLE, "committed offsets");
    for (int i = 0; i < count * 2; i++)
        copy_committed(&none, i % 2 == 1, &inout[i / 2]);
    return OK;
}

enum rcode facts_committed(struct facts *facts, struct client *client, const char *group,
                           const char *const topics[2], struct port_committed *inout, int count,
                           struct err *err)
{
    struct buf question;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count * 2);
    buf_init(&question);
    buf_printf(&question, "committed %s", group);
    for (int i = 0; i < count * 2; i++) {
        rd_kafka_topic_partition_list_add(list, topics[i % 2], inout[i / 2].partition);
        buf_printf(&question, " %s-%d", topics[i % 2], inout[i / 2].partition);
    }
    if (count && facts_ask(facts, client, &question))
        ask_committed(facts, client, group, list);
    enum rcode rc = count ? facts_wait(facts, 1, "committed offsets", err) : OK;
    if (count && rc == OK) {
        rc = read_committed(facts->answers[0], topics, inout, count, err);
        facts_drop(facts);
    }
    rd_kafka_topic_partition_list_destroy(list);
    buf_deinit(&question);
    return rc;
}

/* --- watermarks --- */

enum mark { MARK_START, MARK_HIGH, MARK_STABLE };

static void ask_watermark(struct facts *facts, struct client *client, const char *topic,
                          int32_t partition, enum mark mark)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_AdminOptions_t *options =
        facts_admin_options(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS, REQUEST_TIMEOUT_MS);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_isolation_level(
        options, mark == MARK_STABLE ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                     : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_AdminOptions_set_opaque(options, (void *)(uintptr_t)mark);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        mark == MARK_START ? RD_KAFKA_OFFSET_SPEC_EARLIEST : RD_KAFKA_OFFSET_SPEC_LATEST;
    rd_kafka_ListOffsets(client->handle, list, options, facts->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
}

static enum rcode read_watermark(rd_kafka_event_t *event, const char *what,
                                 struct port_watermarks *watermarks, struct err *err)
{
    size_t count = 0;
    enum rcode rc = facts_event_error(event, what, err);
    if (rc != OK)
        return rc;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    if (count != 1)
        return err_set(err, E_LOG_RETRIABLE, "%s: %zu answers", what, count);
    const rd_kafka_topic_partition_t *entry =
        rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]);
    if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, entry->err, E_LOG_RETRIABLE, what);
    if (entry->offset < 0)
        return err_set(err, E_LOG_RETRIABLE, "%s: no offset in the answer", what);
    switch ((enum mark)(uintptr_t)rd_kafka_event_opaque(event)) {
    case MARK_START:
        watermarks->log_start = entry->offset;
        break;
    case MARK_HIGH:
        watermarks->high = entry->offset;
        break;
    case MARK_STABLE:
        watermarks->stable = entry->offset;
        break;
    }
    return OK;
}

enum rcode facts_watermarks(struct facts *facts, struct client *client, const char *topic,
                            int32_t partition, struct port_watermarks *ret_watermarks,
                            struct err *err)
{
    struct buf question;
    struct port_watermarks watermarks = {0};
    buf_init(&question);
    buf_printf(&question, "watermarks of %s-%d", topic, partition);
    if (facts_ask(facts, client, &question)) {
        ask_watermark(facts, client, topic, partition, MARK_START);
        ask_watermark(facts, client, topic, partition, MARK_HIGH);
        ask_watermark(facts, client, topic, partition, MARK_STABLE);
    }
    enum rcode rc = facts_wait(facts, 3, question.data, err);
    if (rc == OK) {
        for (int i = 0; rc == OK && i < 3; i++)
            rc = read_watermark(facts->answers[i], question.data, &watermarks, err);
        facts_drop(facts);
        if (rc != OK && rcode_disposition(rc) == DISPOSITION_RETRY)
            facts_renew_leaders(client, topic);
    }
    if (rc == OK)
        *ret_watermarks = watermarks;
    buf_deinit(&question);
    return rc;
}

enum rcode facts_watermarks_wait(struct client *client, const char *topic, int32_t partition,
                                 int64_t deadline_ms, struct port_watermarks *ret_watermarks,
                                 struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 50 * 1000000};
    struct facts facts = {0};
    enum rcode rc;
    for (;;) {
        rc = facts_watermarks(&facts, client, topic, partition, ret_watermarks, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY ||
            clock_monotonic_ms() >= deadline_ms)
            break;
        nanosleep(&pause, NULL);
    }
    facts_drop(&facts);
    return rc == E_TIMEOUT ? err_set(err, E_BROKER_UNREACHABLE,
                                     "watermarks of %s-%d: no broker answers", topic, partition)
                           : rc;
}

/* --- metadata --- */

enum rcode facts_partition_count(struct client *client, const char *topic, int32_t *ret_count,
                                 struct err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    enum rcode rc = OK;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->handle, topic, NULL);
    if (!handle)
        return client_fail(err, rd_kafka_last_error(), E_TOPICS, topic);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client->handle, 0, handle, &metadata, FACTS_WAIT_MS);
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT)
        rc = err_set(err, E_BROKER_UNREACHABLE,
                     "no broker of kafka.bootstrap.servers answers (asked for topic %s)", topic);
    else if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = client_fail(err, code, E_BROKER_UNREACHABLE, topic);
    else if (metadata->topic_cnt != 1)
        rc = err_set(err, E_LOG_RETRIABLE, "metadata of %s: %d topics", topic, metadata->topic_cnt);
    else if (client_rcode(metadata->topics[0].err, OK) == E_TOPICS)
        rc = err_set(err, E_TOPICS, "topic %s does not exist; `rimbalzo topics apply` creates it",
                     topic);
    else if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = client_fail(err, metadata->topics[0].err, E_LOG_RETRIABLE, topic);
    else
        *ret_count = metadata->topics[0].partition_cnt;
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return rc;
}

enum rcode facts_partition_count_wait(struct client *client, const char *topic, int64_t deadline_ms,
                                      int32_t *ret_count, struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 100 * 1000000};
    for (;;) {
        enum rcode rc = facts_partition_count(client, topic, ret_count, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY ||
            clock_monotonic_ms() > deadline_ms)
            return rc;
        nanosleep(&pause, NULL);
    }
}

void facts_renew_leaders(struct client *client, const char *topic)
{
    int32_t count;
    struct err err = {0};
    enum rcode rc = facts_partition_count(client, topic, &count, &err);
    (void)rc; /* whoever asks for offsets again hears of it */
}

enum rcode facts_cluster_id(struct client *client, struct arena *arena, struct str *ret_id,
                            struct err *err)
{
    char *id = rd_kafka_clusterid(client->handle, FACTS_WAIT_MS);
    if (!id)
        return err_set(err, E_BROKER_UNREACHABLE, "cluster id: no broker answers");
    *ret_id = arena_str(arena, str_of(id));
    rd_kafka_mem_free(client->handle, id);
    return OK;
}
