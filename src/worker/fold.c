/*
 * The fold of a batch: events sorted by partition, store key and offset; each recipient loaded
 * once, stepped through all its events, staged once, with one changelog record. Walking keys in
 * order is what makes LMDB fast. The idle scan rides along: a few entries per batch are looked at
 * for lapse and expiry, only in partitions whose offset this batch commits anyway.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "domain/address.h"
#include "store/key.h"
#include "worker/worker_internal.h"

#define SCAN_MIN 64   /* entries per batch and partition … */
#define SCAN_SHARE 16 /* … or one for so many events, whichever is more */
#define SCAN_MAX 4096

static struct port_message output_message(struct worker *worker, enum topic topic, struct str key)
{
    return (struct port_message){.topic = topic,
                                 .partition =
                                     hash_partition(key, worker->options.partition_counts[topic]),
                                 .key = key,
                                 .value = buf_view(&worker->value)};
}

static enum rcode send_notice(struct worker *worker, struct batch *batch, struct str key,
                              const struct recipient_notice *notice, struct err *err)
{
    buf_clear(&worker->value);
    codec_encode_notice(worker->codec, notice, &worker->value);
    counter_add(&worker->batch.notices[notice->kind], 1);
    struct port_message message = output_message(worker, TOPIC_NOTICES, key);
    return outbox_send(batch->port, &message, err);
}

static enum rcode send_suppression(struct worker *worker, struct batch *batch, struct str key,
                                   const struct suppression_event *event, struct err *err)
{
    buf_clear(&worker->value);
    codec_encode_suppression(worker->codec, event, &worker->value);
    counter_add(&worker->batch.suppressions[event->action][event->reason], 1);
    struct port_message message = output_message(worker, TOPIC_SUPPRESSIONS, key);
    return outbox_send(batch->port, &message, err);
}

static enum rcode send_command(struct worker *worker, struct batch *batch, struct str key,
                               const struct port_record *cause, const struct retry_command *command,
                               struct err *err)
{
    buf_clear(&worker->value);
    codec_encode_command(worker->codec, command, &worker->value);
    counter_add(&worker->batch.commands[command->action], 1);
    struct port_message message = output_message(worker, TOPIC_DELAYED, key);
    outbox_copy_headers(cause, &worker->arena, &message);
    return outbox_send(batch->port, &message, err);
}

static enum rcode send_effects(struct worker *worker, struct batch *batch, struct str key,
                               const struct port_record *cause, const struct effects *effects,
                               struct err *err)
{
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < effects->notice_count; i++)
        rc = send_notice(worker, batch, key, &effects->notices[i], err);
    for (int i = 0; rc == OK && i < effects->suppression_count; i++)
        rc = send_suppression(worker, batch, key, &effects->suppressions[i], err);
    for (int i = 0; rc == OK && i < effects->command_count; i++)
        rc = send_command(worker, batch, key, cause, &effects->commands[i], err);
    return rc;
}

/* Changelog and store: a state … */
static enum rcode stage_state(struct worker *worker, struct batch *batch, struct slot *slot,
                              const struct recipient *state, struct str key, struct err *err)
{
    buf_clear(&worker->value);
    codec_encode_recipient(worker->codec, state, &worker->value);
    struct port_message message = {.topic = TOPIC_RECIPIENTS,
                                   .partition = slot->partition,
                                   .key = key,
                                   .value = buf_view(&worker->value)};
    enum rcode rc = outbox_send(batch->port, &message, err);
    if (rc == OK)
        rc = store_put(slot->store, state->who, buf_view(&worker->value), worker_kind(state), err);
    return rc;
}

/* … or a tombstone, which says at which input offset the life ended. */
static enum rcode stage_tombstone(struct worker *worker, struct batch *batch, struct slot *slot,
                                  struct identity who, struct str key, int64_t source_offset,
                                  struct err *err)
{
    struct port_header header = {STR("source_offset"),
                                 arena_printf(&worker->arena, "%lld", (long long)source_offset)};
    struct port_message message = {.topic = TOPIC_RECIPIENTS,
                                   .partition = slot->partition,
                                   .key = key,
                                   .headers = &header,
                                   .header_count = 1};
    enum rcode rc = outbox_send(batch->port, &message, err);
    if (rc == OK)
        rc = store_delete(slot->store, who, err);
    return rc;
}

static enum rcode decode_state(struct worker *worker, struct str value, struct recipient *ret_state,
                               struct err *err)
{
    enum rcode rc = codec_decode_recipient(worker->codec, value, ret_state, err);
    if (rc == OK || rcode_disposition(rc) != DISPOSITION_REJECT)
        return rc;
    struct err why = *err;
    return err_set(err, E_STORE_CORRUPT, "a stored state cannot be decoded: %.900s", why.text);
}

static void tell_step(const struct worker *worker, const struct work *work,
                      const struct recipient *before, const struct recipient *after,
                      const struct effects *effects)
{
    const struct worker_watch *watch = worker->options.watch;
    watch->saw(watch->context,
               &(struct worker_step){.event = &work->event,
                                     .record = work->record,
                                     .stream_time_ms = work->stream_time_ms,
                                     .before = before,
                                     .after = effects->change == STATE_PUT ? after : NULL,
                                     .effects = effects});
}

