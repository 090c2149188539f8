/* Every error of a configuration says where it stands, what is wrong and what to do. */
#include "ops_support.h"

/* --- the document --- */

static void broken_yaml_is_refused_where_it_breaks(void **unused)
{
    (void)unused;
    refused_file("app: \"x\n", "c.yaml:2:1: not YAML: while scanning a quoted scalar, found "
                               "unexpected end of stream\n");
    refused_file("app: x\ninstance: @y\n",
                 "c.yaml:2:11: not YAML: while scanning for the next token, "
                 "found character that cannot start any token\n");
    refused_file("app: x\ninstance: \xff\n",
                 "c.yaml:2:11: not YAML: invalid leading UTF-8 octet\n");
}

static void a_second_document_is_refused(void **unused)
{
    (void)unused;
    refused_file("app: x\n---\napp: y\n", "c.yaml:2:1: a second document; keep one\n");
}

static void a_document_that_is_no_map_is_refused(void **unused)
{
    (void)unused;
    refused_file("- app\n", "c.yaml:1:1: configuration: must be a map of keys\n");
    refused_file("kafka: 1\n", "c.yaml:1:8: kafka: must be a map of keys\n");
    refused_file("? [a]\n: b\n", "c.yaml:1:3: configuration: holds something that is no key\n");
}

static void a_file_that_is_missing_is_refused_by_name(void **unused)
{
    (void)unused;
    struct config_options options = {.file = "missing.yaml"};
    struct config *config = NULL;
    struct err err;
    assert_int_equal(config_load(&options, &config, &err), E_CONFIG);
    assert_null(config);
    assert_string_equal(err.text, "missing.yaml: cannot be read: No such file or directory");
}

static void an_empty_file_changes_nothing(void **unused)
{
    (void)unused;
    struct config *config = loaded((struct layers){.file = "# nothing\n"});
    assert_string_equal(config->app, "rimbalzo");
    config_free(config);
}

/* --- keys --- */

static void an_unknown_key_is_refused_with_the_nearest_one(void **unused)
{
    (void)unused;
    refused_file("topics:\n  partitons: 3\n",
                 "c.yaml:2:3: topics.partitons: unknown key; did you mean topics.partitions?\n");
    refused_file("topic: {}\n", "c.yaml:1:1: topic: unknown key; did you mean topics?\n");
    refused_file("threads: 3\n",
                 "c.yaml:1:1: threads: unknown key; did you mean worker.threads?\n");
    refused_file("policies: {default: {delay: [1h]}}\n",
                 "c.yaml:1:22: policies.default.delay: unknown key; did you mean "
                 "policies.default.delays?\n");
    refused_file("colour: red\n", "c.yaml:1:1: colour: unknown key; `rimbalzo config defaults` "
                                  "shows all of them\n");
}

static void a_key_given_twice_is_refused(void **unused)
{
    (void)unused;
    refused_file("worker:\n  threads: 1\n  threads: 2\n",
                 "c.yaml:3:3: worker.threads: is given twice, first in line 2; keep one\n");
}

/* --- values --- */

static void a_value_of_the_wrong_shape_is_refused(void **unused)
{
    (void)unused;
    refused_file("app: [x]\n", "c.yaml:1:6: app: must be a single value, not a list or a map\n");
    refused_file("state_dir:\n",
                 "c.yaml:1:11: state_dir: has no value; give one or remove the key\n");
    refused_file("transient: {delays: 1h}\n",
                 "c.yaml:1:21: transient.delays: must be a list, as in [24h, 48h]\n");
    refused_file("transient: {delays: [1h, [2h]]}\n",
                 "c.yaml:1:26: transient.delays: entry 2 is not a duration\n");
    refused_file("app: \"a\\0b\"\n", "c.yaml:1:6: app: holds a NUL character\n");
}

static void a_bad_name_is_refused(void **unused)
{
    (void)unused;
    refused_file("app: a b\n",
                 "c.yaml:1:6: app: 'a b' is no name; use 1 to 100 of A-Z, a-z, 0-9, '.', '_' and "
                 "'-'\n");
    refused_file("topics: {due: ..}\n",
                 "c.yaml:1:15: topics.due: '..' is no name; use 1 to 249 of A-Z, a-z, 0-9, '.', "
                 "'_' and '-'\n");
}

