#include "domain/pattern.h"

#include <ctype.h>

#include "base/utf8.h"
#include "domain/letters.h"
#include "domain/normalise.h"
#include "domain/pattern_set.h"

#define DEPTH_MAX 32
#define ALTERNATIVES_MAX 512
#define REPEAT_MAX 9999

/* A part of the pattern that has been read. */
struct part {
    double paths; /* in how many ways it can match anything at all */
    double ways;  /* in how many of them at one place, one after the other */
    double steps; /* what it costs to try them all */
    double entry; /* and where it cannot begin with what stands there */
    int len_min;  /* octets */
    bool assertion;
    bool of_class;           /* characters of `first` and nothing else, once or more often */
    struct char_set first;   /* what it can begin with, if it takes anything */
    struct string_set exact; /* all that it matches, if that is known */
    struct string_set need;  /* one of these stands in all that it matches, if that is known */
};

/* Parts one behind the other. */
struct sequence {
    double paths, ways, steps, entry;
    int len_min;
    struct char_set first;
    double open; /* ways that the last part leaves open, if what follows does not close them */
    struct char_set open_set;
    bool whole;             /* `run` is all of it */
    struct string_set run;  /* what its end matches, exactly */
    struct string_set need; /* of what is before */
};

/* Alternatives, the last of which is being read. At one place only those are tried further than
 * their first character that can begin with what stands there. */
struct group {
    double paths, entry;
    double ways[CHARS_COUNT], steps[CHARS_COUNT]; /* by what stands there */
    int len_min;
    int count; /* alternatives that are complete */
    bool lookaround;
    struct char_set first;
    struct string_set exact, need;
    struct sequence last;
};

struct parser {
    struct arena *arena;
    struct str text;
    size_t at;
    struct group groups[DEPTH_MAX];
    int depth; /* of groups that are open, besides the whole */
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

/* --- sequences and groups --- */

static void begin_sequence(struct parser *parser)
{
    top(parser)->last = (struct sequence){
        .paths = 1,
        .ways = 1,
        .open = 1,
        .whole = true,
        .run = set_of(parser->arena, STR("")),
        .need = SET_UNKNOWN,
    };
}

static void append(struct parser *parser, const struct part *part)
{
    struct sequence *last = &top(parser)->last;
    last->steps += last->ways * part->entry;
    /* What repeats a class ends in one way only where a character outside of it must follow. */
    if (last->open > 1 && part->len_min > 0 && !chars_overlap(&part->first, &last->open_set))
        last->ways /= last->open;
    if (!part->assertion) {
        last->open = part->of_class ? part->ways : 1;
        last->open_set = part->first;
    }
    if (last->len_min == 0) {
        chars_add(&last->first, &part->first);
        last->entry += part->entry;
    }
    last->steps += last->ways * part->steps;
    last->paths *= part->paths;
    last->ways *= part->ways;
    last->len_min += part->len_min;
    struct string_set joined = set_product(parser->arena, &last->run, &part->exact);
    if (joined.known) {
        last->run = joined;
        return;
    }
    last->need = *set_better(&last->need, &last->run);
    last->need = *set_better(&last->need, &part->need);
    last->whole = false;
    last->run = part->exact.known ? part->exact : set_of(parser->arena, STR(""));
}

static void end_alternative(struct parser *parser)
{
    struct group *group = top(parser);
    struct sequence *last = &group->last;
    struct string_set exact = last->whole ? last->run : SET_UNKNOWN;
    const struct string_set *need = set_better(&last->need, &last->run);
    bool first = group->count++ == 0;
    group->paths += last->paths;
    group->entry += 1 + last->entry;
    for (int c = 0; c < CHARS_COUNT; c++) {
        bool possible = last->len_min == 0 || last->first.has[c];
        group->ways[c] += possible ? last->ways : 0;
        group->steps[c] += 1 + (possible ? last->steps : last->entry);
    }
    chars_add(&group->first, &last->first);
    group->len_min = first || last->len_min < group->len_min ? last->len_min : group->len_min;
    group->exact =
        first ? exact : set_union(parser->arena, &group->exact, &exact, SET_EXACT_MAX);
    group->need = first ? *need : set_union(parser->arena, &group->need, need, SET_NEED_MAX);
}

static double greatest(const double values[CHARS_COUNT])
{
    double max = 0;
    for (int c = 0; c < CHARS_COUNT; c++)
        max = values[c] > max ? values[c] : max;
    return max;
}

static struct part close_group(struct parser *parser)
{
    end_alternative(parser);
    struct group *group = top(parser);
    struct part part = {
        .paths = group->paths,
        .ways = greatest(group->ways),
        .steps = greatest(group->steps) + 1,
        .entry = group->entry + 1,
        .len_min = group->len_min,
        .first = group->first,
        .exact = group->exact,
        .need = group->need,
    };
    /* Of different strings only those match at one place that begin with each other. */
    if (part.exact.known && part.paths == part.exact.count && set_chain(&part.exact) < part.ways)
        part.ways = set_chain(&part.exact);
    if (group->lookaround) { /* atomic, and it takes nothing */
        part.first = (struct char_set){{false}};
        part.paths = part.ways = 1;
        part.entry = part.steps;
        part.len_min = 0;
        part.assertion = true;
        part.exact = set_of(parser->arena, STR(""));
        part.need = SET_UNKNOWN;
    }
    parser->depth--;
    return part;
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
            return fault(parser, "of groups only (…), (?:…), (?=…), (?!…), (?<=…), (?<!…) are for rules");
        parser->at += strlen(heads[i]);
        lookaround = i > 0;
    }
    if (parser->depth + 1 == DEPTH_MAX)
        return fault(parser, "groups are nested too deeply");
    parser->depth++;
    *top(parser) = (struct group){.lookaround = lookaround};
    begin_sequence(parser);
    return true;
}

