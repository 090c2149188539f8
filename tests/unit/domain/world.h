/*
 * One recipient and the stream that reaches it, for tests of the step function: every call feeds
 * one event at the next offset and leaves its effects in the world. Times are given in hours after
 * an arbitrary start.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "domain/id.h"
#include "domain/recipient.h"

#define START_MS 1700000000000LL
#define HOUR_MS 3600000LL
#define DAY_MS (24 * HOUR_MS)
#define AT(hours) (START_MS + (int64_t)(hours)*HOUR_MS)

struct world {
    struct policy_set policies;
    struct recipient states[2]; /* the present one and the one before, by turns */
    struct recipient *state;    /* NULL: unknown */
    struct effects effects;     /* of the last event */
    int64_t offset;             /* of the next event */
    int64_t stream_time_ms;
    int serial; /* of event ids */
    char event_ids[512][16];
};

static const struct identity ADA = {{"", 0}, {"ada@example.com", 15}};

static inline void world_init(struct world *world)
{
    *world = (struct world){0};
    policy_set_defaults(&world->policies);
}

static inline struct event world_event(struct world *world, enum event_kind kind, int64_t time_ms)
{
    char *id = world->event_ids[world->serial];
    assert_in_range(world->serial, 0, 511);
    snprintf(id, sizeof(world->event_ids[0]), "e%d", world->serial++);
    return (struct event){.kind = kind,
                          .who = ADA,
                          .event_id = str_of(id),
                          .time_ms = time_ms,
                          .offset = world->offset,
                          .message_id = STR("m1"),
                          .status = STR_NULL,
                          .rule = STR_NULL,
                          .retry_of = STR_NULL};
}

/* Feeds the event as it is. */
static inline void world_feed(struct world *world, const struct event *event)
{
    struct recipient *next =
        world->state == &world->states[0] ? &world->states[1] : &world->states[0];
    if (event->time_ms > world->stream_time_ms)
        world->stream_time_ms = event->time_ms;
    if (event->offset >= world->offset)
        world->offset = event->offset + 1;
    recipient_step(&world->policies, world->state, event, world->stream_time_ms, next,
                   &world->effects);
    switch (world->effects.change) {
    case STATE_PUT:
        world->state = next;
        break;
    case STATE_DELETE:
        world->state = NULL;
        break;
    case STATE_UNCHANGED:
        break;
    }
}

static inline struct event world_bounce_event(struct world *world, enum bounce_class bounce_class,
                                              enum reason reason, int64_t time_ms)
{
    struct event event = world_event(world, EVENT_BOUNCE, time_ms);
    event.bounce_class = bounce_class;
    event.reason = reason;
    event.status = STR("4.2.1");
    event.rule = STR("code.4.2.1");
    return event;
}

static inline void soft(struct world *world, int64_t time_ms)
{
    struct event event = world_bounce_event(world, CLASS_SOFT, REASON_MAILBOX_DISABLED, time_ms);
    world_feed(world, &event);
}

static inline void soft_of(struct world *world, const char *message_id, int64_t time_ms)
{
    struct event event = world_bounce_event(world, CLASS_SOFT, REASON_MAILBOX_DISABLED, time_ms);
    event.message_id = str_of(message_id);
    world_feed(world, &event);
}

static inline void hard(struct world *world, int64_t time_ms)
{
    struct event event = world_bounce_event(world, CLASS_HARD, REASON_USER_UNKNOWN, time_ms);
    event.status = STR("5.1.1");
    world_feed(world, &event);
}

static inline void transient(struct world *world, int32_t message_attempt, int64_t time_ms)
{
    struct event event = world_bounce_event(world, CLASS_TRANSIENT, REASON_NETWORK, time_ms);
    event.message_attempt = message_attempt;
    world_feed(world, &event);
}

static inline void other_class(struct world *world, enum bounce_class bounce_class, int64_t time_ms)
{
    struct event event = world_bounce_event(world, bounce_class, REASON_OTHER, time_ms);
    world_feed(world, &event);
}

static inline void deliver(struct world *world, int64_t time_ms)
{
    struct event event = world_event(world, EVENT_DELIVERY, time_ms);
    world_feed(world, &event);
}

static inline void override(struct world *world, enum override_action action, int64_t time_ms)
{
    struct event event = world_event(world, EVENT_OVERRIDE, time_ms);
    event.action = action;
    event.message_id = STR_NULL;
    world_feed(world, &event);
}

/* The command of a kind among the last effects, or NULL. */
static inline const struct retry_command *command(const struct world *world,
                                                  enum command_action action)
{
    for (int i = 0; i < world->effects.command_count; i++)
        if (world->effects.commands[i].action == action)
            return &world->effects.commands[i];
    return NULL;
}

static inline const struct recipient_notice *notice(const struct world *world,
                                                    enum notice_kind kind)
{
    for (int i = 0; i < world->effects.notice_count; i++)
        if (world->effects.notices[i].kind == kind)
            return &world->effects.notices[i];
    return NULL;
}

static inline const struct suppression_event *suppression(const struct world *world)
{
    return world->effects.suppression_count ? &world->effects.suppressions[0] : NULL;
}

static inline int output_count(const struct world *world)
{
    return world->effects.notice_count + world->effects.suppression_count +
           world->effects.command_count;
}

static inline void assert_str(struct str actual, const char *expected)
{
    if (!str_equal(actual, str_of(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(actual), expected ? expected : "(null)");
}

/* Up to the nth attempt: n answers exactly when due, of one message. */
static inline void suspend_until_attempt(struct world *world, int32_t attempt, int64_t time_ms)
{
    soft(world, time_ms);
    while (world->state->attempt < attempt)
        soft(world, world->state->due_at_ms);
}
