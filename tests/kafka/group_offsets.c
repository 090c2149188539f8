/* group_offsets: prints what a group has committed, with the metadata that Kafka's own tool hides:
 * topic, partition, offset (−1: none), metadata, separated by tabs. Only stable offsets are shown;
 * with a transaction pending on one of them it exits with 75. With -d it deletes the group, as
 * expiry would: 75 while it has members. With -t TOPIC as well only its offsets on that topic. */
#include "topic_records.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>

enum { CALL_TIMEOUT_MS = 30000, EXIT_UNSTABLE = 75 };

static void print_partition(const rd_kafka_topic_partition_t *partition)
{
    if (partition->err == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT)
        exit(EXIT_UNSTABLE);
    if (partition->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("%s-%d: %s", partition->topic, partition->partition, rd_kafka_err2str(partition->err));
    printf("%s\t%d\t%lld\t%.*s\n", partition->topic, partition->partition,
           (long long)(partition->offset < 0 ? -1 : partition->offset),
           (int)partition->metadata_size,
           partition->metadata_size > 0 ? (const char *)partition->metadata : "");
}

static void print_offsets(rd_kafka_t *client, const char *group)
{
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const rd_kafka_group_result_t **groups;
    const rd_kafka_topic_partition_list_t *list;
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
    rd_kafka_event_t *event;
    size_t count;

    if (error != NULL)
        fail("%s", rd_kafka_error_string(error));
    rd_kafka_ListConsumerGroupOffsets(client, &request, 1, options, queue);
    event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
    if (event == NULL)
        fail("no answer within %d ms", CALL_TIMEOUT_MS);
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT)
        exit(EXIT_UNSTABLE);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("%s", rd_kafka_event_error_string(event));
    groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    if (count != 1)
        fail("%zu groups in the answer", count);
    error = (rd_kafka_error_t *)(uintptr_t)rd_kafka_group_result_error(groups[0]);
    if (error != NULL)
        fail("%s: %s", group, rd_kafka_error_string(error));
    list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; i < list->cnt; i++)
        print_partition(&list->elems[i]);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}

static void check_deleted(rd_kafka_queue_t *queue, const char *group, bool offsets)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
    const rd_kafka_group_result_t **groups;
    const rd_kafka_error_t *error;
    size_t count;
    if (event == NULL)
        fail("no answer within %d ms", CALL_TIMEOUT_MS);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("%s", rd_kafka_event_error_string(event));
    groups = offsets ? rd_kafka_DeleteConsumerGroupOffsets_result_groups(
                           rd_kafka_event_DeleteConsumerGroupOffsets_result(event), &count)
                     : rd_kafka_DeleteGroups_result_groups(
                           rd_kafka_event_DeleteGroups_result(event), &count);
    error = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    if (error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP)
        exit(EXIT_UNSTABLE);
    if (error != NULL)
        fail("%s: %s", group, rd_kafka_error_string(error));
    rd_kafka_event_destroy(event);
}

static void delete_group(rd_kafka_t *client, const char *group)
{
    rd_kafka_DeleteGroup_t *request = rd_kafka_DeleteGroup_new(group);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteGroups(client, &request, 1, NULL, queue);
    check_deleted(queue, group, false);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteGroup_destroy(request);
}

static void delete_offsets(rd_kafka_t *client, const char *group, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteConsumerGroupOffsets_t *request;
    if (rd_kafka_metadata(client, 0, handle, &metadata, CALL_TIMEOUT_MS))
        fail("%s: no metadata", topic);
    for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
        rd_kafka_topic_partition_list_add(list, topic, p);
    request = rd_kafka_DeleteConsumerGroupOffsets_new(group, list);
    rd_kafka_DeleteConsumerGroupOffsets(client, &request, 1, NULL, queue);
    check_deleted(queue, group, true);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(request);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
}

int main(int argc, char **argv)
{
    const char *bootstrap = NULL, *topic = NULL;
    bool delete = false;
    rd_kafka_t *client;
    int option;

    while ((option = getopt(argc, argv, "b:dt:")) != -1) {
        if (option == 'b')
            bootstrap = optarg;
        else if (option == 'd')
            delete = true;
        else if (option == 't')
            topic = optarg;
    }
    if (bootstrap == NULL || optind + 1 != argc || (topic && !delete)) {
        fputs("usage: group_offsets -b BOOTSTRAP [-d [-t TOPIC]] GROUP\n", stderr);
        return 64;
    }
    client = client_new(RD_KAFKA_PRODUCER, client_conf(bootstrap));
    if (topic)
        delete_offsets(client, argv[optind], topic);
    else if (delete)
        delete_group(client, argv[optind]);
    else
        print_offsets(client, argv[optind]);
    rd_kafka_destroy(client);
    return 0;
}
