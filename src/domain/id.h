/*
 * Deterministic ids (semantics §7): UUIDv5 (RFC 9562 5.5) over netstrings, namespace
 * 3a470a40-95a4-5c48-b654-698ef4c217ee. The same input makes the same ids, today or in a replay
 * next year.
 */
#pragma once
#include "domain/types.h"

struct schedule_id {
    struct identity who;
    int64_t episode;
    int64_t episode_opened_at_ms; /* TIME_NULL counts as 0 */
    int64_t attempt;
    struct str message_id;
    int64_t message_attempt;
};
struct uuid_text id_schedule(const struct schedule_id *parts);

/* kind: cancel release suppress reinstate contact_alternative reduce_frequency */
struct uuid_text id_output(const char *kind, struct identity who, int64_t episode, int64_t attempt,
                           struct str event_id);
