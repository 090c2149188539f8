/* The order of the decision and the tables of codes (semantics §3). */
#include "world.h"

#include "domain/classify.h"

static struct classifier *empty_classifier(struct rule_set **ret_rules)
{
    struct err err;
    assert_int_equal(rule_set_new("none", NULL, 0, ret_rules, &err), OK);
    return classifier_new(*ret_rules);
}

struct expectation {
    const char *status;
    int reply;
    const char *text;
    enum bounce_class bounce_class;
    enum reason reason;
    const char *rule;
};

static void assert_verdicts(const struct expectation *cases, size_t count)
{
    struct rule_set *rules;
    struct classifier *classifier = empty_classifier(&rules);
    for (size_t i = 0; i < count; i++) {
        struct verdict verdict;
        struct bounce_facts facts = {.status = str_of(cases[i].status),
                                     .reply_code = cases[i].reply,
                                     .diagnostic = str_of(cases[i].text)};
        classify(classifier, &facts, &verdict);
        if (verdict.bounce_class != cases[i].bounce_class || verdict.reason != cases[i].reason ||
            !str_equal(verdict.rule, str_of(cases[i].rule)))
            fail_msg("%s %d %s: %s %s %.*s", cases[i].status, cases[i].reply, cases[i].text,
                     bounce_class_names[verdict.bounce_class], reason_names[verdict.reason],
                     STR_ARG(verdict.rule));
    }
    classifier_free(classifier);
    rule_set_free(rules);
}
#define ASSERT_VERDICTS(cases) assert_verdicts((cases), sizeof(cases) / sizeof((cases)[0]))

