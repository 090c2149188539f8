#include "ingest/ingest_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "codec/wire.h"
#include "domain/address.h"
#include "domain/id.h"
#include "ingest/split.h"

#define DIAGNOSTIC_MAX 8192 /* octets; the classifier looks at the first 4096 */
#define TEXT_MAX 1024       /* of other fields that come from outside and have no bound of ours */
#define STAGE_MAX 32
#define CONTAINERS_MAX 65536 /* objects and lists of one JSON value */
#define ARENA_KEEP ((size_t)4 * 1024 * 1024)

const char *const ingest_format_names[INGEST_FORMAT_COUNT] = {
#define X(constant, string) [constant] = string,
    INGEST_FORMATS(X)
#undef X
};

const char *const ingest_skip_names[INGEST_SKIP_COUNT] = {
#define X(constant, string) [constant] = string,
    INGEST_SKIPS(X)
#undef X
};
const char *const ingest_outcome_names[INGEST_OUTCOME_COUNT] = {
#define X(constant, string) [constant] = string,
    INGEST_OUTCOMES(X)
#undef X
};

static const struct adapter *const adapters[INGEST_FORMAT_COUNT] = {
    [INGEST_DSN] = &adapter_dsn,           [INGEST_KUMOMTA] = &adapter_kumomta,
    [INGEST_SES] = &adapter_ses,           [INGEST_SENDGRID] = &adapter_sendgrid,
    [INGEST_POSTMARK] = &adapter_postmark, [INGEST_MAILGUN] = &adapter_mailgun,
    [INGEST_SISIMAI] = &adapter_sisimai,
};

/* --- life --- */

struct ingest *ingest_new(const struct ingest_options *options)
{
    struct ingest *ingest = mem_zalloc(sizeof(*ingest));
    ingest->options = *options;
    if (!ingest->options.tenant.data)
        ingest->options.tenant = STR("");
    ingest->adapter = adapters[options->format];
    arena_init(&ingest->arena);
    return ingest;
}

void ingest_free(struct ingest *ingest)
{
    if (!ingest)
        return;
    arena_deinit(&ingest->arena);
    mem_free(ingest->entries);
    mem_free(ingest);
}

bool ingest_is_json(enum ingest_format format)
{
    return adapters[format]->read_json != NULL;
}

/* --- entries --- */

static struct ingest_entry *add_entry(struct ingest *ingest, enum ingest_outcome outcome)
{
    if (ingest->count == ingest->capacity) {
        ingest->capacity = ingest->capacity ? 2 * ingest->capacity : 16;
        ingest->entries =
            mem_realloc(ingest->entries, ingest->capacity * sizeof(ingest->entries[0]));
    }
    struct ingest_entry *entry = &ingest->entries[ingest->count++];
    *entry = (struct ingest_entry){.outcome = outcome, .octets = ingest->octets};
    return entry;
}

void ingest_skip(struct ingest *ingest, enum ingest_skip skip, const struct input_record *record,
                 struct str why)
{
    struct ingest_entry *entry = add_entry(ingest, INGEST_SKIPPED);
    struct arena *arena = &ingest->arena;
    entry->skip = skip;
    entry->why = ingest_utf8(arena, why, TEXT_MAX);
    if (!record)
        return;
    entry->record.kind = record->kind;
    entry->record.recipient = ingest_utf8(arena, record->recipient, TEXT_MAX);
    entry->record.status = ingest_utf8(arena, record->status, STATUS_FIELD_MAX);
    entry->record.reply_code = record->reply_code;
    entry->record.diagnostic = ingest_utf8(arena, record->diagnostic, DIAGNOSTIC_MAX);
    entry->record.remote_mta = ingest_utf8(arena, record->remote_mta, TEXT_MAX);
    entry->record.stage = ingest_utf8(arena, record->stage, STAGE_MAX);
}

void ingest_reject(struct ingest *ingest, enum rcode code, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct ingest_entry *entry = add_entry(ingest, INGEST_REJECTED);
    entry->code = code;
    entry->why = ingest_utf8(&ingest->arena, str_of(text), sizeof(text));
}

/* --- events --- */

/* Null bytes end texts in other programs, so they do not get into ours. */
static struct str clean(struct arena *arena, struct str text, size_t max)
{
    return ingest_utf8(arena, ingest_trim(text), max);
}

