/*
 * The clocks of dispatchers are wrong, jump, and run too fast or too slow. By a node's own clock
 * nothing leaves before its time (the oracle looks at the time a command was released, stamped by
 * that clock); and nothing waits longer than that clock needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_commands.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define LATE_MS 300 /* an interval, a transaction, and the step it is seen in */

static const int64_t jumps_ms[] = {HOUR, -HOUR, DAY, -DAY, 5, -5};
#define JUMPS (int)(sizeof(jumps_ms) / sizeof(jumps_ms[0]))

static void init(struct sim *sim, uint64_t seed, int32_t partitions, int nodes)
{
    struct sim_options options = {.seed = seed,
                                  .role = SIM_DISPATCHER,
                                  .partitions = partitions,
                                  .nodes = nodes,
                                  .recipients = 30,
                                  .batch_records_max = 50,
                                  .delay_ms_max = 3 * DAY};
    sim_init(sim, &options);
}

/* The time of release of the only command in the due topic; -1: none is there. */
static int64_t released_at(const struct sim *sim)
{
    struct sim_due due;
    for (int32_t p = 0; p < sim->options.partitions; p++)
        for (int64_t offset = 0; sim_read_due(sim, p, &offset, &due);)
            return due.record.timestamp_ms;
    return -1;
}

/* It jumps while a command waits: that leaves when the clock says so. */
static void a_jump_moves_what_waits_and_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < JUMPS; i++) {
        struct sim sim;
        init(&sim, 1, 2, 1);
        int64_t due_ms = sim_wall(&sim) + 2 * HOUR;
        sim_schedule(&sim, "a@example.org", "m", due_ms);
        sim_pass(&sim, SECOND);
        sim_set_clock(&sim, 0, jumps_ms[i]);
        sim_pass(&sim, SECOND);
        int64_t wait_ms = due_ms - (sim_wall(&sim) + jumps_ms[i]);
        if (wait_ms > 0) {
            assert_int_equal(released_at(&sim), -1);
            memory_cluster_advance(sim.cluster, wait_ms - SECOND);
            sim_pass(&sim, SECOND - 200);
            assert_int_equal(released_at(&sim), -1);
            sim_pass(&sim, 200 + LATE_MS);
        }
        assert_in_range(released_at(&sim), due_ms, INT64_MAX);
        assert_true(sim_wall(&sim) + jumps_ms[i] - released_at(&sim) < 2 * SECOND);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* Commands that come after the clock was set back, due in the time that it has left behind. */
static void what_comes_after_a_jump_back_waits_its_time(void **state)
{
    (void)state;
    for (int i = 0; i < JUMPS; i++) {
        struct sim sim;
        init(&sim, 2, 2, 1);
        int64_t back_ms = jumps_ms[i] < 0 ? -jumps_ms[i] : jumps_ms[i];
        sim_set_clock(&sim, 0, jumps_ms[i] < 0 ? 0 : back_ms);
        sim_schedule(&sim, "a@example.org", "first", sim_wall(&sim));
        sim_pass(&sim, SECOND);
        sim_set_clock(&sim, 0, jumps_ms[i] < 0 ? -back_ms : 0);
        int64_t now_ms = sim_wall(&sim) + sim.nodes[0].wall_offset_ms;
        sim_schedule(&sim, "a@example.org", "m1", now_ms + 600);
        sim_schedule(&sim, "b@example.org", "m2", now_ms + back_ms / 2);
        sim_schedule(&sim, "c@example.org", "m3", now_ms - SECOND);
        sim_schedule(&sim, "d@example.org", "m4", now_ms + back_ms + SECOND);
        memory_cluster_advance(sim.cluster, back_ms + 2 * SECOND);
        sim_pass(&sim, SECOND);
        assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), 5);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* Restarted with another clock, with its state or without. */
static void another_clock_takes_over(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(4); seed++)
        for (int i = 0; i < JUMPS; i++) {
            struct sim sim;
            init(&sim, seed, 2, 1);
            for (int round = 0; round < 3; round++) {
                sim_feed(&sim, 60);
                sim_pass(&sim, 2 * SECOND);
                sim_kill_all(&sim);
                if (sim_random(&sim, 2))
                    sim_wipe_all(&sim);
                sim_set_clock(&sim, 0, round % 2 ? 0 : jumps_ms[i]);
                sim_start_all(&sim);
                sim_pass(&sim, 2 * SECOND);
            }
            sim_feed(&sim, 60);
            sim_heal(&sim);
            sim_must_drain(&sim);
            sim_check(&sim, false);
            sim_deinit(&sim);
        }
}

