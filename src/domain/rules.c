/* Loading rules: compiling their conditions, then proving what can be proven: no pattern takes
 * long, no rule is shadowed by another, every sample is decided as it says. */
#include "domain/rules.h"

#include <ctype.h>
#include <stdio.h>

#define LIST_MAX 64

struct loader {
    const char *file;
    const struct rule_source *source; /* the rule being compiled */
    struct rule_set *set;
    struct pattern *patterns; /* of the set's clauses */
    int clause_max;           /* how many there is room for */
    struct arena scratch;     /* theirs */
    struct err *err;
};

static enum rcode fail_at(const struct loader *loader, int line, const char *what,
                          struct str detail)
{
    const struct rule_source *source = loader->source;
    return err_set(loader->err, E_RULES, "%s:%d: rule %.*s: %s%s%.*s", loader->file,
                   line ? line : source->line, STR_ARG(source->id), what, detail.len ? ": " : "",
                   STR_ARG(detail));
}

static enum rcode fail(const struct loader *loader, const char *what, struct str detail)
{
    return fail_at(loader, 0, what, detail);
}

static struct str trim(struct str text)
{
    while (text.len && isspace((unsigned char)text.data[0]))
        text.data++, text.len--;
    while (text.len && isspace((unsigned char)text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Splits a comma-separated condition into `items`; -1 if one is empty or there are too many. */
static int split(struct str list, struct str items[LIST_MAX])
{
    int count = 0;
    list = trim(list);
    if (!list.len)
        return 0;
    for (;;) {
        const char *comma = memchr(list.data, ',', list.len);
        struct str item = {list.data, comma ? (size_t)(comma - list.data) : list.len};
        if (count == LIST_MAX)
            return -1;
        items[count] = trim(item);
        if (!items[count++].len)
            return -1;
        if (!comma)
            return count;
        list.data += item.len + 1;
        list.len -= item.len + 1;
    }
}

/* A copy in lower case, without dots at the ends. */
static struct str name_copy(struct arena *arena, struct str text)
{
    while (text.len && text.data[0] == '.')
        text.data++, text.len--;
    while (text.len && text.data[text.len - 1] == '.')
        text.len--;
    char *copy = arena_alloc(arena, text.len);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = ascii_lower(text.data[i]);
    return (struct str){copy, text.len};
}

static enum rcode compile_names(struct loader *loader, const char *what, struct str list,
                                struct str **ret_names, int *ret_count)
{
    struct str items[LIST_MAX];
    int count = split(list, items);
    if (count < 0)
        return fail(loader, what, list);
    *ret_names = arena_alloc(&loader->set->arena, (size_t)count * sizeof(**ret_names));
    for (int i = 0; i < count; i++) {
        (*ret_names)[i] = name_copy(&loader->set->arena, items[i]);
        if (!(*ret_names)[i].len)
            return fail(loader, what, list);
    }
    *ret_count = count;
    return OK;
}

static enum rcode compile_codes(struct loader *loader, struct rule *rule)
{
    const struct rule_source *source = loader->source;
    struct str items[LIST_MAX];
    int count = split(source->status, items);
    if (count < 0)
        return fail(loader, "status is no list of patterns such as x.2.1", source->status);
    rule->statuses = arena_alloc(&loader->set->arena, (size_t)count * sizeof(*rule->statuses));
    for (rule->status_count = 0; rule->status_count < count; rule->status_count++)
        if (!status_range_parse(items[rule->status_count], &rule->statuses[rule->status_count]))
            return fail(loader, "status is no pattern such as x.2.1 or 5.7.501-513",
                        items[rule->status_count]);
    count = split(source->reply, items);
    if (count < 0)
        return fail(loader, "reply is no list of reply codes", source->reply);
    rule->replies = arena_alloc(&loader->set->arena, (size_t)count * sizeof(*rule->replies));
    for (rule->reply_count = 0; rule->reply_count < count; rule->reply_count++)
        if (!reply_range_parse(items[rule->reply_count], &rule->replies[rule->reply_count]))
            return fail(loader, "reply is no reply code such as 450 or 55x",
                        items[rule->reply_count]);
    return OK;
}

/* --- text --- */

static enum rcode fail_text(const struct loader *loader, size_t at, const char *reason)
{
    const struct rule_source *source = loader->source;
    int line = source->text_line;
    size_t start = 0;
    for (size_t i = 0; i < at && i < source->text.len; i++) {
        if (source->text.data[i] != '\n')
            continue;
        line++;
        start = i + 1;
    }
    char detail[320];
    snprintf(detail, sizeof(detail), "%s (character %zu)", reason, at - start + 1);
    return fail_at(loader, line, "text", str_of(detail));
}

/* A clause of the rule, with room for it made. */
static struct clause *add_clause(struct loader *loader, struct rule *rule,
                                 const struct pattern *pattern)
{
    struct rule_set *set = loader->set;
    if (set->clause_count == loader->clause_max) {
        loader->clause_max = 2 * loader->clause_max + 64;
        size_t max = (size_t)loader->clause_max;
        set->clauses = mem_realloc(set->clauses, max * sizeof(*set->clauses));
        loader->patterns = mem_realloc(loader->patterns, max * sizeof(*loader->patterns));
    }
    struct clause *clause = &set->clauses[set->clause_count];
    loader->patterns[set->clause_count++] = *pattern;
    *clause = (struct clause){.rule = rule};
    rule->clause_count++;
    return clause;
}

static enum rcode compile_clause(struct loader *loader, struct rule *rule,
                                 const struct pattern *pattern)
{
    size_t start = (size_t)(pattern->text.data - loader->source->text.data), at;
    int error;
    if (pattern->steps > PATTERN_STEPS_MAX)
        return fail_text(loader, start,
                         "could backtrack for too long: give its quantifiers smaller limits, as in "
                         ".{0,60}, and let none follow upon another or stand within one");
    struct clause *clause = add_clause(loader, rule, pattern);
    clause->code = pcre2_compile((PCRE2_SPTR)pattern->text.data, pattern->text.len,
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS | PCRE2_NO_AUTO_CAPTURE |
                                     PCRE2_NEVER_BACKSLASH_C,
                                 &error, &at, NULL);
    if (!clause->code) {
        char reason[160];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof(reason));
        return fail_text(loader, start + at, reason);
    }
    /* Without JIT the same matches are found, only later. */
    (void)pcre2_jit_compile(clause->code, PCRE2_JIT_COMPLETE);
    return OK;
}

static enum rcode compile_text(struct loader *loader, struct rule *rule)
{
    struct str text = loader->source->text;
    struct pattern *patterns;
    struct err err;
    size_t at;
    int count;
    while (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    if (!text.len) {
        (void)add_clause(loader, rule, &(struct pattern){.text = STR("")});
        return OK;
    }
    if (pattern_split(&loader->scratch, text, &patterns, &count, &at, &err) != OK)
        return fail_text(loader, at, err.text);
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < count; i++)
        rc = compile_clause(loader, rule, &patterns[i]);
    return rc;
}

/* --- a rule --- */

static bool is_id(struct str id)
{
    if (!id.len || id.len > RULE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!isalnum((unsigned char)id.data[i]) && !memchr("._-", id.data[i], 3))
            return false;
    return true;
}

/* Ids of the tables behind the rules, which a rule may not take. */
static bool is_reserved(struct str id)
{
    return str_equal(id, STR("none")) || (id.len > 5 && memcmp(id.data, "code.", 5) == 0) ||
           (id.len > 6 && memcmp(id.data, "reply.", 6) == 0);
}

static int index_caseless(const char *const *names, int count, struct str name, bool upper)
{
    char folded[64];
    name = trim(name);
    if (name.len > sizeof(folded))
        return -1;
    for (size_t i = 0; i < name.len; i++)
        folded[i] = upper ? (char)toupper((unsigned char)name.data[i]) : ascii_lower(name.data[i]);
    return name_index(names, count, (struct str){folded, name.len});
}

static enum rcode compile_verdict(struct loader *loader, struct rule *rule)
{
    const struct rule_source *source = loader->source;
    if (!is_id(source->id))
        return fail(loader, "an id has 1 to 63 letters, digits, dots, hyphens, underscores",
                    STR_NULL);
    if (is_reserved(source->id))
        return fail(loader, "ids none, code.… and reply.… are taken", STR_NULL);
    for (int i = 0; i < loader->set->rule_count; i++)
        if (str_equal(loader->set->rules[i].verdict.rule, source->id)) {
            char where[32];
            snprintf(where, sizeof(where), "line %d", loader->set->rules[i].line);
            return fail(loader, "the id is taken already", str_of(where));
        }
    int class = index_caseless(bounce_class_names, BOUNCE_CLASS_COUNT, source->class_name, true);
    if (class < 0)
        return fail(loader, "unknown class", source->class_name);
    int reason = index_caseless(reason_names, REASON_COUNT, source->reason_name, false);
    if (reason < 0)
        return fail(loader, "unknown reason", source->reason_name);
    rule->verdict = (struct verdict){
        .bounce_class = (enum bounce_class) class,
        .reason = (enum reason)reason,
        .rule = arena_str(&loader->set->arena, source->id),
    };
    return OK;
}

/* Adds the rule to the set even when it fails, so that rule_set_free finds what was made of it. */
static enum rcode compile_rule(struct loader *loader)
{
    const struct rule_source *source = loader->source;
    struct rule *rule = &loader->set->rules[loader->set->rule_count];
    *rule = (struct rule){.line = source->line};
    enum rcode rc = compile_verdict(loader, rule);
    loader->set->rule_count++;
    if (rc == OK)
        rc = compile_names(loader, "mx is no list of host names", source->mx, &rule->mx,
                           &rule->mx_count);
    if (rc == OK)
        rc = compile_names(loader, "stage is no list of SMTP stages", source->stage, &rule->stages,
                           &rule->stage_count);
    if (rc == OK)
        rc = compile_codes(loader, rule);
    if (rc == OK)
        rc = compile_text(loader, rule);
    if (rc == OK && source->positive_count < 1)
        rc = fail(loader, "needs at least one positive sample", STR_NULL);
    if (rc == OK && source->negative_count < 1)
        rc = fail(loader, "needs at least one negative sample", STR_NULL);
    return rc;
}

static enum rcode check_shadow(struct loader *loader, const struct rule *rule)
{
    const struct rule *shadow = rules_shadow(loader->set, loader->patterns, rule);
    if (!shadow)
        return OK;
    char where[RULE_ID_MAX + 32];
    snprintf(where, sizeof(where), "%.*s, line %d", STR_ARG(shadow->verdict.rule), shadow->line);
    return fail(loader, "can never decide, because an earlier rule matches all that it matches",
                str_of(where));
}

static enum rcode check_samples(struct loader *loader, struct matcher *matcher,
                                const struct rule *rule, struct subject *subject)
{
    const struct rule_source *source = loader->source;
    for (int i = 0; i < source->positive_count; i++) {
        const struct rule_sample *sample = &source->positive[i];
        matcher_subject(matcher, &sample->facts, subject);
        if (rule_mismatch(matcher, rule, subject))
            return fail_at(loader, sample->line, "a positive sample does not match",
                           sample->facts.diagnostic);
        const struct rule *found = rules_decide(matcher, subject);
        if (found != rule)
            return fail_at(loader, sample->line, "a positive sample is decided by an earlier rule",
                           found ? found->verdict.rule : STR("none"));
    }
    for (int i = 0; i < source->negative_count; i++) {
        const struct rule_sample *sample = &source->negative[i];
        matcher_subject(matcher, &sample->facts, subject);
        if (!rule_mismatch(matcher, rule, subject))
            return fail_at(loader, sample->line, "a negative sample matches",
                           sample->facts.diagnostic);
    }
    return OK;
}

static enum rcode check_rules(struct loader *loader, const struct rule_source *sources)
{
    struct rule_set *set = loader->set;
    struct matcher matcher;
    enum rcode rc = OK;
    struct clause *next = set->clauses; /* they have moved while they grew */
    for (int i = 0; i < set->rule_count; i++) {
        set->rules[i].clauses = next;
        next += set->rules[i].clause_count;
    }
    rules_index(set, loader->patterns);
    matcher_init(&matcher, set);
    struct subject *subject = arena_alloc(&loader->scratch, sizeof(*subject));
    for (int i = 0; rc == OK && i < set->rule_count; i++) {
        loader->source = &sources[i];
        rc = check_shadow(loader, &set->rules[i]);
    }
    for (int i = 0; rc == OK && i < set->rule_count; i++) {
        loader->source = &sources[i];
        rc = check_samples(loader, &matcher, &set->rules[i], subject);
    }
    matcher_deinit(&matcher);
    return rc;
}

enum rcode rule_set_new(const char *file, const struct rule_source *sources, int source_count,
                        struct rule_set **ret_rules, struct err *err)
{
    struct rule_set *set = mem_zalloc(sizeof(*set));
    struct loader loader = {.file = file, .set = set, .err = err};
    enum rcode rc = OK;
    arena_init(&set->arena);
    arena_init(&loader.scratch);
    set->rules = arena_alloc(&set->arena, (size_t)source_count * sizeof(*set->rules));
    for (int i = 0; rc == OK && i < source_count; i++) {
        loader.source = &sources[i];
        rc = compile_rule(&loader);
    }
    if (rc == OK)
        rc = check_rules(&loader, sources);
    mem_free(loader.patterns);
    arena_deinit(&loader.scratch);
    if (rc == OK)
        *ret_rules = set;
    else
        rule_set_free(set);
    return rc;
}

void rule_set_free(struct rule_set *rules)
{
    if (!rules)
        return;
    for (int i = 0; i < rules->clause_count; i++)
        pcre2_code_free(rules->clauses[i].code);
    mem_free(rules->clauses);
    arena_deinit(&rules->arena);
    mem_free(rules);
}
