/* rimbalzo classify: facts as flags, facts as JSON lines, the rules. */
#include "command.h"

#include "cli/settings.h"

#define ARGS(...) .run = cmd_classify, .args = {__VA_ARGS__}

/* --- flags --- */

static void a_status_alone_is_decided_by_its_code(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS("4.2.1")}, EXIT_CODE_OK,
                   "CLASS  REASON            RULE        STATUS\n"
                   "SOFT   mailbox_disabled  code.4.2.1  4.2.1\n",
                   "");
}

static void the_text_comes_before_the_code(void **unused)
{
    (void)unused;
    assert_command(
        (struct command){ARGS("4.2.1", "--text", "is receiving mail at a rate", "-o", "jsonl")},
        EXIT_CODE_OK,
        "{\"class\":\"TRANSIENT\",\"reason\":\"rate_limited\",\"rule\":\"gmail.rate\","
        "\"status\":\"4.2.1\"}\n",
        "");
}

static void every_fact_has_a_flag(void **unused)
{
    (void)unused;
    assert_command(
        (struct command){ARGS("--reply", "421", "--mx", "aspmx.l.google.com", "--stage", "rcpt",
                              "--text", "4.7.0 closing connection", "-o", "tsv")},
        EXIT_CODE_OK,
        "class\treason\trule\tstatus\nTRANSIENT\trate_limited\tgoogle.throttle\t4.7.0\n", "");
    assert_command((struct command){ARGS("--reply", "552", "-o", "tsv")}, EXIT_CODE_OK,
                   "class\treason\trule\tstatus\nSOFT\tmailbox_full\treply.552\t\n", "");
}

static void bad_flags_are_usage_errors(void **unused)
{
    (void)unused;
    assert_usage((struct command){ARGS("nonsense")}, "\"nonsense\" is no status code as 4.2.1; a "
                                                     "reply's text is for --text");
    assert_usage((struct command){ARGS("--reply", "99")},
                 "--reply takes a code from 200 to 599, not \"99\"");
    assert_usage((struct command){ARGS("5.1.1", "5.1.2")}, "\"5.1.2\" is one argument too many");
    assert_usage((struct command){ARGS("-o", "xml")},
                 "-o takes table, json, jsonl, tsv or csv, not \"xml\"");
    assert_usage((struct command){ARGS("--explain")},
                 "--explain is for one bounce: give a STATUS or --text");
}

/* --- lines --- */

#define HARD_511                                                                                   \
    "{\"class\":\"HARD\",\"reason\":\"user_unknown\",\"rule\":\"code.5.1.1\",\"status\":\"5.1."    \
    "1\"}\n"
#define UNKNOWN "{\"class\":\"UNKNOWN\",\"reason\":\"other\",\"rule\":\"none\",\"status\":null}\n"

static void each_line_is_answered_in_order(void **unused)
{
    (void)unused;
    assert_command(
        (struct command){ARGS(NULL), .input = STR("{\"status\":\"5.1.1\"}\n"
                                                  "\n"
                                                  "{}\r\n"
                                                  "{\"text\":null,\"status\":\"x\",\"id\":[7]}\n"
                                                  "{\"text\":\"550 5.1.1 \\u0000\"}")},
        EXIT_CODE_OK, HARD_511 UNKNOWN UNKNOWN HARD_511, "");
}

static void all_facts_of_a_line_count(void **unused)
{
    (void)unused;
    assert_command(
        (struct command){ARGS(NULL),
                         .input = STR("{\"text\":\"try again later\",\"status\":\"4.7.0\","
                                      "\"mx\":\"aspmx.l.google.com\",\"stage\":\"rcpt\"}\n"
                                      "{\"reply_code\":552}\n")},
        EXIT_CODE_OK,
        "{\"class\":\"TRANSIENT\",\"reason\":\"rate_limited\",\"rule\":\"google.throttle\","
        "\"status\":\"4.7.0\"}\n"
        "{\"class\":\"SOFT\",\"reason\":\"mailbox_full\",\"rule\":\"reply.552\",\"status\":null}\n",
        "");
}

