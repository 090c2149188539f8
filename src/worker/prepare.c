/*
 * From records to events: decode, validate, route, classify. A record at fault becomes one dead
 * letter, a record in the wrong partition is sent once to the right one; both in the transaction
 * that commits its offset, so that neither is lost nor doubled. What is left goes into the fold.
 */
#include <assert.h>
#include <stdio.h>

#include "base/hash.h"
#include "domain/address.h"
#include "worker/worker_internal.h"

#define REROUTED_HEADER "rimbalzo-rerouted"

/* `partition:offset:timestamp` of the record that was rerouted. */
struct rerouted {
    bool present;
    int64_t partition, offset, timestamp_ms;
};

static bool parse_decimal(const char **inout, const char *end, int64_t *ret_number)
{
    const char *p = *inout;
    int64_t number = 0;
    if (p == end)
        return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (number > (INT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (*p - '0');
    }
    if (p == *inout)
        return false;
    *inout = p;
    *ret_number = number;
    return true;
}

static bool parse_rerouted(struct str text, struct rerouted *ret_rerouted)
{
    const char *p = text.data, *end = p + text.len;
    struct rerouted rerouted = {.present = true};
    bool valid = text.data && parse_decimal(&p, end, &rerouted.partition) && p < end &&
                 *p++ == ':' && parse_decimal(&p, end, &rerouted.offset) && p < end &&
                 *p++ == ':' && parse_decimal(&p, end, &rerouted.timestamp_ms) && p == end;
    if (valid)
        *ret_rerouted = rerouted;
    return valid;
}

/* A header that is not three decimal numbers counts as absent; of several valid ones the last
 * counts. */
static struct rerouted rerouted_header(const struct port_record *record)
{
    struct rerouted rerouted = {0};
    for (int i = 0; i < record->header_count; i++)
        if (str_equal(record->headers[i].name, STR(REROUTED_HEADER)))
            (void)!parse_rerouted(record->headers[i].value, &rerouted);
    return rerouted;
}

static enum rcode send_dead_letter(struct worker *worker, struct batch *batch,
                                   const struct port_record *record, const struct err *why,
                                   struct err *err)
{
    struct dead_letters dead_letters = {worker->options.topic_names[TOPIC_BOUNCES],
                                        worker->options.partition_counts[TOPIC_DEAD_LETTERS]};
    counter_add(&worker->batch.dead_letters[why->code], 1);
    return outbox_dead_letter(batch->port, &dead_letters, record, why, &worker->arena, err);
}

static enum rcode send_rerouted(struct worker *worker, struct batch *batch,
                                const struct port_record *record, struct str key, int32_t partition,
                                struct err *err)
{
    size_t count = (size_t)record->header_count + 1;
    struct port_header *headers = arena_alloc(&worker->arena, count * sizeof(*headers));
    for (int i = 0; i < record->header_count; i++)
        headers[i] = record->headers[i];
    headers[record->header_count] = (struct port_header){
        STR(REROUTED_HEADER),
        arena_printf(&worker->arena, "%d:%lld:%lld", record->partition, (long long)record->offset,
                     (long long)record->timestamp_ms)};
    struct port_message message = {.topic = TOPIC_BOUNCES,
                                   .partition = partition,
                                   .key = key,
                                   .value = record->value,
                                   .headers = headers,
                                   .header_count = (int)count};
    counter_add(&worker->batch.rerouted, 1);
    return outbox_send(batch->port, &message, err);
}

static enum rcode check_length(struct str text, size_t max, const char *field, struct err *err)
{
    if (text.len <= max)
        return OK;
    return err_set(err, E_INVALID_FIELD, "%s has %zu octets, at most %zu are allowed", field,
                   text.len, max);
}

static enum rcode check_fields(const struct input_record *input, struct err *err)
{
    if (input->event_id.len == 0)
        return err_set(err, E_INVALID_FIELD, "event_id is empty");
    enum rcode rc = check_length(input->event_id, TEXT_FIELD_MAX, "event_id", err);
    if (rc == OK)
        rc = check_length(input->message_id, TEXT_FIELD_MAX, "message_id", err);
    if (rc == OK)
        rc = check_length(input->retry_of, TEXT_FIELD_MAX, "retry_of", err);
    if (rc == OK)
        rc = check_length(input->status, STATUS_FIELD_MAX, "status", err);
    if (rc != OK)
        return rc;
    if (input->occurred_at_ms < TIME_MIN_MS || input->occurred_at_ms > TIME_MAX_MS)
        return err_set(err, E_INVALID_FIELD, "occurred_at %lld lies outside the years 1970 to 9999",
                       (long long)input->occurred_at_ms);
    if (input->kind == RECORD_BOUNCE && input->message_attempt < 0)
        return err_set(err, E_INVALID_FIELD, "message_attempt %d is negative",
                       input->message_attempt);
    if (input->kind == RECORD_OVERRIDE && input->action < 0)
        return err_set(err, E_INVALID_FIELD, "action is none of REINSTATE, SUPPRESS, FORGET");
    return OK;
}

static struct str lower(struct arena *arena, struct str text)
{
    struct str copy = arena_str(arena, text);
    char *data = (char *)copy.data;
    for (size_t i = 0; i < copy.len; i++)
        data[i] = ascii_lower(data[i]);
    return copy;
}

static void classify_bounce(struct worker *worker, const struct input_record *input,
                            struct event *event)
{
    struct bounce_facts facts = {.status = input->status,
                                 .reply_code = input->reply_code,
                                 .diagnostic = input->diagnostic,
                                 .remote_mta = input->remote_mta,
                                 .stage = input->stage};
    struct verdict verdict;
    classify(worker->classifier, &facts, &verdict);
    if (verdict.bounce_class == CLASS_UNKNOWN)
        verdict.bounce_class = worker->options.policies->unknown_as;
    event->bounce_class = verdict.bounce_class;
    event->reason = verdict.reason;
    event->rule = verdict.rule;
    event->status = input->status;
    event->message_attempt = input->message_attempt;
    counter_add(&worker->batch.bounces[verdict.bounce_class], 1);
    counter_add(&worker->batch.reasons[verdict.reason], 1);
    double age = (double)(worker->now_ms - event->time_ms) / 1000;
    histogram_add(&worker->batch.bounce_age_seconds, &worker_bounce_age_layout, age > 0 ? age : 0);
}

static void fill_event(struct worker *worker, const struct input_record *input, struct event *event)
{
    event->event_id = lower(&worker->arena, input->event_id);
    event->message_id = input->message_id;
    event->retry_of = lower(&worker->arena, input->retry_of);
    switch (input->kind) {
    case RECORD_BOUNCE:
        event->kind = EVENT_BOUNCE;
        classify_bounce(worker, input, event);
        return;
    case RECORD_DELIVERY:
        event->kind = EVENT_DELIVERY;
        return;
    case RECORD_OVERRIDE:
        event->kind = EVENT_OVERRIDE;
        event->action = (enum override_action)input->action;
        return;
    case RECORD_RETRY_COMMAND:
    case RECORD_SUPPRESSION_EVENT:
    case RECORD_RECIPIENT_NOTICE:
    case RECORD_RECIPIENT_STATE:
    case RECORD_KIND_COUNT:
        break;
    }
    assert(!"codec_decode_input gives input records only");
}

/* Event time: occurred_at, or the broker's timestamp when that is too far ahead of it (semantics
 * §4). */
static int64_t event_time(const struct worker *worker, const struct port_record *record,
                          const struct rerouted *rerouted, int64_t occurred_at_ms)
{
    int64_t broker_ms = record->timestamp_ms;
    if (rerouted->present && rerouted->timestamp_ms < broker_ms)
        broker_ms = rerouted->timestamp_ms;
    if (broker_ms >= 0 && occurred_at_ms - broker_ms > worker->options.policies->event_max_ahead_ms)
        return broker_ms;
    return occurred_at_ms;
}

/* Decodes and validates. A REJECT code: the record is at fault. */
static enum rcode decode(struct worker *worker, const struct port_record *record,
                         struct input_record *input, struct identity *ret_who, struct err *err)
{
    if (!record->value.data)
        return err_set(err, E_MALFORMED, "the value is null");
    enum rcode rc = codec_decode_input(worker->codec, record->value, input, err);
    if (rc == OK)
        rc = check_fields(input, err);
    if (rc != OK)
        return rc;
    if (!tenant_valid(input->tenant))
        return err_set(err, E_INVALID_TENANT, "the tenant does not match [a-z0-9._-]{0,64}");
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    rc = address_canonical(input->recipient, worker->options.policies->local_part_preserve,
                           canonical, &len, err);
    if (rc != OK)
        return rc;
    ret_who->tenant = input->tenant;
    ret_who->recipient = arena_str(&worker->arena, (struct str){canonical, len});
    return OK;
}

/* The record is at fault, or nobody can tell yet what it is. */
static enum rcode unusable(struct worker *worker, struct batch *batch,
                           const struct port_record *record, const struct err *why, struct err *err)
{
    enum disposition disposition = rcode_disposition(why->code);
    if (disposition == DISPOSITION_REJECT)
        return send_dead_letter(worker, batch, record, why, err);
    if (disposition == DISPOSITION_HOLD && batch_defer(batch, record, why))
        return OK;
    *err = *why;
    return why->code;
}

static enum rcode prepare_record(struct worker *worker, struct batch *batch, struct slot *slot,
                                 const struct port_record *record, struct err *err)
{
    struct input_record input;
    struct identity who = {0};
    struct err why = {0};
    char key_text[RECORD_KEY_MAX];
    enum rcode rc = decode(worker, record, &input, &who, &why);
    if (rc != OK)
        return unusable(worker, batch, record, &why, err);
    struct str key = {key_text, identity_key(who, key_text)};
    struct rerouted rerouted = rerouted_header(record);
    int32_t partition = hash_partition(key, worker->options.partition_counts[TOPIC_BOUNCES]);
    if (partition != record->partition && rerouted.present) {
        err_set(&why, E_MISROUTED, "already rerouted once, and partition %d is right, not %d",
                partition, record->partition);
        return send_dead_letter(worker, batch, record, &why, err);
    }
    if (partition != record->partition)
        return send_rerouted(worker, batch, record, key, partition, err);

    int64_t time_ms = event_time(worker, record, &rerouted, input.occurred_at_ms);
    if (time_ms > slot->batch_time_ms)
        slot->batch_time_ms = time_ms;
    const struct worker_watch *watch = worker->options.watch;
    if (watch && !watch->wants(watch->context, who))
        return OK;
    struct work *work = &worker->works[worker->work_count++];
    *work = (struct work){.slot = slot, .record = record};
    work->event.who = who;
    work->event.partition = record->partition;
    work->event.offset = record->offset;
    work->event.time_ms = time_ms;
    fill_event(worker, &input, &work->event);
    work->stream_time_ms = slot->batch_time_ms;
    return OK;
}

enum rcode prepare_batch(struct worker *worker, struct batch *batch, struct err *err)
{
    struct slot *slot = NULL;
    if (worker->work_cap < batch->count) {
        worker->work_cap = batch->count;
        worker->works = mem_realloc(worker->works, batch->count * sizeof(struct work));
        worker->orders = mem_realloc(worker->orders, batch->count * sizeof(struct order));
    }
    worker->work_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct port_record *record = &batch->records[i];
        if (!slot || slot->partition != record->partition)
            slot = slots_find(&worker->slots, record->partition);
        if (batch_deferred(batch, record->partition))
            continue;
        enum rcode rc = prepare_record(worker, batch, slot, record, err);
        if (rc != OK) {
            batch->failed_partition = record->partition;
            return rc;
        }
    }
    return OK;
}

