/*
 * The order of the decision: rules, then the enhanced code, then the reply code. Verdicts are
 * remembered by subject, which is all that they depend on: the same few replies, but for the names
 * and numbers in them, make up most of the bounces of any day.
 */
#include "domain/classify.h"

#include "base/hash.h"
#include "domain/codes.h"
#include "domain/rules.h"
#include "domain/verdict_cache.h"

_Static_assert(EXPLAINED_TEXT_MAX == NORMALISED_MAX, "the same text");
_Static_assert(offsetof(struct subject, text) == 8 * sizeof(int),
               "a key has no octets that are not set");

struct classifier {
    struct matcher matcher;
    struct subject subject;
    struct verdict_cache *cache;
    struct classifier_stats stats;
};

const char *const rule_condition_names[CONDITION_COUNT] = {
    [CONDITION_MX] = "mx",       [CONDITION_STAGE] = "stage", [CONDITION_STATUS] = "status",
    [CONDITION_REPLY] = "reply", [CONDITION_TEXT] = "text",
};

struct classifier *classifier_new(const struct rule_set *rules)
{
    struct classifier *classifier = mem_zalloc(sizeof(*classifier));
    classifier->cache = verdict_cache_new();
    matcher_init(&classifier->matcher, rules);
    return classifier;
}

void classifier_free(struct classifier *classifier)
{
    if (!classifier)
        return;
    matcher_deinit(&classifier->matcher);
    verdict_cache_free(classifier->cache);
    mem_free(classifier);
}

void classifier_use(struct classifier *classifier, const struct rule_set *rules)
{
    matcher_deinit(&classifier->matcher);
    matcher_init(&classifier->matcher, rules);
    verdict_cache_clear(classifier->cache);
}

struct classifier_stats classifier_stats(const struct classifier *classifier)
{
    return classifier->stats;
}

/*
 * x.0.0 and x.4.7 are often made up by the reporting MTA. When the remote gave a reply code and no
 * enhanced one, its reply code decides, unless that only says "later" where time ran out.
 */
static bool reply_says_more(const struct subject *subject, const struct verdict *of_code,
                            struct verdict *ret_verdict)
{
    const struct status_code *code = &subject->status;
    bool undefined = code->subject == 0 && code->detail == 0;
    bool expired = code->subject == 4 && code->detail == 7;
    struct verdict verdict;
    if (!(undefined || expired) || !reply_verdict(subject->bare_reply, &verdict) ||
        verdict.bounce_class == CLASS_UNKNOWN || verdict.bounce_class == of_code->bounce_class)
        return false;
    *ret_verdict = verdict;
    return true;
}

/* What is left when no rule matches. */
static struct verdict verdict_of_codes(const struct subject *subject)
{
    struct verdict verdict = {CLASS_UNKNOWN, REASON_OTHER, STR("none")};
    if (code_verdict(&subject->status, &verdict))
        (void)reply_says_more(subject, &verdict, &verdict);
    else
        (void)reply_verdict(subject->reply, &verdict);
    return verdict;
}

static struct verdict decide(struct classifier *classifier)
{
    const struct rule *rule = rules_decide(&classifier->matcher, &classifier->subject);
    return rule ? rule->verdict : verdict_of_codes(&classifier->subject);
}

void classify(struct classifier *classifier, const struct bounce_facts *facts,
              struct verdict *ret_verdict)
{
    struct subject *subject = &classifier->subject;
    matcher_subject(&classifier->matcher, facts, subject);
    struct str key = {(const char *)subject,
                      offsetof(struct subject, text) + (size_t)subject->text_len};
    uint64_t hash = hash_xxh3(key.data, key.len);
    classifier->stats.calls++;
    if (verdict_cache_find(classifier->cache, key, hash, ret_verdict)) {
        classifier->stats.hits++;
        return;
    }
    *ret_verdict = decide(classifier);
    verdict_cache_put(classifier->cache, key, hash, ret_verdict);
}

void classify_afresh(struct classifier *classifier, const struct bounce_facts *facts,
                     struct verdict *ret_verdict)
{
    matcher_subject(&classifier->matcher, facts, &classifier->subject);
    *ret_verdict = decide(classifier);
}

static struct str name_of(const struct names *names, int name)
{
    return name == NAME_NONE ? STR_NULL : names->items[name];
}

void classify_explained(struct classifier *classifier, const struct bounce_facts *facts,
                        void (*tell)(void *context, const struct rule_trial *trial), void *context,
                        struct explanation *ret_explanation)
{
    const struct rule_set *set = classifier->matcher.rules;
    const struct subject *subject = &classifier->subject;
    matcher_subject(&classifier->matcher, facts, &classifier->subject);
    *ret_explanation = (struct explanation){
        .status = subject->status,
        .reply = subject->reply,
        .mx = name_of(&set->mx, subject->mx),
        .stage = name_of(&set->stages, subject->stage),
        .verdict = verdict_of_codes(subject),
        .text_len = (size_t)subject->text_len,
    };
    memcpy(ret_explanation->text, subject->text, ret_explanation->text_len);
    for (int i = 0; i < set->rule_count; i++) {
        const struct rule *rule = &set->rules[i];
        struct rule_trial trial = {
            .verdict = &rule->verdict,
            .line = rule->line,
            .mismatch = rule_mismatch(&classifier->matcher, rule, subject),
        };
        tell(context, &trial);
        if (trial.mismatch == 0) {
            ret_explanation->verdict = rule->verdict;
            ret_explanation->by_rule = true;
            break;
        }
    }
}
