#include "sim_plant.h"

#include "base/arena.h"

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

static void pass_abort(struct processor *processor)
{
    inner(processor)->ops->abort(inner(processor));
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
                                        .abort = pass_abort};
    plant->processor.ops = &plant->ops;
    plant->inner = worker;
    plant->sim = sim;
    plant->node = node;
    return plant;
}
