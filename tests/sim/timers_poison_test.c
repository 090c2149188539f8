/*
 * Commands that cannot be used go to the dead letters as they came, once, with the reason; the
 * others go on, and restoring is not disturbed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_commands.h"

#define SECOND INT64_C(1000)
#define A "a@example.org"

static void init(struct sim *sim)
{
    struct sim_options options = {
        .seed = 1, .role = SIM_DISPATCHER, .partitions = 2, .nodes = 1, .recipients = 1};
    sim_init(sim, &options);
}

static const struct port_header sent_headers[] = {
    {STR("traceparent"), STR("00-1-2-01")}, {STR("none"), STR_NULL}, {STR("traceparent"), STR("")}};

static void put_value(struct sim *sim, struct str key, struct str value)
{
    memory_produce(sim->cluster,
                   &(struct port_message){.topic = TOPIC_DELAYED,
                                          .partition = 1,
                                          .key = key,
                                          .value = value,
                                          .headers = sent_headers,
                                          .header_count = 3},
                   -1);
}

static struct str header_of(const struct port_record *record, const char *name)
{
    for (int i = 3; i < record->header_count; i++)
        if (str_equal(record->headers[i].name, str_of(name)))
            return record->headers[i].value;
    return STR_NULL;
}

static void assert_number(const struct port_record *record, const char *name, int64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    assert_true(str_equal(header_of(record, name), str_of(text)));
}

/* The newest record of partition 1 of the delayed topic is a dead letter, and it alone. */
static void assert_dead_letter(struct sim *sim, int64_t expected, const char *reason)
{
    struct port_record dead = {.offset = -1}, sent = {.offset = -1}, record;
    assert_int_equal(sim_count(sim, TOPIC_DEAD_LETTERS, -1), expected);
    for (int64_t next = 0; memory_read(sim->cluster, TOPIC_DELAYED, 1, &next, &record);)
        sent = record;
    for (int32_t p = 0; p < 2; p++)
        for (int64_t next = 0; memory_read(sim->cluster, TOPIC_DEAD_LETTERS, p, &next, &record);) {
            char offset[32];
            snprintf(offset, sizeof(offset), "%lld", (long long)sent.offset);
            if (str_equal(header_of(&record, "rimbalzo-offset"), str_of(offset)))
                dead = record;
        }
    if (dead.offset < 0)
        fail_msg("%s: no dead letter", reason);
    assert_true(str_equal(dead.key, sent.key));
    assert_true(str_equal(dead.value, sent.value));
    assert_int_equal(dead.header_count, 3 + 6);
    for (int i = 0; i < 3; i++) {
        assert_true(str_equal(dead.headers[i].name, sent_headers[i].name));
        assert_true(str_equal(dead.headers[i].value, sent_headers[i].value));
    }
    struct str found = header_of(&dead, "rimbalzo-reason");
    if (!str_equal(found, str_of(reason)))
        fail_msg("%s: the reason is %.*s", reason, STR_ARG(found));
    assert_true(header_of(&dead, "rimbalzo-text").len > 0);
    assert_true(str_equal(header_of(&dead, "rimbalzo-topic"), STR("retries.delayed")));
    assert_number(&dead, "rimbalzo-partition", 1);
    assert_number(&dead, "rimbalzo-timestamp", sent.timestamp_ms);
}

/* --- values that are no command --- */

struct poison {
    struct sim sim;
    int64_t dead_letters;
    struct buf value;
};

static void poison_setup(struct poison *poison)
{
    poison->dead_letters = 0;
    init(&poison->sim);
    buf_init(&poison->value);
    sim_schedule(&poison->sim, A, "first", sim_wall(&poison->sim) + 600 * SECOND);
}

static void feed(struct poison *poison, struct str value, const char *reason)
{
    put_value(&poison->sim, STR("key"), value);
    sim_pass(&poison->sim, 300);
    assert_dead_letter(&poison->sim, ++poison->dead_letters, reason);
}

static void feed_command(struct poison *poison, const struct retry_command *command,
                         const char *reason)
{
    buf_clear(&poison->value);
    codec_encode_command(poison->sim.codec, command, &poison->value);
    feed(poison, buf_view(&poison->value), reason);
}

