/*
 * Amazon SES: notifications (`notificationType`) and published events (`eventType`), bare, in the
 * envelope of SNS, of EventBridge (`detail`), or in the records that a Lambda function gets. The
 * hints of ingest.h are looked for in the headers of `mail`, if SES is told to include them, and in
 * `mail.tags`.
 */
#include "ingest/ses.h"
#include "ingest/json.h"
#include "ingest/reply.h"

#define ENVELOPES_MAX 3

/* --- bounces --- */

/* Sub-types that say what the reply would; only used where there is no reply. */
static const struct {
    const char *sub_type, *permanent, *transient;
} sub_types[] = {
    {"NoEmail", "5.1.1", "5.1.1"},
    {"MailboxFull", "5.2.2", "4.2.2"},
    {"MessageTooLarge", "5.3.4", "4.3.4"},
    {"ContentRejected", "5.6.0", "4.6.0"},
    {"AttachmentRejected", "5.6.1", "4.6.1"},
};

static struct str status_of_sub_type(const json_t *bounce)
{
    struct str sub_type = json_text(bounce, "bounceSubType");
    bool transient = str_equal(json_text(bounce, "bounceType"), STR("Transient"));
    for (size_t i = 0; i < sizeof(sub_types) / sizeof(sub_types[0]); i++)
        if (str_equal(sub_type, str_of(sub_types[i].sub_type)))
            return str_of(transient ? sub_types[i].transient : sub_types[i].permanent);
    return STR_NULL;
}

static bool is_suppressed(const json_t *bounce)
{
    struct str sub_type = json_text(bounce, "bounceSubType");
    return str_equal(sub_type, STR("Suppressed")) ||
           str_equal(sub_type, STR("OnAccountSuppressionList"));
}

static void fill_message(const json_t *value, struct input_record *record)
{
    record->message_id = json_text(value, "mail.messageId");
    json_hints(json_at(value, "mail.tags"), record);
    json_header_hints(json_at(value, "mail.headers"), record);
}

static void read_bounced(struct ingest *ingest, const json_t *value, const json_t *recipient)
{
    const json_t *bounce = json_at(value, "bounce");
    struct found found = {.record.kind = RECORD_BOUNCE,
                          .record.recipient = ingest_mailbox(json_text(recipient, "emailAddress")),
                          .record.occurred_at_ms = json_time(bounce, "timestamp"),
                          .id_parts = {json_text(bounce, "feedbackId")}};
    struct input_record *record = &found.record;
    fill_message(value, record);
    record->diagnostic = reply_untyped(json_text(recipient, "diagnosticCode"));
    record->status = ingest_status(&ingest->arena, json_text(recipient, "status"));
    reply_complete(&ingest->arena, record);
    if (is_suppressed(bounce)) {
        ingest_skip(ingest, INGEST_SUPPRESSED, NULL, json_text(bounce, "bounceSubType"));
        return;
    }
    if (str_equal(json_text(recipient, "action"), STR("delayed"))) {
        ingest_skip(ingest, INGEST_DELAYED, NULL, STR("delayed"));
        return;
    }
    if (!record->status.data && !record->diagnostic.len)
        record->status = status_of_sub_type(bounce);
    found.attributes[0] = (struct ingest_attribute){"type", json_text(bounce, "bounceType")};
    found.attributes[1] = (struct ingest_attribute){"sub_type", json_text(bounce, "bounceSubType")};
    found.attributes[2] = (struct ingest_attribute){"feedback_id", found.id_parts[0]};
    ingest_event(ingest, &found);
}

static void read_bounce(struct ingest *ingest, const json_t *value)
{
    const json_t *recipients = json_at(value, "bounce.bouncedRecipients"), *recipient;
    size_t i;
    if (!json_array_size(recipients))
        ingest_reject(ingest, E_INVALID_FIELD, "\"bounce.bouncedRecipients\" is missing or empty");
    json_array_foreach(recipients, i, recipient) read_bounced(ingest, value, recipient);
}

/* --- deliveries --- */

