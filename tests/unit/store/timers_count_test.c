/* How many timers are due by when: timers_count. */
#include "timers_support.h"

static void assert_counted(struct fixture *f, size_t budget, size_t left, uint64_t first,
                           uint64_t second, uint64_t third)
{
    static const int64_t until_ms[] = {99, 100, 500};
    uint64_t counts[3];
    assert_ok(f, timers_count(f->store, until_ms, 3, &budget, counts, &f->err));
    assert_int_equal(counts[0], first);
    assert_int_equal(counts[1], second);
    assert_int_equal(counts[2], third);
    assert_int_equal(budget, left);
}

static void pending_timers_are_counted_up_to_bounds(void **state)
{
    static const int64_t due_ms[] = {501, 99, 100, 1, 100, 500, 777, 600};
    struct fixture *f = *state;
    open_store(f);
    assert_counted(f, 10, 10, 0, 0, 0);
    assert_ok(f, store_begin(f->store, &f->err));
    for (int64_t i = 0; i < 8; i++)
        add(f, timer_of(i + 1, due_ms[i], "a@example.org", (int)i));
    commit(f, 1);
    assert_counted(f, 10, 5, 2, 4, 5);
    assert_counted(f, 5, 0, 2, 4, 5);
    assert_counted(f, 3, 0, 2, 3, 3); /* used up: there may be more */
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, release(f, 4, TIMER_PLACE_FIRST)); /* remembered, no longer pending */
    commit(f, 2);
    assert_counted(f, 10, 6, 1, 3, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        timers_test(pending_timers_are_counted_up_to_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
