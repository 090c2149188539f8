/*
 * A registry that does not answer: nobody can tell what the records of an id are that has never
 * been asked for. They wait, and with them what follows in their partition; all others go on,
 * nothing is lost, and nothing becomes a dead letter before its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_scene.h"

#define PARTITIONS 3
#define OTHER_ID 99 /* of one more id for the same schema */

static const int32_t ids[RECORD_KIND_COUNT] = {1, 2, 3, 4, 5, 6, 7};

struct registry {
    struct sim *sim;  /* NULL: it always answers */
    bool down;        /* for OTHER_ID */
    uint64_t lottery; /* any answer fails so many times in a hundred */
    int asked;
};

static enum rcode resolve(void *context, int32_t id, struct arena *arena, struct str *ret_json,
                          struct err *err)
{
    struct registry *registry = context;
    enum record_kind kind = (enum record_kind)(id - 1);
    registry->asked++;
    if (id == OTHER_ID) {
        kind = sim_role() == SIM_DISPATCHER ? RECORD_RETRY_COMMAND : RECORD_BOUNCE;
        if (registry->down)
            return err_set(err, E_REGISTRY_UNAVAILABLE, "down");
    }
    if (registry->sim && sim_random(registry->sim, 100) < registry->lottery)
        return err_set(err, E_REGISTRY_UNAVAILABLE, "no luck");
    if ((int)kind < 0 || kind >= RECORD_KIND_COUNT)
        return err_set(err, E_UNKNOWN_SCHEMA, "no such id");
    *ret_json = arena_str(arena, record_schema_text(kind));
    return OK;
}

static struct registry answering;

static struct sim_options options_of(uint64_t seed, struct registry *registry)
{
    return (struct sim_options){
        .seed = seed,
        .role = sim_role(),
        .partitions = PARTITIONS,
        .recipients = 40,
        .batch_records_max = 50,
        .codec = {.registered_ids = ids, .resolve = resolve, .resolve_context = &answering},
        .node_codec = {.registered_ids = ids, .resolve = resolve, .resolve_context = registry},
    };
}

static int64_t committed(const struct sim *sim, int32_t partition)
{
    return memory_committed(sim->cluster, sim_group(sim), sim_input(sim), partition, NULL);
}

static int64_t end(const struct sim *sim, int32_t partition)
{
    return memory_watermarks(sim->cluster, sim_input(sim), partition).high;
}

/* So many records of a partition that are written with OTHER_ID. */
static void feed_other(struct sim *sim, int32_t partition, int count)
{
    static const int32_t others[RECORD_KIND_COUNT] = {OTHER_ID, OTHER_ID, OTHER_ID, OTHER_ID,
                                                      OTHER_ID, OTHER_ID, OTHER_ID};
    const struct codec_options options = {
        .registered_ids = others, .resolve = resolve, .resolve_context = &answering};
    struct codec *usual = sim->codec;
    struct err err;
    assert_int_equal(codec_new(&options, &sim->codec, &err), OK);
    sim_feed_partition(sim, partition, count);
    codec_free(sim->codec);
    sim->codec = usual;
}

static enum rcode held(const struct sim *sim, int32_t partition)
{
    struct board_entry *entries;
    enum rcode code = OK;
    int count = board_read(engine_board(sim->nodes[0].engine), &entries);
    for (int i = 0; i < count; i++)
        if (entries[i].partition == partition)
            code = entries[i].held;
    mem_free(entries);
    return code;
}

static void only_the_partition_waits_from_the_first_such_record_on(void **state)
{
    (void)state;
    struct registry registry = {.down = true};
    struct sim_options options = options_of(1, &registry);
    struct sim sim;
    sim_init(&sim, &options);
    sim.options.nodes = 1;
    sim_feed_partition(&sim, 0, 30);
    int64_t place = end(&sim, 0);
    feed_other(&sim, 0, 5);
    for (int32_t p = 0; p < PARTITIONS; p++)
        sim_feed_partition(&sim, p, 200);
    sim_start(&sim, 0);
    bool waits = false;
    for (int step = 0; step < 400; step++) {
        sim_step(&sim, 0);
        /* Work that is no record's, timers that have come due, does not end it. */
        assert_true(!waits || held(&sim, 0) != OK);
        waits |= held(&sim, 0) != OK;
    }
    assert_int_equal(committed(&sim, 0), place);
    assert_int_equal(held(&sim, 0), E_REGISTRY_UNAVAILABLE);
    for (int32_t p = 1; p < PARTITIONS; p++) {
        assert_int_equal(committed(&sim, p), end(&sim, p));
        assert_int_equal(held(&sim, p), OK);
    }
    assert_int_equal(sim_count(&sim, TOPIC_DEAD_LETTERS, -1), 0);
    /* It is asked again after a moment each time, and the engine does nothing else meanwhile. */
    const struct engine_stats *stats = engine_stats(sim.nodes[0].engine);
    assert_int_equal(counter_get(&stats->transactions[TRANSACTION_ABORTED]), 0);
    assert_in_range(registry.asked, 3, 60);
    assert_int_equal(counter_get(&stats->records), 30 + 200 * (PARTITIONS - 1));
    assert_false(engine_idle(sim.nodes[0].engine));

    registry.down = false;
    sim_must_drain(&sim);
    assert_int_equal(held(&sim, 0), OK);
    assert_int_equal(counter_get(&stats->records), 35 + 200 * PARTITIONS);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* Whatever fails and whenever, also while restoring and with processes that die. */
static void any_answer_may_fail(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(8); seed++) {
        struct sim sim;
        struct registry registry = {.sim = &sim, .lottery = 70};
        struct sim_options options = options_of(seed, &registry);
        sim_init(&sim, &options);
        sim.options.nodes = 2;
        for (int round = 0; round < 25; round++) {
            sim_start_all(&sim);
            sim_feed(&sim, (int)sim_random(&sim, 60));
            sim_step_all(&sim, (int)sim_random(&sim, 60));
            if (sim_random(&sim, 3) == 0)
                sim_kill(&sim, (int)sim_random(&sim, 2));
            if (sim_random(&sim, 4) == 0)
                sim_stop(&sim, (int)sim_random(&sim, 2));
        }
        registry.lottery = 30;
        sim_start_all(&sim);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_partition_waits_from_the_first_such_record_on),
        cmocka_unit_test(any_answer_may_fail),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
