/*
 * A dispatcher's state lost, left behind or half restored: it comes back from the delayed topic as
 * the certificate has it, and no more is read than has to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_commands.h"
#include "sim_strike.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

static void init(struct sim *sim, uint64_t seed, int32_t partitions, int nodes)
{
    struct sim_options options = {.seed = seed,
                                  .role = SIM_DISPATCHER,
                                  .partitions = partitions,
                                  .nodes = nodes,
                                  .recipients = 30,
                                  .batch_records_max = 50,
                                  .certificate_refresh_ms = 500 * SECOND};
    sim_init(sim, &options);
}

/* Without `r` and `t`: how long something is remembered depends on when it is looked at. */
static void what_is_pending(const struct sim *sim, int32_t partition,
                            char ret_text[PORT_METADATA_MAX + 1])
{
    sim_certificate(sim, partition, ret_text);
    char *rest = strstr(ret_text, " r=");
    assert_non_null(rest);
    *rest = '\0';
}

static int64_t restored(const struct sim *sim)
{
    int64_t count = 0;
    for (int node = 0; node < SIM_NODES_MAX; node++)
        if (sim->nodes[node].port)
            count += atomic_load(&engine_stats(sim->nodes[node].engine)->restored);
    return count;
}

static void settle(struct sim *sim)
{
    for (int node = 0; node < SIM_NODES_MAX; node++)
        if (sim->nodes[node].port)
            for (int i = 0; i < 300 && !engine_idle(sim->nodes[node].engine); i++)
                sim_step_all(sim, 1);
}

/* A refresh makes every partition certify what it has. */
static void a_lost_state_comes_back_as_it_was(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(8); seed++) {
        struct sim sim;
        char before[3][PORT_METADATA_MAX + 1], after[PORT_METADATA_MAX + 1];
        init(&sim, seed, 3, 1);
        for (int i = 0; i < 4; i++) {
            sim_feed(&sim, 120);
            sim_pass(&sim, 3 * SECOND);
        }
        sim_set_clock(&sim, 0, -10 * MINUTE); /* nothing leaves meanwhile */
        settle(&sim);
        for (int32_t p = 0; p < 3; p++) {
            what_is_pending(&sim, p, before[p]);
            assert_null(strstr(before[p], " n=0 "));
        }
        sim_kill_all(&sim);
        sim_wipe_all(&sim);
        sim_start_all(&sim);
        settle(&sim);
        memory_cluster_advance(sim.cluster, sim.options.certificate_refresh_ms);
        sim_step_all(&sim, 2);
        for (int32_t p = 0; p < 3; p++) {
            what_is_pending(&sim, p, after);
            assert_string_equal(after, before[p]);
        }
        sim_set_clock(&sim, 0, 0);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* Records that nothing follows from any more are not read again. */
static void what_is_done_is_not_read_again(void **state)
{
    (void)state;
    struct sim sim;
    char name[32];
    init(&sim, 1, 1, 1);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        sim_schedule(&sim, "a@example.org", name, sim_wall(&sim) + SECOND);
    }
    sim_must_drain(&sim);
    int64_t first = sim_schedule(&sim, "b@example.org", "late", sim_wall(&sim) + 30 * MINUTE);
    for (int i = 0; i < 20; i++)
        sim_schedule(&sim, "c@example.org", "again", sim_wall(&sim) + 30 * MINUTE);
    sim_pass(&sim, SECOND);
    assert_int_equal(strtoll(sim_certificate_field(&sim, 0, "m"), NULL, 10), first);
    assert_int_equal(strtoll(sim_certificate_field(&sim, 0, "r"), NULL, 10), first);
    assert_string_equal(sim_certificate_field(&sim, 0, "n"), "2");
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    sim_start_all(&sim);
    settle(&sim);
    assert_int_equal(restored(&sim), 21);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* What has left is read again as long as its id may be met again, and no longer. */
static void what_is_remembered_is_read_again_as_long_as_it_matters(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 2, 1, 1);
    sim_schedule(&sim, "a@example.org", "m", sim_wall(&sim) + SECOND);
    sim_pass(&sim, 2 * SECOND);
    assert_string_equal(sim_due_messages(&sim, 0), "m");
    /* The log has seen nothing later than the command itself. */
    assert_string_equal(sim_certificate_field(&sim, 0, "m"), "1");
    assert_string_equal(sim_certificate_field(&sim, 0, "r"), "0");
    sim_cancel(&sim, "nobody@example.org");
    sim_pass(&sim, SECOND);
    assert_string_equal(sim_certificate_field(&sim, 0, "r"), "2");
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* Node 0 has a state, node 1 goes on without it: releases, cancels, duplicates. Then node 0 comes
 * back. */
static void a_state_that_is_behind_catches_up(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(8); seed++) {
        struct sim sim;
        init(&sim, seed, 2, 0);
        sim_start(&sim, 0);
        sim_feed(&sim, 300);
        sim_pass(&sim, 5 * SECOND);
        sim_kill_all(&sim);
        int64_t behind = 0;
        for (int32_t p = 0; p < 2; p++)
            behind += memory_committed(sim.cluster, sim_group(&sim), TOPIC_DELAYED, p, NULL);
        sim_start(&sim, 1);
        for (int i = 0; i < 3; i++) {
            sim_feed(&sim, 100);
            sim_pass(&sim, 10 * SECOND);
        }
        sim_kill_all(&sim);
        int64_t now = 0;
        for (int32_t p = 0; p < 2; p++)
            now += memory_committed(sim.cluster, sim_group(&sim), TOPIC_DELAYED, p, NULL);
        sim.options.nodes = 1;
        sim_start(&sim, 0);
        settle(&sim);
        assert_int_equal(restored(&sim), now - behind);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* Killed after each piece that was restored; it goes on from there, while others may have been at
 * work in between. */
static void killed_while_restoring(uint64_t seed, bool others)
{
    struct sim sim;
    init(&sim, seed, 2, 0);
    sim.options.poll_records_max = 20;
    sim_start(&sim, 0);
    sim_feed(&sim, 400);
    sim_pass(&sim, 4 * SECOND);
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    for (uint64_t piece = 1; piece <= 6; piece++) {
        struct sim_strike strike = {
            .op = MEMORY_RESTORE_POLL,
            .call = 2,
            .fault = {.kind = piece % 2 ? MEMORY_FAULT_KILL_AFTER : MEMORY_FAULT_KILL_BEFORE}};
        sim.nodes[0].lives = 0;
        sim_strike_arm(&strike, &sim);
        sim_start(&sim, 0);
        for (int i = 0; i < 200 && sim.nodes[0].port; i++)
            sim_step_all(&sim, 1);
        assert_true(strike.hit);
        sim.faults.decide = NULL;
        memory_cluster_advance(sim.cluster, 46 * SECOND);
        if (!others)
            continue;
        sim_start(&sim, 1);
        sim_feed(&sim, 30);
        sim_pass(&sim, 2 * SECOND);
        sim_kill_all(&sim);
    }
    sim.options.nodes = 1;
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void a_kill_while_restoring_does_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(6); seed++) {
        killed_while_restoring(seed, false);
        killed_while_restoring(seed, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_state_comes_back_as_it_was),
        cmocka_unit_test(what_is_done_is_not_read_again),
        cmocka_unit_test(what_is_remembered_is_read_again_as_long_as_it_matters),
        cmocka_unit_test(a_state_that_is_behind_catches_up),
        cmocka_unit_test(a_kill_while_restoring_does_no_harm),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
