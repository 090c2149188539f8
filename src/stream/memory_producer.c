/*
 * The client's side of transactions. What a real producer remembers is remembered here too: a fatal
 * error stays until it is made anew, an abortable one until the abort, and a commit or abort that
 * has to be repeated excludes everything else. Records are in the log as soon as they are sent.
 */
#include "stream/memory_cluster.h"

static bool is_fenced(const struct memory_producer *producer)
{
    return producer->epoch != producer->coordinator->epoch;
}

static enum rcode fenced(const struct memory_producer *producer, struct err *err)
{
    return err_set(err, E_PRODUCER_FENCED, "%s: epoch %d, the coordinator is at %d",
                   producer->coordinator->id, (int)producer->epoch,
                   (int)producer->coordinator->epoch);
}

/* What every call but open needs: an open producer that has not failed. */
static enum rcode check_open(struct memory_port *self, struct err *err)
{
    const struct memory_producer *producer = &self->producer;
    if (producer->failed)
        return err_set(err, producer->failed, "the producer failed before and was not replaced");
    if (!producer->open)
        return memory_misuse(self, err, "the producer is not open");
    if (producer->open_unresolved)
        return memory_misuse(self, err, "producer_open has to be repeated first");
    return OK;
}

/* What every call within a transaction needs. */
static enum rcode check_begun(struct memory_port *self, struct err *err)
{
    const struct memory_producer *producer = &self->producer;
    enum rcode rc = check_open(self, err);
    if (rc)
        return rc;
    if (producer->commit_unresolved)
        return memory_misuse(self, err, "the commit has to be repeated first");
    if (producer->abort_unresolved)
        return memory_misuse(self, err, "the abort has to be repeated first");
    if (!producer->begun)
        return memory_misuse(self, err, "no transaction has begun");
    if (producer->abortable)
        return err_set(err, E_LOG_ABORTABLE, "the transaction can only be aborted");
    return OK;
}

static enum rcode open_transaction(struct memory_port *self, struct err *err)
{
    struct memory_producer *producer = &self->producer;
    if (is_fenced(producer))
        return fenced(producer, err);
    producer->transaction = memory_coordinator_open(self->cluster, producer->coordinator);
    return OK;
}

enum rcode memory_producer_open(struct memory_port *self, struct err *err)
{
    struct memory_producer *producer = &self->producer;
    if (!producer->coordinator)
        return memory_misuse(self, err, "open without a transactional id");
    if (producer->open && producer->failed)
        return check_open(self, err);
    if (producer->open && !producer->open_unresolved)
        return memory_misuse(self, err, "open of a producer that was not closed");
    enum rcode rc =
        memory_coordinator_init(self->cluster, producer->coordinator, &producer->epoch, err);
    if (rc)
        return rc;
    memory_producer_close(self);
    producer->open = true;
    return OK;
}

void memory_producer_close(struct memory_port *self)
{
    struct memory_producer *producer = &self->producer;
    *producer = (struct memory_producer){
        .coordinator = producer->coordinator,
        .epoch = producer->epoch,
        .sent = producer->sent,
        .sent_cap = producer->sent_cap,
    };
}

enum rcode memory_producer_begin(struct memory_port *self, struct err *err)
{
    struct memory_producer *producer = &self->producer;
    enum rcode rc = check_open(self, err);
    if (rc)
        return rc;
    if (producer->begun || producer->commit_unresolved || producer->abort_unresolved)
        return memory_misuse(self, err, "begin before the last transaction has ended");
    producer->begun = true;
    producer->abortable = false;
    producer->flushed = true;
    producer->transaction = 0;
    producer->sent_count = 0;
    return OK;
}

static void note_sent(struct memory_producer *producer, enum topic topic, int32_t partition,
                      int64_t next)
{
    producer->flushed = false;
    for (int i = 0; i < producer->sent_count; i++) {
        if (producer->sent[i].topic == topic && producer->sent[i].partition == partition) {
            producer->sent[i].next = next;
            return;
        }
    }
    producer->sent = memory_grow(producer->sent, producer->sent_count, &producer->sent_cap,
                                 sizeof *producer->sent);
    producer->sent[producer->sent_count++] = (struct memory_sent){topic, partition, next};
}

enum rcode memory_producer_send(struct memory_port *self, const struct port_message *message,
                                struct err *err)
{
    struct memory_producer *producer = &self->producer;
    enum rcode rc = check_begun(self, err);
    if (rc)
        return rc;
    if (!memory_log_of(self->cluster, message->topic, message->partition))
        return err_set(err, E_TOPICS, "topic %d has no partition %d", (int)message->topic,
                       (int)message->partition);
    rc = open_transaction(self, err);
    if (rc)
        return rc;
    memory_coordinator_touch(producer->coordinator, message->topic, message->partition);
    int64_t timestamp_ms = message->timestamp_ms;
    if (!timestamp_ms)
        timestamp_ms = memory_wall_ms(self->cluster) + self->wall_offset_ms;
    int64_t offset = memory_log_append(self->cluster, message, timestamp_ms, producer->transaction);
    note_sent(producer, message->topic, message->partition, offset + 1);
    return OK;
}

