#include "ingest/notice_lines.h"

#include <string.h>

#include "domain/status.h"
#include "ingest/address.h"
#include "ingest/ingest_internal.h"
#include "ingest/notice.h"

static const char bullets[] = " \t*->|\"'(+#~=";

/* --- lines --- */

static struct str without_end(struct str line)
{
    while (line.len && strchr(" \t\r", line.data[line.len - 1]) && line.data[line.len - 1])
        line.len--;
    return line;
}

void lines_split(struct arena *arena, struct str text, size_t max, struct lines *ret_lines)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len && count < max; i++)
        count += text.data[i] == '\n';
    *ret_lines = (struct lines){arena_alloc(arena, count * sizeof(struct str)), 0};
    for (size_t at = 0; at < text.len && ret_lines->count < count;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = (end ? (size_t)(end - text.data) : text.len) - at;
        ret_lines->items[ret_lines->count++] = without_end((struct str){text.data + at, len});
        at += len + 1;
    }
}

bool line_is_empty(struct str line)
{
    return ingest_trim(line).len == 0;
}

/* "----- Transcript of session follows -----" */
static bool is_heading(struct str line)
{
    line = ingest_trim(line);
    return line.len > 6 && memcmp(line.data, "---", 3) == 0 &&
           memcmp(line.data + line.len - 3, "---", 3) == 0;
}

bool line_is_rule(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!line.data[i] || !strchr(" \t-=_*|~", line.data[i]))
            return false;
    return true;
}

struct str line_undecorated(struct str line)
{
    while (line.len && line.data[0] && (strchr(bullets, line.data[0]) || line.data[0] == ':'))
        line.data++, line.len--;
    return without_end(line);
}

struct str line_unbulleted(struct str line)
{
    bool bullet = ingest_starts_caseless(line, "-- ") || ingest_starts_caseless(line, "* ");
    return bullet ? line_undecorated(line) : line;
}

size_t lines_find(const struct lines *lines, size_t at, const char *words)
{
    while (at < lines->count && !ingest_find_caseless(lines->items[at], words))
        at++;
    return at;
}

struct str lines_join(struct arena *arena, const struct lines *lines, struct str head, size_t first,
                      size_t end, size_t max)
{
    size_t size = head.len + 1;
    for (size_t i = first; i < end && size < max; i++)
        size += lines->items[i].len + 1;
    char *text = arena_alloc(arena, size);
    size_t len = 0;
    for (size_t i = first; i <= end && len < max; i++) {
        struct str part = ingest_trim(i == first ? head : lines->items[i - 1]);
        if (!part.len || len + part.len + 1 > size)
            continue;
        if (len)
            text[len++] = '\n';
        memcpy(text + len, part.data, part.len);
        len += part.len;
    }
    return (struct str){text, len};
}

static size_t fold_line(struct str line, char *text, size_t len)
{
    for (size_t at = 0; at <= line.len; at++) {
        char c = at < line.len ? line.data[at] : ' ';
        bool blank = (unsigned char)c <= 0x20;
        if (!blank || (len && text[len - 1] != ' '))
            text[len++] = blank ? ' ' : ascii_lower(c);
    }
    return len;
}

struct str lines_fold(struct arena *arena, const struct lines *lines, struct str first,
                      struct str second)
{
    size_t size = first.len + second.len + 2, len = 0;
    for (size_t i = 0; i < lines->count; i++)
        size += lines->items[i].len + 1;
    char *text = arena_alloc(arena, size);
    len = fold_line(first, text, len);
    len = fold_line(second, text, len);
    for (size_t i = 0; i < lines->count; i++)
        len = fold_line(lines->items[i], text, len);
    return (struct str){text, len};
}

struct str lines_said(struct arena *arena, const struct lines *lines, size_t max)
{
    struct str address, rest;
    struct lines words = {arena_alloc(arena, (lines->count + 1) * sizeof(struct str)), 0};
    for (size_t i = 0; i < lines->count; i++)
        if (!line_is_rule(lines->items[i]) && !is_heading(lines->items[i]) &&
            !(line_leading(lines->items[i], &address, &rest) && !rest.len))
            words.items[words.count++] = lines->items[i];
    return lines_join(arena, &words, STR_NULL, 0, words.count, max);
}

/* --- the returned message --- */

/* A mail's own words end where the fields of a report begin that has lost its MIME structure. */
static bool is_report_line(struct str line)
{
    return ingest_starts_caseless(line, "Reporting-MTA:") ||
           ingest_starts_caseless(line, "Content-Type: message/delivery-status");
}

