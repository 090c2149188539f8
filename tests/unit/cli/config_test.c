/* rimbalzo config check|show|defaults. The texts of single errors: tests/unit/ops. */
#include "command.h"

#include "ops/config.h"

#define ARGS(...) .run = cmd_config, .args = {__VA_ARGS__}

static void defaults_are_printed_with_their_comments(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS("defaults")}, EXIT_CODE_OK, config_defaults_yaml, "");
}

static void a_good_configuration_is_ok(void **unused)
{
    (void)unused;
    write_file("c.yaml", str_of(config_defaults_yaml));
    assert_command((struct command){ARGS("check", "-c", "c.yaml")}, EXIT_CODE_OK, "OK\n", "");
    assert_command((struct command){ARGS("check")}, EXIT_CODE_OK, "OK\n", "");
}

static void check_reports_every_error_with_its_place(void **unused)
{
    (void)unused;
    write_file("c.yaml", STR("worker:\n  threads: 0\ncolour: red\n"));
    assert_command((struct command){ARGS("check", "-c", "c.yaml", "--set", "app=a b"),
                                    .variable = "RIMBALZO_LOG_LEVEL=loud"},
                   EXIT_CODE_CONFIG, "",
                   "rimbalzo: c.yaml:2:12: worker.threads: 0 is out of range; from 1 to 256\n"
                   "rimbalzo: c.yaml:3:1: colour: unknown key; `rimbalzo config defaults` shows "
                   "all of them\n"
                   "rimbalzo: RIMBALZO_LOG_LEVEL: log.level: 'loud' is none of debug, info, warn "
                   "or error\n"
                   "rimbalzo: --set app: 'a b' is no name; use 1 to 100 of A-Z, a-z, 0-9, '.', '_' "
                   "and '-'\n");
}

static void check_asks_the_domain_the_rules_the_schemas_and_librdkafka(void **unused)
{
    (void)unused;
    write_file("rules.yaml", STR("- id: a\n  kind: x\n"));
    write_file("c.yaml", STR("policies:\n"
                             "  default: {delays: [1h], max_attempts: 1, contact_after: 0}\n"
                             "  a:\n"
                             "    reasons: [no_such_reason]\n"
                             "    delays: [1h]\n"
                             "    max_attempts: 1\n"
                             "    contact_after: 0\n"
                             "rules: {file: rules.yaml}\n"
                             "schemas: {dir: missing}\n"
                             "kafka:\n"
                             "  enable.idempotence: false\n"));
    struct result result = run_command((struct command){ARGS("check", "-c", "c.yaml")});
    static const char *const starts[] = {
        "rimbalzo: c.yaml:4:15: policies: ", "rimbalzo: rules.yaml:2:3: kind: unknown key\n",
        "rimbalzo: c.yaml:9:16: schemas.dir: missing: ",
        "rimbalzo: c.yaml:11:23: kafka: kafka.enable.idempotence: "};
    const char *line = result.err.data;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (strncmp(line, starts[i], strlen(starts[i])) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", line, starts[i]);
        line += strcspn(line, "\n") + 1;
    }
    assert_string_equal(line, "");
    assert_int_equal(result.code, EXIT_CODE_CONFIG);
    result_deinit(&result);
}

static void a_rule_file_that_is_missing_is_a_fault_of_its_key(void **unused)
{
    (void)unused;
    write_file("c.yaml", STR("rules:\n  file: none.yaml\n"));
    assert_command((struct command){ARGS("check", "-c", "c.yaml")}, EXIT_CODE_CONFIG, "",
                   "rimbalzo: c.yaml:2:9: rules.file: none.yaml: cannot be read: No such file or "
                   "directory\n");
}

static void show_is_what_check_and_show_read_again(void **unused)
{
    (void)unused;
    struct result first = run_command(
        (struct command){ARGS("show", "--set", "app=x"), .variable = "RIMBALZO_STATE_DIR=/s"});
    assert_int_equal(first.code, EXIT_CODE_OK);
    assert_memory_equal(first.out.data, "app: x\n", 7);
    assert_non_null(strstr(first.out.data, "\nstate_dir: /s\n"));
    write_file("shown.yaml", buf_view(&first.out));
    assert_command((struct command){ARGS("check", "-c", "shown.yaml")}, EXIT_CODE_OK, "OK\n", "");
    assert_command((struct command){ARGS("show", "-c", "shown.yaml")}, EXIT_CODE_OK, first.out.data,
                   "");
    result_deinit(&first);
}

static void show_says_places_but_never_a_secret(void **unused)
{
    (void)unused;
    write_file("secret", STR("hunter2\n"));
    write_file("c.yaml", STR("kafka:\n  sasl.password_file: secret\n"));
    struct result result = run_command((struct command){ARGS("show", "--places", "-c", "c.yaml")});
    assert_int_equal(result.code, EXIT_CODE_OK);
    assert_non_null(strstr(result.out.data, "\n  sasl.password_file: secret  # c.yaml:2\n"));
    assert_null(strstr(result.out.data, "hunter2"));
    result_deinit(&result);
}

static void show_of_a_bad_configuration_reports_its_errors(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS("show", "--set", "app=")}, EXIT_CODE_CONFIG, "",
                   "rimbalzo: --set app: '' is no name; use 1 to 100 of A-Z, a-z, 0-9, '.', '_' "
                   "and '-'\n");
}

static void bad_arguments_are_usage_errors(void **unused)
{
    (void)unused;
    assert_usage((struct command){ARGS(NULL)}, "say check, show or defaults");
    assert_usage((struct command){ARGS("print")},
                 "\"print\" is one argument too many, or not check, show or defaults");
    assert_usage((struct command){ARGS("check", "--places")}, "--places is for show");
    assert_usage((struct command){ARGS("defaults", "--set", "app=x")},
                 "defaults takes no configuration");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_printed_with_their_comments),
        cmocka_unit_test(a_good_configuration_is_ok),
        cmocka_unit_test(check_reports_every_error_with_its_place),
        cmocka_unit_test(check_asks_the_domain_the_rules_the_schemas_and_librdkafka),
        cmocka_unit_test(a_rule_file_that_is_missing_is_a_fault_of_its_key),
        cmocka_unit_test(show_is_what_check_and_show_read_again),
        cmocka_unit_test(show_says_places_but_never_a_secret),
        cmocka_unit_test(show_of_a_bad_configuration_reports_its_errors),
        cmocka_unit_test(bad_arguments_are_usage_errors),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
