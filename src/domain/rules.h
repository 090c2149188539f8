/* Compiled rules and how they are matched; private to the classifier. */
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "domain/classify.h"
#include "domain/normalise.h"

#define NO_STATUS (-1)

struct status_range {
    int cls; /* 0: any; NO_STATUS: matches when there is no enhanced code */
    int subject_min, subject_max;
    int detail_min, detail_max;
};

struct reply_range {
    int min, max;
};

struct rule {
    struct verdict verdict; /* its rule is the id */
    struct str *mx;         /* lower case, without dots at the ends */
    int mx_count;
    struct str *stages; /* lower case */
    int stage_count;
    struct status_range *statuses;
    int status_count;
    struct reply_range *replies;
    int reply_count;
    pcre2_code *text; /* NULL: no condition */
    int line;
};

struct rule_set {
    struct arena arena; /* strings and arrays of the rules */
    struct rule *rules;
    int rule_count;
};

#define HOST_MAX 255
#define STAGE_MAX 15

/* The facts in the form that rules and tables are matched against. */
struct subject {
    struct status_code status; /* cls 0: none */
    int reply;                 /* 0: none */
    int bare_reply; /* reply code of a text that has no enhanced code: all the remote said; 0: none
                     */
    size_t mx_len, stage_len, text_len;
    char mx[HOST_MAX];     /* lower case, without a final dot; empty: unknown */
    char stage[STAGE_MAX]; /* lower case, first word */
    char text[NORMALISED_MAX];
};

void subject_of_facts(const struct bounce_facts *facts, struct subject *ret_subject);

/* What one thread needs to match. */
struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
};
void matcher_init(struct matcher *matcher);
void matcher_deinit(struct matcher *matcher);

bool rule_matches(struct matcher *matcher, const struct rule *rule, const struct subject *subject);

/* The first rule that matches, or NULL. */
const struct rule *rules_decide(struct matcher *matcher, const struct rule_set *rules,
                                const struct subject *subject);