/* --- characters --- */

static struct part assertion_part(struct parser *parser)
{
    return (struct part){.paths = 1,
                         .ways = 1,
                         .assertion = true,
                         .exact = set_of(parser->arena, STR("")),
                         .need = SET_UNKNOWN};
}

/* One character of a class. */
static struct part class_part(void)
{
    return (struct part){.paths = 1,
                         .ways = 1,
                         .len_min = 1,
                         .of_class = true,
                         .exact = SET_UNKNOWN,
                         .need = SET_UNKNOWN};
}

static struct part literal_part(struct parser *parser, char c)
{
    struct part part = class_part();
    char lower = ascii_lower(c);
    part.first.has[(unsigned char)lower & 0x7f] = true;
    part.exact = set_of(parser->arena, (struct str){&lower, 1});
    return part;
}

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
        *ret_part = assertion_part(parser);
    } else if (c && strchr("dDwWsS", c)) {
        *ret_part = class_part();
        chars_add_class(&ret_part->first, c);
    } else if (ispunct((unsigned char)c)) {
        *ret_part = literal_part(parser, c);
    } else {
        return fault(parser, "of escapes only \\b \\B \\d \\D \\w \\W \\s \\S and those of punctuation "
                             "are for rules");
    }
    parser->at += 2;
    return true;
}

/* One end of a range within a class, or a class within it, which is added at once; *ret_char is
 * '\0' unless it is a single ASCII character. */
