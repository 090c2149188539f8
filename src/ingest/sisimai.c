/*
 * What Sisimai prints of bounce mails, in arrays. Its older generation calls members `smtpagent`,
 * `smtpcommand`, `softbounce`, the newer one `decodedby`, `command`, `hardbounce`. Where a mail has
 * no enhanced code, Sisimai makes one up from its reason, x.0.9xx: those are dropped, the text
 * decides. The hints of ingest.h may come in `catch`, from a callback.
 */
#include "domain/status.h"
#include "ingest/json.h"
#include "ingest/reply.h"

#define SYNTHETIC_DETAIL_MIN 900

static struct str status_of(struct ingest *ingest, const json_t *value)
{
    struct str status = ingest_status(&ingest->arena, json_text(value, "deliverystatus"));
    struct status_code code;
    if (status.data && status_parse(status, &code) && code.subject == 0 &&
        code.detail >= SYNTHETIC_DETAIL_MIN)
        return STR_NULL;
    return status;
}

static struct str either(const json_t *value, const char *name, const char *older)
{
    struct str text = json_text(value, name);
    return text.len ? text : json_text(value, older);
}

static enum ingest_skip skip_of(const json_t *value)
{
    struct str reason = json_text(value, "reason"), action = json_text(value, "action");
    if (str_equal(reason, STR("feedback")))
        return INGEST_FEEDBACK;
    if (str_equal(reason, STR("vacation")))
        return INGEST_AUTO_REPLY;
    if (str_equal(action, STR("delayed")))
        return INGEST_DELAYED;
    return INGEST_SKIP_NONE;
}

static void fill_bounce(struct ingest *ingest, const json_t *value, struct found *found)
{
    struct arena *arena = &ingest->arena;
    struct input_record *record = &found->record;
    record->diagnostic = json_text(value, "diagnosticcode");
    record->status = status_of(ingest, value);
    record->reply_code = json_reply_code(value, "replycode");
    record->remote_mta = json_text(value, "rhost");
    record->stage = ingest_stage(either(value, "command", "smtpcommand"));
    reply_complete(arena, record);
    found->attributes[0] = (struct ingest_attribute){"reason", json_text(value, "reason")};
    found->attributes[1] =
        (struct ingest_attribute){"hardbounce", json_any_text(arena, value, "hardbounce")};
    found->attributes[2] =
        (struct ingest_attribute){"softbounce", json_any_text(arena, value, "softbounce")};
    found->attributes[3] =
        (struct ingest_attribute){"decodedby", either(value, "decodedby", "smtpagent")};
}

static void read_record(struct ingest *ingest, const json_t *value)
{
    enum ingest_skip skip = skip_of(value);
    if (!json_at(value, "deliverystatus") && !json_at(value, "reason")) {
        ingest_reject(ingest, E_INVALID_FIELD,
                      "\"deliverystatus\" and \"reason\" are missing: no record of Sisimai");
        return;
    }
    if (skip != INGEST_SKIP_NONE) {
        ingest_skip(ingest, skip, NULL, json_text(value, "reason"));
        return;
    }
    bool delivered = str_equal(json_text(value, "reason"), STR("delivered")) ||
                     str_equal(json_text(value, "action"), STR("delivered"));
    struct found found = {.record.kind = delivered ? RECORD_DELIVERY : RECORD_BOUNCE,
                          .record.recipient = ingest_mailbox(json_text(value, "recipient")),
                          .record.occurred_at_ms = json_time(value, "timestamp"),
                          .record.message_id = json_text(value, "messageid"),
                          .id_parts = {json_text(value, "token")}};
    json_hints(json_at(value, "catch"), &found.record);
    if (!delivered)
        fill_bounce(ingest, value, &found);
    ingest_event(ingest, &found);
}

const struct adapter adapter_sisimai = {.read_json = read_record};
