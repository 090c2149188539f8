/*
 * What an engine and its processor count: what has committed, once, whatever was aborted, done
 * again or restored on the way; and what they tell of partitions that come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "sim_scene.h"

static void init(struct sim *sim, uint64_t seed, enum sim_role role, int nodes, bool chaos)
{
    struct sim_options options = {.seed = seed,
                                  .role = role,
                                  .partitions = 3,
                                  .nodes = nodes,
                                  .recipients = 30,
                                  .batch_records_max = 20};
    if (chaos)
        options.chaos = (struct memory_chaos_rates){.refuse = 4000, .lose = 4000};
    sim_init(sim, &options);
}

static long long sum(const atomic_llong *counters, size_t count)
{
    long long all = 0;
    for (size_t i = 0; i < count; i++)
        all += counter_get(&counters[i]);
    return all;
}
#define SUM(counters) sum(counters, sizeof(counters) / sizeof(atomic_llong))

static long long count_of(const struct histogram *histogram)
{
    return SUM(histogram->buckets);
}

/* Records counted, and each of them once by what became of it; each output once. */
static void check_worker(const struct sim_node *node)
{
    const struct engine_stats *engine = engine_stats(node->engine);
    const struct worker_stats *worker = worker_stats(node->worker);
    assert_int_equal(counter_get(&engine->records), SUM(worker->outcomes) +
                                                        SUM(worker->dead_letters) +
                                                        counter_get(&worker->rerouted));
    assert_int_equal(count_of(&worker->bounce_age_seconds), SUM(worker->bounces));
    assert_int_equal(counter_get(&engine->produced[TOPIC_DELAYED]), SUM(worker->commands));
    assert_int_equal(counter_get(&engine->produced[TOPIC_NOTICES]), SUM(worker->notices));
    assert_int_equal(counter_get(&engine->produced[TOPIC_DEAD_LETTERS]), SUM(worker->dead_letters));
    assert_int_equal(counter_get(&engine->produced[TOPIC_BOUNCES]), counter_get(&worker->rerouted));
    assert_int_equal(
        counter_get(&engine->produced[TOPIC_SUPPRESSIONS]),
        sum(worker->suppressions[0], (size_t)SUPPRESSION_ACTION_COUNT * SUPPRESSION_REASON_COUNT));
}

static void check_dispatcher(const struct sim_node *node)
{
    const struct engine_stats *engine = engine_stats(node->engine);
    const struct dispatcher_stats *dispatcher = dispatcher_stats(node->worker);
    long long released = counter_get(&dispatcher->commands[COMMAND_RELEASED]);
    assert_int_equal(counter_get(&engine->produced[TOPIC_DUE]),
                     released + counter_get(&dispatcher->commands[COMMAND_FREED]));
    assert_int_equal(count_of(&dispatcher->release_delay_seconds), released);
    assert_int_equal(counter_get(&engine->produced[TOPIC_DEAD_LETTERS]),
                     SUM(dispatcher->dead_letters));
}

static void check_engine(const struct sim_node *node)
{
    const struct engine_stats *engine = engine_stats(node->engine);
    assert_int_equal(count_of(&engine->transaction_seconds), SUM(engine->transactions));
    assert_true(counter_get(&engine->transactions[TRANSACTION_UNKNOWN]) ==
                counter_get(&engine->rebuilds));
}

/* What all running nodes have committed of outputs to a topic, and what there is. */
static void check_topic(const struct sim *sim, enum topic topic)
{
    long long produced = 0;
    for (int node = 0; node < sim->options.nodes; node++)
        produced += counter_get(&engine_stats(sim->nodes[node].engine)->produced[topic]);
    if (produced != sim_count(sim, topic, -1))
        fail_msg("seed %llu: topic %d: counted %lld, written %lld",
                 (unsigned long long)sim->options.seed, (int)topic, produced,
                 (long long)sim_count(sim, topic, -1));
}

static long long events(struct sim *sim, enum transaction_outcome outcome)
{
    long long all = 0;
    for (int node = 0; node < sim->options.nodes; node++)
        all += counter_get(&engine_stats(sim->nodes[node].engine)->transactions[outcome]);
    return all;
}

static void feed_and_check(struct sim *sim)
{
    for (int round = 0; round < 15; round++) {
        sim_feed(sim, 20);
        sim_step_all(sim, 3);
    }
    sim_heal(sim);
    sim_must_drain(sim);
    for (int node = 0; node < sim->options.nodes; node++) {
        check_engine(&sim->nodes[node]);
        if (sim->options.role == SIM_WORKER)
            check_worker(&sim->nodes[node]);
        else
            check_dispatcher(&sim->nodes[node]);
    }
}

