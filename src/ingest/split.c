#include "ingest/split.h"

enum {
    BETWEEN, /* values or mails */
    INSIDE,
    SKIPPING /* what belongs to a piece that was too long */
};

void split_init(struct split *split, enum split_kind kind)
{
    *split = (struct split){.kind = kind, .line = 1, .piece_line = 1, .state = BETWEEN};
}

void split_shift(struct split *split)
{
    split->at -= split->done;
    split->offset += (int64_t)split->done;
    split->done = 0;
}

/* The octets from `done` to `end`; what comes next begins there. */
static bool give(struct split *split, struct str window, size_t end, const char *fault,
                 struct split_piece *ret_piece)
{
    *ret_piece = (struct split_piece){
        .octets = {window.data + split->done, end - split->done},
        .line = split->piece_line,
        .offset = split->offset + (int64_t)split->done,
        .fault = fault,
    };
    split->done = end;
    split->at = end;
    split->state = BETWEEN;
    return true;
}

/* --- JSON --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void begin_value(struct split *split)
{
    split->state = INSIDE;
    split->done = split->at;
    split->piece_line = split->line;
    split->depth = 0;
    split->string = split->escape = false;
    split->before = 0;
}

/* Passes blanks, commas and brackets around values. True: a piece, or `state` is INSIDE. */
static bool between_values(struct split *split, struct str window, bool last,
                           struct split_piece *ret_piece)
{
    for (; split->at < window.len; split->at++) {
        char c = window.data[split->at];
        split->line += c == '\n';
        if (is_blank(c) || c == ',' || c == '[') {
            split->arrays += c == '[';
            continue;
        }
        if (c == ']' && split->arrays) {
            split->arrays--;
            continue;
        }
        if (split->offset + (int64_t)split->at < 3 && (c & 0x80)) /* a byte order mark */
            continue;
        begin_value(split);
        return false;
    }
    split->done = split->at;
    if (!last || !split->arrays)
        return false;
    split->arrays = 0;
    split->piece_line = split->line;
    return give(split, window, split->at, "the array does not end: is the file complete?",
                ret_piece);
}

/* Does the line that begins at `at` begin a value of its own, though one is open? */
static bool begins_anew(const struct split *split, struct str window, size_t at)
{
    if (at >= window.len || window.data[at] != '{')
        return false;
    return split->one_line ||
           (split->before != ':' && split->before != ',' && split->before != '[');
}

/* What stands where an object should: the rest of its line. */
static bool no_object(struct split *split, struct str window, bool last,
                      struct split_piece *ret_piece)
{
    for (; split->at < window.len; split->at++)
        if (window.data[split->at] == '\n')
            return give(split, window, split->at, "no JSON object", ret_piece);
    return last && give(split, window, split->at, "no JSON object", ret_piece);
}

/* One octet of an object; true if it is the last one. */
static bool object_octet(struct split *split, char c)
{
    if (split->escape) {
        split->escape = false;
    } else if (split->string) {
        split->escape = c == '\\';
        split->string = c != '"';
    } else if (c == '"') {
        split->string = true;
    } else if (c == '{' || c == '[') {
        split->depth++;
    } else if (c == '}' || c == ']') {
        split->depth--;
    }
    if (!is_blank(c))
        split->before = c;
    return split->depth == 0 && !split->string;
}

static bool inside_value(struct split *split, struct str window, bool last,
                         struct split_piece *ret_piece)
{
    if (window.data[split->done] != '{')
        return no_object(split, window, last, ret_piece);
    for (; split->at < window.len; split->at++) {
        char c = window.data[split->at];
        if (c == '\n') {
            /* What begins the next line must be in sight. */
            if (split->at + 1 == window.len && !last)
                return false;
            if (split->string)
                return give(split, window, split->at, "a string does not end on its line",
                            ret_piece);
            if (begins_anew(split, window, split->at + 1))
                return give(split, window, split->at, "the object does not end", ret_piece);
            split->line++;
        }
        if (object_octet(split, c)) {
            split->at++;
            split->one_line = split->line == split->piece_line;
            return give(split, window, split->at, NULL, ret_piece);
        }
        if (split->at - split->done >= SPLIT_JSON_MAX) {
            give(split, window, split->at, "the object is longer than 4 MiB", ret_piece);
            split->state = SKIPPING;
            return true;
        }
    }
    return last && give(split, window, split->at, "the object does not end", ret_piece);
}