static bool take_member(struct parser *parser, struct char_set *set, char *ret_char)
{
    struct part part;
    char c = peek(parser, 0);
    *ret_char = '\0';
    if (c == '[' && (peek(parser, 1) == ':' || peek(parser, 1) == '.' || peek(parser, 1) == '='))
        return fault(parser, "named classes are not for rules");
    if (c != '\\') {
        *ret_char = (char)(c & 0x80 ? '\0' : c);
        set->has[CHARS_OTHER] |= (c & 0x80) != 0;
        return take_character(parser);
    }
    if (peek(parser, 1) == 'b' || peek(parser, 1) == 'B')
        return fault(parser, "\\b and \\B mean something else within a class");
    if (!take_escape(parser, &part))
        return false;
    char escaped = parser->text.data[parser->at - 1];
    if (ispunct((unsigned char)escaped))
        *ret_char = escaped;
    else
        chars_add_class(set, escaped);
    return true;
}

static bool take_range(struct parser *parser, struct char_set *set)
{
    char first, last;
    if (!take_member(parser, set, &first))
        return false;
    last = first;
    if (peek(parser, 0) == '-' && peek(parser, 1) && peek(parser, 1) != ']') {
        parser->at++;
        if (!take_member(parser, set, &last))
            return false;
    }
    for (int c = first; first && c <= last; c++)
        set->has[(unsigned char)ascii_lower((char)c) & 0x7f] = true;
    return true;
}

static bool take_class(struct parser *parser, struct part *ret_part)
{
    *ret_part = class_part();
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

static void repeat(struct parser *parser, struct part *part, int min, int max)
{
    double ways = 0, steps = 0, power = 1; /* ways of the repetitions so far */
    double paths = 0, paths_power = 1;
    int rounds_max = NORMALISED_MAX / (part->len_min ? part->len_min : 1) + 1;
    for (int i = 0; i <= max && i <= rounds_max && steps <= PATTERN_STEPS_MAX; i++) {
        if (i >= min) {
            ways += power;
            paths += paths_power;
        }
        steps += power * (part->steps + 1);
        power *= part->ways;
        paths_power *= part->paths;
    }
    struct string_set once = part->exact;
    part->paths = paths;
    part->ways = ways;
    part->steps = steps;
    part->entry += 2;
    part->len_min = min < NORMALISED_MAX / (part->len_min + 1) ? min * part->len_min : NORMALISED_MAX;
    if (min == 0) {
        struct string_set nothing = set_of(parser->arena, STR(""));
        part->exact = max == 1 ? set_union(parser->arena, &nothing, &once, SET_EXACT_MAX) : SET_UNKNOWN;
        part->need = SET_UNKNOWN;
        return;
    }
    if (once.known)
        part->need = once;
    for (int i = 1; i < min && part->exact.known; i++)
        part->exact = set_product(parser->arena, &part->exact, &once);
    if (min != max)
        part->exact = SET_UNKNOWN;
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
    repeat(parser, part, min, max);
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
        *ret_part = close_group(parser);
        return true;
    case '[':
        return take_class(parser, ret_part);
    case '\\':
        return take_escape(parser, ret_part);
    case '.':
        parser->at++;
        *ret_part = class_part();
        chars_add_class(&ret_part->first, '.');
        return true;
    case '^':
    case '$':
        parser->at++;
        *ret_part = assertion_part(parser);
        return true;
    case '?':
    case '*':
    case '+':
    case '{':
        return fault(parser, "a quantifier with nothing before it");
    default:
        *ret_part = c & 0x80 ? class_part() : literal_part(parser, c);
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
    end_alternative(parser);
    const struct group *whole = &parser->groups[0];
    const struct string_set *need = set_better(&whole->need, &whole->exact);
    *pattern = (struct pattern){
        .text = {parser->text.data + parser->start, parser->at - parser->start},
        .steps = greatest(whole->steps),
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
    parser->groups[0] = (struct group){0};
    begin_sequence(parser);
    parser->start = parser->at;
}

static bool next_alternative(struct parser *parser)
{
    if (parser->depth == 0 && !end_pattern(parser))
        return false;
    if (parser->depth > 0)
        end_alternative(parser);
    parser->at++;
    if (parser->depth == 0)
        begin_pattern(parser);
    else
        begin_sequence(parser);
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
            append(parser, &part);
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
