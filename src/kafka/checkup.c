#include "kafka/checkup.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "kafka/facts.h"

#define REACH_MS 10000
#define ANSWER_MS 15000
#define END_MS 5000

struct kafka_checkup {
    struct client *client;
    int broker;         /* any of them */
    struct err refused; /* E_AUTH: what the brokers said of the user */
};

static void on_error(void *context, rd_kafka_resp_err_t code, const char *text)
{
    struct kafka_checkup *checkup = context;
    if (client_rcode(code, OK) == E_AUTH && checkup->refused.code == OK)
        err_set(&checkup->refused, E_AUTH, "%s", text);
}

enum rcode kafka_checkup_open(struct kafka_properties properties,
                              struct kafka_checkup **ret_checkup, struct err *err)
{
    struct kafka_checkup *checkup = mem_zalloc(sizeof(*checkup));
    struct client_options options = {.type = RD_KAFKA_PRODUCER,
                                     .role = "doctor",
                                     .properties = properties,
                                     .defaults = client_reader_defaults,
                                     .context = checkup,
                                     .on_error = on_error};
    enum rcode rc = client_new(&options, &checkup->client, err);
    if (rc == OK)
        *ret_checkup = checkup;
    else
        mem_free(checkup);
    return rc;
}

void kafka_checkup_close(struct kafka_checkup *checkup)
{
    if (!checkup)
        return;
    client_free(checkup->client, false, END_MS);
    mem_free(checkup);
}

enum rcode kafka_checkup_reach(struct kafka_checkup *checkup, int *ret_brokers, struct err *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(checkup->client->handle, 0, NULL, &metadata, REACH_MS);
    rd_kafka_poll(checkup->client->handle, 0);
    if (checkup->refused.code != OK) {
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_metadata_destroy(metadata);
        *err = checkup->refused;
        return err->code;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_fail(err, code, E_BROKER_UNREACHABLE, "no broker answers");
        return err->code = E_BROKER_UNREACHABLE;
    }
    *ret_brokers = metadata->broker_cnt;
    checkup->broker = metadata->broker_cnt ? metadata->brokers[0].id : 0;
    rd_kafka_metadata_destroy(metadata);
    return OK;
}

/* --- asking --- */

struct question {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *answer;
};

static void question_begin(struct question *question, struct kafka_checkup *checkup,
                           rd_kafka_admin_op_t operation)
{
    question->queue = rd_kafka_queue_new(checkup->client->handle);
    question->options = facts_admin_options(checkup->client, operation, ANSWER_MS);
    question->answer = NULL;
    if (operation == RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS ||
        operation == RD_KAFKA_ADMIN_OP_LISTOFFSETS)
        return;
    rd_kafka_error_t *error =
        rd_kafka_AdminOptions_set_include_authorized_operations(question->options, 1);
    if (error)
        rd_kafka_error_destroy(error);
}

static enum rcode question_wait(struct question *question, const char *what, struct err *err)
{
    question->answer = rd_kafka_queue_poll(question->queue, ANSWER_MS + FACTS_WAIT_MS);
    if (!question->answer)
        return err_set(err, E_TIMEOUT, "%s: no answer", what);
    return facts_event_error(question->answer, what, err);
}

static void question_end(struct question *question)
{
    if (question->answer)
        rd_kafka_event_destroy(question->answer);
    rd_kafka_AdminOptions_destroy(question->options);
    rd_kafka_queue_destroy(question->queue);
}

static unsigned rights_of(const rd_kafka_AclOperation_t *operations, size_t count)
{
    static const struct {
        rd_kafka_AclOperation_t theirs;
        unsigned ours;
    } rights[] = {
        {RD_KAFKA_ACL_OPERATION_READ, KAFKA_MAY_READ},
        {RD_KAFKA_ACL_OPERATION_WRITE, KAFKA_MAY_WRITE},
        {RD_KAFKA_ACL_OPERATION_DESCRIBE, KAFKA_MAY_DESCRIBE},
        {RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS, KAFKA_MAY_DESCRIBE_CONFIGS},
    };
    unsigned found = 0;
    if (!operations)
        return KAFKA_RIGHTS_UNKNOWN;
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < sizeof(rights) / sizeof(rights[0]); r++)
            if (operations[i] == rights[r].theirs)
                found |= rights[r].ours;
    return found;
}

