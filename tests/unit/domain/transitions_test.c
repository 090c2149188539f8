/* HARD, TRANSIENT, POLICY and UNKNOWN bounces, deliveries and overrides (semantics §6). */
#include "world.h"

static void a_hard_bounce_suppresses_an_unknown_recipient(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_HARD_BOUNCE);
    assert_int_equal(world.state->episode, 0);
    const struct suppression_event *event = suppression(&world);
    assert_int_equal(event->attempts, 0);
    assert_true(event->first_bounced_at_ms == AT(0));
    assert_true(event->last_bounced_at_ms == AT(0));
    assert_str(event->status, "5.1.1");
    const struct retry_command *cancel = command(&world, COMMAND_CANCEL);
    assert_int_equal(cancel->reason, REASON_OTHER);
    assert_int_equal(cancel->max_attempts, 4);
    assert_int_equal(cancel->message_attempt, 0);
}

static void a_hard_bounce_in_mid_episode_suppresses(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 3, AT(0));
    hard(&world, AT(-1)); /* whatever its time */
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    const struct suppression_event *event = suppression(&world);
    assert_int_equal(event->attempts, 3);
    assert_true(event->first_bounced_at_ms == AT(0));
    assert_true(event->last_bounced_at_ms == AT(72)); /* of the second answer */
    assert_true(event->occurred_at_ms == AT(-1));
    assert_int_equal(command(&world, COMMAND_CANCEL)->attempt, 3);
    assert_int_equal(command(&world, COMMAND_CANCEL)->reason, REASON_MAILBOX_DISABLED);
}

static void a_hard_bounce_hardens_exhaustion_silently(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 4, AT(0));
    soft(&world, world.state->due_at_ms);
    hard(&world, AT(1000));
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_HARD_BOUNCE);
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->suppressions, 1);
    deliver(&world, AT(1001)); /* no longer lifted by a delivery */
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
}

static void a_hard_bounce_leaves_a_manual_suppression_manual(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    override(&world, OVERRIDE_SUPPRESS, AT(0));
    hard(&world, AT(1));
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_MANUAL);
    assert_int_equal(world.state->hard, 1);
}

static void transient_bounces_retry_the_message_three_times(void **unused)
{
    (void)unused;
    static const int hours[] = {1, 4, 12};
    struct world world;
    world_init(&world);
    for (int m = 0; m < 3; m++) {
        transient(&world, m, AT(m));
        const struct retry_command *schedule = command(&world, COMMAND_SCHEDULE);
        assert_int_equal(schedule->message_attempt, m + 1);
        assert_int_equal(schedule->attempt, 0);
        assert_int_equal(schedule->episode, 0);
        assert_true(schedule->due_at_ms == AT(m + hours[m]));
        assert_int_equal(schedule->reason, REASON_NETWORK);
    }
    transient(&world, 3, AT(3));
    assert_int_equal(output_count(&world), 0);
    transient(&world, INT32_MAX, AT(4));
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->transient, 5);
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    assert_true(world.state->last_bounce_at_ms == TIME_NULL);
}

static void a_transient_bounce_while_suspended_waits_for_the_window(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    transient(&world, 0, AT(1));
    const struct retry_command *schedule = command(&world, COMMAND_SCHEDULE);
    assert_true(schedule->due_at_ms == AT(24));
    assert_int_equal(schedule->attempt, 1);
    assert_int_equal(schedule->episode, 1);
    transient(&world, 2, AT(13));
    assert_true(command(&world, COMMAND_SCHEDULE)->due_at_ms == AT(25));
    assert_int_equal(world.state->attempt, 1);
    transient(&world, 1, AT(30)); /* after the window: no answer either */
    assert_int_equal(world.state->attempt, 1);
}

static void a_transient_bounce_while_suppressed_is_counted_only(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    transient(&world, 0, AT(1));
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->transient, 1);
}

static void policy_and_unknown_bounces_are_only_counted(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_POLICY, AT(0));
    other_class(&world, CLASS_UNKNOWN, AT(1));
    soft(&world, AT(2));
    other_class(&world, CLASS_POLICY, AT(100));
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->policy_bounces, 2);
    assert_int_equal(world.state->unknown, 1);
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
    assert_int_equal(world.state->attempt, 1);
    assert_true(world.state->last_bounce_at_ms == AT(2));
    assert_true(world.state->last_event_at_ms == AT(100));
}

