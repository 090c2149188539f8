/*
 * The loop of one engine thread.
 *
 * A turn is: collect a batch (poll; rebalances are served inside), restore a piece of what is not
 * proven yet, run one transaction over the batch, and, when the set of running partitions or a
 * position has changed, tell the consumer exactly what to fetch. Nothing is staged and no
 * transaction is open while polling, so a rebalance never meets half-done work: records of a
 * revoked partition that were collected are simply dropped, its next owner reads them again.
 *
 * Where a crash can strike and what heals it:
 *   before the log's commit       → the transaction is aborted by the log, LMDB never saw it: done
 * again between log and LMDB commits  → LMDB is behind; restore reads the changelog up to the
 * certificate while restoring               → the changelog position is committed with the data:
 * goes on from there LMDB ahead of the log is impossible, because it commits only after the log
 * said yes (transaction.c).
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/engine_internal.h"

#define POLL_CHUNK ((size_t)8192)
#define RESTORING_INTERVAL_MS 10

struct partition *engine_partition(struct engine *engine, int32_t id)
{
    int low = 0, high = engine->partition_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (engine->partitions[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < engine->partition_count && engine->partitions[low].id == id)
        return &engine->partitions[low];
    return NULL;
}

int64_t engine_now(struct engine *engine)
{
    return engine->port->ops->monotonic_ms(engine->port);
}

static void close_partition(struct engine *engine, struct partition *partition, bool clean)
{
    if (partition->open)
        engine->processor->ops->close(engine->processor, partition->id, clean);
    partition->open = false;
}

void engine_fail(struct engine *engine, struct partition *partition, const struct err *err)
{
    log_error(rcode_name(err->code), err->text, LOG_I("thread", engine->options.thread),
              LOG_I("partition", partition->id));
    engine->assign_dirty = true;
    engine->restore_dirty = true;
    close_partition(engine, partition, true);
    partition_move(partition, PARTITION_FAILED);
    partition->failure = err->code;
}

void engine_restore(struct engine *engine, struct partition *partition, const char *why,
                    bool discard)
{
    log_info("restoring", why, LOG_I("thread", engine->options.thread),
             LOG_I("partition", partition->id));
    struct err err = {0};
    if (discard && partition->open &&
        engine->processor->ops->discard(engine->processor, partition->id, &err) != OK) {
        engine_count_error(engine, STAGE_RESTORE, err.code);
        engine_fail(engine, partition, &err);
        return;
    }
    if (partition->state != PARTITION_RESTORING)
        partition_move(partition, PARTITION_RESTORING);
    partition->stage = RESTORE_LOCATE;
    partition->retry_at_ms = 0;
    partition->touched = false;
    partition->certify = false;
    partition->held_until_ms = 0;
    partition->held = OK;
    engine->assign_dirty = true;
    engine->restore_dirty = true;
}

static int compare_partitions(const void *a, const void *b)
{
    const struct partition *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static void on_assigned(void *context, const int32_t *ids, int count)
{
    struct engine *engine = context;
    counter_add(&engine->stats.rebalances, 1);
    log_info("assigned", "partitions assigned", LOG_I("thread", engine->options.thread),
             LOG_I("count", count));
    for (int i = 0; i < count; i++) {
        if (engine_partition(engine, ids[i]))
            continue;
        int last = engine->partition_count++;
        engine->partitions = mem_realloc(engine->partitions, (size_t)engine->partition_count *
                                                                 sizeof(struct partition));
        engine->partitions[last] = (struct partition){.id = ids[i], .state = PARTITION_ASSIGNED};
        qsort(engine->partitions, (size_t)engine->partition_count, sizeof(struct partition),
              compare_partitions);
    }
    engine->commits = mem_realloc(engine->commits,
                                  2 * (size_t)engine->partition_count * sizeof(struct port_commit));
    engine->batch_partitions =
        mem_realloc(engine->batch_partitions, (size_t)engine->partition_count * sizeof(int32_t));
    engine->commit_texts = mem_realloc(engine->commit_texts, (size_t)engine->partition_count *
                                                                 sizeof(engine->commit_texts[0]));
    engine->board_entries = mem_realloc(
        engine->board_entries, (size_t)engine->partition_count * sizeof(engine->board_entries[0]));
    engine->counts_checked = false;
    engine_publish_board(engine);
}

/* Drops what was collected for partitions that are not running (any more). */
static void drop_records(struct engine *engine)
{
    size_t kept = 0;
    for (size_t i = 0; i < engine->record_count; i++) {
        struct partition *partition = engine_partition(engine, engine->records[i].partition);
        if (partition && partition->state == PARTITION_RUNNING)
            engine->records[kept++] = engine->records[i];
    }
    engine->record_count = kept;
}

