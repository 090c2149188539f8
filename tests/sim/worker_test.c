/*
 * The worker on the in-memory log: kills, zombies, rebalances, lost answers, rewinds, wiped state;
 * every scenario ends in the oracle (tests/lib/sim.h). RIMBALZO_TEST_SEED=n repeats one seed,
 * RIMBALZO_TEST_SEEDS=n runs more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "sim.h"

#define DAY (86400000LL)
#define T0 1700000000000LL

static struct sim_options world(uint64_t seed)
{
    return (struct sim_options){.seed = seed, .partitions = 3, .nodes = 2, .recipients = 30};
}

static void drain_and_check(struct sim *sim)
{
    sim_heal(sim);
    if (!sim_drain(sim, 20000))
        fail_msg("seed %llu: does not come to rest", (unsigned long long)sim->options.seed);
    sim_check(sim, false);
}

static int64_t count_records(struct sim *sim, enum topic topic)
{
    int64_t count = 0;
    struct port_record record;
    for (int32_t p = 0; p < sim->options.partitions; p++)
        for (int64_t offset = 0; memory_read(sim->cluster, topic, p, &offset, &record);)
            count++;
    return count;
}

static void a_quiet_run_equals_the_fold(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_options options = world(1);
    sim_init(&sim, &options);
    sim_feed(&sim, 3000);
    assert_true(sim_drain(&sim, 5000));
    assert_true(sim_check(&sim, false) > 500);
    sim_deinit(&sim);
}

static void fifth_soft_bounce_suppresses_once(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_options options = world(2);
    static const int64_t days[] = {0, 1, 3, 6, 13};
    sim_init(&sim, &options);
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof(id), "e%d", i);
        sim_feed_bounce(&sim, "a@example.org", "4.2.1", T0 + days[i] * DAY, id);
        assert_true(sim_drain(&sim, 2000));
        sim_kill(&sim, i % 2);
    }
    drain_and_check(&sim);
    assert_int_equal(count_records(&sim, TOPIC_SUPPRESSIONS), 1);
    assert_int_equal(count_records(&sim, TOPIC_DELAYED), 5); /* four SCHEDULE, one CANCEL */
    assert_int_equal(count_records(&sim, TOPIC_NOTICES), 1);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_run_equals_the_fold),
        cmocka_unit_test(fifth_soft_bounce_suppresses_once),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
