/* Layers of the configuration, its defaults, and showing it. */
#include "ops_support.h"

#define HOUR_MS (3600 * 1000LL)
#define DAY_MS (24 * HOUR_MS)

/* --- layers --- */

static void a_later_layer_overrides_an_earlier_one(void **unused)
{
    (void)unused;
    const char *file = "app: file\nstate_dir: /file\nworker: {threads: 2}\n";
    struct config *config = loaded(
        (struct layers){.file = file,
                        .environment = {"RIMBALZO_APP=environment", "RIMBALZO_STATE_DIR=/var/env"},
                        .sets = {"app=first", "app=flag"}});
    assert_string_equal(config->app, "flag");
    assert_string_equal(config->state_dir, "/var/env");
    assert_int_equal(config->worker.threads, 2);
    assert_int_equal(config->dispatcher.threads, 1);
    config_free(config);
}

static void every_value_knows_where_it_is_from(void **unused)
{
    (void)unused;
    struct config *config = loaded((struct layers){.file = "worker:\n  threads: 2\n",
                                                   .environment = {"RIMBALZO_STATE_DIR=/env"},
                                                   .sets = {"kafka.client.id=x"}});
    struct config_place place = config_place(config, "worker.threads");
    assert_int_equal(place.origin, CONFIG_FILE);
    assert_string_equal(place.name, "c.yaml");
    assert_int_equal(place.line, 2);
    assert_int_equal(place.column, 12);
    place = config_place(config, "state_dir");
    assert_int_equal(place.origin, CONFIG_ENVIRONMENT);
    assert_string_equal(place.name, "RIMBALZO_STATE_DIR");
    place = config_place(config, "kafka.client.id");
    assert_int_equal(place.origin, CONFIG_FLAG);
    assert_string_equal(place.name, "--set");
    assert_int_equal(config_place(config, "policies.default.delays").origin, CONFIG_DEFAULT);
    config_free(config);
}

static void policies_given_as_a_whole_replace_and_one_key_changes_one(void **unused)
{
    (void)unused;
    struct config *config = loaded((struct layers){.sets = {"policies.default.max_attempts=5"}});
    assert_int_equal(config->policy_count, 2);
    assert_int_equal(config->policies[0].max_attempts, 5);
    assert_int_equal(config->policies[0].delays.count, 4);
    config_free(config);
    config = loaded(
        (struct layers){.file = "policies:\n"
                                "  default: {delays: [1h], max_attempts: 3, contact_after: 0}\n"});
    assert_int_equal(config->policy_count, 1);
    assert_int_equal(config->policies[0].delays.delay_ms[0], HOUR_MS);
    config_free(config);
}

static void a_prefix_names_the_topics_that_have_no_name(void **unused)
{
    (void)unused;
    struct config *config = loaded((struct layers){.file = "topics: {prefix: a., due: mine}\n"});
    assert_string_equal(config->topics.bounces, "a.bounces");
    assert_string_equal(config->topics.delayed, "a.retries.delayed");
    assert_string_equal(config->topics.due, "mine");
    assert_string_equal(config->topics.dead_letters, "a.dead-letters");
    config_free(config);
}

/* --- forms of --set and of variables --- */

static void set_takes_scalars_lists_and_maps(void **unused)
{
    (void)unused;
    struct config *config = loaded(
        (struct layers){.sets = {"transient.delays=[5m, 10m]", "worker={threads: 3}",
                                 "policies.new={reasons: [moved], delays: [1h], max_attempts: 1, "
                                 "contact_after: 0}",
                                 "kafka.sasl.mechanism=a=b: {c}"}});
    assert_int_equal(config->transient.delays.count, 2);
    assert_int_equal(config->transient.delays.delay_ms[1], 600000);
    assert_int_equal(config->worker.threads, 3);
    assert_int_equal(config->policy_count, 3);
    assert_string_equal(config->policies[2].name, "new");
    /* The value of a scalar is what follows the first equals sign, as it is. */
    assert_string_equal(config_kafka(config, "sasl.mechanism"), "a=b: {c}");
    config_free(config);
}

