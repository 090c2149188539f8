/*
 * How a partition proves its state.
 *
 * The group itself says which state belongs to which input: the certificate, committed atomically
 * with the outputs as metadata of the partition's second offset. A partition runs only when its
 * local state is shown to be exactly that one: it reads the certificate's topic from where the
 * local state ends up to the certificate's position, never "to the end" (the last stable offset
 * lies while somebody else's transaction is open), and then the number of entries and the digest
 * must match.
 *
 *   LOCATE  open local state; read the stable offsets; decide where to read from and to
 *   READ    read, in bounded LMDB transactions
 *   PROVE   compare; on a mismatch throw local state away once and read from the start
 *
 * Nothing here blocks: each turn does a bounded piece, so that the member keeps polling and the
 * group stays calm.
 */
#include <assert.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/engine_internal.h"

#define LOCATE_RETRY_MS 50
#define LOCATE_RETRY_MS_MAX 1000
#define RESTORE_POLL_MS 20

static void log_retry(struct engine *engine, struct partition *partition, enum rcode rc,
                      const struct err *err)
{
    int64_t wait = LOCATE_RETRY_MS << (partition->retries < 5 ? partition->retries : 5);
    if (wait > LOCATE_RETRY_MS_MAX)
        wait = LOCATE_RETRY_MS_MAX;
    partition->retry_at_ms = engine_now(engine) + wait;
    /* Once at the third try, then every half minute or so: waiting for a predecessor is normal. */
    if (partition->retries++ % 30 == 3)
        log_warn(rcode_name(rc), err->text, LOG_I("thread", engine->options.thread),
                 LOG_I("partition", partition->id), LOG_I("tries", partition->retries));
}

/* Where to start in the input: the rule for offsets that somebody moved. */
static enum rcode place_input(struct engine *engine, struct partition *partition, struct err *err)
{
    struct port_watermarks input;
    enum rcode rc = engine->port->ops->watermarks(engine->port, engine->port->input, partition->id,
                                                  &input, err);
    if (rc != OK)
        return rc;
    int64_t certified = partition->has_certificate ? partition->certificate.input_next : -1;
    int64_t committed = partition->committed_input;
    int64_t start = certified > committed ? certified : committed;
    if (start < 0)
        start = input.log_start;
    bool ahead = certified >= 0 && committed > certified;
    if (ahead && engine->processor->input_is_changelog) {
        /* Only what retention took can be passed over: nobody will read it again. */
        start = certified < input.log_start ? input.log_start : certified;
        ahead = start > certified;
    }
    if (start > input.high)
        return err_set(
            err, E_TOPIC_RECREATED,
            "the committed offset %lld of partition %d lies beyond the end %lld of the input "
            "topic: it was recreated or truncated",
            (long long)start, partition->id, (long long)input.high);
    if (start < input.log_start)
        return err_set(
            err, E_INPUT_TRUNCATED,
            "records %lld to %lld of partition %d were deleted by retention before they were "
            "read; reset the group's offset to %lld to go on without them",
            (long long)start, (long long)input.log_start - 1, partition->id,
            (long long)input.log_start);
    if (certified >= 0 && committed >= 0 && committed < certified)
        log_warn("offset_rewound",
                 "the group's offset was rewound; records below the certificate are skipped",
                 LOG_I("partition", partition->id), LOG_I("committed", committed),
                 LOG_I("certified", certified));
    if (start == certified && committed > certified)
        log_warn("offset_ahead",
                 "the group's offset was moved ahead and is put back: the input is the state, so "
                 "nothing in it can be skipped",
                 LOG_I("partition", partition->id), LOG_I("committed", committed),
                 LOG_I("certified", certified));
    if (ahead)
        log_warn("offset_skipped",
                 "the group's offset was moved ahead; the records between are not counted",
                 LOG_I("partition", partition->id), LOG_I("start", start),
                 LOG_I("certified", certified));
    partition->certify = start != committed || start != certified;
    partition->input_next = start;
    partition->batch_next = start;
    return OK;
}

