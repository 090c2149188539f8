/*
 * From records to timers. First each record alone, in the order of offsets: decode, validate, log
 * time, has the frontier passed it. Then the commands of each recipient in their order, against
 * what the recipient has waiting. What is decided depends on the log and the frontier alone, so
 * that restoring comes to the same.
 */
#include <stdlib.h>

#include "dispatcher/dispatcher_internal.h"
#include "domain/address.h"

/* --- each record alone --- */

static int hex_digit(char c)
{
    c = ascii_lower(c);
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 9562 4: 8-4-4-4-12 hexadecimal digits of any case. */
static bool parse_id(const struct uuid_text *text, struct timer_id *ret_id)
{
    int count = 0;
    for (int i = 0; i < UUID_TEXT_SIZE; i++) {
        char c = text->text[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-')
                return false;
            continue;
        }
        int digit = hex_digit(c);
        if (digit < 0)
            return false;
        unsigned char *octet = &ret_id->octets[count / 2];
        *octet = (unsigned char)(count % 2 ? *octet << 4 | digit : digit);
        count++;
    }
    return true;
}

static enum rcode check_recipient(struct identity who, struct err *err)
{
    if (!tenant_valid(who.tenant))
        return err_set(err, E_INVALID_TENANT, "the tenant does not match [a-z0-9._-]{0,64}");
    if (!who.recipient.len || who.recipient.len > RECIPIENT_MAX ||
        memchr(who.recipient.data, '\0', who.recipient.len))
        return err_set(err, E_INVALID_RECIPIENT,
                       "the recipient has %zu octets, 1 to %d without NUL are allowed",
                       who.recipient.len, RECIPIENT_MAX);
    return OK;
}

static enum rcode check_schedule(const struct dispatcher *dispatcher,
                                 const struct retry_command *command, struct job *job,
                                 struct err *err)
{
    int64_t due_ms = command->due_at_ms, delay_ms_max = dispatcher->options.delay_ms_max;
    if (!parse_id(&command->command_id, &job->timer.id))
        return err_set(err, E_INVALID_FIELD, "command_id is no UUID");
    if (due_ms < TIME_MIN_MS || due_ms > TIME_MAX_MS)
        return err_set(err, E_INVALID_FIELD, "due_at %lld lies outside the years 1970 to 9999",
                       (long long)due_ms);
    if (job->time_ms && due_ms - job->time_ms > delay_ms_max)
        return err_set(err, E_DELAY_TOO_LONG,
                       "due %lld s after it was written, at most %lld are allowed "
                       "(dispatcher.delay_max)",
                       (long long)(due_ms - job->time_ms) / 1000, (long long)delay_ms_max / 1000);
    job->timer.due_ms = due_ms;
    return OK;
}

/* A REJECT code: the record is at fault. */
static enum rcode decode(struct dispatcher *dispatcher, struct job *job, struct err *err)
{
    struct retry_command command;
    if (!job->record->value.data)
        return err_set(err, E_MALFORMED, "the value is null");
    enum rcode rc = codec_decode_command(dispatcher->codec, job->record->value, &command, err);
    if (rc != OK)
        return rc;
    job->action = command.action;
    job->timer.who = command.who;
    if ((int)command.action < 0 || command.action >= COMMAND_ACTION_COUNT)
        return err_set(err, E_INVALID_FIELD, "action is none of SCHEDULE, CANCEL, RELEASE");
    rc = check_recipient(command.who, err);
    if (rc == OK && command.action == COMMAND_SCHEDULE)
        rc = check_schedule(dispatcher, &command, job, err);
    return rc;
}

/* The frontier has passed a command that is not due by the clock: the clock was set back. From here
 * on a lower step counts. */
static enum rcode step_down(struct job *job, int64_t now_ms, struct err *err)
{
    if (!frontier_step_down(&job->slot->batch_frontier, job->timer.offset, now_ms))
        return err_set(err, E_CLOCK,
                       "the clock was set back %d times, each time before it had caught up: "
                       "partition %d waits until it does; see to the clock of this machine",
                       FRONTIER_STEPS_MAX - 1, job->slot->slot.partition);
    job->passed = false;
    return OK;
}

static enum rcode reject(struct dispatcher *dispatcher, struct port *port, const struct job *job,
                         const struct err *why, struct err *err)
{
    struct dead_letters dead_letters = {dispatcher->options.topic_names[TOPIC_DELAYED],
                                        dispatcher->options.partition_counts[TOPIC_DEAD_LETTERS]};
    if (!port)
        return OK;
    counter_add(&dispatcher->batch.dead_letters[why->code], 1);
    return outbox_dead_letter(port, &dead_letters, job->record, why, &dispatcher->arena, err);
}

static enum rcode prepare(struct dispatcher *dispatcher, struct batch *batch,
                          const struct port_record *record, struct dispatcher_slot *slot,
                          int64_t now_ms, struct err *err)
{
    struct port *port = batch ? batch->port : NULL;
    struct job *job = &dispatcher->jobs[dispatcher->job_count];
    struct err why = {0};
    int64_t time_before_ms = slot->slot.batch_time_ms;
    if (record->timestamp_ms > time_before_ms)
        slot->slot.batch_time_ms = record->timestamp_ms;
    *job = (struct job){.record = record, .slot = slot, .time_ms = slot->slot.batch_time_ms};
    enum rcode rc = decode(dispatcher, job, &why);
    if (rc != OK && rcode_disposition(rc) == DISPOSITION_REJECT)
        return reject(dispatcher, port, job, &why, err);
    if (batch && rc != OK && rcode_disposition(rc) == DISPOSITION_HOLD &&
        batch_defer(batch, record, &why)) {
        slot->slot.batch_time_ms = time_before_ms; /* it has not come yet */
        return OK;
    }
    if (rc != OK) {
        *err = why;
        return rc;
    }
    job->timer.offset = record->offset;
    job->timer.log_time_ms = time_before_ms;
    struct timer_place place = {job->timer.due_ms, record->offset};
    job->passed = job->action == COMMAND_SCHEDULE && frontier_passed(&slot->batch_frontier, place);
    if (port && job->passed && place.due_ms > now_ms)
        rc = step_down(job, now_ms, err);
    dispatcher->job_count++;
    return rc;
}

enum rcode ingest_prepare(struct dispatcher *dispatcher, struct batch *batch,
                          const struct port_record *records, size_t count, int64_t now_ms,
                          int32_t *ret_failed_partition, struct err *err)
{
    struct dispatcher_slot *slot = NULL;
    if (dispatcher->job_cap < count) {
        dispatcher->job_cap = count;
        dispatcher->jobs = mem_realloc(dispatcher->jobs, count * sizeof(struct job));
        dispatcher->order = mem_realloc(dispatcher->order, count * sizeof(struct job *));
    }
    dispatcher->job_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!slot || slot->slot.partition != records[i].partition)
            slot = dispatcher_slot(dispatcher, records[i].partition);
        if (batch && batch_deferred(batch, records[i].partition))
            continue;
        enum rcode rc = prepare(dispatcher, batch, &records[i], slot, now_ms, err);
        if (rc != OK) {
            *ret_failed_partition = records[i].partition;
            return rc;
        }
    }
    return OK;
}

