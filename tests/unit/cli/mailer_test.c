/* rimbalzo produce-sample --mailer: what a sender answers to commands. */
#include "command.h"

#include "cli/mailer.h"
#include "cli/refusal.h"
#include "domain/id.h"

#define RECIPIENTS 20000
#define ATTEMPTS 4
#define NOW 1800000000000

static const struct mailer_options plain = {.seed = 1, .recover = -1};

static struct retry_command command_of(const char *recipient, const char *message, int32_t attempt)
{
    struct retry_command command = {.action = COMMAND_SCHEDULE,
                                    .who = {STR("acme"), str_of(recipient)},
                                    .message_id = str_of(message),
                                    .episode = 2,
                                    .attempt = attempt,
                                    .max_attempts = ATTEMPTS,
                                    .reason = REASON_MAILBOX_DISABLED};
    command.command_id = id_schedule(
        &(struct schedule_id){command.who, 2, NOW - 1000, attempt, command.message_id, 0});
    return command;
}

static const char *status_of(const struct mailer_options *options, struct retry_command command)
{
    struct mailer_answer answer;
    mailer_answer(options, &command, NOW, &answer);
    return answer.record.kind == RECORD_DELIVERY ? "delivered" : answer.record.status.data;
}

static const char *recipient_of(int number)
{
    static char text[64];
    snprintf(text, sizeof(text), "user%d@example.org", number);
    return text;
}

/* The attempt that ends the episode, or 0: it goes through all of them. */
static int end_of(const struct mailer_options *options, int number, const char *status)
{
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const char *found = status_of(options, command_of(recipient_of(number), "m", attempt));
        if (strcmp(found, "4.2.1") != 0)
            return strcmp(found, status) == 0 ? attempt : -1;
    }
    return 0;
}

static void an_answer_tells_what_it_answers(void **unused)
{
    (void)unused;
    struct retry_command command = command_of("ada@example.org", "m7", 0);
    struct mailer_answer answer;
    command.message_attempt = 3;
    mailer_answer(&plain, &command, NOW, &answer);
    assert_int_equal(answer.record.kind, RECORD_DELIVERY);
    assert_true(str_equal(answer.record.tenant, STR("acme")));
    assert_true(str_equal(answer.record.recipient, STR("ada@example.org")));
    assert_true(str_equal(answer.record.message_id, STR("m7")));
    assert_true(str_equal(answer.record.retry_of, uuid_str(&command.command_id)));
    assert_int_equal(answer.record.occurred_at_ms, NOW);

    command.attempt = ATTEMPTS;
    mailer_answer(&(struct mailer_options){.recover = 0}, &command, NOW, &answer);
    assert_int_equal(answer.record.kind, RECORD_BOUNCE);
    assert_int_equal(answer.record.message_attempt, 3);
    assert_true(str_equal(answer.record.status, STR("4.2.1")));
    assert_int_equal(answer.record.reply_code, 450);
}

static void the_event_id_is_the_commands(void **unused)
{
    (void)unused;
    struct retry_command command = command_of("ada@example.org", "m7", 1),
                         other = command_of("ada@example.org", "m8", 1);
    struct mailer_answer first, second, third;
    mailer_answer(&plain, &command, NOW, &first);
    mailer_answer(&plain, &command, NOW + 5000, &second);
    mailer_answer(&plain, &other, NOW, &third);
    assert_memory_equal(first.event_id.text, second.event_id.text, UUID_TEXT_SIZE);
    assert_memory_not_equal(first.event_id.text, third.event_id.text, UUID_TEXT_SIZE);
    assert_memory_not_equal(first.event_id.text, command.command_id.text, UUID_TEXT_SIZE);
}

static void all_messages_of_a_recipient_fare_alike(void **unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++)
        for (int attempt = 1; attempt <= ATTEMPTS; attempt++)
            assert_string_equal(status_of(&plain, command_of(recipient_of(i), "m1", attempt)),
                                status_of(&plain, command_of(recipient_of(i), "m2", attempt)));
}

