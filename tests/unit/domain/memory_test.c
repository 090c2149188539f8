/* Lapse, expiry, duplicates and the idle scan (semantics §6); ids of outputs (§7). */
#include "base/hash.h"
#include "world.h"

static void a_stale_suspension_lapses_to_the_millisecond(void **unused)
{
    (void)unused;
    for (int early_ms = 0; early_ms <= 1; early_ms++) {
        struct world world;
        world_init(&world);
        soft(&world, AT(0));
        world.stream_time_ms = AT(24) + 30 * DAY_MS - early_ms;
        other_class(&world, CLASS_POLICY, AT(1));
        assert_int_equal(world.state->status, early_ms ? STATUS_SUSPENDED : STATUS_ACTIVE);
        assert_int_equal(output_count(&world), 0);
        assert_int_equal(world.state->attempt, early_ms ? 1 : 0);
        assert_int_equal(world.state->episode, 1);
    }
}

static void a_soft_bounce_after_a_lapse_opens_the_next_episode(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 4, AT(0));
    soft(&world, world.state->due_at_ms + 30 * DAY_MS);
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
    assert_int_equal(world.state->episode, 2);
    assert_int_equal(world.state->attempt, 1);
    assert_int_equal(world.state->frequency, FREQUENCY_HALF);
}

static void a_lapsed_episode_leaves_no_trace_in_outputs(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    suspend_until_attempt(&world, 3, AT(0));
    world.stream_time_ms = world.state->due_at_ms + 30 * DAY_MS;
    hard(&world, AT(400));
    assert_int_equal(suppression(&world)->attempts, 0);
    assert_true(suppression(&world)->first_bounced_at_ms == AT(400));
    assert_int_equal(command(&world, COMMAND_CANCEL)->reason, REASON_OTHER);
}

static void an_active_state_expires_to_the_millisecond(void **unused)
{
    (void)unused;
    for (int early_ms = 0; early_ms <= 1; early_ms++) {
        struct world world;
        world_init(&world);
        other_class(&world, CLASS_POLICY, AT(0));
        world.stream_time_ms = AT(0) + 400 * DAY_MS - early_ms;
        other_class(&world, CLASS_POLICY, AT(1));
        assert_int_equal(world.state->policy_bounces, early_ms ? 2 : 1);
    }
}

static void a_lapse_may_be_followed_by_expiry_at_once(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    soft(&world, AT(0) + 400 * DAY_MS);
    assert_int_equal(world.state->episode, 1);
    assert_int_equal(world.state->soft, 1);
    assert_int_equal(world.state->opening_count, 1);
}

static void a_suppressed_state_never_expires(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    hard(&world, AT(0));
    hard(&world, AT(0) + 4000 * DAY_MS);
    assert_int_equal(world.state->hard, 2);
    assert_int_equal(world.state->suppressions, 1);
}

static void deliveries_and_reinstate_find_an_expired_state_unknown(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_POLICY, AT(0));
    world.stream_time_ms = AT(0) + 400 * DAY_MS;
    deliver(&world, AT(1));
    assert_int_equal(world.effects.outcome, OUTCOME_IGNORED);
    assert_int_equal(world.effects.change, STATE_UNCHANGED);
    override(&world, OVERRIDE_REINSTATE, AT(1));
    assert_int_equal(world.effects.change, STATE_UNCHANGED);
}

static void forget_tombstones_an_expired_state_without_cancel(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_POLICY, AT(0));
    world.stream_time_ms = AT(0) + 400 * DAY_MS;
    override(&world, OVERRIDE_FORGET, AT(1));
    assert_int_equal(world.effects.change, STATE_DELETE);
    assert_int_equal(output_count(&world), 0);
}

static void a_remembered_event_id_is_a_duplicate(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    world.serial = 0; /* e0 again, at a later offset */
    soft_of(&world, "m2", AT(100));
    assert_int_equal(world.effects.outcome, OUTCOME_DUPLICATE);
    assert_int_equal(world.effects.change, STATE_UNCHANGED);
    assert_int_equal(output_count(&world), 0);
    assert_int_equal(world.state->soft, 1);
}

