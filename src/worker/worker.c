/* The worker's side of a partition's life: opening, proving, committing. The batch is in prepare.c
 * and fold.c. */
#include <stdio.h>
#include <stdlib.h>

#include "worker/worker_internal.h"

#include "base/clock.h"
#include "codec/selfcheck.h"
#include "domain/address.h"

#define STATE_FORMAT 2

/* Seconds to minutes where bounces come at once, hours to days where they come in batches. */
const struct histogram_layout worker_bounce_age_layout = {
    12, {1, 5, 30, 60, 300, 900, 3600, 21600, 86400, 259200, 604800, 2592000}};

unsigned char worker_kind(const struct recipient *state)
{
    int32_t attempt = state->attempt;
    switch (state->status) {
    case STATUS_ACTIVE:
        return WORKER_KIND_ACTIVE;
    case STATUS_SUPPRESSED:
        return (unsigned char)(WORKER_KIND_SUPPRESSED + (int)state->suppressed_by);
    case STATUS_SUSPENDED:
    case RECIPIENT_STATUS_COUNT:
        break;
    }
    attempt = attempt < 1 ? 1 : attempt > WORKER_ATTEMPTS_MAX ? WORKER_ATTEMPTS_MAX : attempt;
    return (unsigned char)(WORKER_KIND_SUSPENDED + attempt);
}

static struct worker *self(struct processor *processor)
{
    return (struct worker *)processor;
}

static enum rcode worker_open(struct processor *processor, int32_t partition,
                              struct local_state *ret_local, struct err *err)
{
    return slots_open(&self(processor)->slots, partition, ret_local, err);
}

static void worker_close(struct processor *processor, int32_t partition, bool clean)
{
    slots_close(&self(processor)->slots, partition, clean);
}

static enum rcode worker_discard(struct processor *processor, int32_t partition, struct err *err)
{
    return slots_discard(&self(processor)->slots, partition, err);
}

/* `v1 i=<next input offset> t=<stream time> n=<entries> d=<digest>`, and ` carried=<n>` unless 0 */
static enum rcode worker_certificate_parse(struct processor *processor, int64_t offset,
                                           struct str metadata, struct certificate *ret_certificate,
                                           struct err *err)
{
    (void)processor;
    char text[PORT_METADATA_MAX + 1];
    long long input = -1, stream_time = -1;
    unsigned long long entries = 0, digest = 0;
    int used = -1;
    size_t len = metadata.len < PORT_METADATA_MAX ? metadata.len : PORT_METADATA_MAX;
    memcpy(text, metadata.data ? metadata.data : "", len);
    text[len] = '\0';
    if (strcmp(text, WORKER_UNFINISHED) == 0)
        return err_set(err, E_CERTIFICATE_INVALID,
                       "this recipients topic is being made by `rimbalzo reshard`, which has not "
                       "been finished: run it again, with topics.recipients as it was before");
    sscanf(text, "v1 i=%lld t=%lld n=%llu d=%llx%n", &input, &stream_time, &entries, &digest,
           &used);
    int carried = 0, more = -1;
    if (used >= 0 && text[used] && sscanf(text + used, " carried=%d%n", &carried, &more) == 1)
        used += more;
    if (used < 0 || (size_t)used != metadata.len || input < 0 || stream_time < 0)
        return err_set(
            err, E_CERTIFICATE_INVALID,
            "the group's certificate \"%s\" is not one this version can read: another program "
            "commits offsets of the recipients topic in this group, or a newer version did",
            text);
    *ret_certificate = (struct certificate){.input_next = input,
                                            .log_next = offset,
                                            .stream_time_ms = stream_time,
                                            .entries = entries,
                                            .digest = digest,
                                            .carried = carried};
    return OK;
}

size_t worker_certificate_text(const struct certificate *certificate,
                               char ret_text[PORT_METADATA_MAX + 1])
{
    int len =
        snprintf(ret_text, PORT_METADATA_MAX + 1, "v1 i=%lld t=%lld n=%llu d=%016llx",
                 (long long)certificate->input_next, (long long)certificate->stream_time_ms,
                 (unsigned long long)certificate->entries, (unsigned long long)certificate->digest);
    if (certificate->carried)
        len += snprintf(ret_text + len, PORT_METADATA_MAX + 1 - (size_t)len, " carried=%d",
                        certificate->carried);
    return (size_t)len;
}

static size_t worker_certificate_write(struct processor *processor, int32_t partition,
                                       int64_t input_next, char ret_text[PORT_METADATA_MAX + 1])
{
    struct slot *slot = slots_find(&self(processor)->slots, partition);
    const struct store_meta *meta = store_meta(slot->store);
    struct certificate certificate = {.input_next = input_next,
                                      .stream_time_ms = slot->batch_time_ms,
                                      .entries = meta->entries,
                                      .digest = meta->digest,
                                      .carried = ((struct worker_slot *)slot)->carried};
    if (slot->begun)
        store_pending(slot->store, &certificate.entries, &certificate.digest);
    return worker_certificate_text(&certificate, ret_text);
}

