/* Matching one set of facts against compiled rules. */
#include "domain/rules.h"

/* Never met: patterns that could are refused when they load (domain/pattern.h). */
#define MATCH_LIMIT (2 * PATTERN_STEPS_MAX)

/* The word a stage begins with: "RCPT TO" is rcpt. */
static struct str first_word(struct str text)
{
    size_t start = 0, end;
    if (!text.len)
        return text;
    while (start < text.len && (text.data[start] == ' ' || text.data[start] == '\t'))
        start++;
    for (end = start; end < text.len; end++)
        if (ascii_lower(text.data[end]) < 'a' || ascii_lower(text.data[end]) > 'z')
            break;
    return (struct str){text.data + start, end - start};
}

/* x.0.0 tells nothing and x.4.7 only that time ran out: a code within the text says more. */
static bool is_vague(const struct status_code *code)
{
    return code->cls == 0 || (code->subject == 0 && code->detail == 0) ||
           (code->subject == 4 && code->detail == 7);
}

void matcher_subject(struct matcher *matcher, const struct bounce_facts *facts,
                     struct subject *ret_subject)
{
    struct subject *subject = ret_subject;
    struct status_code found;
    struct str text = reply_text(facts->diagnostic, matcher->scratch);
    struct str mx = facts->remote_mta;
    subject->status = (struct status_code){0};
    if (facts->status.data)
        (void)status_parse(facts->status, &subject->status);
    bool coded = status_find(text, &found);
    if (coded && is_vague(&subject->status) && (!is_vague(&found) || subject->status.cls == 0))
        subject->status = found;
    int reply = reply_find(text);
    subject->bare_reply = coded ? 0 : reply;
    subject->reply = facts->reply_code ? facts->reply_code : reply;
    if (!subject->reply)
        subject->reply = 100 * subject->status.cls; /* the class alone: "4xx" matches it */
    subject->mx = mx.len <= HOST_MAX ? names_find_suffix(&matcher->rules->mx, mx) : NAME_NONE;
    subject->stage = names_find(&matcher->rules->stages, first_word(facts->stage));
    subject->text_len = (int)reply_normalise(text, subject->text);
}

static void *allocate(size_t size, void *unused)
{
    (void)unused;
    return mem_alloc(size);
}

static void release(void *memory, void *unused)
{
    (void)unused;
    mem_free(memory);
}

/* Never fails: mem_alloc does not return NULL. */
void matcher_init(struct matcher *matcher, const struct rule_set *rules)
{
    pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
    matcher->rules = rules;
    matcher->candidates = mem_alloc(rules->word_count * sizeof(*matcher->candidates));
    matcher->data = pcre2_match_data_create(1, general);
    matcher->context = pcre2_match_context_create(general);
    pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
    pcre2_general_context_free(general);
}

void matcher_deinit(struct matcher *matcher)
{
    mem_free(matcher->candidates);
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
}

static bool mx_matches(const struct rule_set *set, const struct rule *rule, int mx)
{
    for (int i = 0; mx != NAME_NONE && i < rule->mx_count; i++)
        if (names_ends_in(set->mx.items[mx], rule->mx[i]))
            return true;
    return rule->mx_count == 0;
}

static bool stage_matches(const struct rule_set *set, const struct rule *rule, int stage)
{
    for (int i = 0; stage != NAME_NONE && i < rule->stage_count; i++)
        if (str_equal(rule->stages[i], set->stages.items[stage]))
            return true;
    return rule->stage_count == 0;
}

static bool status_matches(const struct rule *rule, const struct status_code *code)
{
    for (int i = 0; i < rule->status_count; i++)
        if (status_range_holds(&rule->statuses[i], code))
            return true;
    return rule->status_count == 0;
}

static bool reply_matches(const struct rule *rule, int reply)
{
    for (int i = 0; i < rule->reply_count; i++)
        if (reply_range_holds(&rule->replies[i], reply))
            return true;
    return rule->reply_count == 0;
}

static bool clause_matches(struct matcher *matcher, const struct clause *clause,
                           const struct subject *subject)
{
    if (!clause->code)
        return true;
    uint32_t options = PCRE2_NO_UTF_CHECK;
    PCRE2_SPTR text = (PCRE2_SPTR)subject->text;
    size_t len = (size_t)subject->text_len;
    int rc = pcre2_match(clause->code, text, len, 0, options, matcher->data, matcher->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(clause->code, text, len, 0, options | PCRE2_NO_JIT, matcher->data,
                         matcher->context);
    return rc >= 0;
}

static bool text_matches(struct matcher *matcher, const struct rule *rule,
                         const struct subject *subject)
{
    for (int i = 0; i < rule->clause_count; i++)
        if (clause_matches(matcher, &rule->clauses[i], subject))
            return true;
    return false;
}

/* The conditions that cost nothing to try. */
static unsigned facts_mismatch(const struct rule_set *set, const struct rule *rule,
                               const struct subject *subject)
{
    return (unsigned)!mx_matches(set, rule, subject->mx) << CONDITION_MX |
           (unsigned)!stage_matches(set, rule, subject->stage) << CONDITION_STAGE |
           (unsigned)!status_matches(rule, &subject->status) << CONDITION_STATUS |
           (unsigned)!reply_matches(rule, subject->reply) << CONDITION_REPLY;
}

unsigned rule_mismatch(struct matcher *matcher, const struct rule *rule,
                       const struct subject *subject)
{
    return facts_mismatch(matcher->rules, rule, subject) |
           (unsigned)!text_matches(matcher, rule, subject) << CONDITION_TEXT;
}

const struct rule *rules_decide(struct matcher *matcher, const struct subject *subject)
{
    const struct rule_set *set = matcher->rules;
    const struct rule *refused = NULL; /* the last rule whose facts do not match */
    memcpy(matcher->candidates, set->always, set->word_count * sizeof(*set->always));
    literals_find(&set->literals, (struct str){subject->text, (size_t)subject->text_len},
                  matcher->candidates);
    for (size_t word = 0; word < set->word_count; word++)
        for (uint64_t bits = matcher->candidates[word]; bits; bits &= bits - 1) {
            const struct clause *clause = &set->clauses[64 * word + (size_t)__builtin_ctzll(bits)];
            if (clause->rule == refused)
                continue;
            if (facts_mismatch(set, clause->rule, subject))
                refused = clause->rule;
            else if (clause_matches(matcher, clause, subject))
                return clause->rule;
        }
    return NULL;
}