static void enhanced_codes_have_the_classes_of_the_table(void **unused)
{
    (void)unused;
    static const struct expectation cases[] = {
        {"5.1.1", 0, NULL, CLASS_HARD, REASON_USER_UNKNOWN, "code.5.1.1"},
        {"4.1.1", 0, NULL, CLASS_SOFT, REASON_USER_UNKNOWN, "code.4.1.1"},
        {"5.1.2", 0, NULL, CLASS_HARD, REASON_DOMAIN_UNKNOWN, "code.5.1.2"},
        {"4.1.2", 0, NULL, CLASS_TRANSIENT, REASON_DOMAIN_UNKNOWN, "code.4.1.2"},
        {"5.1.3", 0, NULL, CLASS_HARD, REASON_ADDRESS_SYNTAX, "code.5.1.3"},
        {"4.1.3", 0, NULL, CLASS_UNKNOWN, REASON_ADDRESS_SYNTAX, "code.4.1.3"},
        {"5.1.4", 0, NULL, CLASS_UNKNOWN, REASON_OTHER, "code.5.1.4"},
        {"5.1.6", 0, NULL, CLASS_HARD, REASON_MOVED, "code.5.1.6"},
        {"4.1.6", 0, NULL, CLASS_SOFT, REASON_MOVED, "code.4.1.6"},
        {"5.1.8", 0, NULL, CLASS_POLICY, REASON_SENDER, "code.5.1.8"},
        {"4.1.9", 0, NULL, CLASS_TRANSIENT, REASON_OTHER, "code.4.1.9"},
        {"5.1.10", 0, NULL, CLASS_HARD, REASON_NULL_MX, "code.5.1.10"},
        {"4.2.1", 0, NULL, CLASS_SOFT, REASON_MAILBOX_DISABLED, "code.4.2.1"},
        {"5.2.1", 0, NULL, CLASS_SOFT, REASON_MAILBOX_DISABLED_PERMANENT, "code.5.2.1"},
        {"4.2.2", 0, NULL, CLASS_SOFT, REASON_MAILBOX_FULL, "code.4.2.2"},
        {"5.2.2", 0, NULL, CLASS_SOFT, REASON_MAILBOX_FULL, "code.5.2.2"},
        {"5.2.3", 0, NULL, CLASS_POLICY, REASON_MESSAGE_TOO_BIG, "code.5.2.3"},
        {"5.2.4", 0, NULL, CLASS_POLICY, REASON_OTHER, "code.5.2.4"},
        {"4.3.1", 0, NULL, CLASS_TRANSIENT, REASON_SYSTEM_FULL, "code.4.3.1"},
        {"5.3.3", 0, NULL, CLASS_POLICY, REASON_OTHER, "code.5.3.3"},
        {"5.3.4", 0, NULL, CLASS_POLICY, REASON_MESSAGE_TOO_BIG, "code.5.3.4"},
        {"4.4.1", 0, NULL, CLASS_TRANSIENT, REASON_CONNECT_REFUSED, "code.4.4.1"},
        {"4.4.4", 0, NULL, CLASS_TRANSIENT, REASON_NETWORK, "code.4.4.4"},
        {"5.4.4", 0, NULL, CLASS_SOFT, REASON_DOMAIN_UNKNOWN, "code.5.4.4"},
        {"5.4.6", 0, NULL, CLASS_POLICY, REASON_LOOP, "code.5.4.6"},
        {"4.4.7", 0, NULL, CLASS_TRANSIENT, REASON_EXPIRED, "code.4.4.7"},
        {"5.5.1", 0, NULL, CLASS_POLICY, REASON_OTHER, "code.5.5.1"},
        {"5.5.3", 0, NULL, CLASS_TRANSIENT, REASON_OTHER, "code.5.5.3"},
        {"5.6.0", 0, NULL, CLASS_POLICY, REASON_CONTENT, "code.5.6.0"},
        {"5.7.1", 0, NULL, CLASS_POLICY, REASON_POLICY, "code.5.7.1"},
        {"4.7.0", 0, NULL, CLASS_POLICY, REASON_POLICY, "code.4.7.0"},
        {"5.7.8", 0, NULL, CLASS_POLICY, REASON_AUTHENTICATION, "code.5.7.8"},
        {"5.7.13", 0, NULL, CLASS_POLICY, REASON_POLICY, "code.5.7.13"},
        {"4.7.17", 0, NULL, CLASS_HARD, REASON_MOVED, "code.4.7.17"},
        {"5.7.26", 0, NULL, CLASS_POLICY, REASON_AUTHENTICATION, "code.5.7.26"},
        {"5.7.27", 0, NULL, CLASS_POLICY, REASON_SENDER, "code.5.7.27"},
        {"4.7.28", 0, NULL, CLASS_TRANSIENT, REASON_RATE_LIMITED, "code.4.7.28"},
        {"5.7.28", 0, NULL, CLASS_POLICY, REASON_RATE_LIMITED, "code.5.7.28"},
    };
    ASSERT_VERDICTS(cases);
}

static void unregistered_details_fall_back_to_their_subject(void **unused)
{
    (void)unused;
    static const struct expectation cases[] = {
        {"5.1.99", 0, NULL, CLASS_UNKNOWN, REASON_OTHER, "code.5.1.0"},
        {"4.4.312", 0, NULL, CLASS_TRANSIENT, REASON_NETWORK, "code.4.4.0"},
        {"5.7.999", 0, NULL, CLASS_POLICY, REASON_POLICY, "code.5.7.0"},
        {"5.0.947", 0, NULL, CLASS_UNKNOWN, REASON_OTHER, "code.5.0.0"},
        {"5.9.1", 0, NULL, CLASS_UNKNOWN, REASON_OTHER, "code.5.0.0"},
    };
    ASSERT_VERDICTS(cases);
}