static void bad_lines_are_reported_and_the_others_go_on(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS(NULL), .input = STR("{\"status\":\"5.1.1\"}\n"
                                                             "{\"status\":5}\n"
                                                             "\n"
                                                             "[]\n"
                                                             "{\"reply_code\":\"550\"}\n"
                                                             "{\"reply_code\":42}\n"
                                                             "{} {}\n"
                                                             "{}\n")},
                   EXIT_CODE_DATA, HARD_511 UNKNOWN,
                   "rimbalzo: line 2: \"status\" is not a string\n"
                   "rimbalzo: line 4: is not an object\n"
                   "rimbalzo: line 5: \"reply_code\" is no number from 200 to 599\n"
                   "rimbalzo: line 6: \"reply_code\" is no number from 200 to 599\n"
                   "rimbalzo: line 7: not JSON: column 4: end of file expected near '{'\n");
}

static void no_line_is_no_error(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS(NULL)}, EXIT_CODE_OK, "", "");
    assert_command((struct command){ARGS("-o", "json")}, EXIT_CODE_OK, "[]\n", "");
}

static void a_line_beyond_the_limit_is_bad_and_costs_no_other(void **unused)
{
    (void)unused;
    struct buf input = {0};
    buf_str(&input, STR("{\"status\":\"5.1.1\"}\n{\"text\":\""));
    for (int i = 0; i < 3 << 20; i++)
        buf_append(&input, "x", 1);
    buf_str(&input, STR("\"}\n{\"status\":\"5.1.1\"}\n"));
    assert_command((struct command){ARGS(NULL), .input = buf_view(&input)}, EXIT_CODE_DATA,
                   HARD_511 HARD_511, "rimbalzo: line 2: longer than 1048576 octets\n");
    buf_deinit(&input);
}

/* Lines that end at, before and behind every boundary of what is read at once. */
static void many_lines_are_all_answered(void **unused)
{
    (void)unused;
    struct buf input = {0};
    const int count = 20000;
    for (int i = 0; i < count; i++)
        buf_printf(&input, "{\"status\":\"5.1.1\"%*s}\n", i % 17, "");
    struct result result = run_command((struct command){ARGS(NULL), .input = buf_view(&input)});
    assert_int_equal(result.code, EXIT_CODE_OK);
    assert_int_equal(result.err.len, 0);
    assert_int_equal(result.out.len, (size_t)count * strlen(HARD_511));
    for (int i = 0; i < count; i++)
        assert_memory_equal(result.out.data + (size_t)i * strlen(HARD_511), HARD_511,
                            strlen(HARD_511));
    result_deinit(&result);
    buf_deinit(&input);
}

/* --- rules --- */

static void the_default_rules_load_and_all_their_samples_hold(void **unused)
{
    (void)unused;
    struct rule_set *rules = NULL;
    struct err err;
    if (settings_rules(NULL, &rules, &err) != OK)
        fail_msg("%s", err.text);
    rule_set_free(rules);
}

static const char own_rule[] = "- id: own.rule\n"
                               "  text: 'flub'\n"
                               "  class: SOFT\n"
                               "  reason: moved\n"
                               "  positive:\n"
                               "    - { text: '550 flub' }\n"
                               "  negative:\n"
                               "    - { text: '550 %s' }\n";

static void rules_of_the_configuration_decide(void **unused)
{
    (void)unused;
    struct buf rules = {0};
    buf_printf(&rules, own_rule, "other");
    write_file("rules.yaml", buf_view(&rules));
    assert_command(
        (struct command){ARGS("--set", "rules.file=rules.yaml", "--text", "FLUB", "-o", "tsv")},
        EXIT_CODE_OK, "class\treason\trule\tstatus\nSOFT\tmoved\town.rule\t\n", "");
    buf_deinit(&rules);
}

static void a_rule_whose_sample_fails_stops_with_its_line(void **unused)
{
    (void)unused;
    struct buf rules = {0};
    buf_printf(&rules, own_rule, "flub");
    write_file("rules.yaml", buf_view(&rules));
    struct result result =
        run_command((struct command){ARGS("--set", "rules.file=rules.yaml", "5.1.1")});
    assert_int_equal(result.code, EXIT_CODE_CONFIG);
    assert_memory_equal(result.err.data, "rimbalzo: rules.yaml:8: ", 24);
    result_deinit(&result);
    buf_deinit(&rules);
}