static void a_clock_that_is_slewed_does_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(4); seed++)
        for (int sign = -1; sign <= 1; sign += 2) {
            struct sim sim;
            init(&sim, seed, 2, 2);
            for (int step = 0; step < 600; step++) {
                if (step % 6 == 0)
                    sim_feed(&sim, 3);
                sim_step_all(&sim, 1);
                for (int node = 0; node < 2; node++)
                    sim_set_clock(&sim, node,
                                  sim.nodes[node].wall_offset_ms +
                                      sign * (int64_t)sim_random(&sim, 9));
            }
            sim_heal(&sim);
            sim_must_drain(&sim);
            sim_check(&sim, false);
            sim_deinit(&sim);
        }
}

/* Two nodes whose clocks jump to and fro, each on its own. */
static void clocks_that_jump_back_and_forth_do_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(10); seed++) {
        struct sim sim;
        init(&sim, seed, 2, 2);
        for (int round = 0; round < 60; round++) {
            int node = (int)sim_random(&sim, 2);
            int64_t jump_ms = (int64_t)sim_random(&sim, (uint64_t)jumps_ms[2 * (round % 2)]);
            sim_set_clock(&sim, node, sim_random(&sim, 2) ? jump_ms : -jump_ms);
            sim_feed(&sim, (int)sim_random(&sim, 12));
            sim_pass(&sim, (int64_t)sim_random(&sim, SECOND));
            if (sim_random(&sim, 8) == 0) {
                sim_kill(&sim, node);
                if (sim_random(&sim, 2))
                    sim_wipe(&sim, node);
            }
            sim_start_all(&sim);
        }
        sim_heal(&sim);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* It repeats a command that has left by a clock that was ahead, and lies in the time that the clock
 * goes through once more. As long as that lasts a restore needs the command it repeats, though an
 * earlier duplicate of it, due later, is long over. */
static void a_duplicate_within_a_jump_back_stays_one(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 4, 1, 1);
    int64_t now_ms = sim_wall(&sim);
    sim_schedule(&sim, "a@example.org", "m", now_ms + 30 * SECOND);
    sim_schedule(&sim, "a@example.org", "m", now_ms + MINUTE);
    sim_schedule(&sim, "b@example.org", "n", now_ms + 100 * SECOND);
    sim_pass(&sim, SECOND);
    sim_set_clock(&sim, 0, 10 * MINUTE);
    sim_pass(&sim, SECOND);
    assert_string_equal(sim_due_messages(&sim, 0), "m n");
    sim_set_clock(&sim, 0, -10 * MINUTE);
    memory_cluster_advance(sim.cluster, 20 * SECOND);
    sim_schedule(&sim, "a@example.org", "m", now_ms + 15 * SECOND);
    sim_pass(&sim, SECOND);
    memory_cluster_advance(sim.cluster, MINUTE);
    sim_cancel(&sim, "c@example.org"); /* log time goes on */
    sim_pass(&sim, SECOND);
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    sim_start_all(&sim);
    sim_pass(&sim, SECOND);
    assert_string_equal(rcode_name(sim_failure(&sim, 0)), "ok");
    sim_set_clock(&sim, 0, 0);
    sim_must_drain(&sim);
    assert_string_equal(sim_due_messages(&sim, 0), "m n");
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* More steps than a certificate has room for: the last command is not taken in before the clock has
 * caught up with it, and then everything goes on. */
static void set_back_too_often_it_waits_for_the_clock(void **state)
{
    (void)state;
    for (int wiped = 0; wiped < 2; wiped++) {
        struct sim sim;
        char name[16];
        init(&sim, 3, 2, 1);
        sim_schedule(&sim, "a@example.org", "first", sim_wall(&sim));
        sim_pass(&sim, SECOND);
        for (int i = 1; i <= 8; i++) {
            sim_set_clock(&sim, 0, -i * MINUTE);
            snprintf(name, sizeof(name), "m%d", i);
            sim_schedule(&sim, "a@example.org", name, sim_wall(&sim) - i * MINUTE + 20 * SECOND);
            sim_pass(&sim, SECOND);
        }
        int32_t p = sim_count(&sim, TOPIC_DUE, 0) ? 0 : 1;
        int64_t end = memory_watermarks(sim.cluster, TOPIC_DELAYED, p).high;
        assert_string_equal(sim_certificate_field(&sim, p, "n"), "7");
        assert_int_equal(memory_committed(sim.cluster, sim_group(&sim), TOPIC_DELAYED, p, NULL),
                         end - 1);
        assert_int_equal(sim_failure(&sim, p), OK);
        if (wiped) {
            sim_kill_all(&sim);
            sim_wipe_all(&sim);
            sim_set_clock(&sim, 0, -8 * MINUTE - 46 * SECOND);
            sim_start_all(&sim);
        }
        sim_pass(&sim, 10 * SECOND);
        assert_string_equal(sim_due_messages(&sim, p), "first");
        sim_pass(&sim, 16 * SECOND); /* looked at every five seconds */
        assert_string_equal(sim_due_messages(&sim, p), "first m8");
        memory_cluster_advance(sim.cluster, 8 * MINUTE);
        sim_must_drain(&sim);
        assert_string_equal(sim_due_messages(&sim, p), "first m8 m7 m6 m5 m4 m3 m2 m1");
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* The clock is eight minutes behind, and partition 0 waits for it with eight commands. */
static void make_one_wait(struct sim *sim, uint64_t seed)
{
    char name[16], here[32];
    init(sim, seed, 2, 1);
    sim_recipient_of(sim, 0, here);
    sim_schedule(sim, here, "first", sim_wall(sim));
    sim_pass(sim, SECOND);
    for (int i = 1; i <= 8; i++) {
        sim_set_clock(sim, 0, -i * MINUTE);
        snprintf(name, sizeof(name), "m%d", i);
        sim_schedule(sim, here, name, sim_wall(sim) - i * MINUTE + 20 * SECOND);
        sim_pass(sim, SECOND);
    }
}

/* Others on the same thread do not wait with it. */
static void one_that_waits_for_the_clock_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct sim sim;
    char name[16], there[32];
    make_one_wait(&sim, 5);
    sim_recipient_of(&sim, 1, there);
    int64_t aborts =
        atomic_load(&engine_stats(sim.nodes[0].engine)->transactions[TRANSACTION_ABORTED]);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        sim_schedule(&sim, there, name, sim_wall(&sim) - 8 * MINUTE + 700);
        sim_pass(&sim, SECOND);
        assert_int_equal(sim_count(&sim, TOPIC_DUE, 1), i + 1);
    }
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 1);
    assert_true(atomic_load(&engine_stats(sim.nodes[0].engine)->transactions[TRANSACTION_ABORTED]) -
                    aborts <=
                3);
    memory_cluster_advance(sim.cluster, 10 * MINUTE);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 9);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* And it is not forgotten when the others always have something to do. */
