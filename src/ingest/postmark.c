/*
 * Postmark's webhooks, and the answers of its bounce API ({"Bounces": […]}). The hints of ingest.h
 * are looked for in `Metadata`, whose names have at most 20 octets.
 */
#include "ingest/json.h"
#include "ingest/reply.h"

/* Types that are no failure of a delivery; all others are bounces. */
static const struct {
    const char *type;
    int32_t code;
    enum ingest_skip skip;
} no_bounces[] = {
    {"Transient", 2, INGEST_DELAYED}, /* "message delayed" */
    {"Unsubscribe", 16, INGEST_FEEDBACK},
    {"Subscribe", 32, INGEST_FEEDBACK},
    {"AutoResponder", 64, INGEST_AUTO_REPLY},
    {"AddressChange", 128, INGEST_AUTO_REPLY},
    {"OpenRelayTest", 1024, INGEST_OTHER_EVENT},
    {"ChallengeVerification", 16384, INGEST_AUTO_REPLY},
    {"SpamComplaint", 100001, INGEST_FEEDBACK},
    {"ManuallyDeactivated", 100002, INGEST_SUPPRESSED},
    {"Unconfirmed", 100003, INGEST_SUPPRESSED},
    {"SMTPApiError", 100007, INGEST_OTHER_EVENT},
    {"InboundError", 100008, INGEST_OTHER_EVENT},
    {"TemplateRenderingFailed", 100010, INGEST_OTHER_EVENT},
};

static enum ingest_skip skip_of_bounce(const json_t *value)
{
    struct str type = json_text(value, "Type");
    int32_t code;
    bool coded = json_int(value, "TypeCode", &code);
    for (size_t i = 0; i < sizeof(no_bounces) / sizeof(no_bounces[0]); i++)
        if (type.data ? ingest_equal_caseless(type, str_of(no_bounces[i].type))
                      : coded && code == no_bounces[i].code)
            return no_bounces[i].skip;
    return INGEST_SKIP_NONE;
}

static void read_bounce(struct ingest *ingest, const json_t *value)
{
    struct arena *arena = &ingest->arena;
    enum ingest_skip skip = skip_of_bounce(value);
    if (skip != INGEST_SKIP_NONE) {
        ingest_skip(ingest, skip, NULL, json_text(value, "Type"));
        return;
    }
    struct found found = {.record.kind = RECORD_BOUNCE,
                          .record.recipient = ingest_mailbox(json_text(value, "Email")),
                          .record.occurred_at_ms = json_time(value, "BouncedAt"),
                          .record.message_id = json_text(value, "MessageID"),
                          .id_parts = {json_any_text(arena, value, "ID")}};
    struct input_record *record = &found.record;
    record->diagnostic = reply_untyped(json_text(value, "Details"));
    if (!record->diagnostic.len)
        record->diagnostic = json_text(value, "Description");
    json_hints(json_at(value, "Metadata"), record);
    reply_complete(arena, record);
    found.attributes[0] = (struct ingest_attribute){"type", json_text(value, "Type")};
    found.attributes[1] = (struct ingest_attribute){"id", found.id_parts[0]};
    found.attributes[2] = (struct ingest_attribute){"stream", json_text(value, "MessageStream")};
    ingest_event(ingest, &found);
}

static void read_delivery(struct ingest *ingest, const json_t *value)
{
    struct found found = {
        .record.kind = RECORD_DELIVERY,
        .record.recipient = ingest_mailbox(json_text(value, "Recipient")),
        .record.occurred_at_ms = json_time(value, "DeliveredAt"),
        .record.message_id = json_text(value, "MessageID"),
        .id_parts = {json_text(value, "MessageID"), json_text(value, "DeliveredAt")}};
    json_hints(json_at(value, "Metadata"), &found.record);
    found.record.diagnostic = reply_untyped(json_text(value, "Details"));
    reply_accepted(&ingest->arena, &found.record);
    ingest_event(ingest, &found);
}

static void read_record(struct ingest *ingest, const json_t *value)
{
    struct str kind = json_text(value, "RecordType");
    const json_t *bounces = json_at(value, "Bounces"), *bounce;
    size_t i;
    if (json_is_array(bounces)) {
        json_array_foreach(bounces, i, bounce) read_bounce(ingest, bounce);
    } else if (str_equal(kind, STR("Bounce")) || (!kind.data && json_at(value, "BouncedAt"))) {
        read_bounce(ingest, value);
    } else if (str_equal(kind, STR("Delivery"))) {
        read_delivery(ingest, value);
    } else if (str_equal(kind, STR("SpamComplaint")) ||
               str_equal(kind, STR("SubscriptionChange"))) {
        ingest_skip(ingest, INGEST_FEEDBACK, NULL, kind);
    } else if (kind.data) {
        ingest_skip(ingest, INGEST_OTHER_EVENT, NULL, kind);
    } else {
        ingest_reject(ingest, E_INVALID_FIELD, "\"RecordType\" is missing: no record of Postmark");
    }
}

const struct adapter adapter_postmark = {.read_json = read_record};