static void reply_codes_decide_without_an_enhanced_code(void **unused)
{
    (void)unused;
    static const struct expectation cases[] = {
        {NULL, 421, NULL, CLASS_TRANSIENT, REASON_OTHER, "reply.421"},
        {NULL, 450, NULL, CLASS_TRANSIENT, REASON_OTHER, "reply.450"},
        {NULL, 452, NULL, CLASS_TRANSIENT, REASON_OTHER, "reply.452"},
        {NULL, 550, NULL, CLASS_UNKNOWN, REASON_OTHER, "reply.550"},
        {NULL, 552, NULL, CLASS_SOFT, REASON_MAILBOX_FULL, "reply.552"},
        {NULL, 554, NULL, CLASS_POLICY, REASON_POLICY, "reply.554"},
        {NULL, 556, NULL, CLASS_HARD, REASON_NULL_MX, "reply.556"},
        {NULL, 0, "552 whatever", CLASS_SOFT, REASON_MAILBOX_FULL, "reply.552"},
        {"junk", 552, NULL, CLASS_SOFT, REASON_MAILBOX_FULL, "reply.552"},
        {"2.0.0", 552, NULL, CLASS_SOFT, REASON_MAILBOX_FULL, "reply.552"},
        {NULL, 599, NULL, CLASS_UNKNOWN, REASON_OTHER, "none"},
        {NULL, 0, NULL, CLASS_UNKNOWN, REASON_OTHER, "none"},
        {NULL, 0, "no idea", CLASS_UNKNOWN, REASON_OTHER, "none"},
        {"4.2.1", 554, NULL, CLASS_SOFT, REASON_MAILBOX_DISABLED, "code.4.2.1"},
    };
    ASSERT_VERDICTS(cases);
}

static void codes_within_the_text_serve_where_the_status_is_missing_or_vague(void **unused)
{
    (void)unused;
    static const struct expectation cases[] = {
        {NULL, 0, "smtp; 550 5.1.1 <a@b>", CLASS_HARD, REASON_USER_UNKNOWN, "code.5.1.1"},
        {"5.0.0", 0, "550 5.2.2 x", CLASS_SOFT, REASON_MAILBOX_FULL, "code.5.2.2"},
        {"5.0.0", 0, "554 x", CLASS_POLICY, REASON_POLICY, "reply.554"},
        {"5.0.0", 554, NULL, CLASS_UNKNOWN, REASON_OTHER, "code.5.0.0"},
        {"5.0.0", 0, "550 x", CLASS_UNKNOWN, REASON_OTHER, "code.5.0.0"},
        {"5.7.1", 0, "550 5.1.1 x", CLASS_POLICY, REASON_POLICY, "code.5.7.1"},
        {NULL, 0, "host mx.example.com[192.0.2.1] said: 552 x", CLASS_SOFT, REASON_MAILBOX_FULL,
         "reply.552"},
    };
    ASSERT_VERDICTS(cases);
}

static void an_expiry_takes_the_class_of_the_last_attempt(void **unused)
{
    (void)unused;
    static const struct expectation cases[] = {
        {"4.4.7", 0, "452 4.2.2 over quota", CLASS_SOFT, REASON_MAILBOX_FULL, "code.4.2.2"},
        {"4.4.7", 0, "552 x", CLASS_SOFT, REASON_MAILBOX_FULL, "reply.552"},
        {"4.4.7", 0, "451 x", CLASS_TRANSIENT, REASON_EXPIRED, "code.4.4.7"},
        {"4.4.7", 0, "550 x", CLASS_TRANSIENT, REASON_EXPIRED, "code.4.4.7"},
        {"4.4.7", 552, NULL, CLASS_TRANSIENT, REASON_EXPIRED, "code.4.4.7"},
        {NULL, 0, "554 4.4.7 Message expired", CLASS_TRANSIENT, REASON_EXPIRED, "code.4.4.7"},
    };
    ASSERT_VERDICTS(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enhanced_codes_have_the_classes_of_the_table),
        cmocka_unit_test(unregistered_details_fall_back_to_their_subject),
        cmocka_unit_test(reply_codes_decide_without_an_enhanced_code),
        cmocka_unit_test(codes_within_the_text_serve_where_the_status_is_missing_or_vague),
        cmocka_unit_test(an_expiry_takes_the_class_of_the_last_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