/* To the next line that begins with an object. */
static void skip_value(struct split *split, struct str window, bool last)
{
    for (; split->at < window.len; split->at++) {
        if (window.data[split->at] != '\n')
            continue;
        if (split->at + 1 == window.len && !last)
            break;
        split->line++;
        if (split->at + 1 < window.len && window.data[split->at + 1] == '{') {
            split->at++;
            split->state = BETWEEN;
            break;
        }
    }
    split->done = split->at;
}

static bool next_value(struct split *split, struct str window, bool last,
                       struct split_piece *ret_piece)
{
    if (split->state == SKIPPING)
        skip_value(split, window, last);
    if (split->state == BETWEEN && between_values(split, window, last, ret_piece))
        return true;
    return split->state == INSIDE && inside_value(split, window, last, ret_piece);
}

/* --- mails --- */

/* "From SENDER Thu Apr 29 23:34:45 2015": the line that begins a mail in an mbox has a time. */
static bool is_from_line(struct str line)
{
    if (line.len < 20 || memcmp(line.data, "From ", 5) != 0)
        return false;
    for (size_t i = 7; i + 2 < line.len; i++)
        if (line.data[i] == ':' && line.data[i - 1] >= '0' && line.data[i - 1] <= '9' &&
            line.data[i - 2] >= '0' && line.data[i - 2] <= '9' && line.data[i + 1] >= '0' &&
            line.data[i + 1] <= '5')
            return true;
    return false;
}

/* The line at `at` without its end; false if its end is not in sight. */
static bool line_at(struct str window, size_t at, bool last, struct str *ret_line)
{
    const char *end = memchr(window.data + at, '\n', window.len - at);
    if (!end && !last)
        return false;
    *ret_line =
        (struct str){window.data + at, end ? (size_t)(end - (window.data + at)) : window.len - at};
    return true;
}

static bool begin_mail(struct split *split, struct str window, bool last)
{
    struct str line;
    if (window.len == split->at || !line_at(window, split->at, last, &line))
        return false;
    if (is_from_line(line)) {
        split->mbox = true;
        split->at += line.len + (split->at + line.len < window.len);
        split->line++;
    }
    split->done = split->at;
    split->piece_line = split->line;
    split->state = INSIDE;
    return true;
}

/* A mail of an mbox ends before an empty line that a From line follows. */
static bool inside_mail(struct split *split, struct str window, bool last,
                        struct split_piece *ret_piece)
{
    struct str line;
    while (split->at < window.len && line_at(window, split->at, last, &line)) {
        size_t next = split->at + line.len + 1;
        bool empty = line.len == 0 || (line.len == 1 && line.data[0] == '\r');
        struct str following;
        if (split->mbox && empty && next < window.len) {
            if (!line_at(window, next, last, &following))
                return false;
            if (is_from_line(following)) {
                give(split, window, split->at, NULL, ret_piece);
                split->done = split->at = next;
                split->line++;
                return true;
            }
        }
        if (next >= window.len && !last)
            return false;
        split->at = next < window.len ? next : window.len;
        split->line++;
        if (split->at - split->done > SPLIT_PIECE_MAX) {
            give(split, window, split->done + SPLIT_PIECE_MAX, "the mail is longer than 32 MiB",
                 ret_piece);
            split->state = SKIPPING;
            return true;
        }
    }
    if (!last && window.len - split->done > SPLIT_PIECE_MAX) {
        give(split, window, window.len, "the mail is longer than 32 MiB", ret_piece);
        split->state = SKIPPING;
        return true;
    }
    return last && split->at > split->done && give(split, window, split->at, NULL, ret_piece);
}

/* To the next From line. */
static void skip_mail(struct split *split, struct str window, bool last)
{
    struct str line;
    while (split->at < window.len && line_at(window, split->at, last, &line)) {
        if (split->mbox && is_from_line(line)) {
            split->state = BETWEEN;
            break;
        }
        split->at += line.len + 1;
        split->line++;
    }
    if (split->at > window.len || (split->state == SKIPPING && window.len - split->at > 4096))
        split->at = window.len; /* no From line is that long */
    split->done = split->at;
}

static bool next_mail(struct split *split, struct str window, bool last,
                      struct split_piece *ret_piece)
{
    if (split->state == SKIPPING)
        skip_mail(split, window, last);
    if (split->state == BETWEEN && !begin_mail(split, window, last))
        return false;
    return split->state == INSIDE && inside_mail(split, window, last, ret_piece);
}

bool split_next(struct split *split, struct str window, bool last, struct split_piece *ret_piece)
{
    return split->kind == SPLIT_JSON ? next_value(split, window, last, ret_piece)
                                     : next_mail(split, window, last, ret_piece);
}
