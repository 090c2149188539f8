/*
 * Offsets that somebody moved, certificates that are lost, records that retention has deleted: what
 * follows from the log goes on, and what would be a guess stops its partition with a named error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture.h"
#include "sim_commands.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define A "a@example.org"

/* One partition, and commands that have left, that wait, that are remembered. */
static void init(struct sim *sim, uint64_t seed)
{
    struct sim_options options = {.seed = seed,
                                  .role = SIM_DISPATCHER,
                                  .partitions = 1,
                                  .nodes = 1,
                                  .recipients = 20,
                                  .batch_records_max = 20,
                                  .delay_ms_max = 1000 * HOUR,
                                  .clean = true};
    sim_init(sim, &options);
}

static void schedule_many(struct sim *sim, int count, int64_t due_ms)
{
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "m%lld", (long long)sim->produced);
        sim_schedule(sim, A, name, due_ms);
    }
}

static void init_and_run(struct sim *sim, uint64_t seed)
{
    init(sim, seed);
    schedule_many(sim, 30, sim_wall(sim) + SECOND);
    sim_must_drain(sim);
    schedule_many(sim, 10, sim_wall(sim) + HOUR);
    schedule_many(sim, 10, sim_wall(sim) + SECOND);
    sim_pass(sim, 3 * SECOND);
    assert_int_equal(sim_count(sim, TOPIC_DUE, 0), 40);
    assert_string_equal(sim_certificate_field(sim, 0, "m"), "30");
}

static int64_t committed(const struct sim *sim)
{
    return memory_committed(sim->cluster, sim_group(sim), TOPIC_DELAYED, 0, NULL);
}

static int64_t end(const struct sim *sim)
{
    return memory_watermarks(sim->cluster, TOPIC_DELAYED, 0).high;
}

static void restart(struct sim *sim, bool wiped)
{
    sim_kill_all(sim);
    if (wiped)
        sim_wipe_all(sim);
    sim_start_all(sim);
    sim_pass(sim, SECOND);
}

static void assert_failure(const struct sim *sim, enum rcode expected)
{
    assert_string_equal(rcode_name(sim_failure(sim, 0)), rcode_name(expected));
    assert_int_equal(sim->nodes[0].ended, OK);
}

/* --- offsets --- */

static void offsets_moved(int64_t offset, bool wiped, const char *logged)
{
    struct sim sim;
    struct buf log;
    init_and_run(&sim, 1);
    schedule_many(&sim, 5, sim_wall(&sim) + HOUR);
    sim_kill_all(&sim);
    if (wiped)
        sim_wipe_all(&sim);
    assert_int_equal(committed(&sim), 50);
    sim_set_input_offset(&sim, 0, offset);
    buf_init(&log);
    capture_begin();
    sim_start_all(&sim);
    sim_pass(&sim, SECOND);
    capture_end(&log);
    buf_append(&log, "", 1);
    if (!strstr(log.data, logged))
        fail_msg("moved to %lld: logged is: %s", (long long)offset, log.data);
    buf_deinit(&log);
    assert_failure(&sim, OK);
    assert_int_equal(committed(&sim), 55);
    assert_string_equal(sim_certificate_field(&sim, 0, "n"), "15");
    memory_cluster_advance(sim.cluster, HOUR);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 55);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void offsets_moved_back_are_skipped(void **state)
{
    (void)state;
    for (int64_t offset = 0; offset < 50; offset += 7) {
        offsets_moved(offset, false, "code=offset_rewound");
        offsets_moved(offset, true, "code=offset_rewound");
    }
}

/* What lies between is a part of the state: it cannot be left out. */
static void offsets_moved_ahead_are_put_back(void **state)
{
    (void)state;
    for (int64_t offset = 51; offset <= 55; offset++) {
        offsets_moved(offset, false, "code=offset_ahead");
        offsets_moved(offset, true, "code=offset_ahead");
    }
}

static void offsets_removed_are_in_the_certificate(void **state)
{
    (void)state;
    offsets_moved(-1, false, "");
    offsets_moved(-1, true, "");
}

/* --- certificates --- */

/* Local state, or records in the due topic, or a due topic that once had some: something was
 * released, and nobody knows up to where. */
static void a_lost_certificate_stops_the_partition(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sim sim;
        init_and_run(&sim, 2);
        sim_kill_all(&sim);
        sim_remove_certificate(&sim, 0);
        if (i > 0)
            sim_wipe_all(&sim);
        if (i == 0) {
            memory_topic_recreate(sim.cluster, TOPIC_DUE, 1);
        } else if (i == 2) {
            memory_topic_truncate(sim.cluster, TOPIC_DUE, 0,
                                  memory_watermarks(sim.cluster, TOPIC_DUE, 0).high);
            assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 0);
        }
        int64_t sent = sim_count(&sim, TOPIC_DUE, 0);
        for (int removed = 0; removed < 2; removed++) {
            sim_start_all(&sim);
            sim_pass(&sim, 2 * HOUR / 3600);
            sim_must_settle(&sim);
            assert_failure(&sim, E_CERTIFICATE_LOST);
            assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), sent);
            sim_kill_all(&sim);
            sim_set_input_offset(&sim, 0, -1);
        }
        sim_deinit(&sim);
    }
}

