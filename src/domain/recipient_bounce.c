/* Bounces (semantics §6): what a SOFT, HARD or TRANSIENT one does to a recipient. */
#include "domain/id.h"
#include "domain/step.h"

/* The bounce happened before the mailbox was seen to work again: it says nothing about now. */
static bool is_old_news(const struct step *step)
{
    const struct recipient *state = step->state;
    return step->event->time_ms < time_max(state->last_delivery_at_ms, state->reinstated_at_ms);
}

static void add_opening(struct recipient *state, int64_t at_ms)
{
    if (state->opening_count == OPENINGS_MAX) {
        memmove(state->openings_ms, state->openings_ms + 1,
                (OPENINGS_MAX - 1) * sizeof(state->openings_ms[0]));
        state->opening_count--;
    }
    state->openings_ms[state->opening_count++] = at_ms;
}

static void open_episode(struct step *step)
{
    struct recipient *state = step->state;
    int64_t now_ms = step->event->time_ms;
    step->policy = policy_for_reason(step->policies, step->event->reason);
    state->status = STATUS_SUSPENDED;
    state->in_episode = true;
    state->reason = step->event->reason;
    state->policy = str_of(step->policy->name);
    state->episode++;
    state->attempt = 1;
    state->episode_opened_at_ms = now_ms;
    state->due_at_ms = now_ms + policy_delay_ms(step->policy, 1);
    add_opening(state, now_ms);
    enum frequency before = state->frequency;
    state->frequency = recipient_frequency(step->policies, state, now_ms);
    if (state->frequency > before)
        step_notice(step, NOTICE_REDUCE_FREQUENCY, step->attempt_before);
    step_schedule(step, 0, state->due_at_ms);
}

/* `retry_of` names a command of this episode and attempt, or the window is over. */
static bool is_answer(const struct step *step)
{
    const struct event *event = step->event;
    const struct recipient *state = step->state;
    if (event->time_ms >= state->due_at_ms - step->policies->answer_tolerance_ms)
        return true;
    if (!event->retry_of.data || event->retry_of.len != UUID_TEXT_SIZE)
        return false;
    struct uuid_text id = id_schedule(&(struct schedule_id){
        .who = event->who,
        .episode = state->episode,
        .episode_opened_at_ms = state->episode_opened_at_ms,
        .attempt = state->attempt,
        .message_id = event->message_id,
        .message_attempt = event->message_attempt,
    });
    return str_equal(uuid_str(&id), event->retry_of);
}

static void answer(struct step *step)
{
    struct recipient *state = step->state;
    if (state->attempt == step->policy->contact_after)
        step_notice(step, NOTICE_CONTACT_ALTERNATIVE, state->attempt);
    if (state->attempt >= step->policy->max_attempts) {
        step_suppress(step, SUPPRESSION_ATTEMPTS_EXHAUSTED);
        return;
    }
    state->attempt++;
    int64_t due_at_ms = step->event->time_ms + policy_delay_ms(step->policy, state->attempt);
    state->due_at_ms = time_max(state->due_at_ms, due_at_ms);
    step_schedule(step, 0, state->due_at_ms);
}

static void soft_bounce(struct step *step)
{
    switch (step->state->status) {
    case STATUS_ACTIVE:
        if (is_old_news(step))
            step_schedule(step, 0, step->event->time_ms);
        else
            open_episode(step);
        break;
    case STATUS_SUSPENDED:
        if (is_answer(step))
            answer(step);
        else
            step_schedule(step, 0, step->state->due_at_ms);
        break;
    case STATUS_SUPPRESSED:
    case RECIPIENT_STATUS_COUNT:
        break;
    }
}

static void hard_bounce(struct step *step)
{
    switch (step->state->status) {
    case STATUS_ACTIVE:
        if (!is_old_news(step))
            step_suppress(step, SUPPRESSION_HARD_BOUNCE);
        break;
    case STATUS_SUSPENDED:
        step_suppress(step, SUPPRESSION_HARD_BOUNCE);
        break;
    case STATUS_SUPPRESSED:
        if (step->state->suppressed_by == SUPPRESSION_ATTEMPTS_EXHAUSTED)
            step->state->suppressed_by = SUPPRESSION_HARD_BOUNCE;
        break;
    case RECIPIENT_STATUS_COUNT:
        break;
    }
}

static void transient_bounce(struct step *step)
{
    const struct policy_set *policies = step->policies;
    const struct recipient *state = step->state;
    if (state->status == STATUS_SUPPRESSED ||
        step->event->message_attempt >= policies->transient_delay_count)
        return;
    int32_t message_attempt = step->event->message_attempt + 1;
    int64_t due_at_ms = step->event->time_ms + policies->transient_delays_ms[message_attempt - 1];
    if (state->status == STATUS_SUSPENDED)
        due_at_ms = time_max(due_at_ms, state->due_at_ms);
    step_schedule(step, message_attempt, due_at_ms);
}

void step_bounce(struct step *step)
{
    struct recipient *state = step->state;
    const struct event *event = step->event;
    state->last_status = event->status;
    state->last_rule = event->rule;
    if (event->bounce_class == CLASS_SOFT || event->bounce_class == CLASS_HARD)
        state->last_bounce_at_ms = time_max(state->last_bounce_at_ms, event->time_ms);
    switch (event->bounce_class) {
    case CLASS_HARD:
        state->hard++;
        hard_bounce(step);
        break;
    case CLASS_SOFT:
        state->soft++;
        soft_bounce(step);
        break;
    case CLASS_TRANSIENT:
        state->transient++;
        transient_bounce(step);
        break;
    case CLASS_POLICY:
        state->policy_bounces++;
        break;
    case CLASS_UNKNOWN:
        state->unknown++;
        break;
    case BOUNCE_CLASS_COUNT:
        break;
    }
}
