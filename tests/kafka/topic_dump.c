/* topic_dump: writes every record of some topics, as one kind of reader sees them now, and exits.
 *
 * For each partition the end is asked first: the last stable offset for a read_committed reader,
 * the high watermark for a read_uncommitted one. A commit is visible only once the coordinator has
 * written its markers, a moment after the producer was told; --stable-ms waits until no transaction
 * is open. Consuming then goes on until the client reports the end of every partition at or past
 * that offset, since records alone cannot tell: control records and aborted ones are never
 * delivered.
 */
#include "topic_records.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_TIMEOUT_MS = 30000 };

struct options {
    const char *bootstrap;
    bool read_uncommitted;
    int64_t stable_ms;
    int64_t deadline_ms;
    bool counts_only;
    bool ends_only;
};

struct part {
    const char *topic;
    int32_t partition;
    int64_t end;
    int64_t count;
    bool done;
};

struct parts {
    struct part *items;
    size_t count;
};

static void usage(void)
{
    fputs("usage: topic_dump -b BOOTSTRAP [--isolation read_committed|read_uncommitted]\n"
          "                  [--stable-ms N] [--deadline-ms N] [--count | --ends] TOPIC...\n",
          stderr);
    exit(64);
}

static void watermarks(rd_kafka_t *client, const struct part *part, int64_t *ret_low,
                       int64_t *ret_high)
{
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        client, part->topic, part->partition, ret_low, ret_high, CALL_TIMEOUT_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("offsets of %s-%d: %s", part->topic, part->partition, rd_kafka_err2str(code));
}

static void find_parts(rd_kafka_t *client, const char *topic, struct parts *parts)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, handle, &metadata, CALL_TIMEOUT_MS);
    int partition_count;

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = metadata->topics[0].err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("topic %s: %s", topic, rd_kafka_err2str(code));
    partition_count = metadata->topics[0].partition_cnt;
    parts->items =
        realloc(parts->items, (parts->count + (size_t)partition_count) * sizeof(*parts->items));
    if (parts->items == NULL)
        fail("out of memory");
    for (int i = 0; i < partition_count; i++)
        parts->items[parts->count++] =
            (struct part){.topic = topic, .partition = metadata->topics[0].partitions[i].id};
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
}

/* Waits until the last stable offset is the high watermark. */
static void wait_stable(rd_kafka_t *committed, rd_kafka_t *uncommitted, const struct part *part,
                        int64_t deadline_ms)
{
    for (;;) {
        int64_t low, stable, high;

        watermarks(committed, part, &low, &stable);
        watermarks(uncommitted, part, &low, &high);
        if (stable >= high)
            return;
        if (now_ms() > deadline_ms)
            fail("%s-%d: a transaction is still open (last stable offset %lld, end %lld)",
                 part->topic, part->partition, (long long)stable, (long long)high);
        pause_ms(20);
    }
}

static rd_kafka_t *reader_new(const struct options *options, bool read_uncommitted)
{
    rd_kafka_conf_t *conf = client_conf(options->bootstrap);

    client_set(conf, "group.id", "topic-dump");
    client_set(conf, "isolation.level", read_uncommitted ? "read_uncommitted" : "read_committed");
    client_set(conf, "enable.auto.commit", "false");
    client_set(conf, "enable.partition.eof", "true");
    client_set(conf, "auto.offset.reset", "error");
    client_set(conf, "allow.auto.create.topics", "false");
    client_set(conf, "fetch.queue.backoff.ms", "10");
    client_set(conf, "fetch.wait.max.ms", "50");
    return client_new(RD_KAFKA_CONSUMER, conf);
}

/* In the order of the topics given. */
static void find_ends(rd_kafka_t *reader, struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        int64_t low;

        watermarks(reader, &parts->items[i], &low, &parts->items[i].end);
    }
}

