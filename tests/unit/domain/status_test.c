/* Status codes and reply codes within texts. */
#include "world.h"

#include "domain/status.h"

static void whole_codes_are_parsed(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        bool valid;
        struct status_code code;
    } cases[] = {
        {"4.2.1", true, {4, 2, 1}},
        {" 5.1.10\t", true, {5, 1, 10}},
        {"5.7.999", true, {5, 7, 999}},
        {"2.0.0", true, {2, 0, 0}},
        {"5.999.999", true, {5, 999, 999}},
        {"", false, {0}},
        {"5", false, {0}},
        {"5.1", false, {0}},
        {"5.1.", false, {0}},
        {"5..1", false, {0}},
        {"3.1.1", false, {0}},
        {"5.1.1234", false, {0}},
        {"5.1234.1", false, {0}},
        {"5.1.1.1", false, {0}},
        {"5.1.1 (bad)", false, {0}},
        {"55.1.1", false, {0}},
        {"x5.1.1", false, {0}},
        {"5.1.1-", false, {0}},
        {"5.-1.1", false, {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status_code code = {0};
        if (status_parse(str_of(cases[i].text), &code) != cases[i].valid)
            fail_msg("\"%s\"", cases[i].text);
        assert_memory_equal(&code, &cases[i].code, sizeof(code));
    }
    struct status_code code;
    assert_false(status_parse(STR_NULL, &code));
}

static void codes_are_found_where_they_stand_as_words(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        bool found;
        struct status_code code;
    } cases[] = {
        {"550 5.1.1 <a@b>: User unknown", true, {5, 1, 1}},
        {"550-5.2.1 The account", true, {5, 2, 1}},
        {"smtp;4.2.2 full", true, {4, 2, 2}},
        {"550 #5.1.0 Address rejected", true, {5, 1, 0}},
        {"Rejected (5.7.1).", true, {5, 7, 1}},
        {"it said 5.7.1.", true, {5, 7, 1}},
        {"192.0.2.5 5.5.5.5 then 4.4.1", true, {4, 4, 1}},
        {"Exim 4.94.2", false, {0}},
        {"5.1.1.7", false, {0}},
        {"a5.1.1", false, {0}},
        {"5.1.1a", false, {0}},
        {"15.1.1", false, {0}},
        {"550 no code", false, {0}},
        {"5.1", false, {0}},
        {"", false, {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status_code code = {0};
        if (status_find(str_of(cases[i].text), &code) != cases[i].found)
            fail_msg("\"%s\"", cases[i].text);
        assert_memory_equal(&code, &cases[i].code, sizeof(code));
    }
    struct status_code code;
    assert_false(status_find(STR_NULL, &code));
}

static void reply_codes_stand_at_the_start(void **unused)
{
    (void)unused;
    assert_int_equal(reply_find(STR("550 5.1.1")), 550);
    assert_int_equal(reply_find(STR("421-later")), 421);
    assert_int_equal(reply_find(STR("450")), 450);
    assert_int_equal(reply_find(STR("5501")), 0);
    assert_int_equal(reply_find(STR("650 x")), 0);
    assert_int_equal(reply_find(STR("55")), 0);
    assert_int_equal(reply_find(STR(" 550 x")), 0);
    assert_int_equal(reply_find(STR("192.0.2.1")), 0);
    assert_int_equal(reply_find(STR_NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_codes_are_parsed),
        cmocka_unit_test(codes_are_found_where_they_stand_as_words),
        cmocka_unit_test(reply_codes_stand_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
