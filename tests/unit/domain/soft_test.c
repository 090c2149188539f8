/* SOFT bounces (semantics §6): episodes, answers, echoes, old news, frequency. */
#include "world.h"

static void first_soft_bounce_opens_an_episode(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    assert_int_equal(world.effects.outcome, OUTCOME_APPLIED);
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
    assert_int_equal(world.state->episode, 1);
    assert_int_equal(world.state->attempt, 1);
    assert_true(world.state->episode_opened_at_ms == AT(0));
    assert_true(world.state->due_at_ms == AT(24));
    assert_int_equal(world.state->reason, REASON_MAILBOX_DISABLED);
    assert_str(world.state->policy, "default");
    assert_int_equal(output_count(&world), 1);
    const struct retry_command *schedule = command(&world, COMMAND_SCHEDULE);
    assert_true(schedule->due_at_ms == AT(24));
    assert_true(schedule->issued_at_ms == AT(0));
    assert_int_equal(schedule->attempt, 1);
    assert_int_equal(schedule->message_attempt, 0);
    assert_int_equal(schedule->max_attempts, 4);
    assert_str(schedule->message_id, "m1");
    assert_str(schedule->status, "4.2.1");
}

static void answers_follow_24_48_72_168_hours(void **unused)
{
    (void)unused;
    static const int hours[] = {24, 24 + 48, 24 + 48 + 72, 24 + 48 + 72 + 168};
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(world.state->attempt, i + 1);
        assert_true(world.state->due_at_ms == AT(hours[i]));
        assert_true(command(&world, COMMAND_SCHEDULE)->due_at_ms == AT(hours[i]));
        soft(&world, AT(hours[i]));
    }
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
}

static void fifth_soft_bounce_suppresses_once(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 4, AT(0));
    int64_t now = world.state->due_at_ms;
    soft(&world, now);
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_ATTEMPTS_EXHAUSTED);
    assert_int_equal(world.state->suppressions, 1);
    assert_int_equal(output_count(&world), 2);
    const struct suppression_event *event = suppression(&world);
    assert_int_equal(event->reason, SUPPRESSION_ATTEMPTS_EXHAUSTED);
    assert_int_equal(event->attempts, 4);
    assert_true(event->first_bounced_at_ms == AT(0));
    assert_true(event->last_bounced_at_ms == now);
    assert_str(event->status, "4.2.1");
    assert_str(event->rule, "code.4.2.1");
    const struct retry_command *cancel = command(&world, COMMAND_CANCEL);
    assert_int_equal(cancel->attempt, 4);
    assert_int_equal(cancel->reason, REASON_MAILBOX_DISABLED);
    assert_true(cancel->due_at_ms == now);
    assert_str(cancel->message_id, NULL);
    assert_str(cancel->status, NULL);
    soft(&world, now + 1);
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->suppressions, 1);
    assert_int_equal(world.state->soft, 6);
}

static void leaving_an_episode_clears_its_fields(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    hard(&world, AT(1));
    assert_int_equal(world.state->attempt, 0);
    assert_true(world.state->due_at_ms == TIME_NULL);
    assert_true(world.state->episode_opened_at_ms == TIME_NULL);
    assert_false(world.state->in_episode);
    assert_str(world.state->policy, NULL);
    assert_int_equal(world.state->episode, 1);
}

static void an_answer_counts_from_the_tolerance_on_to_the_millisecond(void **unused)
{
    (void)unused;
    struct world world;
    for (int early_ms = 0; early_ms <= 1; early_ms++) {
        world_init(&world);
        soft(&world, AT(0));
        soft_of(&world, "m2", AT(24) - 5 * 60 * 1000 - early_ms);
        assert_int_equal(world.state->attempt, early_ms ? 1 : 2);
    }
}

static void due_time_never_decreases(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.policies.policies[0].delays_ms[1] = 1;
    soft(&world, AT(0));
    soft(&world, AT(24) - 5 * 60 * 1000);
    assert_int_equal(world.state->attempt, 2);
    assert_true(world.state->due_at_ms == AT(24));
    assert_true(command(&world, COMMAND_SCHEDULE)->due_at_ms == AT(24));
}

static void a_late_answer_counts_from_its_own_time(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    soft(&world, AT(100));
    assert_true(world.state->due_at_ms == AT(148));
}