static struct str clean_or_null(struct arena *arena, struct str text, size_t max)
{
    struct str cleaned = clean(arena, text, max);
    return cleaned.len ? cleaned : STR_NULL;
}

struct str ingest_octets_id(struct ingest *ingest)
{
    static const struct identity nobody = {{"", 0}, {"", 0}};
    if (!ingest->octets_id.data) {
        struct uuid_text id = id_output("ingest item", nobody, 0, 0, ingest->octets);
        ingest->octets_id = arena_str(&ingest->arena, uuid_str(&id));
    }
    return ingest->octets_id;
}

/* The event's parts as netstrings, each unmistakable. A source that gave it no id is told from
 * others by all that it says. */
static struct uuid_text event_id(struct ingest *ingest, const struct found *found,
                                 struct str recipient)
{
    const char *kind = found->record.kind == RECORD_DELIVERY ? "ingest delivery" : "ingest bounce";
    struct identity who = {ingest->options.tenant, recipient};
    struct buf name;
    buf_init(&name);
    buf_printf(&name, "%s,", ingest_format_names[ingest->options.format]);
    for (int i = 0; i < INGEST_ID_PARTS; i++) {
        struct str part = found->id_parts[i];
        if (i == 0 && !part.len)
            part = ingest_octets_id(ingest);
        buf_printf(&name, "%zu:", part.len);
        buf_append(&name, part.data, part.len);
        buf_append(&name, ",", 1);
    }
    struct uuid_text id = id_output(kind, who, 0, 0, buf_view(&name));
    buf_deinit(&name);
    return id;
}

/* The body of an Avro map (codec/record.h); null if there is nothing to say. */
static struct str attributes(struct arena *arena, const struct found *found)
{
    struct str values[INGEST_ATTRIBUTES];
    size_t size = 1 + WIRE_LONG_MAX;
    int count = 0;
    for (int i = 0; i < INGEST_ATTRIBUTES; i++) {
        values[i] = clean_or_null(arena, found->attributes[i].value, TEXT_MAX);
        if (!values[i].data)
            continue;
        size += 2 * (size_t)WIRE_LONG_MAX + strlen(found->attributes[i].name) + values[i].len;
        count++;
    }
    if (!count)
        return STR_NULL;
    unsigned char *body = arena_alloc(arena, size), *end = wire_put_long(body, count);
    for (int i = 0; i < INGEST_ATTRIBUTES; i++) {
        if (!values[i].data)
            continue;
        end = wire_put_str(end, str_of(found->attributes[i].name));
        end = wire_put_str(end, values[i]);
    }
    *end++ = 0;
    return (struct str){(const char *)body, (size_t)(end - body)};
}

static int64_t event_time(const struct ingest *ingest, int64_t occurred_at_ms)
{
    bool possible = occurred_at_ms >= TIME_MIN_MS && occurred_at_ms <= TIME_MAX_MS;
    return possible ? occurred_at_ms : ingest->received_ms;
}

/* False, with a rejected entry, if the recipient cannot be one. */
static bool recipient_of(struct ingest *ingest, struct str text, struct str *ret_recipient,
                         struct str *ret_canonical)
{
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    struct err err;
    struct str recipient = ingest_trim(text);
    if (address_canonical(recipient, ingest->options.local_part_preserve, canonical, &len, &err) !=
        OK) {
        ingest_reject(ingest, E_INVALID_RECIPIENT, "recipient \"%.*s\": %s",
                      (int)(recipient.len < 320 ? recipient.len : 320),
                      recipient.data ? recipient.data : "", err.text);
        return false;
    }
    *ret_recipient = arena_str(&ingest->arena, recipient);
    *ret_canonical = arena_str(&ingest->arena, (struct str){canonical, len});
    return true;
}

static void other_fields(struct ingest *ingest, const struct found *found,
                         struct input_record *record)
{
    struct arena *arena = &ingest->arena;
    const struct input_record *from = &found->record;
    record->status = clean_or_null(arena, from->status, STATUS_FIELD_MAX);
    record->reply_code = from->reply_code;
    record->diagnostic = clean_or_null(arena, from->diagnostic, DIAGNOSTIC_MAX);
    record->remote_mta = clean_or_null(arena, from->remote_mta, TEXT_MAX);
    record->stage = clean_or_null(arena, from->stage, STAGE_MAX);
    record->message_attempt = from->message_attempt < 0 ? 0 : from->message_attempt;
    record->attributes = attributes(arena, found);
}

