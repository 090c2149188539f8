/* The group's consumer: joining, seeking, being fenced, positions out of range. */
#include <string.h>

#include "base/arena.h"
#include "probe.h"
#include "scenarios.h"

#define PARTITIONS 2
#define RECORDS 200000 /* of each partition */
#define TRANSACTION 20000
#define ROUNDS 300
#define POLL_MAX 5000

static struct port_record records[POLL_MAX];

/* Records and markers in turn: every transaction of TRANSACTION records ends in one marker. */
static int64_t offset_after(int64_t offset)
{
    return (offset + 1) % (TRANSACTION + 1) == TRANSACTION ? offset + 2 : offset + 1;
}

static void fill_input(struct probe *probe)
{
    for (int from = 0; from < RECORDS; from += TRANSACTION) {
        CHECK_OK(probe->port->ops->begin(probe->port, &last));
        for (int i = from; i < from + TRANSACTION; i++) {
            char text[16];
            snprintf(text, sizeof(text), "%d", i);
            for (int32_t p = 0; p < PARTITIONS; p++)
                probe_send(probe, TOPIC_BOUNCES, p, text, text);
        }
        probe_commit(probe);
    }
}

/* Every assign(p, o) is followed by record o exactly, then by the records after it, none left out.
 */
void assign_is_followed_by_its_offset(void)
{
    struct probe probe;
    uint64_t seed = (uint64_t)clock_monotonic_us();
    int64_t total = 0;
    probe_open(&probe, &(struct probe_options){.instance = "i"});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    fill_input(&probe);
    probe_join(&probe, PARTITIONS);
    for (int round = 0; round < ROUNDS; round++) {
        struct port_position at[PARTITIONS];
        int64_t expected[PARTITIONS] = {-1, -1};
        int count = 0;
        for (int32_t p = 0; p < PARTITIONS; p++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            if (round % 5 == 4 && (seed >> 60) % 2 == 0)
                continue; /* sometimes only one of them, or none */
            int64_t offset = (int64_t)((seed >> 33) % (RECORDS - 60000));
            if (offset % (TRANSACTION + 1) == TRANSACTION)
                offset++; /* that is a marker */
            at[count++] = (struct port_position){p, offset};
            expected[p] = offset;
        }
        CHECK_OK(ops->assign(probe.port, at, count, &last));
        for (int32_t p = 0; p < PARTITIONS; p++)
            CHECK_NUMBER(ops->position(probe.port, p), -1);
        int64_t wanted = count ? (int64_t)((seed >> 20) % 30000) : 0;
        int64_t deadline_ms = clock_monotonic_ms() + 20000;
        for (int64_t got = 0; got < wanted;) {
            CHECK(clock_monotonic_ms() < deadline_ms);
            size_t n = probe_poll(&probe, 100, POLL_MAX, records);
            for (size_t i = 0; i < n; i++) {
                int32_t p = records[i].partition;
                char text[16];
                CHECK(p >= 0 && p < PARTITIONS);
                CHECK_NUMBER(records[i].offset, expected[p]);
                snprintf(text, sizeof(text), "%d",
                         (int)(expected[p] - expected[p] / (TRANSACTION + 1)));
                CHECK(str_equal(records[i].value, str_of(text)));
                expected[p] = offset_after(expected[p]);
            }
            got += (int64_t)n;
            total += (int64_t)n;
            if (got % 3)
                ops->release(probe.port);
        }
        if (round % 7 == 0)
            probe_pause(20); /* let the queue fill */
        ops->release(probe.port);
    }
    printf("%d assigns, %" PRId64 " records\n", ROUNDS, total);
    probe_close(&probe);
}

/* Reading to the end: positions pass the last marker and an aborted tail. */
void position_passes_what_is_not_returned(void)
{
    struct probe probe;
    struct port_position start = {0, 0};
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    probe_send_numbers(&probe, TOPIC_BOUNCES, 0, 0, 10);
    probe_commit(&probe);
    probe_send_numbers(&probe, TOPIC_BOUNCES, 0, 10, 10);
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    probe_abort(&probe);
    probe_join(&probe, PARTITIONS);
    CHECK_NUMBER(ops->position(probe.port, 0), -1);
    CHECK_OK(ops->assign(probe.port, &start, 1, &last));
    int64_t deadline_ms = clock_monotonic_ms() + 20000;
    size_t got = 0;
    while (ops->position(probe.port, 0) < 22) {
        CHECK(clock_monotonic_ms() < deadline_ms);
        got += probe_poll(&probe, 100, POLL_MAX, records);
        CHECK(got == 0 || ops->position(probe.port, 0) >= (int64_t)got);
    }
    CHECK_NUMBER((int64_t)got, 10);
    CHECK_NUMBER(ops->position(probe.port, 0), 22);
    CHECK_NUMBER(ops->position(probe.port, 1), -1);
    ops->release(probe.port);
    probe_close(&probe);
}

