/* What there is, and what is to be made of it. */
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "cli/reshard_parts.h"

static int32_t greatest_common_divisor(int32_t a, int32_t b)
{
    while (b) {
        int32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A key's partition is one number modulo the width. */
bool reshard_shares_keys(const struct reshard *reshard, int32_t source, int32_t target)
{
    int32_t divisor = greatest_common_divisor(reshard->from_count, reshard->to_count);
    return source % divisor == target % divisor;
}

uint64_t reshard_entries(const struct reshard *reshard)
{
    uint64_t entries = 0;
    for (int32_t p = 0; p < reshard->from_count; p++)
        entries += reshard->sources[p].certificate.entries;
    return entries;
}

/* --- states --- */

static enum rcode decode(struct reshard *reshard, const struct port_record *record,
                         struct recipient *ret_state, struct err *err)
{
    enum rcode rc = codec_decode_recipient(reshard->tool->codec, record->value, ret_state, err);
    if (rc != OK)
        err_prefix(err, "state at offset %lld of partition %d", (long long)record->offset,
                   record->partition);
    return rc;
}

static void encode(struct reshard *reshard, const struct recipient *state)
{
    buf_clear(&reshard->scratch);
    codec_encode_recipient(reshard->tool->codec, state, &reshard->scratch);
}

enum rcode reshard_carry(struct reshard *reshard, const struct port_record *record,
                         int32_t *ret_partition, struct str *ret_value, struct err *err)
{
    struct recipient state;
    int32_t partition = hash_partition(record->key, reshard->to_count);
    if (partition == record->partition) {
        *ret_partition = partition;
        *ret_value = record->value;
        return OK;
    }
    enum rcode rc = decode(reshard, record, &state, err);
    if (rc != OK)
        return rc;
    state.source_offset = reshard->targets[partition].certificate.input_next - 1;
    encode(reshard, &state);
    *ret_partition = partition;
    *ret_value = buf_view(&reshard->scratch);
    return OK;
}

struct measuring {
    struct reshard *reshard;
    struct reshard_measure measure;
    bool plan; /* add to what the targets will hold */
};

static enum rcode measure_state(void *context, const struct port_record *record, struct err *err)
{
    struct measuring *measuring = context;
    struct reshard *reshard = measuring->reshard;
    struct recipient state;
    enum rcode rc = decode(reshard, record, &state, err);
    if (rc != OK)
        return rc;
    state.source_offset = 0;
    encode(reshard, &state);
    measuring->measure.entries++;
    measuring->measure.digest ^= hash_record(record->key, record->value);
    measuring->measure.content ^= hash_record(record->key, buf_view(&reshard->scratch));
    if (!measuring->plan)
        return OK;
    int32_t partition;
    struct str value;
    rc = reshard_carry(reshard, record, &partition, &value, err);
    if (rc != OK)
        return rc;
    struct certificate *planned = &reshard->targets[partition].certificate;
    planned->entries++;
    planned->digest ^= hash_record(record->key, value);
    return OK;
}

static enum rcode measure_topic(struct reshard *reshard, const char *topic, int32_t partition,
                                bool plan, struct reshard_measure *ret_measure, struct err *err)
{
    struct measuring measuring = {.reshard = reshard, .plan = plan};
    struct changelog changelog = {reshard->tool->reader, topic};
    enum rcode rc = changelog_live(&changelog, partition, measure_state, &measuring, err);
    *ret_measure = measuring.measure;
    return rc;
}

enum rcode reshard_measure(struct reshard *reshard, const char *topic, int32_t partition,
                           struct reshard_measure *ret_measure, struct err *err)
{
    return measure_topic(reshard, topic, partition, false, ret_measure, err);
}

/* The old topic is proven, and with it what the new one will hold. */
static enum rcode plan_states(struct reshard *reshard, struct err *err)
{
    struct port_watermarks *marks = mem_zalloc((size_t)reshard->from_count * sizeof(*marks));
    enum rcode rc =
        changelog_settle(reshard->tool->reader, reshard->from, reshard->from_count, marks, err);
    mem_free(marks);
    for (int32_t p = 0; rc == OK && p < reshard->from_count; p++) {
        const struct certificate *certificate = &reshard->sources[p].certificate;
        struct reshard_measure measure;
        rc = measure_topic(reshard, reshard->from, p, true, &measure, err);
        if (rc == OK &&
            (measure.entries != certificate->entries || measure.digest != certificate->digest))
            rc = err_set(err, E_STATE_MISMATCH,
                         "%s-%d holds %llu recipients with digest %016llx, its certificate says "
                         "%llu with %016llx",
                         reshard->from, p, (unsigned long long)measure.entries,
                         (unsigned long long)measure.digest,
                         (unsigned long long)certificate->entries,
                         (unsigned long long)certificate->digest);
        reshard->content ^= measure.content;
    }
    return rc;
}

/* --- the input --- */

struct unread {
    struct reshard_source *source;
    struct processor *worker;
};

static enum rcode count_unread(void *context, const struct port_record *record, struct err *err)
{
    struct unread *unread = context;
    struct worker_judgement judgement;
    struct port_position origin;
    enum rcode rc = worker_judge(unread->worker, record, &judgement, err);
    if (rc != OK)
        return rc;
    bool stray = judgement.home >= 0 && judgement.home != record->partition;
    unread->source->unread++;
    unread->source->strays += stray;
    unread->source->lost += stray && worker_rerouted_from(record, &origin);
    return OK;
}

/* Whose former events will be in another partition. Stream times that have been merged may have let
 * others lapse or expire sooner than their own partition would. */
static int32_t carried_from(const struct reshard *reshard)
{
    for (int32_t p = 0; p < reshard->from_count; p++)
        if (reshard->sources[p].certificate.carried)
            return CARRIED_ANY;
    return reshard->to_count % reshard->from_count ? CARRIED_ANY : reshard->from_count;
}

static enum rcode plan_input(struct reshard *reshard, struct err *err)
{
    const struct worker_tool *tool = reshard->tool;
    const char *topic = tool->deployment.topics[TOPIC_BOUNCES];
    struct unread unread = {0};
    int32_t carried = carried_from(reshard);
    struct port_watermarks *marks = mem_zalloc((size_t)reshard->input_count * sizeof(*marks));
    enum rcode rc = changelog_settle(tool->reader, topic, reshard->input_count, marks, err);
    if (rc == OK)
        rc = worker_tool_worker(tool, reshard->to_count, "", NULL, &unread.worker, err);
    for (int32_t p = 0; rc == OK && p < reshard->from_count; p++) {
        unread.source = &reshard->sources[p];
        struct kafka_reading reading = {.topic = topic,
                                        .partition = p,
                                        .from = unread.source->input_next,
                                        .until = -1,
                                        .context = &unread,
                                        .record = count_unread};
        rc = kafka_reader_read(tool->reader, &reading, err);
    }
    for (int32_t q = 0; rc == OK && q < reshard->to_count; q++) {
        struct certificate *planned = &reshard->targets[q].certificate;
        planned->carried = carried;
        if (q < reshard->from_count)
            planned->input_next = reshard->sources[q].input_next;
        else
            planned->input_next = q < reshard->input_count ? marks[q].log_start : 0;
        for (int32_t p = 0; p < reshard->from_count; p++)
            if (reshard_shares_keys(reshard, p, q) &&
                reshard->sources[p].certificate.stream_time_ms > planned->stream_time_ms)
                planned->stream_time_ms = reshard->sources[p].certificate.stream_time_ms;
    }
    worker_free(unread.worker);
    mem_free(marks);
    return rc;
}

/* --- the group --- */

static enum rcode committed_on(const struct reshard *reshard, const char *certificates,
                               int32_t count, struct port_committed **ret_committed,
                               struct err *err)
{
    const char *const topics[2] = {reshard->tool->deployment.topics[TOPIC_BOUNCES], certificates};
    struct port_committed *committed = mem_zalloc((size_t)count * sizeof(*committed));
    for (int32_t p = 0; p < count; p++)
        committed[p].partition = p;
    enum rcode rc =
        kafka_reader_committed(reshard->tool->reader, reshard->tool->deployment.worker_group,
                               topics, committed, count, err);
    if (rc == OK)
        *ret_committed = committed;
    else
        mem_free(committed);
    return rc;
}

static enum rcode read_certificates(struct reshard *reshard, struct err *err)
{
    struct processor *worker = NULL;
    struct port_committed *committed = NULL;
    enum rcode rc = worker_tool_worker(reshard->tool, reshard->from_count, "", NULL, &worker, err);
    if (rc == OK)
        rc = committed_on(reshard, reshard->from, reshard->from_count, &committed, err);
    for (int32_t p = 0; rc == OK && p < reshard->from_count; p++) {
        struct reshard_source *source = &reshard->sources[p];
        if (committed[p].certificate_offset < 0) {
            rc = err_set(err, E_CERTIFICATE_LOST,
                         "partition %d of %s has no certificate: start a worker on it once, or "
                         "`rimbalzo offsets recover` if there are no offsets any more",
                         p, reshard->from);
            break;
        }
        rc = worker->ops->certificate_parse(
            worker, committed[p].certificate_offset,
            (struct str){committed[p].metadata, committed[p].metadata_len}, &source->certificate,
            err);
        /* As a worker would go on: never below the certificate, and ahead of it if told so. */
        source->input_next = committed[p].input_offset > source->certificate.input_next
                                 ? committed[p].input_offset
                                 : source->certificate.input_next;
    }
    mem_free(committed);
    worker_free(worker);
    return rc;
}

/* Whether earlier runs have begun, or come to their end. */
static enum rcode find_stage(struct reshard *reshard, struct err *err)
{
    struct port_committed *committed = NULL;
    int32_t unfinished = 0, certified = 0;
    bool written = false;
    enum rcode rc = committed_on(reshard, reshard->to, reshard->to_count, &committed, err);
    for (int32_t q = 0; rc == OK && q < reshard->to_count; q++) {
        struct str text = {committed[q].metadata, committed[q].metadata_len};
        struct port_watermarks marks;
        rc = kafka_reader_watermarks(reshard->tool->reader, reshard->to, q, &marks, err);
        written |= rc == OK && marks.high > 0;
        if (committed[q].certificate_offset < 0)
            continue;
        if (str_equal(text, STR(WORKER_UNFINISHED)))
            unfinished++;
        else
            certified++;
    }
    mem_free(committed);
    if (rc != OK)
        return rc;
    if (certified == reshard->to_count)
        reshard->stage = RESHARD_FINISHED;
    else if (unfinished == reshard->to_count)
        reshard->stage = RESHARD_BEGUN;
    else if (written || unfinished || certified)
        return err_set(err, E_USAGE, "topic %s is in use already: --to gives another name",
                       reshard->to);
    return OK;
}

/* --- widths --- */

static enum rcode find_widths(struct reshard *reshard, struct err *err)
{
    struct kafka_reader *reader = reshard->tool->reader;
    const char *input = reshard->tool->deployment.topics[TOPIC_BOUNCES];
    int32_t to_count = 0;
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (strcmp(reshard->tool->deployment.topics[i], reshard->to) == 0)
            return err_set(err, E_USAGE, "--to: topic %s is in use; the new one needs another name",
                           reshard->to);
    enum rcode rc = kafka_reader_partition_count(reader, reshard->from, &reshard->from_count, err);
    if (rc == OK)
        rc = kafka_reader_partition_count(reader, input, &reshard->input_count, err);
    if (rc != OK)
        return rc;
    rc = kafka_reader_partition_count(reader, reshard->to, &to_count, err);
    reshard->to_exists = rc == OK;
    if (rc != OK && rc != E_TOPICS)
        return rc;
    if (reshard->to_count <= reshard->from_count)
        return err_set(err, E_USAGE,
                       "--partitions: topic %s has %d, and there can only be more of them",
                       reshard->from, reshard->from_count);
    if (reshard->input_count != reshard->from_count && reshard->input_count != reshard->to_count)
        return err_set(err, E_USAGE,
                       "--partitions: topic %s has %d of them already, so it must be that many",
                       input, reshard->input_count);
    if (reshard->to_exists && to_count != reshard->to_count)
        return err_set(err, E_USAGE,
                       "topic %s exists and has %d partitions, not %d: --to gives another name",
                       reshard->to, to_count, reshard->to_count);
    return OK;
}

enum rcode reshard_plan(struct reshard *reshard, struct err *err)
{
    enum rcode rc = find_widths(reshard, err);
    if (rc == OK && reshard->to_exists)
        rc = find_stage(reshard, err);
    if (rc != OK || reshard->stage == RESHARD_FINISHED)
        return rc;
    reshard->sources = mem_zalloc((size_t)reshard->from_count * sizeof(reshard->sources[0]));
    reshard->targets = mem_zalloc((size_t)reshard->to_count * sizeof(reshard->targets[0]));
    rc = kafka_group_offsets_unused(reshard->tool->offsets, err);
    if (rc == OK)
        rc = read_certificates(reshard, err);
    if (rc == OK)
        rc = plan_input(reshard, err);
    return rc == OK ? plan_states(reshard, err) : rc;
}