static void worker_restore_range(struct processor *processor, int32_t partition,
                                 const struct certificate *certificate,
                                 struct restore_range *ret_range)
{
    const struct store_meta *meta =
        store_meta(slots_find(&self(processor)->slots, partition)->store);
    *ret_range = (struct restore_range){.topic = TOPIC_RECIPIENTS,
                                        .from = meta->sequence ? meta->changelog_next : -1,
                                        .to = certificate->log_next};
}

/* Orders indexes of records by key, then offset. */
struct by_key {
    struct identity who;
    const struct port_record *record;
};

static int compare_by_key(const void *a, const void *b)
{
    const struct by_key *left = a, *right = b;
    int order = store_key_compare(left->who, right->who);
    if (order)
        return order;
    return (left->record->offset > right->record->offset) -
           (left->record->offset < right->record->offset);
}

struct restored {
    struct worker *worker;
    const struct port_record *records;
    size_t count;
};

static enum rcode put_restored(struct worker *worker, struct slot *slot, struct identity who,
                               struct str value, struct err *err)
{
    struct recipient state;
    enum rcode rc = codec_decode_recipient(worker->codec, value, &state, err);
    if (rc != OK && rcode_disposition(rc) == DISPOSITION_REJECT) {
        err_prefix(err, "a state of the recipients topic cannot be decoded");
        return err->code = E_STATE_MISMATCH;
    }
    return rc != OK ? rc : store_put(slot->store, who, value, worker_kind(&state), err);
}

/* Sorted by key and with only the last record of each, so that LMDB is walked in order. */
static enum rcode upsert(void *context, struct slot *slot, struct err *err)
{
    const struct restored *restored = context;
    const struct port_record *records = restored->records;
    size_t count = restored->count;
    arena_reset(&restored->worker->arena, ARENA_KEEP);
    struct by_key *sorted = arena_alloc(&restored->worker->arena, count * sizeof(*sorted));
    for (size_t i = 0; i < count; i++) {
        sorted[i].record = &records[i];
        if (!identity_of_key(records[i].key, &sorted[i].who))
            return err_set(
                err, E_STATE_MISMATCH,
                "offset %lld of partition %d of the recipients topic has a key that is no "
                "recipient: another program writes to that topic",
                (long long)records[i].offset, slot->partition);
    }
    qsort(sorted, count, sizeof(*sorted), compare_by_key);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && store_key_compare(sorted[i].who, sorted[i + 1].who) == 0)
            continue;
        struct str value = sorted[i].record->value;
        enum rcode rc = value.data ? put_restored(restored->worker, slot, sorted[i].who, value, err)
                                   : store_delete(slot->store, sorted[i].who, err);
        if (rc != OK)
            return rc;
    }
    return OK;
}

static enum rcode worker_restore_apply(struct processor *processor, int32_t partition,
                                       const struct port_record *records, size_t count,
                                       int64_t next, struct err *err)
{
    struct worker *worker = self(processor);
    struct slot *slot = slots_find(&worker->slots, partition);
    struct restored restored = {worker, records, count};
    return slots_write(&worker->slots, partition, store_meta(slot->store)->input_next, next, upsert,
                       &restored, err);
}

static enum rcode worker_restore_finish(struct processor *processor, int32_t partition,
                                        const struct certificate *certificate, struct err *err)
{
    struct slot *slot = slots_find(&self(processor)->slots, partition);
    const struct store_meta *meta = store_meta(slot->store);
    if (meta->entries != certificate->entries || meta->digest != certificate->digest)
        return err_set(
            err, E_STATE_MISMATCH,
            "the restored state of partition %d has %llu recipients and digest %016llx, its "
            "certificate says %llu and %016llx",
            partition, (unsigned long long)meta->entries, (unsigned long long)meta->digest,
            (unsigned long long)certificate->entries, (unsigned long long)certificate->digest);
    slot->time_ms = certificate->stream_time_ms;
    slot->batch_time_ms = certificate->stream_time_ms;
    ((struct worker_slot *)slot)->carried = certificate->carried;
    enum rcode rc = store_begin(slot->store, err);
    if (rc != OK)
        return rc;
    return store_commit(slot->store, certificate->input_next, certificate->log_next,
                        certificate->stream_time_ms, err);
}

/* --- a batch --- */

/* worker_stats begins with counters, and a histogram comes last. */
#define COUNTERS (offsetof(struct worker_stats, bounce_age_seconds) / sizeof(atomic_llong))

static void count_committed(struct worker *worker)
{
    counters_move((atomic_llong *)&worker->stats, (atomic_llong *)&worker->batch, COUNTERS);
    histogram_move(&worker->stats.bounce_age_seconds, &worker->batch.bounce_age_seconds);
}

