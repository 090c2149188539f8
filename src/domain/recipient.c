/*
 * The step function (semantics §5, §6): lapse, expiry, duplicate, then the event. Bounces are in
 * recipient_bounce.c, outputs in recipient_output.c.
 *
 * A state that counts as absent is absent in every respect, the duplicate check included: whether
 * the idle scan has tombstoned it already makes no difference to anything that follows.
 */
#include "domain/recipient.h"

#include "base/hash.h"
#include "domain/step.h"

static const struct recipient fresh = {
    .status = STATUS_ACTIVE,
    .episode_opened_at_ms = TIME_NULL,
    .due_at_ms = TIME_NULL,
    .last_bounce_at_ms = TIME_NULL,
    .last_delivery_at_ms = TIME_NULL,
    .reinstated_at_ms = TIME_NULL,
    .last_event_at_ms = TIME_NULL,
    .source_offset = -1,
};

void recipient_close_episode(struct recipient *state)
{
    state->in_episode = false;
    state->reason = (enum reason)0;
    state->policy = STR_NULL;
    state->attempt = 0;
    state->episode_opened_at_ms = TIME_NULL;
    state->due_at_ms = TIME_NULL;
}

static bool has_lapsed(const struct policy_set *policies, const struct recipient *state,
                       int64_t stream_time_ms)
{
    return state->status == STATUS_SUSPENDED &&
           stream_time_ms >= state->due_at_ms + policies->stale_after_ms;
}

static void lapse(struct recipient *state)
{
    state->status = STATUS_ACTIVE;
    recipient_close_episode(state);
}

/* Of a state that has been lapsed if it had to. */
static bool has_expired(const struct policy_set *policies, const struct recipient *state,
                        int64_t stream_time_ms)
{
    return state->status == STATUS_ACTIVE &&
           stream_time_ms - state->last_event_at_ms >= policies->retention_ms;
}

enum frequency recipient_frequency(const struct policy_set *policies, const struct recipient *state,
                                   int64_t at_ms)
{
    int recent = 0;
    for (int i = 0; i < state->opening_count; i++)
        recent += state->openings_ms[i] > at_ms - policies->frequent_window_ms;
    return recent >= 3 ? FREQUENCY_QUARTER : recent == 2 ? FREQUENCY_HALF : FREQUENCY_NORMAL;
}

void step_suppress(struct step *step, enum suppression_reason reason)
{
    struct recipient *state = step->state;
    state->status = STATUS_SUPPRESSED;
    state->suppressed_by = reason;
    state->suppressions++;
    recipient_close_episode(state);
    step_suppression(step, SUPPRESSION_SUPPRESS, reason);
    step_sweep(step, COMMAND_CANCEL);
}

static void reinstate(struct step *step, enum suppression_reason reason)
{
    step->state->status = STATUS_ACTIVE;
    step->state->suppressed_by = SUPPRESSION_NONE;
    step_suppression(step, SUPPRESSION_REINSTATE, reason);
}

static void release(struct step *step)
{
    step->state->status = STATUS_ACTIVE;
    recipient_close_episode(step->state);
    step_sweep(step, COMMAND_RELEASE);
}

static void delivery(struct step *step)
{
    struct recipient *state = step->state;
    int64_t now_ms = step->event->time_ms;
    state->deliveries++;
    state->last_delivery_at_ms = time_max(state->last_delivery_at_ms, now_ms);
    state->frequency = recipient_frequency(step->policies, state, state->last_event_at_ms);
    if (now_ms < state->last_bounce_at_ms)
        return;
    if (state->status == STATUS_SUSPENDED)
        release(step);
    else if (state->status == STATUS_SUPPRESSED &&
             state->suppressed_by == SUPPRESSION_ATTEMPTS_EXHAUSTED &&
             step->policies->lift_on_delivery)
        reinstate(step, SUPPRESSION_DELIVERED);
}

