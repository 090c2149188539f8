#include "domain/pattern.h"

#include <ctype.h>

#include "base/utf8.h"
#include "domain/letters.h"
#include "domain/normalise.h"
#include "domain/pattern_cost.h"

#define DEPTH_MAX 32
#define ALTERNATIVES_MAX 512
#define REPEAT_MAX 9999

struct parser {
    struct arena *arena;
    struct str text;
    size_t at;
    struct group groups[DEPTH_MAX];
    int depth;                /* of groups that are open, besides the whole */
    struct pattern *patterns; /* that are complete */
    int count;
    size_t start; /* of the next one */
    const char *fault;
};

static bool fault(struct parser *parser, const char *what)
{
    if (!parser->fault)
        parser->fault = what;
    return false;
}

static char peek(const struct parser *parser, size_t ahead)
{
    return parser->at + ahead < parser->text.len ? parser->text.data[parser->at + ahead] : '\0';
}

static struct group *top(struct parser *parser)
{
    return &parser->groups[parser->depth];
}

static bool open_group(struct parser *parser)
{
    static const char *const heads[] = {"?:", "?=", "?!", "?<=", "?<!"};
    bool lookaround = false;
    parser->at++;
    if (peek(parser, 0) == '*')
        return fault(parser, "verbs are not for rules");
    if (peek(parser, 0) == '?') {
        size_t i = 0, count = sizeof(heads) / sizeof(heads[0]);
        struct str rest = {parser->text.data + parser->at, parser->text.len - parser->at};
        while (i < count &&
               (rest.len < strlen(heads[i]) || memcmp(rest.data, heads[i], strlen(heads[i])) != 0))
            i++;
        if (i == count)
            return fault(parser,
                         "of groups only (…), (?:…), (?=…), (?!…), (?<=…), (?<!…) are for rules");
        parser->at += strlen(heads[i]);
        lookaround = i > 0;
    }
    if (parser->depth + 1 == DEPTH_MAX)
        return fault(parser, "groups are nested too deeply");
    parser->depth++;
    group_begin(parser->arena, lookaround, top(parser));
    return true;
}

/* --- characters --- */

/* Whether a text in its normalised form can hold the character at `at`; moves behind it. */
static bool take_character(struct parser *parser)
{
    struct str text = parser->text;
    unsigned char c = (unsigned char)text.data[parser->at];
    if (c < 0x80) {
        parser->at++;
        if (c < ' ' || c == 0x7f)
            return fault(parser, "of white space only single blanks stand in the normalised text");
        return true;
    }
    size_t len = utf8_len(text, parser->at);
    struct letter letter = letter_fold(text, parser->at);
    if (!len || letter.len != len || memcmp(letter.octets, text.data + parser->at, len) != 0)
        return fault(parser, "the normalised text never holds this letter; write it without its "
                             "accent, or a dot for it");
    parser->at += len;
    return true;
}

/* \d, \w, \s and their opposites: sets; \b and \B: assertions; punctuation: itself. */
static bool take_escape(struct parser *parser, struct part *ret_part)
{
    char c = peek(parser, 1);
    if (c == 'b' || c == 'B') {
        *ret_part = part_of_assertion(parser->arena);
    } else if (c && strchr("dDwWsS", c)) {
        *ret_part = part_of_class();
        chars_add_class(&ret_part->first, c);
    } else if (ispunct((unsigned char)c)) {
        *ret_part = part_of_literal(parser->arena, c);
    } else {
        return fault(parser,
                     "of escapes only \\b \\B \\d \\D \\w \\W \\s \\S and those of punctuation "
                     "are for rules");
    }
    parser->at += 2;
    return true;
}

/* One end of a range within a class, or a class within it, which is added at once; *ret_char is an
 * ASCII character, CHARS_OTHER, or 0 for a class. */
static bool take_member(struct parser *parser, struct char_set *set, int *ret_char)
{
    struct part part;
    char c = peek(parser, 0);
    *ret_char = c & 0x80 ? CHARS_OTHER : c;
    if (c == '[' && (peek(parser, 1) == ':' || peek(parser, 1) == '.' || peek(parser, 1) == '='))
        return fault(parser, "named classes are not for rules");
    if (c != '\\')
        return take_character(parser);
    if (peek(parser, 1) == 'b' || peek(parser, 1) == 'B')
        return fault(parser, "\\b and \\B mean something else within a class");
    if (!take_escape(parser, &part))
        return false;
    char escaped = parser->text.data[parser->at - 1];
    *ret_char = ispunct((unsigned char)escaped) ? escaped : 0;
    if (*ret_char == 0)
        chars_add_class(set, escaped);
    return true;
}

static bool take_range(struct parser *parser, struct char_set *set)
{
    int first, last;
    if (!take_member(parser, set, &first))
        return false;
    last = first;
    bool range = peek(parser, 0) == '-' && peek(parser, 1) && peek(parser, 1) != ']';
    if (range) {
        parser->at++;
        if (!take_member(parser, set, &last))
            return false;
    }
    if (range && (first == CHARS_OTHER ||
                  last == CHARS_OTHER)) /* some have ASCII letters for their other case */
        return fault(parser, "of ranges only those of ASCII are for rules");
    for (int c = first; c && c <= last; c++)
        set->has[c < CHARS_OTHER ? (unsigned char)ascii_lower((char)c) : CHARS_OTHER] = true;
    return true;
}

