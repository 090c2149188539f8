/* The frontier: which commands have left, told by one place, or by a few when clocks were set back
 * (dispatcher/frontier.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "dispatcher/frontier.h"

#define PLACE(due_ms_, offset_) ((struct timer_place){(due_ms_), (offset_)})

static void assert_text(const struct frontier *frontier, const char *expected)
{
    char text[FRONTIER_TEXT_MAX];
    size_t len = frontier_format(frontier, text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, expected);
}

static struct frontier parsed(const char *text)
{
    struct frontier frontier;
    if (!frontier_parse(str_of(text), &frontier))
        fail_msg("refused: %s", text);
    return frontier;
}

static void nothing_has_left_at_first(void **state)
{
    (void)state;
    struct frontier frontier;
    frontier_init(&frontier);
    assert_false(frontier_passed(&frontier, PLACE(0, 0)));
    assert_true(frontier_passed(&frontier, TIMER_PLACE_FIRST));
    assert_text(&frontier, "-1,-1");
}

static void places_are_passed_in_order(void **state)
{
    (void)state;
    struct frontier frontier;
    frontier_init(&frontier);
    frontier_advance(&frontier, PLACE(100, 7));
    assert_text(&frontier, "100,7");
    assert_true(frontier_passed(&frontier, PLACE(99, INT64_MAX)));
    assert_true(frontier_passed(&frontier, PLACE(100, 6)));
    assert_true(frontier_passed(&frontier, PLACE(100, 7)));
    assert_false(frontier_passed(&frontier, PLACE(100, 8)));
    assert_false(frontier_passed(&frontier, PLACE(101, 0)));
    frontier_advance(&frontier, PLACE(100, 3)); /* it never goes back */
    frontier_advance(&frontier, PLACE(5, 900));
    assert_text(&frontier, "100,7");
    frontier_advance(&frontier, PLACE(100, 8));
    assert_text(&frontier, "100,8");
}

static void a_step_down_counts_for_later_offsets_only(void **state)
{
    (void)state;
    struct frontier frontier = parsed("1000,40");
    assert_true(frontier_step_down(&frontier, 50, 600));
    assert_text(&frontier, "1000,40/50:600,0");
    assert_true(frontier_passed(&frontier, PLACE(1000, 40)));
    assert_true(frontier_passed(&frontier, PLACE(999, 49)));
    assert_false(frontier_passed(&frontier, PLACE(999, 50)));
    assert_false(frontier_passed(&frontier, PLACE(600, 50))); /* due now: it is yet to leave */
    assert_true(frontier_passed(&frontier, PLACE(599, 50)));
    assert_true(frontier_step_down(&frontier, 60, 300));
    assert_text(&frontier, "1000,40/50:600,0/60:300,0");
    assert_true(frontier_passed(&frontier, PLACE(599, 59)));
    assert_false(frontier_passed(&frontier, PLACE(599, 60)));
}

static void steps_merge_as_the_clock_climbs_back(void **state)
{
    (void)state;
    struct frontier frontier = parsed("1000,40/50:600,0/60:300,0");
    frontier_advance(&frontier, PLACE(299, 70)); /* what it has passed already */
    assert_text(&frontier, "1000,40/50:600,0/60:300,0");
    frontier_advance(&frontier, PLACE(450, 70));
    assert_text(&frontier, "1000,40/50:600,0/60:450,70");
    frontier_advance(&frontier, PLACE(600, 50));
    assert_text(&frontier, "1000,40/50:600,50");
    frontier_advance(&frontier, PLACE(1000, 40));
    assert_text(&frontier, "1000,40");
    frontier = parsed("1000,40/50:600,0/60:300,0");
    frontier_advance(&frontier, PLACE(5000, 65));
    assert_text(&frontier, "5000,65");
}

static void there_are_not_more_than_so_many_steps(void **state)
{
    (void)state;
    struct frontier frontier = parsed("100000,1");
    for (int i = 1; i < FRONTIER_STEPS_MAX; i++)
        assert_true(frontier_step_down(&frontier, 10 * i, 90000 - i));
    struct frontier before = frontier;
    assert_false(frontier_step_down(&frontier, 1000, 5));
    assert_int_equal(frontier.count, FRONTIER_STEPS_MAX);
    assert_memory_equal(&frontier, &before, sizeof(frontier));
    frontier_advance(&frontier, PLACE(90000 - 2, 30)); /* two become one */
    assert_int_equal(frontier.count, 3);
    assert_true(frontier_step_down(&frontier, 1000, 5));
}

static void the_longest_text_has_room_and_comes_back(void **state)
{
    (void)state;
    struct frontier frontier = {.count = FRONTIER_STEPS_MAX}, again;
    char text[FRONTIER_TEXT_MAX], twice[FRONTIER_TEXT_MAX];
    for (int i = 0; i < FRONTIER_STEPS_MAX; i++)
        frontier.steps[i] = (struct frontier_step){i ? INT64_MAX - FRONTIER_STEPS_MAX + i : 0,
                                                   {INT64_MAX - i, INT64_MAX}};
    size_t len = frontier_format(&frontier, text);
    assert_true(len < FRONTIER_TEXT_MAX);
    assert_true(frontier_parse(str_of(text), &again));
    assert_int_equal(frontier_format(&again, twice), len);
    assert_string_equal(text, twice);
}

