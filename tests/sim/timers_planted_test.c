/*
 * Does the oracle of dispatchers see anything? Bugs planted between engine and dispatcher, as in
 * planted_test.c, must turn it red on seeds that are green without them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/dispatcher_internal.h"
#include "sim_plant.h"

static struct dispatcher_slot *slot_of(const struct sim_plant *plant, int32_t partition)
{
    return dispatcher_slot((struct dispatcher *)plant->inner, partition);
}

/* --- released one second early --- */

#define EARLY_MS 1000

/* Stands before the real port. */
struct early_port {
    struct port port;
    struct port *real;
};

static struct port *real(struct port *port)
{
    return ((struct early_port *)port)->real;
}

static int64_t early_wall_ms(struct port *port)
{
    return real(port)->ops->wall_ms(real(port)) + EARLY_MS;
}

static int64_t early_monotonic_ms(struct port *port)
{
    return real(port)->ops->monotonic_ms(real(port));
}

static void early_wait(struct port *port, int ms)
{
    real(port)->ops->wait(real(port), ms);
}

/* Stamped with what the clock really says. */
static enum rcode early_send(struct port *port, const struct port_message *message, struct err *err)
{
    struct port_message stamped = *message;
    if (message->timestamp_ms)
        stamped.timestamp_ms -= EARLY_MS;
    return real(port)->ops->send(real(port), &stamped, err);
}

static enum rcode process_early(struct processor *processor, struct batch *batch, struct err *err)
{
    static const struct port_ops ops = {.wall_ms = early_wall_ms,
                                        .monotonic_ms = early_monotonic_ms,
                                        .wait = early_wait,
                                        .send = early_send};
    struct sim_plant *plant = sim_plant_of(processor);
    struct early_port early = {.port = *batch->port, .real = batch->port};
    early.port.ops = &ops;
    batch->port = &early.port;
    enum rcode rc = plant->inner->ops->process(plant->inner, batch, err);
    batch->port = early.real;
    return rc;
}

static struct processor *released_early(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.process = process_early;
    return &plant->processor;
}

/* --- what has left is not remembered --- */

static bool always(const void *context, struct timer_place until)
{
    (void)context;
    (void)until;
    return true;
}

static enum rcode process_and_forget(struct processor *processor, struct batch *batch,
                                     struct err *err)
{
    struct sim_plant *plant = sim_plant_of(processor);
    enum rcode rc = plant->inner->ops->process(plant->inner, batch, err);
    for (int i = 0; rc == OK && i < batch->partition_count; i++)
        rc = timers_forget(slot_of(plant, batch->partitions[i])->slot.store, SIZE_MAX, always, NULL,
                           err);
    return rc;
}

static struct processor *forgotten_at_once(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.process = process_and_forget;
    return &plant->processor;
}

/* --- restored from the lowest pending offset, without what is remembered --- */

static void range_from_pending(struct processor *processor, int32_t partition,
                               const struct certificate *certificate,
                               struct restore_range *ret_range)
{
    struct sim_plant *plant = sim_plant_of(processor);
    plant->inner->ops->restore_range(plant->inner, partition, certificate, ret_range);
    ret_range->from = ret_range->needed;
}

static struct processor *restored_from_pending(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.restore_range = range_from_pending;
    return &plant->processor;
}

/* --- a CANCEL is ignored while restoring --- */

static enum rcode apply_without_cancels(struct processor *processor, int32_t partition,
                                        const struct port_record *records, size_t count,
                                        int64_t next, struct err *err)
{
    struct sim_plant *plant = sim_plant_of(processor);
    struct port_record *kept = mem_alloc(count * sizeof(*kept));
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct retry_command command;
        struct err ignored;
        if (records[i].value.data &&
            codec_decode_command(plant->sim->codec, records[i].value, &command, &ignored) == OK &&
            command.action == COMMAND_CANCEL)
            continue;
        kept[kept_count++] = records[i];
    }
    enum rcode rc =
        plant->inner->ops->restore_apply(plant->inner, partition, kept, kept_count, next, err);
    mem_free(kept);
    return rc;
}

static struct processor *cancels_ignored(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.restore_apply = apply_without_cancels;
    return &plant->processor;
}

/* And the proof, which would stop the partition, believes whatever there is. */
static enum rcode prove_nothing(struct processor *processor, int32_t partition,
                                const struct certificate *certificate, struct err *err)
{
    struct sim_plant *plant = sim_plant_of(processor);
    const struct processor_ops *ops = plant->inner->ops;
    struct certificate believed = *certificate;
    enum rcode rc = ops->restore_finish(plant->inner, partition, certificate, err);
    if (rc != E_STATE_MISMATCH)
        return rc;
    const struct store_meta *meta = store_meta(slot_of(plant, partition)->slot.store);
    believed.entries = meta->entries;
    believed.digest = meta->digest;
    return ops->restore_finish(plant->inner, partition, &believed, err);
}

static struct processor *cancels_ignored_unproven(struct sim *sim, int node,
                                                  struct processor *worker)
{
    struct sim_plant *plant = sim_plant_of(cancels_ignored(sim, node, worker));
    plant->ops.restore_finish = prove_nothing;
    return &plant->processor;
}

static struct processor *restored_from_pending_unproven(struct sim *sim, int node,
                                                        struct processor *worker)
{
    struct sim_plant *plant = sim_plant_of(restored_from_pending(sim, node, worker));
    plant->ops.restore_finish = prove_nothing;
    return &plant->processor;
}

/* --- each turns the oracle red --- */

static void a_store_committed_before_the_log_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(sim_plant_store_before_log,
                        (struct sim_trouble){.role = SIM_DISPATCHER,
                                             .nodes = 2,
                                             .rates = {.refuse = 20000, .lose = 20000}});
}

static void a_command_released_early_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(released_early, (struct sim_trouble){.role = SIM_DISPATCHER, .nodes = 1});
}

static void ids_forgotten_at_once_are_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(forgotten_at_once,
                        (struct sim_trouble){.role = SIM_DISPATCHER, .nodes = 1});
}

static const struct sim_trouble losses = {.role = SIM_DISPATCHER, .nodes = 2, .wipes = true};

static void a_restore_without_what_is_remembered_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(restored_from_pending, losses);
    sim_plant_turns_red(restored_from_pending_unproven, losses);
}

static void a_cancel_ignored_while_restoring_is_seen(void **state)
{
    (void)state;
    sim_plant_turns_red(cancels_ignored, losses);
    sim_plant_turns_red(cancels_ignored_unproven, losses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_committed_before_the_log_is_seen),
        cmocka_unit_test(a_command_released_early_is_seen),
        cmocka_unit_test(ids_forgotten_at_once_are_seen),
        cmocka_unit_test(a_restore_without_what_is_remembered_is_seen),
        cmocka_unit_test(a_cancel_ignored_while_restoring_is_seen),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