static void one_that_waited_goes_on_however_busy_the_others_are(void **state)
{
    (void)state;
    struct sim sim;
    char name[16], there[32];
    make_one_wait(&sim, 6);
    sim_recipient_of(&sim, 1, there);
    sim_set_clock(&sim, 0, 0);
    for (int i = 0; i < 200 && sim_count(&sim, TOPIC_DUE, 0) < 9; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        sim_schedule(&sim, there, name, sim_wall(&sim));
        sim_step(&sim, 0);
        assert_false(engine_idle(sim.nodes[0].engine));
    }
    assert_int_equal(sim_count(&sim, TOPIC_DUE, 0), 9);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jump_moves_what_waits_and_no_more),
        cmocka_unit_test(what_comes_after_a_jump_back_waits_its_time),
        cmocka_unit_test(another_clock_takes_over),
        cmocka_unit_test(a_clock_that_is_slewed_does_no_harm),
        cmocka_unit_test(clocks_that_jump_back_and_forth_do_no_harm),
        cmocka_unit_test(a_duplicate_within_a_jump_back_stays_one),
        cmocka_unit_test(set_back_too_often_it_waits_for_the_clock),
        cmocka_unit_test(one_that_waits_for_the_clock_keeps_nobody_waiting),
        cmocka_unit_test(one_that_waited_goes_on_however_busy_the_others_are),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