enum rcode memory_producer_flush(struct memory_port *self, struct err *err)
{
    struct memory_producer *producer = &self->producer;
    enum rcode rc = check_begun(self, err);
    if (rc)
        return rc;
    if (producer->transaction && is_fenced(producer))
        return fenced(producer, err);
    producer->flushed = true;
    return OK;
}

int64_t memory_producer_sent_next(struct memory_port *self, enum topic topic, int32_t partition)
{
    const struct memory_producer *producer = &self->producer;
    if (!producer->begun || !producer->flushed) {
        (void)memory_misuse(self, NULL, "sent_next before a flush that succeeded");
        return -1;
    }
    for (int i = 0; i < producer->sent_count; i++) {
        if (producer->sent[i].topic == topic && producer->sent[i].partition == partition)
            return producer->sent[i].next;
    }
    return -1;
}

enum rcode memory_producer_send_offsets(struct memory_port *self, const struct port_commit *commits,
                                        int count, struct err *err)
{
    struct memory_producer *producer = &self->producer;
    enum rcode rc = check_begun(self, err);
    if (rc)
        return rc;
    if (!self->group)
        return memory_misuse(self, err, "offsets without a group");
    for (int i = 0; i < count; i++) {
        if (commits[i].offset < 0)
            return memory_misuse(self, err, "an offset below zero");
        if (commits[i].metadata.len > PORT_METADATA_MAX)
            return memory_misuse(self, err, "metadata longer than PORT_METADATA_MAX");
        if (!memory_log_of(self->cluster, commits[i].topic, commits[i].partition))
            return err_set(err, E_TOPICS, "topic %d has no partition %d", (int)commits[i].topic,
                           (int)commits[i].partition);
    }
    rc = open_transaction(self, err);
    if (rc)
        return rc;
    const char *objection = memory_group_objection(self);
    if (objection)
        return err_set(err, E_LOG_ABORTABLE, "%s: %s", self->group->name, objection);
    for (int i = 0; i < count; i++)
        memory_coordinator_pend(producer->coordinator, self->group, &commits[i]);
    return OK;
}

/* Both ends; an end whose answer was lost succeeds again, unless somebody else has taken over. */
static enum rcode end_transaction(struct memory_port *self, enum memory_outcome outcome,
                                  struct err *err)
{
    struct memory_producer *producer = &self->producer;
    if (producer->transaction && is_fenced(producer))
        return fenced(producer, err);
    if (producer->begun && producer->transaction)
        memory_coordinator_end(self->cluster, producer->coordinator, outcome);
    producer->begun = false;
    producer->abortable = false;
    producer->commit_unresolved = false;
    producer->abort_unresolved = false;
    return OK;
}

enum rcode memory_producer_commit(struct memory_port *self, struct err *err)
{
    struct memory_producer *producer = &self->producer;
    enum rcode rc = producer->commit_unresolved ? check_open(self, err) : check_begun(self, err);
    return rc ? rc : end_transaction(self, MEMORY_COMMITTED_OUTCOME, err);
}

enum rcode memory_producer_abort(struct memory_port *self, struct err *err)
{
    const struct memory_producer *producer = &self->producer;
    enum rcode rc = check_open(self, err);
    if (rc)
        return rc;
    if (producer->commit_unresolved)
        return memory_misuse(self, err, "abort after a commit that has to be repeated");
    if (!producer->begun && !producer->abort_unresolved)
        return memory_misuse(self, err, "no transaction has begun");
    return end_transaction(self, MEMORY_ABORTED_OUTCOME, err);
}

void memory_producer_note(struct memory_port *self, enum memory_op op, enum rcode rc)
{
    struct memory_producer *producer = &self->producer;
    if (rc == OK || op < MEMORY_PRODUCER_OPEN || op > MEMORY_ABORT)
        return;
    if (op == MEMORY_FLUSH)
        producer->flushed = false;
    enum disposition disposition = rcode_disposition(rc);
    if (disposition == DISPOSITION_REBUILD) {
        producer->failed = rc;
    } else if (disposition == DISPOSITION_ABORT) {
        producer->abortable = true;
        producer->commit_unresolved = false;
    } else if (disposition == DISPOSITION_RETRY) {
        producer->open_unresolved = producer->open_unresolved || op == MEMORY_PRODUCER_OPEN;
        producer->commit_unresolved = producer->commit_unresolved || op == MEMORY_COMMIT;
        producer->abort_unresolved = producer->abort_unresolved || op == MEMORY_ABORT;
    }
}
