#include "cli/reshard.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/failpoint.h"
#include "cli/reshard_parts.h"
#include "cli/topics_setup.h"
#include "kafka/writer.h"

#define TRANSACTION_RECORDS 10000

void reshard_init(struct reshard *reshard, const struct worker_tool *tool, const char *to,
                  int32_t to_count)
{
    *reshard = (struct reshard){.tool = tool,
                                .from = tool->deployment.topics[TOPIC_RECIPIENTS],
                                .to = to,
                                .to_count = to_count};
    buf_init(&reshard->scratch);
}

void reshard_deinit(struct reshard *reshard)
{
    mem_free(reshard->sources);
    mem_free(reshard->targets);
    buf_deinit(&reshard->scratch);
    *reshard = (struct reshard){0};
}

/* --- begin --- */

static enum rcode change_topic(const struct reshard *reshard, enum topic topic,
                               enum topics_change_kind kind, struct err *err)
{
    struct topics_options options =
        topics_setup(reshard->tool->settings->config, &reshard->tool->deployment);
    struct topics_plan *plan = mem_zalloc(sizeof(*plan));
    options.topics[TOPIC_RECIPIENTS] = reshard->to;
    options.wanted = 1u << topic;
    plan->count = 1;
    plan->changes[0] = (struct topics_change){.topic = topic, .kind = kind};
    snprintf(plan->changes[0].to, sizeof(plan->changes[0].to), "%d", reshard->to_count);
    enum rcode rc = topics_apply(&options, plan, err);
    mem_free(plan);
    return rc;
}

static enum rcode commit_unfinished(const struct reshard *reshard, struct err *err)
{
    size_t count = (size_t)reshard->to_count;
    struct kafka_group_offset *items = mem_zalloc(count * sizeof(*items));
    for (int32_t q = 0; q < reshard->to_count; q++)
        items[q] = (struct kafka_group_offset){reshard->to, q, 0, STR(WORKER_UNFINISHED)};
    enum rcode rc = kafka_group_offsets_set(reshard->tool->offsets, items, reshard->to_count, err);
    mem_free(items);
    return rc;
}

enum rcode reshard_begin(struct reshard *reshard, struct err *err)
{
    enum rcode rc = OK;
    if (!reshard->to_exists)
        rc = change_topic(reshard, TOPIC_RECIPIENTS, TOPICS_CREATE, err);
    if (rc == OK && reshard->stage == RESHARD_NEW)
        rc = commit_unfinished(reshard, err);
    if (rc == OK && reshard->input_count < reshard->to_count)
        rc = change_topic(reshard, TOPIC_BOUNCES, TOPICS_PARTITIONS, err);
    if (rc == OK)
        reshard->stage = RESHARD_BEGUN;
    failpoint("reshard-begun");
    return rc;
}

/* --- copy --- */

struct copy {
    struct reshard *reshard;
    struct kafka_writer *writer;
    int count; /* in the open transaction */
    bool open;
};

static enum rcode end_transaction(struct copy *copy, struct err *err)
{
    if (!copy->open)
        return OK;
    enum rcode rc = kafka_writer_commit(copy->writer, err);
    copy->open = false;
    copy->count = 0;
    failpoint("reshard-copied");
    return rc;
}

static enum rcode copy_state(void *context, const struct port_record *record, struct err *err)
{
    struct copy *copy = context;
    struct reshard *reshard = copy->reshard;
    struct kafka_writer_record written = {
        .topic = reshard->to, .timestamp_ms = record->timestamp_ms, .key = record->key};
    enum rcode rc = reshard_carry(reshard, record, &written.partition, &written.value, err);
    if (rc != OK || reshard->targets[written.partition].complete)
        return rc;
    if (copy->open && copy->count == TRANSACTION_RECORDS)
        rc = end_transaction(copy, err);
    if (rc == OK && !copy->open) {
        rc = kafka_writer_begin(copy->writer, err);
        copy->open = rc == OK;
    }
    if (rc == OK)
        rc = kafka_writer_send(copy->writer, &written, err);
    if (rc != OK)
        return rc;
    copy->count++;
    reshard->copied++;
    if (reshard->progress && reshard->copied % 1000 == 0)
        reshard->progress(reshard->progress_context, reshard->copied, reshard_entries(reshard));
    return OK;
}

/* Whether an old partition has keys that go to a new one that is not complete. */
static bool is_wanted(const struct reshard *reshard, int32_t p)
{
    for (int32_t q = 0; q < reshard->to_count; q++)
        if (!reshard->targets[q].complete && reshard_shares_keys(reshard, p, q))
            return true;
    return false;
}

