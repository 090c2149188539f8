/*
 * Vocabulary of the domain: closed lists with their stable strings, identity, events, state,
 * effects. The lists are X-macros; their strings are what the Avro enums, the configuration, the
 * metrics and the reports show.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/str.h"

#define BOUNCE_CLASSES(X)                                                                          \
    X(CLASS_HARD, "HARD")           /* this address will never work: suppresses */                 \
    X(CLASS_SOFT, "SOFT")           /* the mailbox exists and refuses now: the schedule */         \
    X(CLASS_TRANSIENT, "TRANSIENT") /* infrastructure or rate: the message's own short retries */  \
    X(CLASS_POLICY, "POLICY")       /* content, authentication, reputation: counted only */        \
    X(CLASS_UNKNOWN, "UNKNOWN")     /* nothing matched */

#define REASONS(X)                                                                                 \
    X(REASON_MAILBOX_DISABLED, "mailbox_disabled")                                                 \
    X(REASON_MAILBOX_DISABLED_PERMANENT, "mailbox_disabled_permanent")                             \
    X(REASON_MAILBOX_FULL, "mailbox_full")                                                         \
    X(REASON_USER_UNKNOWN, "user_unknown")                                                         \
    X(REASON_DOMAIN_UNKNOWN, "domain_unknown")                                                     \
    X(REASON_NULL_MX, "null_mx")                                                                   \
    X(REASON_ADDRESS_SYNTAX, "address_syntax")                                                     \
    X(REASON_MOVED, "moved")                                                                       \
    X(REASON_RATE_LIMITED, "rate_limited")                                                         \
    X(REASON_CONNECT_REFUSED, "connect_refused")                                                   \
    X(REASON_NETWORK, "network")                                                                   \
    X(REASON_SYSTEM_FULL, "system_full")                                                           \
    X(REASON_MESSAGE_TOO_BIG, "message_too_big")                                                   \
    X(REASON_CONTENT, "content")                                                                   \
    X(REASON_POLICY, "policy")                                                                     \
    X(REASON_AUTHENTICATION, "authentication")                                                     \
    X(REASON_SENDER, "sender")                                                                     \
    X(REASON_EXPIRED, "expired")                                                                   \
    X(REASON_LOOP, "loop")                                                                         \
    X(REASON_OTHER, "other")

#define RECIPIENT_STATUSES(X)                                                                      \
    X(STATUS_ACTIVE, "ACTIVE")                                                                     \
    X(STATUS_SUSPENDED, "SUSPENDED")                                                               \
    X(STATUS_SUPPRESSED, "SUPPRESSED")

/* Why a recipient is suppressed, and the reason of a SuppressionEvent. DELIVERED is only the
 * latter. */
#define SUPPRESSION_REASONS(X)                                                                     \
    X(SUPPRESSION_NONE, "")                                                                        \
    X(SUPPRESSION_ATTEMPTS_EXHAUSTED, "ATTEMPTS_EXHAUSTED")                                        \
    X(SUPPRESSION_HARD_BOUNCE, "HARD_BOUNCE")                                                      \
    X(SUPPRESSION_MANUAL, "MANUAL")                                                                \
    X(SUPPRESSION_DELIVERED, "DELIVERED")

#define FREQUENCIES(X)                                                                             \
    X(FREQUENCY_NORMAL, "NORMAL")                                                                  \
    X(FREQUENCY_HALF, "HALF")                                                                      \
    X(FREQUENCY_QUARTER, "QUARTER")

#define OVERRIDE_ACTIONS(X)                                                                        \
    X(OVERRIDE_REINSTATE, "REINSTATE")                                                             \
    X(OVERRIDE_SUPPRESS, "SUPPRESS")                                                               \
    X(OVERRIDE_FORGET, "FORGET")

#define COMMAND_ACTIONS(X)                                                                         \
    X(COMMAND_SCHEDULE, "SCHEDULE")                                                                \
    X(COMMAND_CANCEL, "CANCEL")                                                                    \
    X(COMMAND_RELEASE, "RELEASE")

#define SUPPRESSION_ACTIONS(X)                                                                     \
    X(SUPPRESSION_SUPPRESS, "SUPPRESS")                                                            \
    X(SUPPRESSION_REINSTATE, "REINSTATE")

#define NOTICE_KINDS(X)                                                                            \
    X(NOTICE_CONTACT_ALTERNATIVE, "CONTACT_ALTERNATIVE")                                           \
    X(NOTICE_REDUCE_FREQUENCY, "REDUCE_FREQUENCY")

#define X(constant, string) constant,
enum bounce_class { BOUNCE_CLASSES(X) BOUNCE_CLASS_COUNT };
enum reason { REASONS(X) REASON_COUNT };
enum recipient_status { RECIPIENT_STATUSES(X) RECIPIENT_STATUS_COUNT };
enum suppression_reason { SUPPRESSION_REASONS(X) SUPPRESSION_REASON_COUNT };
enum frequency { FREQUENCIES(X) FREQUENCY_COUNT };
enum override_action { OVERRIDE_ACTIONS(X) OVERRIDE_ACTION_COUNT };
enum command_action { COMMAND_ACTIONS(X) COMMAND_ACTION_COUNT };
enum suppression_action { SUPPRESSION_ACTIONS(X) SUPPRESSION_ACTION_COUNT };
enum notice_kind { NOTICE_KINDS(X) NOTICE_KIND_COUNT };
#undef X

/* Strings of the lists above, indexed by constant. */
extern const char *const bounce_class_names[BOUNCE_CLASS_COUNT];
extern const char *const reason_names[REASON_COUNT];
extern const char *const recipient_status_names[RECIPIENT_STATUS_COUNT];
extern const char *const suppression_reason_names[SUPPRESSION_REASON_COUNT];
extern const char *const frequency_names[FREQUENCY_COUNT];
extern const char *const override_action_names[OVERRIDE_ACTION_COUNT];
extern const char *const command_action_names[COMMAND_ACTION_COUNT];
extern const char *const suppression_action_names[SUPPRESSION_ACTION_COUNT];
extern const char *const notice_kind_names[NOTICE_KIND_COUNT];

/* Index of `name` in `names[0..count)`, or -1. */
int name_index(const char *const *names, int count, struct str name);

/* "No time": the null of every nullable millisecond field. */
#define TIME_NULL INT64_MIN

/* A recipient's identity: both parts canonical (domain/address.h). */
struct identity {
    struct str tenant;    /* [a-z0-9._-]{0,64}; "" by default, never null */
    struct str recipient; /* local@domain */
};

#define UUID_TEXT_SIZE 36
struct uuid_text {
    char text[UUID_TEXT_SIZE]; /* lower case, not NUL-terminated */
};

static inline struct str uuid_str(const struct uuid_text *uuid)
{
    return (struct str){uuid->text, UUID_TEXT_SIZE};
}
