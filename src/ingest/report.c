#include "ingest/report.h"

#include <stddef.h>
#include <stdlib.h>

#include "ingest/ingest_internal.h"
#include "ingest/reply.h"

enum field {
    FIELD_ORIGINAL,
    FIELD_FINAL,
    FIELD_ACTUAL,
    FIELD_ACTION,
    FIELD_STATUS,
    FIELD_DIAGNOSTIC,
    FIELD_REMOTE_MTA,
    FIELD_LAST_ATTEMPT,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_ORIGINAL] = "original-recipient",
    [FIELD_FINAL] = "final-recipient",
    [FIELD_ACTUAL] = "x-actual-recipient",
    [FIELD_ACTION] = "action",
    [FIELD_STATUS] = "status",
    [FIELD_DIAGNOSTIC] = "diagnostic-code",
    [FIELD_REMOTE_MTA] = "remote-mta",
    [FIELD_LAST_ATTEMPT] = "last-attempt-date",
};

struct group {
    struct str values[FIELD_COUNT];
    bool gap; /* an empty line has followed */
};

struct reading {
    struct arena *arena;
    struct report_recipient *recipients;
    size_t count, capacity;
    struct group group;
};

/* --- values --- */

/* "\x{1F600}" of an address of type utf-8 (RFC 6533 3) to UTF-8. */
static struct str decode_unicode(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t at = 0; at < text.len;) {
        char *end = NULL;
        unsigned long code = 0;
        if (text.len - at > 4 && memcmp(text.data + at, "\\x{", 3) == 0) {
            char digits[8] = {0};
            size_t left = text.len - at - 3;
            memcpy(digits, text.data + at + 3, left < 7 ? left : 7);
            code = strtoul(digits, &end, 16);
            end = *end == '}' && end != digits && end - digits <= 6 ? end : NULL;
            at += end ? 4 + (size_t)(end - digits) : 0;
        }
        if (!end || code > 0x10ffff || code == 0) {
            if (!end)
                out[len++] = text.data[at++];
            continue;
        }
        if (code < 0x80) {
            out[len++] = (char)code;
        } else if (code < 0x800) {
            out[len++] = (char)(0xc0 | code >> 6);
            out[len++] = (char)(0x80 | (code & 0x3f));
        } else if (code < 0x10000) {
            out[len++] = (char)(0xe0 | code >> 12);
            out[len++] = (char)(0x80 | (code >> 6 & 0x3f));
            out[len++] = (char)(0x80 | (code & 0x3f));
        } else {
            out[len++] = (char)(0xf0 | code >> 18);
            out[len++] = (char)(0x80 | (code >> 12 & 0x3f));
            out[len++] = (char)(0x80 | (code >> 6 & 0x3f));
            out[len++] = (char)(0x80 | (code & 0x3f));
        }
    }
    return (struct str){out, len};
}

/* "rfc822; <a@b>" or "@relay:a@b" to a@b; null for X.400, pipes, names without a domain. */
static struct str address_of(struct arena *arena, struct str value)
{
    bool unicode = ingest_starts_caseless(ingest_trim(value), "utf-8");
    struct str text = ingest_mailbox(reply_untyped(value));
    if (text.len && text.data[0] == '@') {
        const char *colon = memchr(text.data, ':', text.len);
        if (colon)
            text = (struct str){colon + 1, text.len - (size_t)(colon + 1 - text.data)};
    }
    if (unicode)
        text = decode_unicode(arena, text);
    if (!text.len || !memchr(text.data, '@', text.len) || memchr(text.data, ' ', text.len))
        return STR_NULL;
    return text;
}

/* "dns; mx.example.org (192.0.2.1)" to the name; null for an address literal. */
static struct str host_of(struct str value)
{
    struct str text = reply_untyped(value);
    size_t len = 0;
    while (len < text.len && !memchr(" \t(;", text.data[len], 4))
        len++;
    while (len && text.data[len - 1] == '.')
        len--;
    return len && text.data[0] != '[' ? (struct str){text.data, len} : STR_NULL;
}

/* The first word of an action, in lower case. */
static struct str action_of(struct arena *arena, struct str value)
{
    struct str copy = arena_str(arena, ingest_trim(value));
    size_t len = 0;
    while (len < copy.len && ((copy.data[len] | 0x20) >= 'a' && (copy.data[len] | 0x20) <= 'z')) {
        ((char *)copy.data)[len] = ascii_lower(copy.data[len]);
        len++;
    }
    return (struct str){copy.data, len};
}

