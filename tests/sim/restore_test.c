/*
 * Local state lost, moved, or older than the changelog: it comes back as it was, which the
 * certificate written from it afterwards shows. And without a certificate nothing is believed,
 * unless there is nothing at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_scene.h"
#include "sim_strike.h"

#define PARTITIONS 3

struct certificates {
    char texts[PARTITIONS][PORT_METADATA_MAX + 1];
};

static void init_and_run(struct sim *sim, uint64_t seed, bool clean)
{
    struct sim_options options = {.seed = seed,
                                  .role = sim_role(),
                                  .partitions = PARTITIONS,
                                  .nodes = 2,
                                  .recipients = 40,
                                  .clean = clean,
                                  .certificate_refresh_ms = 100000};
    sim_init(sim, &options);
    sim_feed(sim, 500);
    sim_must_drain(sim);
}

static struct certificates read_certificates(const struct sim *sim)
{
    struct certificates certificates;
    for (int32_t p = 0; p < PARTITIONS; p++)
        sim_certificate(sim, p, certificates.texts[p]);
    return certificates;
}

/* Makes every partition write its certificate again, from the state it has now. */
static void certify_again(struct sim *sim)
{
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int64_t offset =
            memory_committed(sim->cluster, sim_group(sim), sim_certified(sim), p, NULL);
        memory_commit_set(sim->cluster, sim_group(sim),
                          &(struct port_commit){.topic = sim_certified(sim),
                                                .partition = p,
                                                .offset = offset,
                                                .metadata = STR("overwritten")});
    }
    memory_cluster_advance(sim->cluster, sim->options.certificate_refresh_ms);
    sim_step_all(sim, 3);
    sim_must_drain(sim);
}

static void assert_state_is_as_before(struct sim *sim, const struct certificates *before)
{
    certify_again(sim);
    struct certificates after = read_certificates(sim);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_string_equal(after.texts[p], before->texts[p]);
    sim_check(sim, false);
}

static void a_wiped_state_comes_back(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 1, false);
    struct certificates before = read_certificates(&sim);
    sim_kill_all(&sim);
    sim_wipe_all(&sim);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    assert_state_is_as_before(&sim, &before);
    sim_deinit(&sim);
}

static void a_partition_that_moves_takes_its_state_along(void **state)
{
    (void)state;
    struct sim sim;
    init_and_run(&sim, 2, false);
    for (int nodes = 4; nodes >= 1; nodes--) {
        struct certificates before = read_certificates(&sim);
        sim_kill_all(&sim);
        sim.options.nodes = nodes;
        sim_start_all(&sim);
        sim_must_drain(&sim);
        assert_state_is_as_before(&sim, &before);
        sim_feed(&sim, 150); /* what the others know grows old */
        sim_must_drain(&sim);
    }
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* Node 0 has everything, node 1 takes over for a while, the changelog is compacted, node 0 comes
 * back. */
static void old_state_meets_compaction(uint64_t seed, bool purge, bool wiped)
{
    struct sim sim;
    struct sim_options options = {.seed = seed,
                                  .partitions = PARTITIONS,
                                  .nodes = 1,
                                  .recipients = 40,
                                  .certificate_refresh_ms = 100000};
    sim_init(&sim, &options);
    sim_feed(&sim, 300);
    sim_must_drain(&sim);
    sim_kill_all(&sim);
    sim.options.nodes = 0;
    sim_start(&sim, 1);
    sim_feed(&sim, 600);
    sim_must_drain(&sim);
    sim_kill_all(&sim);
    for (int32_t p = 0; p < PARTITIONS; p++)
        memory_topic_compact(sim.cluster, TOPIC_RECIPIENTS, p, purge);
    if (wiped)
        sim_wipe_all(&sim);
    struct certificates before = read_certificates(&sim);
    sim.options.nodes = 1;
    sim_start_all(&sim);
    sim_must_drain(&sim);
    assert_state_is_as_before(&sim, &before);
    sim_deinit(&sim);
}

static void old_state_meets_a_compacted_changelog(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= sim_seed_last(3); seed++) {
        old_state_meets_compaction(seed, false, false);
        old_state_meets_compaction(seed, false, true);
    }
}

