#include "cli/state_snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/topics_setup.h"
#include "cli/worker_tool.h"
#include "store/snapshot.h"

#define TRIES 3 /* compaction may pass what a certificate counts while it is read */
#define STAGING ".restore"

struct snapshot {
    struct worker_tool tool;
    struct topics_facts facts;
    struct processor *worker; /* of the folder */
    struct output output;
    int32_t partitions;
    int count; /* partitions done */
};

static enum rcode open_snapshot(struct snapshot *snapshot, const struct settings *settings,
                                const char *dir, struct err *err)
{
    enum rcode rc = worker_tool_open(&snapshot->tool, settings, err);
    if (rc != OK)
        return rc;
    struct topics_options topics = topics_setup(settings->config, &snapshot->tool.deployment);
    topics.wanted = 1u << TOPIC_BOUNCES | 1u << TOPIC_RECIPIENTS;
    rc = topics_check(&topics, &snapshot->facts, err);
    snapshot->partitions = snapshot->facts.partition_counts[TOPIC_BOUNCES];
    return rc == OK ? worker_tool_worker(&snapshot->tool, snapshot->partitions, dir,
                                         &snapshot->facts, &snapshot->worker, err)
                    : rc;
}

static void close_snapshot(struct snapshot *snapshot)
{
    worker_free(snapshot->worker);
    topics_facts_deinit(&snapshot->facts);
    worker_tool_close(&snapshot->tool);
}

static void begin_rows(struct snapshot *snapshot, enum output_format format)
{
    static const char *const columns[] = {"partition", "recipients", "input_offset",
                                          "changelog_offset", "octets"};
    output_begin(&snapshot->output, format, stdout, columns, sizeof(columns) / sizeof(columns[0]));
}

/* Of an open partition. */
static void show_row(struct snapshot *snapshot, int32_t partition)
{
    struct store *store = worker_store(snapshot->worker, partition);
    const struct store_meta *meta = store_meta(store);
    struct cell cells[] = {cell_number(partition), cell_number((int64_t)meta->entries),
                           cell_number(meta->input_next), cell_number(meta->changelog_next),
                           cell_number((int64_t)store_usage(store).used)};
    output_row(&snapshot->output, cells);
    snapshot->count++;
}

static int finish(struct snapshot *snapshot, enum rcode rc, const struct err *err)
{
    if (rc == OK)
        output_end(&snapshot->output);
    close_snapshot(snapshot);
    return rc == OK ? cli_finish(EXIT_CODE_OK) : cli_fail(err);
}

/* --- snapshot --- */

struct reading {
    struct snapshot *snapshot;
    int32_t partition;
};

static enum rcode apply(void *context, const struct port_record *records, size_t count,
                        struct err *err)
{
    struct reading *reading = context;
    struct processor *worker = reading->snapshot->worker;
    return worker->ops->restore_apply(worker, reading->partition, records, count,
                                      records[count - 1].offset + 1, err);
}

/* `ret_there`: there is a certificate, else nothing was ever done in the partition. */
static enum rcode ask_certificate(struct snapshot *snapshot, int32_t partition,
                                  struct certificate *ret_certificate, bool *ret_there,
                                  struct err *err)
{
    const struct deployment *deployment = &snapshot->tool.deployment;
    const char *const topics[2] = {deployment->topics[TOPIC_BOUNCES],
                                   deployment->topics[TOPIC_RECIPIENTS]};
    struct port_committed committed = {.partition = partition};
    enum rcode rc = kafka_reader_committed(snapshot->tool.reader, deployment->worker_group, topics,
                                           &committed, 1, err);
    *ret_there = rc == OK && committed.certificate_offset >= 0;
    if (!*ret_there)
        return rc;
    return snapshot->worker->ops->certificate_parse(
        snapshot->worker, committed.certificate_offset,
        (struct str){committed.metadata, committed.metadata_len}, ret_certificate, err);
}

/* Up to the certificate of now. `ret_fresh`: from nothing, so a mismatch is not the folder's. */
static enum rcode restore_once(struct snapshot *snapshot, int32_t partition, bool *ret_there,
                               bool *ret_fresh, struct err *err)
{
    struct processor *worker = snapshot->worker;
    struct certificate certificate;
    struct local_state local = {0};
    struct restore_range range;
    enum rcode rc = ask_certificate(snapshot, partition, &certificate, ret_there, err);
    if (rc != OK || !*ret_there)
        return rc;
    rc = worker->ops->open(worker, partition, &local, err);
    if (rc != OK)
        return rc;
    worker->ops->restore_range(worker, partition, &certificate, &range);
    if (range.from > range.to) {
        rc = worker->ops->discard(worker, partition, err);
        local.empty = true;
        range.from = -1;
    }
    *ret_fresh = local.empty;
    struct reading reading = {snapshot, partition};
    struct kafka_reading wanted = {.topic = snapshot->tool.deployment.topics[TOPIC_RECIPIENTS],
                                   .partition = partition,
                                   .from = range.from,
                                   .until = range.to,
                                   .context = &reading,
                                   .batch = apply};
    if (rc == OK)
        rc = kafka_reader_read(snapshot->tool.reader, &wanted, err);
    return rc == OK ? worker->ops->restore_finish(worker, partition, &certificate, err) : rc;
}