/* All events of one recipient in this batch. */
static enum rcode fold_recipient(struct worker *worker, struct batch *batch,
                                 const struct order *orders, size_t count, struct err *err)
{
    struct slot *slot = orders[0].work->slot;
    struct identity who = orders[0].work->event.who;
    struct recipient states[2];
    struct effects effects;
    struct str stored;
    char key_text[RECORD_KEY_MAX];
    enum rcode rc = slot_begin(slot, err);
    if (rc == OK)
        rc = store_get(slot->store, who, &stored, err);
    if (rc == OK && stored.data)
        rc = decode_state(worker, stored, &states[0], err);
    if (rc != OK)
        return rc;
    struct str key = {key_text, identity_key(who, key_text)};
    const struct recipient *now = stored.data ? &states[0] : NULL;
    bool changed = false;
    int64_t deleted_at = -1;
    for (size_t i = 0; i < count; i++) {
        const struct work *work = orders[i].work;
        struct recipient *after = now == &states[0] ? &states[1] : &states[0];
        recipient_step(worker->options.policies, now, &work->event, work->stream_time_ms, after,
                       &effects);
        counter_add(&worker->batch.outcomes[effects.outcome], 1);
        rc = send_effects(worker, batch, key, work->record, &effects, err);
        if (rc != OK)
            return rc;
        if (worker->options.watch)
            tell_step(worker, work, now, after, &effects);
        if (effects.change == STATE_UNCHANGED)
            continue;
        changed = true;
        deleted_at = effects.change == STATE_DELETE ? work->event.offset : -1;
        now = effects.change == STATE_DELETE ? NULL : after;
    }
    if (!changed)
        return OK;
    if (now)
        return stage_state(worker, batch, slot, now, key, err);
    return stage_tombstone(worker, batch, slot, who, key, deleted_at, err);
}

static struct order order_of(struct worker *worker, const struct work *work)
{
    char key[STORE_KEY_MAX];
    struct str copy = {key, store_key_encode(work->event.who, key)};
    copy = arena_str(&worker->arena, copy);
    return (struct order){work, copy.data, copy.len};
}

static int compare_keys(const struct order *left, const struct order *right)
{
    size_t len = left->key_len < right->key_len ? left->key_len : right->key_len;
    int order = memcmp(left->key, right->key, len);
    return order ? order : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

static int compare_orders(const void *a, const void *b)
{
    const struct order *left = a, *right = b;
    const struct work *x = left->work, *y = right->work;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    int order = compare_keys(left, right);
    return order ? order
                 : (x->event.offset > y->event.offset) - (x->event.offset < y->event.offset);
}

static bool same_recipient(const struct order *a, const struct order *b)
{
    return a->work->slot == b->work->slot && compare_keys(a, b) == 0;
}

/* --- idle scan --- */

struct idle {
    struct identity who;
    struct recipient after;
    enum idle_action action;
    int64_t source_offset;
};

struct scan {
    struct worker *worker;
    struct slot *slot;
    struct idle *found;
    size_t count;
};

static enum rcode scan_entry(void *context, struct identity who, struct str value, struct err *err)
{
    struct scan *scan = context;
    struct worker *worker = scan->worker;
    struct recipient before;
    struct idle idle;
    enum rcode rc = decode_state(worker, value, &before, err);
    if (rc != OK)
        return rc;
    idle.action =
        recipient_idle(worker->options.policies, &before, scan->slot->batch_time_ms, &idle.after);
    if (idle.action == IDLE_NONE)
        return OK;
    /* The store is written to after the walk, so what points into it must be copied. */
    value = arena_str(&worker->arena, value);
    rc = decode_state(worker, value, &before, err);
    if (rc != OK)
        return rc;
    recipient_idle(worker->options.policies, &before, scan->slot->batch_time_ms, &idle.after);
    idle.who = (struct identity){arena_str(&worker->arena, who.tenant),
                                 arena_str(&worker->arena, who.recipient)};
    idle.source_offset = before.source_offset;
    scan->found[scan->count++] = idle;
    return OK;
}

static enum rcode scan_slot(struct worker *worker, struct batch *batch, struct slot *slot,
                            struct err *err)
{
    size_t max = worker->work_count / SCAN_SHARE;
    max = max < SCAN_MIN ? SCAN_MIN : max > SCAN_MAX ? SCAN_MAX : max;
    struct scan scan = {.worker = worker, .slot = slot};
    scan.found = arena_alloc(&worker->arena, max * sizeof(*scan.found));
    enum rcode rc =
        store_scan(slot->store, &((struct worker_slot *)slot)->scan, max, scan_entry, &scan, err);
    for (size_t i = 0; rc == OK && i < scan.count; i++) {
        const struct idle *idle = &scan.found[i];
        char key_text[RECORD_KEY_MAX];
        struct str key = {key_text, identity_key(idle->who, key_text)};
        if (idle->action == IDLE_LAPSE) {
            counter_add(&worker->batch.lapsed, 1);
            rc = stage_state(worker, batch, slot, &idle->after, key, err);
        } else {
            counter_add(&worker->batch.expired, 1);
            rc = stage_tombstone(worker, batch, slot, idle->who, key, idle->source_offset, err);
        }
    }
    return rc;
}

enum rcode fold_batch(struct worker *worker, struct batch *batch, struct err *err)
{
    size_t count = worker->work_count;
    struct order *orders = worker->orders;
    for (size_t i = 0; i < count; i++)
        orders[i] = order_of(worker, &worker->works[i]);
    if (count)
        qsort(orders, count, sizeof(*orders), compare_orders);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && same_recipient(&orders[from], &orders[to]); to++)
            ;
        enum rcode rc = fold_recipient(worker, batch, orders + from, to - from, err);
        if (rc != OK)
            return slot_at_fault(orders[from].work->slot, batch, rc);
    }
    for (int i = 0; i < worker->slots.count; i++) {
        struct slot *slot = worker->slots.items[i];
        enum rcode rc = slot->begun ? scan_slot(worker, batch, slot, err) : OK;
        if (rc != OK)
            return slot_at_fault(slot, batch, rc);
    }
    return OK;
}
