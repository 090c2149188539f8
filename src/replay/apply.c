#include "replay/apply.h"

#include "base/arena.h"
#include "base/failpoint.h"
#include "stream/outbox.h"
#include "worker/worker.h"

#define JOIN_MS_MAX 60000
#define STEP_MS_MAX 120000 /* as every step of a transaction (stream/transaction.c) */
#define RETRY_WAIT_MS 20
#define POLL_MS 200
#define RECIPIENTS_MAX 1000 /* of one transaction */

void apply_init(struct apply *apply, const struct apply_options *options)
{
    *apply = (struct apply){.options = *options};
    if (!apply->options.recipients_max)
        apply->options.recipients_max = RECIPIENTS_MAX;
    buf_init(&apply->value);
}

void apply_deinit(struct apply *apply)
{
    buf_deinit(&apply->value);
}

/* --- the group --- */

static void on_assigned(void *context, const int32_t *partitions, int count)
{
    struct apply *apply = context;
    (void)partitions;
    apply->owned += count;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
    struct apply *apply = context;
    (void)partitions;
    (void)lost;
    apply->owned -= count;
    apply->lost |= count > 0;
}

/* Serves rebalances; no partition is fetched, so no record comes. */
static enum rcode poll(struct apply *apply, int timeout_ms, struct err *err)
{
    struct port *port = apply->options.port;
    struct port_record record;
    size_t count = 0;
    int32_t partition;
    enum rcode rc = port->ops->poll(port, timeout_ms, 1, &record, &count, &partition, err);
    port->ops->release(port);
    return rc != OK && rcode_disposition(rc) == DISPOSITION_RETRY ? OK : rc;
}

static enum rcode disturbed(struct err *err)
{
    return err_set(err, E_LOG_ABORTABLE,
                   "a worker has joined the group: stop all workers, then run it again; what was "
                   "written until now is whole");
}

typedef enum rcode port_step(struct port *port, struct err *err);

