/* The group itself: its state, and who has which partition. */
#include "base/clock.h"
#include "kafka/lag_parts.h"

const char *const kafka_group_state_names[KAFKA_GROUP_STATE_COUNT] = {
#define X(constant, string) [constant] = string,
    KAFKA_GROUP_STATES(X)
#undef X
};

static enum kafka_group_state state_of(rd_kafka_consumer_group_state_t state)
{
    static const struct {
        rd_kafka_consumer_group_state_t theirs;
        enum kafka_group_state ours;
    } states[] = {
        {RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE, KAFKA_GROUP_REBALANCING},
        {RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE, KAFKA_GROUP_REBALANCING},
        {RD_KAFKA_CONSUMER_GROUP_STATE_STABLE, KAFKA_GROUP_STABLE},
        {RD_KAFKA_CONSUMER_GROUP_STATE_DEAD, KAFKA_GROUP_ABSENT},
        {RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY, KAFKA_GROUP_EMPTY},
    };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (states[i].theirs == state)
            return states[i].ours;
    return KAFKA_GROUP_UNKNOWN;
}

static void add_owner(struct kafka_group *group, int32_t partition, const char *name)
{
    if (partition >= group->owner_count) {
        group->owners = mem_realloc(group->owners, ((size_t)partition + 1) * sizeof(char *));
        while (group->owner_count <= partition)
            group->owners[group->owner_count++] = NULL;
    }
    mem_free(group->owners[partition]);
    group->owners[partition] = mem_strdup(name);
}

static void take_member(struct kafka_group *group, const char *topic,
                        const rd_kafka_MemberDescription_t *member)
{
    const char *instance = rd_kafka_MemberDescription_group_instance_id(member);
    const char *name = instance ? instance : rd_kafka_MemberDescription_client_id(member);
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(member);
    const rd_kafka_topic_partition_list_t *list =
        assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
    for (int i = 0; list && i < list->cnt; i++)
        if (strcmp(list->elems[i].topic, topic) == 0)
            add_owner(group, list->elems[i].partition, name);
}

static enum rcode take_group(rd_kafka_event_t *event, const char *topic, struct kafka_group *group,
                             struct err *err)
{
    size_t count = 0;
    enum rcode rc = facts_event_error(event, "describing the group", err);
    if (rc != OK)
        return rc;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    if (count != 1)
        return err_set(err, E_LOG_RETRIABLE, "describing the group: %zu answers", count);
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
        group->state = KAFKA_GROUP_ABSENT;
        return OK;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_LOG_RETRIABLE, "describing the group");
    group->state = state_of(rd_kafka_ConsumerGroupDescription_state(groups[0]));
    group->member_count = (int)rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
    for (int i = 0; i < group->member_count; i++)
        take_member(group, topic, rd_kafka_ConsumerGroupDescription_member(groups[0], (size_t)i));
    return OK;
}

enum rcode kafka_lag_group(struct kafka_lag *lag, int input, int timeout_ms,
                           struct kafka_group *ret_group, struct err *err)
{
    const char *name = lag->inputs[input].group;
    *ret_group = (struct kafka_group){0};
    enum rcode rc = lag_open_scan(lag, err);
    if (rc != OK)
        return rc;
    struct client *client = lag->scan.client;
    struct lag_answers answers = {.queue = rd_kafka_queue_new(client->handle),
                                  .deadline_ms = clock_monotonic_ms() + timeout_ms};
    rd_kafka_AdminOptions_t *options =
        facts_admin_options(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout_ms);
    rd_kafka_DescribeConsumerGroups(client->handle, &name, 1, options, answers.queue);
    rd_kafka_event_t *event = lag_answer(&answers);
    facts_waits(&lag->inputs[input].waits_ms, event != NULL);
    rc = event ? take_group(event, lag->inputs[input].topic, ret_group, err)
               : err_set(err, E_TIMEOUT, "group %s: its coordinator does not answer", name);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers.queue);
    return rc;
}

void kafka_group_deinit(struct kafka_group *group)
{
    for (int i = 0; i < group->owner_count; i++)
        mem_free(group->owners[i]);
    mem_free(group->owners);
    *group = (struct kafka_group){0};
}