static void several_messages_in_one_window_are_one_failure(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft_of(&world, "a", AT(0));
    soft_of(&world, "b", AT(1));
    soft_of(&world, "c", AT(23));
    assert_int_equal(world.state->attempt, 1);
    assert_int_equal(world.state->soft, 3);
    assert_true(command(&world, COMMAND_SCHEDULE)->due_at_ms == AT(24));
    assert_int_equal(command(&world, COMMAND_SCHEDULE)->attempt, 1);
    assert_str(command(&world, COMMAND_SCHEDULE)->message_id, "c");
}

static void a_second_bounce_of_a_message_in_its_window_is_not_scheduled_again(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft_of(&world, "a", AT(0));
    soft_of(&world, "a", AT(1));
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->soft, 2);
    assert_int_equal(world.state->recent_command_count, 1);
}

static void a_command_beyond_the_remembered_is_scheduled_again(void **unused)
{
    (void)unused;
    static const char *const messages[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    struct world world;
    world_init(&world);
    for (int i = 0; i < 8; i++)
        soft_of(&world, messages[i], AT(i));
    soft_of(&world, "a", AT(9));
    assert_int_equal(output_count(&world), 0); /* remembered, and not refreshed by it */
    soft_of(&world, messages[8], AT(10));
    soft_of(&world, "a", AT(11));
    assert_int_equal(output_count(&world), 1);
}

/* The command that the last effects scheduled, answered at `time_ms` by the same message. */
static void answer_of(struct world *world, const struct retry_command *schedule, int64_t time_ms)
{
    struct event event = world_bounce_event(world, CLASS_SOFT, REASON_MAILBOX_DISABLED, time_ms);
    event.message_id = schedule->message_id;
    event.message_attempt = schedule->message_attempt;
    event.retry_of = uuid_str(&schedule->command_id);
    world_feed(world, &event);
}

static void an_answer_to_this_attempt_counts_whatever_its_time(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    struct retry_command schedule = *command(&world, COMMAND_SCHEDULE);
    answer_of(&world, &schedule, AT(-5));
    assert_int_equal(world.state->attempt, 2);
    assert_true(world.state->due_at_ms == AT(43)); /* -5 + 48 */
    assert_true(world.state->last_bounce_at_ms == AT(0));
}

static void an_answer_to_a_transient_command_of_this_attempt_counts(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    transient(&world, 0, AT(1));
    struct retry_command schedule = *command(&world, COMMAND_SCHEDULE);
    assert_int_equal(schedule.message_attempt, 1);
    answer_of(&world, &schedule, AT(2));
    assert_int_equal(world.state->attempt, 2);
}

static void an_echo_of_an_earlier_attempt_does_not_advance(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    struct retry_command first = *command(&world, COMMAND_SCHEDULE);
    soft(&world, AT(24));
    answer_of(&world, &first, AT(25));
    assert_int_equal(world.state->attempt, 2);
    assert_int_equal(output_count(&world), 0); /* m1 is scheduled for attempt 2 already */
}

static void an_echo_after_the_window_is_an_answer(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    struct retry_command first = *command(&world, COMMAND_SCHEDULE);
    soft(&world, AT(24));
    answer_of(&world, &first, AT(72));
    assert_int_equal(world.state->attempt, 3);
}

static void retry_of_another_message_is_no_answer(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    struct retry_command schedule = *command(&world, COMMAND_SCHEDULE);
    schedule.message_id = STR("m2");
    answer_of(&world, &schedule, AT(1));
    assert_int_equal(world.state->attempt, 1);
    assert_int_equal(output_count(&world), 1);
}

static void retry_of_the_previous_episode_is_no_answer(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    struct retry_command schedule = *command(&world, COMMAND_SCHEDULE);
    deliver(&world, AT(1));
    soft(&world, AT(2));
    answer_of(&world, &schedule, AT(3));
    assert_int_equal(world.state->episode, 2);
    assert_int_equal(world.state->attempt, 1);
}

static void contact_after_the_second_answer_exactly_once(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 2, AT(0));
    assert_null(notice(&world, NOTICE_CONTACT_ALTERNATIVE));
    int64_t now = world.state->due_at_ms;
    soft(&world, now);
    const struct recipient_notice *contact = notice(&world, NOTICE_CONTACT_ALTERNATIVE);
    assert_int_equal(contact->attempt, 2);
    assert_int_equal(contact->episode, 1);
    assert_true(contact->occurred_at_ms == now);
    soft(&world, world.state->due_at_ms);
    assert_null(notice(&world, NOTICE_CONTACT_ALTERNATIVE));
}