static void what_has_committed_is_counted_once(void **state)
{
    (void)state;
    static const enum topic outputs[] = {TOPIC_RECIPIENTS, TOPIC_DELAYED, TOPIC_SUPPRESSIONS,
                                         TOPIC_NOTICES, TOPIC_DEAD_LETTERS};
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(4); seed++) {
        struct sim sim;
        init(&sim, seed, SIM_WORKER, 2, false);
        feed_and_check(&sim);
        for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
            check_topic(&sim, outputs[i]);
        sim_check(&sim, false);
        sim_deinit(&sim);
        init(&sim, seed, SIM_DISPATCHER, 2, false);
        feed_and_check(&sim);
        check_topic(&sim, TOPIC_DUE);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* The world is wild: what was aborted counts again only when it has committed; of a commit whose
 * answer was lost nothing is counted, for nothing is known. */
static void what_was_aborted_is_not_counted(void **state)
{
    (void)state;
    long long aborted = 0, unknown = 0;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(6); seed++)
        for (int role = 0; role < 2; role++) {
            struct sim sim;
            init(&sim, seed, role ? SIM_DISPATCHER : SIM_WORKER, 2, true);
            feed_and_check(&sim);
            aborted += events(&sim, TRANSACTION_ABORTED);
            unknown += events(&sim, TRANSACTION_UNKNOWN);
            sim_deinit(&sim);
        }
    if (sim_seed_first() == 1)
        assert_true(aborted > 0 && unknown > 0);
}

/* --- the board --- */

static int entries_of(struct sim *sim, int node, struct board_entry **ret_entries)
{
    return board_read(engine_board(sim->nodes[node].engine), ret_entries);
}

static void the_board_has_the_assigned_partitions_and_no_others(void **state)
{
    (void)state;
    struct sim sim;
    struct board_entry *entries;
    init(&sim, 3, SIM_WORKER, 1, false);
    sim_feed(&sim, 60);
    sim_must_drain(&sim);
    assert_int_equal(entries_of(&sim, 0, &entries), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(entries[i].partition, i);
        assert_int_equal(entries[i].state, PARTITION_RUNNING);
        assert_int_equal(entries[i].restore_left, 0);
        assert_true(entries[i].progress_ms > 0);
        assert_true(entries[i].usage.entries > 0 && entries[i].usage.used > 0 &&
                    entries[i].usage.map >= entries[i].usage.used);
    }
    mem_free(entries);
    sim.options.nodes = 2;
    sim_start(&sim, 1); /* takes a part of them */
    sim_must_drain(&sim);
    int left = entries_of(&sim, 0, &entries);
    mem_free(entries);
    int taken = entries_of(&sim, 1, &entries);
    mem_free(entries);
    assert_true(left > 0 && left < 3);
    assert_int_equal(left + taken, 3);
    sim_deinit(&sim);
}

/* Restoring would be over in one turn. */
static struct memory_fault refuse_to_read(void *context, struct port *port, enum memory_op op,
                                          uint64_t call)
{
    (void)context, (void)port;
    bool refused = op == MEMORY_RESTORE_POLL && call <= 3;
    return (struct memory_fault){refused ? MEMORY_FAULT_REFUSE : MEMORY_FAULT_NONE, E_TIMEOUT};
}

static void restoring_tells_how_much_is_left(void **state)
{
    (void)state;
    struct sim sim;
    struct board_entry *entries;
    init(&sim, 4, SIM_WORKER, 1, false);
    sim_feed(&sim, 300);
    sim_must_drain(&sim);
    sim_kill(&sim, 0);
    sim_wipe(&sim, 0);
    sim.faults.decide = refuse_to_read;
    sim_start(&sim, 0);
    int64_t most = 0;
    bool restored = false;
    for (int step = 0; step < 1000 && !restored; step++) {
        sim_step(&sim, 0);
        int count = entries_of(&sim, 0, &entries);
        restored = count == 3;
        for (int i = 0; i < count; i++) {
            if (entries[i].state == PARTITION_RESTORING && entries[i].restore_left > most)
                most = entries[i].restore_left;
            restored &= entries[i].state == PARTITION_RUNNING && entries[i].restore_left == 0;
        }
        mem_free(entries);
    }
    assert_true(restored);
    assert_true(most > 0);
    const struct engine_stats *stats = engine_stats(sim.nodes[0].engine);
    assert_true(counter_get(&stats->restored) > 0);
    assert_int_equal(counter_get(&stats->errors[STAGE_RESTORE][E_TIMEOUT]), 3);
    sim_deinit(&sim);
}

int main(void)
{
    sim_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_committed_is_counted_once),
        cmocka_unit_test(what_was_aborted_is_not_counted),
        cmocka_unit_test(the_board_has_the_assigned_partitions_and_no_others),
        cmocka_unit_test(restoring_tells_how_much_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
