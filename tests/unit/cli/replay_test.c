/* rimbalzo replay, explain, state verify: what is refused before a broker is asked. The rest needs
 * one: tests/kafka/test_replay.py; the fold and the comparison: tests/sim. */
#include "command.h"

#include <string.h>

#include "cli/settings.h"

#define ARGS(...) .run = cmd_replay, .args = {__VA_ARGS__}

static const char base_yaml[] = "app: a\ntopics: {partitions: 4}\n";

static const char stricter_yaml[] =
    "policies:\n"
    "  default: {delays: [24h], max_attempts: 3, contact_after: 0}\n"
    "unknown: {as: soft}\n";

static void load(struct settings *settings, const char *overlay)
{
    struct settings_options options = {.file = "c.yaml", .overlay = overlay};
    struct err err;
    write_file("c.yaml", str_of(base_yaml));
    if (settings_load(&options, settings, &err) != OK)
        fail_msg("%s", err.text);
}

static void an_overlay_changes_what_is_decided(void **unused)
{
    (void)unused;
    struct settings base, overlaid;
    struct err err;
    write_file("o.yaml", str_of(stricter_yaml));
    load(&base, NULL);
    load(&overlaid, "o.yaml");
    assert_int_equal(settings_check_overlay(&base, &overlaid, &err), OK);
    assert_int_equal(base.policies.policies[0].max_attempts, 4);
    assert_int_equal(overlaid.policies.policies[0].max_attempts, 3);
    assert_int_equal(overlaid.policies.unknown_as, CLASS_SOFT);
    assert_int_equal(overlaid.config->topics.partitions, 4);
    settings_deinit(&base);
    settings_deinit(&overlaid);
}

static void a_whole_configuration_is_an_overlay_too(void **unused)
{
    (void)unused;
    struct settings base, overlaid;
    struct err err;
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s%s", base_yaml, stricter_yaml);
    write_file("o.yaml", buf_view(&text));
    load(&base, NULL);
    load(&overlaid, "o.yaml");
    assert_int_equal(settings_check_overlay(&base, &overlaid, &err), OK);
    settings_deinit(&base);
    settings_deinit(&overlaid);
    buf_deinit(&text);
}

static void other_decisions_have_another_fingerprint(void **unused)
{
    (void)unused;
    struct settings base, same, overlaid, moved;
    write_file("o.yaml", str_of(stricter_yaml));
    write_file("m.yaml", STR("state_dir: elsewhere\n"));
    load(&base, NULL);
    load(&same, NULL);
    load(&overlaid, "o.yaml");
    load(&moved, "m.yaml");
    assert_true(settings_fingerprint(&base) == settings_fingerprint(&same));
    assert_true(settings_fingerprint(&base) == settings_fingerprint(&moved));
    assert_true(settings_fingerprint(&base) != settings_fingerprint(&overlaid));
    settings_deinit(&base);
    settings_deinit(&same);
    settings_deinit(&overlaid);
    settings_deinit(&moved);
}

static void an_overlay_moves_neither_topics_nor_recipients(void **unused)
{
    (void)unused;
    write_file("c.yaml", str_of(base_yaml));
    write_file("o.yaml", STR("topics:\n  prefix: \"other.\"\n"));
    assert_command((struct command){ARGS("diff", "-c", "c.yaml", "--policy", "o.yaml")},
                   EXIT_CODE_CONFIG, "",
                   "rimbalzo: o.yaml:2:11: topics.prefix: cannot be another for a replay: only "
                   "policies, rules and what else decides about recipients can\n");
    write_file("o.yaml", STR("recipient: {local_part: preserve}\n"));
    assert_command((struct command){ARGS("apply", "-c", "c.yaml", "--policy", "o.yaml")},
                   EXIT_CODE_CONFIG, "",
                   "rimbalzo: o.yaml:1:25: recipient.local_part: cannot be another for a replay: "
                   "only policies, rules and what else decides about recipients can\n");
}

static void an_overlay_is_checked_as_any_configuration(void **unused)
{
    (void)unused;
    write_file("c.yaml", str_of(base_yaml));
    write_file("o.yaml", STR("stale_after: 1h\n"));
    struct result result =
        run_command((struct command){ARGS("diff", "-c", "c.yaml", "--policy", "o.yaml")});
    assert_int_equal(result.code, EXIT_CODE_CONFIG);
    assert_non_null(strstr(result.err.data, "o.yaml:1:14: stale_after"));
    result_deinit(&result);
}

static void usage(struct command command, const char *text)
{
    struct result result = run_command(command);
    assert_int_equal(result.code, EXIT_CODE_USAGE);
    if (!strstr(result.err.data, text))
        fail_msg("%s", result.err.data);
    result_deinit(&result);
}

static void wrong_usage_is_told(void **unused)
{
    (void)unused;
    usage((struct command){ARGS(NULL)}, "say plan, diff or apply");
    usage((struct command){ARGS("redo")}, "\"redo\" is not plan, diff or apply");
    usage((struct command){ARGS("diff", "--from", "earliest")}, "--from and --to are for plan");
    usage((struct command){ARGS("diff", "--yes")}, "--yes and --dry-run are for apply");
    usage((struct command){.run = cmd_explain}, "say whose story");
    usage((struct command){.run = cmd_state, .args = {"verify", "--domain", "example.org"}},
          "--status and --domain are for list");
    usage((struct command){.run = cmd_explain, .args = {"nobody"}}, "is no address");
    usage((struct command){.run = cmd_explain, .args = {"a@example.org", "--tenant", "A B"}},
          "--tenant");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overlay_changes_what_is_decided),
        cmocka_unit_test(a_whole_configuration_is_an_overlay_too),
        cmocka_unit_test(other_decisions_have_another_fingerprint),
        cmocka_unit_test(an_overlay_moves_neither_topics_nor_recipients),
        cmocka_unit_test(an_overlay_is_checked_as_any_configuration),
        cmocka_unit_test(wrong_usage_is_told),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
