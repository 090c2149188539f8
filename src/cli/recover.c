#include "cli/recover.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "domain/address.h"

const char *const recover_basis_names[RECOVER_BASIS_COUNT] = {
#define X(constant, string) [constant] = string,
    RECOVER_BASES(X)
#undef X
};

/* A copy says that this record was rerouted. */
struct claim {
    struct port_position origin;
    uint64_t hash; /* of the value */
    int32_t copy;  /* where the copy lies */
};

struct recovery {
    const struct recover_options *options;
    struct recover_partition *partitions;
    struct claim *claims; /* sorted by partition and offset */
    size_t claim_count, claim_cap;
    /* while one partition is read */
    struct recover_partition *current;
    int64_t stream_time_ms; /* of the input read so far */
    size_t next_claim;
    bool carried; /* the input was read with fewer partitions before */
};

static bool is_lost(const struct recovery *recovery, int64_t partition)
{
    return partition >= 0 && partition < recovery->options->partitions &&
           recovery->partitions[partition].basis != RECOVER_CERTIFICATE;
}

/* The record at `offset` was processed. */
static void note(struct recover_partition *partition, int64_t offset, enum recover_basis basis)
{
    if (offset < partition->certificate.input_next)
        return;
    partition->certificate.input_next = offset + 1;
    partition->basis = basis;
}

/* --- what the group knows --- */

static enum rcode ask_group(struct recovery *recovery, struct err *err)
{
    const struct recover_options *options = recovery->options;
    const char *const topics[2] = {options->topics[TOPIC_BOUNCES],
                                   options->topics[TOPIC_RECIPIENTS]};
    size_t count = (size_t)options->partitions;
    struct port_committed *committed = mem_zalloc(count * sizeof(*committed));
    for (int32_t p = 0; p < options->partitions; p++)
        committed[p].partition = p;
    enum rcode rc = kafka_reader_committed(options->reader, options->group, topics, committed,
                                           options->partitions, err);
    for (size_t p = 0; rc == OK && p < count; p++) {
        struct recover_partition *partition = &recovery->partitions[p];
        if (committed[p].certificate_offset >= 0) {
            rc = options->worker->ops->certificate_parse(
                options->worker, committed[p].certificate_offset,
                (struct str){committed[p].metadata, committed[p].metadata_len},
                &partition->certificate, err);
            partition->basis = RECOVER_CERTIFICATE;
            continue;
        }
        partition->basis = RECOVER_LOG_START;
        note(partition, committed[p].input_offset - 1, RECOVER_GROUP);
    }
    mem_free(committed);
    return rc;
}

/* --- what states know --- */

