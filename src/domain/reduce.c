#include "domain/reduce.h"

#include "domain/status.h"

#define CODE_DIGITS_MAX 6 /* of a short code: letters, then digits */
#define CODE_LETTERS_MAX 8
#define CODE_SHORT_MAX 4 /* digits, then letters: "4xx", "24h" */
#define CODE_MIXED_MAX 7 /* letters, digits, letters: "ib603b" */
#define TOP_LEVEL_MAX 6  /* letters of a last label; longer ones are words */

/* The text as far as it has been written; it never gets ahead of what is read. */
struct output {
    char *text;
    size_t len;
    size_t zero_end;            /* behind the last 0 */
    size_t code_end;            /* behind the last number from 400 on */
    size_t mixed_at, mixed_end; /* the last short code */
};

struct atom {
    size_t letters, digits, turns; /* changes between the two */
    bool digit_first;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c & 0x80);
}

static bool is_atom(char c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

static bool is_name(char c)
{
    return is_atom(c) || c == '.' || c == '-';
}

static bool is_address(char c)
{
    return is_name(c) || (c && memchr("+=%&/!#$*?^{}|~'", c, 16));
}

static void put(struct output *out, const char *text, size_t len)
{
    memmove(out->text + out->len, text, len);
    out->len += len;
}

/* Whether only joints, one or two, have been written since `end`. */
static bool is_joined(const struct output *out, size_t end)
{
    if (end == 0 || out->len == end || out->len - end > 2)
        return false;
    for (size_t i = end; i < out->len; i++)
        if (!memchr(".-:/+=", out->text[i], 6))
            return false;
    return true;
}

static void put_zero(struct output *out)
{
    if (is_joined(out, out->zero_end)) {
        out->len = out->zero_end;
        return;
    }
    if (is_joined(out, out->mixed_end))
        out->len = out->mixed_at;
    out->text[out->len++] = '0';
    out->zero_end = out->len;
}

static struct atom measure(struct str text)
{
    struct atom atom = {.digit_first = is_digit(text.data[0])};
    int last = 0;
    for (size_t i = 0; i < text.len; i++) {
        int kind = is_digit(text.data[i]) ? 1 : text.data[i] == '_' ? 0 : 2;
        atom.digits += kind == 1;
        atom.letters += kind == 2;
        atom.turns += last && kind && kind != last;
        last = kind ? kind : last;
    }
    return atom;
}

static bool is_short_code(const struct atom *atom)
{
    size_t len = atom->letters + atom->digits;
    if (atom->digit_first)
        return atom->turns == 1 && len <= CODE_SHORT_MAX;
    if (atom->turns == 2)
        return len <= CODE_MIXED_MAX;
    return atom->turns == 1 && atom->digits <= CODE_DIGITS_MAX && atom->letters <= CODE_LETTERS_MAX;
}

/* Numbers that tell something: reply codes, and what a provider adds to one ("554 30"). */
static bool is_telling(const struct output *out, struct str digits)
{
    if (digits.len == 3)
        return digits.data[0] == '4' || digits.data[0] == '5';
    return digits.len < 3 && out->code_end && out->len == out->code_end + 1;
}

static void put_atom(struct output *out, struct str text)
{
    struct atom atom = measure(text);
    if (atom.digits == 0) {
        put(out, text.data, text.len);
        return;
    }
    bool telling = atom.letters ? is_short_code(&atom) : is_telling(out, text);
    if (!telling || is_joined(out, out->zero_end)) {
        put_zero(out);
        return;
    }
    size_t at = out->len;
    put(out, text.data, text.len);
    if (atom.letters) {
        out->mixed_at = at;
        out->mixed_end = out->len;
    } else if (text.len == 3) {
        out->code_end = out->len;
    }
}

/* Atoms, with what stands between them. */
static void put_atoms(struct output *out, struct str text)
{
    for (size_t i = 0, end; i < text.len; i = end) {
        end = i;
        while (end < text.len && is_atom(text.data[end]))
            end++;
        if (end > i)
            put_atom(out, (struct str){text.data + i, end - i});
        else
            put(out, text.data + end++, 1);
    }
}

static bool is_generic(struct str label)
{
    static const char *const generic[] = {"com", "net", "org", "edu", "gov", "info", "biz"};
    for (size_t i = 0; i < sizeof(generic) / sizeof(generic[0]); i++)
        if (str_equal(label, str_of(generic[i])))
            return true;
    return false;
}

/* A host's name and no sentence without blanks ("unknown.please"), nor an Exchange code
 * ("resolver.adr.recipnotfound"). */
static bool is_host(struct str name)
{
    size_t labels = 1, start = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] != '.')
            continue;
        if (i == start)
            return false;
        labels++;
        start = i + 1;
    }
    struct str last = {name.data + start, name.len - start};
    if (labels < 2 || last.len < 2)
        return false;
    if (last.len > 4 && memcmp(last.data, "xn--", 4) == 0)
        return true;
    for (size_t i = 0; i < last.len; i++)
        if (!is_letter(last.data[i]))
            return false;
    return labels > 2 ? last.len <= TOP_LEVEL_MAX : is_generic(last);
}

