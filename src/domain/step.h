/* What the parts of recipient_step share; private to recipient*.c. */
#pragma once
#include "domain/recipient.h"

/* One event being applied. What outputs tell of the time before the transition is copied here
 * first. */
struct step {
    const struct policy_set *policies;
    const struct event *event;
    struct recipient *state; /* the new state, changed in place */
    struct effects *effects;
    const struct policy *policy; /* of the open episode, else `default` */
    enum reason reason_before;   /* of the open episode, else `other` */
    int32_t attempt_before;
    int64_t opened_at_ms_before;
};

/* Outputs (recipient_output.c). A notice tells the state's frequency; commands and ids are as
 * semantics §6, §7. */
void step_notice(struct step *step, enum notice_kind kind, int32_t attempt);
void step_suppression(struct step *step, enum suppression_action action,
                      enum suppression_reason reason);
void step_schedule(struct step *step, int32_t message_attempt, int64_t due_at_ms);
void step_sweep(struct step *step, enum command_action action); /* CANCEL or RELEASE */

/* Transitions (recipient.c). */
void recipient_close_episode(struct recipient *state);
void step_suppress(struct step *step, enum suppression_reason reason); /* with its outputs */
enum frequency recipient_frequency(const struct policy_set *policies, const struct recipient *state,
                                   int64_t at_ms);

/* Counted already; last_… and source_offset are up to date (recipient_bounce.c). */
void step_bounce(struct step *step);

/* A ring of hashes, oldest first; an id met again keeps its place. */
bool recent_contains(const uint64_t *recent, int count, uint64_t hash);
void recent_add(uint64_t *recent, int *count, uint64_t hash);

static inline int64_t time_max(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}