static void a_bad_number_is_refused(void **unused)
{
    (void)unused;
    refused_file("topics: {partitions: many}\n",
                 "c.yaml:1:22: topics.partitions: 'many' is not a whole number\n");
    refused_file("topics: {partitions: 0}\n",
                 "c.yaml:1:22: topics.partitions: 0 is out of range; from 1 to 4096\n");
    refused_file("topics: {partitions: -1}\n",
                 "c.yaml:1:22: topics.partitions: -1 is out of range; from 1 to 4096\n");
    refused_file("topics: {partitions: 99999999999999999999}\n",
                 "c.yaml:1:22: topics.partitions: '99999999999999999999' is not a whole number\n");
}

static void a_bad_duration_or_size_is_refused(void **unused)
{
    (void)unused;
    refused_file("stale_after: soon\n",
                 "c.yaml:1:14: stale_after: 'soon' is not a duration; give a whole number and a "
                 "unit: ms, s, m, h or d, as in 250ms, 5m, 24h or 30d\n");
    refused_file("stale_after: 30\n", "c.yaml:1:14: stale_after: '30' has no unit; units are ms, "
                                      "s, m, h or d, as in 250ms, 5m, 24h or 30d\n");
    refused_file("stale_after: 30w\n", "c.yaml:1:14: stale_after: '30w' has a wrong unit; units "
                                       "are ms, s, m, h or d, as in 250ms, 5m, 24h or 30d\n");
    refused_file("worker: {commit_interval: 1h}\n",
                 "c.yaml:1:27: worker.commit_interval: 1h is out of range; from 1ms to 10s\n");
    refused_file("worker: {batch_bytes_max: 64MB}\n",
                 "c.yaml:1:27: worker.batch_bytes_max: '64MB' has a wrong unit; units are B, KiB, "
                 "MiB, GiB or TiB, as in 64MiB\n");
    refused_file("transient: {delays: [1h, 0h]}\n",
                 "c.yaml:1:26: transient.delays: 0h is out of range; from 1ms to 36500d\n");
    refused_file("stale_after: 9223372036854775807d\n",
                 "c.yaml:1:14: stale_after: 9223372036854775807d is out of range; from 1ms to "
                 "36500d\n");
}

static void a_bad_choice_is_refused(void **unused)
{
    (void)unused;
    refused_file("suppression: {lift_on_delivery: yes}\n",
                 "c.yaml:1:33: suppression.lift_on_delivery: 'yes' is neither true nor false\n");
    refused_file("unknown: {as: hard}\n", "c.yaml:1:15: unknown.as: 'hard' is none of unknown, "
                                          "soft, transient or policy\n");
    refused_file("log: {format: xml}\n", "c.yaml:1:15: log.format: 'xml' is none of logfmt or "
                                         "json\n");
}

static void a_bad_address_is_refused(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"nowhere", ":1", "a:99999", "1.2.3:4", "[::1:80", "a b:1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char file[64], fault[256];
        snprintf(file, sizeof(file), "http: {listen: \"%s\"}\n", bad[i]);
        snprintf(fault, sizeof(fault),
                 "c.yaml:1:16: http.listen: '%s' is no address to listen on; give host:port, as in "
                 "127.0.0.1:9464 or [::1]:9464, or \"\" for none\n",
                 bad[i]);
        refused_file(file, fault);
    }
}

/* --- kafka --- */

static void a_secret_outside_a_file_is_refused_and_not_shown(void **unused)
{
    (void)unused;
    refused_file("kafka:\n  sasl.password: hunter2\n",
                 "c.yaml:2:18: kafka.sasl.password: secrets are only read from files; put it into "
                 "one and set kafka.sasl.password_file to its path\n");
    refused_set("kafka.ssl.key.pem=hunter2",
                "--set kafka.ssl.key.pem: secrets are only read from files; put it into one and "
                "set kafka.ssl.key.pem_file to its path\n");
}

static void a_secret_file_that_cannot_be_read_is_refused(void **unused)
{
    (void)unused;
    refused_file("kafka:\n  sasl.password_file: missing\n",
                 "c.yaml:2:23: kafka.sasl.password_file: missing cannot be read: No such file or "
                 "directory\n");
}

/* --- policies --- */

static void a_policy_without_reasons_is_refused(void **unused)
{
    (void)unused;
    refused_file("policies:\n"
                 "  default: {delays: [24h]}\n"
                 "  full: {max_attempts: 1}\n",
                 "c.yaml:3:3: policies.full.reasons: missing; list the reasons the policy is for, "
                 "as in [mailbox_full]\n");
}

static void policies_without_a_default_are_refused(void **unused)
{
    (void)unused;
    refused_file("policies:\n"
                 "  a: {reasons: [moved], delays: [1h], max_attempts: 1, contact_after: 0}\n",
                 "c.yaml:2:3: policies: no policy is named default; add one, it takes every reason "
                 "that no other policy names\n");
}

