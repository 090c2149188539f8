/* topic_produce: produces the records on stdin, in their order, and exits when all are
 * acknowledged.
 *
 * A record without a partition goes where Java's default partitioner would put it. With a
 * transactional id all of them are one transaction, or one for every --batch records; --end says
 * how the last one ends: commit, abort, or open (the process leaves it to time out, as a killed one
 * does). A line "N" with the number acknowledged so far is printed for every --progress records.
 */
#include "topic_records.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALL_TIMEOUT_MS = 60000, SETTINGS_MAX = 32 };

struct options {
    const char *bootstrap;
    const char *transactional_id; /* NULL: none */
    int64_t batch;                /* records in a transaction; 0: all */
    int64_t progress;
    const char *end;
};

struct tally {
    int64_t acknowledged;
    int64_t failed;
    int64_t progress;
};

static void usage(void)
{
    fputs("usage: topic_produce -b BOOTSTRAP [-X key=value]... [--progress N]\n"
          "                     [--transactional-id ID [--batch N] [--end commit|abort|open]] "
          "<RECORDS\n",
          stderr);
    exit(64);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct tally *tally = opaque;

    (void)client;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tally->failed++;
        /* An abort purges what is queued: that is no failure worth a line each. */
        if (message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
            message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
            fprintf(stderr, "topic_produce: %s-%d: %s\n", rd_kafka_topic_name(message->rkt),
                    message->partition, rd_kafka_err2str(message->err));
        return;
    }
    tally->acknowledged++;
    if (tally->progress > 0 && tally->acknowledged % tally->progress == 0) {
        printf("%lld\n", (long long)tally->acknowledged);
        fflush(stdout);
    }
}

static void check(const char *what, rd_kafka_error_t *error)
{
    if (error != NULL)
        fail("%s: %s", what, rd_kafka_error_string(error));
}

static rd_kafka_headers_t *headers_of(const struct record *record)
{
    rd_kafka_headers_t *headers;

    if (record->header_count == 0)
        return NULL;
    headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->headers[i];

        if (rd_kafka_header_add(headers, header->name, -1, header->value.data,
                                header->value.data == NULL ? -1 : (ssize_t)header->value.size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            fail("a header cannot be added");
    }
    return headers;
}

static void produce(rd_kafka_t *client, const struct record *record)
{
    rd_kafka_headers_t *headers = headers_of(record);
    rd_kafka_resp_err_t code;

    for (;;) {
        rd_kafka_vu_t fields[8] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = record->topic},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_KEY,
             .u.mem = {(void *)(uintptr_t)record->key.data, record->key.size}},
            {.vtype = RD_KAFKA_VTYPE_VALUE,
             .u.mem = {(void *)(uintptr_t)record->value.data, record->value.size}},
        };
        size_t field_count = 5;
        rd_kafka_error_t *error;

        if (record->timestamp_ms >= 0)
            fields[field_count++] =
                (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms};
        if (headers != NULL)
            fields[field_count++] =
                (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
        error = rd_kafka_produceva(client, fields, field_count);
        if (error == NULL)
            return;
        code = rd_kafka_error_code(error);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("%s: %s", record->topic, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        rd_kafka_poll(client, 100);
    }
}

static void flush(rd_kafka_t *client)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(client, CALL_TIMEOUT_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("flush: %s", rd_kafka_err2str(code));
}

static void end_transaction(rd_kafka_t *client, const char *end)
{
    flush(client);
    if (strcmp(end, "commit") == 0)
        check("commit", rd_kafka_commit_transaction(client, CALL_TIMEOUT_MS));
    else if (strcmp(end, "abort") == 0)
        check("abort", rd_kafka_abort_transaction(client, CALL_TIMEOUT_MS));
    else
        _exit(0);
}

static void produce_all(rd_kafka_t *client, const struct options *options, struct tally *tally)
{
    struct record_reader reader = {.file = stdin};
    bool transactional = options->transactional_id != NULL;
    const struct record *record;
    int64_t count = 0;

    if (transactional) {
        check("init", rd_kafka_init_transactions(client, CALL_TIMEOUT_MS));
        check("begin", rd_kafka_begin_transaction(client));
    }
    while ((record = record_read(&reader)) != NULL) {
        if (transactional && options->batch > 0 && count > 0 && count % options->batch == 0) {
            end_transaction(client, "commit");
            check("begin", rd_kafka_begin_transaction(client));
        }
        produce(client, record);
        rd_kafka_poll(client, 0);
        count++;
    }
    record_reader_free(&reader);
    if (transactional)
        end_transaction(client, options->end);
    else
        flush(client);
    if (tally->acknowledged != count || tally->failed != 0)
        fail("%lld of %lld records were acknowledged", (long long)tally->acknowledged,
             (long long)count);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"transactional-id", required_argument, NULL, 't'},
                                          {"batch", required_argument, NULL, 'n'},
                                          {"progress", required_argument, NULL, 'p'},
                                          {"end", required_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.end = "commit"};
    const char *settings[SETTINGS_MAX];
    size_t setting_count = 0;
    struct tally tally = {0, 0, 0};
    rd_kafka_conf_t *conf;
    rd_kafka_t *client;
    int option;

    while ((option = getopt_long(argc, argv, "b:X:", names, NULL)) != -1) {
        if (option == 'b')
            options.bootstrap = optarg;
        else if (option == 'X' && setting_count < SETTINGS_MAX)
            settings[setting_count++] = optarg;
        else if (option == 't')
            options.transactional_id = optarg;
        else if (option == 'n')
            options.batch = strtoll(optarg, NULL, 10);
        else if (option == 'p')
            options.progress = strtoll(optarg, NULL, 10);
        else if (option == 'e')
            options.end = optarg;
        else
            usage();
    }
    if (options.bootstrap == NULL || optind != argc)
        usage();
    if (strcmp(options.end, "commit") != 0 && strcmp(options.end, "abort") != 0 &&
        strcmp(options.end, "open") != 0)
        usage();
    tally.progress = options.progress;
    conf = client_conf(options.bootstrap);
    client_set(conf, "enable.idempotence", "true");
    client_set(conf, "linger.ms", "5");
    client_set(conf, "partitioner", "murmur2_random");
    client_set(conf, "queue.buffering.max.messages", "1000000");
    client_set(conf, "allow.auto.create.topics", "false");
    if (options.transactional_id != NULL)
        client_set(conf, "transactional.id", options.transactional_id);
    for (size_t i = 0; i < setting_count; i++)
        client_set_pair(conf, settings[i]);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, &tally);
    client = client_new(RD_KAFKA_PRODUCER, conf);
    produce_all(client, &options, &tally);
    rd_kafka_destroy(client);
    return 0;
}
