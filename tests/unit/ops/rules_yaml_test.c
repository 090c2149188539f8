/* The rule file as it is written: what is loaded, and where its errors stand. */
#include "ops_support.h"

#include "ops/rules_yaml.h"

static void assert_faulty(const char *text, const char *fault)
{
    struct rules_text rules = {0};
    struct err err;
    assert_int_equal(rules_text_parse("r.yaml", str_of(text), &rules, &err), E_RULES);
    assert_null(rules.rules);
    assert_string_equal(err.text, fault);
}

static void a_rule_keeps_its_strings_its_samples_and_their_lines(void **unused)
{
    (void)unused;
    static const char text[] = "# rules\n"
                               "- id: a.b\n"
                               "  mx: example.org\n"
                               "  text: 'x: [y]'\n"
                               "  class: SOFT\n"
                               "  reason: moved\n"
                               "  positive:\n"
                               "    - { text: \"a\\nb\", reply: 450, status: 4.2.1 }\n"
                               "    - text: c\n"
                               "      stage: rcpt\n"
                               "  negative: []\n"
                               "- { id: c, class: HARD, reason: other }\n";
    struct rules_text rules = {0};
    struct err err;
    assert_int_equal(rules_text_parse("r.yaml", STR(text), &rules, &err), OK);
    assert_int_equal(rules.rule_count, 2);
    const struct rule_text *rule = &rules.rules[0];
    assert_string_equal(rule->id, "a.b");
    assert_string_equal(rule->text, "x: [y]");
    assert_null(rule->status);
    assert_int_equal(rule->line, 2);
    assert_int_equal(rule->positive_count, 2);
    assert_string_equal(rule->positive[0].text, "a\nb");
    assert_string_equal(rule->positive[0].status, "4.2.1");
    assert_int_equal(rule->positive[0].reply, 450);
    assert_int_equal(rule->positive[0].line, 8);
    assert_string_equal(rule->positive[1].stage, "rcpt");
    assert_int_equal(rule->positive[1].reply, 0);
    assert_int_equal(rule->positive[1].line, 9);
    assert_int_equal(rule->negative_count, 0);
    assert_int_equal(rules.rules[1].line, 12);
    rules_text_deinit(&rules);
}

static void texts_of_more_lines_keep_them_and_may_be_shared(void **unused)
{
    (void)unused;
    static const char text[] = "- id: a\n"
                               "  text: &words |-\n"
                               "    one\n"
                               "    two\n"
                               "  class: SOFT\n"
                               "  reason: moved\n"
                               "- id: b\n"
                               "  class: HARD\n"
                               "  text: *words\n"
                               "  reason: other\n"
                               "- id: c\n"
                               "  class: HARD\n"
                               "  text:\n"
                               "    'three'\n"
                               "  reason: other\n";
    struct rules_text rules = {0};
    struct err err;
    if (rules_text_parse("r.yaml", STR(text), &rules, &err) != OK)
        fail_msg("%s", err.text);
    assert_string_equal(rules.rules[0].text, "one\ntwo");
    assert_int_equal(rules.rules[0].text_line, 3);
    assert_string_equal(rules.rules[1].text, "one\ntwo");
    assert_int_equal(rules.rules[1].line, 7);
    assert_int_equal(rules.rules[1].text_line, 3); /* where the shared text stands */
    assert_int_equal(rules.rules[2].text_line, 14);
    rules_text_deinit(&rules);
}

static void the_file_compiled_in_loads(void **unused)
{
    (void)unused;
    struct rules_text rules = {0};
    struct err err;
    if (rules_text_load(NULL, &rules, &err) != OK)
        fail_msg("%s", err.text);
    assert_true(rules.rule_count > 20);
    for (uint32_t i = 0; i < rules.rule_count; i++) {
        assert_true(rules.rules[i].line > 0);
        assert_true(rules.rules[i].positive_count > 0 && rules.rules[i].negative_count > 0);
    }
    rules_text_deinit(&rules);
}

static void what_is_no_list_of_rules_is_refused(void **unused)
{
    (void)unused;
    assert_faulty("", "r.yaml:1:1: holds no rules");
    assert_faulty("id: [x\n", "r.yaml:2:1: not YAML: while parsing a flow sequence, did not find "
                              "expected ',' or ']'");
    assert_faulty("- {id: x}\n---\n- {id: y}\n", "r.yaml:2:1: a second document; keep one");
}

static void a_key_that_is_unknown_or_doubled_is_refused_where_it_stands(void **unused)
{
    (void)unused;
    assert_faulty("- id: a\n  regex: x\n", "r.yaml:2:3: regex: unknown key");
    assert_faulty("- id: a\n  class: SOFT\n  class: HARD\n",
                  "r.yaml:3:3: class: is given twice; keep one");
}

/* The text behind the position is libcyaml's. */
static void assert_faulty_at(const char *text, const char *position)
{
    struct rules_text rules = {0};
    struct err err;
    assert_int_equal(rules_text_parse("r.yaml", str_of(text), &rules, &err), E_RULES);
    assert_null(rules.rules);
    if (strncmp(err.text, position, strlen(position)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, position);
    assert_true(strlen(err.text) > strlen(position) + 5);
}

static void a_value_of_the_wrong_type_is_refused_with_its_line(void **unused)
{
    (void)unused;
    assert_faulty_at("id: a\n", "r.yaml:1:");
    assert_faulty_at("- id: a\n  class: SOFT\n", "r.yaml:2:");
    assert_faulty_at("- id: a\n  class: SOFT\n  reason: x\n  mx: [a]\n", "r.yaml:4:");
    assert_faulty_at("- id: a\n  class: SOFT\n  reason: x\n  positive:\n    - { reply: many }\n",
                     "r.yaml:5:");
    assert_faulty_at("- id: a\n  class: SOFT\n  reason: x\n  positive: text\n", "r.yaml:4:");
}

static void a_file_that_is_missing_is_named(void **unused)
{
    (void)unused;
    struct rules_text rules = {0};
    struct err err;
    assert_int_equal(rules_text_load("missing.yaml", &rules, &err), E_IO);
    assert_string_equal(err.text, "missing.yaml: cannot be read: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_keeps_its_strings_its_samples_and_their_lines),
        cmocka_unit_test(texts_of_more_lines_keep_them_and_may_be_shared),
        cmocka_unit_test(the_file_compiled_in_loads),
        cmocka_unit_test(what_is_no_list_of_rules_is_refused),
        cmocka_unit_test(a_key_that_is_unknown_or_doubled_is_refused_where_it_stands),
        cmocka_unit_test(a_value_of_the_wrong_type_is_refused_with_its_line),
        cmocka_unit_test(a_file_that_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