void ingest_event(struct ingest *ingest, const struct found *found)
{
    struct arena *arena = &ingest->arena;
    bool delivery = found->record.kind == RECORD_DELIVERY;
    struct str recipient, canonical;
    if (!recipient_of(ingest, found->record.recipient, &recipient, &canonical))
        return;
    struct ingest_entry *entry = add_entry(ingest, delivery ? INGEST_DELIVERY : INGEST_BOUNCE);
    struct input_record *record = &entry->record;
    struct uuid_text id = event_id(ingest, found, recipient);
    entry->canonical = canonical;
    record->kind = found->record.kind;
    record->event_id = arena_str(arena, uuid_str(&id));
    record->tenant = ingest->options.tenant;
    record->recipient = recipient;
    record->message_id = clean(arena, found->record.message_id, TEXT_FIELD_MAX);
    if (!record->message_id.data)
        record->message_id = STR("");
    record->occurred_at_ms = event_time(ingest, found->record.occurred_at_ms);
    record->retry_of = clean_or_null(arena, found->record.retry_of, TEXT_FIELD_MAX);
    record->source = str_of(ingest_format_names[ingest->options.format]);
    /* The record of a delivery has no place for most of these; they are there to be shown. */
    other_fields(ingest, found, record);
}

/* --- items --- */

static void begin_octets(struct ingest *ingest, struct str octets)
{
    ingest->octets = octets;
    ingest->octets_id = STR_NULL;
}

/* jansson takes more than half a kilobyte for an object without members. */
static bool is_bounded(struct str value)
{
    size_t count = 0;
    for (size_t i = 0; i < value.len; i++)
        count += value.data[i] == '{' || value.data[i] == '[';
    return count <= CONTAINERS_MAX;
}

static void read_value(struct ingest *ingest, const struct split_piece *piece)
{
    json_error_t error;
    json_t *value = NULL;
    size_t before = ingest->count;
    begin_octets(ingest, piece->octets);
    if (piece->fault || !is_bounded(piece->octets)) {
        ingest_reject(ingest, E_MALFORMED, "%s",
                      piece->fault ? piece->fault : "more objects and lists than any event has");
        return;
    }
    value = json_loadb(piece->octets.data, piece->octets.len, JSON_ALLOW_NUL, &error);
    if (!value)
        ingest_reject(ingest, E_MALFORMED, "not JSON: octet %d: %s", error.position, error.text);
    else if (!json_is_object(value))
        ingest_reject(ingest, E_MALFORMED, "a JSON value that is no object");
    else
        ingest->adapter->read_json(ingest, value);
    if (ingest->count == before)
        ingest_skip(ingest, INGEST_EMPTY, NULL, STR_NULL);
    /* Spans into the value have been copied by ingest_event and the others. */
    json_decref(value);
}

static void read_values(struct ingest *ingest, struct str octets)
{
    struct split split;
    struct split_piece piece;
    split_init(&split, SPLIT_JSON);
    while (split_next(&split, octets, true, &piece))
        read_value(ingest, &piece);
}

void ingest_read(struct ingest *ingest, const struct ingest_item *item,
                 struct ingest_result *ret_result)
{
    arena_reset(&ingest->arena, ARENA_KEEP);
    ingest->count = 0;
    ingest->received_ms = item->received_ms;
    begin_octets(ingest, item->octets);
    if (item->octets.len > SPLIT_PIECE_MAX)
        ingest_reject(ingest, E_MALFORMED, "longer than %zu octets", SPLIT_PIECE_MAX);
    else if (ingest->adapter->read_json)
        read_values(ingest, item->octets);
    else
        ingest->adapter->read_mail(ingest, item->octets);
    ingest->octets = item->octets;
    if (!ingest->count)
        ingest_skip(ingest, INGEST_EMPTY, NULL, STR_NULL);
    assert(ingest->count > 0);
    *ret_result = (struct ingest_result){ingest->entries, ingest->count};
}
