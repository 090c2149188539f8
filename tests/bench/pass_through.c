/*
 * The ceiling that the worker is measured against: consumes the input and writes as many records of
 * the same size to the same topics as the worker did, in transactions with offsets, over the same
 * port, and does nothing else.
 *
 *     pass_through BOOTSTRAP INPUT GROUP RECORDS {TOPIC:RECORDS:OCTETS}…
 *
 * RECORDS of the input and, for each output topic (named by role, e.g. recipients), how many
 * records there were in all and their octets on average. Ends when all input is committed; prints a
 * JSON line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/clock.h"
#include "kafka/kafka_port.h"

#define BATCH_MAX 65536
#define INTERVAL_MS 100
#define VALUE_MAX_OCTETS 65536

struct output {
    enum topic topic;
    int32_t partitions;
    double per_record; /* outputs for one input record */
    double due;        /* how many are to be sent by now */
    size_t octets;
};

struct pass {
    struct port *port;
    struct output outputs[TOPIC_COUNT];
    int output_count;
    struct port_position *positions;
    int partition_count;
    bool assigned;
    int64_t done;
};

static void check(enum rcode rc, const struct err *err, const char *what)
{
    if (rc == OK)
        return;
    fprintf(stderr, "pass_through: %s: %s\n", what, err->text);
    exit(1);
}

static void on_assigned(void *context, const int32_t *partitions, int count)
{
    struct pass *pass = context;
    pass->positions = mem_realloc(pass->positions, (size_t)count * sizeof(*pass->positions));
    pass->partition_count = count;
    for (int i = 0; i < count; i++)
        pass->positions[i] = (struct port_position){partitions[i], 0};
    pass->assigned = true;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
    (void)partitions, (void)count, (void)lost;
    ((struct pass *)context)->partition_count = 0;
}

static void retry(enum rcode (*step)(struct port *port, struct err *err), struct port *port,
                  const char *what)
{
    struct err err;
    enum rcode rc;
    while ((rc = step(port, &err)) != OK && rcode_disposition(rc) == DISPOSITION_RETRY)
        ;
    check(rc, &err, what);
}

static void send_outputs(struct pass *pass, const struct port_record *record, const char *value)
{
    struct err err;
    for (int i = 0; i < pass->output_count; i++) {
        struct output *output = &pass->outputs[i];
        for (output->due += output->per_record; output->due >= 1; output->due -= 1) {
            struct port_message message = {.topic = output->topic,
                                           .partition = record->partition % output->partitions,
                                           .key = record->key,
                                           .value = {value, output->octets}};
            enum rcode rc;
            while ((rc = pass->port->ops->send(pass->port, &message, &err)) != OK &&
                   rcode_disposition(rc) == DISPOSITION_RETRY)
                ;
            check(rc, &err, "send");
        }
    }
}

static void commit_batch(struct pass *pass, const struct port_record *records, size_t count,
                         const char *value)
{
    struct port *port = pass->port;
    struct err err;
    struct port_commit *commits = mem_alloc(2 * (size_t)pass->partition_count * sizeof(*commits));
    retry(port->ops->begin, port, "begin");
    for (size_t i = 0; i < count; i++) {
        send_outputs(pass, &records[i], value);
        for (int p = 0; p < pass->partition_count; p++)
            if (pass->positions[p].partition == records[i].partition)
                pass->positions[p].offset = records[i].offset + 1;
    }
    retry(port->ops->flush, port, "flush");
    for (int p = 0; p < pass->partition_count; p++) {
        commits[2 * p] = (struct port_commit){.topic = TOPIC_BOUNCES,
                                              .partition = pass->positions[p].partition,
                                              .offset = pass->positions[p].offset};
        commits[2 * p + 1] = commits[2 * p];
        commits[2 * p + 1].topic = TOPIC_RECIPIENTS;
    }
    check(port->ops->send_offsets(port, commits, 2 * pass->partition_count, &err), &err, "offsets");
    retry(port->ops->commit, port, "commit");
    mem_free(commits);
    pass->done += (int64_t)count;
}

static void run(struct pass *pass, int64_t wanted)
{
    static const char value[VALUE_MAX_OCTETS];
    struct port_record *records = mem_alloc(BATCH_MAX * sizeof(*records));
    struct port *port = pass->port;
    while (pass->done < wanted) {
        struct err err = {0};
        size_t count = 0;
        int64_t deadline = clock_monotonic_ms() + INTERVAL_MS, left = INTERVAL_MS;
        for (; left > 0 && count < BATCH_MAX; left = deadline - clock_monotonic_ms()) {
            size_t got = 0;
            int32_t partition;
            enum rcode rc = port->ops->poll(port, (int)left, BATCH_MAX - count, records + count,
                                            &got, &partition, &err);
            if (rc != OK && rcode_disposition(rc) != DISPOSITION_RETRY)
                check(rc, &err, "poll");
            count += got;
            if (pass->assigned)
                break;
        }
        if (count && !pass->assigned)
            commit_batch(pass, records, count, value);
        port->ops->release(port);
        if (pass->assigned)
            check(port->ops->assign(port, pass->positions, pass->partition_count, &err), &err,
                  "assign");
        pass->assigned = false;
    }
    mem_free(records);
}

static void parse_outputs(struct pass *pass, int argc, char **argv, double records)
{
    static const char *const keys[TOPIC_COUNT] = {
#define X(constant, key, name) [constant] = key,
        TOPICS(X)
#undef X
    };
    for (int i = 0; i < argc; i++) {
        char role[32];
        double count, octets;
        struct err err;
        if (sscanf(argv[i], "%31[^:]:%lf:%lf", role, &count, &octets) != 3)
            exit(64);
        struct output *output = &pass->outputs[pass->output_count++];
        *output = (struct output){.per_record = count / records, .octets = (size_t)octets};
        for (int topic = 0; topic < TOPIC_COUNT; topic++)
            if (!strcmp(keys[topic], role))
                output->topic = (enum topic)topic;
        check(
            pass->port->ops->partition_count(pass->port, output->topic, &output->partitions, &err),
            &err, role);
    }
}

int main(int argc, char **argv)
{
    struct err err;
    struct rusage usage;
    if (argc < 5)
        return 64;
    const struct kafka_property property = {"bootstrap.servers", argv[1]};
    struct kafka_port_options options = {.properties = {&property, 1},
                                         .input = TOPIC_BOUNCES,
                                         .certificate = TOPIC_RECIPIENTS,
                                         .group = argv[3],
                                         .instance = "0",
                                         .transactional_id = argv[3]};
#define X(constant, key, name) options.topics[constant] = "rimbalzo." name;
    TOPICS(X)
#undef X
    options.topics[TOPIC_BOUNCES] = argv[2];
    struct pass pass = {0};
    check(kafka_port_new(&options, &pass.port, &err), &err, "port");
    parse_outputs(&pass, argc - 5, argv + 5, atof(argv[4]));
    pass.port->listener = (struct port_listener){&pass, on_assigned, on_revoked};
    retry(pass.port->ops->producer_open, pass.port, "producer");
    int64_t began_us = clock_monotonic_us();
    run(&pass, atoll(argv[4]));
    double seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"records\":%lld,\"seconds\":%.3f,\"cpu_seconds\":%.2f,\"rss_kb\":%ld}\n",
           (long long)pass.done, seconds,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           usage.ru_maxrss);
    pass.port->ops->free(pass.port);
    mem_free(pass.positions);
    return 0;
}
