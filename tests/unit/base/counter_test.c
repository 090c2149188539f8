/* Counters and histograms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/counter.h"

static const struct histogram_layout layout = {3, {0.1, 1, 10}};

static double sum_of(const struct histogram *histogram)
{
    return atomic_load(&histogram->sum);
}

static void what_is_moved_is_added_there_and_gone_here(void **unused)
{
    (void)unused;
    atomic_llong here[3] = {1, 0, 3}, there[3] = {10, 20, 30};
    counters_move(there, here, 3);
    counters_move(there, here, 3);
    assert_int_equal(there[0], 11);
    assert_int_equal(there[1], 20);
    assert_int_equal(there[2], 33);
    assert_int_equal(here[0] + here[1] + here[2], 0);
}

static void a_value_falls_into_the_first_bucket_whose_bound_it_does_not_pass(void **unused)
{
    (void)unused;
    struct histogram histogram = {0};
    static const double values[] = {-1, 0, 0.1, 0.11, 1, 9.9, 10, 10.1, 1e12};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        histogram_add(&histogram, &layout, values[i]);
    assert_int_equal(histogram.buckets[0], 3);
    assert_int_equal(histogram.buckets[1], 2);
    assert_int_equal(histogram.buckets[2], 2);
    assert_int_equal(histogram.buckets[3], 2);
    assert_true(sum_of(&histogram) == -1 + 0 + 0.1 + 0.11 + 1 + 9.9 + 10 + 10.1 + 1e12);
}

static void histograms_are_summed_moved_and_cleared(void **unused)
{
    (void)unused;
    struct histogram a = {0}, b = {0};
    histogram_add(&a, &layout, 0.5);
    histogram_add(&b, &layout, 2.5);
    histogram_sum(&a, &b);
    assert_int_equal(a.buckets[1], 1);
    assert_int_equal(a.buckets[2], 1);
    assert_int_equal(b.buckets[2], 1);
    assert_true(sum_of(&a) == 3);
    histogram_move(&a, &b);
    histogram_move(&a, &b);
    assert_int_equal(a.buckets[2], 2);
    assert_int_equal(b.buckets[2], 0);
    assert_true(sum_of(&a) == 5.5 && sum_of(&b) == 0);
    histogram_clear(&a);
    assert_int_equal(a.buckets[1] + a.buckets[2], 0);
    assert_true(sum_of(&a) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_moved_is_added_there_and_gone_here),
        cmocka_unit_test(a_value_falls_into_the_first_bucket_whose_bound_it_does_not_pass),
        cmocka_unit_test(histograms_are_summed_moved_and_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