static void a_remembered_id_of_another_kind_of_record_is_a_duplicate_too(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    world.serial = 0;
    override(&world, OVERRIDE_FORGET, AT(1));
    assert_int_equal(world.effects.outcome, OUTCOME_DUPLICATE);
    assert_non_null(world.state);
}

static void the_ninth_event_pushes_the_first_id_out(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    for (int i = 0; i < 8; i++)
        other_class(&world, CLASS_POLICY, AT(i));
    world.serial = 0;
    other_class(&world, CLASS_POLICY, AT(8));
    assert_int_equal(world.effects.outcome, OUTCOME_DUPLICATE);
    world.serial = 8;
    other_class(&world, CLASS_POLICY, AT(9)); /* e0 was not refreshed by its duplicate */
    world.serial = 0;
    other_class(&world, CLASS_POLICY, AT(10));
    assert_int_equal(world.effects.outcome, OUTCOME_APPLIED);
    assert_int_equal(world.state->policy_bounces, 10);
    assert_true(world.state->recent_events[7] == hash_xxh3("e0", 2));
}

static void an_offset_already_applied_is_a_duplicate(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.offset = 7;
    soft(&world, AT(0));
    struct event event = world_bounce_event(&world, CLASS_HARD, REASON_USER_UNKNOWN, AT(1));
    event.offset = 7;
    world_feed(&world, &event);
    assert_int_equal(world.effects.outcome, OUTCOME_DUPLICATE);
    event.offset = 8;
    world_feed(&world, &event);
    assert_int_equal(world.effects.outcome, OUTCOME_APPLIED);
    assert_true(world.state->source_offset == 8);
}

static void a_duplicate_stores_no_lapse(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    soft(&world, AT(0));
    world.serial = 0;
    world.stream_time_ms = AT(24) + 31 * DAY_MS;
    soft(&world, AT(0));
    assert_int_equal(world.effects.outcome, OUTCOME_DUPLICATE);
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
}

static void expiry_forgets_the_ids_as_the_idle_scan_would(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_POLICY, AT(0));
    world.serial = 0;
    world.stream_time_ms = AT(0) + 400 * DAY_MS;
    other_class(&world, CLASS_POLICY, AT(1));
    assert_int_equal(world.effects.outcome, OUTCOME_APPLIED);
    assert_int_equal(world.state->policy_bounces, 1);
}

static void times_are_maxima_whatever_the_order(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    other_class(&world, CLASS_UNKNOWN, AT(50));
    soft(&world, AT(10));
    soft_of(&world, "m2", AT(5));
    deliver(&world, AT(9));
    deliver(&world, AT(3));
    assert_true(world.state->last_event_at_ms == AT(50));
    assert_true(world.state->last_bounce_at_ms == AT(10));
    assert_true(world.state->last_delivery_at_ms == AT(9));
    assert_int_equal(world.state->status, STATUS_SUSPENDED);
    assert_true(world.state->source_offset == 4);
}

static void the_idle_scan_does_what_the_next_event_would(void **unused)
{
    (void)unused;
    struct world world;
    struct recipient after;
    world_init(&world);
    soft(&world, AT(0));
    int64_t lapse_ms = AT(24) + 30 * DAY_MS;
    int64_t expire_ms = AT(0) + 400 * DAY_MS;
    assert_int_equal(recipient_idle(&world.policies, world.state, lapse_ms - 1, &after), IDLE_NONE);
    assert_int_equal(recipient_idle(&world.policies, world.state, lapse_ms, &after), IDLE_LAPSE);
    assert_int_equal(after.status, STATUS_ACTIVE);
    assert_int_equal(after.attempt, 0);
    assert_true(after.source_offset == world.state->source_offset);
    struct recipient lapsed = after;
    assert_int_equal(recipient_idle(&world.policies, &lapsed, expire_ms - 1, &after), IDLE_NONE);
    assert_int_equal(recipient_idle(&world.policies, &lapsed, expire_ms, &after), IDLE_EXPIRE);
    assert_int_equal(recipient_idle(&world.policies, world.state, expire_ms, &after), IDLE_EXPIRE);
}

