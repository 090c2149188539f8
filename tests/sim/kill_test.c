/*
 * Killed at every call: one small input, and a node that dies before or after each single call it
 * makes to the log; and answers that are refused or lost at each. The node comes back at once or
 * after its session timed out, everything is read to the end, and the oracle compares
 * (tests/lib/sim.h).
 *
 * The calls are counted in a run where nothing strikes. There are two worlds: one that stumbles by
 * itself, so that aborts, rebuilds and restores are struck as well, and a smooth one, struck only
 * when RIMBALZO_TEST_SEEDS is given; then no call is left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_strike.h"

/* Calls of one operation that are struck, evenly chosen, unless thorough. */
#define KILLS_MAX 10
#define ANSWERS_MAX 6

/* Where the next struck call is. */
static uint64_t next_call(uint64_t call, uint64_t calls, uint64_t max)
{
    uint64_t stride = sim_thorough() || calls <= max ? 1 : calls / max;
    return call + stride;
}

static void run(uint64_t seed, struct sim_strike *strike, bool late)
{
    struct sim sim;
    sim_small_init(&sim, seed);
    sim_strike_arm(strike, &sim);
    sim_small_story(&sim);
    if (late) {
        sim_kill(&sim, 0);
        memory_cluster_advance(sim.cluster, 50000);
        sim_step_all(&sim, 5);
    }
    sim_finish(&sim, sim_strike_text(strike));
    sim_deinit(&sim);
}

/* Strikes every call of every operation with `fault`; returns how many blows hit. */
static int strike_all(uint64_t seed, bool stumbles, struct memory_fault fault)
{
    uint64_t calls[MEMORY_OP_COUNT];
    int hits = 0;
    sim_small_calls(seed, stumbles, calls);
    for (int op = 0; op < MEMORY_OP_COUNT; op++)
        for (uint64_t call = 1; call <= calls[op]; call = next_call(call, calls[op], KILLS_MAX)) {
            struct sim_strike strike = {
                .op = (enum memory_op)op, .call = call, .fault = fault, .stumbles = stumbles};
            run(seed, &strike, call % 2);
            if (!strike.hit)
                fail_msg("%s: not hit", sim_strike_text(&strike));
            hits++;
        }
    return hits;
}

static void killed_before_any_call(void **state)
{
    (void)state;
    struct memory_fault fault = {.kind = MEMORY_FAULT_KILL_BEFORE};
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(1); seed++) {
        if (sim_thorough())
            assert_true(strike_all(seed, false, fault) > 50);
        assert_true(strike_all(seed, true, fault) > 50);
    }
}

static void killed_after_any_call(void **state)
{
    (void)state;
    struct memory_fault fault = {.kind = MEMORY_FAULT_KILL_AFTER};
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(1); seed++) {
        if (sim_thorough())
            assert_true(strike_all(seed, false, fault) > 50);
        assert_true(strike_all(seed, true, fault) > 50);
    }
}

/* Every answer that Kafka may give to every call. */
static int answer_all(uint64_t seed, bool stumbles, bool done)
{
    uint64_t calls[MEMORY_OP_COUNT];
    int hits = 0;
    sim_small_calls(seed, stumbles, calls);
    for (int op = 0; op < MEMORY_OP_COUNT; op++)
        for (const enum rcode *code = sim_answers((enum memory_op)op, done); *code != OK; code++)
            for (uint64_t call = 1; call <= calls[op];
                 call = next_call(call, calls[op], ANSWERS_MAX)) {
                struct sim_strike strike = {
                    .op = (enum memory_op)op,
                    .call = call,
                    .fault = {done ? MEMORY_FAULT_LOSE : MEMORY_FAULT_REFUSE, *code},
                    .stumbles = stumbles};
                run(seed, &strike, false);
                if (!strike.hit)
                    fail_msg("%s: not hit", sim_strike_text(&strike));
                hits++;
            }
    return hits;
}

static void any_call_may_be_refused(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(1); seed++) {
        if (sim_thorough())
            assert_true(answer_all(seed, false, false) > 50);
        assert_true(answer_all(seed, true, false) > 50);
    }
}

static void any_answer_may_be_lost(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(1); seed++) {
        if (sim_thorough())
            assert_true(answer_all(seed, false, true) > 50);
        assert_true(answer_all(seed, true, true) > 50);
    }
}