static enum rcode retry(struct apply *apply, port_step *step, struct err *err)
{
    struct port *port = apply->options.port;
    int64_t deadline_ms = port->ops->monotonic_ms(port) + STEP_MS_MAX;
    for (;;) {
        enum rcode rc = step(port, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        if (port->ops->monotonic_ms(port) > deadline_ms)
            return err->code = E_LOG_UNKNOWN_OUTCOME;
        port->ops->wait(port, RETRY_WAIT_MS);
    }
}

enum rcode apply_join(struct apply *apply, int32_t partitions, struct err *err)
{
    struct port *port = apply->options.port;
    port->listener = (struct port_listener){apply, on_assigned, on_revoked};
    int64_t deadline_ms = port->ops->monotonic_ms(port) + JOIN_MS_MAX;
    enum rcode rc = OK;
    while (rc == OK && apply->owned < partitions) {
        rc = poll(apply, POLL_MS, err);
        if (rc == OK && port->ops->monotonic_ms(port) > deadline_ms)
            return err_set(err, E_LOG_ABORTABLE,
                           "the group gives %d of %d partitions: it has other members",
                           apply->owned, partitions);
    }
    apply->lost = false;
    return rc == OK ? retry(apply, port->ops->producer_open, err) : rc;
}

/* --- a transaction --- */

static enum rcode send(void *context, const struct port_message *message, struct err *err)
{
    struct apply *apply = context;
    apply->written[message->topic]++;
    return apply->options.port ? outbox_send(apply->options.port, message, err) : OK;
}

static enum rcode begin(struct apply *apply, struct err *err)
{
    if (apply->begun)
        return OK;
    enum rcode rc = apply->options.port ? retry(apply, apply->options.port->ops->begin, err) : OK;
    apply->begun = rc == OK;
    apply->in_hand = 0;
    return rc;
}

static enum rcode send_offsets(struct apply *apply, struct err *err)
{
    struct port *port = apply->options.port;
    int32_t partition = apply->target->partition;
    int64_t sent = port->ops->sent_next(port, TOPIC_RECIPIENTS, partition);
    char text[PORT_METADATA_MAX + 1];
    if (sent >= 0)
        apply->certificate.log_next = sent;
    size_t len = worker_certificate_text(&apply->certificate, text);
    const struct port_commit commits[] = {
        {.topic = TOPIC_BOUNCES, .partition = partition, .offset = apply->input_offset},
        {.topic = TOPIC_RECIPIENTS,
         .partition = partition,
         .offset = apply->certificate.log_next,
         .metadata = {text, len}}};
    int64_t deadline_ms = port->ops->monotonic_ms(port) + STEP_MS_MAX;
    for (;;) {
        enum rcode rc = port->ops->send_offsets(port, commits, 2, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY ||
            port->ops->monotonic_ms(port) > deadline_ms)
            return rc;
        port->ops->wait(port, RETRY_WAIT_MS);
    }
}

static enum rcode commit(struct apply *apply, struct err *err)
{
    struct port *port = apply->options.port;
    apply->transactions++;
    if (!port) {
        apply->begun = false;
        return OK;
    }
    failpoint("after-produce");
    enum rcode rc = retry(apply, port->ops->flush, err);
    if (rc == OK)
        rc = send_offsets(apply, err);
    failpoint("after-offsets");
    if (rc != OK)
        return rc;
    apply->begun = false;
    rc = retry(apply, port->ops->commit, err);
    failpoint("after-kafka-commit");
    if (rc == OK)
        rc = poll(apply, 0, err);
    return rc == OK && apply->lost ? disturbed(err) : rc;
}

/* What cannot be aborted now is when the producer's id is used the next time; and of a commit whose
 * outcome is not known nothing may be. */
static void give_up(struct apply *apply, enum rcode rc)
{
    struct err ignored;
    bool open = apply->begun || rcode_disposition(rc) == DISPOSITION_ABORT;
    if (rc != OK && apply->options.port && open)
        (void)!retry(apply, apply->options.port->ops->abort, &ignored);
    apply->begun = false;
}

/* --- a partition --- */

static enum rcode write_one(void *context, const struct difference *difference, struct err *err)
{
    struct apply *apply = context;
    const struct apply_target *target = apply->target;
    const struct port_message *messages;
    int count;
    struct correction correction = {.codec = apply->options.codec,
                                    .policies = apply->options.policies,
                                    .partition = target->partition,
                                    .partition_counts = apply->options.partition_counts,
                                    .stream_time_ms = target->stream_time_ms,
                                    .now_ms = apply->options.now_ms,
                                    .value = &apply->value,
                                    .context = apply,
                                    .send = send};
    enum rcode rc =
        standing_read(target->standing, target->partition, difference->who, &messages, &count, err);
    if (rc == OK)
        rc = begin(apply, err);
    if (rc == OK)
        rc = correct_recipient(&correction, difference, messages, count, err);
    if (rc != OK)
        return rc;
    correct_account(difference, &apply->certificate.entries, &apply->certificate.digest);
    apply->recipients++;
    return ++apply->in_hand == apply->options.recipients_max ? commit(apply, err) : OK;
}

/* Nobody has run since the live state was read. */
static enum rcode check_certificate(struct apply *apply, struct err *err)
{
    struct port *port = apply->options.port;
    const struct apply_target *target = apply->target;
    struct port_committed committed = {.partition = target->partition};
    char text[PORT_METADATA_MAX + 1];
    size_t len = worker_certificate_text(&target->certificate, text);
    int64_t deadline_ms = port->ops->monotonic_ms(port) + STEP_MS_MAX;
    enum rcode rc;
    while ((rc = port->ops->committed(port, &committed, 1, err)) != OK &&
           rcode_disposition(rc) == DISPOSITION_RETRY &&
           port->ops->monotonic_ms(port) < deadline_ms)
        port->ops->wait(port, RETRY_WAIT_MS);
    if (rc != OK)
        return rc;
    if (committed.certificate_offset != target->certificate.log_next ||
        committed.metadata_len != len || memcmp(committed.metadata, text, len) != 0)
        return err_set(err, E_LOG_ABORTABLE,
                       "partition %d: a worker has run since its state was read; run it again with "
                       "all workers stopped",
                       target->partition);
    apply->input_offset =
        committed.input_offset >= 0 ? committed.input_offset : target->certificate.input_next;
    return OK;
}

enum rcode apply_partition(struct apply *apply, const struct apply_target *target, struct err *err)
{
    apply->target = target;
    apply->certificate = target->certificate;
    apply->certificate.entries = target->live_entries;
    apply->certificate.digest = target->live_digest;
    apply->certificate.stream_time_ms = target->stream_time_ms;
    int64_t before = apply->recipients;
    enum rcode rc = apply->options.port ? check_certificate(apply, err) : OK;
    if (rc == OK)
        rc = target->walk(target->context, write_one, apply, err);
    /* The stream time may be another though no state is. */
    bool time_differs = target->stream_time_ms != target->certificate.stream_time_ms;
    if (rc == OK && time_differs && apply->recipients == before)
        rc = begin(apply, err);
    if (rc == OK && apply->begun)
        rc = commit(apply, err);
    give_up(apply, rc);
    return rc;
}
