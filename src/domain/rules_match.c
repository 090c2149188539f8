/* Matching one set of facts against compiled rules. */
#include "domain/rules.h"

/* Steps of backtracking one text may cost: a bad pattern loses its match, not the worker's time. */
#define MATCH_LIMIT 100000

static size_t lower_into(char *ret_text, size_t max, struct str text)
{
    size_t len = text.len < max ? text.len : max;
    for (size_t i = 0; i < len; i++)
        ret_text[i] = ascii_lower(text.data[i]);
    return len;
}

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

void subject_of_facts(const struct bounce_facts *facts, struct subject *ret_subject)
{
    struct subject *subject = ret_subject;
    struct status_code found;
    struct str text = reply_text(facts->diagnostic);
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
    while (mx.len && mx.data[mx.len - 1] == '.')
        mx.len--;
    subject->mx_len = mx.len <= HOST_MAX ? lower_into(subject->mx, HOST_MAX, mx) : 0;
    subject->stage_len = lower_into(subject->stage, STAGE_MAX, first_word(facts->stage));
    subject->text_len = reply_normalise(text, subject->text);
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
void matcher_init(struct matcher *matcher)
{
    pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
    matcher->data = pcre2_match_data_create(1, general);
    matcher->context = pcre2_match_context_create(general);
    pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
    pcre2_general_context_free(general);
}

void matcher_deinit(struct matcher *matcher)
{
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
}

static bool mx_matches(const struct rule *rule, const struct subject *subject)
{
    for (int i = 0; i < rule->mx_count; i++) {
        struct str suffix = rule->mx[i];
        if (suffix.len > subject->mx_len)
            continue;
        size_t at = subject->mx_len - suffix.len;
        if (memcmp(subject->mx + at, suffix.data, suffix.len) == 0 &&
            (at == 0 || subject->mx[at - 1] == '.'))
            return true;
    }
    return rule->mx_count == 0;
}

static bool stage_matches(const struct rule *rule, const struct subject *subject)
{
    for (int i = 0; i < rule->stage_count; i++)
        if (str_equal(rule->stages[i], (struct str){subject->stage, subject->stage_len}))
            return true;
    return rule->stage_count == 0;
}

static bool status_matches(const struct rule *rule, const struct status_code *code)
{
    for (int i = 0; i < rule->status_count; i++) {
        const struct status_range *range = &rule->statuses[i];
        if (range->cls == NO_STATUS && !code->cls)
            return true;
        if (code->cls && (range->cls == 0 || range->cls == code->cls) &&
            code->subject >= range->subject_min && code->subject <= range->subject_max &&
            code->detail >= range->detail_min && code->detail <= range->detail_max)
            return true;
    }
    return rule->status_count == 0;
}

static bool reply_matches(const struct rule *rule, int reply)
{
    for (int i = 0; i < rule->reply_count; i++)
        if (reply >= rule->replies[i].min && reply <= rule->replies[i].max)
            return true;
    return rule->reply_count == 0;
}

static bool text_matches(struct matcher *matcher, const struct rule *rule,
                         const struct subject *subject)
{
    if (!rule->text)
        return true;
    uint32_t options = PCRE2_NO_UTF_CHECK;
    PCRE2_SPTR text = (PCRE2_SPTR)subject->text;
    int rc = pcre2_match(rule->text, text, subject->text_len, 0, options, matcher->data,
                         matcher->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(rule->text, text, subject->text_len, 0, options | PCRE2_NO_JIT,
                         matcher->data, matcher->context);
    return rc >= 0;
}

bool rule_matches(struct matcher *matcher, const struct rule *rule, const struct subject *subject)
{
    return reply_matches(rule, subject->reply) && status_matches(rule, &subject->status) &&
           stage_matches(rule, subject) && mx_matches(rule, subject) &&
           text_matches(matcher, rule, subject);
}

const struct rule *rules_decide(struct matcher *matcher, const struct rule_set *rules,
                                const struct subject *subject)
{
    for (int i = 0; i < rules->rule_count; i++)
        if (rule_matches(matcher, &rules->rules[i], subject))
            return &rules->rules[i];
    return NULL;
}