enum rcode kafka_checkup_cluster(struct kafka_checkup *checkup,
                                 struct kafka_checkup_cluster *ret_cluster, struct err *err)
{
    struct question question;
    size_t count = 0;
    question_begin(&question, checkup, RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER);
    rd_kafka_DescribeCluster(checkup->client->handle, question.options, question.queue);
    enum rcode rc = question_wait(&question, "describing the cluster", err);
    if (rc == OK) {
        const rd_kafka_DescribeCluster_result_t *result =
            rd_kafka_event_DescribeCluster_result(question.answer);
        const char *id = rd_kafka_DescribeCluster_result_cluster_id(result);
        const rd_kafka_AclOperation_t *operations =
            rd_kafka_DescribeCluster_result_authorized_operations(result, &count);
        *ret_cluster = (struct kafka_checkup_cluster){.rights = rights_of(operations, count)};
        snprintf(ret_cluster->id, sizeof(ret_cluster->id), "%s", id ? id : "");
    }
    question_end(&question);
    return rc;
}

/* --- topics --- */

static void take_partitions(const rd_kafka_TopicDescription_t *found,
                            struct kafka_checkup_topic *topic)
{
    size_t partitions = 0;
    const rd_kafka_TopicPartitionInfo_t **infos =
        rd_kafka_TopicDescription_partitions(found, &partitions);
    topic->partitions = (int)partitions;
    for (size_t i = 0; i < partitions; i++) {
        size_t replicas = 0, in_sync = 0;
        rd_kafka_TopicPartitionInfo_replicas(infos[i], &replicas);
        rd_kafka_TopicPartitionInfo_isr(infos[i], &in_sync);
        if (i == 0 || (int)replicas < topic->replicas_min)
            topic->replicas_min = (int)replicas;
        if (i == 0 || (int)in_sync < topic->in_sync_min)
            topic->in_sync_min = (int)in_sync;
        const rd_kafka_Node_t *leader = rd_kafka_TopicPartitionInfo_leader(infos[i]);
        topic->leaderless += !leader || rd_kafka_Node_id(leader) < 0;
    }
}

static enum rcode take_topic(const rd_kafka_TopicDescription_t *found,
                             struct kafka_checkup_topic *topic, struct err *err)
{
    size_t count = 0;
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(found);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    *topic = (struct kafka_checkup_topic){.name = topic->name, .rights = KAFKA_RIGHTS_UNKNOWN};
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        topic->code = client_rcode(code, E_LOG_RETRIABLE);
        if (topic->code == E_TOPICS || topic->code == E_AUTH)
            return OK;
        return client_fail(err, code, E_LOG_RETRIABLE, topic->name);
    }
    const rd_kafka_AclOperation_t *operations =
        rd_kafka_TopicDescription_authorized_operations(found, &count);
    topic->rights = rights_of(operations, count);
    take_partitions(found, topic);
    return OK;
}