static enum rcode snapshot_partition(struct snapshot *snapshot, int32_t partition, struct err *err)
{
    struct processor *worker = snapshot->worker;
    bool there = false, fresh = false;
    enum rcode rc = E_STATE_MISMATCH;
    for (int i = 0; rc == E_STATE_MISMATCH && i < TRIES; i++) {
        rc = restore_once(snapshot, partition, &there, &fresh, err);
        if (rc == E_STATE_MISMATCH && !fresh) {
            enum rcode discarded = worker->ops->discard(worker, partition, err);
            if (discarded != OK)
                rc = discarded;
        }
    }
    if (rc == OK && there)
        show_row(snapshot, partition);
    worker->ops->close(worker, partition, rc == OK);
    return rc;
}

static bool same_folder(const char *a, const char *b)
{
    char *left = realpath(a, NULL), *right = realpath(b, NULL);
    bool same = left && right && strcmp(left, right) == 0;
    free(left);
    free(right);
    return same;
}

int state_snapshot(const char *dir, const struct settings *settings, enum output_format output)
{
    struct snapshot snapshot = {0};
    struct err err = {0};
    enum rcode rc = OK;
    if (same_folder(dir, settings->config->state_dir))
        rc = err_set(&err, E_USAGE, "%s is the workers' own: another folder", dir);
    if (rc == OK)
        rc = open_snapshot(&snapshot, settings, dir, &err);
    if (rc == OK)
        begin_rows(&snapshot, output);
    for (int32_t p = 0; rc == OK && p < snapshot.partitions; p++)
        rc = snapshot_partition(&snapshot, p, &err);
    return finish(&snapshot, rc, &err);
}

/* --- restore --- */

static void store_path(const struct snapshot *snapshot, const char *dir, int32_t partition,
                       struct buf *path)
{
    const struct deployment *deployment = &snapshot->tool.deployment;
    buf_clear(path);
    buf_printf(path, "%s/%s/%s-%d", dir, deployment->app, deployment->topics[TOPIC_BOUNCES],
               partition);
    buf_append(path, "", 1);
}

/* Copies a partition's snapshot to where it can be looked at. */
static enum rcode stage(struct snapshot *snapshot, const char *from, const char *staged,
                        int32_t partition, struct err *err)
{
    struct processor *worker = snapshot->worker;
    struct local_state local = {0};
    enum rcode rc = store_copy(from, staged, err);
    if (rc == OK)
        rc = worker->ops->open(worker, partition, &local, err);
    if (rc != OK)
        return rc;
    if (local.discarded || local.empty)
        rc = err_set(err, E_STORE_CORRUPT,
                     "%s cannot be used here: %s (it belongs to one cluster, one pair of topics "
                     "and their number of partitions)",
                     from, local.discarded ? local.discarded : "it is empty");
    else
        rc = store_verify(worker_store(worker, partition), err);
    if (rc == OK)
        show_row(snapshot, partition);
    worker->ops->close(worker, partition, true);
    return rc;
}

struct paths {
    struct buf from, staged, to;
};

enum step { STEP_CHECK, STEP_STAGE, STEP_INSTALL, STEP_COUNT };

/* One step for each partition of which there is a snapshot. */
static enum rcode take_step(struct snapshot *snapshot, enum step step, const char *dir,
                            const char *staging, struct paths *paths, struct err *err)
{
    const char *state_dir = snapshot->tool.settings->config->state_dir;
    enum rcode rc = OK;
    for (int32_t p = 0; rc == OK && p < snapshot->partitions; p++) {
        store_path(snapshot, dir, p, &paths->from);
        store_path(snapshot, staging, p, &paths->staged);
        store_path(snapshot, state_dir, p, &paths->to);
        if (access(paths->from.data, F_OK))
            continue;
        switch (step) {
        case STEP_CHECK:
            rc = store_unused(paths->to.data, err);
            break;
        case STEP_STAGE:
            rc = stage(snapshot, paths->from.data, paths->staged.data, p, err);
            break;
        case STEP_INSTALL:
            rc = store_install(paths->staged.data, paths->to.data, err);
            break;
        case STEP_COUNT:
            break;
        }
    }
    return rc;
}

static enum rcode restore(struct snapshot *snapshot, const char *dir, const char *staging,
                          struct err *err)
{
    struct paths paths = {0};
    enum rcode rc = OK;
    for (int step = 0; rc == OK && step < STEP_COUNT; step++)
        rc = take_step(snapshot, (enum step)step, dir, staging, &paths, err);
    if (rc == OK && !snapshot->count)
        rc =
            err_set(err, E_USAGE, "%s has no snapshot of app %s and topic %s", dir,
                    snapshot->tool.deployment.app, snapshot->tool.deployment.topics[TOPIC_BOUNCES]);
    buf_deinit(&paths.from);
    buf_deinit(&paths.staged);
    buf_deinit(&paths.to);
    return rc;
}

static void remove_empty(const char *staging, const char *app)
{
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "%s/%s%c", staging, app, 0);
    if (rmdir(path.data) == 0)
        (void)rmdir(staging);
    buf_deinit(&path);
}

int state_restore(const char *dir, const struct settings *settings, enum output_format output)
{
    struct snapshot snapshot = {0};
    struct err err = {0};
    struct buf staging;
    buf_init(&staging);
    buf_printf(&staging, "%s/%s%c", settings->config->state_dir, STAGING, 0);
    enum rcode rc = open_snapshot(&snapshot, settings, staging.data, &err);
    if (rc == OK) {
        begin_rows(&snapshot, output);
        rc = restore(&snapshot, dir, staging.data, &err);
    }
    int code = finish(&snapshot, rc, &err);
    remove_empty(staging.data, settings->config->app);
    buf_deinit(&staging);
    return code;
}
