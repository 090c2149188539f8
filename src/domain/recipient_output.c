/* The outputs of a step, filled from the event, the new state and what held before it. */
#include "base/hash.h"
#include "domain/id.h"
#include "domain/step.h"

bool recent_contains(const uint64_t *recent, int count, uint64_t hash)
{
    for (int i = 0; i < count; i++)
        if (recent[i] == hash)
            return true;
    return false;
}

void recent_add(uint64_t *recent, int *count, uint64_t hash)
{
    if (*count == RECENT_MAX) {
        memmove(recent, recent + 1, (RECENT_MAX - 1) * sizeof(*recent));
        --*count;
    }
    recent[(*count)++] = hash;
}

void step_notice(struct step *step, enum notice_kind kind, int32_t attempt)
{
    static const char *const kinds[NOTICE_KIND_COUNT] = {
        [NOTICE_CONTACT_ALTERNATIVE] = "contact_alternative",
        [NOTICE_REDUCE_FREQUENCY] = "reduce_frequency",
    };
    const struct event *event = step->event;
    const struct recipient *state = step->state;
    step->effects->notices[step->effects->notice_count++] = (struct recipient_notice){
        .notice_id = id_output(kinds[kind], event->who, state->episode, attempt, event->event_id),
        .kind = kind,
        .who = event->who,
        .episode = state->episode,
        .attempt = attempt,
        .frequency = state->frequency,
        .occurred_at_ms = event->time_ms,
        .source_partition = event->partition,
        .source_offset = event->offset,
    };
}

static int64_t first_bounced_at(const struct step *step, enum suppression_action action,
                                enum suppression_reason reason)
{
    if (action == SUPPRESSION_REINSTATE)
        return TIME_NULL;
    if (step->opened_at_ms_before != TIME_NULL)
        return step->opened_at_ms_before;
    return reason == SUPPRESSION_HARD_BOUNCE ? step->event->time_ms : TIME_NULL;
}

void step_suppression(struct step *step, enum suppression_action action,
                      enum suppression_reason reason)
{
    static const char *const kinds[SUPPRESSION_ACTION_COUNT] = {
        [SUPPRESSION_SUPPRESS] = "suppress",
        [SUPPRESSION_REINSTATE] = "reinstate",
    };
    const struct event *event = step->event;
    const struct recipient *state = step->state;
    bool of_bounce = event->kind == EVENT_BOUNCE;
    step->effects->suppressions[step->effects->suppression_count++] = (struct suppression_event){
        .suppression_id = id_output(kinds[action], event->who, state->episode, step->attempt_before,
                                    event->event_id),
        .action = action,
        .who = event->who,
        .reason = reason,
        .status = of_bounce ? event->status : STR_NULL,
        .rule = of_bounce ? event->rule : STR_NULL,
        .attempts = step->attempt_before,
        .episode = state->episode,
        .first_bounced_at_ms = first_bounced_at(step, action, reason),
        .last_bounced_at_ms = state->last_bounce_at_ms,
        .occurred_at_ms = event->time_ms,
        .source_partition = event->partition,
        .source_offset = event->offset,
    };
}

void step_schedule(struct step *step, int32_t message_attempt, int64_t due_at_ms)
{
    const struct event *event = step->event;
    struct recipient *state = step->state;
    struct uuid_text id = id_schedule(&(struct schedule_id){
        .who = event->who,
        .episode = state->episode,
        .episode_opened_at_ms = state->episode_opened_at_ms,
        .attempt = state->attempt,
        .message_id = event->message_id,
        .message_attempt = message_attempt,
    });
    uint64_t hash = hash_xxh3(id.text, sizeof(id.text));
    if (recent_contains(state->recent_commands, state->recent_command_count, hash))
        return;
    recent_add(state->recent_commands, &state->recent_command_count, hash);
    step->effects->commands[step->effects->command_count++] = (struct retry_command){
        .command_id = id,
        .action = COMMAND_SCHEDULE,
        .who = event->who,
        .message_id = event->message_id,
        .episode = state->episode,
        .attempt = state->attempt,
        .max_attempts = step->policy->max_attempts,
        .message_attempt = message_attempt,
        .due_at_ms = due_at_ms,
        .issued_at_ms = event->time_ms,
        .status = event->status,
        .reason = event->reason,
        .source_partition = event->partition,
        .source_offset = event->offset,
    };
}

void step_sweep(struct step *step, enum command_action action)
{
    const struct event *event = step->event;
    const char *kind = action == COMMAND_CANCEL ? "cancel" : "release";
    step->effects->commands[step->effects->command_count++] = (struct retry_command){
        .command_id = id_output(kind, event->who, step->state->episode, step->attempt_before,
                                event->event_id),
        .action = action,
        .who = event->who,
        .message_id = STR_NULL,
        .episode = step->state->episode,
        .attempt = step->attempt_before,
        .max_attempts = step->policy->max_attempts,
        .due_at_ms = event->time_ms,
        .issued_at_ms = event->time_ms,
        .status = STR_NULL,
        .reason = step->reason_before,
        .source_partition = event->partition,
        .source_offset = event->offset,
    };
}
