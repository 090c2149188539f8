/* Compiled rules and how they are matched; private to the classifier. */
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "domain/classify.h"
#include "domain/code_range.h"
#include "domain/literals.h"
#include "domain/names.h"
#include "domain/normalise.h"
#include "domain/pattern.h"

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
    struct clause *clauses; /* alternatives of its text; one without a pattern if it has none */
    int clause_count;
    int line;
};

/* A rule's text matches if one of its clauses does. They are matched one by one, because few of
 * them are worth trying on any one text. */
struct clause {
    struct rule *rule;
    pcre2_code *code; /* NULL: any text */
};

struct rule_set {
    struct arena arena; /* strings and arrays of the rules */
    struct rule *rules;
    int rule_count;
    struct clause *clauses; /* of all rules, in their order */
    int clause_count;
    struct names mx, stages;  /* of all rules */
    struct literals literals; /* owned by the clauses that need one of them */
    uint64_t *always;         /* bits of the clauses that any text may match */
    size_t word_count;        /* of such bits */
};

#define HOST_MAX 255

/* All that a decision can depend on: facts of the same subject have the same verdict. */
struct subject {
    struct status_code status; /* cls 0: none */
    int reply;                 /* 0: none */
    int bare_reply; /* reply code of a text that has no enhanced code: all the remote said; 0: none
                     */
    int mx;         /* which of the rules' names the remote MTA's ends in, or NAME_NONE */
    int stage;      /* which of the rules' stages, or NAME_NONE */
    int text_len;
    char text[NORMALISED_MAX]; /* last, so that what is before and its used part are one key */
};

/* What one thread needs to match. */
struct matcher {
    const struct rule_set *rules;
    uint64_t *candidates; /* bits of the clauses that are worth trying */
    pcre2_match_data *data;
    pcre2_match_context *context;
    char scratch[RAW_MAX];
};
void matcher_init(struct matcher *matcher, const struct rule_set *rules);
void matcher_deinit(struct matcher *matcher);

void matcher_subject(struct matcher *matcher, const struct bounce_facts *facts,
                     struct subject *ret_subject);

/* The conditions that do not hold, as bits of enum rule_condition. */
unsigned rule_mismatch(struct matcher *matcher, const struct rule *rule,
                       const struct subject *subject);

/* The first rule that matches, or NULL. */
const struct rule *rules_decide(struct matcher *matcher, const struct subject *subject);

/* After all rules are compiled: what rules_decide needs of the set. `patterns` are the clauses'. */
void rules_index(struct rule_set *set, const struct pattern *patterns);

/* An earlier rule that matches whatever `later` matches, as far as can be told without trying: each
 * of its conditions is missing or covers the later one's. NULL if there is none. */
const struct rule *rules_shadow(const struct rule_set *set, const struct pattern *patterns,
                                const struct rule *later);