static void texts_of_another_form_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ",",
        "1",
        "1,",
        ",1",
        "1,2,",
        "1,2,3",
        "1,2 ",
        " 1,2",
        "1, 2",
        "+1,2",
        "1,-",
        "1,0x2",
        "1,2/",
        "1,2/5",
        "1,2/5:",
        "1,2/5:0",
        "1,2/5:0,",
        "1,2/5:0,0/",
        "/5:1,2",
        "0:1,2",
        "1,2/0:0,0",       /* from the first step's offset */
        "1,2/-5:0,0",      /* or before */
        "9,2/5:8,0/5:7,0", /* offsets do not ascend */
        "9,2/5:8,0/4:7,0", /* likewise */
        "9,2/5:9,2",       /* places do not descend */
        "9,2/5:9,3",       /* likewise */
        "9,2/5:8,0/6:8,1", /* likewise */
        "9223372036854775808,0",
        "0,99999999999999999999",
        "9,0/1:8,0/2:7,0/3:6,0/4:5,0/5:4,0/6:3,0/7:2,0/8:1,0", /* too many steps */
    };
    struct frontier frontier, untouched;
    memset(&untouched, 7, sizeof(untouched));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        frontier = untouched;
        if (frontier_parse(str_of(texts[i]), &frontier))
            fail_msg("accepted: %s", texts[i]);
        assert_memory_equal(&frontier, &untouched, sizeof(frontier));
    }
    assert_false(frontier_parse(STR("1,2\0"), &frontier));
    assert_false(frontier_parse(STR_NULL, &frontier));
    parsed("9,0/1:8,0/2:7,0/3:6,0/4:5,0/5:4,0/6:3,0/7:2,0");
    parsed("9223372036854775807,9223372036854775807");
}

/* --- the whole story, with a clock that jumps --- */

#define COMMANDS 400

struct world {
    uint64_t random;
    struct frontier frontier;
    int64_t now_ms;
    struct timer_place places[COMMANDS]; /* by offset, which is the index */
    bool left[COMMANDS];
    int count;
    int refused; /* too many steps: it waits */
};

static uint64_t next_random(struct world *world, uint64_t below)
{
    world->random += 0x9e3779b97f4a7c15ULL;
    return hash_xxh3(&world->random, sizeof(world->random)) % below;
}

/* As ingest.c does it. */
static void take_in(struct world *world, int64_t due_ms)
{
    struct timer_place place = {due_ms, world->count};
    if (frontier_passed(&world->frontier, place)) {
        if (due_ms <= world->now_ms) {
            world->left[place.offset] = true;
        } else if (!frontier_step_down(&world->frontier, place.offset, world->now_ms)) {
            world->refused++;
            return;
        }
    }
    world->places[world->count++] = place;
}

/* As release.c does it: in the order of places, not necessarily all. */
static void let_leave(struct world *world, int max)
{
    while (max-- > 0) {
        int first = -1;
        for (int i = 0; i < world->count; i++)
            if (!world->left[i] &&
                (first < 0 || timer_place_compare(world->places[i], world->places[first]) < 0))
                first = i;
        if (first < 0 || world->places[first].due_ms > world->now_ms)
            return;
        world->left[first] = true;
        frontier_advance(&world->frontier, world->places[first]);
    }
}

static void check(struct world *world, uint64_t seed)
{
    char text[FRONTIER_TEXT_MAX];
    struct frontier again;
    size_t len = frontier_format(&world->frontier, text);
    assert_true(frontier_parse((struct str){text, len}, &again));
    for (int i = 0; i < world->count; i++)
        if (frontier_passed(&again, world->places[i]) != world->left[i])
            fail_msg("seed %llu: command %d of %d, due %lld, %s: the frontier %s says otherwise",
                     (unsigned long long)seed, i, world->count, (long long)world->places[i].due_ms,
                     world->left[i] ? "has left" : "waits", text);
}

static void it_tells_of_every_command_whether_it_has_left(void **state)
{
    (void)state;
    int refused = 0, steps = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct world world = {.random = seed, .now_ms = 10000};
        frontier_init(&world.frontier);
        while (world.count < COMMANDS && world.refused < COMMANDS) {
            int64_t jump = (int64_t)next_random(&world, next_random(&world, 9) ? 30 : 3000);
            world.now_ms += next_random(&world, 2) ? jump : -jump;
            world.now_ms += 4; /* it goes on as well */
            if (world.now_ms < 0)
                world.now_ms = 0;
            for (uint64_t i = next_random(&world, 4); i > 0 && world.count < COMMANDS; i--)
                take_in(&world, world.now_ms + (int64_t)next_random(&world, 60) - 20 > 0
                                    ? world.now_ms + (int64_t)next_random(&world, 60) - 20
                                    : 0);
            let_leave(&world, (int)next_random(&world, 6));
            check(&world, seed);
            steps += world.frontier.count > 2;
        }
        refused += world.refused;
    }
    assert_true(steps > 1000 && refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_left_at_first),
        cmocka_unit_test(places_are_passed_in_order),
        cmocka_unit_test(a_step_down_counts_for_later_offsets_only),
        cmocka_unit_test(steps_merge_as_the_clock_climbs_back),
        cmocka_unit_test(there_are_not_more_than_so_many_steps),
        cmocka_unit_test(the_longest_text_has_room_and_comes_back),
        cmocka_unit_test(texts_of_another_form_are_refused),
        cmocka_unit_test(it_tells_of_every_command_whether_it_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
