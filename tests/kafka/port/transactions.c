/* Transactions, committed offsets, watermarks. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "probe.h"
#include "scenarios.h"

static int seen;

static void expect_shapes(const struct port_record *record)
{
    switch (seen++) {
    case 0: /* null key, empty value */
        CHECK(!record->key.data);
        CHECK(record->value.data && record->value.len == 0);
        CHECK_NUMBER(record->header_count, 0);
        break;
    case 1: /* empty key, null value */
        CHECK(record->key.data && record->key.len == 0);
        CHECK(!record->value.data);
        break;
    default: /* headers, one of them null, one empty, one with a NUL octet */
        CHECK(str_equal(record->key, STR("key")));
        CHECK_NUMBER(record->header_count, 3);
        CHECK(str_equal(record->headers[0].name, STR("a")));
        CHECK(!record->headers[0].value.data);
        CHECK(record->headers[1].value.data && record->headers[1].value.len == 0);
        CHECK(str_equal(record->headers[2].name, STR("c")));
        CHECK(str_equal(record->headers[2].value, STR("x\0y")));
        CHECK(record->timestamp_ms > 0 && record->timestamp_ms <= clock_wall_ms() + 1000);
    }
}

void records_keep_what_was_sent(void)
{
    struct probe probe;
    struct port_header headers[] = {
        {STR("a"), STR_NULL}, {STR("b"), STR("")}, {STR("c"), STR("x\0y")}};
    struct port_message messages[] = {
        {TOPIC_DUE, 1, STR_NULL, STR(""), NULL, 0, 0},
        {TOPIC_DUE, 1, STR(""), STR_NULL, NULL, 0, 0},
        {TOPIC_DUE, 1, STR("key"), STR("value"), headers, 3, 0},
    };
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    CHECK_OK(ops->begin(probe.port, &last));
    for (int i = 0; i < 3; i++)
        CHECK_OK(ops->send(probe.port, &messages[i], &last));
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_DUE, 1), 3);
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_DUE, 0), -1);
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_DELAYED, 1), -1);
    probe_commit(&probe);
    CHECK_NUMBER(probe_restore(&probe, TOPIC_DUE, 1, 0, 4, expect_shapes), 3);
    probe_close(&probe);
}

void aborted_records_are_not_read(void)
{
    struct probe probe;
    struct port_watermarks marks;
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    probe_send_numbers(&probe, TOPIC_RECIPIENTS, 0, 0, 10);
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    CHECK_OK(RETRYING(ops->watermarks(probe.port, TOPIC_RECIPIENTS, 0, &marks, &last)));
    CHECK_NUMBER(marks.log_start, 0);
    CHECK_NUMBER(marks.high, 10);
    CHECK_NUMBER(marks.stable, 0);
    probe_abort(&probe);
    probe_send_numbers(&probe, TOPIC_RECIPIENTS, 0, 10, 5);
    probe_commit(&probe);
    probe_send_numbers(&probe, TOPIC_RECIPIENTS, 0, 15, 7);
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_RECIPIENTS, 0), 24);
    probe_abort(&probe);
    /* 10 aborted, marker, 5, marker, 7 aborted, marker */
    CHECK_NUMBER(probe_restore(&probe, TOPIC_RECIPIENTS, 0, 0, 25, NULL), 5);
    CHECK_OK(RETRYING(ops->watermarks(probe.port, TOPIC_RECIPIENTS, 0, &marks, &last)));
    CHECK_NUMBER(marks.high, 25);
    CHECK_NUMBER(marks.stable, 25);
    probe_close(&probe);
}

static void committed(struct probe *probe, struct port_committed *entries)
{
    for (int32_t p = 0; p < 2; p++)
        entries[p] = (struct port_committed){.partition = p};
    CHECK_OK(RETRYING(probe->port->ops->committed(probe->port, entries, 2, &last)));
}

