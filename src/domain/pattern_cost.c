#include "domain/pattern_cost.h"

#include "domain/normalise.h"
#include "domain/pattern.h"

/* --- parts --- */

struct part part_of_assertion(struct arena *arena)
{
    return (struct part){.paths = 1,
                         .ways = 1,
                         .assertion = true,
                         .exact = set_of(arena, STR("")),
                         .need = SET_UNKNOWN};
}

struct part part_of_class(void)
{
    return (struct part){.paths = 1,
                         .ways = 1,
                         .len_min = 1,
                         .of_class = true,
                         .exact = SET_UNKNOWN,
                         .need = SET_UNKNOWN};
}

struct part part_of_literal(struct arena *arena, char c)
{
    struct part part = part_of_class();
    char lower = ascii_lower(c);
    part.first.has[(unsigned char)lower & 0x7f] = true;
    part.exact = set_of(arena, (struct str){&lower, 1});
    return part;
}

void part_repeat(struct arena *arena, struct part *part, int min, int max)
{
    double ways = 0, steps = 0, power = 1; /* ways of the repetitions so far */
    double paths = 0, paths_power = 1;
    int rounds_max = NORMALISED_MAX / (part->len_min ? part->len_min : 1) + 1;
    for (int i = 0; i <= max && i <= rounds_max && steps <= PATTERN_STEPS_MAX; i++) {
        if (i >= min) {
            ways += power;
            paths += paths_power;
        }
        steps += power * (part->steps + 1);
        power *= part->ways;
        paths_power *= part->paths;
    }
    struct string_set once = part->exact;
    part->paths = paths;
    part->ways = ways;
    part->steps = steps;
    part->entry += 2;
    part->len_min =
        min < NORMALISED_MAX / (part->len_min + 1) ? min * part->len_min : NORMALISED_MAX;
    if (min == 0) {
        struct string_set nothing = set_of(arena, STR(""));
        part->exact = max == 1 ? set_union(arena, &nothing, &once, SET_EXACT_MAX) : SET_UNKNOWN;
        part->need = SET_UNKNOWN;
        return;
    }
    if (once.known)
        part->need = once;
    for (int i = 1; i < min && part->exact.known; i++)
        part->exact = set_product(arena, &part->exact, &once);
    if (min != max)
        part->exact = SET_UNKNOWN;
}

/* --- sequences and groups --- */

static struct sequence empty_sequence(struct arena *arena)
{
    return (struct sequence){
        .paths = 1,
        .ways = 1,
        .open = 1,
        .whole = true,
        .run = set_of(arena, STR("")),
        .need = SET_UNKNOWN,
    };
}

void group_begin(struct arena *arena, bool lookaround, struct group *ret_group)
{
    *ret_group = (struct group){.lookaround = lookaround, .last = empty_sequence(arena)};
}

void group_append(struct arena *arena, struct group *group, const struct part *part)
{
    struct sequence *last = &group->last;
    last->steps += last->ways * part->entry;
    /* What repeats a class ends in one way only where a character outside of it must follow. */
    if (last->open > 1 && part->len_min > 0 && !chars_overlap(&part->first, &last->open_set))
        last->ways /= last->open;
    if (!part->assertion) {
        last->open = part->of_class ? part->ways : 1;
        last->open_set = part->first;
    }
    if (last->len_min == 0) {
        chars_add(&last->first, &part->first);
        last->entry += part->entry;
    }
    last->steps += last->ways * part->steps;
    last->paths *= part->paths;
    last->ways *= part->ways;
    last->len_min += part->len_min;
    struct string_set joined = set_product(arena, &last->run, &part->exact);
    if (joined.known) {
        last->run = joined;
        return;
    }
    last->need = *set_better(&last->need, &last->run);
    last->need = *set_better(&last->need, &part->need);
    last->whole = false;
    last->run = part->exact.known ? part->exact : set_of(arena, STR(""));
}

static void end_alternative(struct arena *arena, struct group *group)
{
    struct sequence *last = &group->last;
    struct string_set exact = last->whole ? last->run : SET_UNKNOWN;
    const struct string_set *need = set_better(&last->need, &last->run);
    bool first = group->count++ == 0;
    group->paths += last->paths;
    group->entry += 1 + last->entry;
    for (int c = 0; c < CHARS_COUNT; c++) {
        bool possible = last->len_min == 0 || last->first.has[c];
        group->ways[c] += possible ? last->ways : 0;
        group->steps[c] += 1 + (possible ? last->steps : last->entry);
    }
    chars_add(&group->first, &last->first);
    group->len_min = first || last->len_min < group->len_min ? last->len_min : group->len_min;
    group->exact = first ? exact : set_union(arena, &group->exact, &exact, SET_EXACT_MAX);
    group->need = first ? *need : set_union(arena, &group->need, need, SET_NEED_MAX);
}

void group_next(struct arena *arena, struct group *group)
{
    end_alternative(arena, group);
    group->last = empty_sequence(arena);
}

static double greatest(const double values[CHARS_COUNT])
{
    double max = 0;
    for (int c = 0; c < CHARS_COUNT; c++)
        max = values[c] > max ? values[c] : max;
    return max;
}

struct part group_close(struct arena *arena, struct group *group)
{
    end_alternative(arena, group);
    struct part part = {
        .paths = group->paths,
        .ways = greatest(group->ways),
        .steps = greatest(group->steps) + 1,
        .entry = group->entry + 1,
        .len_min = group->len_min,
        .first = group->first,
        .exact = group->exact,
        .need = group->need,
    };
    /* Of different strings only those match at one place that begin with each other. */
    if (part.exact.known && part.paths == part.exact.count && set_chain(&part.exact) < part.ways)
        part.ways = set_chain(&part.exact);
    if (group->lookaround) { /* atomic, and it takes nothing */
        part.first = (struct char_set){{false}};
        part.paths = part.ways = 1;
        part.entry = part.steps;
        part.len_min = 0;
        part.assertion = true;
        part.exact = set_of(arena, STR(""));
        part.need = SET_UNKNOWN;
    }
    return part;
}
