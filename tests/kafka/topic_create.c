/* topic_create: creates topics and returns once their leaders are known. Kafka's own tool does the
 * same with two seconds of Java for each call. */
#include "topic_records.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_TIMEOUT_MS = 30000, SETTINGS_MAX = 32 };

struct options {
    const char *bootstrap;
    int partitions;
    int replication;
    const char *settings[SETTINGS_MAX];
    size_t setting_count;
};

static void usage(void)
{
    fputs("usage: topic_create -b BOOTSTRAP [-p PARTITIONS] [-r REPLICATION] [-c key=value]... "
          "TOPIC...\n",
          stderr);
    exit(64);
}

static void new_topic_set(rd_kafka_NewTopic_t *topic, const char *pair)
{
    char *key = strdup(pair);
    char *equals = key == NULL ? NULL : strchr(key, '=');

    if (equals == NULL)
        fail("not key=value: %s", pair);
    *equals = '\0';
    if (rd_kafka_NewTopic_set_config(topic, key, equals + 1) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("%s cannot be set", key);
    free(key);
}

static void create(rd_kafka_t *client, const struct options *options, char **names, size_t count)
{
    rd_kafka_NewTopic_t **topics = calloc(count, sizeof(*topics));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    size_t result_count;

    if (topics == NULL)
        fail("out of memory");
    for (size_t i = 0; i < count; i++) {
        char text[512];

        topics[i] = rd_kafka_NewTopic_new(names[i], options->partitions, options->replication, text,
                                          sizeof(text));
        if (topics[i] == NULL)
            fail("%s: %s", names[i], text);
        for (size_t j = 0; j < options->setting_count; j++)
            new_topic_set(topics[i], options->settings[j]);
    }
    rd_kafka_CreateTopics(client, topics, count, NULL, queue);
    event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
    if (event == NULL)
        fail("no answer within %d ms", CALL_TIMEOUT_MS);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("%s", rd_kafka_event_error_string(event));
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                                  &result_count);
    for (size_t i = 0; i < result_count; i++)
        if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail("%s: %s", rd_kafka_topic_result_name(results[i]),
                 rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy_array(topics, count);
    free(topics);
}

static int has_leaders(rd_kafka_t *client, const char *name, int partitions)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, name, NULL);
    const struct rd_kafka_metadata *metadata;
    int ready = 0;

    if (rd_kafka_metadata(client, 0, handle, &metadata, CALL_TIMEOUT_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];

        ready = topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && topic->partition_cnt == partitions;
        for (int i = 0; ready && i < topic->partition_cnt; i++)
            ready = topic->partitions[i].leader >= 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return ready;
}

int main(int argc, char **argv)
{
    struct options options = {.partitions = 1, .replication = 1};
    int64_t deadline_ms = now_ms() + CALL_TIMEOUT_MS;
    rd_kafka_t *client;
    int option;

    while ((option = getopt(argc, argv, "b:p:r:c:")) != -1) {
        if (option == 'b')
            options.bootstrap = optarg;
        else if (option == 'p')
            options.partitions = (int)strtol(optarg, NULL, 10);
        else if (option == 'r')
            options.replication = (int)strtol(optarg, NULL, 10);
        else if (option == 'c' && options.setting_count < SETTINGS_MAX)
            options.settings[options.setting_count++] = optarg;
        else
            usage();
    }
    if (options.bootstrap == NULL || optind >= argc)
        usage();
    client = client_new(RD_KAFKA_PRODUCER, client_conf(options.bootstrap));
    create(client, &options, argv + optind, (size_t)(argc - optind));
    for (int i = optind; i < argc; i++) {
        while (!has_leaders(client, argv[i], options.partitions)) {
            if (now_ms() > deadline_ms)
                fail("%s has no leaders yet", argv[i]);
            pause_ms(20);
        }
    }
    rd_kafka_destroy(client);
    return 0;
}