/* The third batch is aborted, and then the consumer cannot be told to go back to it. */
static struct memory_fault cannot_go_back(void *context, struct port *port, enum memory_op op,
                                          uint64_t call)
{
    int *refused = context;
    (void)port;
    if (op == MEMORY_SEND_OFFSETS && call == 3)
        *refused = 1;
    if (op == MEMORY_SEND_OFFSETS && call == 3)
        return (struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_ABORTABLE};
    if (op != MEMORY_ASSIGN || *refused == 0 || ++*refused > 4)
        return (struct memory_fault){0};
    return (struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_RETRIABLE};
}

static void what_is_read_astray_is_dropped(void **state)
{
    (void)state;
    struct sim sim;
    int refused = 0;
    sim_small_init(&sim, 1);
    sim.options.nodes = 1;
    sim.faults = (struct memory_faults){.context = &refused, .decide = cannot_go_back};
    sim_feed(&sim, 100);
    sim_finish(&sim, "assign refused after an abort");
    assert_true(refused > 4);
    sim_deinit(&sim);
}

static struct memory_fault no_producer_yet(void *context, struct port *port, enum memory_op op,
                                           uint64_t call)
{
    struct sim *sim = context;
    (void)port;
    (void)call;
    if (op == MEMORY_PRODUCER_OPEN && memory_cluster_now(sim->cluster) < 30000)
        return (struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_RETRIABLE};
    return (struct memory_fault){0};
}

/* While a predecessor's transaction is being finished nothing is fetched, over and over, to be
 * dropped. */
static void a_producer_that_takes_its_time_is_waited_for(void **state)
{
    (void)state;
    struct sim sim;
    int steps = sim_role() == SIM_WORKER ? 1000 : 5000; /* commands wait for up to five minutes */
    sim_small_init(&sim, 1);
    sim_feed(&sim, 100);
    sim_start(&sim, 0);
    sim_start(&sim, 1);
    assert_true(sim_drain(&sim, steps));
    sim_kill(&sim, 0);
    sim_kill(&sim, 1);
    sim_feed(&sim, 100);
    memory_cluster_advance(sim.cluster, 1000);
    sim.faults = (struct memory_faults){.context = &sim, .decide = no_producer_yet};
    sim_start(&sim, 0);
    sim_start(&sim, 1);
    assert_true(sim_drain(&sim, steps));
    sim_finish(&sim, "no producer for half a minute");
    sim_deinit(&sim);
}

/* The only partition's offsets are pending when the process dies: nothing runs until they are
 * stable. Its own return is what ends the transaction, not the broker's patience. */
static void what_was_left_open_ends_with_the_return(void **state)
{
    (void)state;
    struct sim_options options = {.seed = 1,
                                  .role = sim_role(),
                                  .partitions = 1,
                                  .recipients = 6,
                                  .batch_records_max = 10,
                                  .map_size_initial = 64 << 10};
    struct sim_strike strike = {
        .op = MEMORY_SEND_OFFSETS, .call = 2, .fault = {.kind = MEMORY_FAULT_KILL_AFTER}};
    struct sim sim;
    sim_init(&sim, &options);
    sim.options.nodes = 1;
    sim_strike_arm(&strike, &sim);
    sim_start(&sim, 0);
    sim_feed(&sim, 30);
    for (int i = 0; i < 100 && !strike.hit; i++)
        sim_step(&sim, 0);
    assert_true(strike.hit);
    assert_int_equal(memory_cluster_open_transactions(sim.cluster), 1);
    int64_t killed_ms = memory_cluster_now(sim.cluster);
    sim_start(&sim, 0);
    while (memory_cluster_open_transactions(sim.cluster))
        sim_step(&sim, 0);
    assert_true(memory_cluster_now(sim.cluster) - killed_ms < 1000);
    sim_finish(&sim, "killed with offsets pending");
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_before_any_call),
        cmocka_unit_test(killed_after_any_call),
        cmocka_unit_test(any_call_may_be_refused),
        cmocka_unit_test(any_answer_may_be_lost),
        cmocka_unit_test(what_is_read_astray_is_dropped),
        cmocka_unit_test(a_producer_that_takes_its_time_is_waited_for),
        cmocka_unit_test(what_was_left_open_ends_with_the_return),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
