/*
 * What cannot be healed stops its partition with a named error; the process and the other
 * partitions go on. And what an operator does then is obeyed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_scene.h"
#include "sim_strike.h"

static void init_and_run(struct sim *sim, uint64_t seed)
{
    struct sim_options options = {.seed = seed,
                                  .role = sim_role(),
                                  .partitions = 3,
                                  .nodes = 2,
                                  .recipients = 30,
                                  .batch_records_max = 20,
                                  .clean = true};
    sim_init(sim, &options);
    sim_feed(sim, 300);
    sim_must_drain(sim);
}

/* Only `partition` stops, with `code`; nobody's process ended. */
static void assert_only(struct sim *sim, int32_t partition, enum rcode code)
{
    sim_must_settle(sim);
    for (int32_t p = 0; p < sim->options.partitions; p++)
        assert_string_equal(rcode_name(sim_failure(sim, p)),
                            rcode_name(p == partition ? code : OK));
    for (int node = 0; node < SIM_NODES_MAX; node++)
        assert_int_equal(sim->nodes[node].ended, OK);
    sim_feed(sim, 100);
    sim_must_settle(sim);
    sim_check_without(sim, partition);
}

static void input_that_was_deleted_unread_stops_its_partition(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 1);
    sim_kill_all(&sim);
    sim_feed(&sim, 300);
    int64_t committed = memory_committed(sim.cluster, sim_group(&sim), sim_input(&sim), 1, NULL);
    memory_topic_truncate(sim.cluster, sim_input(&sim), 1, committed + 3);
    sim_start_all(&sim);
    assert_only(&sim, 1, E_INPUT_TRUNCATED);
    /* The operator goes on without them. */
    sim_kill_all(&sim);
    sim_set_input_offset(&sim, 1, committed + 3);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    assert_int_equal(sim_failure(&sim, 1), OK);
    sim_deinit(&sim);
}

static void input_deleted_under_a_reader_stops_its_partition(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 2);
    sim_feed(&sim, 900);
    sim_step_all(&sim, 3);
    int64_t end = memory_watermarks(sim.cluster, sim_input(&sim), 2).high;
    assert_true(memory_committed(sim.cluster, sim_group(&sim), sim_input(&sim), 2, NULL) <
                end - 100);
    memory_topic_truncate(sim.cluster, sim_input(&sim), 2, end - 1);
    assert_only(&sim, 2, E_INPUT_TRUNCATED);
    sim_deinit(&sim);
}

static void a_recreated_input_stops_its_partition(void **state)
{
    (void)state;
    for (int running = 0; running < 2; running++) {
        struct sim sim;
        struct sim_options options = {.seed = 3,
                                      .role = sim_role(),
                                      .partitions = 3,
                                      .nodes = 2,
                                      .recipients = 30,
                                      .clean = true};
        sim_init(&sim, &options);
        sim_feed_partition(&sim, 0, 20);
        sim_must_drain(&sim);
        if (!running)
            sim_kill_all(&sim);
        memory_topic_recreate(sim.cluster, sim_input(&sim), 3);
        sim_start_all(&sim);
        sim_must_settle(&sim);
        /* A dispatcher restores from its input: first it misses records of that. */
        assert_int_equal(sim_failure(&sim, 0), sim_role() == SIM_WORKER || running
                                                   ? E_TOPIC_RECREATED
                                                   : E_CHANGELOG_TRUNCATED);
        assert_int_equal(sim_failure(&sim, 1), OK);
        assert_int_equal(sim_failure(&sim, 2), OK);
        sim_deinit(&sim);
    }
}

static void a_recreated_changelog_stops_its_partition(void **state)
{
    (void)state;
    for (int wiped = 0; wiped < 2; wiped++) {
        struct sim sim;
        struct sim_options options = {
            .seed = 4, .partitions = 3, .nodes = 2, .recipients = 30, .clean = true};
        sim_init(&sim, &options);
        sim_feed_partition(&sim, 1, 20);
        sim_must_drain(&sim);
        sim_kill_all(&sim);
        if (wiped)
            sim_wipe_all(&sim);
        memory_topic_recreate(sim.cluster, TOPIC_RECIPIENTS, 3);
        sim_start_all(&sim);
        sim_must_settle(&sim);
        assert_int_equal(sim_failure(&sim, 0), OK);
        assert_int_equal(sim_failure(&sim, 1), E_CHANGELOG_TRUNCATED);
        assert_int_equal(sim_failure(&sim, 2), OK);
        sim_deinit(&sim);
    }
}

