/*
 * Does the oracle see anything? Bugs planted between engine and worker must turn it red, on the
 * same seeds that are green without them (the world they are planted in: tests/lib/sim_plant.c).
 *
 *   the store commits before the log: a batch that is aborted then is done already when it comes
 *     again, and what it sent is gone. (After a kill the proof throws such a store away: that is
 *     shown too.)
 *   restoring to the end of the topic: the last stable offset may be short of the certificate's
 *     position, while markers are on their way; without the proof nobody notices
 *   the certificate of the batch before: no state can be proven by it any more
 *   offsets committed beside the transaction: a kill before the commit loses the records between
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sim_plant.h"

/* --- the bugs --- */

static void range_to_the_end(struct processor *processor, int32_t partition,
                             const struct certificate *certificate, struct restore_range *ret_range)
{
    struct sim_plant *plant = sim_plant_of(processor);
    plant->inner->ops->restore_range(plant->inner, partition, certificate, ret_range);
    ret_range->to = memory_watermarks(plant->sim->cluster, TOPIC_RECIPIENTS, partition).stable;
    if (ret_range->from > ret_range->to)
        ret_range->to = ret_range->from;
}

/* Believes whatever there is. */
static enum rcode prove_nothing(struct processor *processor, int32_t partition,
                                const struct certificate *certificate, struct err *err)
{
    struct sim_plant *plant = sim_plant_of(processor);
    struct processor *inner = plant->inner;
    struct certificate found, believed = *certificate;
    char text[PORT_METADATA_MAX + 1];
    size_t len = inner->ops->certificate_write(inner, partition, certificate->input_next, text);
    enum rcode rc = inner->ops->certificate_parse(inner, certificate->log_next,
                                                  (struct str){text, len}, &found, err);
    if (rc != OK)
        return rc;
    believed.entries = found.entries;
    believed.digest = found.digest;
    return inner->ops->restore_finish(inner, partition, &believed, err);
}

static struct processor *restore_to_the_end(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.restore_range = range_to_the_end;
    plant->ops.restore_finish = prove_nothing;
    return &plant->processor;
}

static size_t write_the_one_before(struct processor *processor, int32_t partition,
                                   int64_t input_next, char ret_text[PORT_METADATA_MAX + 1])
{
    struct sim_plant *plant = sim_plant_of(processor);
    char *before = plant->certificates[partition];
    char text[PORT_METADATA_MAX + 1];
    size_t len = plant->inner->ops->certificate_write(plant->inner, partition, input_next, text);
    text[len] = '\0';
    snprintf(ret_text, PORT_METADATA_MAX + 1, "%s", before[0] ? before : text);
    snprintf(before, PORT_METADATA_MAX + 1, "%s", text);
    return strlen(ret_text);
}

static struct processor *certificate_before(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.certificate_write = write_the_one_before;
    return &plant->processor;
}

static size_t commit_offset_now(struct processor *processor, int32_t partition, int64_t input_next,
                                char ret_text[PORT_METADATA_MAX + 1])
{
    struct sim_plant *plant = sim_plant_of(processor);
    memory_commit_set(plant->sim->cluster, sim_group(plant->sim),
                      &(struct port_commit){
                          .topic = TOPIC_BOUNCES, .partition = partition, .offset = input_next});
    return plant->inner->ops->certificate_write(plant->inner, partition, input_next, ret_text);
}

static struct processor *offsets_beside(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.certificate_write = commit_offset_now;
    return &plant->processor;
}

static void a_store_committed_before_the_log_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(
        sim_plant_store_before_log,
        (struct sim_trouble){.nodes = 2, .rates = {.refuse = 20000, .lose = 20000}});
}

/* Kills alone, without a rebalance that aborts, cannot make the store run ahead: the proof finds it
 * out. */
static void a_store_ahead_of_the_log_is_thrown_away(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(3); seed++)
        assert_true(sim_plant_green(seed, sim_plant_store_before_log,
                                    (struct sim_trouble){.nodes = 1, .rates = {.kill = 10000}}));
}

static void restoring_to_the_end_of_the_topic_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(restore_to_the_end,
                        (struct sim_trouble){.nodes = 2, .rates = {.kill = 10000}, .wipes = true});
}

static void the_certificate_of_the_batch_before_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(certificate_before,
                        (struct sim_trouble){.nodes = 2, .rates = {.kill = 5000}});
}

static void offsets_committed_beside_the_transaction_are_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(offsets_beside, (struct sim_trouble){.nodes = 2, .rates = {.kill = 20000}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_committed_before_the_log_is_seen),
        cmocka_unit_test(a_store_ahead_of_the_log_is_thrown_away),
        cmocka_unit_test(restoring_to_the_end_of_the_topic_is_seen),
        cmocka_unit_test(the_certificate_of_the_batch_before_is_seen),
        cmocka_unit_test(offsets_committed_beside_the_transaction_are_seen),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
