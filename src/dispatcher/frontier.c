#include "dispatcher/frontier.h"

#include <stdio.h>

void frontier_init(struct frontier *frontier)
{
    *frontier = (struct frontier){.count = 1, .steps = {{0, TIMER_PLACE_FIRST}}};
}

/* The step that counts for an offset. */
static const struct frontier_step *step_of(const struct frontier *frontier, int64_t offset)
{
    int i = frontier->count - 1;
    while (i > 0 && frontier->steps[i].from_offset > offset)
        i--;
    return &frontier->steps[i];
}

bool frontier_passed(const struct frontier *frontier, struct timer_place place)
{
    return timer_place_compare(place, step_of(frontier, place.offset)->reached) <= 0;
}

void frontier_advance(struct frontier *frontier, struct timer_place place)
{
    int i = frontier->count;
    while (i > 0 && timer_place_compare(frontier->steps[i - 1].reached, place) <= 0)
        i--;
    if (i == frontier->count)
        return;                         /* every step is beyond it already */
    frontier->steps[i].reached = place; /* and so have all after it: one step */
    frontier->count = i + 1;
}

bool frontier_step_down(struct frontier *frontier, int64_t from_offset, int64_t due_ms)
{
    if (frontier->count == FRONTIER_STEPS_MAX)
        return false;
    frontier->steps[frontier->count++] = (struct frontier_step){from_offset, {due_ms, 0}};
    return true;
}

size_t frontier_format(const struct frontier *frontier, char ret_text[FRONTIER_TEXT_MAX])
{
    size_t len = 0;
    for (int i = 0; i < frontier->count; i++) {
        const struct frontier_step *step = &frontier->steps[i];
        if (i > 0)
            len += (size_t)snprintf(ret_text + len, FRONTIER_TEXT_MAX - len,
                                    "/%lld:", (long long)step->from_offset);
        len += (size_t)snprintf(ret_text + len, FRONTIER_TEXT_MAX - len, "%lld,%lld",
                                (long long)step->reached.due_ms, (long long)step->reached.offset);
    }
    return len;
}

static bool parse_number(struct str *inout_text, int64_t *ret_number)
{
    struct str text = *inout_text;
    bool minus = text.len && text.data[0] == '-';
    size_t at = minus ? 1 : 0, start = at;
    int64_t number = 0;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        int digit = text.data[at] - '0';
        if (number > (INT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (at == start)
        return false;
    *ret_number = minus ? -number : number;
    *inout_text = (struct str){text.data + at, text.len - at};
    return true;
}

static bool parse_char(struct str *inout_text, char wanted)
{
    if (!inout_text->len || inout_text->data[0] != wanted)
        return false;
    *inout_text = (struct str){inout_text->data + 1, inout_text->len - 1};
    return true;
}

bool frontier_parse(struct str text, struct frontier *ret_frontier)
{
    struct frontier frontier = {0};
    do {
        struct frontier_step step = {0};
        if (frontier.count == FRONTIER_STEPS_MAX ||
            (frontier.count > 0 &&
             !(parse_number(&text, &step.from_offset) && parse_char(&text, ':'))) ||
            !parse_number(&text, &step.reached.due_ms) || !parse_char(&text, ',') ||
            !parse_number(&text, &step.reached.offset))
            return false;
        if (frontier.count > 0) {
            const struct frontier_step *before = &frontier.steps[frontier.count - 1];
            if (step.from_offset <= before->from_offset ||
                timer_place_compare(step.reached, before->reached) >= 0)
                return false;
        }
        frontier.steps[frontier.count++] = step;
    } while (parse_char(&text, '/'));
    if (text.len)
        return false;
    *ret_frontier = frontier;
    return true;
}
