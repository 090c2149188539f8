/* The two text formats, which of them is accepted, and what the process says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ops/metrics.h"

static void assert_text(struct buf *text, const char *expected)
{
    buf_append(text, "", 1);
    assert_string_equal(text->data, expected);
    buf_deinit(text);
}

static void a_family_has_help_type_and_its_samples(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct metrics metrics = {.out = &text};
    metrics_family(&metrics, METRIC_COUNTER, "apples_total", "Apples eaten.");
    metrics_int(&metrics, METRIC_LABELS({"colour", "red"}, {"size", "s"}), 2);
    metrics_int(&metrics, METRIC_LABELS({"colour", "green"}), 0);
    metrics_family(&metrics, METRIC_GAUGE, "apples", "Apples left.");
    metrics_int(&metrics, METRIC_NO_LABELS, INT64_MAX);
    metrics_real(&metrics, METRIC_LABELS({"colour", "red"}), 1700000000.125);
    metrics_family(&metrics, METRIC_INFO, "tree_info", "The tree.");
    metrics_int(&metrics, METRIC_LABELS({"kind", "apple"}), 1);
    metrics_end(&metrics);
    assert_text(&text, "# HELP apples_total Apples eaten.\n"
                       "# TYPE apples_total counter\n"
                       "apples_total{colour=\"red\",size=\"s\"} 2\n"
                       "apples_total{colour=\"green\"} 0\n"
                       "# HELP apples Apples left.\n"
                       "# TYPE apples gauge\n"
                       "apples 9223372036854775807\n"
                       "apples{colour=\"red\"} 1700000000.125\n"
                       "# HELP tree_info The tree.\n"
                       "# TYPE tree_info gauge\n"
                       "tree_info{kind=\"apple\"} 1\n");
}

static void openmetrics_names_the_family_without_suffix_and_says_where_it_ends(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct metrics metrics = {.out = &text, .format = METRICS_OPENMETRICS};
    metrics_family(&metrics, METRIC_COUNTER, "apples_total", "Apples \"eaten\".");
    metrics_int(&metrics, METRIC_NO_LABELS, 2);
    metrics_family(&metrics, METRIC_INFO, "tree_info", "The tree.");
    metrics_int(&metrics, METRIC_LABELS({"kind", "apple"}), 1);
    metrics_end(&metrics);
    assert_text(&text, "# HELP apples Apples \\\"eaten\\\".\n"
                       "# TYPE apples counter\n"
                       "apples_total 2\n"
                       "# HELP tree The tree.\n"
                       "# TYPE tree info\n"
                       "tree_info{kind=\"apple\"} 1\n"
                       "# EOF\n");
}

static void help_and_labels_are_escaped_each_by_its_rule(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct metrics metrics = {.out = &text};
    metrics_family(&metrics, METRIC_GAUGE, "a", "say \"b\\c\"\nand go");
    metrics_int(&metrics, METRIC_LABELS({"l", "say \"b\\c\"\nand go \xc3\xa8"}), -1);
    assert_text(&text, "# HELP a say \"b\\\\c\"\\nand go\n"
                       "# TYPE a gauge\n"
                       "a{l=\"say \\\"b\\\\c\\\"\\nand go \xc3\xa8\"} -1\n");
}

static void a_histogram_counts_each_value_in_all_buckets_that_hold_it(void **unused)
{
    (void)unused;
    static const struct histogram_layout layout = {4, {0.00001, 0.5, 1, 2592000}};
    struct histogram histogram = {0};
    struct buf text = {0};
    struct metrics metrics = {.out = &text};
    histogram_add(&histogram, &layout, 0.5);
    histogram_add(&histogram, &layout, 0.75);
    histogram_add(&histogram, &layout, 1e9);
    metrics_family(&metrics, METRIC_HISTOGRAM, "wait_seconds", "Waiting.");
    metrics_histogram(&metrics, METRIC_LABELS({"role", "r"}), &histogram, &layout);
    assert_text(&text, "# HELP wait_seconds Waiting.\n"
                       "# TYPE wait_seconds histogram\n"
                       "wait_seconds_bucket{role=\"r\",le=\"1e-05\"} 0\n"
                       "wait_seconds_bucket{role=\"r\",le=\"0.5\"} 1\n"
                       "wait_seconds_bucket{role=\"r\",le=\"1.0\"} 2\n"
                       "wait_seconds_bucket{role=\"r\",le=\"2.592e+06\"} 2\n"
                       "wait_seconds_bucket{role=\"r\",le=\"+Inf\"} 3\n"
                       "wait_seconds_sum{role=\"r\"} 1000000001.25\n"
                       "wait_seconds_count{role=\"r\"} 3\n");
}

static void a_histogram_without_labels_has_only_the_bound(void **unused)
{
    (void)unused;
    static const struct histogram_layout layout = {1, {1}};
    struct histogram histogram = {0};
    struct buf text = {0};
    struct metrics metrics = {.out = &text};
    metrics_family(&metrics, METRIC_HISTOGRAM, "w", "Waiting.");
    buf_clear(&text);
    metrics_histogram(&metrics, METRIC_NO_LABELS, &histogram, &layout);
    assert_text(&text, "w_bucket{le=\"1.0\"} 0\nw_bucket{le=\"+Inf\"} 0\nw_sum 0\nw_count 0\n");
}

/* --- what a scraper accepts --- */