enum rcode worker_judge(struct processor *processor, const struct port_record *record,
                        struct worker_judgement *ret_judgement, struct err *err)
{
    struct worker *worker = (struct worker *)processor;
    struct input_record input;
    struct identity who = {0};
    char key_text[RECORD_KEY_MAX];
    arena_reset(&worker->arena, ARENA_KEEP);
    enum rcode rc = decode(worker, record, &input, &who, err);
    if (rc != OK && rcode_disposition(rc) != DISPOSITION_REJECT)
        return rc;
    *ret_judgement = (struct worker_judgement){.home = -1};
    if (rc != OK)
        return OK;
    struct str key = {key_text, identity_key(who, key_text)};
    struct rerouted rerouted = rerouted_header(record);
    ret_judgement->home = hash_partition(key, worker->options.partition_counts[TOPIC_BOUNCES]);
    ret_judgement->time_ms = event_time(worker, record, &rerouted, input.occurred_at_ms);
    return OK;
}

bool worker_rerouted_from(const struct port_record *record, struct port_position *ret_origin)
{
    struct rerouted rerouted = rerouted_header(record);
    if (!rerouted.present || rerouted.partition > INT32_MAX)
        return false;
    *ret_origin = (struct port_position){(int32_t)rerouted.partition, rerouted.offset};
    return true;
}
