/* The dispatcher's side of a partition's life: opening, proving, committing. The batch is in
 * ingest.c and release.c. */
#include "dispatcher/dispatcher.h"

#include <stdio.h>

#include "dispatcher/dispatcher_internal.h"

#define STATE_FORMAT 1
/* dispatcher_stats begins with counters and a histogram. */
#define COUNTERS (offsetof(struct dispatcher_stats, release_delay_seconds) / sizeof(atomic_llong))
#define PLACES_MAX 1024            /* as many as release.c walks at once */
#define FORGET_MAX ((size_t)65536) /* released timers forgotten in one transaction */

const char *const command_outcome_names[COMMAND_OUTCOME_COUNT] = {
#define X(constant, string) [constant] = string,
    COMMAND_OUTCOMES(X)
#undef X
};

/* In seconds: what the batches cost, what an overloaded one adds, what an outage leaves behind. */
const struct histogram_layout dispatcher_release_delay_layout = {
    14, {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600}};

static struct dispatcher *self(struct processor *processor)
{
    return (struct dispatcher *)processor;
}

struct dispatcher_slot *dispatcher_slot(struct dispatcher *dispatcher, int32_t partition)
{
    return (struct dispatcher_slot *)slots_find(&dispatcher->slots, partition);
}

/* --- counters --- */

static void publish(struct dispatcher *dispatcher)
{
    long long pending = 0;
    int64_t next_due_ms = INT64_MAX;
    for (int i = 0; i < dispatcher->slots.count; i++) {
        const struct dispatcher_slot *slot = (struct dispatcher_slot *)dispatcher->slots.items[i];
        pending += (long long)store_meta(slot->slot.store)->entries;
        if (slot->bounds.next_due_ms < next_due_ms)
            next_due_ms = slot->bounds.next_due_ms;
    }
    atomic_store_explicit(&dispatcher->stats.pending, pending, memory_order_relaxed);
    atomic_store_explicit(&dispatcher->stats.next_due_ms, next_due_ms, memory_order_relaxed);
}

/* --- certificate --- */

/* What a certificate says beside the engine's part. */
struct details {
    struct frontier frontier;
    int64_t lowest; /* pending offset */
    int64_t restore_from;
    int64_t restore_time_ms;
};

static bool parse_details(const char *text, struct certificate *ret_certificate,
                          struct details *ret_details)
{
    char frontier[FRONTIER_TEXT_MAX];
    long long input = -1, lowest = -1, from = -1, time_ms = -1;
    unsigned long long entries = 0, digest = 0;
    int used = -1;
    _Static_assert(FRONTIER_TEXT_MAX == 512, "the width below");
    sscanf(text, "v1 i=%lld f=%511[-0-9,/:] m=%lld n=%llu d=%llx r=%lld t=%lld%n", &input, frontier,
           &lowest, &entries, &digest, &from, &time_ms, &used);
    if (used < 0 || text[used] || input < 0 || lowest < 0 || from < 0 || from > lowest ||
        lowest > input || time_ms < 0 || !frontier_parse(str_of(frontier), &ret_details->frontier))
        return false;
    ret_certificate->input_next = input;
    ret_certificate->entries = entries;
    ret_certificate->digest = digest;
    ret_details->lowest = lowest;
    ret_details->restore_from = from;
    ret_details->restore_time_ms = time_ms;
    return true;
}

static enum rcode dispatcher_certificate_parse(struct processor *processor, int64_t offset,
                                               struct str metadata,
                                               struct certificate *ret_certificate, struct err *err)
{
    (void)processor;
    char text[PORT_METADATA_MAX + 1];
    struct certificate certificate = {.log_next = offset};
    struct details details;
    size_t len = metadata.len < PORT_METADATA_MAX ? metadata.len : PORT_METADATA_MAX;
    memcpy(text, metadata.data ? metadata.data : "", len);
    text[len] = '\0';
    if (strlen(text) != metadata.len || !parse_details(text, &certificate, &details))
        return err_set(err, E_CERTIFICATE_INVALID,
                       "the group's certificate \"%.700s\" is not one this version can read: "
                       "another program commits offsets of the due topic in this group, or a newer "
                       "version did",
                       text);
    *ret_certificate = certificate;
    return OK;
}

