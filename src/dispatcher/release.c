/* What leaves: in the order of places, with the record as it came. */
#include <stdlib.h>

#include "dispatcher/dispatcher_internal.h"

#define CHUNK 1024                            /* timers of one partition at a time */
#define RELEASE_OCTETS_MAX ((size_t)64 << 20) /* of one transaction's records */
#define PASSED_MAX 16384 /* timers taken out in one transaction while restoring */
#define NULL_LEN UINT32_MAX

/* --- headers --- */

static void put_text(struct buf *out, struct str text)
{
    uint32_t len = text.data ? (uint32_t)text.len : NULL_LEN;
    buf_append(out, &len, sizeof(len));
    buf_str(out, text);
}

static bool take_text(struct str *inout_text, struct str *ret_text)
{
    uint32_t len;
    if (inout_text->len < sizeof(len))
        return false;
    memcpy(&len, inout_text->data, sizeof(len));
    *inout_text = (struct str){inout_text->data + sizeof(len), inout_text->len - sizeof(len)};
    *ret_text = STR_NULL;
    if (len == NULL_LEN)
        return true;
    if (len > inout_text->len)
        return false;
    *ret_text = (struct str){inout_text->data, len};
    *inout_text = (struct str){inout_text->data + len, inout_text->len - len};
    return true;
}

void headers_encode(const struct port_record *record, struct buf *out)
{
    for (int i = 0; i < record->header_count; i++) {
        put_text(out, record->headers[i].name);
        put_text(out, record->headers[i].value);
    }
}

bool headers_decode(struct str text, struct arena *arena, struct port_message *message)
{
    struct port_header *headers = NULL;
    struct str name, value, rest = text;
    int count = 0;
    for (; rest.len; count++)
        if (!take_text(&rest, &name) || !take_text(&rest, &value))
            return false;
    if (count)
        headers = arena_alloc(arena, (size_t)count * sizeof(*headers));
    for (int i = 0; i < count; i++)
        if (!take_text(&text, &headers[i].name) || !take_text(&text, &headers[i].value))
            return false;
    message->headers = headers;
    message->header_count = count;
    return true;
}

/* --- sending --- */

static enum rcode send_job(struct port *port, const struct job *job, int64_t now_ms,
                           struct err *err)
{
    const struct port_record *record = job->record;
    struct port_message message = {.topic = TOPIC_DUE,
                                   .partition = record->partition,
                                   .key = record->key,
                                   .value = record->value,
                                   .headers = record->headers,
                                   .header_count = record->header_count,
                                   .timestamp_ms = now_ms};
    return outbox_send(port, &message, err);
}

static enum rcode send_stored(struct dispatcher *dispatcher, struct port *port,
                              const struct dispatcher_slot *slot, int64_t offset, int64_t now_ms,
                              size_t *inout_octets, struct err *err)
{
    char key_text[RECORD_KEY_MAX];
    struct timer timer;
    enum rcode rc = timers_get(slot->slot.store, offset, key_text, &timer, err);
    if (rc != OK)
        return rc;
    struct port_message message = {.topic = TOPIC_DUE,
                                   .partition = slot->slot.partition,
                                   .key = timer.key,
                                   .value = timer.value,
                                   .timestamp_ms = now_ms};
    if (!headers_decode(timer.headers, &dispatcher->arena, &message))
        return err_set(err, E_STORE_CORRUPT, "timer %lld: its headers are damaged",
                       (long long)offset);
    *inout_octets += timer.key.len + timer.value.len + timer.headers.len;
    return outbox_send(port, &message, err);
}

static int compare_departures(const void *a, const void *b)
{
    const struct departure *left = a, *right = b;
    return timer_place_compare(left->place, right->place);
}

static void count_released(struct dispatcher *dispatcher, int64_t due_ms, int64_t now_ms)
{
    counter_add(&dispatcher->batch.commands[COMMAND_RELEASED], 1);
    histogram_add(&dispatcher->batch.release_delay_seconds, &dispatcher_release_delay_layout,
                  (double)(now_ms - due_ms) / 1000);
}

