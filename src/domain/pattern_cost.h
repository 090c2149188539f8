/*
 * What a pattern costs and needs, told of its parts and put together as they are. The numbers are
 * upper bounds of what backtracking does; for domain/pattern.c.
 */
#pragma once
#include "domain/pattern_set.h"

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

struct part part_of_assertion(struct arena *arena);

/* One character; which ones is to be added to `first`. */
struct part part_of_class(void);

/* An ASCII character that stands for itself. */
struct part part_of_literal(struct arena *arena, char c);

/* min <= max */
void part_repeat(struct arena *arena, struct part *part, int min, int max);

void group_begin(struct arena *arena, bool lookaround, struct group *ret_group);
void group_append(struct arena *arena, struct group *group, const struct part *part);

/* The alternative that is being read ends, and another begins. */
void group_next(struct arena *arena, struct group *group);

/* The last alternative has ended: what the group is within the sequence around it. */
struct part group_close(struct arena *arena, struct group *group);