/* --- groups --- */

static bool has_recipient(const struct group *group)
{
    return group->values[FIELD_ORIGINAL].data || group->values[FIELD_FINAL].data;
}

static void end_group(struct reading *reading)
{
    const struct str *values = reading->group.values;
    bool whole =
        has_recipient(&reading->group) && (values[FIELD_ACTION].data || values[FIELD_STATUS].data);
    if (whole && reading->count <= REPORT_RECIPIENTS_MAX) {
        struct arena *arena = reading->arena;
        if (reading->count == reading->capacity) {
            size_t capacity = reading->capacity ? 4 * reading->capacity : 8;
            struct report_recipient *grown = arena_alloc(arena, capacity * sizeof(*grown));
            if (reading->count)
                memcpy(grown, reading->recipients, reading->count * sizeof(*grown));
            reading->recipients = grown;
            reading->capacity = capacity;
        }
        reading->recipients[reading->count++] = (struct report_recipient){
            .original = address_of(arena, values[FIELD_ORIGINAL]),
            .final = address_of(arena, values[FIELD_FINAL]),
            .actual = address_of(arena, values[FIELD_ACTUAL]),
            .action = action_of(arena, values[FIELD_ACTION]),
            .status = ingest_trim(values[FIELD_STATUS]),
            .diagnostic = reply_untyped(values[FIELD_DIAGNOSTIC]),
            .remote_mta = host_of(values[FIELD_REMOTE_MTA]),
            .last_attempt = ingest_trim(values[FIELD_LAST_ATTEMPT]),
        };
    }
    reading->group = (struct group){0};
}

static void add_field(struct reading *reading, enum field field, struct str value)
{
    struct group *group = &reading->group;
    if (group->values[field].data || (group->gap && has_recipient(group)))
        end_group(reading);
    group->values[field] = value.data ? value : STR("");
    group->gap = false;
}

/* --- lines --- */

/* The field that a line begins, and where its value begins; FIELD_COUNT if it is none of ours. */
static enum field field_of(struct str line, size_t *ret_value)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
        size_t at = strlen(field_names[i]);
        if (!ingest_starts_caseless(line, field_names[i]))
            continue;
        while (at < line.len && (line.data[at] == ' ' || line.data[at] == '\t'))
            at++;
        if (at < line.len && line.data[at] == ':') {
            *ret_value = at + 1;
            return (enum field)i;
        }
    }
    return FIELD_COUNT;
}

/* The line at `*at`, which moves to the next one. */
static struct str take_line(struct str text, size_t *at)
{
    const char *end = memchr(text.data + *at, '\n', text.len - *at);
    size_t len = (end ? (size_t)(end - text.data) : text.len) - *at;
    struct str line = {text.data + *at, len};
    *at += len + (end != NULL);
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static bool is_folded(struct str text, size_t at)
{
    return at < text.len && (text.data[at] == ' ' || text.data[at] == '\t');
}

/* A value and the lines it is folded over. Domino folds in the middle of words. */
static struct str unfold(struct arena *arena, struct str text, struct str first, size_t *at)
{
    if (!is_folded(text, *at))
        return first;
    bool words = !ingest_starts_caseless(ingest_trim(first), "x-notes");
    struct buf value;
    buf_init(&value);
    buf_str(&value, first);
    while (is_folded(text, *at)) {
        struct str line = ingest_trim(take_line(text, at));
        if (!line.len)
            break;
        if (words)
            buf_append(&value, " ", 1);
        buf_str(&value, line);
    }
    struct str copy = arena_str(arena, buf_view(&value));
    buf_deinit(&value);
    return copy;
}

size_t report_read(struct arena *arena, struct str text, struct report_recipient **ret_recipients)
{
    struct reading reading = {.arena = arena};
    for (size_t at = 0; at < text.len;) {
        size_t value_at;
        struct str line = take_line(text, &at);
        enum field field = field_of(line, &value_at);
        if (field != FIELD_COUNT) {
            struct str value = {line.data + value_at, line.len - value_at};
            add_field(&reading, field, unfold(arena, text, value, &at));
        } else if (!ingest_trim(line).len) {
            reading.group.gap = true;
        }
    }
    end_group(&reading);
    *ret_recipients = reading.recipients;
    return reading.count;
}