static bool take_class(struct parser *parser, struct part *ret_part)
{
    *ret_part = part_of_class();
    parser->at++;
    bool negated = peek(parser, 0) == '^';
    parser->at += negated;
    do { /* a bracket that comes first is a member */
        if (parser->at >= parser->text.len)
            return fault(parser, "a class is not closed");
        if (!take_range(parser, &ret_part->first))
            return false;
    } while (peek(parser, 0) != ']');
    parser->at++;
    if (negated)
        chars_negate(&ret_part->first);
    else
        ret_part->exact = chars_strings(parser->arena, &ret_part->first);
    return true;
}

/* --- quantifiers --- */

static int take_number(struct parser *parser)
{
    int number = -1;
    while (isdigit((unsigned char)peek(parser, 0))) {
        number = 10 * (number < 0 ? 0 : number) + (peek(parser, 0) - '0');
        parser->at++;
        if (number > REPEAT_MAX)
            return REPEAT_MAX + 1;
    }
    return number;
}

/* "{n}", "{n,}" or "{n,m}". */
static bool take_braces(struct parser *parser, int *ret_min, int *ret_max)
{
    parser->at++;
    *ret_min = *ret_max = take_number(parser);
    if (peek(parser, 0) == ',') {
        parser->at++;
        *ret_max = peek(parser, 0) == '}' ? NORMALISED_MAX : take_number(parser);
    }
    if (*ret_min < 0 || *ret_max < *ret_min || *ret_max > REPEAT_MAX || peek(parser, 0) != '}')
        return fault(parser, "braces are a quantifier, {2} or {0,60}, or take a backslash");
    parser->at++;
    return true;
}

static bool take_quantifier(struct parser *parser, struct part *part)
{
    int min = 0, max = NORMALISED_MAX;
    char c = peek(parser, 0);
    if (!c || !strchr("?*+{", c))
        return true;
    if (part->assertion)
        return fault(parser, "what takes no characters cannot be repeated");
    if (c == '{') {
        if (!take_braces(parser, &min, &max))
            return false;
    } else {
        parser->at++;
        min = c == '+';
        max = c == '?' ? 1 : max;
    }
    part_repeat(parser->arena, part, min, max);
    if (peek(parser, 0) == '?') /* lazy: the same ways in another order */
        parser->at++;
    c = peek(parser, 0);
    if (c && strchr("?*+{", c))
        return fault(parser, "a quantifier upon a quantifier");
    return true;
}

/* --- all --- */

static bool take_part(struct parser *parser, char c, struct part *ret_part)
{
    switch (c) {
    case ')':
        if (parser->depth == 0)
            return fault(parser, "a group is closed that is not open");
        parser->at++;
        *ret_part = group_close(parser->arena, top(parser));
        parser->depth--;
        return true;
    case '[':
        return take_class(parser, ret_part);
    case '\\':
        return take_escape(parser, ret_part);
    case '.':
        parser->at++;
        *ret_part = part_of_class();
        chars_add_class(&ret_part->first, '.');
        return true;
    case '^':
    case '$':
        parser->at++;
        *ret_part = part_of_assertion(parser->arena);
        return true;
    case '?':
    case '*':
    case '+':
    case '{':
        return fault(parser, "a quantifier with nothing before it");
    default:
        *ret_part = c & 0x80 ? part_of_class() : part_of_literal(parser->arena, c);
        ret_part->first.has[CHARS_OTHER] |= (c & 0x80) != 0;
        return take_character(parser);
    }
}

/* The end of an alternative that is in no group. */
static bool end_pattern(struct parser *parser)
{
    struct pattern *pattern = &parser->patterns[parser->count];
    if (parser->start == parser->at)
        return fault(parser, "an empty alternative matches every text");
    if (parser->count == ALTERNATIVES_MAX)
        return fault(parser, "too many alternatives; make two rules of it");
    struct part whole = group_close(parser->arena, &parser->groups[0]);
    const struct string_set *need = set_better(&whole.need, &whole.exact);
    *pattern = (struct pattern){
        .text = {parser->text.data + parser->start, parser->at - parser->start},
        .steps = whole.steps,
    };
    if (set_is_useful(need)) {
        pattern->literals = need->items;
        pattern->literal_count = need->count;
    }
    parser->count++;
    return true;
}

static void begin_pattern(struct parser *parser)
{
    group_begin(parser->arena, false, &parser->groups[0]);
    parser->start = parser->at;
}

static bool next_alternative(struct parser *parser)
{
    if (parser->depth == 0 && !end_pattern(parser))
        return false;
    parser->at++;
    if (parser->depth == 0)
        begin_pattern(parser);
    else
        group_next(parser->arena, top(parser));
    return true;
}

static bool parse(struct parser *parser)
{
    begin_pattern(parser);
    while (parser->at < parser->text.len) {
        char c = peek(parser, 0);
        struct part part;
        if (c == '|' || (c == '\n' && parser->depth == 0)) {
            if (!next_alternative(parser))
                return false;
        } else if (c == '(') {
            if (!open_group(parser))
                return false;
        } else {
            if (!take_part(parser, c, &part) || !take_quantifier(parser, &part))
                return false;
            group_append(parser->arena, top(parser), &part);
        }
    }
    if (parser->depth > 0)
        return fault(parser, "a group is not closed");
    return end_pattern(parser);
}

enum rcode pattern_split(struct arena *arena, struct str text, struct pattern **ret_patterns,
                         int *ret_count, size_t *ret_at, struct err *err)
{
    struct parser *parser = arena_alloc(arena, sizeof(*parser));
    *parser = (struct parser){.arena = arena, .text = text};
    parser->patterns = arena_alloc(arena, (ALTERNATIVES_MAX + 1) * sizeof(*parser->patterns));
    if (!parse(parser)) {
        *ret_at = parser->at;
        return err_set(err, E_RULES, "%s", parser->fault);
    }
    *ret_patterns = parser->patterns;
    *ret_count = parser->count;
    return OK;
}