static enum rcode find_complete(struct reshard *reshard, struct err *err)
{
    enum rcode rc = OK;
    for (int32_t q = 0; rc == OK && q < reshard->to_count; q++) {
        const struct certificate *planned = &reshard->targets[q].certificate;
        struct reshard_measure measure;
        rc = reshard_measure(reshard, reshard->to, q, &measure, err);
        reshard->targets[q].complete =
            rc == OK && measure.entries == planned->entries && measure.digest == planned->digest;
    }
    return rc;
}

enum rcode reshard_copy(struct reshard *reshard, struct err *err)
{
    struct changelog changelog = {reshard->tool->reader, reshard->from};
    struct copy copy = {.reshard = reshard};
    char id[512];
    snprintf(id, sizeof(id), "%s-reshard", reshard->tool->deployment.worker_group);
    /* It fences a run that is still at it, and ends what a dead one has left open. */
    enum rcode rc = kafka_writer_open(reshard->tool->deployment.properties, id, &copy.writer, err);
    if (rc == OK)
        rc = find_complete(reshard, err);
    for (int32_t p = 0; rc == OK && p < reshard->from_count; p++)
        if (is_wanted(reshard, p))
            rc = changelog_live(&changelog, p, copy_state, &copy, err);
    if (rc == OK)
        rc = end_transaction(&copy, err);
    kafka_writer_close(copy.writer);
    return rc;
}

/* --- prove --- */

static enum rcode mismatch(const struct reshard *reshard, int32_t q,
                           const struct reshard_measure *measure, struct err *err)
{
    const struct certificate *planned = &reshard->targets[q].certificate;
    return err_set(err, E_STATE_MISMATCH,
                   "%s-%d holds %llu recipients with digest %016llx instead of %llu with %016llx: "
                   "it was written to before, or somebody else writes to it. Delete that topic and "
                   "run the command again",
                   reshard->to, q, (unsigned long long)measure->entries,
                   (unsigned long long)measure->digest, (unsigned long long)planned->entries,
                   (unsigned long long)planned->digest);
}

enum rcode reshard_prove(struct reshard *reshard, struct err *err)
{
    struct port_watermarks *marks = mem_zalloc((size_t)reshard->to_count * sizeof(*marks));
    uint64_t content = 0;
    enum rcode rc =
        changelog_settle(reshard->tool->reader, reshard->to, reshard->to_count, marks, err);
    for (int32_t q = 0; rc == OK && q < reshard->to_count; q++) {
        struct certificate *planned = &reshard->targets[q].certificate;
        struct reshard_measure measure;
        rc = reshard_measure(reshard, reshard->to, q, &measure, err);
        if (rc == OK && (measure.entries != planned->entries || measure.digest != planned->digest))
            rc = mismatch(reshard, q, &measure, err);
        content ^= measure.content;
        planned->log_next = marks[q].high;
    }
    if (rc == OK && content != reshard->content)
        rc = err_set(err, E_BUG, "the states of %s are not those of %s: %016llx, %016llx",
                     reshard->to, reshard->from, (unsigned long long)content,
                     (unsigned long long)reshard->content);
    mem_free(marks);
    failpoint("reshard-proven");
    return rc;
}

/* --- finish --- */

enum rcode reshard_finish(struct reshard *reshard, struct err *err)
{
    size_t count = (size_t)reshard->to_count;
    struct kafka_group_offset *items = mem_zalloc(2 * count * sizeof(*items));
    char(*texts)[PORT_METADATA_MAX + 1] = mem_zalloc(count * sizeof(*texts));
    for (int32_t q = 0; q < reshard->to_count; q++) {
        const struct certificate *certificate = &reshard->targets[q].certificate;
        size_t len = worker_certificate_text(certificate, texts[q]);
        items[2 * q] = (struct kafka_group_offset){reshard->tool->deployment.topics[TOPIC_BOUNCES],
                                                   q, certificate->input_next, STR_NULL};
        items[2 * q + 1] =
            (struct kafka_group_offset){reshard->to, q, certificate->log_next, {texts[q], len}};
    }
    enum rcode rc =
        kafka_group_offsets_set(reshard->tool->offsets, items, 2 * reshard->to_count, err);
    if (rc == OK)
        reshard->stage = RESHARD_FINISHED;
    mem_free(texts);
    mem_free(items);
    return rc;
}
