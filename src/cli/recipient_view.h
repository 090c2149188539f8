/*
 * A recipient as people name it and as they see it: what `rimbalzo state` and the HTTP server
 * share.
 */
#pragma once
#include "cli/cli.h"
#include "domain/recipient.h"

/* The names are stable. A table of many recipients shows those before `lapsed`. */
#define RECIPIENT_COLUMNS(X)                                                                       \
    X(recipient, cell_text(state->who.recipient))                                                  \
    X(tenant, cell_text(state->who.tenant))                                                        \
    X(status, named(recipient_status_names[status]))                                               \
    X(suppressed_by, named(suppression_reason_names[state->suppressed_by]))                        \
    X(reason, named(state->in_episode ? reason_names[state->reason] : ""))                         \
    X(attempt, cell_number(state->attempt))                                                        \
    X(due_at, cell_time(state->due_at_ms, times[0]))                                               \
    X(last_bounce_at, cell_time(state->last_bounce_at_ms, times[1]))                               \
    X(last_status, cell_text(state->last_status))                                                  \
    X(lapsed, cell_bool(lapsed))                                                                   \
    X(policy, cell_text(state->policy))                                                            \
    X(episode, cell_number(state->episode))                                                        \
    X(episode_opened_at, cell_time(state->episode_opened_at_ms, times[2]))                         \
    X(last_delivery_at, cell_time(state->last_delivery_at_ms, times[3]))                           \
    X(reinstated_at, cell_time(state->reinstated_at_ms, times[4]))                                 \
    X(last_event_at, cell_time(state->last_event_at_ms, times[5]))                                 \
    X(last_rule, cell_text(state->last_rule))                                                      \
    X(frequency, named(frequency_names[state->frequency]))                                         \
    X(soft, cell_number(state->soft))                                                              \
    X(hard, cell_number(state->hard))                                                              \
    X(transient, cell_number(state->transient))                                                    \
    X(policy_bounces, cell_number(state->policy_bounces))                                          \
    X(unknown, cell_number(state->unknown))                                                        \
    X(deliveries, cell_number(state->deliveries))                                                  \
    X(overrides, cell_number(state->overrides))                                                    \
    X(suppressions, cell_number(state->suppressions))                                              \
    X(partition, cell_number(partition))                                                           \
    X(source_offset, cell_number(state->source_offset))

#define X(column, value) RECIPIENT_COLUMN_##column,
enum recipient_column { RECIPIENT_COLUMNS(X) RECIPIENT_COLUMN_COUNT };
#undef X
extern const char *const recipient_columns[RECIPIENT_COLUMN_COUNT];

#define RECIPIENT_TIMES 6

/* Cells of the columns; they point into the state and into `times`. */
struct recipient_view {
    struct cell cells[RECIPIENT_COLUMN_COUNT];
    char times[RECIPIENT_TIMES][32];
};

void recipient_view(const struct recipient *state, int32_t partition, bool lapsed,
                    struct recipient_view *ret_view);

/* Readers take a suspension for over when it has gone stale, though no event has told the worker
 * yet. */
bool recipient_has_lapsed(const struct recipient *state, int64_t stale_after_ms, int64_t now_ms);

/* A recipient's identity, and its octets. */
struct recipient_name {
    struct identity who;
    char canonical[RECIPIENT_MAX + 1];
};

/* Of an address as somebody writes it; both texts must live as long as the name.
 * E_INVALID_RECIPIENT, E_INVALID_TENANT. */
enum rcode recipient_name(const char *address, const char *tenant, bool preserve_local_part,
                          struct recipient_name *ret_name, struct err *err) WARN_UNUSED;