static void cut_the_changelog(struct sim *sim, int node)
{
    (void)node;
    memory_topic_truncate(sim->cluster, TOPIC_RECIPIENTS, 0,
                          memory_watermarks(sim->cluster, TOPIC_RECIPIENTS, 0).high - 3);
}

/* Records that the state needs are gone, and there is no local state to make up for them. */
static void a_changelog_cut_short_stops_its_partition(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 5);
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    cut_the_changelog(&sim, 0);
    sim_start_all(&sim);
    assert_only(&sim, 0, E_STATE_MISMATCH);
    sim_deinit(&sim);
}

static void local_state_makes_up_for_a_changelog_cut_short(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 6);
    sim_kill_all(&sim);
    for (int32_t p = 0; p < 3; p++)
        memory_topic_truncate(
            sim.cluster, TOPIC_RECIPIENTS, p,
            memory_committed(sim.cluster, sim_group(&sim), TOPIC_RECIPIENTS, p, NULL));
    sim_feed(&sim, 100);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    sim_deinit(&sim);
}

/* After it was decided where to read from and before it is read. */
static void a_changelog_cut_under_a_reader_stops_its_partition(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_strike strike = {
        .op = MEMORY_RESTORE_POLL, .call = 1, .meanwhile = cut_the_changelog};
    init_and_run(&sim, 7);
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    sim.nodes[0].lives = 0;
    sim_strike_arm(&strike, &sim);
    sim_start_all(&sim);
    assert_only(&sim, 0, E_STATE_MISMATCH);
    assert_true(strike.hit);
    assert_int_equal(sim.nodes[0].lives, 1); /* the process went on */
    sim_deinit(&sim);
}

/* Fed as before, by producers that do not know yet. */
static void assert_grown(struct sim *sim, int64_t outputs)
{
    sim_feed(sim, 100);
    sim_must_settle(sim);
    for (int32_t p = 0; p < sim->options.partitions; p++)
        assert_int_equal(sim_failure(sim, p), E_PARTITION_COUNT_CHANGED);
    assert_int_equal(sim_count_outputs(sim), outputs);
}

static void a_grown_input_stops_every_partition(void **state)
{
    (void)state;
    for (int running = 0; running < 2; running++) {
        struct sim sim;
        init_and_run(&sim, 8);
        int64_t outputs = sim_count_outputs(&sim);
        if (!running)
            sim_kill_all(&sim);
        memory_topic_grow(sim.cluster, sim_input(&sim), 4);
        sim_start_all(&sim);
        assert_grown(&sim, outputs);
        sim_deinit(&sim);
    }
}

static struct memory_fault no_count_yet(void *context, struct port *port, enum memory_op op,
                                        uint64_t call)
{
    (void)context;
    (void)port;
    if (op == MEMORY_PARTITION_COUNT && call <= 20)
        return (struct memory_fault){MEMORY_FAULT_REFUSE, E_TIMEOUT};
    return (struct memory_fault){0};
}

static void nothing_runs_before_the_partitions_are_counted(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 9);
    int64_t outputs = sim_count_outputs(&sim);
    sim_kill_all(&sim);
    memory_topic_grow(sim.cluster, sim_input(&sim), 4);
    sim.faults = (struct memory_faults){.decide = no_count_yet};
    sim_start_all(&sim);
    assert_grown(&sim, outputs);
    for (int node = 0; node < 2; node++)
        assert_int_equal(sim.nodes[node].lives, 2);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_that_was_deleted_unread_stops_its_partition),
        cmocka_unit_test(input_deleted_under_a_reader_stops_its_partition),
        cmocka_unit_test(a_recreated_input_stops_its_partition),
        cmocka_unit_test(a_grown_input_stops_every_partition),
        cmocka_unit_test(nothing_runs_before_the_partitions_are_counted),
    };
    const struct CMUnitTest of_workers[] = {
        cmocka_unit_test(a_recreated_changelog_stops_its_partition),
        cmocka_unit_test(a_changelog_cut_short_stops_its_partition),
        cmocka_unit_test(local_state_makes_up_for_a_changelog_cut_short),
        cmocka_unit_test(a_changelog_cut_under_a_reader_stops_its_partition),
    };
    sim_log();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sim_role() == SIM_WORKER)
        failed += cmocka_run_group_tests(of_workers, NULL, NULL);
    return failed;
}