/* Fields that a mail's header begins with, at the start of a line. */
static bool is_header_line(struct str line)
{
    static const char *const names[] = {
        "Received:", "Return-Path:",  "DKIM-Signature:",       "X-Received:",         "Message-ID:",
        "ARC-Seal:", "Delivered-To:", "X-Google-Smtp-Source:", "DomainKey-Signature:"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (ingest_starts_caseless(line, names[i]))
            return true;
    return false;
}

/* "----- Original message -----": the words at the start, behind rules. */
static bool is_returned_cue(struct str line)
{
    struct str words = line_undecorated(line);
    for (int i = 0; notice_returned_cues[i]; i++)
        if (ingest_starts_caseless(words, notice_returned_cues[i]))
            return true;
    return false;
}

/* "Original message" alone also begins sentences. It counts if it says that something follows, or
 * if the next words are a header's. */
static bool begins_returned(const struct lines *lines, size_t at)
{
    struct str line = lines->items[at];
    if (is_header_line(line) || is_report_line(line) ||
        ingest_find_caseless(line, "original message follow") ||
        ingest_find_caseless(line, "of the message follow") ||
        (ingest_starts_caseless(line, "---") && ingest_find_caseless(line, "message follow")))
        return true;
    if (!is_returned_cue(line))
        return false;
    if (is_heading(line) || ingest_find_caseless(line, "follow") ||
        ingest_find_caseless(line, "copy of"))
        return true;
    for (size_t i = at + 1; i < lines->count && i < at + 6; i++)
        if (!line_is_rule(lines->items[i]))
            return memchr(lines->items[i].data, ':', lines->items[i].len) != NULL;
    return true;
}

/* The header that begins at line `first`, to the empty line behind it; what is folded keeps its
 * blank. */
static struct str header_block(struct arena *arena, const struct lines *lines, size_t first)
{
    size_t last = first, size = 0, len = 0;
    for (; last < lines->count && !line_is_empty(lines->items[last]); last++)
        size += lines->items[last].len + 1;
    char *text = arena_alloc(arena, size + 1);
    for (size_t i = first; i < last; i++) {
        memcpy(text + len, lines->items[i].data, lines->items[i].len);
        len += lines->items[i].len;
        text[len++] = '\n';
    }
    return (struct str){text, len};
}

struct str lines_cut(struct arena *arena, struct lines *lines)
{
    size_t at = 0;
    while (at < lines->count && !begins_returned(lines, at))
        at++;
    if (at == lines->count)
        return STR_NULL;
    size_t first = at;
    bool report = is_report_line(lines->items[at]);
    while (first < lines->count && !is_header_line(lines->items[first]) &&
           (report || first == at || line_is_rule(lines->items[first])))
        first++;
    struct str header = header_block(arena, lines, first);
    lines->count = at;
    return header;
}

/* --- quoting --- */

struct str notice_unquote(struct arena *arena, struct str text)
{
    size_t quoted = 0, plain = 0, len = 0;
    bool start = true;
    for (size_t i = 0; i < text.len; i++) {
        if (start && text.data[i] != '\n' && text.data[i] != '\r')
            *(text.data[i] == '>' ? &quoted : &plain) += 1;
        start = text.data[i] == '\n';
    }
    if (quoted <= plain)
        return text;
    char *out = arena_alloc(arena, text.len + 1);
    start = true;
    for (size_t i = 0; i < text.len; i++) {
        if (start && text.data[i] == '>') {
            i += i + 1 < text.len && text.data[i + 1] == ' ';
            start = false;
            continue;
        }
        out[len++] = text.data[i];
        start = text.data[i] == '\n';
    }
    return (struct str){out, len};
}

/* --- recipients --- */

static bool only_bullets(struct str line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!line.data[i] || !strchr(bullets, line.data[i]))
            return false;
    return true;
}

static bool begins_with(struct str text, char c)
{
    return text.len && text.data[0] == c;
}

/* Behind a recipient: a second form of the same, "(expanded from …)", marks; then what is said. */
static struct str rest_of(struct str line, size_t at)
{
    struct str rest = {line.data + at, line.len - at}, address;
    size_t begin, end;
    for (bool again = true; again;) {
        again = false;
        while (rest.len && rest.data[0] && strchr(" \t\":,;.'", rest.data[0]))
            rest.data++, rest.len--;
        /* "a@b (a@b)<mailto:a@b>" */
        bool same = address_in_text(rest, &address, &begin, &end) && begin <= 1 &&
                    (begins_with(rest, '<') || begins_with(rest, '('));
        if (same) {
            end += begins_with(rest, '(') && end < rest.len && rest.data[end] == ')';
            rest.data += end, rest.len -= end;
            again = true;
        } else if (ingest_starts_caseless(rest, "(expanded from")) {
            const char *close = memchr(rest.data, ')', rest.len);
            size_t skip = close ? (size_t)(close - rest.data) + 1 : rest.len;
            rest.data += skip, rest.len -= skip;
            again = true;
        }
    }
    rest = ingest_trim(rest);
    /* "a@b on Thu, 29 Apr 2010 18:14:35 +0200" says when, not why; "a@b ------" ends a heading. */
    if ((ingest_starts_caseless(rest, "on ") && memchr(rest.data, ':', rest.len)) ||
        line_is_rule(rest))
        return STR("");
    /* "(reason: …)", "[User unknown]" */
    bool enclosed = rest.len > 2 && ((rest.data[0] == '(' && rest.data[rest.len - 1] == ')') ||
                                     (rest.data[0] == '[' && rest.data[rest.len - 1] == ']'));
    return enclosed ? ingest_trim((struct str){rest.data + 1, rest.len - 2}) : rest;
}

