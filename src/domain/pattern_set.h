/* Small sets of strings and of characters, for domain/pattern.c. */
#pragma once
#include <stdbool.h>

#include "base/arena.h"

#define SET_CLASS_MAX 8   /* characters of a class that are taken for strings */
#define SET_EXACT_MAX 48  /* strings that a part matches */
#define SET_NEED_MAX 2048 /* strings one of which is needed */
#define SET_STRING_MAX 32 /* octets of one */

struct string_set {
    bool known; /* false: nothing is known of it */
    int count;
    struct str *items; /* no two are equal */
};

#define SET_UNKNOWN ((struct string_set){false, 0, NULL})

struct string_set set_of(struct arena *arena, struct str item);

/* Unknown if either is, or if it had more than `max` items. */
struct string_set set_union(struct arena *arena, const struct string_set *a,
                            const struct string_set *b, int max);

/* Each item of `a` with each of `b` behind it. Unknown if either is, or if it grows too large. */
struct string_set set_product(struct arena *arena, const struct string_set *a,
                              const struct string_set *b);

/* How many of its items can stand at one place: the longest row of which each begins with the one
 * before. */
int set_chain(const struct string_set *set);

/* Whether looking for its items tells texts apart. */
bool set_is_useful(const struct string_set *set);

/* The one whose items are rarer in texts; `a` if neither is useful. */
const struct string_set *set_better(const struct string_set *a, const struct string_set *b);

/* Characters, in lower case: ASCII by itself, all the others as one. */
#define CHARS_OTHER 128
#define CHARS_COUNT 129

struct char_set {
    bool has[CHARS_COUNT];
};

void chars_add(struct char_set *set, const struct char_set *more);
bool chars_overlap(const struct char_set *a, const struct char_set *b);

/* \d, \w, \s, "." or, in upper case, what is none of them. */
void chars_add_class(struct char_set *set, char class);

void chars_negate(struct char_set *set);

/* The strings of one character that a small set matches. */
struct string_set chars_strings(struct arena *arena, const struct char_set *set);
