/* Dead letters read back, and the headers with which they return. */
#include "cli/dead_letter.h"
#include "command.h"

#define OURS(reason)                                                                               \
    {STR("rimbalzo-reason"), STR(reason)}, {STR("rimbalzo-text"), STR("why")},                     \
        {STR("rimbalzo-topic"), STR("rimbalzo.bounces")}, {STR("rimbalzo-partition"), STR("3")},   \
        {STR("rimbalzo-offset"), STR("42")},                                                       \
    {                                                                                              \
        STR("rimbalzo-timestamp"), STR("-1")                                                       \
    }

#define RECORD(all)                                                                                \
    {                                                                                              \
        .headers = (all), .header_count = (int)(sizeof(all) / sizeof((all)[0]))                    \
    }

static void assert_headers(const struct port_record *record, const char *expected)
{
    struct dead_letter letter;
    const struct port_header *headers;
    struct arena arena;
    struct buf text = {0};
    arena_init(&arena);
    assert_true(dead_letter_read(record, &letter));
    int count = dead_letter_headers(record, &letter, &arena, &headers);
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%.*s=%.*s ", STR_ARG(headers[i].name), STR_ARG(headers[i].value));
    buf_append(&text, "", 1);
    assert_string_equal(text.data, expected);
    buf_deinit(&text);
    arena_deinit(&arena);
}

static void what_the_outbox_adds_is_read_back(void **unused)
{
    (void)unused;
    const struct port_header headers[] = {{STR("rimbalzo-reason"), STR("a producer's own")},
                                          OURS("unknown_schema")};
    const struct port_record record = RECORD(headers);
    struct dead_letter letter;
    assert_true(dead_letter_read(&record, &letter));
    assert_true(str_equal(letter.reason, STR("unknown_schema")));
    assert_true(str_equal(letter.text, STR("why")));
    assert_true(str_equal(letter.topic, STR("rimbalzo.bounces")));
    assert_int_equal(letter.partition, 3);
    assert_int_equal(letter.offset, 42);
    assert_int_equal(letter.timestamp_ms, -1);
    assert_int_equal(letter.redriven, 0);
    assert_int_equal(letter.header_count, 1);
}

static void what_is_not_ours_is_told_apart(void **unused)
{
    (void)unused;
    struct port_header headers[] = {OURS("malformed")};
    const struct port_record record = RECORD(headers);
    struct dead_letter letter;
    static const char *const wrong[] = {"", "-3", "3x", "99999999999", "1111111111111111111111"};
    assert_false(dead_letter_read(&(struct port_record){0}, &letter));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        headers[3].value = str_of(wrong[i]);
        assert_false(dead_letter_read(&record, &letter));
    }
    headers[3].value = STR_NULL;
    assert_false(dead_letter_read(&record, &letter));
    headers[3].value = STR("3");
    assert_true(dead_letter_read(&record, &letter));
    headers[0].name = STR("reason");
    assert_false(dead_letter_read(&record, &letter));
}

static void headers_go_back_as_they_came_with_a_count(void **unused)
{
    (void)unused;
    const struct port_header first[] = {{STR("traceparent"), STR("t")}, OURS("unknown_schema")};
    const struct port_header second[] = {
        {STR("traceparent"), STR("t")}, {STR("rimbalzo-redriven"), STR("1")}, OURS("malformed")};
    const struct port_header foreign[] = {{STR("rimbalzo-redriven"), STR("often")},
                                          OURS("malformed")};
    assert_headers(&(struct port_record)RECORD(first), "traceparent=t rimbalzo-redriven=1 ");
    assert_headers(&(struct port_record)RECORD(second), "traceparent=t rimbalzo-redriven=2 ");
    assert_headers(&(struct port_record)RECORD(foreign), "rimbalzo-redriven=1 ");
}

static void a_reroute_that_led_nowhere_is_forgotten(void **unused)
{
    (void)unused;
    const struct port_header misrouted[] = {{STR("rimbalzo-rerouted"), STR("1:2:3")},
                                            OURS("misrouted")};
    const struct port_header other[] = {{STR("rimbalzo-rerouted"), STR("1:2:3")},
                                        OURS("unknown_schema")};
    assert_headers(&(struct port_record)RECORD(misrouted), "rimbalzo-redriven=1 ");
    assert_headers(&(struct port_record)RECORD(other),
                   "rimbalzo-rerouted=1:2:3 rimbalzo-redriven=1 ");
}

static void redrive_and_show_want_what_they_need(void **unused)
{
    (void)unused;
    assert_usage((struct command){.run = cmd_dlq, .args = {"show", "7"}},
                 "show takes PARTITION:OFFSET, as ls shows them, not \"7\"");
    assert_usage((struct command){.run = cmd_dlq, .args = {"redrive", "--since", "7d"}},
                 "redrive goes in order and passes nothing over: it takes --until, and no --since");
    assert_usage((struct command){.run = cmd_dlq, .args = {"ls", "--until", "tomorrow"}},
                 "--until takes 2026-01-31, 2026-01-31T12:00:00Z or an age as in 12h or 7d, not "
                 "\"tomorrow\"");
    assert_usage((struct command){.run = cmd_dlq, .args = {"ls", "--yes"}},
                 "--dry-run and --yes are for redrive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_outbox_adds_is_read_back),
        cmocka_unit_test(what_is_not_ours_is_told_apart),
        cmocka_unit_test(headers_go_back_as_they_came_with_a_count),
        cmocka_unit_test(a_reroute_that_led_nowhere_is_forgotten),
        cmocka_unit_test(redrive_and_show_want_what_they_need),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
