/*
 * Rule files from anywhere: what is refused has a place, what loads decides its own samples.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_err(enum rcode rc, const struct err *err)
{
    int line;
    assert(rc == E_RULES && err->code == E_RULES);
    assert(sscanf(err->text, "rules.yaml:%d:", &line) == 1 && line > 0);
}

static struct bounce_facts facts_of(const struct rule_text_sample *sample)
{
    return (struct bounce_facts){str_of(sample->status), sample->reply, str_of(sample->text),
                                 str_of(sample->mx), str_of(sample->stage)};
}

static void check_samples(const struct rules_text *text, const struct rule_set *rules)
{
    struct classifier *classifier = classifier_new(rules);
    for (uint32_t i = 0; i < text->rule_count; i++)
        for (uint32_t j = 0; j < text->rules[i].positive_count; j++) {
            struct bounce_facts facts = facts_of(&text->rules[i].positive[j]);
            struct verdict verdict;
            classify(classifier, &facts, &verdict);
            assert(str_equal(verdict.rule, str_of(text->rules[i].id)));
        }
    classifier_free(classifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules_text text;
    struct rule_set *rules;
    struct err err = {0};
    enum rcode rc =
        rules_text_parse("rules.yaml", (struct str){(const char *)data, size}, &text, &err);
    if (rc != OK) {
        check_err(rc, &err);
        return 0;
    }
    rc = settings_compile_rules("rules.yaml", &text, &rules, &err);
    if (rc == OK) {
        check_samples(&text, rules);
        rule_set_free(rules);
    } else {
        check_err(rc, &err);
    }
    rules_text_deinit(&text);
    return 0;
}