static void another_seed_is_another_world(void **unused)
{
    (void)unused;
    const struct mailer_options other = {.seed = 2, .recover = -1};
    int differ = 0;
    for (int i = 0; i < 1000; i++)
        differ += end_of(&plain, i, "delivered") != end_of(&other, i, "delivered");
    assert_in_range(differ, 700, 900); /* 4 of 5, were they drawn */
}

static void as_many_recover_at_each_attempt_as_never(void **unused)
{
    (void)unused;
    int ends[ATTEMPTS + 1] = {0};
    for (int i = 0; i < RECIPIENTS; i++) {
        int end = end_of(&plain, i, "delivered");
        assert_true(end >= 0);
        ends[end]++;
    }
    for (int i = 0; i <= ATTEMPTS; i++)
        assert_in_range(ends[i], RECIPIENTS / 5 - RECIPIENTS / 50,
                        RECIPIENTS / 5 + RECIPIENTS / 50);
}

static void who_has_recovered_stays_so(void **unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        int end = end_of(&plain, i, "delivered");
        for (int attempt = end ? end : ATTEMPTS + 1; attempt <= ATTEMPTS; attempt++)
            assert_string_equal(status_of(&plain, command_of(recipient_of(i), "m", attempt)),
                                "delivered");
    }
}

static void shares_are_kept(void **unused)
{
    (void)unused;
    struct mailer_options options = {.seed = 1, .recover = 0.3, .hard = 0.5};
    int recovered = 0, gone = 0, spent = 0;
    for (int i = 0; i < RECIPIENTS; i++) {
        recovered += end_of(&options, i, "delivered") > 0;
        gone += end_of(&options, i, "5.1.1") > 0;
        spent += end_of(&options, i, "") == 0;
    }
    assert_int_equal(recovered + gone + spent, RECIPIENTS);
    assert_in_range(recovered, RECIPIENTS * 28 / 100, RECIPIENTS * 32 / 100);
    assert_in_range(gone, RECIPIENTS * 33 / 100, RECIPIENTS * 37 / 100);
    options = (struct mailer_options){.recover = 1};
    for (int i = 0; i < 1000; i++)
        assert_true(end_of(&options, i, "delivered") > 0);
    options = (struct mailer_options){.recover = 0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(end_of(&options, i, "delivered"), 0);
}

static void the_network_fails_once_per_attempt(void **unused)
{
    (void)unused;
    const struct mailer_options options = {.recover = 1, .transient = 1};
    struct retry_command command = command_of("ada@example.org", "m", ATTEMPTS);
    assert_string_equal(status_of(&options, command), "4.4.2");
    command.message_attempt = 1;
    assert_string_equal(status_of(&options, command), "delivered");
}

static void a_full_mailbox_stays_full(void **unused)
{
    (void)unused;
    struct retry_command command = command_of("ada@example.org", "m", 1);
    command.reason = REASON_MAILBOX_FULL;
    assert_string_equal(status_of(&(struct mailer_options){.recover = 0}, command), "4.2.2");
}

#define ARGS(...) .run = cmd_produce_sample, .args = {__VA_ARGS__}

static void bad_options_are_usage_errors(void **unused)
{
    (void)unused;
    assert_usage((struct command){ARGS("--idle", "5")},
                 "--idle, --recover, --hard and --transient are for --mailer");
    assert_usage((struct command){ARGS("--mailer", "-n", "5")},
                 "--mailer makes no samples: of their options it takes --seed only");
    assert_usage((struct command){ARGS("--mailer", "--recover", "101")},
                 "--recover takes a percentage, not \"101\"");
    assert_usage((struct command){ARGS("--mailer", "--idle", "0")},
                 "--idle takes a whole number from 1, not \"0\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_tells_what_it_answers),
        cmocka_unit_test(the_event_id_is_the_commands),
        cmocka_unit_test(all_messages_of_a_recipient_fare_alike),
        cmocka_unit_test(another_seed_is_another_world),
        cmocka_unit_test(as_many_recover_at_each_attempt_as_never),
        cmocka_unit_test(who_has_recovered_stays_so),
        cmocka_unit_test(shares_are_kept),
        cmocka_unit_test(the_network_fails_once_per_attempt),
        cmocka_unit_test(a_full_mailbox_stays_full),
        cmocka_unit_test(bad_options_are_usage_errors),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
