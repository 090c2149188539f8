/*
 * SendGrid's event webhook: objects with `event`, in arrays. Custom arguments (unique_args,
 * custom_args) stand beside the other members; the hints of ingest.h are looked for there.
 */
#include "ingest/json.h"
#include "ingest/reply.h"

enum kind { BOUNCE, DELIVERY, SKIP };

static const struct {
    const char *event;
    enum kind kind;
    enum ingest_skip skip;
} events[] = {
    {"bounce", BOUNCE, INGEST_SKIP_NONE}, /* its type "blocked" too: the message is given up */
    {"blocked", BOUNCE, INGEST_SKIP_NONE},        {"delivered", DELIVERY, INGEST_SKIP_NONE},
    {"deferred", SKIP, INGEST_DELAYED},           {"dropped", SKIP, INGEST_SUPPRESSED},
    {"spamreport", SKIP, INGEST_FEEDBACK},        {"unsubscribe", SKIP, INGEST_FEEDBACK},
    {"group_unsubscribe", SKIP, INGEST_FEEDBACK},
};

static enum kind kind_of(struct str event, enum ingest_skip *ret_skip)
{
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (ingest_equal_caseless(event, str_of(events[i].event))) {
            *ret_skip = events[i].skip;
            return events[i].kind;
        }
    *ret_skip = INGEST_OTHER_EVENT;
    return SKIP;
}

/* What the sender was told: the part of sg_message_id before the first dot is the X-Message-Id of
 * the answer to its request. */
static struct str message_id_of(const json_t *value)
{
    struct str id = json_text(value, "sg_message_id");
    const char *dot = id.data ? memchr(id.data, '.', id.len) : NULL;
    if (!id.len)
        return json_text(value, "smtp-id");
    return dot ? (struct str){id.data, (size_t)(dot - id.data)} : id;
}

static void fill_bounce(struct ingest *ingest, const json_t *value, struct found *found)
{
    struct input_record *record = &found->record;
    record->diagnostic = json_text(value, "reason");
    if (!record->diagnostic.len)
        record->diagnostic = json_text(value, "response");
    record->status = ingest_status(&ingest->arena, json_text(value, "status"));
    reply_complete(&ingest->arena, record);
    found->attributes[0] = (struct ingest_attribute){"type", json_text(value, "type")};
    found->attributes[1] =
        (struct ingest_attribute){"classification", json_text(value, "bounce_classification")};
    found->attributes[2] = (struct ingest_attribute){"event", json_text(value, "sg_event_id")};
}

static void fill_delivery(struct ingest *ingest, const json_t *value, struct input_record *record)
{
    record->diagnostic = json_text(value, "response");
    reply_accepted(&ingest->arena, record);
}

static void read_event(struct ingest *ingest, const json_t *value)
{
    struct str event = json_text(value, "event");
    enum ingest_skip skip;
    if (!event.data) {
        ingest_reject(ingest, E_INVALID_FIELD, "\"event\" is missing: no event of SendGrid");
        return;
    }
    enum kind kind = kind_of(event, &skip);
    if (kind == SKIP) {
        ingest_skip(ingest, skip, NULL, event);
        return;
    }
    struct found found = {.record.kind = kind == BOUNCE ? RECORD_BOUNCE : RECORD_DELIVERY,
                          .record.recipient = ingest_mailbox(json_text(value, "email")),
                          .record.occurred_at_ms = json_time(value, "timestamp"),
                          .record.message_id = message_id_of(value),
                          .id_parts = {json_text(value, "sg_event_id")}};
    json_hints(json_at(value, "unique_args"), &found.record);
    json_hints(json_at(value, "custom_args"), &found.record);
    json_hints(value, &found.record);
    if (kind == BOUNCE)
        fill_bounce(ingest, value, &found);
    else
        fill_delivery(ingest, value, &found.record);
    ingest_event(ingest, &found);
}

const struct adapter adapter_sendgrid = {.read_json = read_event};
