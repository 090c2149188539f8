#include "cli/ingest_job.h"

#include "base/hash.h"
#include "domain/address.h"
#include "stream/outbox.h"

#define ARENA_KEEP ((size_t)16 << 20)

/* What the batch in hand adds to the counters. */
struct counts {
    long long entries[INGEST_OUTCOME_COUNT];
    long long skipped[INGEST_SKIP_COUNT];
    long long dead_letters[RCODE_COUNT];
};

struct ingest_job {
    struct processor processor;
    struct ingest_job_options options;
    struct ingest_job_stats stats;
    struct counts counts;
    struct ingest *ingest;
    struct codec *codec;
    struct arena arena; /* of the batch */
    struct buf value;   /* scratch */
};

static struct ingest_job *self(struct processor *processor)
{
    return (struct ingest_job *)processor;
}

static void add(atomic_llong *counter, long long by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* The batch before was not aborted, so it was committed. */
void ingest_job_settle(struct processor *processor)
{
    struct ingest_job *job = self(processor);
    for (int i = 0; i < INGEST_OUTCOME_COUNT; i++)
        add(&job->stats.entries[i], job->counts.entries[i]);
    for (int i = 0; i < INGEST_SKIP_COUNT; i++)
        add(&job->stats.skipped[i], job->counts.skipped[i]);
    for (int i = 0; i < RCODE_COUNT; i++)
        add(&job->stats.dead_letters[i], job->counts.dead_letters[i]);
    job->counts = (struct counts){0};
}

static enum rcode send_record(struct ingest_job *job, struct port *port,
                              const struct port_record *source, const struct ingest_entry *entry,
                              struct err *err)
{
    char key_text[RECORD_KEY_MAX];
    struct identity who = {job->options.ingest.tenant, entry->canonical};
    struct str key = {key_text, identity_key(who, key_text)};
    buf_clear(&job->value);
    codec_encode_input(job->codec, &entry->record, &job->value);
    struct port_message message = {
        .topic = TOPIC_BOUNCES,
        .partition = hash_partition(key, job->options.partition_counts[TOPIC_BOUNCES]),
        .key = key,
        .value = buf_view(&job->value)};
    outbox_copy_headers(source, &job->arena, &message);
    return outbox_send(port, &message, err);
}

static enum rcode send_dead_letter(struct ingest_job *job, struct port *port,
                                   const struct port_record *source,
                                   const struct ingest_entry *entry, struct err *err)
{
    struct dead_letters dead_letters = {job->options.source,
                                        job->options.partition_counts[TOPIC_DEAD_LETTERS]};
    struct err why;
    err_set(&why, entry->code, "%.*s", STR_ARG(entry->why));
    job->counts.dead_letters[entry->code]++;
    return outbox_dead_letter(port, &dead_letters, source, &why, &job->arena, err);
}

static enum rcode take_record(struct ingest_job *job, struct port *port,
                              const struct port_record *record, struct err *err)
{
    struct ingest_item item = {record->value, record->timestamp_ms};
    struct ingest_result result;
    const struct ingest_entry *rejected = NULL;
    enum rcode rc = OK;
    ingest_read(job->ingest, &item, &result);
    for (size_t i = 0; rc == OK && i < result.count; i++) {
        const struct ingest_entry *entry = &result.entries[i];
        job->counts.entries[entry->outcome]++;
        switch (entry->outcome) {
        case INGEST_BOUNCE:
        case INGEST_DELIVERY:
            rc = send_record(job, port, record, entry, err);
            break;
        case INGEST_SKIPPED:
            job->counts.skipped[entry->skip]++;
            break;
        case INGEST_REJECTED:
            if (!rejected)
                rejected = entry;
            break;
        case INGEST_OUTCOME_COUNT:
            break;
        }
    }
    return rc == OK && rejected ? send_dead_letter(job, port, record, rejected, err) : rc;
}

static enum rcode job_process(struct processor *processor, struct batch *batch, struct err *err)
{
    struct ingest_job *job = self(processor);
    enum rcode rc = OK;
    ingest_job_settle(processor);
    arena_reset(&job->arena, ARENA_KEEP);
    for (size_t i = 0; rc == OK && i < batch->count; i++)
        rc = take_record(job, batch->port, &batch->records[i], err);
    return rc;
}

static void job_abort(struct processor *processor)
{
    self(processor)->counts = (struct counts){0};
}

static const struct processor_ops job_ops = {.process = job_process, .abort = job_abort};

enum rcode ingest_job_new(const struct ingest_job_options *options, struct processor **ret_job,
                          struct err *err)
{
    struct codec *codec;
    enum rcode rc = codec_new(&options->codec, &codec, err);
    if (rc != OK)
        return rc;
    struct ingest_job *job = mem_zalloc(sizeof(*job));
    job->processor.ops = &job_ops;
    job->processor.stateless = true;
    job->options = *options;
    job->ingest = ingest_new(&options->ingest);
    job->codec = codec;
    arena_init(&job->arena);
    buf_init(&job->value);
    *ret_job = &job->processor;
    return OK;
}

void ingest_job_free(struct processor *processor)
{
    if (!processor)
        return;
    struct ingest_job *job = self(processor);
    ingest_free(job->ingest);
    codec_free(job->codec);
    arena_deinit(&job->arena);
    buf_deinit(&job->value);
    mem_free(job);
}

const struct ingest_job_stats *ingest_job_stats(const struct processor *processor)
{
    return &((const struct ingest_job *)processor)->stats;
}
