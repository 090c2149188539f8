#include "domain/pattern_set.h"

#include <ctype.h>
#include <stdint.h>

struct string_set set_of(struct arena *arena, struct str item)
{
    struct string_set set = {true, 1, arena_alloc(arena, sizeof(struct str))};
    set.items[0] = arena_str(arena, item);
    return set;
}

static bool has(const struct string_set *set, struct str item)
{
    for (int i = 0; i < set->count; i++)
        if (str_equal(set->items[i], item))
            return true;
    return false;
}

struct string_set set_union(struct arena *arena, const struct string_set *a,
                            const struct string_set *b, int max)
{
    if (!a->known || !b->known)
        return SET_UNKNOWN;
    struct string_set set = {true, a->count, NULL};
    set.items = arena_alloc(arena, (size_t)(a->count + b->count) * sizeof(struct str));
    if (a->count)
        memcpy(set.items, a->items, (size_t)a->count * sizeof(struct str));
    for (int i = 0; i < b->count; i++)
        if (!has(a, b->items[i]))
            set.items[set.count++] = b->items[i];
    return set.count <= max ? set : SET_UNKNOWN;
}

struct string_set set_product(struct arena *arena, const struct string_set *a,
                              const struct string_set *b)
{
    if (!a->known || !b->known || a->count * b->count > SET_EXACT_MAX)
        return SET_UNKNOWN;
    struct string_set set = {.known = true};
    set.items = arena_alloc(arena, (size_t)(a->count * b->count) * sizeof(struct str));
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++) {
            if (a->items[i].len + b->items[j].len > SET_STRING_MAX)
                return SET_UNKNOWN;
            struct str item =
                arena_printf(arena, "%.*s%.*s", STR_ARG(a->items[i]), STR_ARG(b->items[j]));
            if (!has(&set, item))
                set.items[set.count++] = item;
        }
    return set;
}

static bool begins_with(struct str text, struct str start)
{
    return text.len >= start.len && (!start.len || memcmp(text.data, start.data, start.len) == 0);
}

int set_chain(const struct string_set *set)
{
    int longest = 0;
    for (int i = 0; i < set->count; i++) {
        int row = 0; /* what begins an item begins each other of its beginnings, too */
        for (int j = 0; j < set->count; j++)
            row += begins_with(set->items[i], set->items[j]);
        longest = row > longest ? row : longest;
    }
    return longest;
}

/* The shortest item: of two sets, that with the longer one is met less often. */
static size_t shortest(const struct string_set *set)
{
    size_t len = SIZE_MAX;
    for (int i = 0; i < set->count; i++)
        len = set->items[i].len < len ? set->items[i].len : len;
    return set->known && set->count ? len : 0;
}

bool set_is_useful(const struct string_set *set)
{
    return shortest(set) >= 2;
}

const struct string_set *set_better(const struct string_set *a, const struct string_set *b)
{
    size_t len_a = shortest(a), len_b = shortest(b);
    return len_b >= 2 && (len_b > len_a || (len_b == len_a && b->count < a->count)) ? b : a;
}

void chars_add(struct char_set *set, const struct char_set *more)
{
    for (int c = 0; c < CHARS_COUNT; c++)
        set->has[c] |= more->has[c];
}

bool chars_overlap(const struct char_set *a, const struct char_set *b)
{
    for (int c = 0; c < CHARS_COUNT; c++)
        if (a->has[c] && b->has[c])
            return true;
    return false;
}

static bool is_of_class(int c, char class)
{
    switch (class) {
    case 'd':
        return isdigit(c);
    case 'w':
        return isalnum(c) || c == '_';
    case 's':
        return isspace(c);
    default:
        return c != '\n'; /* "." */
    }
}

void chars_add_class(struct char_set *set, char class)
{
    bool negated = isupper((unsigned char)class);
    for (int c = 0; c < CHARS_OTHER; c++)
        set->has[c] |= is_of_class(c, ascii_lower(class)) != negated;
    set->has[CHARS_OTHER] = true; /* letters and digits of other scripts, and what is none */
}

void chars_negate(struct char_set *set)
{
    for (int c = 0; c < CHARS_OTHER; c++)
        set->has[c] = !set->has[c];
    set->has[CHARS_OTHER] = true;
}

struct string_set chars_strings(struct arena *arena, const struct char_set *set)
{
    struct string_set strings = {.known = !set->has[CHARS_OTHER]};
    for (int c = 0; c < CHARS_OTHER && strings.known; c++) {
        char octet = (char)c;
        if (!set->has[c])
            continue;
        struct string_set one = set_of(arena, (struct str){&octet, 1});
        strings = set_union(arena, &strings, &one, SET_CLASS_MAX);
    }
    return strings;
}
