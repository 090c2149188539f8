/*
 * Mailgun's webhooks ({"signature", "event-data"}), and the answers of its events API ({"items":
 * […]}). The hints of ingest.h are looked for in `user-variables`.
 */
#include "ingest/json.h"
#include "ingest/reply.h"

#define CODE_NO_MX 498 /* Mailgun's own: there is no server that could have replied */
#define CODE_PREVIOUSLY_BOUNCED 605
#define CODE_PREVIOUSLY_UNSUBSCRIBED 606
#define CODE_PREVIOUSLY_COMPLAINED 607

static const struct {
    const char *event;
    enum ingest_skip skip;
} no_failures[] = {
    {"rejected", INGEST_ADMINISTRATIVE}, /* by Mailgun, before any attempt */
    {"complained", INGEST_FEEDBACK},
    {"unsubscribed", INGEST_FEEDBACK},
};

static bool is_suppressed(const json_t *event)
{
    int32_t code = 0;
    (void)json_int(event, "delivery-status.code", &code);
    return ingest_starts_caseless(json_text(event, "reason"), "suppress-") ||
           code == CODE_PREVIOUSLY_BOUNCED || code == CODE_PREVIOUSLY_UNSUBSCRIBED ||
           code == CODE_PREVIOUSLY_COMPLAINED;
}

static enum ingest_skip skip_of(const json_t *event, struct str name)
{
    for (size_t i = 0; i < sizeof(no_failures) / sizeof(no_failures[0]); i++)
        if (str_equal(name, str_of(no_failures[i].event)))
            return no_failures[i].skip;
    if (!str_equal(name, STR("failed")))
        return INGEST_OTHER_EVENT;
    if (is_suppressed(event))
        return INGEST_SUPPRESSED;
    return str_equal(json_text(event, "severity"), STR("temporary")) ? INGEST_DELAYED
                                                                     : INGEST_SKIP_NONE;
}

static struct str diagnostic_of(const json_t *event)
{
    struct str text = json_text(event, "delivery-status.message");
    return text.len ? text : json_text(event, "delivery-status.description");
}

static void fill_reply(struct ingest *ingest, const json_t *event, struct found *found)
{
    struct input_record *record = &found->record;
    const json_t *status = json_at(event, "delivery-status");
    record->diagnostic = diagnostic_of(event);
    record->reply_code = json_reply_code(status, "code");
    if (record->reply_code == CODE_NO_MX)
        record->reply_code = 0;
    record->status = ingest_status(&ingest->arena, json_text(status, "enhanced-code"));
    record->remote_mta = json_text(status, "mx-host");
    if (record->kind == RECORD_BOUNCE)
        reply_complete(&ingest->arena, record);
    found->attributes[0] = (struct ingest_attribute){"reason", json_text(event, "reason")};
    found->attributes[1] = (struct ingest_attribute){"id", json_text(event, "id")};
}

static void read_one(struct ingest *ingest, const json_t *event)
{
    struct arena *arena = &ingest->arena;
    struct str name = json_text(event, "event");
    bool delivered = str_equal(name, STR("delivered"));
    enum ingest_skip skip = skip_of(event, name);
    if (!name.data) {
        ingest_reject(ingest, E_INVALID_FIELD, "\"event\" is missing: no event of Mailgun");
        return;
    }
    if (!delivered && skip != INGEST_SKIP_NONE) {
        ingest_skip(ingest, skip, NULL, name);
        return;
    }
    struct found found = {.record.kind = delivered ? RECORD_DELIVERY : RECORD_BOUNCE,
                          .record.recipient = ingest_mailbox(json_text(event, "recipient")),
                          .record.occurred_at_ms = json_time(event, "timestamp"),
                          .record.message_id = json_text(event, "message.headers.message-id")};
    found.id_parts[0] = json_text(event, "id");
    /* An id is unique within a day only. */
    if (found.id_parts[0].data)
        found.id_parts[1] = json_any_text(arena, event, "timestamp");
    json_hints(json_at(event, "user-variables"), &found.record);
    fill_reply(ingest, event, &found);
    ingest_event(ingest, &found);
}

static void read_event(struct ingest *ingest, const json_t *value)
{
    const json_t *items = json_at(value, "items"), *data = json_at(value, "event-data"), *item;
    size_t i;
    if (json_is_array(items)) {
        json_array_foreach(items, i, item) read_one(ingest, item);
    } else {
        read_one(ingest, data ? data : value);
    }
}

const struct adapter adapter_mailgun = {.read_json = read_event};