static void read_delivery(struct ingest *ingest, const json_t *value)
{
    const json_t *recipients = json_at(value, "delivery.recipients"), *recipient;
    size_t i;
    struct found found = {
        .record.kind = RECORD_DELIVERY,
        .record.occurred_at_ms = json_time(value, "delivery.timestamp"),
        .id_parts = {json_text(value, "mail.messageId"), json_text(value, "delivery.timestamp")}};
    fill_message(value, &found.record);
    found.record.diagnostic = json_text(value, "delivery.smtpResponse");
    reply_accepted(&ingest->arena, &found.record);
    if (!json_array_size(recipients))
        ingest_reject(ingest, E_INVALID_FIELD, "\"delivery.recipients\" is missing or empty");
    json_array_foreach(recipients, i, recipient)
    {
        struct str address = {json_string_value(recipient), json_string_length(recipient)};
        found.record.recipient = ingest_mailbox(address);
        ingest_event(ingest, &found);
    }
}

/* --- envelopes --- */

static void read_notification(struct ingest *ingest, const json_t *value, struct str type)
{
    if (str_equal(type, STR("Bounce")))
        read_bounce(ingest, value);
    else if (str_equal(type, STR("Delivery")))
        read_delivery(ingest, value);
    else if (str_equal(type, STR("DeliveryDelay")))
        ingest_skip(ingest, INGEST_DELAYED, NULL, type);
    else if (str_equal(type, STR("Complaint")))
        ingest_skip(ingest, INGEST_FEEDBACK, NULL, type);
    else
        ingest_skip(ingest, INGEST_OTHER_EVENT, NULL, type);
}

/* What is in an envelope of SNS: JSON in a text, or set free of it ("raw message delivery"). */
static json_t *message_of(struct ingest *ingest, const json_t *value)
{
    const json_t *message = json_at(value, "Message");
    json_error_t error;
    if (json_is_object(message))
        return json_incref((json_t *)message);
    json_t *inner =
        json_loadb(json_string_value(message), json_string_length(message), JSON_ALLOW_NUL, &error);
    if (json_is_object(inner))
        return inner;
    json_decref(inner);
    if (ingest_starts_caseless(ingest_trim(json_text(value, "Message")), "{"))
        ingest_reject(ingest, E_MALFORMED, "\"Message\" is not JSON: %s", error.text);
    else /* so SES tells that a topic works */
        ingest_skip(ingest, INGEST_OTHER_EVENT, NULL, STR("a text"));
    return NULL;
}

/* One notification, in up to ENVELOPES_MAX envelopes. */
static void read_enveloped(struct ingest *ingest, const json_t *value)
{
    json_t *inner = json_incref((json_t *)value);
    for (int i = 0; inner && i <= ENVELOPES_MAX; i++) {
        struct str type = json_text(inner, "notificationType");
        json_t *next = NULL;
        if (!type.data)
            type = json_text(inner, "eventType");
        if (type.data) {
            read_notification(ingest, inner, type);
            json_decref(inner);
            return;
        }
        struct str kind = json_text(inner, "Type");
        if (kind.data && !str_equal(kind, STR("Notification")))
            ingest_skip(ingest, INGEST_OTHER_EVENT, NULL, kind);
        else if (json_at(inner, "Message"))
            next = message_of(ingest, inner);
        else if (json_is_object(json_at(inner, "detail")))
            next = json_incref((json_t *)json_at(inner, "detail"));
        else if (json_is_object(json_at(inner, "Sns")))
            next = json_incref((json_t *)json_at(inner, "Sns"));
        else
            ingest_reject(ingest, E_INVALID_FIELD,
                          "neither \"notificationType\" nor \"eventType\": no notification of SES");
        json_decref(inner);
        inner = next;
    }
    if (inner)
        ingest_reject(ingest, E_INVALID_FIELD, "more than %d envelopes", ENVELOPES_MAX);
    json_decref(inner);
}

void ses_read(struct ingest *ingest, const json_t *value)
{
    const json_t *records = json_at(value, "Records"), *record;
    size_t i;
    if (!json_is_array(records))
        read_enveloped(ingest, value);
    json_array_foreach(records, i, record) read_enveloped(ingest, record);
}

const struct adapter adapter_ses = {.read_json = ses_read};
