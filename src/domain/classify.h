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
    struct str reply;  /* "450,451", "55x", "4xx", "none"; without a reply code the status says 4xx
                          or 5xx */
    struct str text;   /* alternatives, one a line: PCRE2, caseless, over the normalised text */
    struct str class_name;
    struct str reason_name;
    const struct rule_sample *positive; /* at least one */
    int positive_count;
    const struct rule_sample *negative; /* at least one */
    int negative_count;
    int line;      /* of the rule in its file, for messages; 0: unknown */
    int text_line; /* of the first line of its text */
};

struct rule_sample {
    struct bounce_facts facts;
    int line;
};

struct rule_set; /* immutable; share it between threads, one classifier per thread */

/*
 * Compiles the rules and proves what can be proven of them: no text costs any pattern more than a
 * bounded number of steps, no rule is shadowed by an earlier one, every positive sample is decided
 * by its rule when all rules are tried in order, no negative sample matches its rule. E_RULES:
 * "FILE:LINE: …" (file as given).
 */
enum rcode rule_set_new(const char *file, const struct rule_source *sources, int source_count,
                        struct rule_set **ret_rules, struct err *err) WARN_UNUSED;
void rule_set_free(struct rule_set *rules);

struct classifier; /* match data and caches of one thread */
struct classifier *classifier_new(const struct rule_set *rules);
void classifier_free(struct classifier *classifier);

/*
 * From now on these rules decide. The ones before may be freed once nobody else uses them and no
 * verdict of theirs is in use: between two batches.
 */
void classifier_use(struct classifier *classifier, const struct rule_set *rules);

void classify(struct classifier *classifier, const struct bounce_facts *facts,
              struct verdict *ret_verdict);

/* The same without remembering what was decided before. */
void classify_afresh(struct classifier *classifier, const struct bounce_facts *facts,
                     struct verdict *ret_verdict);

/* Of all calls of classify. */
struct classifier_stats {
    uint64_t calls, hits; /* decided from memory */
};
struct classifier_stats classifier_stats(const struct classifier *classifier);

/* --- why --- */

enum rule_condition {
    CONDITION_MX,
    CONDITION_STAGE,
    CONDITION_STATUS,
    CONDITION_REPLY,
    CONDITION_TEXT,
    CONDITION_COUNT
};
extern const char *const rule_condition_names[CONDITION_COUNT];

/* A rule that was tried. */
struct rule_trial {
    const struct verdict *verdict; /* what it says */
    int line;
    unsigned mismatch; /* bits of the conditions that do not hold; 0: it decided */
};

#define EXPLAINED_TEXT_MAX 4096

/* The facts as the rules see them. */
struct explanation {
    struct status_code status; /* cls 0: none */
    int reply;                 /* 0: none; 400, 500: only the class is known, from the status */
    struct str mx, stage;      /* of all names that rules speak of, that of the facts; or null */
    struct verdict verdict;
    bool by_rule; /* false: no rule matched, so a code decided */
    size_t text_len;
    char text[EXPLAINED_TEXT_MAX];
};

/* Tells of every rule in order, up to the one that decides. */
void classify_explained(struct classifier *classifier, const struct bounce_facts *facts,
                        void (*tell)(void *context, const struct rule_trial *trial), void *context,
                        struct explanation *ret_explanation);
