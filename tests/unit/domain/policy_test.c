/* Policies: defaults, choice, checks. */
#include "world.h"

static void the_defaults_are_the_source_text_s_schedule(void **unused)
{
    (void)unused;
    struct policy_set set;
    struct err err;
    policy_set_defaults(&set);
    assert_int_equal(policy_set_check(&set, &err), OK);
    const struct policy *policy = policy_for_reason(&set, REASON_MAILBOX_DISABLED);
    assert_string_equal(policy->name, "default");
    assert_int_equal(policy->max_attempts, 4);
    static const int hours[] = {24, 48, 72, 168, 168, 168};
    for (int i = 0; i < 6; i++)
        assert_true(policy_delay_ms(policy, i + 1) == hours[i] * HOUR_MS);
    assert_true(set.retention_ms == 400 * DAY_MS);
    assert_true(set.stale_after_ms == 30 * DAY_MS);
    assert_true(policy_set_longest_delay_ms(&set) == 336 * HOUR_MS);
}

static void the_first_policy_that_names_the_reason_is_taken(void **unused)
{
    (void)unused;
    struct policy_set set;
    policy_set_defaults(&set);
    assert_string_equal(policy_for_reason(&set, REASON_MAILBOX_DISABLED_PERMANENT)->name,
                        "disabled-permanent");
    for (int reason = 0; reason < REASON_COUNT; reason++)
        if (reason != REASON_MAILBOX_DISABLED_PERMANENT)
            assert_ptr_equal(policy_for_reason(&set, (enum reason)reason), &set.policies[0]);
}

static void unknown_names_give_the_default(void **unused)
{
    (void)unused;
    struct policy_set set;
    policy_set_defaults(&set);
    assert_ptr_equal(policy_by_name(&set, STR("disabled-permanent")), &set.policies[1]);
    assert_ptr_equal(policy_by_name(&set, STR("default")), &set.policies[0]);
    assert_ptr_equal(policy_by_name(&set, STR("gone")), &set.policies[0]);
    assert_ptr_equal(policy_by_name(&set, STR_NULL), &set.policies[0]);
}

static void transient_delays_count_among_the_longest(void **unused)
{
    (void)unused;
    struct policy_set set;
    policy_set_defaults(&set);
    set.transient_delays_ms[2] = 20 * DAY_MS;
    assert_true(policy_set_longest_delay_ms(&set) == 20 * DAY_MS);
}

static void check_fails(const struct policy_set *set, const char *key)
{
    struct err err;
    assert_int_equal(policy_set_check(set, &err), E_CONFIG);
    if (!strstr(err.text, key))
        fail_msg("\"%s\" does not name %s", err.text, key);
}

static void contradictions_are_refused_by_key(void **unused)
{
    (void)unused;
    struct policy_set set, defaults;
    policy_set_defaults(&defaults);
#define CASE(change, key)                                                                          \
    do {                                                                                           \
        set = defaults;                                                                            \
        change;                                                                                    \
        check_fails(&set, key);                                                                    \
    } while (0)
    CASE(set.stale_after_ms = 336 * HOUR_MS, "stale_after");
    CASE(set.transient_delays_ms[0] = 31 * DAY_MS, "stale_after");
    CASE(set.policies[0].delay_count = 0, "policies.default.delays");
    CASE(set.policies[1].delay_count = DELAYS_MAX + 1, "policies.disabled-permanent.delays");
    CASE(set.policies[0].delays_ms[2] = 0, "policies.default.delays");
    CASE(set.policies[0].delays_ms[2] = INT64_MAX, "policies.default.delays");
    CASE(set.policies[0].max_attempts = 0, "policies.default.max_attempts");
    CASE(set.policies[0].contact_after = -1, "policies.default.contact_after");
    CASE(set.policies[1].name[0] = 0, "policies");
    CASE(set.policies[1].reasons = 0, "policies.disabled-permanent.reasons");
    CASE(set.policies[0].reasons = 1, "policies.default");
    CASE(set.policies[0].name[0] = 'x', "policies.default");
    CASE(set.policies[2] = set.policies[1]; set.policy_count = 3, "named twice");
    CASE(set.policies[2] = set.policies[1]; set.policies[2].name[0] = 'x';
         set.policy_count = 3, "policies.xisabled-permanent.reasons: mailbox_disabled_permanent");
    CASE(set.policy_count = 0, "policies");
    CASE(set.transient_delays_ms[1] = -1, "transient.delays");
    CASE(set.answer_tolerance_ms = -1, "answer.tolerance");
    CASE(set.frequent_window_ms = 0, "frequent.window");
    CASE(set.retention_ms = 0, "recipient.retention");
    CASE(set.event_max_ahead_ms = -1, "event.max_ahead");
    CASE(set.unknown_as = BOUNCE_CLASS_COUNT, "unknown.as");
#undef CASE
    set = defaults;
    set.transient_delay_count = 0;
    set.answer_tolerance_ms = 0;
    struct err err;
    assert_int_equal(policy_set_check(&set, &err), OK);
}

static void every_name_is_in_its_list_once(void **unused)
{
    (void)unused;
    for (int i = 0; i < REASON_COUNT; i++)
        assert_int_equal(name_index(reason_names, REASON_COUNT, str_of(reason_names[i])), i);
    assert_int_equal(name_index(reason_names, REASON_COUNT, STR("mailbox")), -1);
    assert_int_equal(name_index(reason_names, REASON_COUNT, STR_NULL), -1);
    assert_int_equal(name_index(bounce_class_names, BOUNCE_CLASS_COUNT, STR("SOFT")), CLASS_SOFT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_the_source_text_s_schedule),
        cmocka_unit_test(the_first_policy_that_names_the_reason_is_taken),
        cmocka_unit_test(unknown_names_give_the_default),
        cmocka_unit_test(transient_delays_count_among_the_longest),
        cmocka_unit_test(contradictions_are_refused_by_key),
        cmocka_unit_test(every_name_is_in_its_list_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
