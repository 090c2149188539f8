#include "ingest/address.h"

#include <string.h>

#include "base/limits.h"

#define PART_MAX (2 * DOMAIN_MAX) /* octets on either side of an '@' that are looked at */

static bool is_alnum(char c)
{
    char lower = ascii_lower(c);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || (c & 0x80);
}

/* Of unquoted local parts, but '/' and '|': those are rather a path's or a pipe's. */
static bool is_local_char(char c)
{
    return is_alnum(c) || (c && strchr(".!#$%&'*+-=?^_`{}~", c));
}

static bool is_domain_char(char c)
{
    return is_alnum(c) || c == '-' || c == '.' || c == '_';
}

/* Octets of the local part that ends before `at`, the place of an '@'. */
static size_t local_len(struct str text, size_t at)
{
    size_t begin = at, least = at > PART_MAX ? at - PART_MAX : 0;
    if (at && text.data[at - 1] == '"') {
        for (begin = at - 1; begin > least; begin--)
            if (text.data[begin - 1] == '"' && (begin < 2 || text.data[begin - 2] != '\\'))
                return at - begin + 1;
        return 0;
    }
    while (begin > least && is_local_char(text.data[begin - 1]))
        begin--;
    /* Quotes and marks of the text around it. */
    while (begin < at && strchr("'.*-=|`", text.data[begin]) && text.data[begin])
        begin++;
    return at - begin;
}

/* Octets of the domain that begins at `at`; 0 if there is none with a dot in it. */
static size_t domain_len(struct str text, size_t at)
{
    size_t end = at;
    while (end < text.len && end - at < PART_MAX && is_domain_char(text.data[end]))
        end++;
    while (end > at && strchr(".-_", text.data[end - 1]) && text.data[end - 1])
        end--;
    return memchr(text.data + at, '.', end - at) && text.data[at] != '.' ? end - at : 0;
}

/* The whole of "<…@…>" around the '@' at `at`; what is in it may have forms of its own. */
static bool bracketed(struct str text, size_t at, size_t *ret_begin, size_t *ret_end)
{
    size_t begin = at, end = at;
    while (begin && at - begin < PART_MAX && text.data[begin - 1] &&
           !strchr("<> \t\n", text.data[begin - 1]))
        begin--;
    while (end < text.len && end - at < PART_MAX && text.data[end] &&
           !strchr("<> \t\n", text.data[end]))
        end++;
    if (!begin || text.data[begin - 1] != '<' || end == text.len || text.data[end] != '>' ||
        begin == at || end == at + 1)
        return false;
    *ret_begin = begin - 1;
    *ret_end = end + 1;
    return true;
}

bool address_in_text(struct str text, struct str *ret_address, size_t *ret_begin, size_t *ret_end)
{
    for (size_t at = 1; at + 1 < text.len; at++) {
        size_t begin, end;
        if (text.data[at] != '@')
            continue;
        if (bracketed(text, at, &begin, &end)) {
            struct str inner = {text.data + begin + 1, end - begin - 2};
            if (inner.len > 7 && strncasecmp(inner.data, "mailto:", 7) == 0)
                inner.data += 7, inner.len -= 7;
            *ret_address = inner;
        } else {
            size_t before = local_len(text, at), after = domain_len(text, at + 1);
            if (!before || !after)
                continue;
            begin = at - before;
            end = at + 1 + after;
            *ret_address = (struct str){text.data + begin, end - begin};
        }
        *ret_begin = begin;
        *ret_end = end;
        return true;
    }
    return false;
}