static void last_status_and_rule_are_of_the_last_bounce_null_included(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(5));
    assert_str(world.state->last_status, "4.2.1");
    struct event event = world_bounce_event(&world, CLASS_POLICY, REASON_POLICY, AT(0));
    event.status = STR_NULL;
    event.rule = STR_NULL;
    world_feed(&world, &event);
    assert_str(world.state->last_status, NULL);
    assert_str(world.state->last_rule, NULL);
    hard(&world, AT(6));
    deliver(&world, AT(7));
    assert_str(world.state->last_status, "5.1.1");
}

static void a_delivery_to_an_unknown_recipient_leaves_no_state(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    deliver(&world, AT(0));
    assert_null(world.state);
    assert_int_equal(world.effects.outcome, OUTCOME_IGNORED);
    assert_int_equal(output_count(&world), 0);
}

static void a_delivery_releases_what_is_held(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 2, AT(0));
    deliver(&world, AT(24)); /* at the bounce's own time: not before it */
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    const struct retry_command *release = command(&world, COMMAND_RELEASE);
    assert_int_equal(output_count(&world), 1);
    assert_int_equal(release->attempt, 2);
    assert_int_equal(release->episode, 1);
    assert_int_equal(release->reason, REASON_MAILBOX_DISABLED);
    assert_str(release->message_id, NULL);
    assert_true(release->due_at_ms == AT(24));
}

static void a_delivery_before_the_last_bounce_only_counts(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(10));
    deliver(&world, AT(10) - 1);
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
    assert_int_equal(world.state->deliveries, 1);
    assert_true(world.state->last_delivery_at_ms == AT(10) - 1);
    assert_int_equal(output_count(&world), 0);
}

static void a_delivery_lifts_exhaustion_when_configured(void **unused)
{
    (void)unused;
    for (int lift = 0; lift <= 1; lift++) {
        struct world world;
        world_init(&world);
        world.policies.lift_on_delivery = lift;
        suspend_until_attempt(&world, 4, AT(0));
        int64_t now = world.state->due_at_ms;
        soft(&world, now);
        deliver(&world, now - 1);
        assert_int_equal(world.state->status, STATUS_SUPPRESSED);
        deliver(&world, now);
        assert_int_equal(world.state->status, lift ? STATUS_ACTIVE : STATUS_SUPPRESSED);
        assert_int_equal(output_count(&world), lift);
        if (!lift)
            continue;
        const struct suppression_event *event = suppression(&world);
        assert_int_equal(event->action, SUPPRESSION_REINSTATE);
        assert_int_equal(event->reason, SUPPRESSION_DELIVERED);
        assert_int_equal(event->attempts, 0);
        assert_true(event->first_bounced_at_ms == TIME_NULL);
        assert_true(event->last_bounced_at_ms == now);
        assert_str(event->status, NULL);
        assert_int_equal(world.state->suppressed_by, SUPPRESSION_NONE);
    }
}

static void a_delivery_lifts_neither_hard_nor_manual_suppressions(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    deliver(&world, AT(1));
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    override(&world, OVERRIDE_SUPPRESS, AT(2));
    deliver(&world, AT(3));
    assert_int_equal(world.state->status, STATUS_SUPPRESSED);
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_MANUAL);
}

static void reinstate_ends_suppression_and_suspension(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    override(&world, OVERRIDE_REINSTATE, AT(-9)); /* whatever its time */
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    assert_int_equal(suppression(&world)->action, SUPPRESSION_REINSTATE);
    assert_int_equal(suppression(&world)->reason, SUPPRESSION_MANUAL);
    assert_true(suppression(&world)->last_bounced_at_ms == AT(0));
    assert_int_equal(output_count(&world), 1);
    soft(&world, AT(1));
    override(&world, OVERRIDE_REINSTATE, AT(2));
    assert_int_equal(world.state->status, STATUS_ACTIVE);
    assert_int_equal(command(&world, COMMAND_RELEASE)->attempt, 1);
    override(&world, OVERRIDE_REINSTATE, AT(1));
    assert_int_equal(output_count(&world), 0);
    assert_true(world.state->reinstated_at_ms == AT(2));
    assert_int_equal(world.state->overrides, 3);
}

static void reinstate_of_an_unknown_recipient_does_nothing(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    override(&world, OVERRIDE_REINSTATE, AT(0));
    assert_null(world.state);
    assert_int_equal(world.effects.outcome, OUTCOME_IGNORED);
}