/* Everything that was no poison arrives, and nothing is a dead letter twice. */
static void poison_end(struct poison *poison)
{
    struct sim *sim = &poison->sim;
    for (int wiped = 0; wiped < 2; wiped++) {
        sim_kill_all(sim);
        if (wiped)
            sim_wipe_all(sim);
        sim_start_all(sim);
        sim_pass(sim, SECOND);
    }
    sim_schedule(sim, A, "last", sim_wall(sim) + 600 * SECOND);
    sim_must_drain(sim);
    assert_int_equal(sim_count(sim, TOPIC_DEAD_LETTERS, -1), poison->dead_letters);
    assert_int_equal(sim_count(sim, TOPIC_DUE, -1), 2);
    buf_deinit(&poison->value);
    sim_deinit(sim);
}

static void what_is_no_command_is_a_dead_letter(void **state)
{
    (void)state;
    struct poison poison;
    poison_setup(&poison);
    struct sim *sim = &poison.sim;
    feed(&poison, STR_NULL, "malformed");
    feed(&poison, STR(""), "malformed");
    feed(&poison, STR("\0"), "malformed");
    feed(&poison, STR("hello, world"), "malformed");
    feed(&poison, STR("\xc3\1\1\2\3\4\5\6\7\10"), "unknown_schema");
    feed(&poison, STR("\0\0\0\0\7abc"), "unknown_schema");
    struct retry_command command =
        sim_command(sim, COMMAND_SCHEDULE, A, "m", sim_wall(sim) + 600 * SECOND);
    struct buf octets;
    buf_init(&octets);
    codec_encode_command(sim->codec, &command, &octets);
    feed(&poison, (struct str){octets.data, octets.len - 1}, "malformed");
    feed(&poison, (struct str){octets.data, 10}, "malformed");
    buf_append(&octets, "x", 1);
    feed(&poison, buf_view(&octets), "malformed");
    /* Another record of ours. */
    struct input_record bounce = {.kind = RECORD_BOUNCE,
                                  .event_id = STR("e"),
                                  .recipient = STR(A),
                                  .message_id = STR("m"),
                                  .source = STR("test")};
    buf_clear(&octets);
    codec_encode_input(sim->codec, &bounce, &octets);
    feed(&poison, buf_view(&octets), "unexpected_schema");
    buf_deinit(&octets);
    /* A null key is no fault. */
    put_value(sim, STR_NULL, STR_NULL);
    sim_pass(sim, 300);
    assert_dead_letter(sim, ++poison.dead_letters, "malformed");
    poison_end(&poison);
}

/* --- commands with a field that cannot be --- */

#define ACTION_AT (10 + 1 + UUID_TEXT_SIZE) /* behind frame and command_id */

static void fields_that_cannot_be_are_dead_letters(void **state)
{
    (void)state;
    struct poison poison;
    poison_setup(&poison);
    struct sim *sim = &poison.sim;
    char recipient[RECIPIENT_MAX + 1], tenant[TENANT_MAX + 1];
    memset(recipient, 'r', sizeof(recipient));
    memset(tenant, 't', sizeof(tenant));
    const struct retry_command good =
        sim_command(sim, COMMAND_SCHEDULE, A, "m", sim_wall(sim) + 600 * SECOND);
    for (int action = 0; action < COMMAND_ACTION_COUNT; action++) {
        const struct str tenants[] = {
            STR("Acme"), STR("a b"), STR("a:b"), STR("a\0b"), {tenant, sizeof(tenant)}};
        const struct str recipients[] = {STR(""), STR("a\0b"), {recipient, sizeof(recipient)}};
        for (int i = 0; i < 5; i++) {
            struct retry_command command = good;
            command.action = (enum command_action)action;
            command.who.tenant = tenants[i];
            feed_command(&poison, &command, "invalid_tenant");
        }
        for (int i = 0; i < 3; i++) {
            struct retry_command command = good;
            command.action = (enum command_action)action;
            command.who.recipient = recipients[i];
            feed_command(&poison, &command, "invalid_recipient");
        }
    }
    const int64_t times[] = {-1, TIME_MIN_MS - 1, TIME_MAX_MS + 1, INT64_MIN, INT64_MAX};
    for (int i = 0; i < 5; i++) {
        struct retry_command command = good;
        command.due_at_ms = times[i];
        feed_command(&poison, &command, "invalid_field");
    }
    static const char *const ids[] = {
        "0123456789abcdef0123456789abcdef0123", "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567+89ab-cdef-0123-456789abcdef", "0123456-789ab-cdef-0123-456789abcdef",
        "                                    "};
    for (int i = 0; i < 5; i++) {
        struct retry_command command = good;
        memcpy(command.command_id.text, ids[i], UUID_TEXT_SIZE);
        feed_command(&poison, &command, "invalid_field");
    }
    /* An action that this version does not know. */
    struct buf octets;
    buf_init(&octets);
    codec_encode_command(sim->codec, &good, &octets);
    assert_int_equal(octets.data[ACTION_AT], 2); /* SCHEDULE */
    octets.data[ACTION_AT] = 0;
    feed(&poison, buf_view(&octets), "invalid_field");
    buf_deinit(&octets);
    poison_end(&poison);
}

