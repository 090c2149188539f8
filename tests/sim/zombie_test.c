/*
 * Zombies: a node stands still in front of a call, longer than its session and its transaction
 * last, others take its partitions over and go on, and then it makes that call. Whatever it does
 * then must leave no trace.
 *
 * What takes over: the other members of the group; or a successor that has the same instance id and
 * transactional id and starts with nothing, as after an eviction that did not kill; or nobody, and
 * it is late only for its transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_strike.h"

#define CALLS_MAX 5 /* of one operation, evenly chosen, unless thorough */
#define PAST_SESSION_MS 46000
#define PAST_TRANSACTION_MS 16000

/* The others have everything, and there is more to do. */
static void go_on(struct sim *sim)
{
    sim_step_all(sim, 12);
    sim_feed(sim, 10);
    sim_step_all(sim, 12);
}

static void others_take_over(struct sim *sim, int node)
{
    sim_start(sim, node ? 0 : 1);
    sim_feed(sim, 5);
    memory_cluster_advance(sim->cluster, PAST_SESSION_MS);
    go_on(sim);
}

static void a_successor_takes_the_place(struct sim *sim, int node)
{
    memory_cluster_advance(sim->cluster, 1000);
    sim_start_as(sim, 3, node);
    go_on(sim);
}

static void its_transaction_times_out(struct sim *sim, int node)
{
    (void)node;
    sim_feed(sim, 5);
    memory_cluster_advance(sim->cluster, PAST_TRANSACTION_MS);
    sim_step_all(sim, 3);
}

/* Others took over, and lost the partitions again to a group of the old composition. */
static void others_come_and_go(struct sim *sim, int node)
{
    others_take_over(sim, node);
    memory_group_rebalance(sim->cluster, sim_group(sim));
    sim_step_all(sim, 2);
    sim_kill(sim, node ? 0 : 1);
    memory_cluster_advance(sim->cluster, 1000);
}

static void stall_everywhere(void (*meanwhile)(struct sim *sim, int node), const char *what)
{
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(1); seed++) {
        uint64_t calls[MEMORY_OP_COUNT];
        bool stumbles = seed % 2;
        sim_small_calls(seed, stumbles, calls);
        for (int op = 0; op < MEMORY_OP_COUNT; op++) {
            uint64_t stride = sim_thorough() || calls[op] <= CALLS_MAX ? 1 : calls[op] / CALLS_MAX;
            for (uint64_t call = 1; call <= calls[op]; call += stride) {
                struct sim_strike strike = {.op = (enum memory_op)op,
                                            .call = call,
                                            .meanwhile = meanwhile,
                                            .stumbles = stumbles};
                struct sim sim;
                char text[200];
                sim_small_init(&sim, seed);
                sim_strike_arm(&strike, &sim);
                sim_small_story(&sim);
                snprintf(text, sizeof(text), "%s, %s", sim_strike_text(&strike), what);
                assert_true(strike.hit);
                sim_finish(&sim, text);
                sim_deinit(&sim);
            }
        }
    }
}

static void a_zombie_that_others_replaced_leaves_no_trace(void **state)
{
    (void)state;
    stall_everywhere(others_take_over, "others take over");
}

static void a_zombie_whose_place_is_taken_leaves_no_trace(void **state)
{
    (void)state;
    stall_everywhere(a_successor_takes_the_place, "a successor takes the place");
}

static void a_transaction_that_timed_out_leaves_no_trace(void **state)
{
    (void)state;
    stall_everywhere(its_transaction_times_out, "its transaction times out");
}

static void a_zombie_after_two_rebalances_leaves_no_trace(void **state)
{
    (void)state;
    stall_everywhere(others_come_and_go, "others come and go");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zombie_that_others_replaced_leaves_no_trace),
        cmocka_unit_test(a_zombie_whose_place_is_taken_leaves_no_trace),
        cmocka_unit_test(a_transaction_that_timed_out_leaves_no_trace),
        cmocka_unit_test(a_zombie_after_two_rebalances_leaves_no_trace),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