/* A tombstone that the old state never saw is gone: only the digest can tell. */
static void old_state_meets_purged_tombstones(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= sim_seed_last(3); seed++) {
        old_state_meets_compaction(seed, true, false);
        old_state_meets_compaction(seed, true, true);
    }
}

/* --- without a certificate --- */

static void without_certificate(bool wiped)
{
    struct sim sim;
    init_and_run(&sim, 3, true);
    sim_kill_all(&sim);
    if (wiped)
        sim_wipe_all(&sim);
    sim.options.nodes = 1; /* no rebalance, which would look twice */
    sim_remove_certificate(&sim, 1);
    int64_t before = sim_count(&sim, sim_certified(&sim), 1);
    sim_feed(&sim, 200);
    sim_start_all(&sim);
    sim_must_settle(&sim);
    assert_int_equal(sim_failure(&sim, 0), OK);
    assert_int_equal(sim_failure(&sim, 1), E_CERTIFICATE_LOST);
    assert_int_equal(sim_failure(&sim, 2), OK);
    assert_int_equal(sim_count(&sim, sim_certified(&sim), 1), before);
    sim_check_without(&sim, 1);
    sim_deinit(&sim);
}

static void a_lost_certificate_stops_its_partition_only(void **state)
{
    (void)state;
    without_certificate(false);
    without_certificate(true);
}

/* Neither certificate nor changelog: local state alone proves nothing. */
static void local_state_alone_is_not_believed(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_options options = {
        .seed = 14, .role = sim_role(), .partitions = PARTITIONS, .nodes = 1, .clean = true};
    sim_init(&sim, &options);
    sim_feed_partition(&sim, 1, 10);
    sim_must_drain(&sim);
    sim_kill_all(&sim);
    sim_remove_certificate(&sim, 1);
    memory_topic_recreate(sim.cluster, sim_certified(&sim), PARTITIONS);
    sim_start_all(&sim);
    sim_must_settle(&sim);
    assert_int_equal(sim_failure(&sim, 0), OK);
    assert_int_equal(sim_failure(&sim, 1), E_CERTIFICATE_LOST);
    sim_deinit(&sim);
}

static void a_certificate_that_cannot_be_read_stops_its_partition_only(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "v2 i=1", "v1 i=1 t=2 n=3 d=4 ", "v1 i=-1 t=2 n=3 d=4"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sim sim;
        init_and_run(&sim, 4, true);
        sim_kill_all(&sim);
        memory_commit_set(sim.cluster, sim_group(&sim),
                          &(struct port_commit){.topic = sim_certified(&sim),
                                                .partition = 0,
                                                .offset = 1,
                                                .metadata = str_of(texts[i])});
        sim_start_all(&sim);
        sim_must_settle(&sim);
        assert_int_equal(sim_failure(&sim, 0), E_CERTIFICATE_INVALID);
        sim_check_without(&sim, 0);
        sim_deinit(&sim);
    }
}

/* One digit of entries or digest: nothing local and nothing in the changelog fits it. */
static void a_certificate_of_another_state_stops_its_partition_only(void **state)
{
    (void)state;
    static const char *const fields[] = {" n=", " d="};
    for (int i = 0; i < 2; i++) {
        struct sim sim;
        char text[PORT_METADATA_MAX + 1];
        init_and_run(&sim, 12, true);
        sim_kill_all(&sim);
        sim_certificate(&sim, 2, text);
        char *digit = strstr(text, fields[i]) + 3;
        *digit = *digit == '7' ? '8' : '7';
        int64_t offset =
            memory_committed(sim.cluster, sim_group(&sim), sim_certified(&sim), 2, NULL);
        memory_commit_set(sim.cluster, sim_group(&sim),
                          &(struct port_commit){.topic = sim_certified(&sim),
                                                .partition = 2,
                                                .offset = offset,
                                                .metadata = str_of(text)});
        sim_start_all(&sim);
        sim_must_settle(&sim);
        assert_int_equal(sim_failure(&sim, 2), E_STATE_MISMATCH);
        sim_check_without(&sim, 2);
        sim_deinit(&sim);
    }
}

