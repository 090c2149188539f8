#include "kafka/fetched.h"

#include "base/clock.h"

#define HEADERS_KEPT ((size_t)1024 * 1024)

void offsets_set(struct offsets *offsets, int32_t partition, int64_t value)
{
    if (partition >= offsets->count) {
        int32_t count = (partition / 64 + 1) * 64;
        offsets->values = mem_realloc(offsets->values, (size_t)count * sizeof(offsets->values[0]));
        for (int32_t i = offsets->count; i < count; i++)
            offsets->values[i] = -1;
        offsets->count = count;
    }
    offsets->values[partition] = value;
}

void offsets_clear(struct offsets *offsets)
{
    for (int32_t i = 0; i < offsets->count; i++)
        offsets->values[i] = -1;
}

void offsets_deinit(struct offsets *offsets)
{
    mem_free(offsets->values);
    *offsets = (struct offsets){0};
}

void fetched_release(struct fetched *fetched)
{
    for (size_t i = 0; i < fetched->count; i++)
        rd_kafka_message_destroy(fetched->messages[i]);
    fetched->count = 0;
    fetched->seen = 0;
    arena_reset(&fetched->headers, HEADERS_KEPT);
}

void fetched_deinit(struct fetched *fetched)
{
    fetched_release(fetched);
    arena_deinit(&fetched->headers);
    mem_free(fetched->messages);
    offsets_deinit(&fetched->start);
    offsets_deinit(&fetched->next);
    *fetched = (struct fetched){0};
}

void fetched_assign(struct fetched *fetched, const struct port_position *positions, int count)
{
    offsets_clear(&fetched->start);
    offsets_clear(&fetched->next);
    for (int i = 0; i < count; i++)
        offsets_set(&fetched->start, positions[i].partition, positions[i].offset);
}

/* True if the message is a record to keep. Notes the position and the errors of those that are
 * none. */
static bool is_record(struct fetched *fetched, const rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        fetched->on_error(fetched->context, message);
        return false;
    }
    int64_t start = offsets_get(&fetched->start, message->partition);
    int64_t next = offsets_get(&fetched->next, message->partition);
    if (start < 0 || message->offset < start || message->offset < next)
        return false; /* of an earlier assignment: librdkafka's barrier should have kept it back */
    bool record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    offsets_set(&fetched->next, message->partition, message->offset + record);
    return record;
}

/* Keeps the records among the `taken` messages at the end of the array. */
static size_t sift(struct fetched *fetched, size_t taken)
{
    size_t kept = 0;
    rd_kafka_message_t **messages = fetched->messages + fetched->count;
    for (size_t i = 0; i < taken; i++) {
        if (is_record(fetched, messages[i]))
            messages[kept++] = messages[i];
        else
            rd_kafka_message_destroy(messages[i]);
    }
    fetched->count += kept;
    return kept;
}

static void reserve(struct fetched *fetched, size_t extra)
{
    if (fetched->count + extra <= fetched->capacity)
        return;
    fetched->capacity = fetched->count + extra;
    fetched->messages =
        mem_realloc(fetched->messages, fetched->capacity * sizeof(fetched->messages[0]));
}

/* What is in the queue now. */
static size_t take_queued(struct fetched *fetched, rd_kafka_queue_t *queue, size_t max)
{
    if (!max)
        return 0;
    ssize_t taken = rd_kafka_consume_batch_queue(queue, 0, fetched->messages + fetched->count, max);
    return taken > 0 ? sift(fetched, (size_t)taken) : 0;
}

/*
 * The batch call reads four million records per second, but waits its whole timeout unless the
 * array fills; the single call returns with the first record. So: the batch call never waits, the
 * single one does.
 */
size_t fetched_take(struct fetched *fetched, rd_kafka_queue_t *queue, int timeout_ms, size_t max,
                    const bool *stop)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    fetched->seen = fetched->count;
    reserve(fetched, max);
    size_t kept = take_queued(fetched, queue, max);
    while (kept == 0 && max && !*stop) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            break;
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, (int)left_ms);
        if (!message)
            continue; /* the timeout, or only callbacks were served */
        fetched->messages[fetched->count] = message;
        kept = sift(fetched, 1);
        if (!*stop)
            kept += take_queued(fetched, queue, max - kept);
    }
    return kept;
}

void fetched_drop_last(struct fetched *fetched)
{
    while (fetched->count > fetched->seen)
        rd_kafka_message_destroy(fetched->messages[--fetched->count]);
}

static void fill_headers(struct fetched *fetched, const rd_kafka_message_t *message,
                         struct port_record *record)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    size_t count = rd_kafka_header_cnt(headers);
    struct port_header *all = arena_alloc(&fetched->headers, count * sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t len;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        all[i].name = str_of(name);
        all[i].value = (struct str){value, value ? len : 0};
        record->header_count++;
    }
    record->headers = all;
}

void fetched_records(struct fetched *fetched, struct port_record *ret_records)
{
    for (size_t i = fetched->seen; i < fetched->count; i++) {
        const rd_kafka_message_t *message = fetched->messages[i];
        rd_kafka_timestamp_type_t type;
        struct port_record *record = &ret_records[i - fetched->seen];
        *record = (struct port_record){
            .partition = message->partition,
            .offset = message->offset,
            .timestamp_ms = rd_kafka_message_timestamp(message, &type),
            .key = {message->key, message->key ? message->key_len : 0},
            .value = {message->payload, message->payload ? message->len : 0},
        };
        fill_headers(fetched, message, record);
    }
}