static enum rcode run(struct engine *engine, struct partition *partition, struct err *err)
{
    enum rcode rc = place_input(engine, partition, err);
    if (rc != OK)
        return rc;
    partition->log_next =
        partition->has_certificate ? partition->certificate.log_next : partition->range.to;
    partition->certified_at_ms = engine_now(engine);
    partition->touched = false;
    partition->progress_ms = engine->port->ops->wall_ms(engine->port);
    partition_move(partition, PARTITION_RUNNING);
    engine->assign_dirty = true;
    engine->restore_dirty = true;
    log_info("running", "partition runs", LOG_I("thread", engine->options.thread),
             LOG_I("partition", partition->id), LOG_I("input_next", partition->input_next),
             LOG_I("restored", partition->restore_count));
    return OK;
}

static enum rcode open_local(struct engine *engine, struct partition *partition, struct err *err)
{
    struct local_state local = {.empty = true};
    enum rcode rc = engine->processor->ops->open(engine->processor, partition->id, &local, err);
    if (rc != OK)
        return rc;
    partition->open = true;
    partition->from_scratch = local.empty;
    if (local.discarded)
        log_warn("state_discarded", local.discarded, LOG_I("partition", partition->id));
    return OK;
}

/* Without a certificate only a partition that never had one may run: nothing local, nothing in its
 * topic. */
static enum rcode plan_without_certificate(struct engine *engine, struct partition *partition,
                                           const struct port_watermarks *log, struct err *err)
{
    if (!partition->from_scratch)
        return err_set(err, E_CERTIFICATE_LOST,
                       "partition %d has local state but the group has no certificate for it (its "
                       "offsets expired or were deleted): what can be done is in the README, "
                       "certificate_lost",
                       partition->id);
    if (engine->processor->input_is_changelog && log->log_start > 0)
        return err_set(err, E_CERTIFICATE_LOST,
                       "partition %d has no certificate, but its output topic was written to "
                       "before (its log starts at %lld): to begin anew would repeat what was "
                       "released (README, certificate_lost)",
                       partition->id, (long long)log->log_start);
    partition->range.from = log->log_start;
    partition->range.to =
        log->high; /* transactions open now must end before the scan can: it waits */
    return OK;
}

static enum rcode plan_with_certificate(struct engine *engine, struct partition *partition,
                                        const struct port_watermarks *log, struct err *err)
{
    const struct processor_ops *ops = engine->processor->ops;
    ops->restore_range(engine->processor, partition->id, &partition->certificate,
                       &partition->range);
    struct restore_range *range = &partition->range;
    bool ahead = !partition->from_scratch && range->from > range->to;
    bool gone = !partition->from_scratch && range->from >= 0 && range->from < log->log_start &&
                range->from < range->to;
    if (ahead || gone) {
        log_warn("state_discarded",
                 ahead ? "local state is ahead of the group's certificate"
                       : "the changelog no longer reaches back to the local state",
                 LOG_I("partition", partition->id), LOG_I("local", range->from));
        enum rcode rc = ops->discard(engine->processor, partition->id, err);
        if (rc != OK)
            return rc;
        partition->from_scratch = true;
        ops->restore_range(engine->processor, partition->id, &partition->certificate, range);
    }
    bool dispensable = range->needed >= log->log_start || range->needed >= range->to;
    if (range->from < 0 || (range->from < log->log_start && dispensable))
        range->from = log->log_start;
    if (range->from < log->log_start && range->from < range->to)
        return err_set(err, E_CHANGELOG_TRUNCATED,
                       "partition %d can only be restored from offset %lld on, and retention has "
                       "deleted everything below %lld",
                       partition->id, (long long)range->needed, (long long)log->log_start);
    if (range->to > log->high)
        return err_set(
            err, E_CHANGELOG_TRUNCATED,
            "the certificate of partition %d wants the topic up to offset %lld, which ends at "
            "%lld: it was recreated or lost records",
            partition->id, (long long)range->to, (long long)log->high);
    return OK;
}