/* A poll with nothing to read takes its time; with a record it does not wait for more. */
void poll_waits_for_the_first_record_only(void)
{
    struct probe probe, other;
    struct port_position start[] = {{0, 0}, {1, 0}};
    probe_open(&probe, &(struct probe_options){0});
    probe_open(&other, &(struct probe_options){.group = "other", .transactional_id = "other"});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&other);
    probe_join(&probe, PARTITIONS);
    CHECK_OK(ops->assign(probe.port, start, 2, &last));
    for (int64_t end_ms = clock_monotonic_ms() + 1000; clock_monotonic_ms() < end_ms;)
        probe_poll(&probe, 100, POLL_MAX, records);
    int64_t begun_ms = clock_monotonic_ms();
    CHECK_NUMBER((int64_t)probe_poll(&probe, 300, POLL_MAX, records), 0);
    int64_t took_ms = clock_monotonic_ms() - begun_ms;
    CHECK(took_ms >= 295 && took_ms < 400);
    probe_send_numbers(&other, TOPIC_BOUNCES, 0, 0, 1);
    probe_commit(&other);
    begun_ms = clock_monotonic_ms();
    CHECK_NUMBER((int64_t)probe_poll(&probe, 5000, POLL_MAX, records), 1);
    took_ms = clock_monotonic_ms() - begun_ms;
    CHECK(took_ms < 500);
    printf("first record after %" PRId64 " ms\n", took_ms);
    ops->release(probe.port);
    probe_close(&other);
    probe_close(&probe);
}

/* Members come and go; partitions are revoked even if none of them was ever fetched. */
void a_second_member_takes_half(void)
{
    struct probe one, two;
    struct port_position start = {0, 0};
    probe_open(&one, &(struct probe_options){.instance = "a"});
    probe_open(&two, &(struct probe_options){.instance = "b", .transactional_id = "two"});
    probe_join(&one, PARTITIONS);
    int64_t deadline_ms = clock_monotonic_ms() + 30000;
    while (one.owned_count != 1 || two.owned_count != 1) {
        CHECK(clock_monotonic_ms() < deadline_ms);
        probe_poll(&one, 50, POLL_MAX, records);
        probe_poll(&two, 50, POLL_MAX, records);
    }
    CHECK_NUMBER(one.assigned_calls, 2);
    CHECK_NUMBER(one.revoked_calls, 1);
    CHECK_NUMBER(one.lost_calls, 0);
    start.partition = one.owned[0];
    CHECK_OK(one.port->ops->assign(one.port, &start, 1, &last));
    /* A static member that goes keeps its place until its session ends: 6 s. */
    probe_close(&two);
    probe_join(&one, PARTITIONS);
    CHECK_NUMBER(one.assigned_calls, 3);
    CHECK_NUMBER(one.revoked_calls, 2);
    probe_close(&one);
}

void the_last_owner_of_an_instance_wins(void)
{
    struct probe one, two;
    enum rcode rc = OK;
    size_t count;
    int32_t partition;
    probe_open(&one, &(struct probe_options){.instance = "same"});
    probe_join(&one, PARTITIONS);
    probe_open(&two, &(struct probe_options){.instance = "same", .transactional_id = "two"});
    probe_join(&two, PARTITIONS);
    int64_t deadline_ms = clock_monotonic_ms() + 30000;
    while (rc == OK || rcode_disposition(rc) == DISPOSITION_RETRY) {
        CHECK(clock_monotonic_ms() < deadline_ms);
        rc = one.port->ops->poll(one.port, 100, POLL_MAX, records, &count, &partition, &last);
        probe_poll(&two, 10, POLL_MAX, records);
    }
    CHECK_CODE(rc, E_INSTANCE_FENCED);
    printf("%s\n", last.text);
    CHECK_NUMBER(two.owned_count, PARTITIONS);
    probe_close(&one);
    probe_close(&two);
}

/* test_port.py has moved the log start of partition 0 to 5 when this reads its line. */
void a_position_out_of_range_is_told(void)
{
    struct probe probe;
    struct port_position low[] = {{0, 3}, {1, 0}};
    struct port_position high[] = {{0, 5}, {1, 1000}};
    int32_t partition = -1;
    enum rcode rc = OK;
    size_t count;
    char line[16];
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        probe_send_numbers(&probe, TOPIC_BOUNCES, p, 0, 10);
        probe_commit(&probe);
    }
    printf("filled\n");
    CHECK(fgets(line, sizeof(line), stdin));
    probe_join(&probe, PARTITIONS);
    for (int round = 0; round < 2; round++) {
        int64_t deadline_ms = clock_monotonic_ms() + 30000;
        int64_t got = 0;
        CHECK_OK(ops->assign(probe.port, round ? high : low, 2, &last));
        while (partition < 0 || got < (round ? 5 : 10)) {
            CHECK(clock_monotonic_ms() < deadline_ms);
            rc = ops->poll(probe.port, 100, POLL_MAX, records, &count, &partition, &last);
            for (size_t i = 0; i < count; i++)
                CHECK_NUMBER(records[i].partition, round ? 0 : 1);
            got += (int64_t)count;
            if (partition >= 0) {
                printf("%s\n", last.text);
                CHECK_NUMBER(partition, round ? 1 : 0);
                CHECK_CODE(rc, round ? E_TOPIC_RECREATED : E_INPUT_TRUNCATED);
                if (got >= (round ? 5 : 10))
                    break;
                partition = -1;
                while (got < (round ? 5 : 10)) {
                    CHECK(clock_monotonic_ms() < deadline_ms);
                    got += (int64_t)probe_poll(&probe, 100, POLL_MAX, records);
                }
                break;
            }
        }
        partition = -1;
        ops->release(probe.port);
    }
    probe_close(&probe);
}
