/* The codes that a rule asks for. Private to the classifier. */
#pragma once
#include "domain/status.h"

#define NO_STATUS (-1)

struct status_range {
    int cls; /* 0: any; NO_STATUS: holds when there is no enhanced code */
    int subject_min, subject_max;
    int detail_min, detail_max;
};

struct reply_range {
    int min, max; /* 0: holds when there is no reply code */
};

/* "x.2.1", "5.7.501-513" or "none"; false if it is none of these. */
bool status_range_parse(struct str text, struct status_range *ret_range);
bool status_range_holds(const struct status_range *range, const struct status_code *code);

/* Whether `a` holds wherever `b` does. */
bool status_range_covers(const struct status_range *a, const struct status_range *b);

/* "450", "55x", "4xx" or "none"; false if it is none of these. */
bool reply_range_parse(struct str text, struct reply_range *ret_range);
bool reply_range_holds(const struct reply_range *range, int reply);
bool reply_range_covers(const struct reply_range *a, const struct reply_range *b);
