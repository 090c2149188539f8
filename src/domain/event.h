/*
 * One input event, decoded, validated, classified and rightly routed: what the recipient step
 * function takes. All spans belong to the caller and must live as long as the outputs made from the
 * event.
 */
#pragma once
#include "domain/types.h"

enum event_kind { EVENT_BOUNCE, EVENT_DELIVERY, EVENT_OVERRIDE };

struct event {
    enum event_kind kind;
    struct identity who;
    struct str event_id; /* lower case, not empty */
    int64_t time_ms;   /* event time ("now"): occurred_at, or the broker's timestamp if that is too
                          far ahead */
    int32_t partition; /* of the input topic */
    int64_t offset;
    struct str message_id; /* bounce and delivery; may be empty */
    struct str retry_of;   /* bounce and delivery; lower case; null if it answers no command */
    /* bounce */
    int32_t message_attempt;        /* >= 0 */
    struct str status;              /* enhanced status code as received; null if absent */
    enum bounce_class bounce_class; /* after unknown.as */
    enum reason reason;
    struct str rule; /* id of the rule that decided; null only in tests */
    /* override */
    enum override_action action;
};
