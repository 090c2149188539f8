#include "sim_plant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"

#define SEEDS 40 /* at most so many until it is red */

struct sim_plant *sim_plant_of(struct processor *processor)
{
    return (struct sim_plant *)processor;
}

static struct processor *inner(struct processor *processor)
{
    return sim_plant_of(processor)->inner;
}

static enum rcode pass_open(struct processor *processor, int32_t partition,
                            struct local_state *ret_local, struct err *err)
{
    return inner(processor)->ops->open(inner(processor), partition, ret_local, err);
}

static void pass_close(struct processor *processor, int32_t partition, bool clean)
{
    inner(processor)->ops->close(inner(processor), partition, clean);
}

static enum rcode pass_discard(struct processor *processor, int32_t partition, struct err *err)
{
    return inner(processor)->ops->discard(inner(processor), partition, err);
}

static enum rcode pass_certificate_parse(struct processor *processor, int64_t offset,
                                         struct str metadata, struct certificate *ret_certificate,
                                         struct err *err)
{
    return inner(processor)->ops->certificate_parse(inner(processor), offset, metadata,
                                                    ret_certificate, err);
}

static void pass_restore_range(struct processor *processor, int32_t partition,
                               const struct certificate *certificate,
                               struct restore_range *ret_range)
{
    inner(processor)->ops->restore_range(inner(processor), partition, certificate, ret_range);
}

static enum rcode pass_restore_apply(struct processor *processor, int32_t partition,
                                     const struct port_record *records, size_t count, int64_t next,
                                     struct err *err)
{
    return inner(processor)->ops->restore_apply(inner(processor), partition, records, count, next,
                                                err);
}

static enum rcode pass_restore_finish(struct processor *processor, int32_t partition,
                                      const struct certificate *certificate, struct err *err)
{
    return inner(processor)->ops->restore_finish(inner(processor), partition, certificate, err);
}

static enum rcode pass_process(struct processor *processor, struct batch *batch, struct err *err)
{
    return inner(processor)->ops->process(inner(processor), batch, err);
}

static size_t pass_certificate_write(struct processor *processor, int32_t partition,
                                     int64_t input_next, char ret_text[PORT_METADATA_MAX + 1])
{
    return inner(processor)->ops->certificate_write(inner(processor), partition, input_next,
                                                    ret_text);
}

static enum rcode pass_commit(struct processor *processor, int32_t partition, int64_t input_next,
                              int64_t log_next, struct err *err)
{
    return inner(processor)->ops->commit(inner(processor), partition, input_next, log_next, err);
}

static int64_t pass_wake_ms(struct processor *processor, int32_t partition)
{
    return inner(processor)->ops->wake_ms(inner(processor), partition);
}

static void pass_abort(struct processor *processor)
{
    inner(processor)->ops->abort(inner(processor));
}

static void pass_usage(struct processor *processor, int32_t partition,
                       struct processor_usage *ret_usage)
{
    inner(processor)->ops->usage(inner(processor), partition, ret_usage);
}

struct sim_plant *sim_plant_new(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = mem_zalloc(sizeof(*plant));
    plant->ops = (struct processor_ops){.open = pass_open,
                                        .close = pass_close,
                                        .discard = pass_discard,
                                        .certificate_parse = pass_certificate_parse,
                                        .restore_range = pass_restore_range,
                                        .restore_apply = pass_restore_apply,
                                        .restore_finish = pass_restore_finish,
                                        .process = pass_process,
                                        .certificate_write = pass_certificate_write,
                                        .commit = pass_commit,
                                        .abort = pass_abort,
                                        .usage = pass_usage};
    if (worker->ops->wake_ms)
        plant->ops.wake_ms = pass_wake_ms;
    plant->processor = *worker;
    plant->processor.ops = &plant->ops;
    plant->inner = worker;
    plant->sim = sim;
    plant->node = node;
    return plant;
}

/* --- a bug --- */

static size_t commit_store_now(struct processor *processor, int32_t partition, int64_t input_next,
                               char ret_text[PORT_METADATA_MAX + 1])
{
    struct sim_plant *plant = sim_plant_of(processor);
    struct port *port = plant->sim->nodes[plant->node].port;
    struct err err = {0};
    size_t len =
        plant->inner->ops->certificate_write(plant->inner, partition, input_next, ret_text);
    int64_t sent = port->ops->sent_next(port, sim_certified(plant->sim), partition);
    if (sent >= 0)
        plant->log_next[partition] = sent;
    /* A failure shows in the commit that follows. */
    enum rcode rc = plant->inner->ops->commit(plant->inner, partition, input_next,
                                              plant->log_next[partition], &err);
    (void)rc;
    return len;
}

static enum rcode remember_log(struct processor *processor, int32_t partition,
                               const struct certificate *certificate, struct err *err)
{
    struct sim_plant *plant = sim_plant_of(processor);
    plant->log_next[partition] = certificate->log_next;
    return plant->inner->ops->restore_finish(plant->inner, partition, certificate, err);
}

struct processor *sim_plant_store_before_log(struct sim *sim, int node, struct processor *worker)
{
    struct sim_plant *plant = sim_plant_new(sim, node, worker);
    plant->ops.certificate_write = commit_store_now;
    plant->ops.restore_finish = remember_log;
    return &plant->processor;
}

/* --- the world --- */

bool sim_plant_green(uint64_t seed, sim_plant_fn *plant, struct sim_trouble trouble)
{
    struct sim sim;
    int steps = trouble.role == SIM_WORKER ? 3000 : 8000; /* commands wait for up to five minutes */
    struct sim_options options = {.seed = seed,
                                  .role = trouble.role,
                                  .partitions = 2,
                                  .nodes = trouble.nodes,
                                  .recipients = 20,
                                  .batch_records_max = 50,
                                  .marker_delay_max_ms = 2000,
                                  .chaos = trouble.rates,
                                  .plant = plant};
    sim_init(&sim, &options);
    sim_heal(&sim);
    sim_drain(&sim, 1000); /* every partition has a certificate */
    sim.chaos.off = false;
    for (int round = 0; round < 30; round++) {
        int node = (int)sim_random(&sim, (uint64_t)trouble.nodes);
        sim_feed(&sim, (int)sim_random(&sim, 60));
        sim_step_all(&sim, (int)sim_random(&sim, 6));
        if (sim_random(&sim, 4) == 0) {
            sim_kill(&sim, node);
            if (trouble.wipes)
                sim_wipe(&sim, node);
        }
        sim_start(&sim, node);
    }
    sim_heal(&sim);
    bool green = sim_drain(&sim, steps) && sim_check(&sim, true) >= 0;
    sim_deinit(&sim);
    return green;
}

void sim_plant_turns_red(sim_plant_fn *plant, struct sim_trouble trouble)
{
    for (uint64_t seed = sim_seed_first(); seed < sim_seed_first() + SEEDS; seed++) {
        if (!sim_plant_green(seed, NULL, trouble))
            fail_msg("seed %llu: red without the bug", (unsigned long long)seed);
        if (!sim_plant_green(seed, plant, trouble))
            return;
    }
    fail_msg("the bug was not seen on %d seeds", SEEDS);
}