enum rcode kafka_checkup_topics(struct kafka_checkup *checkup,
                                struct kafka_checkup_topic *inout_topics, int count,
                                struct err *err)
{
    struct question question;
    size_t answered = 0;
    const char **names = mem_alloc((size_t)count * sizeof(*names));
    for (int i = 0; i < count; i++)
        names[i] = inout_topics[i].name;
    rd_kafka_TopicCollection_t *topics =
        rd_kafka_TopicCollection_of_topic_names(names, (size_t)count);
    question_begin(&question, checkup, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_DescribeTopics(checkup->client->handle, topics, question.options, question.queue);
    rd_kafka_TopicCollection_destroy(topics);
    mem_free(names);
    enum rcode rc = question_wait(&question, "describing topics", err);
    const rd_kafka_TopicDescription_t **found =
        rc == OK ? rd_kafka_DescribeTopics_result_topics(
                       rd_kafka_event_DescribeTopics_result(question.answer), &answered)
                 : NULL;
    for (size_t i = 0; rc == OK && i < answered; i++)
        for (int t = 0; rc == OK && t < count; t++)
            if (strcmp(rd_kafka_TopicDescription_name(found[i]), inout_topics[t].name) == 0)
                rc = take_topic(found[i], &inout_topics[t], err);
    question_end(&question);
    return rc;
}

enum rcode kafka_checkup_newest(struct kafka_checkup *checkup, const char *topic, int partitions,
                                int64_t *ret_timestamp_ms, struct err *err)
{
    struct question question;
    size_t count = 0;
    int64_t newest_ms = -1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset =
            RD_KAFKA_OFFSET_SPEC_MAX_TIMESTAMP;
    question_begin(&question, checkup, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_ListOffsets(checkup->client->handle, list, question.options, question.queue);
    rd_kafka_topic_partition_list_destroy(list);
    enum rcode rc = question_wait(&question, "the newest record", err);
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rc == OK ? rd_kafka_ListOffsets_result_infos(
                       rd_kafka_event_ListOffsets_result(question.answer), &count)
                 : NULL;
    for (size_t i = 0; rc == OK && i < count; i++) {
        const rd_kafka_topic_partition_t *entry =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        int64_t timestamp_ms = rd_kafka_ListOffsetsResultInfo_timestamp(infos[i]);
        if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            rc = client_fail(err, entry->err, E_LOG_RETRIABLE, topic);
        else if (timestamp_ms > newest_ms)
            newest_ms = timestamp_ms;
    }
    question_end(&question);
    if (rc == OK)
        *ret_timestamp_ms = newest_ms;
    return rc;
}

/* --- groups --- */

enum rcode kafka_checkup_group(struct kafka_checkup *checkup, const char *group,
                               unsigned *ret_rights, struct err *err)
{
    struct question question;
    size_t count = 0;
    question_begin(&question, checkup, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(checkup->client->handle, &group, 1, question.options,
                                    question.queue);
    enum rcode rc = question_wait(&question, "describing the group", err);
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rc == OK ? rd_kafka_DescribeConsumerGroups_result_groups(
                       rd_kafka_event_DescribeConsumerGroups_result(question.answer), &count)
                 : NULL;
    if (rc == OK && count == 1) {
        const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
        rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        const rd_kafka_AclOperation_t *operations =
            rd_kafka_ConsumerGroupDescription_authorized_operations(groups[0], &count);
        *ret_rights = rights_of(count ? operations : NULL, count);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
            rc = client_fail(err, code, E_LOG_RETRIABLE, "describing the group");
    }
    question_end(&question);
    return rc;
}

/* --- settings --- */

enum rcode kafka_checkup_setting(struct kafka_checkup *checkup, const char *topic, const char *name,
                                 char ret_value[64], struct err *err)
{
    struct question question;
    char broker[16];
    size_t count = 0;
    snprintf(broker, sizeof(broker), "%d", checkup->broker);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(
        topic ? RD_KAFKA_RESOURCE_TOPIC : RD_KAFKA_RESOURCE_BROKER, topic ? topic : broker);
    question_begin(&question, checkup, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(checkup->client->handle, &resource, 1, question.options,
                             question.queue);
    rd_kafka_ConfigResource_destroy(resource);
    enum rcode rc = question_wait(&question, "describing settings", err);
    const rd_kafka_ConfigResource_t **found =
        rc == OK ? rd_kafka_DescribeConfigs_result_resources(
                       rd_kafka_event_DescribeConfigs_result(question.answer), &count)
                 : NULL;
    *ret_value = '\0';
    if (rc == OK && count == 1) {
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(found[0]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            rc = client_fail(err, code, E_TOPICS, topic ? topic : "settings of a broker");
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(found[0], &count);
        for (size_t i = 0; rc == OK && i < count; i++) {
            const char *value = rd_kafka_ConfigEntry_value(entries[i]);
            if (value && strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
                snprintf(ret_value, 64, "%s", value);
        }
    }
    question_end(&question);
    return rc;
}

/* --- transactions --- */

enum rcode kafka_checkup_transactions(struct kafka_properties properties,
                                      const char *transactional_id, struct err *err)
{
    static const struct kafka_property defaults[] = {
        {"client.id", "rimbalzo"}, {"transaction.timeout.ms", "15000"}, {NULL, NULL}};
    const struct kafka_property required[] = {
        {"enable.idempotence", "true"}, {"transactional.id", transactional_id}, {NULL, NULL}};
    struct client *client;
    struct client_options options = {.type = RD_KAFKA_PRODUCER,
                                     .role = "doctor",
                                     .properties = properties,
                                     .defaults = defaults,
                                     .required = required};
    enum rcode rc = client_new(&options, &client, err);
    if (rc != OK)
        return rc;
    rc = client_fail_transaction(err, rd_kafka_init_transactions(client->handle, ANSWER_MS),
                                 E_LOG_FATAL, "initialising transactions");
    client_free(client, false, END_MS);
    return rc;
}