static void on_revoked(void *context, const int32_t *ids, int count, bool lost)
{
    struct engine *engine = context;
    log_info(lost ? "lost" : "revoked", "partitions taken away",
             LOG_I("thread", engine->options.thread), LOG_I("count", count));
    for (int i = 0; i < count; i++) {
        struct partition *partition = engine_partition(engine, ids[i]);
        if (!partition)
            continue;
        close_partition(engine, partition, true);
        failpoint("on-revoke");
        partition_move(partition, PARTITION_REVOKED);
        int index = (int)(partition - engine->partitions);
        int after = --engine->partition_count - index;
        memmove(partition, partition + 1, (size_t)after * sizeof(*partition));
    }
    drop_records(engine);
    engine->restore_dirty = true;
    engine->assign_dirty = true;
    engine_publish_board(engine);
}

struct engine *engine_new(const struct engine_options *options)
{
    struct engine *engine = mem_zalloc(sizeof(*engine));
    engine->options = *options;
    engine->port = options->port;
    engine->processor = options->processor;
    engine->batch_max = options->batch_records_max;
    engine->records = mem_alloc(options->batch_records_max * sizeof(struct port_record));
    engine->restore_records = mem_alloc(RESTORE_CHUNK * sizeof(struct port_record));
    engine->port->listener = (struct port_listener){engine, on_assigned, on_revoked};
    board_init(&engine->board);
    ask_init(&engine->ask);
    return engine;
}

static void free_engine(struct engine *engine, bool clean)
{
    if (!engine)
        return;
    for (int i = 0; i < engine->partition_count; i++)
        close_partition(engine, &engine->partitions[i], clean);
    engine->port->listener = (struct port_listener){0};
    mem_free(engine->partitions);
    mem_free(engine->records);
    mem_free(engine->restore_records);
    mem_free(engine->commits);
    mem_free(engine->commit_texts);
    mem_free(engine->batch_partitions);
    mem_free(engine->deferrals.items);
    board_deinit(&engine->board);
    ask_deinit(&engine->ask);
    mem_free(engine->board_entries);
    mem_free(engine);
}

void engine_free(struct engine *engine)
{
    free_engine(engine, true);
}

void engine_abandon(struct engine *engine)
{
    free_engine(engine, false);
}

void engine_stop(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
}

enum rcode engine_failure(const struct engine *engine, int32_t partition)
{
    for (int i = 0; i < engine->partition_count; i++)
        if (engine->partitions[i].id == partition)
            return engine->partitions[i].failure;
    return OK;
}

bool engine_idle(const struct engine *engine)
{
    return engine->idle;
}

/* The input topic must still have the partitions it had at start: every key's place depends on it.
 */
static void check_partition_counts(struct engine *engine)
{
    int32_t count = 0;
    struct err err = {0};
    enum rcode rc =
        engine->port->ops->partition_count(engine->port, engine->port->input, &count, &err);
    if (rc != OK) {
        engine_count_error(engine, STAGE_POLL, rc);
        engine_warn(engine, rc, &err);
        return; /* asked again next turn */
    }
    engine->counts_checked = true;
    if (count == engine->options.partition_count || engine->processor->stateless)
        return;
    err_set(
        &err, E_PARTITION_COUNT_CHANGED,
        "the input topic had %d partitions at start and has %d now, so keys have moved: what can "
        "be done is in the README, partition_count_changed",
        engine->options.partition_count, count);
    engine_count_error(engine, STAGE_POLL, err.code);
    for (int i = 0; i < engine->partition_count; i++)
        if (engine->partitions[i].state != PARTITION_FAILED)
            engine_fail(engine, &engine->partitions[i], &err);
}

static bool any_in_state(const struct engine *engine, enum partition_state state)
{
    for (int i = 0; i < engine->partition_count; i++)
        if (engine->partitions[i].state == state)
            return true;
    return false;
}