/* A dispatcher that is new, where the worker has been at work for long. */
static void it_may_be_new_where_commands_are_old(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 3);
    sim.options.nodes = 0;
    sim_kill_all(&sim);
    schedule_many(&sim, 30, sim_wall(&sim) - HOUR);
    schedule_many(&sim, 30, sim_wall(&sim) + HOUR);
    memory_cluster_advance(sim.cluster, 20 * SECOND);
    sim.options.nodes = 1;
    sim_start_all(&sim);
    sim_pass(&sim, 3 * SECOND);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 30);
    restart(&sim, true);
    assert_failure(&sim, OK);
    assert_string_equal(sim_certificate_field(&sim, 0, "n"), "30");
    memory_cluster_advance(sim.cluster, HOUR);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* --- retention --- */

static void truncate_to(const struct sim *sim, int64_t log_start)
{
    memory_topic_truncate(sim->cluster, TOPIC_DELAYED, 0, log_start);
}

static void pending_records_that_are_gone_cannot_be_restored(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 4);
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    truncate_to(&sim, 31); /* the first pending one */
    sim_start_all(&sim);
    sim_must_settle(&sim);
    assert_failure(&sim, E_CHANGELOG_TRUNCATED);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 40);
    sim_deinit(&sim);
}

/* The local state is all there is of them. */
static void with_local_state_nothing_has_to_be_restored(void **state)
{
    (void)state;
    for (int64_t start = 31; start <= 50; start += 19) {
        struct sim sim;
        init_and_run(&sim, 5);
        sim_kill_all(&sim);
        truncate_to(&sim, start);
        sim_start_all(&sim);
        sim_pass(&sim, SECOND);
        assert_failure(&sim, OK);
        schedule_many(&sim, 5, sim_wall(&sim) + SECOND);
        memory_cluster_advance(sim.cluster, HOUR);
        sim_must_drain(&sim);
        assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 55);
        sim_deinit(&sim);
    }
}

/* Those that are only remembered: nothing that is pending needs them. The partition may have been
 * idle for so long that its whole log is gone. */
static void remembered_records_that_are_gone_are_not_missed(void **state)
{
    (void)state;
    for (int idle = 0; idle < 2; idle++) {
        struct sim sim;
        init(&sim, 6);
        schedule_many(&sim, 10, sim_wall(&sim) + SECOND);
        sim_pass(&sim, 3 * SECOND);
        assert_string_equal(sim_certificate_field(&sim, 0, "r"), "0");
        if (!idle) {
            sim_schedule(&sim, A, "late", sim_wall(&sim) - 2 * SECOND);
            sim_schedule(&sim, A, "later", sim_wall(&sim) + HOUR);
            sim_kill_all(&sim);
            sim_start_all(&sim);
            sim_pass(&sim, SECOND);
        }
        sim_kill_all(&sim);
        sim_wipe_all(&sim);
        truncate_to(&sim, idle ? 10 : 11);
        sim_start_all(&sim);
        sim_pass(&sim, SECOND);
        assert_failure(&sim, OK);
        sim_schedule(&sim, A, "last", sim_wall(&sim) + SECOND);
        memory_cluster_advance(sim.cluster, HOUR);
        sim_must_drain(&sim);
        assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), idle ? 11 : 13);
        sim_deinit(&sim);
    }
}

/* Nobody ran for longer than the retention: records were deleted that nobody had read. What was
 * read before is in the local state, and stays there. */
static void unread_records_that_are_gone_stop_the_partition_until_told(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 7);
    sim_kill_all(&sim);
    schedule_many(&sim, 10, sim_wall(&sim) + SECOND);
    truncate_to(&sim, 55);
    for (int i = 0; i < 2; i++) {
        sim_start_all(&sim);
        sim_must_settle(&sim);
        assert_failure(&sim, E_INPUT_TRUNCATED);
        sim_kill_all(&sim);
    }
    sim_set_input_offset(&sim, 0, 55);
    sim_start_all(&sim);
    sim_pass(&sim, SECOND);
    assert_failure(&sim, OK);
    assert_string_equal(sim_certificate_field(&sim, 0, "n"), "10");
    memory_cluster_advance(sim.cluster, HOUR);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 40 + 5 + 10);
    assert_int_equal(committed(&sim), end(&sim));
    sim_deinit(&sim);
}

/* While it is behind: first it reads what it lacks. */
static void a_state_that_is_behind_reads_what_is_left(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 8);
    sim_kill_all(&sim);
    sim.options.nodes = 0;
    sim_start(&sim, 1);
    schedule_many(&sim, 10, sim_wall(&sim) + HOUR);
    sim_pass(&sim, 2 * SECOND);
    sim_kill_all(&sim);
    truncate_to(&sim, 50);
    sim.options.nodes = 1;
    sim_start_all(&sim);
    sim_pass(&sim, SECOND);
    assert_failure(&sim, OK);
    assert_string_equal(sim_certificate_field(&sim, 0, "n"), "20");
    memory_cluster_advance(sim.cluster, HOUR);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 60);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_moved_back_are_skipped),
        cmocka_unit_test(offsets_moved_ahead_are_put_back),
        cmocka_unit_test(offsets_removed_are_in_the_certificate),
        cmocka_unit_test(a_lost_certificate_stops_the_partition),
        cmocka_unit_test(it_may_be_new_where_commands_are_old),
        cmocka_unit_test(pending_records_that_are_gone_cannot_be_restored),
        cmocka_unit_test(with_local_state_nothing_has_to_be_restored),
        cmocka_unit_test(remembered_records_that_are_gone_are_not_missed),
        cmocka_unit_test(unread_records_that_are_gone_stop_the_partition_until_told),
        cmocka_unit_test(a_state_that_is_behind_reads_what_is_left),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