void offsets_and_certificates_come_back(void)
{
    struct probe probe;
    struct port_committed entries[2];
    struct arena arena;
    struct str id;
    char longest[PORT_METADATA_MAX + 1];
    int32_t count;
    arena_init(&arena);
    memset(longest, 'x', PORT_METADATA_MAX);
    longest[PORT_METADATA_MAX] = '\0';
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    committed(&probe, entries); /* the group is not known yet */
    for (int i = 0; i < 2; i++) {
        CHECK_NUMBER(entries[i].input_offset, -1);
        CHECK_NUMBER(entries[i].certificate_offset, -1);
        CHECK_NUMBER((int64_t)entries[i].metadata_len, 0);
    }
    probe_producer(&probe);
    probe_join(&probe, 2);
    CHECK_OK(ops->begin(probe.port, &last));
    probe_offsets(&probe, 0, 5, 6, "v1 i=5 t=7 n=1 d=00ff");
    probe_offsets(&probe, 1, 0, 0, longest);
    probe_commit(&probe);
    CHECK_OK(ops->begin(probe.port, &last));
    probe_offsets(&probe, 0, 100, 100, "aborted");
    probe_abort(&probe);
    int64_t begun_us = clock_monotonic_us();
    committed(&probe, entries);
    printf("committed offsets after %" PRId64 " us\n", clock_monotonic_us() - begun_us);
    CHECK_NUMBER(entries[0].input_offset, 5);
    CHECK_NUMBER(entries[0].certificate_offset, 6);
    CHECK(strcmp(entries[0].metadata, "v1 i=5 t=7 n=1 d=00ff") == 0);
    CHECK_NUMBER((int64_t)entries[0].metadata_len, (int64_t)strlen(entries[0].metadata));
    CHECK_NUMBER(entries[1].input_offset, 0);
    CHECK_NUMBER((int64_t)entries[1].metadata_len, PORT_METADATA_MAX);
    CHECK(strcmp(entries[1].metadata, longest) == 0);
    CHECK_OK(RETRYING(ops->partition_count(probe.port, TOPIC_BOUNCES, &count, &last)));
    CHECK_NUMBER(count, 2);
    CHECK_OK(RETRYING(ops->cluster_id(probe.port, &arena, &id, &last)));
    CHECK(id.len > 10);
    arena_deinit(&arena);
    probe_close(&probe);
}

/* Opens a transaction that commits an offset of partition 0 and writes a state record. */
static void open_transaction(struct probe *probe)
{
    probe_producer(probe);
    probe_send_numbers(probe, TOPIC_RECIPIENTS, 0, 0, 3);
    CHECK_OK(RETRYING(probe->port->ops->flush(probe->port, &last)));
    probe_offsets(probe, 0, 7, 3, "open");
}

void unstable_offsets_are_not_no_offsets(void)
{
    struct probe owner, other;
    struct port_committed entries[2] = {{.partition = 0}, {.partition = 1}};
    struct port_watermarks marks;
    probe_open(&owner, &(struct probe_options){0});
    probe_join(&owner, 2);
    open_transaction(&owner);
    probe_open(&other, &(struct probe_options){.transactional_id = "other"});
    const struct port_ops *ops = other.port->ops;
    enum rcode rc = OK;
    for (int i = 0; i < 5 && rc != E_UNSTABLE_OFFSETS; i++)
        rc = ops->committed(other.port, entries, 2, &last);
    CHECK_CODE(rc, E_UNSTABLE_OFFSETS);
    CHECK_OK(RETRYING(ops->committed(other.port, entries + 1, 1, &last)));
    CHECK_NUMBER(entries[1].input_offset, -1);
    CHECK_OK(RETRYING(ops->watermarks(other.port, TOPIC_RECIPIENTS, 0, &marks, &last)));
    CHECK_NUMBER(marks.high, 3);
    CHECK_NUMBER(marks.stable, 0);
    probe_commit(&owner);
    committed(&other, entries);
    CHECK_NUMBER(entries[0].input_offset, 7);
    CHECK_NUMBER(entries[0].certificate_offset, 3);
    probe_close(&other);
    probe_close(&owner);
}

void a_zombie_is_fenced(void)
{
    struct probe zombie, heir;
    struct port_committed entries[2];
    probe_open(&zombie, &(struct probe_options){0});
    probe_join(&zombie, 2);
    open_transaction(&zombie);
    probe_open(&heir, &(struct probe_options){.group = "other"});
    int64_t begun_ms = clock_monotonic_ms();
    probe_producer(&heir);
    printf("the heir began after %" PRId64 " ms\n", clock_monotonic_ms() - begun_ms);
    CHECK_CODE(RETRYING(zombie.port->ops->commit(zombie.port, &last)), E_PRODUCER_FENCED);
    committed(&heir, entries);
    CHECK_NUMBER(entries[0].input_offset, -1);
    CHECK_NUMBER(probe_restore(&heir, TOPIC_RECIPIENTS, 0, 0, 4, NULL), 0);
    zombie.port->ops->producer_close(zombie.port);
    probe_close(&zombie);
    probe_close(&heir);
}