static enum rcode poll_failed(struct engine *engine, enum rcode rc, int32_t id, struct err *err)
{
    struct partition *partition = id >= 0 ? engine_partition(engine, id) : NULL;
    engine_count_error(engine, STAGE_POLL, rc);
    switch (rcode_disposition(rc)) {
    case DISPOSITION_STOP:
    case DISPOSITION_RESTORE:
        if (partition && partition->state != PARTITION_FAILED)
            engine_fail(engine, partition, err);
        return OK;
    case DISPOSITION_RETRY:
    case DISPOSITION_ABORT:
    case DISPOSITION_HOLD:
    case DISPOSITION_REJECT:
        engine_warn(engine, rc, err);
        return OK;
    case DISPOSITION_REBUILD:
    case DISPOSITION_FATAL:
        break;
    }
    return rc;
}

/* How long a partition's work that no record asks for can wait: until it wakes, and until an
 * interval has passed since the last transaction began. The wall clock may jump; it is never
 * trusted for longer than an interval. */
static int64_t until_wake(struct engine *engine)
{
    const struct processor_ops *ops = engine->processor->ops;
    int64_t wake = INT64_MAX;
    if (!ops->wake_ms || !engine->producer_ready)
        return INT64_MAX;
    for (int i = 0; i < engine->partition_count; i++) {
        const struct partition *partition = &engine->partitions[i];
        int64_t at = partition->state == PARTITION_RUNNING
                         ? ops->wake_ms(engine->processor, partition->id)
                         : INT64_MAX;
        if (at < wake)
            wake = at;
    }
    if (wake == INT64_MAX)
        return INT64_MAX;
    int64_t wait = wake - engine->port->ops->wall_ms(engine->port);
    int64_t pace =
        engine->transaction_began_ms + engine->options.commit_interval_ms - engine_now(engine);
    return wait > pace ? wait : pace;
}

/* Polls until the batch is full, the interval is over or a partition wakes; while partitions
 * restore it only looks in. */
static enum rcode collect(struct engine *engine, struct err *err)
{
    const struct engine_options *options = &engine->options;
    bool restoring = any_in_state(engine, PARTITION_RESTORING);
    int64_t interval = options->commit_interval_ms;
    if (restoring && interval > RESTORING_INTERVAL_MS)
        interval = RESTORING_INTERVAL_MS;
    int64_t deadline = engine_now(engine) + interval, left = interval;
    int64_t wake = until_wake(engine);
    if (wake < left)
        left = wake;
    do {
        size_t room = engine->batch_max - engine->record_count, got = 0;
        int32_t id = -1;
        size_t before = engine->record_count;
        enum rcode rc = engine->port->ops->poll(
            engine->port, (int)(left > 0 ? left : 0), room < POLL_CHUNK ? room : POLL_CHUNK,
            engine->records + engine->record_count, &got, &id, err);
        if (engine->record_count != before) /* a rebalance dropped some: close the gap */
            memmove(engine->records + engine->record_count, engine->records + before,
                    got * sizeof(struct port_record));
        engine->record_count += got;
        for (size_t i = engine->record_count - got; i < engine->record_count; i++)
            engine->record_bytes += engine->records[i].key.len + engine->records[i].value.len;
        if (rc != OK)
            return poll_failed(engine, rc, id, err);
        left = deadline - engine_now(engine);
        wake = until_wake(engine);
        if (wake < left)
            left = wake;
    } while (left > 0 && engine->record_count < engine->batch_max &&
             engine->record_bytes < options->batch_bytes_max);
    return OK;
}

/* Marks which partitions the batch touches and how far it takes them. */
static void mark_touched(struct engine *engine)
{
    drop_records(engine);
    for (int i = 0; i < engine->partition_count; i++) {
        engine->partitions[i].touched = false;
        engine->partitions[i].batch_next = engine->partitions[i].input_next;
    }
    size_t kept = 0;
    struct partition *partition = NULL;
    for (size_t i = 0; i < engine->record_count; i++) {
        const struct port_record *record = &engine->records[i];
        if (!partition || partition->id != record->partition)
            partition = engine_partition(engine, record->partition);
        if (record->offset < partition->batch_next)
            continue; /* fetched before a seek back: already in the batch, or done */
        partition->touched = true;
        partition->batch_next = record->offset + 1;
        engine->records[kept++] = *record;
    }
    engine->record_count = kept;
}

static bool is_awake(struct engine *engine, const struct partition *partition)
{
    const struct processor_ops *ops = engine->processor->ops;
    return ops->wake_ms && ops->wake_ms(engine->processor, partition->id) <=
                               engine->port->ops->wall_ms(engine->port);
}

/* Partitions without a record: commit the position past control records, renew old certificates,
 * and do the work that has come due, at most once in an interval. While the consumer has yet to be
 * told where to fetch, its position is beyond records that were dropped, and proves nothing. */
