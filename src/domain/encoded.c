#include "domain/encoded.h"

#include <strings.h>

#define CHARSET_MAX 40 /* octets of a charset's name that are looked at */

/* A MIME encoded word: "=?" charset "?" encoding "?" data "?=". */
struct encoded_word {
    size_t used; /* octets of all of it; 0: it is none */
    char encoding;
    struct str data;
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octet that "=XX" at `at` stands for; -1 if that is not there. */
static int octet_at(struct str text, size_t at)
{
    if (text.len - at < 3)
        return -1;
    int high = hex_digit(text.data[at + 1]), low = hex_digit(text.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

static size_t base64_undo(struct str data, char *ret_text)
{
    unsigned bits = 0;
    int held = 0;
    size_t len = 0;
    for (size_t i = 0; i < data.len; i++) {
        int digit = base64_digit(data.data[i]);
        if (digit < 0)
            break;
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret_text[len++] = (char)(bits >> held & 0xff);
        }
    }
    return len;
}

/* Encoding Q: quoted-printable with "_" for a blank. */
static size_t q_undo(struct str data, char *ret_text)
{
    size_t len = 0;
    for (size_t i = 0; i < data.len; i++) {
        int octet = data.data[i] == '=' ? octet_at(data, i) : -1;
        if (octet >= 0)
            i += 2;
        ret_text[len++] = octet >= 0 ? (char)octet : data.data[i] == '_' ? ' ' : data.data[i];
    }
    return len;
}

static bool is_readable(struct str charset)
{
    static const char *const begins[] = {"utf-8", "us-ascii", "iso-8859-", "windows-125", "latin"};
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (charset.len >= strlen(begins[i]) &&
            strncasecmp(charset.data, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static struct encoded_word word_at(struct str text, size_t at)
{
    struct encoded_word word = {0};
    const char *begin = text.data + at, *end = text.data + text.len;
    if (end - begin < 8 || begin[1] != '?')
        return word;
    size_t looked =
        (size_t)(end - begin - 2) < CHARSET_MAX ? (size_t)(end - begin - 2) : CHARSET_MAX;
    const char *mark = memchr(begin + 2, '?', looked);
    if (!mark || end - mark < 5 || mark[2] != '?' ||
        !is_readable((struct str){begin + 2, (size_t)(mark - begin - 2)}))
        return word;
    const char *data = mark + 3;
    const char *close = memmem(data, (size_t)(end - data), "?=", 2);
    char encoding = ascii_lower(mark[1]);
    if (!close || (encoding != 'q' && encoding != 'b') || memchr(data, ' ', (size_t)(close - data)))
        return word;
    return (struct encoded_word){
        (size_t)(close + 2 - begin), encoding, {data, (size_t)(close - data)}};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Octets of the soft line break at `at`; 0 if there is none. */
static size_t soft_break(struct str text, size_t at)
{
    struct str rest = {text.data + at, text.len - at};
    if (at > 0 && text.data[at - 1] == '=')
        return 0;
    if (rest.len >= 3 && rest.data[1] == '\r' && rest.data[2] == '\n')
        return 3;
    return rest.len >= 2 && rest.data[1] == '\n' ? 2 : 0;
}

/* The octet that a leftover "=XX" at `at` stands for; -1 if it is no leftover. */
static int leftover(struct str text, size_t at, bool in_url)
{
    int octet = octet_at(text, at);
    if (octet == '=' || (octet >= 0x80 && !in_url))
        return octet;
    bool word_ends = at + 3 >= text.len || is_blank(text.data[at + 3]);
    return octet == ' ' && word_ends ? octet : -1;
}

static bool starts_url(struct str text, size_t at)
{
    return text.len - at >= 3 && memcmp(text.data + at, "://", 3) == 0;
}

static size_t skip_blanks(struct str text, size_t at)
{
    while (at < text.len && is_blank(text.data[at]))
        at++;
    return at;
}

size_t encoded_undo(struct str text, char *ret_text)
{
    size_t len = 0, next_word = 0; /* where an encoded word would go on the one before */
    bool in_url = false;
    for (size_t i = 0; i < text.len;) {
        struct encoded_word word = {0};
        if (text.data[i] == '=')
            word = word_at(text, i);
        if (word.used) {
            /* Blanks between two encoded words are not part of the text. */
            while (next_word == i && len > 0 && is_blank(ret_text[len - 1]))
                len--;
            len += word.encoding == 'q' ? q_undo(word.data, ret_text + len)
                                        : base64_undo(word.data, ret_text + len);
            i += word.used;
            next_word = skip_blanks(text, i);
            continue;
        }
        size_t skipped = text.data[i] == '=' ? soft_break(text, i) : 0;
        if (skipped) {
            i += skipped;
            continue;
        }
        in_url = !is_blank(text.data[i]) && (in_url || starts_url(text, i));
        int octet = text.data[i] == '=' ? leftover(text, i, in_url) : -1;
        ret_text[len++] = octet >= 0 ? (char)octet : text.data[i];
        i += octet >= 0 ? 3 : 1;
    }
    return len;
}