/* Between two batches nobody holds a verdict. */
static void take_rules(struct worker *worker)
{
    const struct rule_set *wanted = atomic_load(&worker->rules_wanted);
    if (wanted == atomic_load(&worker->rules))
        return;
    /* Shown to be in use before they are used; what was replaced meanwhile may be gone already. */
    atomic_store(&worker->rules, wanted);
    for (const struct rule_set *now; (now = atomic_load(&worker->rules_wanted)) != wanted;) {
        wanted = now;
        atomic_store(&worker->rules, wanted);
    }
    classifier_use(worker->classifier, wanted);
}

void worker_use_rules(struct processor *processor, const struct rule_set *rules)
{
    atomic_store(&self(processor)->rules_wanted, rules);
}

const struct rule_set *worker_rules(const struct processor *processor)
{
    return atomic_load(&((const struct worker *)processor)->rules);
}

static enum rcode worker_process(struct processor *processor, struct batch *batch, struct err *err)
{
    struct worker *worker = self(processor);
    arena_reset(&worker->arena, ARENA_KEEP);
    worker->now_ms = clock_wall_ms();
    take_rules(worker);
    enum rcode rc = prepare_batch(worker, batch, err);
    if (rc == OK)
        rc = fold_batch(worker, batch, err);
    return rc;
}

static enum rcode worker_commit(struct processor *processor, int32_t partition, int64_t input_next,
                                int64_t log_next, struct err *err)
{
    struct worker *worker = self(processor);
    count_committed(worker); /* with the first partition: the log has committed them all */
    return slots_commit(&worker->slots, partition, input_next, log_next, err);
}

static void worker_abort(struct processor *processor)
{
    struct worker *worker = self(processor);
    counters_clear((atomic_llong *)&worker->batch, COUNTERS);
    histogram_clear(&worker->batch.bounce_age_seconds);
    slots_abort(&worker->slots);
}

static void worker_usage(struct processor *processor, int32_t partition,
                         struct processor_usage *ret_usage)
{
    slots_usage(&self(processor)->slots, partition, ret_usage);
}

enum rcode worker_look(struct processor *processor, int32_t partition, struct identity who,
                       struct buf *out, bool *ret_found, struct err *err)
{
    struct slot *slot = slots_find(&self(processor)->slots, partition);
    return store_look(slot->store, who, out, ret_found, err);
}

static const struct processor_ops worker_ops = {
    .open = worker_open,
    .close = worker_close,
    .discard = worker_discard,
    .certificate_parse = worker_certificate_parse,
    .restore_range = worker_restore_range,
    .restore_apply = worker_restore_apply,
    .restore_finish = worker_restore_finish,
    .process = worker_process,
    .certificate_write = worker_certificate_write,
    .commit = worker_commit,
    .abort = worker_abort,
    .usage = worker_usage,
};

static void init_slots(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    struct buf belongs_to;
    buf_init(&belongs_to);
    buf_printf(&belongs_to, "input=%s changelog=%s%c", options->topic_names[TOPIC_BOUNCES],
               options->topic_names[TOPIC_RECIPIENTS], 0);
    slots_init(&worker->slots,
               &(struct slots_options){.state = options->state,
                                       .kind = STORE_RECIPIENTS,
                                       .slot_size = sizeof(struct worker_slot),
                                       .topic = options->topic_names[TOPIC_BOUNCES],
                                       .belongs_to = belongs_to.data,
                                       .partition_count = options->partition_counts[TOPIC_BOUNCES],
                                       .format = STATE_FORMAT});
    buf_deinit(&belongs_to);
}

enum rcode worker_new(const struct worker_options *options, struct processor **ret_worker,
                      struct err *err)
{
    struct codec *codec;
    enum rcode rc = codec_new(&options->codec, &codec, err);
    if (rc != OK)
        return rc;
    rc = codec_selfcheck(codec, err);
    if (rc != OK) {
        codec_free(codec);
        return rc;
    }
    struct worker *worker = mem_zalloc(sizeof(*worker));
    worker->processor.ops = &worker_ops;
    worker->options = *options;
    worker->codec = codec;
    worker->classifier = classifier_new(options->rules);
    atomic_store(&worker->rules, options->rules);
    atomic_store(&worker->rules_wanted, options->rules);
    init_slots(worker);
    arena_init(&worker->arena);
    buf_init(&worker->value);
    *ret_worker = &worker->processor;
    return OK;
}

void worker_free(struct processor *processor)
{
    if (!processor)
        return;
    struct worker *worker = self(processor);
    slots_deinit(&worker->slots);
    mem_free(worker->works);
    mem_free(worker->orders);
    arena_deinit(&worker->arena);
    buf_deinit(&worker->value);
    classifier_free(worker->classifier);
    codec_free(worker->codec);
    mem_free(worker);
}

const struct worker_stats *worker_stats(const struct processor *worker)
{
    return &((const struct worker *)worker)->stats;
}

struct store *worker_store(const struct processor *worker, int32_t partition)
{
    return slots_find(&((const struct worker *)worker)->slots, partition)->store;
}

enum rcode worker_remove(struct processor *processor, int32_t partition, struct err *err)
{
    return slots_remove(&self(processor)->slots, partition, err);
}