static void override(struct step *step)
{
    struct recipient *state = step->state;
    state->overrides++;
    switch (step->event->action) {
    case OVERRIDE_REINSTATE:
        state->reinstated_at_ms = time_max(state->reinstated_at_ms, step->event->time_ms);
        if (state->status == STATUS_SUPPRESSED)
            reinstate(step, SUPPRESSION_MANUAL);
        else if (state->status == STATUS_SUSPENDED)
            release(step);
        break;
    case OVERRIDE_SUPPRESS:
        if (state->status == STATUS_SUPPRESSED)
            state->suppressed_by = SUPPRESSION_MANUAL;
        else
            step_suppress(step, SUPPRESSION_MANUAL);
        break;
    case OVERRIDE_FORGET:
        step->effects->change = STATE_DELETE;
        step_sweep(step, COMMAND_CANCEL);
        break;
    case OVERRIDE_ACTION_COUNT:
        break;
    }
}

/* Deliveries, REINSTATE and FORGET of an unknown recipient do nothing. */
static bool makes_state(const struct event *event)
{
    switch (event->kind) {
    case EVENT_BOUNCE:
        return true;
    case EVENT_DELIVERY:
        return false;
    case EVENT_OVERRIDE:
        return event->action == OVERRIDE_SUPPRESS;
    }
    return false;
}

static void apply(struct step *step, uint64_t event_hash)
{
    struct recipient *state = step->state;
    const struct event *event = step->event;
    step->effects->outcome = OUTCOME_APPLIED;
    step->effects->change = STATE_PUT;
    state->last_event_at_ms = time_max(state->last_event_at_ms, event->time_ms);
    state->source_offset = event->offset;
    recent_add(state->recent_events, &state->recent_event_count, event_hash);
    switch (event->kind) {
    case EVENT_BOUNCE:
        step_bounce(step);
        break;
    case EVENT_DELIVERY:
        delivery(step);
        break;
    case EVENT_OVERRIDE:
        override(step);
        break;
    }
}

void recipient_step(const struct policy_set *policies, const struct recipient *before,
                    const struct event *event, int64_t stream_time_ms, struct recipient *ret_after,
                    struct effects *ret_effects)
{
    bool known = before != NULL;
    ret_effects->outcome = OUTCOME_IGNORED;
    ret_effects->change = STATE_UNCHANGED;
    ret_effects->notice_count = 0;
    ret_effects->suppression_count = 0;
    ret_effects->command_count = 0;
    if (known) {
        *ret_after = *before;
        if (has_lapsed(policies, ret_after, stream_time_ms))
            lapse(ret_after);
        known = !has_expired(policies, ret_after, stream_time_ms);
    }
    if (!known && !makes_state(event)) {
        if (before && event->kind == EVENT_OVERRIDE && event->action == OVERRIDE_FORGET) {
            ret_effects->outcome = OUTCOME_APPLIED;
            ret_effects->change = STATE_DELETE;
        }
        return;
    }
    uint64_t event_hash = hash_xxh3(event->event_id.data, event->event_id.len);
    if (known && (event->offset <= before->source_offset ||
                  recent_contains(before->recent_events, before->recent_event_count, event_hash))) {
        ret_effects->outcome = OUTCOME_DUPLICATE;
        return;
    }
    if (!known) {
        *ret_after = fresh;
        ret_after->who = event->who;
    }
    struct step step = {
        .policies = policies,
        .event = event,
        .state = ret_after,
        .effects = ret_effects,
        .policy = policy_by_name(policies, ret_after->policy),
        .reason_before = ret_after->in_episode ? ret_after->reason : REASON_OTHER,
        .attempt_before = ret_after->attempt,
        .opened_at_ms_before = ret_after->episode_opened_at_ms,
    };
    apply(&step, event_hash);
}

enum idle_action recipient_idle(const struct policy_set *policies, const struct recipient *before,
                                int64_t stream_time_ms, struct recipient *ret_after)
{
    *ret_after = *before;
    bool lapsed = has_lapsed(policies, before, stream_time_ms);
    if (lapsed)
        lapse(ret_after);
    if (has_expired(policies, ret_after, stream_time_ms))
        return IDLE_EXPIRE;
    return lapsed ? IDLE_LAPSE : IDLE_NONE;
}