static bool decimal(struct str text, int64_t *ret_number)
{
    int64_t number = 0;
    if (!text.len || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* Of several headers of a name the last counts: ours come behind those of the record itself. */
static struct str header_of(const struct port_record *record, struct str name)
{
    struct str value = STR_NULL;
    for (int i = 0; i < record->header_count; i++)
        if (str_equal(record->headers[i].name, name))
            value = record->headers[i].value;
    return value;
}

static enum rcode note_state(void *context, const struct port_record *record, struct err *err)
{
    struct recovery *recovery = context;
    struct recover_partition *partition = recovery->current;
    struct recipient state;
    int64_t offset;
    if (!record->value.data) {
        if (decimal(header_of(record, STR("source_offset")), &offset))
            note(partition, offset, RECOVER_STATES);
        return OK;
    }
    enum rcode rc = codec_decode_recipient(recovery->options->codec, record->value, &state, err);
    if (rc != OK) {
        err_prefix(err, "offset %lld of partition %d of the recipients topic",
                   (long long)record->offset, record->partition);
        return err->code = E_STATE_MISMATCH;
    }
    note(partition, state.source_offset, RECOVER_STATES);
    if (state.last_event_at_ms > partition->certificate.stream_time_ms)
        partition->certificate.stream_time_ms = state.last_event_at_ms;
    return OK;
}

static enum rcode read_states(struct recovery *recovery, struct err *err)
{
    const struct recover_options *options = recovery->options;
    struct changelog changelog = {options->reader, options->topics[TOPIC_RECIPIENTS]};
    size_t count = (size_t)options->partitions;
    struct port_watermarks *marks = mem_zalloc(count * sizeof(*marks));
    enum rcode rc =
        changelog_settle(options->reader, changelog.topic, options->partitions, marks, err);
    for (int32_t p = 0; rc == OK && p < options->partitions; p++) {
        struct changelog_sum sum;
        if (!is_lost(recovery, p))
            continue;
        recovery->current = &recovery->partitions[p];
        rc = changelog_sum(&changelog, p, note_state, recovery, &sum, err);
        if (rc != OK)
            break;
        struct certificate *certificate = &recovery->current->certificate;
        certificate->log_next = marks[p].high;
        certificate->entries = sum.entries;
        certificate->digest = sum.digest;
    }
    mem_free(marks);
    return rc;
}

/* --- what dead letters know --- */

static enum rcode note_dead_letter(void *context, const struct port_record *record, struct err *err)
{
    struct recovery *recovery = context;
    struct str topic = header_of(record, STR("rimbalzo-topic"));
    int64_t partition, offset;
    (void)err;
    if (topic.data && str_equal(topic, str_of(recovery->options->topics[TOPIC_BOUNCES])) &&
        decimal(header_of(record, STR("rimbalzo-partition")), &partition) &&
        decimal(header_of(record, STR("rimbalzo-offset")), &offset) && is_lost(recovery, partition))
        note(&recovery->partitions[partition], offset, RECOVER_DEAD_LETTERS);
    return OK;
}

static enum rcode read_settled(struct recovery *recovery, enum topic topic, int32_t partition,
                               changelog_visit *visit, struct err *err)
{
    const struct recover_options *options = recovery->options;
    struct kafka_reading reading = {.topic = options->topics[topic],
                                    .partition = partition,
                                    .until = -1,
                                    .context = recovery,
                                    .record = visit};
    return kafka_reader_read(options->reader, &reading, err);
}

static enum rcode read_dead_letters(struct recovery *recovery, struct err *err)
{
    const char *topic = recovery->options->topics[TOPIC_DEAD_LETTERS];
    int32_t count;
    enum rcode rc = kafka_reader_partition_count(recovery->options->reader, topic, &count, err);
    if (rc != OK)
        return rc;
    struct port_watermarks *marks = mem_zalloc((size_t)count * sizeof(*marks));
    rc = changelog_settle(recovery->options->reader, topic, count, marks, err);
    mem_free(marks);
    return rc == OK ? read_settled(recovery, TOPIC_DEAD_LETTERS, -1, note_dead_letter, err) : rc;
}

/* --- what the input knows --- */

static int compare_claims(const void *a, const void *b)
{
    const struct port_position *left = &((const struct claim *)a)->origin;
    const struct port_position *right = &((const struct claim *)b)->origin;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static uint64_t hash_of(struct str value)
{
    return value.data ? hash_xxh3(value.data, value.len) : 0;
}

static enum rcode collect_claim(void *context, const struct port_record *record, struct err *err)
{
    struct recovery *recovery = context;
    struct claim claim = {.hash = hash_of(record->value), .copy = record->partition};
    (void)err;
    if (!worker_rerouted_from(record, &claim.origin) || !is_lost(recovery, claim.origin.partition))
        return OK;
    if (recovery->claim_count == recovery->claim_cap) {
        recovery->claim_cap = 2 * recovery->claim_cap + 64;
        recovery->claims =
            mem_realloc(recovery->claims, recovery->claim_cap * sizeof(struct claim));
    }
    recovery->claims[recovery->claim_count++] = claim;
    return OK;
}

/* Whether a copy of this record is at `home`, where its recipient belongs. */
static bool is_rerouted(struct recovery *recovery, const struct port_record *record, int32_t home)
{
    struct port_position here = {record->partition, record->offset};
    struct claim place = {.origin = here};
    bool found = false;
    while (recovery->next_claim < recovery->claim_count &&
           compare_claims(&recovery->claims[recovery->next_claim], &place) < 0)
        recovery->next_claim++;
    for (size_t i = recovery->next_claim; i < recovery->claim_count; i++) {
        const struct claim *claim = &recovery->claims[i];
        if (compare_claims(claim, &place) != 0)
            break;
        found |= claim->copy == home && claim->hash == hash_of(record->value);
    }
    return found && home != here.partition;
}

/* The certificate's stream time is that of the records below its offset, which may still rise. */
static enum rcode note_input(void *context, const struct port_record *record, struct err *err)
{
    struct recovery *recovery = context;
    struct recover_partition *partition = recovery->current;
    struct worker_judgement judgement;
    struct port_position origin;
    enum rcode rc = worker_judge(recovery->options->worker, record, &judgement, err);
    if (rc != OK)
        return rc;
    if (judgement.home == record->partition && judgement.time_ms > recovery->stream_time_ms)
        recovery->stream_time_ms = judgement.time_ms;
    if (is_rerouted(recovery, record, judgement.home))
        note(partition, record->offset, RECOVER_REROUTES);
    else if (judgement.home >= 0 && judgement.home != record->partition &&
             record->offset < partition->certificate.input_next &&
             !worker_rerouted_from(record, &origin))
        recovery->carried = true; /* it was at home when it was processed */
    if (record->offset < partition->certificate.input_next &&
        recovery->stream_time_ms > partition->certificate.stream_time_ms)
        partition->certificate.stream_time_ms = recovery->stream_time_ms;
    return OK;
}

static enum rcode check_input(const struct recover_partition *partition, int32_t number,
                              struct err *err)
{
    if (partition->certificate.input_next <= partition->input.high)
        return OK;
    return err_set(err, E_TOPIC_RECREATED,
                   "partition %d of the input ends at offset %lld, but record %lld of it was "
                   "processed (it is named by: %s): the topic was recreated or truncated",
                   number, (long long)partition->input.high,
                   (long long)partition->certificate.input_next - 1,
                   recover_basis_names[partition->basis]);
}

static enum rcode read_input(struct recovery *recovery, struct err *err)
{
    const struct recover_options *options = recovery->options;
    enum rcode rc = read_settled(recovery, TOPIC_BOUNCES, -1, collect_claim, err);
    if (rc == OK && recovery->claim_count)
        qsort(recovery->claims, recovery->claim_count, sizeof(struct claim), compare_claims);
    for (int32_t p = 0; rc == OK && p < options->partitions; p++) {
        if (!is_lost(recovery, p))
            continue;
        recovery->current = &recovery->partitions[p];
        recovery->stream_time_ms = 0;
        rc = check_input(recovery->current, p, err);
        if (rc == OK)
            rc = read_settled(recovery, TOPIC_BOUNCES, p, note_input, err);
        if (rc == OK && recovery->current->basis == RECOVER_LOG_START)
            recovery->current->certificate.input_next = recovery->current->input.log_start;
    }
    return rc;
}

enum rcode recover_plan(const struct recover_options *options,
                        struct recover_partition *ret_partitions, struct err *err)
{
    struct recovery recovery = {.options = options, .partitions = ret_partitions};
    size_t count = (size_t)options->partitions;
    struct port_watermarks *marks = mem_zalloc(count * sizeof(*marks));
    memset(ret_partitions, 0, count * sizeof(*ret_partitions));
    enum rcode rc = ask_group(&recovery, err);
    if (rc == OK)
        rc = changelog_settle(options->reader, options->topics[TOPIC_BOUNCES], options->partitions,
                              marks, err);
    for (size_t p = 0; rc == OK && p < count; p++)
        ret_partitions[p].input = marks[p];
    if (rc == OK)
        rc = read_states(&recovery, err);
    if (rc == OK)
        rc = read_dead_letters(&recovery, err);
    if (rc == OK)
        rc = read_input(&recovery, err);
    for (size_t p = 0; p < count; p++)
        if (recovery.carried)
            ret_partitions[p].certificate.carried = CARRIED_ANY;
    mem_free(marks);
    mem_free(recovery.claims);
    return rc;
}