static void suppress_creates_an_unknown_recipient(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    override(&world, OVERRIDE_SUPPRESS, AT(0));
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_MANUAL);
    assert_int_equal(world.state->suppressions, 1);
    const struct suppression_event *event = suppression(&world);
    assert_int_equal(event->reason, SUPPRESSION_MANUAL);
    assert_true(event->first_bounced_at_ms == TIME_NULL);
    assert_true(event->last_bounced_at_ms == TIME_NULL);
    assert_str(event->rule, NULL);
    assert_non_null(command(&world, COMMAND_CANCEL));
}

static void suppress_in_mid_episode_tells_when_it_began(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 2, AT(0));
    override(&world, OVERRIDE_SUPPRESS, AT(30));
    const struct suppression_event *event = suppression(&world);
    assert_int_equal(event->attempts, 2);
    assert_true(event->first_bounced_at_ms == AT(0));
    assert_str(event->status, NULL);
    assert_int_equal(command(&world, COMMAND_CANCEL)->reason, REASON_MAILBOX_DISABLED);
}

static void suppress_of_a_suppressed_recipient_makes_it_manual_silently(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    override(&world, OVERRIDE_SUPPRESS, AT(1));
    assert_int_equal(world.state->suppressed_by, SUPPRESSION_MANUAL);
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->suppressions, 1);
}

static void forget_deletes_and_cancels(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 2, AT(0));
    override(&world, OVERRIDE_FORGET, AT(30));
    assert_null(world.state);
    assert_int_equal(world.effects.change, STATE_DELETE);
    const struct retry_command *cancel = command(&world, COMMAND_CANCEL);
    assert_int_equal(output_count(&world), 1);
    assert_int_equal(cancel->episode, 1);
    assert_int_equal(cancel->attempt, 2);
    override(&world, OVERRIDE_FORGET, AT(31));
    assert_int_equal(world.effects.change, STATE_UNCHANGED);
    assert_int_equal(output_count(&world), 0);
}

static void a_new_life_begins_after_forget(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    struct uuid_text first = command(&world, COMMAND_SCHEDULE)->command_id;
    override(&world, OVERRIDE_FORGET, AT(1));
    soft(&world, AT(2));
    assert_int_equal(world.state->episode, 1);
    assert_int_equal(world.state->soft, 1);
    assert_memory_not_equal(&first, &command(&world, COMMAND_SCHEDULE)->command_id, sizeof(first));
}

static void cancel_and_release_come_whether_or_not_anything_is_pending(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_POLICY, AT(0));
    override(&world, OVERRIDE_FORGET, AT(1));
    assert_non_null(command(&world, COMMAND_CANCEL));
    assert_int_equal(command(&world, COMMAND_CANCEL)->reason, REASON_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hard_bounce_suppresses_an_unknown_recipient),
        cmocka_unit_test(a_hard_bounce_in_mid_episode_suppresses),
        cmocka_unit_test(a_hard_bounce_hardens_exhaustion_silently),
        cmocka_unit_test(a_hard_bounce_leaves_a_manual_suppression_manual),
        cmocka_unit_test(transient_bounces_retry_the_message_three_times),
        cmocka_unit_test(a_transient_bounce_while_suspended_waits_for_the_window),
        cmocka_unit_test(a_transient_bounce_while_suppressed_is_counted_only),
        cmocka_unit_test(policy_and_unknown_bounces_are_only_counted),
        cmocka_unit_test(last_status_and_rule_are_of_the_last_bounce_null_included),
        cmocka_unit_test(a_delivery_to_an_unknown_recipient_leaves_no_state),
        cmocka_unit_test(a_delivery_releases_what_is_held),
        cmocka_unit_test(a_delivery_before_the_last_bounce_only_counts),
        cmocka_unit_test(a_delivery_lifts_exhaustion_when_configured),
        cmocka_unit_test(a_delivery_lifts_neither_hard_nor_manual_suppressions),
        cmocka_unit_test(reinstate_ends_suppression_and_suspension),
        cmocka_unit_test(reinstate_of_an_unknown_recipient_does_nothing),
        cmocka_unit_test(suppress_creates_an_unknown_recipient),
        cmocka_unit_test(suppress_in_mid_episode_tells_when_it_began),
        cmocka_unit_test(suppress_of_a_suppressed_recipient_makes_it_manual_silently),
        cmocka_unit_test(forget_deletes_and_cancels),
        cmocka_unit_test(a_new_life_begins_after_forget),
        cmocka_unit_test(cancel_and_release_come_whether_or_not_anything_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
