/*
 * Which of many literals stand in a text, found in one pass (Aho and Corasick's automaton): it
 * tells which rules are worth trying. Private to the classifier.
 */
#pragma once
#include <stdint.h>

#include "base/arena.h"

struct literal {
    struct str text; /* not empty */
    int owner;
};

struct literal_output;

struct literals {
    unsigned char classes[256]; /* of octets; 0: in no literal */
    uint32_t class_count;
    uint32_t *next;               /* by state and class; states are multiples of class_count */
    uint32_t *outputs;            /* by state number: index of the first one; 0: none */
    struct literal_output *lists; /* from 1 */
};

/* Builds the automaton in `arena`. */
void literals_build(struct arena *arena, const struct literal *literals, int count,
                    struct literals *ret_literals);

/* Sets the bit of every owner one of whose literals stands in `text`. */
void literals_find(const struct literals *literals, struct str text, uint64_t *bits);
