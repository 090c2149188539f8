/*
 * Somebody moves the group's offsets while nobody runs. Back: the certificate still says what was
 * done, and nothing is done twice, dead letters and reroutes included. Ahead: obeyed by a worker
 * (for a dispatcher see timers_stopped_test.c). Removed: the certificate is enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_scene.h"

static void init_and_run(struct sim *sim, uint64_t seed, bool clean)
{
    struct sim_options options = {.seed = seed,
                                  .role = sim_role(),
                                  .partitions = 3,
                                  .nodes = 2,
                                  .recipients = 30,
                                  .clean = clean};
    sim_init(sim, &options);
    sim_feed(sim, 600);
    sim_must_drain(sim);
}

/* Back to `share` in 4 of what was read. */
static void rewind_all(struct sim *sim, int share)
{
    for (int32_t p = 0; p < sim->options.partitions; p++) {
        int64_t at = memory_committed(sim->cluster, sim_group(sim), sim_input(sim), p, NULL);
        sim_set_input_offset(sim, p, at * share / 4);
    }
}

static void rewound(uint64_t seed, int share, bool wiped)
{
    struct sim sim;
    init_and_run(&sim, seed, false);
    assert_true(sim_count(&sim, TOPIC_DEAD_LETTERS, -1) > 0);
    int64_t outputs = sim_count_outputs(&sim), inputs = sim_count(&sim, sim_input(&sim), -1);
    sim_kill_all(&sim);
    if (wiped)
        sim_wipe_all(&sim);
    rewind_all(&sim, share);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    assert_int_equal(sim_count_outputs(&sim), outputs);
    assert_int_equal(sim_count(&sim, sim_input(&sim), -1), inputs);
    sim_feed(&sim, 200);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void rewound_input_is_not_counted_twice(void **state)
{
    (void)state;
    for (int share = 0; share < 4; share++)
        rewound(1 + (uint64_t)share, share, false);
}

static void rewound_input_without_local_state_is_not_counted_twice(void **state)
{
    (void)state;
    for (int share = 0; share < 4; share++)
        rewound(5 + (uint64_t)share, share, true);
}

/* Rewound, and killed again and again before the certificate is committed anew. */
static void rewound_and_killed_is_not_counted_twice(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 9, false);
    for (int i = 0; i < 12; i++) {
        sim_kill_all(&sim);
        rewind_all(&sim, i % 4);
        sim_start_all(&sim);
        sim_feed(&sim, 10);
        sim_step_all(&sim, i);
    }
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void a_skip_ahead_is_obeyed(void **state)
{
    (void)state;
    struct sim sim;
    char certificate[PORT_METADATA_MAX + 1], expected[32];
    init_and_run(&sim, 10, true);
    sim_kill_all(&sim);
    sim_feed(&sim, 300);
    int64_t end = memory_watermarks(sim.cluster, TOPIC_BOUNCES, 0).high;
    int64_t before = sim_count(&sim, TOPIC_RECIPIENTS, 0);
    sim_set_input_offset(&sim, 0, end);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, TOPIC_RECIPIENTS, 0), before);
    sim_certificate(&sim, 0, certificate);
    snprintf(expected, sizeof(expected), "v1 i=%lld ", (long long)end);
    assert_int_equal(strncmp(certificate, expected, strlen(expected)), 0);
    sim_check_without(&sim, 0);
    /* And from there on it counts. */
    sim_feed_partition(&sim, 0, 5);
    sim_must_drain(&sim);
    assert_true(sim_count(&sim, TOPIC_RECIPIENTS, 0) > before);
    sim_deinit(&sim);
}

static void the_certificate_alone_says_where_to_go_on(void **state)
{
    (void)state;
    for (int wiped = 0; wiped < 2; wiped++) {
        struct sim sim;
        init_and_run(&sim, 11, false);
        sim_kill_all(&sim);
        if (wiped)
            sim_wipe_all(&sim);
        for (int32_t p = 0; p < sim.options.partitions; p++)
            sim_set_input_offset(&sim, p, -1);
        sim_feed(&sim, 100);
        sim_start_all(&sim);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewound_input_is_not_counted_twice),
        cmocka_unit_test(rewound_input_without_local_state_is_not_counted_twice),
        cmocka_unit_test(rewound_and_killed_is_not_counted_twice),
        cmocka_unit_test(the_certificate_alone_says_where_to_go_on),
    };
    const struct CMUnitTest of_workers[] = {
        cmocka_unit_test(a_skip_ahead_is_obeyed),
    };
    sim_log();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sim_role() == SIM_WORKER)
        failed += cmocka_run_group_tests(of_workers, NULL, NULL);
    return failed;
}