static void openmetrics_is_for_who_prefers_it(void **unused)
{
    (void)unused;
    static const char *const open[] = {
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        /* Prometheus 2 and 3 */
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
        "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/"
        "openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "text/plain;q=0.5, Application/OpenMetrics-Text ; Version = 1.0.0 ;q=0.5",
        "*/*;q=0.1,application/openmetrics-text;q=0.2",
    };
    static const char *const text[] = {
        "",
        "*/*",
        "text/plain",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0.4,text/plain;q=0.5",
        "application/openmetrics-text;q=0.2,text/*;q=0.3",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=x",
        ",;,;=;q=;",
    };
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (metrics_accepted(open[i]) != METRICS_OPENMETRICS)
            fail_msg("'%s' is not taken for OpenMetrics", open[i]);
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        if (metrics_accepted(text[i]) != METRICS_TEXT)
            fail_msg("'%s' is taken for OpenMetrics", text[i]);
}

/* --- the process --- */

/* The value of a sample without labels; -1: there is none. */
static double value_of(struct buf *text, const char *name)
{
    char needle[128];
    int len = snprintf(needle, sizeof(needle), "\n%s ", name);
    const char *found = strstr(text->data, needle);
    return found ? strtod(found + len, NULL) : -1;
}

static struct buf process_text(void)
{
    struct buf text = {0};
    struct metrics metrics = {.out = &text};
    metrics_process(&metrics);
    buf_append(&text, "", 1);
    return text;
}

static void the_process_counts_its_memory_time_and_files(void **unused)
{
    (void)unused;
    struct buf text = process_text();
    double files = value_of(&text, "process_open_fds");
    double resident = value_of(&text, "process_resident_memory_bytes");
    double now = (double)clock_wall_ms() / 1000;
    assert_true(files >= 3);
    assert_true(resident > 100000);
    assert_true(value_of(&text, "process_virtual_memory_bytes") > resident);
    assert_true(value_of(&text, "process_max_fds") > files);
    assert_true(value_of(&text, "process_cpu_seconds_total") >= 0);
    /* The kernel tells the boot in whole seconds. */
    assert_true(value_of(&text, "process_start_time_seconds") < now + 2);
    assert_true(value_of(&text, "process_start_time_seconds") > now - 600);
    buf_deinit(&text);
    int fd = dup(1);
    assert_true(fd >= 0);
    text = process_text();
    assert_true(value_of(&text, "process_open_fds") == files + 1);
    assert_int_equal(close(fd), 0);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_has_help_type_and_its_samples),
        cmocka_unit_test(openmetrics_names_the_family_without_suffix_and_says_where_it_ends),
        cmocka_unit_test(help_and_labels_are_escaped_each_by_its_rule),
        cmocka_unit_test(a_histogram_counts_each_value_in_all_buckets_that_hold_it),
        cmocka_unit_test(a_histogram_without_labels_has_only_the_bound),
        cmocka_unit_test(openmetrics_is_for_who_prefers_it),
        cmocka_unit_test(the_process_counts_its_memory_time_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
