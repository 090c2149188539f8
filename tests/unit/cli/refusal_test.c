/* The refusals of `produce-sample` are what they claim to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/refusal.h"
#include "cli/settings.h"

static void each_refusal_gets_the_class_and_reason_of_its_line(void **unused)
{
    (void)unused;
    struct rule_set *rules;
    struct err err;
    assert_int_equal(settings_rules(NULL, &rules, &err), OK);
    struct classifier *classifier = classifier_new(rules);
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        struct input_record record = {0};
        struct verdict verdict;
        refusal_fill((enum refusal)i, &record);
        struct bounce_facts facts = {.status = record.status,
                                     .reply_code = record.reply_code,
                                     .diagnostic = record.diagnostic,
                                     .stage = record.stage};
        classify(classifier, &facts, &verdict);
        assert_int_equal(verdict.bounce_class, refusal_texts[i].bounce_class);
        assert_int_equal(verdict.reason, refusal_texts[i].reason);
    }
    classifier_free(classifier);
    rule_set_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_gets_the_class_and_reason_of_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
