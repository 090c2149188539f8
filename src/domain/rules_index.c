/* What a set of rules is as a whole: names, literals, rules that others shadow. */
#include "domain/rules.h"

static void index_names(struct rule_set *set)
{
    size_t mx_count = 0, stage_count = 0;
    for (int i = 0; i < set->rule_count; i++) {
        mx_count += (size_t)set->rules[i].mx_count;
        stage_count += (size_t)set->rules[i].stage_count;
    }
    struct str *mx = arena_alloc(&set->arena, mx_count * sizeof(*mx));
    struct str *stages = arena_alloc(&set->arena, stage_count * sizeof(*stages));
    mx_count = stage_count = 0;
    for (int i = 0; i < set->rule_count; i++) {
        const struct rule *rule = &set->rules[i];
        for (int j = 0; j < rule->mx_count; j++)
            mx[mx_count++] = rule->mx[j];
        for (int j = 0; j < rule->stage_count; j++)
            stages[stage_count++] = rule->stages[j];
    }
    names_make(mx, (int)mx_count, &set->mx);
    names_make(stages, (int)stage_count, &set->stages);
}

static void index_literals(struct rule_set *set, const struct pattern *patterns)
{
    int count = 0;
    for (int i = 0; i < set->clause_count; i++)
        count += patterns[i].literal_count;
    struct literal *literals = arena_alloc(&set->arena, (size_t)count * sizeof(*literals));
    set->word_count = (size_t)set->clause_count / 64 + 1;
    set->always = arena_alloc(&set->arena, set->word_count * sizeof(*set->always));
    memset(set->always, 0, set->word_count * sizeof(*set->always));
    count = 0;
    for (int i = 0; i < set->clause_count; i++) {
        if (patterns[i].literal_count == 0)
            set->always[i / 64] |= (uint64_t)1 << (i % 64);
        for (int j = 0; j < patterns[i].literal_count; j++)
            literals[count++] = (struct literal){patterns[i].literals[j], i};
    }
    literals_build(&set->arena, literals, count, &set->literals);
}

void rules_index(struct rule_set *set, const struct pattern *patterns)
{
    index_names(set);
    index_literals(set, patterns);
}

/* --- shadows --- */

/* A condition that is a list: the earlier one is empty, or has for each item of the later one an
 * item that covers it. */
#define COVERS(earlier, later, count, covers_item)                                                 \
    bool covered = (earlier)->count == 0 || (later)->count > 0;                                    \
    for (int i = 0; covered && (earlier)->count > 0 && i < (later)->count; i++) {                  \
        covered = false;                                                                           \
        for (int j = 0; !covered && j < (earlier)->count; j++)                                     \
            covered = covers_item;                                                                 \
    }                                                                                              \
    return covered

static bool mx_covers(const struct rule *earlier, const struct rule *later)
{
    COVERS(earlier, later, mx_count, names_ends_in(later->mx[i], earlier->mx[j]));
}

static bool stage_covers(const struct rule *earlier, const struct rule *later)
{
    COVERS(earlier, later, stage_count, str_equal(later->stages[i], earlier->stages[j]));
}

static bool status_covers(const struct rule *earlier, const struct rule *later)
{
    COVERS(earlier, later, status_count,
           status_range_covers(&earlier->statuses[j], &later->statuses[i]));
}

static bool reply_covers(const struct rule *earlier, const struct rule *later)
{
    COVERS(earlier, later, reply_count,
           reply_range_covers(&earlier->replies[j], &later->replies[i]));
}

/* A clause without a pattern has an empty text. */
static bool text_covers(const struct pattern *earlier, int earlier_count,
                        const struct pattern *later, int later_count)
{
    for (int i = 0; i < later_count; i++) {
        bool covered = false;
        for (int j = 0; j < earlier_count; j++)
            covered |= !earlier[j].text.len || str_equal(later[i].text, earlier[j].text);
        if (!covered)
            return false;
    }
    return true;
}

const struct rule *rules_shadow(const struct rule_set *set, const struct pattern *patterns,
                                const struct rule *later)
{
    for (const struct rule *earlier = set->rules; earlier < later; earlier++)
        if (mx_covers(earlier, later) && stage_covers(earlier, later) &&
            status_covers(earlier, later) && reply_covers(earlier, later) &&
            text_covers(&patterns[earlier->clauses - set->clauses], earlier->clause_count,
                        &patterns[later->clauses - set->clauses], later->clause_count))
            return earlier;
    return NULL;
}