bool line_angled(struct str line, struct str *ret_address, struct str *ret_rest)
{
    struct str address;
    size_t begin, end;
    if (!begins_with(line, '<') || !address_in_text(line, &address, &begin, &end) || begin != 0)
        return false;
    /* "<a@b>:", "<a@b> (expanded from <c@d>):", or nothing behind it. */
    struct str behind = ingest_trim((struct str){line.data + end, line.len - end});
    if (behind.len && !begins_with(behind, ':') && !begins_with(behind, '('))
        return false;
    *ret_address = address;
    *ret_rest = rest_of(line, end);
    return true;
}

bool line_leading(struct str line, struct str *ret_address, struct str *ret_rest)
{
    struct str address, parent = ingest_trim(line);
    size_t begin, end;
    /* Exim, below a pipe or a file */
    if (ingest_starts_caseless(parent, "generated by "))
        line = (struct str){parent.data + 13, parent.len - 13};
    if (!address_in_text(line, &address, &begin, &end) || !only_bullets(line, begin))
        return false;
    /* "a@b <c@d>": the first one is a name. */
    struct str behind = ingest_trim((struct str){line.data + end, line.len - end});
    size_t again_begin, again_end;
    struct str again;
    if (line.data[begin] != '<' && begins_with(behind, '<') &&
        !ingest_starts_caseless(behind, "<mailto:") &&
        address_in_text(behind, &again, &again_begin, &again_end) && again_begin == 0)
        address = again;
    *ret_address = address;
    *ret_rest = rest_of(line, end);
    return true;
}

/* The words before an address that tell the reader whom to ask, or who sent what. */
static bool is_advice(struct str line)
{
    static const char *const words[] = {"contact", "please", "help",     "further",    "from:",
                                        "reply",   "sender", "subject:", "message-id:"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (ingest_find_caseless(line, words[i]))
            return true;
    return false;
}

bool line_within(struct str line, struct str *ret_address, struct str *ret_rest)
{
    struct str address;
    size_t begin, end;
    if (!address_in_text(line, &address, &begin, &end) || is_advice((struct str){line.data, begin}))
        return false;
    for (int i = 0; notice_recipient_words[i]; i++)
        if (ingest_find_caseless(line, notice_recipient_words[i])) {
            *ret_address = address;
            *ret_rest = ingest_trim(line);
            return true;
        }
    return false;
}

bool line_field(struct str line, struct str *ret_address, struct str *ret_rest)
{
    size_t begin, end;
    *ret_rest = STR("");
    line = ingest_trim(line);
    return (ingest_starts_caseless(line, "to:") || ingest_starts_caseless(line, "recipient")) &&
           address_in_text(line, ret_address, &begin, &end);
}

/* "554 5.1.1 <a@b>... User unknown", "<a@b>... Deferred: …": the whole line is what is said. */
bool line_coded(struct str line, struct str *ret_address, struct str *ret_rest)
{
    struct str text = ingest_trim(line), address;
    size_t begin, end, digits = 0;
    while (digits < text.len && (strchr("0123456789. ", text.data[digits]) && text.data[digits]))
        digits++;
    if (!address_in_text(text, &address, &begin, &end) || begin != digits || text.len - end < 3 ||
        memcmp(text.data + end, "...", 3) != 0)
        return false;
    /* "554 <a@b>... 550 Host unknown": Sendmail's own code, then the one it was given. */
    struct str behind = ingest_trim((struct str){text.data + end + 3, text.len - end - 3});
    *ret_address = address;
    *ret_rest = reply_find(behind) ? behind : text;
    return true;
}

enum line_speaker line_speaker(struct str line, struct str *ret_said)
{
    static const struct {
        const char *mark;
        enum line_speaker speaker;
    } marks[] = {
        {"sent >>>", LINE_CLIENT},     {"received <<<", LINE_SERVER}, {"sent <<<", LINE_CLIENT},
        {"received >>>", LINE_SERVER}, {">>>", LINE_CLIENT},          {"<<<", LINE_SERVER},
        {"in:", LINE_CLIENT},          {"out:", LINE_SERVER},         {"-->", LINE_CLIENT},
        {"<--", LINE_SERVER},          {"c:", LINE_CLIENT},           {"s:", LINE_SERVER},
    };
    struct str text = ingest_trim(line);
    /* MDaemon puts a time in front. */
    const char *arrow = ingest_find_caseless(text, "] --> ");
    arrow = arrow ? arrow : ingest_find_caseless(text, "] <-- ");
    if (arrow)
        text = (struct str){arrow + 2, text.len - (size_t)(arrow + 2 - text.data)};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (ingest_starts_caseless(text, marks[i].mark)) {
            size_t len = strlen(marks[i].mark);
            *ret_said = ingest_trim((struct str){text.data + len, text.len - len});
            return marks[i].speaker;
        }
    return LINE_NOBODY;
}
