#include "stream/outbox.h"

#include "base/hash.h"
#include "base/log.h"

#define SEND_WAIT_MS 5
#define SEND_MS_MAX 120000 /* as every step of a transaction (stream/transaction.c) */
#define DEAD_LETTER_HEADERS 6

enum rcode outbox_send(struct port *port, const struct port_message *message, struct err *err)
{
    const struct port_ops *ops = port->ops;
    int64_t deadline = -1;
    for (;;) {
        enum rcode rc = ops->send(port, message, err);
        if (rc == OK)
            port->sent[message->topic]++;
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        int64_t now = ops->monotonic_ms(port);
        if (deadline < 0)
            deadline = now + SEND_MS_MAX;
        if (now > deadline)
            return E_LOG_UNKNOWN_OUTCOME;
        ops->wait(port, SEND_WAIT_MS);
    }
}

void outbox_copy_headers(const struct port_record *cause, struct arena *arena,
                         struct port_message *message)
{
    static const struct str ours = STR("rimbalzo-");
    if (!cause->header_count)
        return;
    struct port_header *headers =
        arena_alloc(arena, (size_t)cause->header_count * sizeof(*headers));
    message->header_count = 0;
    for (int i = 0; i < cause->header_count; i++) {
        struct str name = cause->headers[i].name;
        if (name.len < ours.len || memcmp(name.data, ours.data, ours.len) != 0)
            headers[message->header_count++] = cause->headers[i];
    }
    message->headers = headers;
}

static struct str decimal(struct arena *arena, int64_t number)
{
    return arena_printf(arena, "%lld", (long long)number);
}

enum rcode outbox_dead_letter(struct port *port, const struct dead_letters *dead_letters,
                              const struct port_record *record, const struct err *why,
                              struct arena *arena, struct err *err)
{
    if (!port->replays)
        log_warn(rcode_name(why->code), why->text, LOG_S("topic", dead_letters->input),
                 LOG_I("partition", record->partition), LOG_I("offset", record->offset),
                 LOG_A("key", record->key));
    size_t count = (size_t)record->header_count + DEAD_LETTER_HEADERS;
    struct port_header *headers = arena_alloc(arena, count * sizeof(*headers));
    for (int i = 0; i < record->header_count; i++)
        headers[i] = record->headers[i];
    struct port_header *added = headers + record->header_count;
    added[0] = (struct port_header){STR("rimbalzo-reason"), str_of(rcode_name(why->code))};
    added[1] = (struct port_header){STR("rimbalzo-text"), arena_str(arena, str_of(why->text))};
    added[2] = (struct port_header){STR("rimbalzo-topic"), str_of(dead_letters->input)};
    added[3] = (struct port_header){STR("rimbalzo-partition"), decimal(arena, record->partition)};
    added[4] = (struct port_header){STR("rimbalzo-offset"), decimal(arena, record->offset)};
    added[5] =
        (struct port_header){STR("rimbalzo-timestamp"), decimal(arena, record->timestamp_ms)};
    struct port_message message = {
        .topic = TOPIC_DEAD_LETTERS,
        .partition = record->key.data ? hash_partition(record->key, dead_letters->partition_count)
                                      : record->partition % dead_letters->partition_count,
        .key = record->key,
        .value = record->value,
        .headers = headers,
        .header_count = (int)count,
    };
    return outbox_send(port, &message, err);
}
