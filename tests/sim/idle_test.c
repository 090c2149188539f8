/*
 * Nothing to do: the position past control records is committed, so that the lag reads zero, and
 * certificates are renewed, so that the group does not forget them. And no more than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_scene.h"

static void init(struct sim *sim, uint64_t seed, int64_t marker_delay_max_ms)
{
    struct sim_options options = {.seed = seed,
                                  .role = sim_role(),
                                  .partitions = 3,
                                  .nodes = 2,
                                  .recipients = 30,
                                  .batch_records_max = 30,
                                  .marker_delay_max_ms = marker_delay_max_ms};
    sim_init(sim, &options);
}

static void assert_no_lag(const struct sim *sim)
{
    for (int32_t p = 0; p < sim->options.partitions; p++)
        assert_int_equal(memory_committed(sim->cluster, sim_group(sim), sim_input(sim), p, NULL),
                         memory_watermarks(sim->cluster, sim_input(sim), p).high);
}

/* Input written in transactions, some of them aborted, ends in markers that are no records. */
static void input_of_transactions_is_read_to_its_very_end(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(6); seed++) {
        struct sim sim;
        init(&sim, seed, seed % 2 ? 500 : 0);
        for (int round = 0; round < 20; round++) {
            bool commit = sim_random(&sim, 3) != 0;
            sim_feed_transaction(&sim, (int)sim_random(&sim, 40), commit);
            if (sim_random(&sim, 3) == 0)
                sim_feed(&sim, 10);
            sim_step_all(&sim, (int)sim_random(&sim, 4));
            if (sim_random(&sim, 6) == 0)
                sim_kill(&sim, (int)sim_random(&sim, 2));
            sim_start_all(&sim);
        }
        sim_must_drain(&sim);
        assert_no_lag(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

static void an_aborted_transaction_alone_leaves_no_lag(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 1, 0);
    sim_feed_transaction(&sim, 60, false);
    sim_must_drain(&sim);
    assert_no_lag(&sim);
    assert_int_equal(sim_count_outputs(&sim), 0);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static long long batches(const struct sim *sim)
{
    long long count = 0;
    for (int node = 0; node < SIM_NODES_MAX; node++)
        if (sim->nodes[node].port)
            count += atomic_load(
                &engine_stats(sim->nodes[node].engine)->transactions[TRANSACTION_COMMITTED]);
    return count;
}

/* The group has forgotten the certificates of partitions without traffic; they are written again in
 * time. */
static void idle_partitions_renew_their_certificates(void **state)
{
    (void)state;
    struct sim sim;
    char certificate[PORT_METADATA_MAX + 1];
    init(&sim, 2, 0);
    sim.options.certificate_refresh_ms = 3600000;
    sim_feed(&sim, 100);
    sim_must_drain(&sim);
    for (int32_t p = 0; p < 3; p++)
        sim_remove_certificate(&sim, p);
    memory_cluster_advance(sim.cluster, sim.options.certificate_refresh_ms);
    sim_step_all(&sim, 3);
    for (int32_t p = 0; p < 3; p++) {
        sim_certificate(&sim, p, certificate);
        assert_true(certificate[0]);
    }
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    sim_feed(&sim, 100);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void idle_partitions_commit_nothing_but_that(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 3, 0);
    sim_feed(&sim, 100);
    sim_must_drain(&sim);
    long long before = batches(&sim);
    sim_step_all(&sim, 100);
    assert_int_equal(batches(&sim), before);
    memory_cluster_advance(sim.cluster, sim.options.certificate_refresh_ms);
    sim_step_all(&sim, 100);
    assert_int_equal(batches(&sim), before + 2); /* one for each node */
    sim_deinit(&sim);
}

/* --- calls that never succeed --- */

struct refusal {
    enum memory_op op;
    uint64_t refused;
};

static struct memory_fault refuse_from_the_third(void *context, struct port *port,
                                                 enum memory_op op, uint64_t call)
{
    struct refusal *refusal = context;
    (void)port;
    if (op != refusal->op || call < 3 || ++refusal->refused > 1000000)
        return (struct memory_fault){0};
    return (struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_RETRIABLE};
}

/* A call that asks to be repeated for ever must not keep the node from the group for ever. */
static void no_call_is_repeated_for_ever(void **state)
{
    (void)state;
    static const enum memory_op ops[] = {MEMORY_SEND, MEMORY_FLUSH, MEMORY_SEND_OFFSETS,
                                         MEMORY_COMMIT};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct sim sim;
        struct refusal refusal = {.op = ops[i]};
        init(&sim, 4, 0);
        sim_must_drain(&sim);
        sim_kill_all(&sim);
        sim.faults = (struct memory_faults){.context = &refusal, .decide = refuse_from_the_third};
        sim_start(&sim, 0);
        sim_feed(&sim, 100);
        for (int step = 0; step < 50 && refusal.refused == 0; step++) {
            int64_t before = memory_cluster_now(sim.cluster);
            sim_step(&sim, 0);
            assert_true(memory_cluster_now(sim.cluster) - before < 300000);
            sim_feed(&sim, 30);
        }
        assert_true(refusal.refused > 0);
        sim.faults.decide = NULL;
        sim_kill_all(&sim);
        sim_start_all(&sim);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_of_transactions_is_read_to_its_very_end),
        cmocka_unit_test(an_aborted_transaction_alone_leaves_no_lag),
        cmocka_unit_test(idle_partitions_renew_their_certificates),
        cmocka_unit_test(idle_partitions_commit_nothing_but_that),
        cmocka_unit_test(no_call_is_repeated_for_ever),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