static size_t dispatcher_certificate_write(struct processor *processor, int32_t partition,
                                           int64_t input_next, char ret_text[PORT_METADATA_MAX + 1])
{
    const struct dispatcher_slot *slot = dispatcher_slot(self(processor), partition);
    const struct timers_bounds *bounds = &slot->batch_bounds;
    char frontier[FRONTIER_TEXT_MAX];
    uint64_t entries, digest;
    bool pending = bounds->pending_offset != INT64_MAX, needed = bounds->needed_offset != INT64_MAX;
    frontier_format(&slot->batch_frontier, frontier);
    store_pending(slot->slot.store, &entries, &digest);
    int len = snprintf(
        ret_text, PORT_METADATA_MAX + 1, "v1 i=%lld f=%s m=%lld n=%llu d=%016llx r=%lld t=%lld",
        (long long)input_next, frontier, (long long)(pending ? bounds->pending_offset : input_next),
        (unsigned long long)entries, (unsigned long long)digest,
        (long long)(needed ? bounds->needed_offset : input_next),
        (long long)(needed ? bounds->needed_log_time_ms : slot->slot.batch_time_ms));
    return (size_t)len;
}

/* --- a partition's life --- */

static void begin_anew(struct dispatcher_slot *slot)
{
    frontier_init(&slot->frontier);
    slot->batch_frontier = slot->frontier;
    slot->bounds = (struct timers_bounds){INT64_MAX, INT64_MAX, INT64_MAX, 0};
    slot->batch_bounds = slot->bounds;
}

static enum rcode dispatcher_open(struct processor *processor, int32_t partition,
                                  struct local_state *ret_local, struct err *err)
{
    struct dispatcher *dispatcher = self(processor);
    enum rcode rc = slots_open(&dispatcher->slots, partition, ret_local, err);
    if (rc == OK)
        begin_anew(dispatcher_slot(dispatcher, partition)); /* restoring tells the rest */
    return rc;
}

static void dispatcher_close(struct processor *processor, int32_t partition, bool clean)
{
    slots_close(&self(processor)->slots, partition, clean);
    publish(self(processor));
}

static enum rcode dispatcher_discard(struct processor *processor, int32_t partition,
                                     struct err *err)
{
    struct dispatcher *dispatcher = self(processor);
    enum rcode rc = slots_discard(&dispatcher->slots, partition, err);
    begin_anew(dispatcher_slot(dispatcher, partition));
    return rc;
}

/* --- restoring --- */

static void dispatcher_restore_range(struct processor *processor, int32_t partition,
                                     const struct certificate *certificate,
                                     struct restore_range *ret_range)
{
    struct dispatcher_slot *slot = dispatcher_slot(self(processor), partition);
    const struct store_meta *meta = store_meta(slot->slot.store);
    struct certificate same;
    struct details details;
    bool ours = parse_details(certificate->text, &same, &details);
    (void)ours; /* it was parsed before */
    slot->frontier = slot->batch_frontier = details.frontier;
    slot->slot.time_ms = meta->sequence ? meta->stream_time_ms : details.restore_time_ms;
    slot->slot.batch_time_ms = slot->slot.time_ms;
    *ret_range = (struct restore_range){.topic = TOPIC_DELAYED, .to = certificate->input_next};
    if (meta->sequence) {
        ret_range->from = ret_range->needed = meta->input_next;
        return;
    }
    ret_range->from = details.restore_from;
    ret_range->needed = details.lowest; /* below are those that are only remembered */
}

struct piece {
    struct dispatcher *dispatcher;
    const struct port_record *records;
    size_t count;
    bool done;
};

static enum rcode restore_records(void *context, struct slot *base, struct err *err)
{
    struct piece *piece = context;
    struct dispatcher *dispatcher = piece->dispatcher;
    int32_t failed = -1;
    (void)base;
    arena_reset(&dispatcher->arena, ARENA_KEEP);
    enum rcode rc = ingest_prepare(dispatcher, NULL, piece->records, piece->count, 0, &failed, err);
    if (rc != OK || !dispatcher->job_count)
        return rc;
    ingest_sort(dispatcher);
    return ingest_fold(dispatcher, NULL, 0, dispatcher->job_count, 0, err);
}

static enum rcode dispatcher_restore_apply(struct processor *processor, int32_t partition,
                                           const struct port_record *records, size_t count,
                                           int64_t next, struct err *err)
{
    struct dispatcher *dispatcher = self(processor);
    struct piece piece = {.dispatcher = dispatcher, .records = records, .count = count};
    return slots_write(&dispatcher->slots, partition, next, 0, restore_records, &piece, err);
}

static enum rcode restore_passed(void *context, struct slot *base, struct err *err)
{
    struct piece *piece = context;
    struct dispatcher_slot *slot = (struct dispatcher_slot *)base;
    enum rcode rc = release_passed(piece->dispatcher, slot, &piece->done, err);
    if (rc == OK)
        rc = timers_forget(base->store, FORGET_MAX, slot_over, slot, err);
    return rc == OK ? timers_bounds(base->store, 0, &slot->bounds, err) : rc;
}