static void mark_certify(struct engine *engine)
{
    int64_t now = engine_now(engine);
    bool paced = now - engine->transaction_began_ms >= engine->options.commit_interval_ms;
    bool at_end = engine->record_count == 0 && !engine->assign_dirty;
    for (int i = 0; i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (partition->state != PARTITION_RUNNING || partition->touched)
            continue;
        int64_t position = engine->port->ops->position(engine->port, partition->id);
        if (at_end && position > partition->input_next) {
            partition->batch_next = position;
            partition->certify = true;
        }
        if (now - partition->certified_at_ms >= engine->options.certificate_refresh_ms)
            partition->certify = true;
        if ((paced || engine->record_count) && is_awake(engine, partition))
            partition->certify = true;
    }
}

/* Tells the consumer what to fetch. Nothing as long as no transaction is possible (a predecessor's
 * may have to be finished first): records would only be fetched to be dropped, again and again. */
static enum rcode assign_running(struct engine *engine, struct err *err)
{
    struct port_position *positions =
        mem_alloc((size_t)engine->partition_count * sizeof(*positions));
    bool running = any_in_state(engine, PARTITION_RUNNING);
    bool ready = running && transaction_ready(engine);
    int count = 0;
    for (int i = 0; ready && i < engine->partition_count; i++) {
        const struct partition *partition = &engine->partitions[i];
        if (partition->state == PARTITION_RUNNING && !partition->held_until_ms)
            positions[count++] = (struct port_position){partition->id, partition->input_next};
    }
    enum rcode rc = engine->port->ops->assign(engine->port, positions, count, err);
    mem_free(positions);
    if (rc == OK)
        engine->assign_dirty = running && !ready;
    return rc;
}

/* Fetches those again that were held long enough. Returns whether any is held still. */
static bool serve_held(struct engine *engine)
{
    bool any = false;
    for (int i = 0; i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (partition->held_until_ms && engine_now(engine) >= partition->held_until_ms) {
            partition->held_until_ms = 0;
            engine->assign_dirty = true;
        }
        any |= partition->held_until_ms != 0;
    }
    return any;
}

/* Brings what is not proven yet a piece further. The producer comes first: its opening ends what a
 * former life of this process left open, whose offsets these partitions would otherwise wait for
 * until the broker has lost its patience. */
static enum rcode restore_some(struct engine *engine, struct err *err)
{
    if (any_in_state(engine, PARTITION_ASSIGNED) || any_in_state(engine, PARTITION_RESTORING))
        transaction_ready(engine);
    return restore_turn(engine, err);
}

static bool needs_transaction(const struct engine *engine)
{
    if (engine->record_count)
        return true;
    for (int i = 0; i < engine->partition_count; i++)
        if (engine->partitions[i].state == PARTITION_RUNNING && engine->partitions[i].certify)
            return true;
    return false;
}

enum rcode engine_step(struct engine *engine, struct err *err)
{
    bool astray =
        engine->assign_dirty; /* the consumer still reads from where it was before a failure */
    enum rcode rc = collect(engine, err);
    if (astray) {
        engine->record_count = 0;
        engine->assign_dirty = true;
    }
    if (rc == OK && !engine->counts_checked && engine->partition_count)
        check_partition_counts(engine);
    if (rc == OK && (engine->counts_checked || !engine->partition_count))
        rc = restore_some(engine, err); /* nothing runs before the partitions are counted */
    if (rc == OK) {
        mark_touched(engine);
        mark_certify(engine);
        bool held = serve_held(engine);
        engine->idle = (engine->counts_checked || !engine->partition_count) &&
                       !needs_transaction(engine) && !held && !engine->assign_dirty &&
                       !any_in_state(engine, PARTITION_ASSIGNED) &&
                       !any_in_state(engine, PARTITION_RESTORING);
    }
    if (rc == OK && needs_transaction(engine)) {
        if (transaction_ready(engine))
            rc = transaction_run(engine, err);
        else
            engine->assign_dirty = true; /* the batch is dropped: fetch it again */
    }
    engine->record_count = 0;
    engine->record_bytes = 0;
    engine->port->ops->release(engine->port);
    if (rc == OK && engine->assign_dirty)
        rc = assign_running(engine, err);
    if (rc != OK && rcode_disposition(rc) == DISPOSITION_RETRY) {
        engine_count_error(engine, STAGE_POLL, rc);
        engine_warn(engine, rc, err);
        rc = OK;
    }
    engine_publish(engine);
    ask_serve(&engine->ask);
    return rc;
}