/* --- why --- */

static const char two_rules[] =
    "- {id: own.full, mx: example.org, stage: rcpt, status: x.2.2, reply: 452, class: SOFT,\n"
    "   reason: mailbox_full, text: quota,\n"
    "   positive: [{text: 452 4.2.2 quota, mx: example.org, stage: rcpt}],\n"
    "   negative: [{text: 452 quota}]}\n"
    "- {id: own.gone, reply: 5xx, text: '@ is gone', class: HARD, reason: user_unknown,\n"
    "   positive: [{text: 550 a@b is gone}], negative: [{text: 450 a@b is gone}]}\n";

#define EXPLAIN(...) ARGS("--set", "rules.file=rules.yaml", "--explain", __VA_ARGS__)

static void each_rule_tells_why_it_does_not_match(void **unused)
{
    (void)unused;
    write_file("rules.yaml", STR(two_rules));
    assert_command(
        (struct command){EXPLAIN("--text", "550-5.1.1 <Ada@Example.ORG>\n550 5.1.1 IS gone")},
        EXIT_CODE_OK,
        "status 5.1.1, reply 550, mx -, stage -\n"
        "text   550-5.1.1 <@> is gone\n\n"
        "RULE        LINE  CLASS  REASON        MATCH  BECAUSE\n"
        "own.full       1  SOFT   mailbox_full  false  no mx stage status reply text\n"
        "own.gone       5  HARD   user_unknown  false  no text\n"
        "code.5.1.1     -  HARD   user_unknown  true   -\n",
        "");
    assert_command((struct command){EXPLAIN("--text", "ada@example.org is gone", "--mx",
                                            "mx.example.org", "--stage", "RCPT", "5.2.2")},
                   EXIT_CODE_OK,
                   "status 5.2.2, reply 5xx, mx example.org, stage rcpt\n"
                   "text   @ is gone\n\n"
                   "RULE      LINE  CLASS  REASON        MATCH  BECAUSE\n"
                   "own.full     1  SOFT   mailbox_full  false  no reply text\n"
                   "own.gone     5  HARD   user_unknown  true   -\n",
                   "");
}

static void an_explanation_has_every_format(void **unused)
{
    (void)unused;
    write_file("rules.yaml", STR(two_rules));
    assert_command((struct command){EXPLAIN("-o", "jsonl", "--reply", "450")}, EXIT_CODE_OK,
                   "{\"rule\":\"own.full\",\"line\":1,\"class\":\"SOFT\",\"reason\":"
                   "\"mailbox_full\",\"match\":false,\"because\":\"no mx stage status reply "
                   "text\"}\n"
                   "{\"rule\":\"own.gone\",\"line\":5,\"class\":\"HARD\",\"reason\":"
                   "\"user_unknown\",\"match\":false,\"because\":\"no reply text\"}\n"
                   "{\"rule\":\"reply.450\",\"line\":null,\"class\":\"TRANSIENT\",\"reason\":"
                   "\"other\",\"match\":true,\"because\":null}\n",
                   "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_alone_is_decided_by_its_code),
        cmocka_unit_test(the_text_comes_before_the_code),
        cmocka_unit_test(every_fact_has_a_flag),
        cmocka_unit_test(bad_flags_are_usage_errors),
        cmocka_unit_test(each_line_is_answered_in_order),
        cmocka_unit_test(all_facts_of_a_line_count),
        cmocka_unit_test(bad_lines_are_reported_and_the_others_go_on),
        cmocka_unit_test(no_line_is_no_error),
        cmocka_unit_test(a_line_beyond_the_limit_is_bad_and_costs_no_other),
        cmocka_unit_test(many_lines_are_all_answered),
        cmocka_unit_test(the_default_rules_load_and_all_their_samples_hold),
        cmocka_unit_test(rules_of_the_configuration_decide),
        cmocka_unit_test(a_rule_whose_sample_fails_stops_with_its_line),
        cmocka_unit_test(each_rule_tells_why_it_does_not_match),
        cmocka_unit_test(an_explanation_has_every_format),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