static enum rcode dispatcher_restore_finish(struct processor *processor, int32_t partition,
                                            const struct certificate *certificate, struct err *err)
{
    struct dispatcher *dispatcher = self(processor);
    struct dispatcher_slot *slot = dispatcher_slot(dispatcher, partition);
    struct piece piece = {.dispatcher = dispatcher};
    while (!piece.done) {
        enum rcode rc = slots_write(&dispatcher->slots, partition, certificate->input_next,
                                    certificate->log_next, restore_passed, &piece, err);
        if (rc != OK)
            return rc;
    }
    const struct store_meta *meta = store_meta(slot->slot.store);
    if (meta->entries != certificate->entries || meta->digest != certificate->digest)
        return err_set(
            err, E_STATE_MISMATCH,
            "partition %d has %llu pending commands with digest %016llx, its certificate says "
            "%llu with %016llx. If dispatcher.delay_max or schemas.dir were changed, records are "
            "judged otherwise than before: undo that, start, and change it again",
            partition, (unsigned long long)meta->entries, (unsigned long long)meta->digest,
            (unsigned long long)certificate->entries, (unsigned long long)certificate->digest);
    slot->batch_bounds = slot->bounds;
    publish(dispatcher);
    return OK;
}

/* --- a batch --- */

static enum rcode take_in(struct dispatcher *dispatcher, struct batch *batch, int64_t now_ms,
                          struct err *err)
{
    enum rcode rc = ingest_prepare(dispatcher, batch, batch->records, batch->count, now_ms,
                                   &batch->failed_partition, err);
    if (rc != OK)
        return rc;
    ingest_sort(dispatcher);
    for (size_t from = 0, to; from < dispatcher->job_count; from = to) {
        struct dispatcher_slot *slot = dispatcher->order[from]->slot;
        for (to = from + 1; to < dispatcher->job_count && dispatcher->order[to]->slot == slot; to++)
            ;
        rc = ingest_fold(dispatcher, batch->port, from, to, now_ms, err);
        if (rc != OK)
            return slot_at_fault(&slot->slot, batch, rc);
    }
    return OK;
}

static enum rcode finish(struct dispatcher_slot *slot, struct err *err)
{
    struct store *store = slot->slot.store;
    enum rcode rc = timers_forget(store, FORGET_MAX, slot_over, slot, err);
    int64_t hint = slot->bounds.pending_offset;
    if (hint == INT64_MAX) /* nothing was pending: only what came since can be */
        hint = store_meta(store)->input_next;
    return rc == OK ? timers_bounds(store, hint, &slot->batch_bounds, err) : rc;
}

static enum rcode dispatcher_process(struct processor *processor, struct batch *batch,
                                     struct err *err)
{
    struct dispatcher *dispatcher = self(processor);
    int64_t now_ms = batch->port->ops->wall_ms(batch->port);
    arena_reset(&dispatcher->arena, ARENA_KEEP);
    for (int i = 0; i < batch->partition_count; i++) {
        struct dispatcher_slot *slot = dispatcher_slot(dispatcher, batch->partitions[i]);
        enum rcode rc = slot_begin(&slot->slot, err);
        if (rc != OK)
            return slot_at_fault(&slot->slot, batch, rc);
    }
    enum rcode rc = take_in(dispatcher, batch, now_ms, err);
    if (rc == OK)
        rc = release_due(dispatcher, batch, now_ms, err);
    for (int i = 0; rc == OK && i < batch->partition_count; i++) {
        struct dispatcher_slot *slot = dispatcher_slot(dispatcher, batch->partitions[i]);
        rc = finish(slot, err);
        if (rc != OK)
            return slot_at_fault(&slot->slot, batch, rc);
    }
    return rc;
}

static enum rcode dispatcher_commit(struct processor *processor, int32_t partition,
                                    int64_t input_next, int64_t log_next, struct err *err)
{
    struct dispatcher *dispatcher = self(processor);
    struct dispatcher_slot *slot = dispatcher_slot(dispatcher, partition);
    /* With the first partition: the log has committed them all. */
    counters_move((atomic_llong *)&dispatcher->stats, (atomic_llong *)&dispatcher->batch, COUNTERS);
    histogram_move(&dispatcher->stats.release_delay_seconds,
                   &dispatcher->batch.release_delay_seconds);
    slot->frontier = slot->batch_frontier;
    slot->bounds = slot->batch_bounds;
    enum rcode rc = slots_commit(&dispatcher->slots, partition, input_next, log_next, err);
    publish(dispatcher);
    return rc;
}