static void contact_notice_accompanies_an_exhausting_answer(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.policies.policies[0].max_attempts = 2;
    suspend_until_attempt(&world, 2, AT(0));
    soft(&world, world.state->due_at_ms);
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    assert_non_null(notice(&world, NOTICE_CONTACT_ALTERNATIVE));
    assert_non_null(suppression(&world));
}

static void contact_after_zero_means_never(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.policies.policies[0].contact_after = 0;
    soft(&world, AT(0));
    while (world.state->status == STATUS_SUSPENDED) {
        soft(&world, world.state->due_at_ms);
        assert_int_equal(world.effects.notice_count, 0);
    }
}

static void the_last_delay_repeats(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.policies.policies[0].max_attempts = 6;
    suspend_until_attempt(&world, 5, AT(0));
    int64_t now = world.state->due_at_ms;
    soft(&world, now);
    assert_int_equal(world.state->attempt, 6);
    assert_true(world.state->due_at_ms == now + 168 * HOUR_MS);
}

static void an_episode_keeps_the_policy_of_its_opening_bounce(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct event event =
        world_bounce_event(&world, CLASS_SOFT, REASON_MAILBOX_DISABLED_PERMANENT, AT(0));
    world_feed(&world, &event);
    assert_str(world.state->policy, "disabled-permanent");
    assert_true(world.state->due_at_ms == AT(168));
    event = world_bounce_event(&world, CLASS_SOFT, REASON_MAILBOX_FULL, AT(168));
    world_feed(&world, &event);
    assert_str(world.state->policy, "disabled-permanent");
    assert_int_equal(world.state->reason, REASON_MAILBOX_DISABLED_PERMANENT);
    assert_true(world.state->due_at_ms == AT(168 + 336));
    assert_int_equal(command(&world, COMMAND_SCHEDULE)->reason, REASON_MAILBOX_FULL);
    assert_int_equal(command(&world, COMMAND_SCHEDULE)->max_attempts, 2);
    assert_non_null(notice(&world, NOTICE_CONTACT_ALTERNATIVE)); /* contact_after 1 */
}

static void a_policy_that_is_gone_gives_way_to_the_default(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct event event =
        world_bounce_event(&world, CLASS_SOFT, REASON_MAILBOX_DISABLED_PERMANENT, AT(0));
    world_feed(&world, &event);
    world.policies.policy_count = 1;
    soft(&world, AT(168));
    assert_int_equal(command(&world, COMMAND_SCHEDULE)->max_attempts, 4);
    assert_true(world.state->due_at_ms == AT(168 + 48));
}

static void a_lowered_limit_exhausts_at_the_next_answer(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 3, AT(0));
    world.policies.policies[0].max_attempts = 2;
    soft(&world, world.state->due_at_ms);
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    assert_int_equal(suppression(&world)->attempts, 3);
}

static void a_bounce_before_the_last_delivery_is_old_news(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_UNKNOWN, AT(0));
    deliver(&world, AT(10));
    soft(&world, AT(10) - 1);
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    assert_int_equal(world.state->soft, 1);
    assert_int_equal(world.state->opening_count, 0);
    const struct retry_command *schedule = command(&world, COMMAND_SCHEDULE);
    assert_int_equal(schedule->attempt, 0);
    assert_int_equal(schedule->episode, 0);
    assert_int_equal(schedule->max_attempts, 4);
    assert_true(schedule->due_at_ms == AT(10) - 1);
    assert_true(world.state->last_bounce_at_ms == AT(10) - 1);
    soft(&world, AT(10));
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
}

static void a_bounce_before_the_reinstatement_is_old_news(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    override(&world, OVERRIDE_REINSTATE, AT(10));
    soft(&world, AT(9));
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    hard(&world, AT(9));
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    assert_int_equal(world.state->hard, 2);
    hard(&world, AT(10));
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
}