static enum rcode locate(struct engine *engine, struct partition *partition, struct err *err)
{
    struct port *port = engine->port;
    struct port_committed committed = {.partition = partition->id};
    enum rcode rc = port->ops->committed(port, &committed, 1, err);
    if (rc != OK)
        return rc;
    partition->committed_input = committed.input_offset;
    if (engine->processor->stateless) {
        partition->stage = RESTORE_PROVE;
        return OK;
    }
    rc = open_local(engine, partition, err);
    if (rc != OK)
        return rc;
    partition->has_certificate = committed.certificate_offset >= 0;
    partition->restore_count = 0;
    partition->range = (struct restore_range){.topic = port->certificate, .from = -1, .to = -1};
    if (partition->has_certificate) {
        rc = engine->processor->ops->certificate_parse(
            engine->processor, committed.certificate_offset,
            (struct str){committed.metadata, committed.metadata_len}, &partition->certificate, err);
        if (rc != OK)
            return rc;
        memcpy(partition->certificate.text, committed.metadata, committed.metadata_len);
        partition->certificate.text[committed.metadata_len] = '\0';
        engine->processor->ops->restore_range(engine->processor, partition->id,
                                              &partition->certificate, &partition->range);
    }
    struct port_watermarks log;
    rc = port->ops->watermarks(port, partition->range.topic, partition->id, &log, err);
    if (rc == OK)
        rc = partition->has_certificate ? plan_with_certificate(engine, partition, &log, err)
                                        : plan_without_certificate(engine, partition, &log, err);
    if (rc != OK)
        return rc;
    partition->restore_began = partition->restore_next = partition->range.from;
    bool done = partition->restore_next >= partition->range.to;
    partition->stage = done ? RESTORE_PROVE : RESTORE_READ;
    engine->restore_dirty = true;
    return OK;
}

static enum rcode prove(struct engine *engine, struct partition *partition, struct err *err)
{
    enum rcode rc = OK;
    if (partition->has_certificate)
        rc = engine->processor->ops->restore_finish(engine->processor, partition->id,
                                                    &partition->certificate, err);
    if (rc == OK)
        return run(engine, partition, err);
    bool mismatch = rc == E_STATE_MISMATCH || rcode_disposition(rc) == DISPOSITION_RESTORE;
    if (!mismatch || partition->from_scratch)
        return rc;
    engine_count_error(engine, STAGE_RESTORE, rc);
    log_warn(rcode_name(rc), err->text, LOG_I("partition", partition->id));
    engine_restore(engine, partition, "local state does not match its certificate", true);
    return OK;
}

/* Applies one partition's run of records; everything at or beyond the certificate's position is
 * left alone. */
static enum rcode apply(struct engine *engine, struct partition *partition,
                        const struct port_record *records, size_t count, struct err *err)
{
    while (count && records[count - 1].offset >= partition->range.to)
        count--;
    if (!count)
        return OK;
    if (!partition->has_certificate)
        return err_set(err, E_CERTIFICATE_LOST,
                       "partition %d has records in its topic (offset %lld) but the group has no "
                       "certificate for it (its offsets expired or were deleted): what can be "
                       "done is in the README, certificate_lost",
                       partition->id, (long long)records[0].offset);
    int64_t next = records[count - 1].offset + 1;
    enum rcode rc = engine->processor->ops->restore_apply(engine->processor, partition->id, records,
                                                          count, next, err);
    if (rc != OK) {
        engine->restore_dirty = true; /* read them again */
        return rc;
    }
    partition->restore_next = next;
    partition->restore_count += (int64_t)count;
    counter_add(&engine->stats.restored, (long long)count);
    failpoint("mid-restore");
    return OK;
}

/* One partition's error while restoring: wait, begin again from scratch, or stop it. */
static enum rcode restore_failed(struct engine *engine, struct partition *partition, enum rcode rc,
                                 struct err *err)
{
    engine_count_error(engine, STAGE_RESTORE, rc);
    switch (rcode_disposition(rc)) {
    case DISPOSITION_RETRY:
    case DISPOSITION_ABORT:
    case DISPOSITION_HOLD:
        log_retry(engine, partition, rc, err);
        return OK;
    case DISPOSITION_RESTORE:
        if (!partition->from_scratch && partition->open) {
            engine_restore(engine, partition, err->text, true);
            return OK;
        }
        engine_fail(engine, partition, err);
        return OK;
    case DISPOSITION_STOP:
        engine_fail(engine, partition, err);
        return OK;
    case DISPOSITION_REJECT:
    case DISPOSITION_REBUILD:
    case DISPOSITION_FATAL:
        break;
    }
    return rc;
}

