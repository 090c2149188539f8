/*
 * One transaction: the batch in hand, and partitions whose offsets want committing without records.
 *
 *   begin → process (stages in open LMDB transactions, sends outputs) → flush → offsets and
 * certificates → commit the log → commit LMDB
 *
 * LMDB commits last, so it can be behind the log and never ahead. Every failure has one of four
 * ends, chosen by the error's disposition: the batch is aborted and fetched again; the producer is
 * rebuilt and every running partition proves its state again; one partition restores or stops and
 * the rest is fetched again; or the process ends.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/engine_internal.h"

#define REBUILD_WINDOW_MS (10LL * 60 * 1000)
#define RETRY_WAIT_MS 20
#define HOLD_MS 5000
#define RETRY_WAIT_MS_MAX 5000
/* No single step of a transaction takes longer than the broker's patience with it; beyond that the
 * outcome counts as unknown. */
#define STEP_MS_MAX 120000
#define STEP_MS_MAX_STOPPING 5000
/* A broker aborts a transaction that lasts longer than kafka.transaction.timeout.ms. One that takes
 * little (quotas, overload) must not be given so much at once that none can ever end. */
#define SLOW_MS 5000
#define FAST_MS 1000
#define BATCH_MIN 64

typedef enum rcode port_step(struct port *port, struct err *err);