/* "5.2.1", or "550-5.2.1". */
static bool is_status(struct str name)
{
    struct status_code code;
    if (name.len > 4 && reply_find(name) && name.data[3] == '-')
        name = (struct str){name.data + 4, name.len - 4};
    return status_parse(name, &code) && code.subject <= STATUS_SUBJECT_MAX;
}

static void put_name(struct output *out, struct str name)
{
    size_t len = name.len;
    while (len && (name.data[len - 1] == '.' || name.data[len - 1] == '-'))
        len--;
    struct str rest = {name.data + len, name.len - len};
    name.len = len;
    bool www = len > 4 && memcmp(name.data, "www.", 4) == 0;
    if (is_status(name))
        put(out, name.data, name.len);
    else if (!www && is_host(name))
        put(out, "~", 1);
    else
        put_atoms(out, name);
    put(out, rest.data, rest.len);
}

/* Names, with what stands between them. */
static void put_names(struct output *out, struct str text)
{
    for (size_t i = 0, end; i < text.len; i = end) {
        end = i;
        while (end < text.len && is_name(text.data[end]))
            end++;
        if (end > i)
            put_name(out, (struct str){text.data + i, end - i});
        else
            put(out, text.data + end++, 1);
    }
}

/* The address around the first @ that has something on both sides; false if there is none. */
static bool find_address(struct str word, size_t *ret_start, size_t *ret_end)
{
    for (size_t at = 1; at + 1 < word.len; at++) {
        if (word.data[at] != '@')
            continue;
        size_t start = at, end = at + 1;
        while (start > 0 && is_address(word.data[start - 1]))
            start--;
        while (end < word.len && is_name(word.data[end]))
            end++;
        while (end > at + 1 && (word.data[end - 1] == '.' || word.data[end - 1] == '-'))
            end--;
        if (start == at || end == at + 1)
            continue;
        *ret_start = start;
        *ret_end = end;
        return true;
    }
    return false;
}

static void put_word(struct output *out, struct str word)
{
    const char *scheme = memmem(word.data, word.len, "://", 3);
    size_t start, end;
    if (scheme) {
        put_atoms(out, word);
        return;
    }
    while (find_address(word, &start, &end)) {
        put_names(out, (struct str){word.data, start});
        put(out, "@", 1);
        word.data += end;
        word.len -= end;
    }
    put_names(out, word);
}

/* Whether there can be anything to replace. */
static bool is_plain(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (is_digit(word.data[i]) || word.data[i] == '@' ||
            (word.data[i] == '.' && i + 1 < word.len))
            return false;
    return true;
}

size_t text_reduce(char *text, size_t len)
{
    struct output out = {.text = text};
    for (size_t i = 0; i < len;) {
        const char *blank = memchr(text + i, ' ', len - i);
        size_t end = blank ? (size_t)(blank - text) : len;
        struct str word = {text + i, end - i};
        if (is_plain(word))
            put(&out, word.data, word.len);
        else
            put_word(&out, word);
        if (blank)
            put(&out, " ", 1);
        i = end + 1;
    }
    return out.len;
}