/* Ids of CANCEL and RELEASE and their due times are not looked at. */
static void cancel_and_release_need_a_recipient_only(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim);
    sim_schedule(&sim, A, "m", sim_wall(&sim) + 600 * SECOND);
    sim_schedule(&sim, "b@example.org", "n", sim_wall(&sim) + 600 * SECOND);
    sim_pass(&sim, SECOND);
    struct retry_command command = sim_command(&sim, COMMAND_CANCEL, A, NULL, INT64_MIN);
    memset(command.command_id.text, '?', UUID_TEXT_SIZE);
    sim_put_command(&sim, &command);
    command.action = COMMAND_RELEASE;
    command.who.recipient = STR("b@example.org");
    sim_put_command(&sim, &command);
    sim_pass(&sim, SECOND);
    assert_int_equal(sim_count(&sim, TOPIC_DEAD_LETTERS, -1), 0);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), 1);
    assert_int_equal(sim_outcomes(&sim, COMMAND_CANCELLED), 1);
    assert_int_equal(sim_outcomes(&sim, COMMAND_FREED), 1);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* Ids are compared as numbers: their case does not matter. */
static void an_id_of_another_case_is_the_same(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim);
    struct retry_command command =
        sim_command(&sim, COMMAND_SCHEDULE, A, "m", sim_wall(&sim) + 600 * SECOND);
    sim_put_command(&sim, &command);
    for (int i = 0; i < UUID_TEXT_SIZE; i++)
        if (command.command_id.text[i] >= 'a')
            command.command_id.text[i] = (char)(command.command_id.text[i] - 'a' + 'A');
    sim_put_command(&sim, &command);
    sim_pass(&sim, SECOND);
    assert_int_equal(sim_outcomes(&sim, COMMAND_DUPLICATE), 1);
    sim_must_drain(&sim);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), 1);
    sim_deinit(&sim);
}

/* --- too far ahead --- */

static void a_delay_that_is_too_long_is_a_dead_letter(void **state)
{
    (void)state;
    struct poison poison;
    poison_setup(&poison);
    struct sim *sim = &poison.sim;
    struct retry_command command = sim_command(sim, COMMAND_SCHEDULE, A, "m", 0);
    command.due_at_ms = sim_wall(sim) + sim->options.delay_ms_max + 1;
    feed_command(&poison, &command, "delay_too_long");
    command.due_at_ms = TIME_MAX_MS;
    feed_command(&poison, &command, "delay_too_long");
    assert_int_equal(
        atomic_load(&dispatcher_stats(sim->nodes[0].worker)->dead_letters[E_DELAY_TOO_LONG]), 2);
    poison_end(&poison);
}

/* By the log's time, not by a clock: a dispatcher that comes late, or whose clock is wrong, judges
 * alike. */
static void how_long_is_too_long_does_not_depend_on_the_clock(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct sim sim;
        init(&sim);
        sim_pass(&sim, SECOND);
        sim_kill_all(&sim);
        sim_schedule(&sim, A, "just", sim_wall(&sim) + sim.options.delay_ms_max);
        sim_schedule(&sim, A, "over", sim_wall(&sim) + sim.options.delay_ms_max + 1);
        sim_set_clock(&sim, 0, late ? 3 * sim.options.delay_ms_max : -sim.options.delay_ms_max / 2);
        sim_start_all(&sim);
        sim_pass(&sim, SECOND);
        assert_int_equal(sim_count(&sim, TOPIC_DEAD_LETTERS, -1), 1);
        assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), late);
        sim_set_clock(&sim, 0, sim.options.delay_ms_max);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_command_is_a_dead_letter),
        cmocka_unit_test(fields_that_cannot_be_are_dead_letters),
        cmocka_unit_test(cancel_and_release_need_a_recipient_only),
        cmocka_unit_test(an_id_of_another_case_is_the_same),
        cmocka_unit_test(a_delay_that_is_too_long_is_a_dead_letter),
        cmocka_unit_test(how_long_is_too_long_does_not_depend_on_the_clock),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