static void an_empty_value_is_empty_not_absent(void **unused)
{
    (void)unused;
    struct config *config = loaded((struct layers){.sets = {"http.listen=", "topics.prefix="}});
    assert_string_equal(config->http.listen, "");
    assert_string_equal(config->topics.bounces, "bounces");
    config_free(config);
}

static void variables_reach_nested_and_dotted_keys(void **unused)
{
    (void)unused;
    write_file("secret", "hunter2\n");
    struct config *config =
        loaded((struct layers){.environment = {"RIMBALZO_KAFKA_BOOTSTRAP_SERVERS=a:1,b:2",
                                               "RIMBALZO_POLICIES_DISABLED_PERMANENT_DELAYS=[2d]",
                                               "RIMBALZO_KAFKA_SASL_PASSWORD_FILE=secret"}});
    assert_string_equal(config_kafka(config, "bootstrap.servers"), "a:1,b:2");
    assert_int_equal(config->policies[1].delays.delay_ms[0], 2 * DAY_MS);
    assert_string_equal(config_kafka(config, "sasl.password"), "hunter2");
    config_free(config);
}

static void variables_that_are_not_configuration_are_passed_over(void **unused)
{
    (void)unused;
    config_free(loaded((struct layers){.environment = {"RIMBALZO_SERVICE_HOST=10.0.0.1",
                                                       "RIMBALZO_PORT=tcp://10.0.0.1:80",
                                                       "RIMBALZO_TEST_ANY=1"}}));
    config_free(loaded((struct layers){
        .environment = {"RIMBALZO_FAILPOINT=x", "RIMBALZO_CORPUS=/mails", "PATH=/bin"}}));
}

/* --- defaults --- */

/* The documented block, but for what depends on the host. */
static const char documented[] =
    "app: rimbalzo\n"
    "kafka: { bootstrap.servers: \"127.0.0.1:9092\" }\n"
    "topics: { prefix: \"rimbalzo.\", partitions: 12, replication: 3 }\n"
    "state_dir: /var/lib/rimbalzo\n"
    "worker: { threads: 1, commit_interval: 100ms }\n"
    "dispatcher: { threads: 1, delay_max: 400d }\n"
    "policies:\n"
    "  default: { delays: [24h, 48h, 72h, 168h], max_attempts: 4, contact_after: 2 }\n"
    "  disabled-permanent: { reasons: [mailbox_disabled_permanent], delays: [168h, 336h], "
    "max_attempts: 2, contact_after: 1 }\n"
    "transient: { delays: [1h, 4h, 12h] }\n"
    "stale_after: 30d\n"
    "answer: { tolerance: 5m }\n"
    "frequent: { window: 180d }\n"
    "recipient: { retention: 400d, local_part: lower }\n"
    "suppression: { lift_on_delivery: true }\n"
    "event: { max_ahead: 5m }\n"
    "http: { listen: \"127.0.0.1:9464\" }\n"
    "log: { format: logfmt, level: info, addresses: false }\n";

static struct str shown(const struct config *config, bool places, struct buf *out)
{
    buf_clear(out);
    config_show(config, places, out);
    buf_append(out, "", 1);
    return (struct str){out->data, out->len - 1};
}

static void assert_same(struct config *actual, struct config *expected)
{
    struct buf a = {0}, b = {0};
    assert_string_equal(shown(actual, false, &a).data, shown(expected, false, &b).data);
    buf_deinit(&a);
    buf_deinit(&b);
    config_free(actual);
    config_free(expected);
}

static void the_defaults_are_the_documented_ones(void **unused)
{
    (void)unused;
    assert_same(loaded((struct layers){0}), loaded((struct layers){.file = documented}));
}

static void the_commented_defaults_are_a_file_that_changes_nothing(void **unused)
{
    (void)unused;
    assert_same(loaded((struct layers){.file = config_defaults_yaml}), loaded((struct layers){0}));
}

/* --- showing --- */

