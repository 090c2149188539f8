/* Overrides of an operator: from addresses to records, without a broker. */
#include "cli/override.h"
#include "command.h"

static const struct override_options options = {.action = OVERRIDE_FORGET,
                                                .tenant = STR("shop"),
                                                .reason = STR("asked for it"),
                                                .batch = STR("monday"),
                                                .now_ms = 1770000000000};

static struct override made(const struct override_options *of, const char *address)
{
    struct override override;
    struct err err;
    assert_int_equal(override_make(of, str_of(address), &override, &err), OK);
    return override;
}

static void a_record_says_who_what_and_why(void **unused)
{
    (void)unused;
    struct override override;
    struct err err;
    assert_int_equal(override_make(&options, STR(" <User@Example.ORG> "), &override, &err), OK);
    assert_true(str_equal(override.record.recipient, STR("user@example.org")));
    assert_true(str_equal(override.record.tenant, STR("shop")));
    assert_true(str_equal(override.record.reason, STR("asked for it")));
    assert_null(override.record.actor.data);
    assert_int_equal(override.record.kind, RECORD_OVERRIDE);
    assert_int_equal(override.record.action, OVERRIDE_FORGET);
    assert_int_equal(override.record.occurred_at_ms, 1770000000000);
}

static void the_same_batch_makes_the_same_ids_whatever_the_time(void **unused)
{
    (void)unused;
    struct override_options later = options;
    later.now_ms += 3600000;
    struct override first = made(&options, "a@example.org"), again = made(&later, "A@example.org");
    assert_memory_equal(first.event_id.text, again.event_id.text, UUID_TEXT_SIZE);
}

static void another_batch_action_tenant_or_recipient_makes_another_id(void **unused)
{
    (void)unused;
    struct override_options others[] = {options, options, options};
    others[0].batch = STR("tuesday");
    others[1].action = OVERRIDE_SUPPRESS;
    others[2].tenant = STR("");
    struct override first = made(&options, "a@example.org");
    for (int i = 0; i < 3; i++) {
        struct override other = made(&others[i], "a@example.org");
        assert_memory_not_equal(first.event_id.text, other.event_id.text, UUID_TEXT_SIZE);
    }
    struct override other = made(&options, "b@example.org");
    assert_memory_not_equal(first.event_id.text, other.event_id.text, UUID_TEXT_SIZE);
}

static void what_is_no_address_is_refused_and_only_blanks_are_blank(void **unused)
{
    (void)unused;
    struct override override;
    struct err err;
    assert_int_equal(override_make(&options, STR("nobody"), &override, &err), E_INVALID_RECIPIENT);
    assert_int_equal(override_make(&options, STR(""), &override, &err), E_INVALID_RECIPIENT);
    assert_true(override_is_blank(STR(" \t\r")));
    assert_true(override_is_blank(STR("")));
    assert_false(override_is_blank(STR("#x@example.org")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_says_who_what_and_why),
        cmocka_unit_test(the_same_batch_makes_the_same_ids_whatever_the_time),
        cmocka_unit_test(another_batch_action_tenant_or_recipient_makes_another_id),
        cmocka_unit_test(what_is_no_address_is_refused_and_only_blanks_are_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