/* Calls until it is done or fails for good. */
static enum rcode retry(struct engine *engine, port_step *step, struct err *err)
{
    int64_t started = engine_now(engine), warned = started;
    for (;;) {
        enum rcode rc = step(engine->port, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        engine_count_error(engine, STAGE_TRANSACTION, rc);
        int64_t now = engine_now(engine);
        atomic_store(&engine->stats.last_turn_ms, now); /* waiting for a broker is being alive */
        bool stopping = atomic_load(&engine->stopping);
        if (now - started > (stopping ? STEP_MS_MAX_STOPPING : STEP_MS_MAX))
            return E_LOG_UNKNOWN_OUTCOME;
        if (now - warned > RETRY_WAIT_MS_MAX) {
            engine_warn(engine, rc, err);
            atomic_store(&engine->stats.trouble, rc);
            warned = now;
        }
        engine->port->ops->wait(engine->port, RETRY_WAIT_MS);
    }
}

bool transaction_ready(struct engine *engine)
{
    struct err err = {0};
    if (engine->producer_ready)
        return true;
    if (engine_now(engine) < engine->producer_retry_at_ms)
        return false;
    enum rcode rc = engine->port->ops->producer_open(engine->port, &err);
    if (rc == OK) {
        engine->producer_ready = true;
        return true;
    }
    engine_count_error(engine, STAGE_PRODUCER, rc);
    engine_warn(engine, rc, &err);
    atomic_store(&engine->stats.trouble, rc);
    if (rcode_disposition(rc) != DISPOSITION_RETRY)
        engine->port->ops->producer_close(engine->port);
    engine->producer_retry_at_ms = engine_now(engine) + 1000;
    return false;
}

/* Offsets and certificates of every partition the transaction commits. */
static enum rcode send_offsets(struct engine *engine, struct err *err)
{
    struct port *port = engine->port;
    int count = 0;
    for (int i = 0; i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (!partition->touched && !partition->certify)
            continue;
        /* A transaction without offsets would not be fenced. */
        assert(partition->batch_next >= 0);
        engine->commits[count++] = (struct port_commit){
            .topic = port->input, .partition = partition->id, .offset = partition->batch_next};
        if (engine->processor->stateless)
            continue;
        int64_t sent = port->ops->sent_next(port, port->certificate, partition->id);
        if (sent >= 0)
            partition->log_next = sent;
        char *text = engine->commit_texts[i];
        size_t len = engine->processor->ops->certificate_write(engine->processor, partition->id,
                                                               partition->batch_next, text);
        assert(partition->log_next >= 0);
        engine->commits[count++] = (struct port_commit){.topic = port->certificate,
                                                        .partition = partition->id,
                                                        .offset = partition->log_next,
                                                        .metadata = {text, len}};
    }
    assert(count > 0);
    int64_t deadline = engine_now(engine) + STEP_MS_MAX;
    for (;;) {
        enum rcode rc = port->ops->send_offsets(port, engine->commits, count, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        engine_count_error(engine, STAGE_TRANSACTION, rc);
        if (engine_now(engine) > deadline || atomic_load(&engine->stopping))
            return E_LOG_UNKNOWN_OUTCOME;
        port->ops->wait(port, RETRY_WAIT_MS);
    }
}

/* What the processor put off is not committed with the batch. */
static void leave_deferred(struct engine *engine)
{
    for (int i = 0; i < engine->deferrals.count; i++) {
        const struct deferral *deferral = &engine->deferrals.items[i];
        struct partition *partition = engine_partition(engine, deferral->partition);
        assert(partition && partition->touched && deferral->offset >= partition->input_next &&
               deferral->offset < partition->batch_next);
        partition->batch_next = deferral->offset;
    }
}

static enum rcode commit_log(struct engine *engine, struct batch *batch, struct err *err)
{
    const struct port_ops *ops = engine->port->ops;
    memset(engine->port->sent, 0, sizeof(engine->port->sent));
    enum rcode rc = retry(engine, ops->begin, err);
    if (rc != OK)
        return rc;
    failpoint("after-begin");
    rc = engine->processor->ops->process(engine->processor, batch, err);
    if (rc != OK)
        return rc;
    leave_deferred(engine);
    failpoint("after-stage");
    rc = retry(engine, ops->flush, err);
    if (rc != OK)
        return rc;
    failpoint("after-produce");
    failpoint("before-offsets");
    rc = send_offsets(engine, err);
    if (rc != OK)
        return rc;
    failpoint("after-offsets");
    return retry(engine, ops->commit, err);
}

static enum rcode commit_store(struct engine *engine, struct partition *partition, struct err *err)
{
    if (engine->processor->stateless)
        return OK;
    int64_t began_us = clock_monotonic_us();
    enum rcode rc = engine->processor->ops->commit(engine->processor, partition->id,
                                                   partition->input_next, partition->log_next, err);
    histogram_add(&engine->stats.store_commit_seconds, &engine_store_layout,
                  (double)(clock_monotonic_us() - began_us) / 1e6);
    return rc;
}

/* The log has committed: now, and only now, LMDB. A partition whose commit fails goes back to
 * proving itself. */
static void commit_stores(struct engine *engine)
{
    failpoint("after-kafka-commit");
    int64_t now = engine_now(engine), wall_ms = engine->port->ops->wall_ms(engine->port);
    for (int i = 0; i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (!partition->touched && !partition->certify)
            continue;
        struct err err = {0};
        if (partition->batch_next > partition->input_next) {
            partition->progress_ms = wall_ms;
            partition->held = OK;
        }
        partition->input_next = partition->batch_next;
        partition->touched = false;
        partition->certify = false;
        partition->certified_at_ms = now;
        enum rcode rc = commit_store(engine, partition, &err);
        if (rc != OK) {
            engine_count_error(engine, STAGE_STORE, rc);
            log_error(rcode_name(rc), err.text, LOG_I("thread", engine->options.thread),
                      LOG_I("partition", partition->id));
            engine->processor->ops->close(engine->processor, partition->id, false);
            partition->open = false;
            engine_restore(engine, partition, "the local commit failed", false);
        }
        failpoint("between-lmdb-commits");
    }
}

/* Every running partition proves its state again; what the transaction did is found out that way.
 */
static void rebuild(struct engine *engine)
{
    engine->port->ops->producer_close(engine->port);
    engine->producer_ready = false;
    counter_add(&engine->stats.rebuilds, 1);
    for (int i = 0; i < engine->partition_count; i++)
        if (engine->partitions[i].state == PARTITION_RUNNING)
            engine_restore(engine, &engine->partitions[i], "the producer was rebuilt", false);
}

static enum rcode count_rebuild(struct engine *engine, struct err *err)
{
    int64_t now = engine_now(engine);
    if (now - engine->rebuild_window_start_ms > REBUILD_WINDOW_MS || engine->rebuilds == 0) {
        engine->rebuild_window_start_ms = now;
        engine->rebuilds = 0;
    }
    if (++engine->rebuilds <= engine->options.rebuilds_max)
        return OK;
    return err_set(
        err, E_REBUILD_LIMIT,
        "the producer had to be rebuilt %d times within ten minutes; see the log lines before",
        engine->rebuilds);
}

/* Aborts the log's transaction and fetches everything uncommitted again. */
static enum rcode abort_log(struct engine *engine, struct err *err)
{
    enum rcode rc = retry(engine, engine->port->ops->abort, err);
    for (int i = 0; i < engine->partition_count; i++)
        engine->partitions[i].touched = false;
    engine->assign_dirty = true;
    return rc;
}

static void hold(struct engine *engine, struct partition *partition, enum rcode why)
{
    partition->held_until_ms = engine_now(engine) + HOLD_MS;
    partition->held = why;
    engine->assign_dirty = true;
}

static enum rcode fail_partition(struct engine *engine, int32_t id, enum disposition disposition,
                                 const struct err *err)
{
    struct partition *partition = engine_partition(engine, id);
    assert(partition);
    if (disposition == DISPOSITION_STOP) {
        engine_fail(engine, partition, err);
    } else if (disposition == DISPOSITION_HOLD) {
        hold(engine, partition, err->code);
    } else {
        engine_restore(engine, partition, err->text, true);
    }
    return OK;
}

/* Counts the transaction, which ends now. */
static void count_end(struct engine *engine, enum transaction_outcome outcome)
{
    counter_add(&engine->stats.transactions[outcome], 1);
    histogram_add(&engine->stats.transaction_seconds, &engine_transaction_layout,
                  (double)(clock_monotonic_us() - engine->transaction_began_us) / 1e6);
}

static enum rcode transaction_failed(struct engine *engine, enum rcode rc, struct batch *batch,
                                     struct err *err)
{
    enum disposition disposition = rcode_disposition(rc);
    engine->processor->ops->abort(engine->processor);
    if (disposition == DISPOSITION_FATAL)
        return rc;
    engine_count_error(engine, STAGE_TRANSACTION, rc);
    engine_warn(engine, rc, err);
    bool of_partition = disposition == DISPOSITION_RESTORE || disposition == DISPOSITION_STOP ||
                        disposition == DISPOSITION_HOLD;
    bool known = disposition == DISPOSITION_ABORT || of_partition;
    if (!of_partition)
        atomic_store(&engine->stats.trouble, rc);
    if (known) {
        struct err abort_err = {0};
        enum rcode aborted = abort_log(engine, &abort_err);
        if (aborted == OK) {
            count_end(engine, TRANSACTION_ABORTED);
            /* The group may have moved on; a moment's pause keeps a persistent abort from spinning.
             */
            engine->port->ops->wait(engine->port, RETRY_WAIT_MS);
            return disposition == DISPOSITION_ABORT
                       ? OK
                       : fail_partition(engine, batch->failed_partition, disposition, err);
        }
        if (rcode_disposition(aborted) == DISPOSITION_FATAL) {
            *err = abort_err;
            return aborted;
        }
        engine_count_error(engine, STAGE_TRANSACTION, aborted);
        engine_warn(engine, aborted, &abort_err);
    }
    count_end(engine, TRANSACTION_UNKNOWN);
    rebuild(engine);
    if (of_partition && disposition != DISPOSITION_HOLD)
        fail_partition(engine, batch->failed_partition, disposition, err);
    return count_rebuild(engine, err);
}

/* After a commit: the partitions with records that were put off wait a moment. Returns how many
 * records those are. */
static size_t hold_deferred(struct engine *engine, const struct batch *batch)
{
    size_t count = 0;
    for (int i = 0; i < engine->deferrals.count; i++) {
        const struct deferral *deferral = &engine->deferrals.items[i];
        struct partition *partition = engine_partition(engine, deferral->partition);
        for (size_t k = 0; k < batch->count; k++)
            count += batch->records[k].partition == deferral->partition &&
                     batch->records[k].offset >= deferral->offset;
        engine_count_error(engine, STAGE_TRANSACTION, deferral->why.code);
        engine_warn(engine, deferral->why.code, &deferral->why);
        if (partition->state == PARTITION_RUNNING)
            hold(engine, partition, deferral->why.code);
    }
    return count;
}

/* After a transaction: how many records the next one may have. One that had few tells nothing of
 * what many would take. */
static void adapt_batch(struct engine *engine, const struct batch *batch, bool committed)
{
    int64_t lasted_ms = engine_now(engine) - engine->transaction_began_ms;
    size_t limit = engine->options.batch_records_max, used = batch->count + batch->added;
    if (used > engine->batch_max)
        used = engine->batch_max;
    if (lasted_ms > SLOW_MS && used > BATCH_MIN)
        engine->batch_max = used / 2 > BATCH_MIN ? used / 2 : BATCH_MIN;
    else if (committed && lasted_ms < FAST_MS && used >= engine->batch_max / 2)
        engine->batch_max = engine->batch_max > limit / 2 ? limit : engine->batch_max * 2;
}

enum rcode transaction_run(struct engine *engine, struct err *err)
{
    struct batch batch = {.port = engine->port,
                          .records = engine->records,
                          .count = engine->record_count,
                          .max = engine->batch_max,
                          .partitions = engine->batch_partitions,
                          .failed_partition = -1,
                          .deferrals = &engine->deferrals};
    engine->deferrals.count = 0;
    for (int i = 0; i < engine->partition_count; i++)
        if (engine->partitions[i].touched || engine->partitions[i].certify)
            engine->batch_partitions[batch.partition_count++] = engine->partitions[i].id;
    engine->transaction_began_ms = engine_now(engine);
    engine->transaction_began_us = clock_monotonic_us();
    enum rcode rc = commit_log(engine, &batch, err);
    adapt_batch(engine, &batch, rc == OK);
    if (rc != OK)
        return transaction_failed(engine, rc, &batch, err);
    count_end(engine, TRANSACTION_COMMITTED);
    atomic_store(&engine->stats.trouble, OK);
    commit_stores(engine);
    size_t put_off = hold_deferred(engine, &batch);
    for (int i = 0; i < TOPIC_COUNT; i++)
        counter_add(&engine->stats.produced[i], engine->port->sent[i]);
    counter_add(&engine->stats.records, (long long)(batch.count - put_off));
    return OK;
}