static const char unusual[] =
    "app: other\n"
    "instance: '007'\n"
    "kafka:\n"
    "  bootstrap.servers: \"[::1]:9092\"\n"
    "  sasl.username: \"a \\\"quoted\\\" \\\\ # name: \\u00e9\\t\"\n"
    "  sasl.password_file: secret\n"
    "  client.rack: 'null'\n"
    "topics: {prefix: '', due: '-due'}\n"
    "worker: {threads: 4, commit_interval: 1500ms, batch_bytes_max: 65537B}\n"
    "store: {durability: disk, map_size_initial: 1GiB}\n"
    "policies:\n"
    "  full: {reasons: [mailbox_full, moved], delays: [90m], "
    "max_attempts: 7, contact_after: 0}\n"
    "  default: {delays: [1h, 26h], max_attempts: 2, contact_after: 1}\n"
    "unknown: {as: soft}\n"
    "transient: {delays: []}\n"
    "answer: {tolerance: 0ms}\n"
    "recipient: {local_part: preserve}\n"
    "suppression: {lift_on_delivery: false}\n"
    "schemas: {dir: /etc/a b}\n"
    "rules: {file: 'true'}\n"
    "http: {listen: ''}\n"
    "log: {format: json, level: debug, addresses: true}\n";

static void what_is_shown_loads_into_the_same_configuration(void **unused)
{
    (void)unused;
    write_file("secret", "hunter2\r\n");
    for (int places = 0; places < 2; places++) {
        struct buf text = {0};
        struct config *config = loaded((struct layers){.file = unusual});
        shown(config, places, &text);
        struct config *again = loaded((struct layers){.file = text.data});
        assert_string_equal(config_kafka(again, "sasl.username"),
                            "a \"quoted\" \\ # name: \xc3\xa9\t");
        assert_string_equal(config_kafka(again, "sasl.password"), "hunter2");
        assert_int_equal(again->worker.batch_bytes_max, 65537);
        assert_int_equal(again->transient.delays.count, 0);
        assert_same(again, config);
        buf_deinit(&text);
    }
}

static void a_secret_is_never_shown_but_its_file_is(void **unused)
{
    (void)unused;
    struct buf text = {0};
    write_file("secret", "hunter2\n");
    struct config *config = loaded((struct layers){.file = unusual});
    shown(config, true, &text);
    assert_null(strstr(text.data, "hunter2"));
    assert_non_null(strstr(text.data, "\n  sasl.password_file: secret  # c.yaml:6\n"));
    config_free(config);
    buf_deinit(&text);
}

static void places_are_shown_behind_each_value(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct config *config = loaded((struct layers){.file = "worker:\n  threads: 2\n",
                                                   .environment = {"RIMBALZO_STATE_DIR=/env"},
                                                   .sets = {"app=x"}});
    shown(config, true, &text);
    assert_non_null(strstr(text.data, "app: x  # --set\n"));
    assert_non_null(strstr(text.data, "state_dir: /env  # RIMBALZO_STATE_DIR\n"));
    assert_non_null(strstr(text.data, "worker:\n  threads: 2  # c.yaml:2\n"));
    assert_non_null(strstr(text.data, "    max_attempts: 4  # default\n"));
    config_free(config);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_layer_overrides_an_earlier_one),
        cmocka_unit_test(every_value_knows_where_it_is_from),
        cmocka_unit_test(policies_given_as_a_whole_replace_and_one_key_changes_one),
        cmocka_unit_test(a_prefix_names_the_topics_that_have_no_name),
        cmocka_unit_test(set_takes_scalars_lists_and_maps),
        cmocka_unit_test(an_empty_value_is_empty_not_absent),
        cmocka_unit_test(variables_reach_nested_and_dotted_keys),
        cmocka_unit_test(variables_that_are_not_configuration_are_passed_over),
        cmocka_unit_test(the_defaults_are_the_documented_ones),
        cmocka_unit_test(the_commented_defaults_are_a_file_that_changes_nothing),
        cmocka_unit_test(what_is_shown_loads_into_the_same_configuration),
        cmocka_unit_test(a_secret_is_never_shown_but_its_file_is),
        cmocka_unit_test(places_are_shown_behind_each_value),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
