#include "domain/normalise.h"

#include "domain/encoded.h"
#include "domain/letters.h"
#include "domain/reduce.h"
#include "domain/status.h"

#define TYPE_MAX 40           /* octets of a diagnostic type that are looked at */
#define INTRODUCTION_MAX 1024 /* octets before what the remote said */

/* What every line of a multi-line reply begins with (RFC 5321 4.2.1, RFC 2034 4). */
struct prefix {
    char code[3];
    bool coded;        /* there is a reply code */
    bool dash;         /* the first line says that more will follow */
    struct str status; /* empty: none */
};

static bool is_space(char c)
{
    return (unsigned char)c <= 0x20 || c == 0x7f;
}

static bool ends_word(struct str text, size_t at)
{
    return at >= text.len || is_space(text.data[at]);
}

static struct str trim(struct str text)
{
    while (text.len && is_space(text.data[0]))
        text.data++, text.len--;
    while (text.len && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

static struct str behind(struct str text, size_t skipped)
{
    return trim((struct str){text.data + skipped, text.len - skipped});
}

static bool begins_with(struct str text, const char *word)
{
    size_t i = 0;
    while (word[i] && i < text.len && ascii_lower(text.data[i]) == word[i])
        i++;
    return !word[i];
}

/* Octets of a diagnostic type at the start (RFC 3464 2.3.6): "smtp;", "X-Postfix;". */
static size_t type_len(struct str text)
{
    static const char *const types[] = {"x-", "smtp", "lmtp", "esmtp", "dns", "unix", "unknown"};
    size_t len = 0;
    for (size_t i = 0; len == 0 && i < sizeof(types) / sizeof(types[0]); i++)
        len = begins_with(text, types[i]) ? strlen(types[i]) : 0;
    bool open = len == 2; /* x- and any name */
    while (len && len < text.len && len < TYPE_MAX) {
        char c = ascii_lower(text.data[len]);
        if (c == ';')
            return len + 1;
        if (c != ' ' && !(open && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')))
            return 0;
        len++;
    }
    return 0;
}

/* --- introductions --- */

/* Whether `text` ends with a word, in any case, that stands before what a remote said. */
static bool ends_with_said(struct str text)
{
    static const char *const words[] = {
        "said",      "was",   "returned", "reason",  "me",     "command",    "response",
        "responded", "error", "data",     "message", "server", "error_code", "smtp",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);
        if (text.len < len)
            continue;
        struct str word = {text.data + text.len - len, len};
        char before = text.len > len ? ascii_lower(word.data[-1]) : ' ';
        if (begins_with(word, words[i]) && !(before >= 'a' && before <= 'z'))
            return true;
    }
    return false;
}

/* Whether a reply may begin at `at`, judged by what is before it: "said: ", "]: ", "-> ", a quote,
 * a colon at the end of the line before. */
static bool is_introduced(struct str text, size_t at)
{
    bool line_start = false;
    size_t end = at;
    while (end > 0 && is_space(text.data[end - 1]))
        line_start |= text.data[--end] == '\n';
    if (end == 0)
        return false;
    char last = text.data[end - 1];
    if (last == '\'' || last == '"')
        return true;
    if (last == '>') /* "-> " */
        return end > 1 && text.data[end - 2] == '-';
    if (last == '<') /* of a transcript: "<<< " */
        return end > 2 && text.data[end - 2] == '<' && text.data[end - 3] == '<';
    if (last != ':' && last != ';')
        return false;
    struct str before = trim((struct str){text.data, end - 1});
    last = before.len ? before.data[before.len - 1] : ' ';
    return line_start || last == ']' || last == ')' || last == '>' || ends_with_said(before);
}

/* Whether a reply code or a status stands at `at`, as replies begin with. */
static bool is_reply(struct str text, size_t at)
{
    struct str rest = {text.data + at, text.len - at};
    struct status_code code;
    size_t len = 0;
    if (rest.data[0] != '4' && rest.data[0] != '5')
        return false;
    if (reply_find(rest) && rest.len > 3 && memchr(" -,", rest.data[3], 3))
        return rest.data[1] <= '7';
    while (len < rest.len && !is_space(rest.data[len]))
        len++;
    return status_parse((struct str){rest.data, len}, &code) && code.subject <= STATUS_SUBJECT_MAX;
}

/* Whether the reply at `at` is quoted within another server's own: 550-'5.7.1 …' (Cisco), "remote
 * server returned … -> 550 …" (Exchange). */
static bool is_quoted(struct str text, size_t at)
{
    return (text.len - at > 4 && memcmp(text.data + at + 3, "-'", 2) == 0) ||
           (at > 3 && memcmp(text.data + at - 3, "-> ", 3) == 0);
}

/* Whether any reply is quoted at all: most texts are done with here. */
static bool has_quotes(struct str text)
{
    return memmem(text.data, text.len, "-'", 2) || memmem(text.data, text.len, "-> ", 3);
}

/* Octets before what the remote said; 0 if nothing tells that these are no words of its own. */
static size_t introduction_len(struct str text)
{
    bool coded = text.len > 0 && is_reply(text, 0);
    if (text.len > INTRODUCTION_MAX)
        text.len = INTRODUCTION_MAX;
    if (coded && !has_quotes(text))
        return 0;
    for (size_t i = 1; i + 3 < text.len; i++) {
        if (text.data[i] != '4' && text.data[i] != '5')
            continue;
        if (is_reply(text, i) && (is_quoted(text, i) || (!coded && is_introduced(text, i))))
            return i;
    }
    return 0;
}

struct str reply_text(struct str diagnostic, char scratch[RAW_MAX])
{
    struct str text = trim(diagnostic);
    if (text.len > RAW_MAX)
        text.len = RAW_MAX;
    if (!text.len)
        return text;
    if (memchr(text.data, '=', text.len))
        text = (struct str){scratch, encoded_undo(text, scratch)};
    text = behind(text, type_len(text));
    return behind(text, introduction_len(text));
}

/* --- lines --- */

static struct str first_status(struct str text)
{
    struct status_code code;
    size_t len = 0;
    while (len < text.len && !is_space(text.data[len]))
        len++;
    return status_parse((struct str){text.data, len}, &code) ? (struct str){text.data, len}
                                                             : STR_NULL;
}

static struct prefix prefix_of(struct str text)
{
    struct prefix prefix = {.coded = text.len >= 5 && reply_find(text)};
    if (prefix.coded) {
        memcpy(prefix.code, text.data, 3);
        prefix.dash = text.data[3] == '-';
        text = (struct str){text.data + 4, text.len - 4};
    }
    prefix.status = first_status(text);
    return prefix;
}

/* Octets of the status at `at` if it is that of the first line, else 0. */
static size_t repeated_status(const struct prefix *prefix, struct str text, size_t at)
{
    size_t len = prefix->status.len;
    bool repeated = len && text.len - at >= len &&
                    memcmp(text.data + at, prefix->status.data, len) == 0 &&
                    ends_word(text, at + len);
    return repeated ? len : 0;
}

/* Octets of a repeated prefix at `at`, the start of a word; 0 if there is none. */
static size_t repeated_at(const struct prefix *prefix, struct str text, size_t at, bool line_start)
{
    if (!prefix->coded)
        return line_start ? repeated_status(prefix, text, at) : 0;
    if (text.len - at < 3 || memcmp(text.data + at, prefix->code, 3) != 0)
        return line_start ? repeated_status(prefix, text, at) : 0;
    size_t end = at + 3;
    if (end == text.len)
        return line_start ? 3 : 0;
    if (text.data[end] != '-' && !is_space(text.data[end]))
        return 0;
    bool dash = text.data[end] == '-';
    end++;
    size_t status = repeated_status(prefix, text, end);
    if (status)
        return end + status - at;
    return line_start || (dash && prefix->dash) ? end - at : 0;
}

/* A text as it is joined. */
struct joined {
    char *text; /* of NORMALISED_MAX octets */
    size_t len;
    bool space, line_start; /* since the last character: white space, a line feed */
    bool full;
};

static void append(struct joined *joined, const char *octets, size_t len)
{
    if (joined->len + 1 + len > NORMALISED_MAX) {
        joined->full = true;
        return;
    }
    if (joined->space && joined->len)
        joined->text[joined->len++] = ' ';
    joined->space = joined->line_start = false;
    memcpy(joined->text + joined->len, octets, len);
    joined->len += len;
}

/* The characters that need no more than their lower case, from `at` on; returns how many. */
static size_t append_plain(struct joined *joined, struct str text, size_t at)
{
    size_t len = 0, max = joined->len + 1 < NORMALISED_MAX ? NORMALISED_MAX - 1 - joined->len : 0;
    while (at + len < text.len && len < max && text.data[at + len] > 0x20 &&
           text.data[at + len] < 0x7f)
        len++;
    size_t start = joined->len + (joined->space && joined->len);
    if (len == 0)
        return 0;
    append(joined, text.data + at, len);
    for (size_t i = start; i < joined->len; i++)
        joined->text[i] = ascii_lower(joined->text[i]);
    return len;
}

/* The lines joined and the letters folded. */
static size_t join(struct str text, char ret_text[NORMALISED_MAX])
{
    struct prefix prefix = prefix_of(text);
    struct joined joined = {.text = ret_text};
    for (size_t i = 0; i < text.len && !joined.full;) {
        size_t skipped = joined.space ? repeated_at(&prefix, text, i, joined.line_start) : 0;
        if (skipped) {
            joined.line_start = false;
            i += skipped;
            continue;
        }
        size_t plain = append_plain(&joined, text, i);
        if (plain) {
            i += plain;
            continue;
        }
        struct letter letter = letter_fold(text, i);
        i += letter.used;
        if (letter.len == 1 && is_space(letter.octets[0])) {
            joined.space = true;
            joined.line_start |= letter.octets[0] == '\n' || letter.octets[0] == '\r';
        } else if (letter.len) {
            append(&joined, letter.octets, letter.len);
        }
    }
    return joined.len;
}

size_t reply_normalise(struct str text, char ret_text[NORMALISED_MAX])
{
    return text_reduce(ret_text, join(text, ret_text));
}