/* The changelog starts behind where the old state ends, but has all there is. */
static void state_that_the_changelog_does_not_reach_is_rebuilt(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_options options = {.seed = 13, .partitions = 1, .nodes = 1, .recipients = 9};
    sim_init(&sim, &options);
    sim_feed_partition(&sim, 0, 10);
    sim_must_drain(&sim);
    sim_kill_all(&sim);
    sim.options.nodes = 0;
    sim_start(&sim, 1);
    sim_feed_partition(&sim, 0, 10);
    sim_must_drain(&sim);
    int64_t start = memory_watermarks(sim.cluster, TOPIC_RECIPIENTS, 0).high;
    sim_feed_partition(&sim, 0, 10);
    sim_must_drain(&sim);
    sim_kill_all(&sim);
    memory_topic_truncate(sim.cluster, TOPIC_RECIPIENTS, 0, start);
    sim.options.nodes = 1;
    sim_start_all(&sim);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* An input offset set before the first start is where it starts. */
static void nothing_at_all_needs_no_certificate(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_options options = {
        .seed = 5, .role = sim_role(), .partitions = PARTITIONS, .recipients = 20};
    sim_init(&sim, &options);
    sim.options.nodes = 2;
    sim_feed_partition(&sim, 0, 10);
    sim_set_input_offset(&sim, 0, 4);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, sim_certified(&sim), 0), 6);
    sim_deinit(&sim);
}

/* The first transaction, which has the certificate only, is refused; the second, the first with
 * records, is killed at `op`. */
struct first_kill {
    enum memory_op op;
    bool hit;
};

static struct memory_fault kill_the_first(void *context, struct port *port, enum memory_op op,
                                          uint64_t call)
{
    struct first_kill *kill = context;
    (void)port;
    if (op == MEMORY_SEND_OFFSETS && call == 1)
        return (struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_ABORTABLE};
    if (kill->hit || op != kill->op || call != (op == MEMORY_COMMIT ? 1 : 2))
        return (struct memory_fault){0};
    kill->hit = true;
    return (struct memory_fault){.kind = MEMORY_FAULT_KILL_BEFORE};
}

/* The changelog has markers, and no record that counts. */
static void markers_alone_need_no_certificate(void **state)
{
    (void)state;
    static const enum memory_op ops[] = {MEMORY_FLUSH, MEMORY_SEND_OFFSETS, MEMORY_COMMIT};
    for (size_t i = 0; i < 2 * sizeof(ops) / sizeof(ops[0]); i++) {
        struct sim sim;
        struct first_kill kill = {.op = ops[i / 2]};
        sim_small_init(&sim, 7);
        sim.faults = (struct memory_faults){.context = &kill, .decide = kill_the_first};
        sim_feed(&sim, 30);
        sim_start(&sim, 0);
        sim_step_all(&sim, 40);
        assert_true(kill.hit);
        sim_kill_all(&sim);
        assert_int_equal(sim_count(&sim, sim_certified(&sim), -1), 0);
        assert_true(memory_watermarks(sim.cluster, sim_certified(&sim), 0).high +
                        memory_watermarks(sim.cluster, sim_certified(&sim), 1).high >
                    0);
        assert_int_equal(
            memory_committed(sim.cluster, sim_group(&sim), sim_certified(&sim), 0, NULL), -1);
        if (i % 2)
            sim_wipe_all(&sim);
        sim.faults.decide = NULL;
        sim_finish(&sim, "markers only");
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wiped_state_comes_back),
        cmocka_unit_test(a_partition_that_moves_takes_its_state_along),
        cmocka_unit_test(a_lost_certificate_stops_its_partition_only),
        cmocka_unit_test(local_state_alone_is_not_believed),
        cmocka_unit_test(a_certificate_that_cannot_be_read_stops_its_partition_only),
        cmocka_unit_test(a_certificate_of_another_state_stops_its_partition_only),
        cmocka_unit_test(nothing_at_all_needs_no_certificate),
        cmocka_unit_test(markers_alone_need_no_certificate),
    };
    const struct CMUnitTest of_workers[] = {
        cmocka_unit_test(old_state_meets_a_compacted_changelog),
        cmocka_unit_test(old_state_meets_purged_tombstones),
        cmocka_unit_test(state_that_the_changelog_does_not_reach_is_rebuilt),
    };
    sim_log();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sim_role() == SIM_WORKER)
        failed += cmocka_run_group_tests(of_workers, NULL, NULL);
    return failed;
}