/* --- the commands of a recipient --- */

static int compare_recipients(const struct job *a, const struct job *b)
{
    int order = str_compare(a->timer.who.tenant, b->timer.who.tenant);
    return order ? order : str_compare(a->timer.who.recipient, b->timer.who.recipient);
}

/* As the databases of the store are ordered. */
static int compare_jobs(const void *a, const void *b)
{
    const struct job *left = *(struct job *const *)a, *right = *(struct job *const *)b;
    if (left->slot != right->slot)
        return left->slot->slot.partition < right->slot->slot.partition ? -1 : 1;
    int order = compare_recipients(left, right);
    return order ? order
                 : (left->timer.offset > right->timer.offset) -
                       (left->timer.offset < right->timer.offset);
}

void ingest_sort(struct dispatcher *dispatcher)
{
    for (size_t i = 0; i < dispatcher->job_count; i++)
        dispatcher->order[i] = &dispatcher->jobs[i];
    if (dispatcher->job_count)
        qsort(dispatcher->order, dispatcher->job_count, sizeof(struct job *), compare_jobs);
}

/* The jobs of one recipient, and what a CANCEL or RELEASE does to what is waiting. */
struct group {
    struct dispatcher *dispatcher;
    struct job **jobs;
    size_t count;
    size_t first_departure; /* those of this recipient are from here on */
    bool leaves;            /* what is taken out leaves: RELEASE, and not restoring */
    size_t found;           /* pending timers taken out */
};

