/*
 * KumoMTA's log records, one JSON object each (docs.kumomta.com, "Log Record"). Configure its
 * logger to write the hints of ingest.h, as `headers` or as `meta`.
 */
#include "ingest/json.h"
#include "ingest/reply.h"

enum kind { BOUNCE, DELIVERY, SKIP };

static const struct {
    const char *type;
    enum kind kind;
    enum ingest_skip skip;
} types[] = {
    {"Bounce", BOUNCE, INGEST_SKIP_NONE},
    {"Expiration", BOUNCE, INGEST_SKIP_NONE},
    {"OOB", BOUNCE, INGEST_SKIP_NONE}, /* a report that came by mail */
    {"Delivery", DELIVERY, INGEST_SKIP_NONE},
    {"TransientFailure", SKIP, INGEST_DELAYED},
    {"Delayed", SKIP, INGEST_DELAYED},
    {"Delay", SKIP, INGEST_DELAYED},
    {"AdminBounce", SKIP, INGEST_ADMINISTRATIVE},
    {"Feedback", SKIP, INGEST_FEEDBACK},
};

/* Any other type, Reception, Rejection, AdminRebind …, is about no delivery to a recipient. */
static enum kind kind_of(struct str type, enum ingest_skip *ret_skip)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (str_equal(type, str_of(types[i].type))) {
            *ret_skip = types[i].skip;
            return types[i].kind;
        }
    *ret_skip = INGEST_OTHER_EVENT;
    return SKIP;
}

static struct str status_of(struct ingest *ingest, const json_t *value)
{
    int32_t cls, subject, detail;
    const json_t *code = json_at(value, "response.enhanced_code");
    if (!json_int(code, "class", &cls) || !json_int(code, "subject", &subject) ||
        !json_int(code, "detail", &detail))
        return STR_NULL;
    struct str text = arena_printf(&ingest->arena, "%d.%d.%d", cls, subject, detail);
    return ingest_status(&ingest->arena, text);
}

/* The reply as it was on the wire: the record has it in pieces. */
static struct str diagnostic_of(struct ingest *ingest, const json_t *value, int32_t code,
                                struct str status)
{
    struct str content = json_text(value, "response.content");
    if (!content.data)
        return STR_NULL;
    if (!code)
        return content;
    return arena_printf(&ingest->arena, "%d %.*s%s%.*s", code, STR_ARG(status),
                        status.data ? " " : "", STR_ARG(content));
}

static struct str without_final_dot(struct str name)
{
    if (name.len && name.data[name.len - 1] == '.')
        name.len--;
    return name;
}

static void fill_reply(struct ingest *ingest, const json_t *value, struct found *found)
{
    struct input_record *record = &found->record;
    record->reply_code = json_reply_code(value, "response.code");
    record->status = status_of(ingest, value);
    record->diagnostic = diagnostic_of(ingest, value, record->reply_code, record->status);
    record->stage = ingest_stage(json_text(value, "response.command"));
    record->remote_mta = without_final_dot(json_text(value, "peer_address.name"));
    if (record->kind == RECORD_BOUNCE)
        reply_complete(&ingest->arena, record);
    found->attributes[0] = (struct ingest_attribute){"type", json_text(value, "type")};
    found->attributes[1] = (struct ingest_attribute){"id", json_text(value, "id")};
    found->attributes[2] = (struct ingest_attribute){"queue", json_text(value, "queue")};
    found->attributes[3] =
        (struct ingest_attribute){"classification", json_text(value, "bounce_classification")};
}

/* A record has no id of its own; these members tell it from all others. */
static void fill_id(struct ingest *ingest, const json_t *value, struct found *found)
{
    struct arena *arena = &ingest->arena;
    found->id_parts[0] = json_text(value, "id");
    if (!found->id_parts[0].data)
        return;
    found->id_parts[1] = json_text(value, "nodeid");
    found->id_parts[2] = json_text(value, "type");
    found->id_parts[3] = json_any_text(arena, value, "num_attempts");
    found->id_parts[4] = json_any_text(arena, value, "event_time");
    if (!found->id_parts[4].data)
        found->id_parts[4] = json_any_text(arena, value, "timestamp");
}

static void add_recipient(struct ingest *ingest, struct found *found, const json_t *recipient)
{
    if (!json_is_string(recipient)) {
        ingest_reject(ingest, E_INVALID_FIELD, "\"recipient\" is no text");
        return;
    }
    found->record.recipient =
        (struct str){json_string_value(recipient), json_string_length(recipient)};
    ingest_event(ingest, found);
}

static void read_record(struct ingest *ingest, const json_t *value)
{
    struct str type = json_text(value, "type");
    const json_t *recipients = json_at(value, "recipient"), *recipient;
    enum ingest_skip skip;
    size_t i;
    if (!type.data) {
        ingest_reject(ingest, E_INVALID_FIELD, "\"type\" is missing: no log record of KumoMTA");
        return;
    }
    enum kind kind = kind_of(type, &skip);
    if (kind == SKIP) {
        ingest_skip(ingest, skip, NULL, type);
        return;
    }
    struct found found = {.record.kind = kind == BOUNCE ? RECORD_BOUNCE : RECORD_DELIVERY};
    found.record.occurred_at_ms = json_time(value, "event_time");
    if (found.record.occurred_at_ms == TIME_NULL)
        found.record.occurred_at_ms = json_time(value, "timestamp");
    found.record.message_id = json_text(value, "id");
    json_hints(json_at(value, "meta"), &found.record);
    json_header_hints(json_at(value, "headers"), &found.record);
    fill_id(ingest, value, &found);
    fill_reply(ingest, value, &found);
    if (!json_is_array(recipients))
        add_recipient(ingest, &found, recipients);
    else if (!json_array_size(recipients))
        ingest_reject(ingest, E_INVALID_FIELD, "\"recipient\" is an empty list");
    json_array_foreach(recipients, i, recipient) add_recipient(ingest, &found, recipient);
}

const struct adapter adapter_kumomta = {.read_json = read_record};
