#include <string.h>

#include "base/utf8.h"
#include "domain/status.h"
#include "ingest/ingest_internal.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool is_blank(char c)
{
    return (unsigned char)c <= 0x20;
}

struct str ingest_trim(struct str text)
{
    while (text.len && is_blank(text.data[0]))
        text.data++, text.len--;
    while (text.len && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

struct str ingest_utf8(struct arena *arena, struct str text, size_t max)
{
    if (!text.data)
        return text;
    size_t len = 0, size = text.len < max ? text.len : max;
    /* Each octet may become the three of U+FFFD. */
    char *copy = arena_alloc(arena, 3 * size + 1);
    for (size_t at = 0; at < text.len;) {
        size_t step = utf8_len(text, at);
        bool broken = step == 0 || text.data[at] == '\0';
        size_t put = broken ? sizeof(REPLACEMENT) - 1 : step;
        if (len + put > max)
            break;
        memcpy(copy + len, broken ? REPLACEMENT : text.data + at, put);
        len += put;
        at += step ? step : 1;
    }
    copy[len] = '\0';
    return (struct str){copy, len};
}

struct str ingest_mailbox(struct str text)
{
    const char *open = text.data ? memrchr(text.data, '<', text.len) : NULL;
    const char *close = text.data ? memrchr(text.data, '>', text.len) : NULL;
    if (open && close && close > open)
        text = (struct str){open + 1, (size_t)(close - open - 1)};
    return ingest_trim(text);
}

bool ingest_equal_caseless(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

bool ingest_starts_caseless(struct str text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && strncasecmp(text.data, prefix, len) == 0;
}

const char *ingest_find_caseless(struct str text, const char *needle)
{
    size_t len = strlen(needle);
    for (size_t i = 0; i + len <= text.len; i++)
        if (ascii_lower(text.data[i]) == needle[0] && strncasecmp(text.data + i, needle, len) == 0)
            return text.data + i;
    return NULL;
}

bool ingest_number(struct str text, int32_t *ret_number)
{
    int32_t number = 0;
    text = ingest_trim(text);
    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = 10 * number + (text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

struct str ingest_stage(struct str command)
{
    static const struct {
        const char *prefix, *stage;
    } stages[] = {
        {"conn", "connect"}, {"banner", "connect"}, {"greeting", "connect"},  {"ehlo", "ehlo"},
        {"helo", "ehlo"},    {"lhlo", "ehlo"},      {"starttls", "starttls"}, {"auth", "auth"},
        {"mail", "mail"},    {"rcpt", "rcpt"},      {"data", "data"},         {"bdat", "data"},
        {"text", "data"},    {".", "data"},
    };
    command = ingest_trim(command);
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
        if (ingest_starts_caseless(command, stages[i].prefix))
            return str_of(stages[i].stage);
    return STR_NULL;
}

struct str ingest_status(struct arena *arena, struct str text)
{
    struct status_code code;
    size_t len = 0;
    text = ingest_trim(text);
    while (len < text.len &&
           (text.data[len] == '.' || (text.data[len] >= '0' && text.data[len] <= '9')))
        len++;
    if (!status_parse((struct str){text.data, len}, &code))
        return STR_NULL;
    return arena_printf(arena, "%d.%d.%d", code.cls, code.subject, code.detail);
}