/* A process that dies with a transaction open, as kill -9 leaves it. */
static void die_in_transaction(const char *transactional_id)
{
    int pipes[2];
    char octet;
    CHECK(pipe(pipes) == 0);
    pid_t child = fork(); /* before any handle of librdkafka exists */
    CHECK(child >= 0);
    if (child == 0) {
        struct probe probe;
        probe_open(&probe, &(struct probe_options){.transactional_id = transactional_id,
                                                   .name = "transaction.timeout.ms",
                                                   .value = "10000"});
        probe_join(&probe, 2);
        open_transaction(&probe);
        CHECK(write(pipes[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(pipes[0], &octet, 1) == 1);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    close(pipes[0]);
    close(pipes[1]);
}

static void take_over(const char *transactional_id, int64_t within_ms)
{
    struct probe heir;
    struct port_committed entries[2] = {{.partition = 0}, {.partition = 1}};
    int unstable = 0;
    enum rcode rc;
    die_in_transaction("txn");
    int64_t begun_ms = clock_monotonic_ms();
    probe_open(&heir, &(struct probe_options){.transactional_id = transactional_id});
    probe_producer(&heir);
    while ((rc = heir.port->ops->committed(heir.port, entries, 2, &last)) != OK) {
        CHECK(rcode_disposition(rc) == DISPOSITION_RETRY);
        unstable += rc == E_UNSTABLE_OFFSETS;
        CHECK(clock_monotonic_ms() - begun_ms < within_ms);
        probe_pause(20);
    }
    printf("taken over after %" PRId64 " ms, unstable %d times\n", clock_monotonic_ms() - begun_ms,
           unstable);
    CHECK_NUMBER(entries[0].input_offset, -1);
    CHECK_NUMBER(probe_restore(&heir, TOPIC_RECIPIENTS, 0, 0, 4, NULL), 0);
    probe_close(&heir);
}

void a_dead_owner_holds_up_its_heir_no_longer(void)
{
    take_over("txn", 10000);
}

void a_dead_stranger_holds_up_until_its_timeout(void)
{
    take_over("another", 30000);
}

/* test_port.py has limited the notices topic to records of 1,000 octets. */
void a_record_too_large_is_named(void)
{
    struct probe probe;
    char *value = mem_zalloc(200000);
    uint64_t seed = 1;
    struct port_message message = {
        .topic = TOPIC_NOTICES, .partition = 1, .key = STR("k"), .value = {value, 5000}};
    for (int i = 0; i < 200000; i++) /* or it would be compressed */
        value[i] = (char)((seed = seed * 6364136223846793005u + 1) >> 57);
    probe_open(&probe, &(struct probe_options){.name = "message.max.bytes", .value = "100000"});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    CHECK_OK(ops->begin(probe.port, &last));
    CHECK_OK(ops->send(probe.port, &message, &last));
    CHECK_CODE(RETRYING(ops->flush(probe.port, &last)), E_TOPICS);
    printf("%s\n", last.text);
    CHECK(strstr(last.text, "max.message.bytes of topic") && strstr(last.text, "5000"));
    probe_abort(&probe);
    CHECK_OK(ops->begin(probe.port, &last));
    message.value.len = 200000;
    CHECK_CODE(ops->send(probe.port, &message, &last), E_TOPICS);
    printf("%s\n", last.text);
    probe_abort(&probe);
    mem_free(value);
    probe_close(&probe);
}

/* test_port.py has created no dead-letter topic. */
void a_missing_topic_is_told(void)
{
    struct probe probe;
    int32_t count;
    struct port_message message = {.topic = TOPIC_DEAD_LETTERS, .value = STR("x")};
    probe_open(&probe, &(struct probe_options){.name = "topic.metadata.propagation.max.ms",
                                               .value = "1000"});
    const struct port_ops *ops = probe.port->ops;
    CHECK_CODE(RETRYING(ops->partition_count(probe.port, TOPIC_DEAD_LETTERS, &count, &last)),
               E_TOPICS);
    probe_producer(&probe);
    CHECK_OK(ops->begin(probe.port, &last));
    enum rcode rc = ops->send(probe.port, &message, &last);
    if (rc == OK)
        rc = RETRYING(ops->flush(probe.port, &last));
    CHECK_CODE(rc, E_TOPICS);
    printf("%s\n", last.text);
    probe_abort(&probe);
    probe_close(&probe);
}

/* test_port.py made the recipients topic compact quickly; it goes on once records are gone. */
void restoring_passes_compacted_records(void)
{
    struct probe probe;
    char line[16];
    probe_open(&probe, &(struct probe_options){0});
    probe_producer(&probe);
    for (int round = 0; round < 4; round++) {
        CHECK_OK(probe.port->ops->begin(probe.port, &last));
        for (int i = 0; i < 1000; i++)
            probe_send(&probe, TOPIC_RECIPIENTS, 0, i % 2 ? "odd" : "even", "value");
        probe_commit(&probe);
    }
    printf("filled\n");
    CHECK(fgets(line, sizeof(line), stdin));
    int left = probe_restore(&probe, TOPIC_RECIPIENTS, 0, 0, 4004, NULL);
    printf("%d of 4000 records are left\n", left);
    CHECK(left < 4000 && left >= 2);
    /* From amid the gap. */
    CHECK(probe_restore(&probe, TOPIC_RECIPIENTS, 0, 500, 4004, NULL) <= left);
    probe_close(&probe);
}