static void dispatcher_abort(struct processor *processor)
{
    struct dispatcher *dispatcher = self(processor);
    counters_clear((atomic_llong *)&dispatcher->batch, COUNTERS);
    histogram_clear(&dispatcher->batch.release_delay_seconds);
    slots_abort(&dispatcher->slots);
    for (int i = 0; i < dispatcher->slots.count; i++) {
        struct dispatcher_slot *slot = (struct dispatcher_slot *)dispatcher->slots.items[i];
        slot->batch_frontier = slot->frontier;
        slot->batch_bounds = slot->bounds;
    }
}

static int64_t dispatcher_wake_ms(struct processor *processor, int32_t partition)
{
    return dispatcher_slot(self(processor), partition)->bounds.next_due_ms;
}

static void dispatcher_usage(struct processor *processor, int32_t partition,
                             struct processor_usage *ret_usage)
{
    slots_usage(&self(processor)->slots, partition, ret_usage);
}

enum rcode dispatcher_due(struct processor *processor, int32_t partition, const int64_t *until_ms,
                          int count, size_t *inout_budget, uint64_t *ret_counts, struct err *err)
{
    struct dispatcher_slot *slot = dispatcher_slot(self(processor), partition);
    return timers_count(slot->slot.store, until_ms, count, inout_budget, ret_counts, err);
}

static const struct processor_ops dispatcher_ops = {
    .open = dispatcher_open,
    .close = dispatcher_close,
    .discard = dispatcher_discard,
    .certificate_parse = dispatcher_certificate_parse,
    .restore_range = dispatcher_restore_range,
    .restore_apply = dispatcher_restore_apply,
    .restore_finish = dispatcher_restore_finish,
    .process = dispatcher_process,
    .certificate_write = dispatcher_certificate_write,
    .commit = dispatcher_commit,
    .abort = dispatcher_abort,
    .wake_ms = dispatcher_wake_ms,
    .usage = dispatcher_usage,
};

static void init_slots(struct dispatcher *dispatcher)
{
    const struct dispatcher_options *options = &dispatcher->options;
    struct buf belongs_to;
    buf_init(&belongs_to);
    buf_printf(&belongs_to, "input=%s output=%s%c", options->topic_names[TOPIC_DELAYED],
               options->topic_names[TOPIC_DUE], 0);
    slots_init(&dispatcher->slots,
               &(struct slots_options){.state = options->state,
                                       .kind = STORE_TIMERS,
                                       .slot_size = sizeof(struct dispatcher_slot),
                                       .topic = options->topic_names[TOPIC_DELAYED],
                                       .belongs_to = belongs_to.data,
                                       .partition_count = options->partition_counts[TOPIC_DELAYED],
                                       .format = STATE_FORMAT});
    buf_deinit(&belongs_to);
}

enum rcode dispatcher_new(const struct dispatcher_options *options,
                          struct processor **ret_dispatcher, struct err *err)
{
    struct codec *codec;
    enum rcode rc = codec_new(&options->codec, &codec, err);
    if (rc != OK)
        return rc;
    struct dispatcher *dispatcher = mem_zalloc(sizeof(*dispatcher));
    dispatcher->processor.ops = &dispatcher_ops;
    dispatcher->processor.input_is_changelog = true;
    dispatcher->options = *options;
    dispatcher->codec = codec;
    dispatcher->places = mem_alloc(PLACES_MAX * sizeof(struct timer_place));
    atomic_store(&dispatcher->stats.next_due_ms, INT64_MAX);
    init_slots(dispatcher);
    arena_init(&dispatcher->arena);
    buf_init(&dispatcher->headers);
    *ret_dispatcher = &dispatcher->processor;
    return OK;
}

void dispatcher_free(struct processor *processor)
{
    if (!processor)
        return;
    struct dispatcher *dispatcher = self(processor);
    slots_deinit(&dispatcher->slots);
    mem_free(dispatcher->jobs);
    mem_free(dispatcher->order);
    mem_free(dispatcher->departures);
    mem_free(dispatcher->drops);
    mem_free(dispatcher->places);
    arena_deinit(&dispatcher->arena);
    buf_deinit(&dispatcher->headers);
    codec_free(dispatcher->codec);
    mem_free(dispatcher);
}

const struct dispatcher_stats *dispatcher_stats(const struct processor *dispatcher)
{
    return &((const struct dispatcher *)dispatcher)->stats;
}