/* Assigns at explicit offsets: a logical one can jump to the end when its reply comes late. */
static size_t assign(rd_kafka_t *reader, struct parts *parts)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)parts->count);
    size_t open = 0;
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < parts->count; i++) {
        struct part *part = &parts->items[i];
        int64_t low;

        watermarks(reader, part, &low, &part->end);
        part->done = low >= part->end;
        if (part->done)
            continue;
        open++;
        rd_kafka_topic_partition_list_add(list, part->topic, part->partition)->offset = low;
    }
    code = rd_kafka_assign(reader, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("assign: %s", rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
    return open;
}

static struct part *part_of(struct parts *parts, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);

    for (size_t i = 0; i < parts->count; i++)
        if (parts->items[i].partition == message->partition &&
            strcmp(parts->items[i].topic, topic) == 0)
            return &parts->items[i];
    fail("a message of %s-%d, which is not assigned", topic, message->partition);
}

static void consume(rd_kafka_t *reader, const struct options *options, struct parts *parts)
{
    size_t open = assign(reader, parts);

    while (open > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);

        if (now_ms() > options->deadline_ms)
            fail("the end of %zu partitions was not reached in time", open);
        if (message == NULL)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            struct part *part = part_of(parts, message);

            /* What was written after the end was asked is left out, so that two calls compare. */
            if (!part->done && message->offset < part->end) {
                part->count++;
                if (!options->counts_only)
                    record_write(stdout, message);
            }
            if (!part->done && message->offset + 1 >= part->end) {
                part->done = true;
                open--;
            }
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            struct part *part = part_of(parts, message);

            if (!part->done && message->offset >= part->end) {
                part->done = true;
                open--;
            }
        } else if (message->err != RD_KAFKA_RESP_ERR__TRANSPORT &&
                   message->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            fail("%s", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
}

static struct options options_parse(int argc, char **argv)
{
    static const struct option names[] = {{"isolation", required_argument, NULL, 'i'},
                                          {"stable-ms", required_argument, NULL, 's'},
                                          {"deadline-ms", required_argument, NULL, 'd'},
                                          {"count", no_argument, NULL, 'c'},
                                          {"ends", no_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.deadline_ms = 120000};
    int option;

    while ((option = getopt_long(argc, argv, "b:", names, NULL)) != -1) {
        if (option == 'b')
            options.bootstrap = optarg;
        else if (option == 'i')
            options.read_uncommitted = strcmp(optarg, "read_uncommitted") == 0;
        else if (option == 's')
            options.stable_ms = strtoll(optarg, NULL, 10);
        else if (option == 'd')
            options.deadline_ms = strtoll(optarg, NULL, 10);
        else if (option == 'c')
            options.counts_only = true;
        else if (option == 'e')
            options.ends_only = true;
        else
            usage();
    }
    if (options.bootstrap == NULL || optind >= argc)
        usage();
    options.deadline_ms += now_ms();
    return options;
}

int main(int argc, char **argv)
{
    struct options options = options_parse(argc, argv);
    rd_kafka_t *reader = reader_new(&options, options.read_uncommitted);
    struct parts parts = {NULL, 0};

    for (int i = optind; i < argc; i++)
        find_parts(reader, argv[i], &parts);
    if (options.stable_ms > 0) {
        rd_kafka_t *committed = options.read_uncommitted ? reader_new(&options, false) : reader;
        rd_kafka_t *uncommitted = options.read_uncommitted ? reader : reader_new(&options, true);
        int64_t deadline_ms = now_ms() + options.stable_ms;

        for (size_t i = 0; i < parts.count; i++)
            wait_stable(committed, uncommitted, &parts.items[i], deadline_ms);
        rd_kafka_destroy(options.read_uncommitted ? committed : uncommitted);
    }
    if (options.ends_only)
        find_ends(reader, &parts);
    else
        consume(reader, &options, &parts);
    if (options.counts_only || options.ends_only)
        for (size_t i = 0; i < parts.count; i++)
            printf("%s\t%d\t%lld\t%lld\n", parts.items[i].topic, parts.items[i].partition,
                   (long long)parts.items[i].count, (long long)parts.items[i].end);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("cannot write");
    free(parts.items);
    rd_kafka_destroy(reader);
    return 0;
}