static void frequency_falls_with_the_second_and_third_episode(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    assert_int_equal(world.state->frequency, FREQUENCY_NORMAL);
    deliver(&world, AT(1));
    soft(&world, AT(2));
    assert_int_equal(world.state->frequency, FREQUENCY_HALF);
    const struct recipient_notice *reduce = notice(&world, NOTICE_REDUCE_FREQUENCY);
    assert_int_equal(reduce->frequency, FREQUENCY_HALF);
    assert_int_equal(reduce->episode, 2);
    assert_int_equal(reduce->attempt, 0);
    deliver(&world, AT(3));
    soft(&world, AT(4));
    assert_int_equal(notice(&world, NOTICE_REDUCE_FREQUENCY)->frequency, FREQUENCY_QUARTER);
    deliver(&world, AT(5));
    soft(&world, AT(6));
    assert_int_equal(world.state->frequency, FREQUENCY_QUARTER);
    assert_null(notice(&world, NOTICE_REDUCE_FREQUENCY));
}

static void an_opening_at_the_window_s_edge_does_not_count(void **unused)
{
    (void)unused;
    struct world world;
    for (int inside_ms = 0; inside_ms <= 1; inside_ms++) {
        world_init(&world);
        soft(&world, AT(0));
        deliver(&world, AT(1));
        soft(&world, AT(0) + 180 * DAY_MS - inside_ms);
        assert_int_equal(world.state->frequency, inside_ms ? FREQUENCY_HALF : FREQUENCY_NORMAL);
    }
}

static void a_delivery_raises_the_frequency_without_a_notice(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    deliver(&world, AT(1));
    soft(&world, AT(2));
    deliver(&world, AT(3));
    assert_int_equal(world.state->frequency, FREQUENCY_HALF);
    deliver(&world, AT(1) + 180 * DAY_MS);
    assert_int_equal(world.state->frequency, FREQUENCY_NORMAL);
    assert_int_equal(output_count(&world), 0);
}

static void only_the_last_eight_openings_are_kept(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    for (int i = 0; i < 10; i++) {
        soft(&world, AT(2 * i));
        deliver(&world, AT(2 * i + 1));
    }
    assert_int_equal(world.state->opening_count, 8);
    assert_true(world.state->openings_ms[0] == AT(4));
    assert_true(world.state->openings_ms[7] == AT(18));
    assert_int_equal(world.state->episode, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_soft_bounce_opens_an_episode),
        cmocka_unit_test(answers_follow_24_48_72_168_hours),
        cmocka_unit_test(fifth_soft_bounce_suppresses_once),
        cmocka_unit_test(leaving_an_episode_clears_its_fields),
        cmocka_unit_test(an_answer_counts_from_the_tolerance_on_to_the_millisecond),
        cmocka_unit_test(due_time_never_decreases),
        cmocka_unit_test(a_late_answer_counts_from_its_own_time),
        cmocka_unit_test(several_messages_in_one_window_are_one_failure),
        cmocka_unit_test(a_second_bounce_of_a_message_in_its_window_is_not_scheduled_again),
        cmocka_unit_test(a_command_beyond_the_remembered_is_scheduled_again),
        cmocka_unit_test(an_answer_to_this_attempt_counts_whatever_its_time),
        cmocka_unit_test(an_answer_to_a_transient_command_of_this_attempt_counts),
        cmocka_unit_test(an_echo_of_an_earlier_attempt_does_not_advance),
        cmocka_unit_test(an_echo_after_the_window_is_an_answer),
        cmocka_unit_test(retry_of_another_message_is_no_answer),
        cmocka_unit_test(retry_of_the_previous_episode_is_no_answer),
        cmocka_unit_test(contact_after_the_second_answer_exactly_once),
        cmocka_unit_test(contact_notice_accompanies_an_exhausting_answer),
        cmocka_unit_test(contact_after_zero_means_never),
        cmocka_unit_test(the_last_delay_repeats),
        cmocka_unit_test(an_episode_keeps_the_policy_of_its_opening_bounce),
        cmocka_unit_test(a_policy_that_is_gone_gives_way_to_the_default),
        cmocka_unit_test(a_lowered_limit_exhausts_at_the_next_answer),
        cmocka_unit_test(a_bounce_before_the_last_delivery_is_old_news),
        cmocka_unit_test(a_bounce_before_the_reinstatement_is_old_news),
        cmocka_unit_test(frequency_falls_with_the_second_and_third_episode),
        cmocka_unit_test(an_opening_at_the_window_s_edge_does_not_count),
        cmocka_unit_test(a_delivery_raises_the_frequency_without_a_notice),
        cmocka_unit_test(only_the_last_eight_openings_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
