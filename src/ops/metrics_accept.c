/* Which of the formats a scraper prefers (RFC 9110 12.5.1). */
#include <stdbool.h>
#include <strings.h>

#include "base/str.h"
#include "ops/metrics.h"

#define QUALITY_MAX 1000 /* thousandths */

/* One of the list of an Accept header. */
struct range {
    struct str type;
    struct str version; /* null: none */
    int quality;
};

static struct str trimmed(struct str text)
{
    while (text.len && (*text.data == ' ' || *text.data == '\t'))
        text = (struct str){text.data + 1, text.len - 1};
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes what comes before the next `separator` off the front. */
static struct str take(struct str *inout_rest, char separator)
{
    const char *end = memchr(inout_rest->data, separator, inout_rest->len);
    size_t len = end ? (size_t)(end - inout_rest->data) : inout_rest->len;
    struct str part = {inout_rest->data, len};
    size_t used = end ? len + 1 : len;
    *inout_rest = (struct str){inout_rest->data + used, inout_rest->len - used};
    return trimmed(part);
}

static bool same(struct str text, const char *other)
{
    return text.len == strlen(other) && strncasecmp(text.data, other, text.len) == 0;
}

/* "1", "0.5", "0.375". */
static int parse_quality(struct str text)
{
    int quality = 0, unit = QUALITY_MAX;
    for (size_t i = 0; i < text.len && unit; i++) {
        if (text.data[i] == '.')
            continue;
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        quality += (text.data[i] - '0') * unit;
        unit /= 10;
    }
    return quality < QUALITY_MAX ? quality : QUALITY_MAX;
}

static struct range parse_range(struct str text)
{
    struct range range = {.type = take(&text, ';'), .quality = QUALITY_MAX};
    while (text.len) {
        struct str value = take(&text, ';');
        struct str name = take(&value, '=');
        if (same(name, "q"))
            range.quality = parse_quality(trimmed(value));
        else if (same(name, "version"))
            range.version = trimmed(value);
    }
    return range;
}

static bool is(const struct range *range, const char *type, const char *version)
{
    return same(range->type, type) && (!range->version.data || same(range->version, version));
}

enum metrics_format metrics_accepted(const char *accept)
{
    struct str rest = str_of(accept);
    int open = 0, text = -1, any = 0;
    while (rest.len) {
        struct range range = parse_range(take(&rest, ','));
        if (is(&range, "application/openmetrics-text", "1.0.0") && range.quality > open)
            open = range.quality;
        else if (is(&range, "text/plain", "0.0.4") && range.quality > text)
            text = range.quality;
        else if ((same(range.type, "*/*") || same(range.type, "text/*")) && range.quality > any)
            any = range.quality;
    }
    return open && open >= (text < 0 ? any : text) ? METRICS_OPENMETRICS : METRICS_TEXT;
}
