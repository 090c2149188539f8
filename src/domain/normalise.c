#include "domain/normalise.h"

#include "base/utf8.h"
#include "domain/status.h"

#define TYPE_MAX 40          /* octets of a diagnostic type that are looked at */
#define INTRODUCTION_MAX 400 /* a host name, an address and the words around them */

/* What every line of a multi-line reply begins with (RFC 5321 4.2.1, RFC 2034 4). */
struct prefix {
    char code[3];
    bool present;
    bool dash;         /* the first line says that more will follow */
    struct str status; /* with the blank before it taken off; empty: none */
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

/* Octets of a diagnostic type at the start (RFC 3464 2.3.6): "smtp;", "X-Postfix;". */
static size_t type_len(struct str text)
{
    for (size_t i = 0; i < text.len && i < TYPE_MAX; i++) {
        char c = ascii_lower(text.data[i]);
        if (c == ';')
            return i ? i + 1 : 0;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == ' '))
            return 0;
    }
    return 0;
}

/* Octets of Postfix's introduction "host NAME[ADDRESS] said: ". */
static size_t introduction_len(struct str text)
{
    static const char said[] = "] said: ";
    size_t max = text.len < INTRODUCTION_MAX ? text.len : INTRODUCTION_MAX;
    if (text.len < 5 || memcmp(text.data, "host ", 5) != 0)
        return 0;
    const char *end = memmem(text.data, max, said, sizeof(said) - 1);
    return end ? (size_t)(end - text.data) + sizeof(said) - 1 : 0;
}

struct str reply_text(struct str diagnostic)
{
    struct str text = trim(diagnostic);
    size_t skip = type_len(text);
    if (skip)
        text = trim((struct str){text.data + skip, text.len - skip});
    skip = introduction_len(text);
    if (skip)
        text = trim((struct str){text.data + skip, text.len - skip});
    return text;
}

static struct prefix prefix_of(struct str text)
{
    struct prefix prefix = {.present = false};
    if (!reply_find(text) || text.len < 5)
        return prefix;
    prefix.present = true;
    memcpy(prefix.code, text.data, 3);
    prefix.dash = text.data[3] == '-';
    struct str rest = {text.data + 4, text.len - 4};
    struct status_code code;
    size_t len = 0;
    while (len < rest.len && !is_space(rest.data[len]))
        len++;
    if (status_parse((struct str){rest.data, len}, &code))
        prefix.status = (struct str){rest.data, len};
    return prefix;
}

/* Octets of a repeated prefix at `at`, the start of a word; 0 if there is none. */
static size_t repeated_at(const struct prefix *prefix, struct str text, size_t at, bool line_start)
{
    if (!prefix->present || text.len - at < 3 || memcmp(text.data + at, prefix->code, 3) != 0)
        return 0;
    size_t end = at + 3;
    if (end == text.len)
        return line_start ? 3 : 0;
    if (text.data[end] != '-' && !is_space(text.data[end]))
        return 0;
    bool dash = text.data[end] == '-';
    end++;
    if (prefix->status.len && text.len - end >= prefix->status.len &&
        memcmp(text.data + end, prefix->status.data, prefix->status.len) == 0 &&
        ends_word(text, end + prefix->status.len))
        return end + prefix->status.len - at;
    return line_start || (dash && prefix->dash) ? end - at : 0;
}

/* Writes what stands for the code point of `len` octets at `p` (0: broken); returns how many
 * octets. */
static size_t put(const char *p, size_t len, char ret_octets[4])
{
    if (len == 0) {
        memcpy(ret_octets, "\xef\xbf\xbd", 3);
        return 3;
    }
    if (len == 1) {
        ret_octets[0] = ascii_lower(*p);
        return 1;
    }
    if (len == 3 && (memcmp(p, "\xe2\x80\x98", 3) == 0 || memcmp(p, "\xe2\x80\x99", 3) == 0)) {
        ret_octets[0] = '\'';
        return 1;
    }
    memcpy(ret_octets, p, len);
    return len;
}

size_t reply_normalise(struct str text, char ret_text[NORMALISED_MAX])
{
    struct prefix prefix = prefix_of(text);
    size_t used = 0;
    bool space = false, line_start = false;
    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_len(text, i);
        bool no_break = len == 2 && memcmp(text.data + i, "\xc2\xa0", 2) == 0;
        if (is_space(text.data[i]) || no_break) {
            line_start = line_start || text.data[i] == '\n' || text.data[i] == '\r';
            space = true;
            i += len;
            continue;
        }
        size_t repeated = space ? repeated_at(&prefix, text, i, line_start) : 0;
        line_start = false;
        if (repeated) {
            i += repeated;
            continue;
        }
        char octets[4];
        size_t count = put(text.data + i, len, octets);
        if (used + count + 1 > NORMALISED_MAX)
            break;
        if (space && used)
            ret_text[used++] = ' ';
        space = false;
        memcpy(ret_text + used, octets, count);
        used += count;
        i += len ? len : 1;
    }
    return used;
}
