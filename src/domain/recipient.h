/*
 * The state of one recipient and the step function over it (semantics §5, §6). Pure: the caller
 * performs the effects, the same arguments always give the same result.
 */
#pragma once
#include "domain/event.h"
#include "domain/policy.h"

/* Spans of the state belong to whoever made it: the decoder's buffer before; the event, the former
 * state or the policy set (`policy`) after a step. Keep all of them until the new state is
 * encoded. */
struct recipient {
    struct identity who;
    enum recipient_status status;
    enum suppression_reason suppressed_by; /* SUPPRESSION_NONE unless SUPPRESSED */
    bool in_episode;                       /* reason and policy are meaningful (SUSPENDED) */
    enum reason reason;
    struct str policy; /* null outside an episode */
    int32_t attempt;
    int32_t episode;
    int64_t episode_opened_at_ms; /* nullable times are TIME_NULL */
    int64_t due_at_ms;
    int64_t last_bounce_at_ms;
    int64_t last_delivery_at_ms;
    int64_t reinstated_at_ms;
    int64_t last_event_at_ms;
    struct str last_status; /* null allowed */
    struct str last_rule;   /* null allowed */
    int64_t soft, hard, transient, policy_bounces, unknown, deliveries, overrides, suppressions;
    int64_t openings_ms[OPENINGS_MAX]; /* oldest first */
    int opening_count;
    uint64_t recent_events[RECENT_MAX]; /* XXH3-64 of lower-case ids, oldest first */
    int recent_event_count;
    uint64_t recent_commands[RECENT_MAX];
    int recent_command_count;
    enum frequency frequency;
    int64_t source_offset;
};

/* Outputs, in the shape of their records (schemas/README.md); spans as in the event and the state
 * before. */
struct retry_command {
    struct uuid_text command_id;
    enum command_action action;
    struct identity who;
    struct str message_id; /* null for CANCEL and RELEASE */
    int32_t episode, attempt, max_attempts, message_attempt;
    int64_t due_at_ms, issued_at_ms;
    struct str status; /* null allowed */
    enum reason reason;
    int32_t source_partition;
    int64_t source_offset;
};

struct suppression_event {
    struct uuid_text suppression_id;
    enum suppression_action action;
    struct identity who;
    enum suppression_reason reason;
    struct str status, rule; /* null allowed */
    int32_t attempts, episode;
    int64_t first_bounced_at_ms, last_bounced_at_ms; /* nullable */
    int64_t occurred_at_ms;
    int32_t source_partition;
    int64_t source_offset;
};

struct recipient_notice {
    struct uuid_text notice_id;
    enum notice_kind kind;
    struct identity who;
    int32_t episode, attempt;
    enum frequency frequency;
    int64_t occurred_at_ms;
    int32_t source_partition;
    int64_t source_offset;
};

/* What became of an event; a metric label. */
#define OUTCOMES(X)                                                                                \
    X(OUTCOME_APPLIED, "applied")                                                                  \
    X(OUTCOME_DUPLICATE, "duplicate")                                                              \
    X(OUTCOME_IGNORED, "ignored") /* a delivery, REINSTATE or FORGET for an unknown recipient */
#define X(constant, string) constant,
enum outcome { OUTCOMES(X) OUTCOME_COUNT };
#undef X

enum state_change {
    STATE_UNCHANGED, /* nothing is stored; `ret_after` is not to be used */
    STATE_PUT,       /* `ret_after` replaces the state */
    STATE_DELETE,    /* FORGET: tombstone with source_offset = the event's offset */
};

/* At most one notice of each kind, one suppression event, one SCHEDULE and one CANCEL or RELEASE.
 */
struct effects {
    enum outcome outcome;
    enum state_change change;
    struct recipient_notice notices[2];
    int notice_count;
    struct suppression_event suppressions[1];
    int suppression_count;
    struct retry_command commands[2];
    int command_count;
};

/* Applies one event. `before` NULL: unknown recipient. `stream_time_ms`: stream time at the event's
 * offset, the event included. `ret_after` may not alias `before`. */
void recipient_step(const struct policy_set *policies, const struct recipient *before,
                    const struct event *event, int64_t stream_time_ms, struct recipient *ret_after,
                    struct effects *ret_effects);

/* What the idle scan may do to a state that gets no event. */
enum idle_action {
    IDLE_NONE,
    IDLE_LAPSE,  /* SUSPENDED and stale: `ret_after` is the state to store */
    IDLE_EXPIRE, /* ACTIVE beyond the retention: tombstone with source_offset = the state's */
};
enum idle_action recipient_idle(const struct policy_set *policies, const struct recipient *before,
                                int64_t stream_time_ms, struct recipient *ret_after);
