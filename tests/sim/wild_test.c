/*
 * Wild worlds: everything at random, from a seed. Kills, stops, stalls between calls and in front
 * of them, wiped and moved state, rebalances, rewinds, compaction, calls that fail, producers with
 * transactions; in worlds of one to six partitions, three to three hundred recipients, batches of
 * one to a thousand records. Then it heals, and the oracle compares.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_scene.h"

struct wild {
    struct sim sim;
    struct memory_faults chaos;
    bool deciding; /* somebody is stalled in front of a call */
};

static void stall_in_front(struct wild *wild, struct port *port)
{
    struct sim *sim = &wild->sim;
    for (int node = 0; node < SIM_NODES_MAX; node++) {
        if (sim->nodes[node].port != port)
            continue;
        wild->deciding = true;
        sim_stall(sim, node);
        memory_cluster_advance(sim->cluster, (int64_t)sim_random(sim, 60000));
        sim_step_all(sim, 1 + (int)sim_random(sim, 8));
        sim_resume(sim, node);
        wild->deciding = false;
    }
}

static struct memory_fault decide(void *context, struct port *port, enum memory_op op,
                                  uint64_t call)
{
    struct wild *wild = context;
    struct sim *sim = &wild->sim;
    if (sim->chaos.off)
        return (struct memory_fault){0};
    if (!wild->deciding && sim_random(sim, 4000) == 0)
        stall_in_front(wild, port);
    bool assign = op == MEMORY_ASSIGN || op == MEMORY_RESTORE_ASSIGN;
    if (assign && sim_random(sim, 50) == 0) {
        bool done = sim_random(sim, 2);
        return (struct memory_fault){done ? MEMORY_FAULT_LOSE : MEMORY_FAULT_REFUSE,
                                     E_LOG_RETRIABLE};
    }
    return wild->chaos.decide(wild->chaos.context, port, op, call);
}

static struct sim_options random_options(uint64_t seed)
{
    /* Not the world's own random numbers: they start with it. */
    struct sim dice = {.random = seed * 7919};
    static const int recipients[] = {3, 10, 30, 100, 300};
    static const size_t batches[] = {1, 7, 50, 200, 1000};
    static const int64_t delays[] = {0, 100, 500, 5000};
    return (struct sim_options){.seed = seed,
                                .role = sim_role(),
                                .partitions = 1 + (int32_t)sim_random(&dice, 6),
                                .nodes = 1 + (int)sim_random(&dice, SIM_NODES_MAX),
                                .recipients = recipients[sim_random(&dice, 5)],
                                .batch_records_max = batches[sim_random(&dice, 5)],
                                .marker_delay_max_ms = delays[sim_random(&dice, 4)],
                                .map_size_initial = sim_random(&dice, 3) ? 1 << 20 : 4096,
                                .poll_records_max = sim_random(&dice, 3) ? 0 : 10,
                                .certificate_refresh_ms = sim_random(&dice, 2) ? 3000 : 0,
                                .chaos = {.refuse = (uint32_t)sim_random(&dice, 6000),
                                          .lose = (uint32_t)sim_random(&dice, 6000),
                                          .kill = (uint32_t)sim_random(&dice, 3000)}};
}

static void rewind_somewhere(struct sim *sim)
{
    int32_t p = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions);
    sim_kill_all(sim);
    int64_t at = memory_committed(sim->cluster, sim_group(sim), sim_input(sim), p, NULL);
    /* Without a certificate the input's offset is all there is: it must stay. */
    if (memory_committed(sim->cluster, sim_group(sim), sim_certified(sim), p, NULL) < 0)
        return;
    sim_set_input_offset(sim, p, at > 0 ? (int64_t)sim_random(sim, (uint64_t)at) - 1 : -1);
}

static void set_some_clock(struct sim *sim, int node)
{
    static const int64_t jumps_ms[] = {0, 5, 1000, 60000, 600000, 3600000, 86400000};
    int64_t jump_ms = jumps_ms[sim_random(sim, 7)];
    sim_set_clock(sim, node, sim_random(sim, 2) ? jump_ms : -jump_ms);
}

static void act(struct sim *sim, int node)
{
    switch (sim_random(sim, 20)) {
    case 0:
    case 1:
        sim_kill(sim, node);
        break;
    case 2:
        sim_stop(sim, node);
        break;
    case 3:
        sim_kill(sim, node);
        sim_wipe(sim, node);
        break;
    case 4:
        memory_group_rebalance(sim->cluster, sim_group(sim));
        break;
    case 5:
        memory_cluster_advance(sim->cluster, (int64_t)sim_random(sim, 60000));
        break;
    case 6:
        if (sim->options.role == SIM_DISPATCHER)
            set_some_clock(sim, node);
        memory_topic_compact(sim->cluster, TOPIC_RECIPIENTS,
                             (int32_t)sim_random(sim, (uint64_t)sim->options.partitions),
                             sim_random(sim, 3) == 0);
        break;
    case 7:
        sim_stall(sim, node);
        break;
    case 8:
        sim_resume(sim, node);
        break;
    case 9:
        if (sim_random(sim, 4) == 0)
            rewind_somewhere(sim);
        break;
    case 10:
        sim_feed_transaction(sim, (int)sim_random(sim, 60), sim_random(sim, 4) != 0);
        break;
    default:
        sim_start(sim, node);
        sim_feed(sim, (int)sim_random(sim, 100));
        break;
    }
}

static void wild_world(uint64_t seed)
{
    struct wild wild = {0};
    struct sim *sim = &wild.sim;
    struct sim_options options = random_options(seed);
    int nodes = options.nodes;
    options.nodes = 0;
    sim_init(sim, &options);
    sim->options.nodes = nodes;
    wild.chaos = memory_chaos_faults(&sim->chaos);
    sim->faults = (struct memory_faults){.context = &wild, .decide = decide};
    for (int round = 0; round < 100; round++) {
        act(sim, (int)sim_random(sim, (uint64_t)nodes));
        sim_step_all(sim, (int)sim_random(sim, 6));
    }
    for (int node = 0; node < SIM_NODES_MAX; node++)
        sim_resume(sim, node);
    sim_heal(sim);
    sim_must_drain(sim);
    sim_check(sim, false);
    sim_deinit(sim);
}

static void wild_worlds_equal_the_fold(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(25); seed++)
        wild_world(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wild_worlds_equal_the_fold),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