static struct job *job_at(const struct group *group, int64_t offset)
{
    size_t low = 0, high = group->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (group->jobs[middle]->timer.offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < group->count && group->jobs[low]->timer.offset == offset;
    return found ? group->jobs[low] : NULL;
}

static void depart(struct dispatcher *dispatcher, struct timer_place place, const struct job *job,
                   bool freed)
{
    if (dispatcher->departure_count == dispatcher->departure_cap) {
        dispatcher->departure_cap = 2 * dispatcher->departure_cap + 64;
        dispatcher->departures = mem_realloc(dispatcher->departures,
                                             dispatcher->departure_cap * sizeof(struct departure));
    }
    dispatcher->departures[dispatcher->departure_count++] = (struct departure){place, job, freed};
}

static void drop(struct dispatcher *dispatcher, int64_t offset)
{
    if (dispatcher->drop_count == dispatcher->drop_cap) {
        dispatcher->drop_cap = 2 * dispatcher->drop_cap + 64;
        dispatcher->drops = mem_realloc(dispatcher->drops, dispatcher->drop_cap * sizeof(int64_t));
    }
    dispatcher->drops[dispatcher->drop_count++] = offset;
}

static void take_out(void *context, struct timer_place place, enum timer_state state)
{
    struct group *group = context;
    struct job *job = job_at(group, place.offset);
    if (job)
        job->fate = FATE_NONE;
    else
        drop(group->dispatcher, place.offset);
    if (state != TIMER_PENDING)
        return;
    group->found++;
    if (group->leaves)
        depart(group->dispatcher, place, job, true);
}

/* The witness makes this one a duplicate. As long as the frontier has not passed it, a restore must
 * come to the same, so it must begin no later than at the witness. To be a witness itself it has to
 * be due later. */
static enum rcode fold_duplicate(struct group *group, struct job *job, struct timer_place witness,
                                 struct err *err)
{
    struct timer_place place = {job->timer.due_ms, job->timer.offset};
    struct job *known = job_at(group, witness.offset);
    if (job->timer.due_ms > witness.due_ms)
        job->fate = FATE_REMEMBER;
    if (job->passed || frontier_passed(&job->slot->batch_frontier, place))
        return OK;
    if (!known)
        return timers_keep(job->slot->slot.store, witness.offset, place, err);
    known->timer.until = timer_place_beyond(known->timer.until, place);
    return OK;
}

/* What is known of the id is due: it has left, or is late and gives way. */
static enum rcode replace(struct group *group, bool live, const struct job *job, struct err *err)
{
    group->leaves = false;
    group->found = 0;
    enum rcode rc =
        timers_unclaim(job->slot->slot.store, job->timer.who, &job->timer.id, take_out, group, err);
    if (rc == OK && live)
        counter_add(&group->dispatcher->batch.commands[COMMAND_REPLACED], (long long)group->found);
    return rc;
}

static enum rcode fold_schedule(struct group *group, bool live, struct job *job, struct err *err)
{
    struct dispatcher *dispatcher = group->dispatcher;
    struct store *store = job->slot->slot.store;
    struct timer_place last, place = {job->timer.due_ms, job->timer.offset};
    enum rcode rc = timers_find(store, job->timer.who, &job->timer.id, &last, err);
    if (rc != OK)
        return rc;
    bool known = timer_place_compare(last, TIMER_PLACE_FIRST) > 0;
    bool duplicate = known && last.due_ms > job->time_ms;
    if (known && !duplicate)
        rc = replace(group, live, job, err);
    if (rc != OK)
        return rc;
    if (live)
        counter_add(&dispatcher->batch.commands[duplicate ? COMMAND_DUPLICATE : COMMAND_SCHEDULED],
                    1);
    job->timer.until = place;
    job->timer.state = TIMER_RELEASED;
    if (duplicate) {
        rc = fold_duplicate(group, job, last, err);
    } else if (!job->passed) {
        job->fate = FATE_PENDING;
        job->timer.state = TIMER_PENDING;
    } else {
        if (place.due_ms > job->time_ms)
            job->fate = FATE_REMEMBER;
        if (live)
            depart(dispatcher, place, job, false);
    }
    return rc == OK && job->fate != FATE_NONE ? timers_claim(store, &job->timer, err) : rc;
}

/* A CANCEL: of what was to leave in this transaction nothing has left yet. What a RELEASE before it
 * has freed does leave. Returns how many do not leave. */
static size_t hold_back(struct group *group)
{
    struct dispatcher *dispatcher = group->dispatcher;
    size_t kept = group->first_departure, count = dispatcher->departure_count;
    for (size_t i = kept; i < count; i++)
        if (dispatcher->departures[i].freed)
            dispatcher->departures[kept++] = dispatcher->departures[i];
    dispatcher->departure_count = kept;
    return count - kept;
}

static enum rcode fold_end(struct group *group, bool live, const struct job *job, struct err *err)
{
    struct dispatcher *dispatcher = group->dispatcher;
    bool cancel = job->action == COMMAND_CANCEL;
    group->leaves = live && !cancel;
    group->found = cancel ? hold_back(group) : 0;
    for (size_t i = group->first_departure; i < dispatcher->departure_count; i++)
        dispatcher->departures[i].freed = true; /* by this RELEASE, or by one before */
    enum rcode rc =
        timers_unclaim(job->slot->slot.store, job->timer.who, NULL, take_out, group, err);
    if (rc != OK || !live)
        return rc;
    if (!group->found)
        counter_add(&dispatcher->batch.commands[COMMAND_VOID], 1);
    else if (cancel)
        counter_add(&dispatcher->batch.commands[COMMAND_CANCELLED], (long long)group->found);
    return OK;
}

static enum rcode fold_group(struct dispatcher *dispatcher, bool live, struct job **jobs,
                             size_t count, struct err *err)
{
    struct group group = {.dispatcher = dispatcher,
                          .jobs = jobs,
                          .count = count,
                          .first_departure = dispatcher->departure_count};
    enum rcode rc = OK;
    for (size_t i = 0; rc == OK && i < count; i++) {
        switch (jobs[i]->action) {
        case COMMAND_SCHEDULE:
            rc = fold_schedule(&group, live, jobs[i], err);
            break;
        case COMMAND_CANCEL:
        case COMMAND_RELEASE:
            rc = fold_end(&group, live, jobs[i], err);
            break;
        case COMMAND_ACTION_COUNT:
            break;
        }
    }
    return rc;
}

/* --- storing --- */

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static enum rcode apply_drops(struct dispatcher *dispatcher, struct store *store, struct err *err)
{
    enum rcode rc = OK;
    if (dispatcher->drop_count)
        qsort(dispatcher->drops, dispatcher->drop_count, sizeof(int64_t), compare_offsets);
    for (size_t i = 0; rc == OK && i < dispatcher->drop_count; i++)
        rc = timers_drop(store, dispatcher->drops[i], err);
    return rc;
}

/* In the order of offsets, which is that of the records. */
static enum rcode apply_puts(struct dispatcher *dispatcher, const struct dispatcher_slot *slot,
                             struct err *err)
{
    enum rcode rc = OK;
    for (size_t i = 0; rc == OK && i < dispatcher->job_count; i++) {
        struct job *job = &dispatcher->jobs[i];
        if (job->slot != slot || job->fate == FATE_NONE)
            continue;
        if (job->fate == FATE_PENDING) {
            buf_clear(&dispatcher->headers);
            headers_encode(job->record, &dispatcher->headers);
            job->timer.key = job->record->key;
            job->timer.value = job->record->value;
            job->timer.headers = buf_view(&dispatcher->headers);
        }
        rc = timers_put(slot->slot.store, &job->timer, err);
    }
    return rc;
}

enum rcode ingest_fold(struct dispatcher *dispatcher, struct port *port, size_t from, size_t to,
                       int64_t now_ms, struct err *err)
{
    struct job **order = dispatcher->order;
    struct dispatcher_slot *slot = order[from]->slot;
    enum rcode rc = slot_begin(&slot->slot, err);
    dispatcher->departure_count = 0;
    dispatcher->drop_count = 0;
    for (size_t end; rc == OK && from < to; from = end) {
        for (end = from + 1; end < to && compare_recipients(order[from], order[end]) == 0; end++)
            ;
        rc = fold_group(dispatcher, port != NULL, order + from, end - from, err);
    }
    if (rc == OK && port)
        rc = release_departures(dispatcher, port, slot, now_ms, err);
    if (rc == OK)
        rc = apply_drops(dispatcher, slot->slot.store, err);
    return rc == OK ? apply_puts(dispatcher, slot, err) : rc;
}
