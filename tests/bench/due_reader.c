/*
 * How late commands reach a sender: reads the due topic as a read_committed reader does and
 * compares the moment a record arrives, and its timestamp, with the time in its header "due".
 *
 *     due_reader BOOTSTRAP TOPIC RECORDS      prints a JSON line; milliseconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "base/arena.h"
#include "base/clock.h"

#define WAIT_MS 120000 /* without a record: give up */

static void die(const char *what)
{
    fprintf(stderr, "due_reader: %s\n", what);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        die(text);
}

static rd_kafka_t *open_consumer(const char *bootstrap, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", "due-reader");
    set(conf, "isolation.level", "read_committed");
    set(conf, "fetch.wait.max.ms", "5");
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!client)
        die(text);
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (rd_kafka_metadata(client, 0, handle, &metadata, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("no metadata");
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(8);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(all, topic, i)->offset = 0;
    rd_kafka_assign(client, all);
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return client;
}

static int64_t due_of(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size = 0;
    char text[32];
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "due", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        size >= sizeof(text))
        die("a record without the header \"due\"");
    memcpy(text, value, size);
    text[size] = '\0';
    return strtoll(text, NULL, 10);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void print(const char *name, int64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    printf("\"%s\": {\"min\": %lld, \"p50\": %lld, \"p99\": %lld, \"p999\": %lld, \"max\": %lld}",
           name, (long long)values[0], (long long)values[count / 2],
           (long long)values[count * 99 / 100], (long long)values[count * 999 / 1000],
           (long long)values[count - 1]);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        die("usage: due_reader BOOTSTRAP TOPIC RECORDS");
    size_t wanted = strtoul(argv[3], NULL, 10), count = 0;
    int64_t *arrived = mem_alloc(wanted * sizeof(int64_t));
    int64_t *stamped = mem_alloc(wanted * sizeof(int64_t));
    rd_kafka_t *client = open_consumer(argv[1], argv[2]);
    while (count < wanted) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, WAIT_MS);
        if (!message)
            die("no record for two minutes");
        if (!message->err) {
            rd_kafka_timestamp_type_t type;
            int64_t due_ms = due_of(message);
            arrived[count] = clock_wall_ms() - due_ms;
            stamped[count++] = rd_kafka_message_timestamp(message, &type) - due_ms;
        }
        rd_kafka_message_destroy(message);
    }
    printf("{\"records\": %zu, ", count);
    print("arrived", arrived, count);
    printf(", ");
    print("stamped", stamped, count);
    printf("}\n");
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    mem_free(arrived);
    mem_free(stamped);
    return 0;
}