enum rcode release_departures(struct dispatcher *dispatcher, struct port *port,
                              struct dispatcher_slot *slot, int64_t now_ms, struct err *err)
{
    size_t octets = 0;
    enum rcode rc = OK;
    if (dispatcher->departure_count)
        qsort(dispatcher->departures, dispatcher->departure_count, sizeof(struct departure),
              compare_departures);
    for (size_t i = 0; rc == OK && i < dispatcher->departure_count; i++) {
        const struct departure *departure = &dispatcher->departures[i];
        if (departure->place.due_ms <= now_ms)
            count_released(dispatcher, departure->place.due_ms, now_ms);
        else
            counter_add(&dispatcher->batch.commands[COMMAND_FREED], 1);
        rc = departure->job ? send_job(port, departure->job, now_ms, err)
                            : send_stored(dispatcher, port, slot, departure->place.offset, now_ms,
                                          &octets, err);
    }
    return rc;
}

/* --- what is due --- */

bool slot_over(const void *context, struct timer_place until)
{
    const struct dispatcher_slot *slot = context;
    return until.due_ms <= slot->slot.batch_time_ms &&
           frontier_passed(&slot->batch_frontier, until);
}

/* Up to `max` timers of one partition. `inout_count` and `inout_octets` grow. */
static enum rcode release_chunk(struct dispatcher *dispatcher, struct port *port,
                                struct dispatcher_slot *slot, size_t max, int64_t now_ms,
                                size_t *ret_count, size_t *inout_octets, struct err *err)
{
    struct store *store = slot->slot.store;
    struct timer_place *places = dispatcher->places;
    size_t count = 0;
    enum rcode rc = timers_due(store, TIMER_PLACE_FIRST, now_ms, max, places, &count, err);
    for (size_t i = 0; rc == OK && i < count; i++)
        rc = send_stored(dispatcher, port, slot, places[i].offset, now_ms, inout_octets, err);
    if (rc == OK && count)
        frontier_advance(&slot->batch_frontier, places[count - 1]);
    for (size_t i = 0; rc == OK && i < count; i++)
        rc = timers_release(store, places[i].offset, slot_over, slot, err);
    if (rc != OK)
        return rc;
    for (size_t i = 0; i < count; i++)
        count_released(dispatcher, places[i].due_ms, now_ms);
    *ret_count = count;
    return OK;
}

/* In turns and in equal shares, so that a partition with much to send does not keep the others
 * waiting; and not always the same one first, for a share may be less than one. */
enum rcode release_due(struct dispatcher *dispatcher, struct batch *batch, int64_t now_ms,
                       struct err *err)
{
    size_t left = batch->max, octets = 0, partitions = (size_t)batch->partition_count;
    bool more = partitions > 0;
    dispatcher->turn++;
    while (more && left && octets < RELEASE_OCTETS_MAX) {
        size_t share = left / partitions, max = share < 1 ? 1 : share < CHUNK ? share : CHUNK;
        more = false;
        for (size_t i = 0; left && i < partitions; i++) {
            int32_t partition = batch->partitions[(dispatcher->turn + i) % partitions];
            struct dispatcher_slot *slot = dispatcher_slot(dispatcher, partition);
            size_t count = 0;
            enum rcode rc =
                release_chunk(dispatcher, batch->port, slot, max, now_ms, &count, &octets, err);
            if (rc != OK)
                return slot_at_fault(&slot->slot, batch, rc);
            left -= count;
            batch->added += count;
            more |= count == max;
        }
    }
    return OK;
}

enum rcode release_passed(struct dispatcher *dispatcher, struct dispatcher_slot *slot,
                          bool *ret_done, struct err *err)
{
    struct store *store = slot->slot.store;
    struct timer_place *places = dispatcher->places, after = TIMER_PLACE_FIRST;
    int64_t farthest_ms = slot->frontier.steps[0].reached.due_ms;
    size_t count = CHUNK, passed = 0;
    enum rcode rc = OK;
    while (rc == OK && count == CHUNK && passed < PASSED_MAX) {
        rc = timers_due(store, after, farthest_ms, CHUNK, places, &count, err);
        if (rc == OK && count)
            after = places[count - 1];
        for (size_t i = 0; rc == OK && i < count; i++) {
            if (!frontier_passed(&slot->frontier, places[i]))
                continue;
            rc = timers_release(store, places[i].offset, slot_over, slot, err);
            passed++;
        }
    }
    if (rc == OK)
        *ret_done = count < CHUNK;
    return rc;
}
