/*
 * The order of the decision: rules, then the enhanced code, then the reply code. Verdicts are
 * cached: the same few replies make up most of the bounces of any day.
 */
#include "domain/classify.h"

#include "base/hash.h"
#include "domain/codes.h"
#include "domain/rules.h"

#define CACHE_SETS 256 /* a power of two */
#define CACHE_WAYS 4
#define CACHE_KEY_MAX 448 /* octets of all facts; longer ones are not cached */

struct cache_entry {
    uint64_t hash;
    size_t key_len; /* 0: empty */
    struct verdict verdict;
    char key[CACHE_KEY_MAX];
};

struct cache_set {
    struct cache_entry entries[CACHE_WAYS];
    unsigned next; /* to be replaced */
};

struct classifier {
    const struct rule_set *rules;
    struct matcher matcher;
    struct subject subject;
    struct cache_set cache[CACHE_SETS];
};

struct classifier *classifier_new(const struct rule_set *rules)
{
    struct classifier *classifier = mem_zalloc(sizeof(*classifier));
    classifier->rules = rules;
    matcher_init(&classifier->matcher);
    return classifier;
}

void classifier_free(struct classifier *classifier)
{
    if (!classifier)
        return;
    matcher_deinit(&classifier->matcher);
    mem_free(classifier);
}

static bool add(char key[CACHE_KEY_MAX], size_t *len, const void *data, size_t size)
{
    if (size > CACHE_KEY_MAX - *len)
        return false;
    if (size)
        memcpy(key + *len, data, size);
    *len += size;
    return true;
}

/* All facts as one run of octets, lengths first; 0 if they are too long to be cached. */
static size_t cache_key(const struct bounce_facts *facts, char ret_key[CACHE_KEY_MAX])
{
    const struct str parts[] = {facts->status, facts->diagnostic, facts->remote_mta, facts->stage};
    size_t len = 0;
    if (!add(ret_key, &len, &facts->reply_code, sizeof(facts->reply_code)))
        return 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].len > CACHE_KEY_MAX ||
            !add(ret_key, &len, &(uint16_t){(uint16_t)parts[i].len}, sizeof(uint16_t)) ||
            !add(ret_key, &len, parts[i].data, parts[i].len))
            return 0;
    return len;
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

static struct verdict decide(struct classifier *classifier, const struct bounce_facts *facts)
{
    subject_of_facts(facts, &classifier->subject);
    const struct rule *rule =
        rules_decide(&classifier->matcher, classifier->rules, &classifier->subject);
    return rule ? rule->verdict : verdict_of_codes(&classifier->subject);
}

static struct cache_entry *find_entry(struct cache_set *set, uint64_t hash, const char *key,
                                      size_t len)
{
    for (int i = 0; i < CACHE_WAYS; i++) {
        struct cache_entry *entry = &set->entries[i];
        if (entry->hash == hash && entry->key_len == len && memcmp(entry->key, key, len) == 0)
            return entry;
    }
    return NULL;
}

void classify(struct classifier *classifier, const struct bounce_facts *facts,
              struct verdict *ret_verdict)
{
    char key[CACHE_KEY_MAX];
    size_t len = cache_key(facts, key);
    if (!len) {
        *ret_verdict = decide(classifier, facts);
        return;
    }
    uint64_t hash = hash_xxh3(key, len);
    struct cache_set *set = &classifier->cache[hash & (CACHE_SETS - 1)];
    struct cache_entry *entry = find_entry(set, hash, key, len);
    if (!entry) {
        entry = &set->entries[set->next++ % CACHE_WAYS];
        entry->verdict = decide(classifier, facts);
        entry->hash = hash;
        entry->key_len = len;
        memcpy(entry->key, key, len);
    }
    *ret_verdict = entry->verdict;
}
