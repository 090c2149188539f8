/*
 * What can be told of a rule's regular expression before it is ever matched: how many steps a match
 * costs at worst, and which literals a text must hold to match. Private to the classifier.
 *
 * Rules may use a part of PCRE2's syntax, small enough for both to be proven: characters, ".",
 * classes, groups (all of them without capture), alternatives, greedy and lazy quantifiers, \b \B
 * ^ $, lookaround, and \d \w \s with their opposites. There are no back references, no recursion
 * and no options.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* What a match may cost at worst from one place of a text; the loader refuses what costs more. */
#define PATTERN_STEPS_MAX 50000

/* One of the alternatives that a text is made of. */
struct pattern {
    struct str text;
    /*
     * Upper bound of the places to which backtracking can return while one start is tried. It
     * grows with the product of what quantifiers one after the other or within each other leave
     * open, so that (a+)+ is without bound and a.*b.*c has the square of the longest text.
     */
    double steps;
    struct str
        *literals; /* one of them stands in every text that matches; none: nothing is known */
    int literal_count;
};

/* Splits `text` at the vertical bars and line feeds that are in no group. Spans of the result point
 * into `text` and `arena`. E_RULES: what is wrong at *ret_at. */
enum rcode pattern_split(struct arena *arena, struct str text, struct pattern **ret_patterns,
                         int *ret_count, size_t *ret_at, struct err *err) WARN_UNUSED;