static void a_policy_that_would_never_be_used_is_refused(void **unused)
{
    (void)unused;
    refused_set("policies.disabled-permanent.reasons=[]",
                "--set policies.disabled-permanent.reasons: is empty, so the policy would never be "
                "used; list a reason or remove the policy\n");
    refused_set("policies.default.reasons=[moved]",
                "--set policies.default.reasons: the default policy takes the reasons that no "
                "other policy names; remove the list\n");
}

static void a_reason_of_two_policies_is_refused(void **unused)
{
    (void)unused;
    refused_set("policies.more={reasons: [mailbox_disabled_permanent], delays: [1h], max_attempts: "
                "1, contact_after: 0}",
                "--set policies.more.reasons: mailbox_disabled_permanent belongs to "
                "policies.disabled-permanent already; keep it in one of them\n");
    refused_set("policies.disabled-permanent.reasons=[moved, moved]",
                "--set policies.disabled-permanent.reasons: moved is listed twice\n");
}

static void a_bad_name_of_a_policy_is_refused(void **unused)
{
    (void)unused;
    refused_file("policies:\n  BAD: {}\n",
                 "c.yaml:2:3: policies.BAD: 'BAD' is no name of a policy; use 1 to 63 of a-z, 0-9, "
                 "'_' and '-'\n");
}

/* --- contradictions --- */

static void a_delay_beyond_its_limit_is_refused_where_it_was_given(void **unused)
{
    (void)unused;
    refused_file("stale_after: 14d\n",
                 "c.yaml:1:14: stale_after: must be longer than the longest delay, 14d of "
                 "policies.disabled-permanent.delays; raise it or shorten the delay\n");
    refused_file("transient: {delays: [30d]}\n",
                 "c.yaml:1:21: transient.delays: stale_after (30d) must be longer than the longest "
                 "delay, 30d; raise it or shorten the delay\n");
    refused_file("dispatcher: {delay_max: 13d}\n",
                 "c.yaml:1:25: dispatcher.delay_max: must be at least as long as the longest "
                 "delay, 14d of policies.disabled-permanent.delays; raise it or shorten the "
                 "delay\n");
    config_free(loaded((struct layers){.file = "dispatcher: {delay_max: 14d}\n"}));
}

static void two_topics_of_one_name_are_refused(void **unused)
{
    (void)unused;
    refused_file("topics: {due: x, bounces: x}\n",
                 "c.yaml:1:15: topics.due: is the same topic as topics.bounces, x; give each a "
                 "name of its own\n");
    refused_file("topics: {bounces: rimbalzo.retries.due}\n",
                 "c.yaml:1:19: topics.bounces: is the same topic as topics.due, "
                 "rimbalzo.retries.due; give each a name of its own\n");
    refused_file("topics: {prefix: a/}\n",
                 "c.yaml:1:18: topics.prefix: 'a/' cannot begin a topic's name; use A-Z, a-z, 0-9, "
                 "'.', '_' and '-'\n");
}

static void what_is_said_of_a_schema_registry_must_make_sense(void **unused)
{
    (void)unused;
    refused_file("schemas: {registry: {url: \"registry:8081\"}}\n",
                 "c.yaml:1:27: schemas.registry.url: 'registry:8081' begins with neither http:// "
                 "nor https://\n");
    refused_file("schemas: {registry: {url: \"http://me:secret@registry\"}}\n",
                 "c.yaml:1:27: schemas.registry.url: a user does not belong here; use "
                 "schemas.registry.user and password_file\n");
    refused_file("schemas: {registry: {url: \"http://\"}}\n",
                 "c.yaml:1:27: schemas.registry.url: 'http://' is not host, port and path alone, "
                 "without query, fragment or blanks\n");
    refused_file("schemas: {registry: {url: \"http://r/?x\"}}\n",
                 "c.yaml:1:27: schemas.registry.url: 'http://r/?x' is not host, port and path "
                 "alone, without query, fragment or blanks\n");
    refused_file("schemas: {registry: {url: \"http://r\", password_file: p}}\n",
                 "c.yaml:1:54: schemas.registry.password_file: is of no use without "
                 "schemas.registry.user\n");
    refused_file("schemas: {registry: {url: \"https://r\", key_file: k}}\n",
                 "c.yaml:1:50: schemas.registry.key_file: is of no use without "
                 "schemas.registry.cert_file\n");
    refused_file("schemas: {registry: {timeout: 10ms}}\n",
                 "c.yaml:1:31: schemas.registry.timeout: 10ms is out of range; from 100ms to 1m\n");
}

