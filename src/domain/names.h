/* The host names and stages that rules speak of, so that a fact can be one of them or none. */
#pragma once
#include "base/arena.h"

#define NAME_NONE (-1)

struct names {
    struct str *items; /* in lower case, in order, each once */
    int count;
};

/* Sorts `items` and drops what is there twice. */
void names_make(struct str *items, int count, struct names *ret_names);

/* The name that `text` is in any case, or NAME_NONE. */
int names_find(const struct names *names, struct str text);

/* The longest name that `host` is or ends in, on label boundaries; final dots do not count. */
int names_find_suffix(const struct names *names, struct str host);

/* Whether `host` is `suffix` or ends in it on a label boundary. */
bool names_ends_in(struct str host, struct str suffix);
