/* rimbalzo lag: what it refuses; what it shows is in tests/kafka/test_observe.py. */
#include "command.h"

#define ARGS(...) .run = cmd_lag, .args = {__VA_ARGS__}

static void a_limit_is_a_number_or_a_duration(void **unused)
{
    (void)unused;
    static const char *const limits[] = {
        "", "x", "-1", "1.5", "30 s", "5y", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        char message[256];
        snprintf(message, sizeof(message),
                 "--fail-above takes a number of records, or a duration as in 30s, 5m or 1h, not "
                 "\"%s\"",
                 limits[i]);
        assert_usage((struct command){ARGS("--fail-above", limits[i])}, message);
    }
}

static void there_are_two_roles(void **unused)
{
    (void)unused;
    assert_usage((struct command){ARGS("worker", "sender")},
                 "\"sender\" is neither worker nor dispatcher");
    assert_usage((struct command){ARGS("-o", "xml")},
                 "-o takes table, json, jsonl, tsv or csv, not \"xml\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_a_number_or_a_duration),
        cmocka_unit_test(there_are_two_roles),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
