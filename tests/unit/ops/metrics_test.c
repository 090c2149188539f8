/* The text exposition format, and what the process says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

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
    metrics_labelled(&metrics, "colour", "red", 2);
    metrics_labelled(&metrics, "colour", "green", 0);
    metrics_family(&metrics, METRIC_GAUGE, "apples", "Apples left.");
    metrics_value(&metrics, INT64_MAX);
    assert_text(&text, "# HELP apples_total Apples eaten.\n"
                       "# TYPE apples_total counter\n"
                       "apples_total{colour=\"red\"} 2\n"
                       "apples_total{colour=\"green\"} 0\n"
                       "# HELP apples Apples left.\n"
                       "# TYPE apples gauge\n"
                       "apples 9223372036854775807\n");
}

static void help_and_labels_are_escaped_each_by_its_rule(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct metrics metrics = {.out = &text};
    metrics_family(&metrics, METRIC_GAUGE, "a", "say \"b\\c\"\nand go");
    metrics_labelled(&metrics, "l", "say \"b\\c\"\nand go \xc3\xa8", -1);
    assert_text(&text, "# HELP a say \"b\\\\c\"\\nand go\n"
                       "# TYPE a gauge\n"
                       "a{l=\"say \\\"b\\\\c\\\"\\nand go \xc3\xa8\"} -1\n");
}

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
    assert_true(files >= 3);
    assert_true(value_of(&text, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(&text, "process_cpu_seconds_total") >= 0);
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
        cmocka_unit_test(help_and_labels_are_escaped_each_by_its_rule),
        cmocka_unit_test(the_process_counts_its_memory_time_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