/* --- flags and variables --- */

static void a_flag_is_named_in_its_errors(void **unused)
{
    (void)unused;
    refused_set("app", "--set app: has no value; write --set KEY=VALUE\n");
    refused_set("=x", "--set =x: has no value; write --set KEY=VALUE\n");
    refused_set("ap=x", "--set ap: unknown key; did you mean app?\n");
    refused_set("worker.threads=x", "--set worker.threads: 'x' is not a whole number\n");
    refused_set("transient.delays=[1h",
                "--set transient.delays: not YAML: while parsing a flow sequence, did not find "
                "expected ',' or ']'\n");
    refused_set("app=\xff", "--set app: is not UTF-8\n");
}

static void a_variable_is_named_in_its_errors(void **unused)
{
    (void)unused;
    refused_variable("RIMBALZO_APP=", "RIMBALZO_APP: app: '' is no name; use 1 to 100 of A-Z, a-z, "
                                      "0-9, '.', '_' and '-'\n");
    refused_variable(
        "RIMBALZO_STATEDIR=/x",
        "RIMBALZO_STATEDIR: statedir: no such key; did you mean RIMBALZO_STATE_DIR?\n");
    refused_variable("RIMBALZO_COLOUR=red",
                     "RIMBALZO_COLOUR: colour: no such key; unset the variable, or see `rimbalzo "
                     "config defaults`\n");
}

static void all_errors_come_in_the_order_of_the_layers_and_the_file(void **unused)
{
    (void)unused;
    assert_refused((struct layers){.file = "worker:\n"
                                           "  threads: 0\n"
                                           "  commit_interval: 1\n"
                                           "app: a b\n"
                                           "kafka:\n"
                                           "  sasl.password: x\n"
                                           "colour: red\n",
                                   .environment = {"RIMBALZO_LOG_LEVEL=loud"},
                                   .sets = {"topics.due=."}},
                   "c.yaml:2:12: worker.threads: 0 is out of range; from 1 to 256\n"
                   "c.yaml:3:20: worker.commit_interval: '1' has no unit; units are ms, s, m, h or "
                   "d, as in 250ms, 5m, 24h or 30d\n"
                   "c.yaml:4:6: app: 'a b' is no name; use 1 to 100 of A-Z, a-z, 0-9, '.', '_' and "
                   "'-'\n"
                   "c.yaml:6:18: kafka.sasl.password: secrets are only read from files; put it "
                   "into one and set kafka.sasl.password_file to its path\n"
                   "c.yaml:7:1: colour: unknown key; `rimbalzo config defaults` shows all of them\n"
                   "RIMBALZO_LOG_LEVEL: log.level: 'loud' is none of debug, info, warn or error\n"
                   "--set topics.due: '.' is no name; use 1 to 249 of A-Z, a-z, 0-9, '.', '_' and "
                   "'-'\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_yaml_is_refused_where_it_breaks),
        cmocka_unit_test(a_second_document_is_refused),
        cmocka_unit_test(a_document_that_is_no_map_is_refused),
        cmocka_unit_test(a_file_that_is_missing_is_refused_by_name),
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_one),
        cmocka_unit_test(a_key_given_twice_is_refused),
        cmocka_unit_test(a_value_of_the_wrong_shape_is_refused),
        cmocka_unit_test(a_bad_name_is_refused),
        cmocka_unit_test(a_bad_number_is_refused),
        cmocka_unit_test(a_bad_duration_or_size_is_refused),
        cmocka_unit_test(a_bad_choice_is_refused),
        cmocka_unit_test(a_bad_address_is_refused),
        cmocka_unit_test(a_secret_outside_a_file_is_refused_and_not_shown),
        cmocka_unit_test(a_secret_file_that_cannot_be_read_is_refused),
        cmocka_unit_test(a_policy_without_reasons_is_refused),
        cmocka_unit_test(policies_without_a_default_are_refused),
        cmocka_unit_test(a_policy_that_would_never_be_used_is_refused),
        cmocka_unit_test(a_reason_of_two_policies_is_refused),
        cmocka_unit_test(a_bad_name_of_a_policy_is_refused),
        cmocka_unit_test(a_delay_beyond_its_limit_is_refused_where_it_was_given),
        cmocka_unit_test(two_topics_of_one_name_are_refused),
        cmocka_unit_test(what_is_said_of_a_schema_registry_must_make_sense),
        cmocka_unit_test(a_flag_is_named_in_its_errors),
        cmocka_unit_test(a_variable_is_named_in_its_errors),
        cmocka_unit_test(all_errors_come_in_the_order_of_the_layers_and_the_file),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
