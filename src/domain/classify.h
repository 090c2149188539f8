/*
 * Class and reason of a bounce (src/domain/semantics.md §3): ordered text rules first, then
 * the enhanced code, then the reply code. The result names the rule, so every decision can be
 * explained.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "domain/policy.h"
#include "domain/status.h"

struct bounce_facts {
    struct str status;     /* enhanced code as received; null if absent */
    int32_t reply_code;    /* 0: absent */
    struct str diagnostic; /* the remote's text, possibly multi-line; null if absent */
    struct str remote_mta; /* host name of the MX; null if absent */
    struct str stage;      /* connect, ehlo, mail, rcpt, data, …; null if absent; any case */
};

struct verdict {
    enum bounce_class bounce_class;
    enum reason reason;
    struct str rule; /* e.g. "gmail.rate", "code.4.2.1", "reply.552", "none"; lives as long as the
                        rule set */
};

/* One rule as it is written in the rule file; spans are copied by rule_set_new. Null/empty: no
 * condition. */
struct rule_source {
    struct str id;
    struct str mx;     /* comma-separated suffixes of the remote MTA's name, on label boundaries */
    struct str stage;  /* comma-separated stages */
    struct str status; /* pattern with x as a wildcard: "x.2.1", "4.7.x", ranges "5.7.501-513",
                          "none"; comma-separated */
    struct str reply; /* "450,451", "55x", "4xx"; without a reply code the status says 4xx or 5xx */
    struct str text;  /* PCRE2, caseless, UTF, matched against the normalised text */
    struct str class_name;
    struct str reason_name;
    const struct rule_sample *positive; /* at least one */
    int positive_count;
    const struct rule_sample *negative; /* at least one */
    int negative_count;
    int line; /* of the rule in its file, for messages; 0: unknown */
};

struct rule_sample {
    struct bounce_facts facts;
    int line;
};

struct rule_set; /* immutable; share it between threads, one classifier per thread */

/* Compiles the rules and checks every sample: a positive one must be decided by its rule when all
 * rules are tried in order, a negative one must not match the rule. E_RULES: "FILE:LINE: …" (file
 * as given). */
enum rcode rule_set_new(const char *file, const struct rule_source *sources, int source_count,
                        struct rule_set **ret_rules, struct err *err) WARN_UNUSED;
void rule_set_free(struct rule_set *rules);

struct classifier; /* match data and caches of one thread */
struct classifier *classifier_new(const struct rule_set *rules);
void classifier_free(struct classifier *classifier);

void classify(struct classifier *classifier, const struct bounce_facts *facts,
              struct verdict *ret_verdict);