static enum rcode assign_reader(struct engine *engine, struct err *err)
{
    struct port_position *positions =
        mem_alloc(((size_t)engine->partition_count + 1) * sizeof(*positions));
    int count = 0;
    enum topic topic = engine->port->certificate;
    for (int i = 0; i < engine->partition_count; i++) {
        const struct partition *partition = &engine->partitions[i];
        if (partition->state != PARTITION_RESTORING || partition->stage != RESTORE_READ)
            continue;
        topic = partition->range.topic; /* the same for all partitions of a processor */
        positions[count++] = (struct port_position){partition->id, partition->restore_next};
    }
    enum rcode rc = engine->port->ops->restore_assign(engine->port, topic, positions, count, err);
    mem_free(positions);
    if (rc == OK)
        engine->restore_dirty = false;
    return rc;
}

/* Hands the records of one poll to their partitions, run by run. */
static enum rcode dispatch(struct engine *engine, size_t count, struct err *err)
{
    const struct port_record *records = engine->restore_records;
    for (size_t from = 0, to; from < count; from = to) {
        int32_t id = records[from].partition;
        for (to = from + 1; to < count && records[to].partition == id; to++)
            ;
        struct partition *partition = engine_partition(engine, id);
        if (!partition || partition->state != PARTITION_RESTORING ||
            partition->stage != RESTORE_READ)
            continue;
        enum rcode rc = apply(engine, partition, records + from, to - from, err);
        if (rc != OK)
            rc = restore_failed(engine, partition, rc, err);
        if (rc != OK)
            return rc;
    }
    return OK;
}

static enum rcode read_some(struct engine *engine, struct err *err)
{
    size_t count = 0;
    if (engine->restore_dirty) {
        enum rcode rc = assign_reader(engine, err);
        if (rc != OK)
            return rc;
    }
    enum rcode rc = engine->port->ops->restore_poll(engine->port, RESTORE_POLL_MS, RESTORE_CHUNK,
                                                    engine->restore_records, &count, err);
    if (rc == OK)
        rc = dispatch(engine, count, err);
    if (rc != OK)
        return rc;
    for (int i = 0; i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (partition->state != PARTITION_RESTORING || partition->stage != RESTORE_READ ||
            engine->restore_dirty)
            continue;
        int64_t position = engine->port->ops->restore_position(engine->port, partition->id);
        if (position > partition->restore_next)
            partition->restore_next = position;
        if (partition->restore_next >= partition->range.to)
            partition->stage = RESTORE_PROVE;
    }
    return OK;
}

/* Trouble of the reader, which does not say whose it is: every partition being read looks again
 * where to read from, and the one that cannot be read says why. */
static enum rcode reading_failed(struct engine *engine, enum rcode rc, struct err *err)
{
    enum disposition disposition = rcode_disposition(rc);
    bool position = disposition == DISPOSITION_STOP || disposition == DISPOSITION_RESTORE;
    engine_count_error(engine, STAGE_RESTORE, rc);
    if (!position && disposition != DISPOSITION_RETRY)
        return rc;
    engine_warn(engine, rc, err);
    for (int i = 0; position && i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (partition->state == PARTITION_RESTORING && partition->stage == RESTORE_READ)
            engine_restore(engine, partition, err->text, false);
    }
    return OK;
}

enum rcode restore_turn(struct engine *engine, struct err *err)
{
    bool reading = false;
    for (int i = 0; i < engine->partition_count; i++) {
        struct partition *partition = &engine->partitions[i];
        if (partition->state == PARTITION_ASSIGNED)
            partition_move(partition, PARTITION_RESTORING);
        if (partition->state != PARTITION_RESTORING || engine_now(engine) < partition->retry_at_ms)
            continue;
        enum rcode rc = OK;
        if (partition->stage == RESTORE_LOCATE)
            rc = locate(engine, partition, err);
        if (rc == OK && partition->stage == RESTORE_PROVE)
            rc = prove(engine, partition, err);
        if (rc != OK)
            rc = restore_failed(engine, partition, rc, err);
        if (rc != OK)
            return rc;
        reading |= partition->state == PARTITION_RESTORING && partition->stage == RESTORE_READ;
    }
    if (!reading && !engine->restore_dirty)
        return OK;
    enum rcode rc = read_some(engine, err);
    return rc == OK ? OK : reading_failed(engine, rc, err);
}