static void an_idle_lapse_is_not_observable(void **unused)
{
    (void)unused;
    struct world scanned, left;
    world_init(&scanned);
    world_init(&left);
    soft(&scanned, AT(0));
    soft(&left, AT(0));
    int64_t now = AT(24) + 40 * DAY_MS;
    struct recipient lapsed;
    assert_int_equal(recipient_idle(&scanned.policies, scanned.state, now, &lapsed), IDLE_LAPSE);
    *scanned.state = lapsed;
    soft(&scanned, now);
    soft(&left, now);
    assert_memory_equal(&scanned.effects.commands[0].command_id,
                        &left.effects.commands[0].command_id, sizeof(struct uuid_text));
    assert_int_equal(scanned.state->frequency, left.state->frequency);
    assert_int_equal(scanned.state->episode, left.state->episode);
}

static void the_same_event_makes_the_same_ids(void **unused)
{
    (void)unused;
    struct world one, other;
    world_init(&one);
    world_init(&other);
    suspend_until_attempt(&one, 4, AT(0));
    suspend_until_attempt(&other, 4, AT(0));
    soft(&one, one.state->due_at_ms);
    soft(&other, other.state->due_at_ms);
    assert_memory_equal(&suppression(&one)->suppression_id, &suppression(&other)->suppression_id,
                        sizeof(struct uuid_text));
    struct uuid_text expected = id_output("cancel", ADA, 1, 4, STR("e4"));
    assert_memory_equal(&command(&one, COMMAND_CANCEL)->command_id, &expected, sizeof(expected));
    expected = id_output("suppress", ADA, 1, 4, STR("e4"));
    assert_memory_equal(&suppression(&one)->suppression_id, &expected, sizeof(expected));
}

static void netstrings_keep_neighbouring_fields_apart(void **unused)
{
    (void)unused;
    struct identity one = {STR("a"), STR("b@c")}, other = {STR("ab"), STR("@c")};
    struct uuid_text first = id_output("cancel", one, 0, 0, STR("e"));
    struct uuid_text second = id_output("cancel", other, 0, 0, STR("e"));
    assert_memory_not_equal(&first, &second, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stale_suspension_lapses_to_the_millisecond),
        cmocka_unit_test(a_soft_bounce_after_a_lapse_opens_the_next_episode),
        cmocka_unit_test(a_lapsed_episode_leaves_no_trace_in_outputs),
        cmocka_unit_test(an_active_state_expires_to_the_millisecond),
        cmocka_unit_test(a_lapse_may_be_followed_by_expiry_at_once),
        cmocka_unit_test(a_suppressed_state_never_expires),
        cmocka_unit_test(deliveries_and_reinstate_find_an_expired_state_unknown),
        cmocka_unit_test(forget_tombstones_an_expired_state_without_cancel),
        cmocka_unit_test(a_remembered_event_id_is_a_duplicate),
        cmocka_unit_test(a_remembered_id_of_another_kind_of_record_is_a_duplicate_too),
        cmocka_unit_test(the_ninth_event_pushes_the_first_id_out),
        cmocka_unit_test(an_offset_already_applied_is_a_duplicate),
        cmocka_unit_test(a_duplicate_stores_no_lapse),
        cmocka_unit_test(expiry_forgets_the_ids_as_the_idle_scan_would),
        cmocka_unit_test(times_are_maxima_whatever_the_order),
        cmocka_unit_test(the_idle_scan_does_what_the_next_event_would),
        cmocka_unit_test(an_idle_lapse_is_not_observable),
        cmocka_unit_test(the_same_event_makes_the_same_ids),
        cmocka_unit_test(netstrings_keep_neighbouring_fields_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
