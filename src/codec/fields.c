#include "codec/fields.h"

#include <stddef.h>

const char *const record_kind_names[RECORD_KIND_COUNT] = {
#define X(constant, string) [constant] = string,
    RECORD_KINDS(X)
#undef X
};

/* UNKNOWN comes first in the schema and is no value here, or is value 0 ("") here as well, or is
 * not. */
static const struct enum_spec override_actions = {.names = override_action_names,
                                                  .shift = 1,
                                                  .symbol_count = OVERRIDE_ACTION_COUNT + 1,
                                                  .symbol_min = 1,
                                                  .unknown_allowed = true};
static const struct enum_spec command_actions = {.names = command_action_names,
                                                 .shift = 1,
                                                 .symbol_count = COMMAND_ACTION_COUNT + 1,
                                                 .symbol_min = 1};
static const struct enum_spec suppression_actions = {.names = suppression_action_names,
                                                     .shift = 1,
                                                     .symbol_count = SUPPRESSION_ACTION_COUNT + 1,
                                                     .symbol_min = 1};
static const struct enum_spec notice_kinds = {
    .names = notice_kind_names, .shift = 1, .symbol_count = NOTICE_KIND_COUNT + 1, .symbol_min = 1};
static const struct enum_spec recipient_statuses = {.names = recipient_status_names,
                                                    .shift = 1,
                                                    .symbol_count = RECIPIENT_STATUS_COUNT + 1,
                                                    .symbol_min = 1};
static const struct enum_spec suppression_reasons = {
    .names = suppression_reason_names, .symbol_count = SUPPRESSION_REASON_COUNT, .symbol_min = 1};
static const struct enum_spec suppressed_bys = {
    .names = suppression_reason_names, .symbol_count = SUPPRESSION_DELIVERED, .symbol_min = 1};
static const struct enum_spec reasons = {.names = reason_names, .symbol_count = REASON_COUNT};
static const struct enum_spec frequencies = {.names = frequency_names,
                                             .symbol_count = FREQUENCY_COUNT};

/* Offset of a member; does not compile unless the member has the type given. */
#define MEMBER(owner, member, type)                                                                \
    (uint16_t)(offsetof(owner, member) +                                                           \
               0 * sizeof(char[_Generic(((owner *)0)->member, type : 1, default                    \
                                        : -1)]))

#define TEXT(field, owner, member)                                                                 \
    {                                                                                              \
        .name = field, .target = TARGET_STR, .offset = MEMBER(owner, member, struct str)           \
    }
#define OPTIONAL_TEXT(field, owner, member)                                                        \
    {                                                                                              \
        .name = field, .target = TARGET_STR, .nullable = true,                                     \
        .offset = MEMBER(owner, member, struct str)                                                \
    }
#define UUID(field, owner, member)                                                                 \
    {                                                                                              \
        .name = field, .target = TARGET_UUID, .offset = MEMBER(owner, member, struct uuid_text)    \
    }
#define INT(field, owner, member)                                                                  \
    {                                                                                              \
        .name = field, .target = TARGET_INT, .offset = MEMBER(owner, member, int32_t)              \
    }
#define OPTIONAL_INT(field, owner, member)                                                         \
    {                                                                                              \
        .name = field, .target = TARGET_INT, .nullable = true,                                     \
        .offset = MEMBER(owner, member, int32_t)                                                   \
    }
#define LONG(field, owner, member)                                                                 \
    {                                                                                              \
        .name = field, .target = TARGET_LONG, .offset = MEMBER(owner, member, int64_t)             \
    }
#define OPTIONAL_TIME(field, owner, member)                                                        \
    {                                                                                              \
        .name = field, .target = TARGET_LONG, .nullable = true,                                    \
        .offset = MEMBER(owner, member, int64_t)                                                   \
    }
#define ENUM(field, owner, member, type, list)                                                     \
    {                                                                                              \
        .name = field, .target = TARGET_ENUM, .offset = MEMBER(owner, member, type),               \
        .enumeration = &(list)                                                                     \
    }
#define OPTIONAL_ENUM(field, owner, member, type, list, presence)                                  \
    {                                                                                              \
        .name = field, .target = TARGET_ENUM, .nullable = true,                                    \
        .offset = MEMBER(owner, member, type), .companion = (presence), .enumeration = &(list)     \
    }
#define LONGS(field, owner, member, type, count)                                                   \
    {                                                                                              \
        .name = field, .target = TARGET_LONGS, .offset = MEMBER(owner, member[0], type),           \
        .companion = MEMBER(owner, count, int)                                                     \
    }
#define MAP(field, owner, member)                                                                  \
    {                                                                                              \
        .name = field, .target = TARGET_MAP, .offset = MEMBER(owner, member, struct str)           \
    }

static const struct field_spec bounce_fields[] = {
    TEXT("event_id", struct input_record, event_id),
    TEXT("tenant", struct input_record, tenant),
    TEXT("recipient", struct input_record, recipient),
    TEXT("message_id", struct input_record, message_id),
    LONG("occurred_at", struct input_record, occurred_at_ms),
    OPTIONAL_TEXT("status", struct input_record, status),
    OPTIONAL_INT("reply_code", struct input_record, reply_code),
    OPTIONAL_TEXT("diagnostic", struct input_record, diagnostic),
    OPTIONAL_TEXT("remote_mta", struct input_record, remote_mta),
    OPTIONAL_TEXT("stage", struct input_record, stage),
    OPTIONAL_TEXT("retry_of", struct input_record, retry_of),
    INT("message_attempt", struct input_record, message_attempt),
    TEXT("source", struct input_record, source),
    MAP("attributes", struct input_record, attributes),
};

static const struct field_spec delivery_fields[] = {
    TEXT("event_id", struct input_record, event_id),
    TEXT("tenant", struct input_record, tenant),
    TEXT("recipient", struct input_record, recipient),
    TEXT("message_id", struct input_record, message_id),
    LONG("occurred_at", struct input_record, occurred_at_ms),
    OPTIONAL_TEXT("retry_of", struct input_record, retry_of),
    TEXT("source", struct input_record, source),
};

static const struct field_spec override_fields[] = {
    TEXT("event_id", struct input_record, event_id),
    TEXT("tenant", struct input_record, tenant),
    TEXT("recipient", struct input_record, recipient),
    LONG("occurred_at", struct input_record, occurred_at_ms),
    ENUM("action", struct input_record, action, int, override_actions),
    OPTIONAL_TEXT("reason", struct input_record, reason),
    OPTIONAL_TEXT("actor", struct input_record, actor),
};

static const struct field_spec command_fields[] = {
    UUID("command_id", struct retry_command, command_id),
    ENUM("action", struct retry_command, action, enum command_action, command_actions),
    TEXT("tenant", struct retry_command, who.tenant),
    TEXT("recipient", struct retry_command, who.recipient),
    OPTIONAL_TEXT("message_id", struct retry_command, message_id),
    INT("episode", struct retry_command, episode),
    INT("attempt", struct retry_command, attempt),
    INT("max_attempts", struct retry_command, max_attempts),
    INT("message_attempt", struct retry_command, message_attempt),
    LONG("due_at", struct retry_command, due_at_ms),
    LONG("issued_at", struct retry_command, issued_at_ms),
    OPTIONAL_TEXT("status", struct retry_command, status),
    ENUM("reason", struct retry_command, reason, enum reason, reasons),
    INT("source_partition", struct retry_command, source_partition),
    LONG("source_offset", struct retry_command, source_offset),
};

static const struct field_spec suppression_fields[] = {
    UUID("suppression_id", struct suppression_event, suppression_id),
    ENUM("action", struct suppression_event, action, enum suppression_action, suppression_actions),
    TEXT("tenant", struct suppression_event, who.tenant),
    TEXT("recipient", struct suppression_event, who.recipient),
    ENUM("reason", struct suppression_event, reason, enum suppression_reason, suppression_reasons),
    OPTIONAL_TEXT("status", struct suppression_event, status),
    OPTIONAL_TEXT("rule", struct suppression_event, rule),
    INT("attempts", struct suppression_event, attempts),
    INT("episode", struct suppression_event, episode),
    OPTIONAL_TIME("first_bounced_at", struct suppression_event, first_bounced_at_ms),
    OPTIONAL_TIME("last_bounced_at", struct suppression_event, last_bounced_at_ms),
    LONG("occurred_at", struct suppression_event, occurred_at_ms),
    INT("source_partition", struct suppression_event, source_partition),
    LONG("source_offset", struct suppression_event, source_offset),
};

static const struct field_spec notice_fields[] = {
    UUID("notice_id", struct recipient_notice, notice_id),
    ENUM("kind", struct recipient_notice, kind, enum notice_kind, notice_kinds),
    TEXT("tenant", struct recipient_notice, who.tenant),
    TEXT("recipient", struct recipient_notice, who.recipient),
    INT("episode", struct recipient_notice, episode),
    INT("attempt", struct recipient_notice, attempt),
    ENUM("frequency", struct recipient_notice, frequency, enum frequency, frequencies),
    LONG("occurred_at", struct recipient_notice, occurred_at_ms),
    INT("source_partition", struct recipient_notice, source_partition),
    LONG("source_offset", struct recipient_notice, source_offset),
};

static const struct field_spec recipient_fields[] = {
    TEXT("tenant", struct recipient, who.tenant),
    TEXT("recipient", struct recipient, who.recipient),
    ENUM("status", struct recipient, status, enum recipient_status, recipient_statuses),
    OPTIONAL_ENUM("suppressed_by", struct recipient, suppressed_by, enum suppression_reason,
                  suppressed_bys, 0),
    OPTIONAL_ENUM("reason", struct recipient, reason, enum reason, reasons,
                  MEMBER(struct recipient, in_episode, bool)),
    OPTIONAL_TEXT("policy", struct recipient, policy),
    INT("attempt", struct recipient, attempt),
    INT("episode", struct recipient, episode),
    OPTIONAL_TIME("episode_opened_at", struct recipient, episode_opened_at_ms),
    OPTIONAL_TIME("due_at", struct recipient, due_at_ms),
    OPTIONAL_TIME("last_bounce_at", struct recipient, last_bounce_at_ms),
    OPTIONAL_TIME("last_delivery_at", struct recipient, last_delivery_at_ms),
    OPTIONAL_TIME("reinstated_at", struct recipient, reinstated_at_ms),
    LONG("last_event_at", struct recipient, last_event_at_ms),
    OPTIONAL_TEXT("last_status", struct recipient, last_status),
    OPTIONAL_TEXT("last_rule", struct recipient, last_rule),
    LONG("soft", struct recipient, soft),
    LONG("hard", struct recipient, hard),
    LONG("transient", struct recipient, transient),
    LONG("policy_bounces", struct recipient, policy_bounces),
    LONG("unknown", struct recipient, unknown),
    LONG("deliveries", struct recipient, deliveries),
    LONG("overrides", struct recipient, overrides),
    LONG("suppressions", struct recipient, suppressions),
    LONGS("openings", struct recipient, openings_ms, int64_t, opening_count),
    LONGS("recent_events", struct recipient, recent_events, uint64_t, recent_event_count),
    LONGS("recent_commands", struct recipient, recent_commands, uint64_t, recent_command_count),
    ENUM("frequency", struct recipient, frequency, enum frequency, frequencies),
    LONG("source_offset", struct recipient, source_offset),
};

#define RECORD(list, type)                                                                         \
    {                                                                                              \
        .fields = (list), .field_count = sizeof(list) / sizeof(*(list)), .size = sizeof(type)      \
    }

const struct record_spec record_specs[RECORD_KIND_COUNT] = {
    [RECORD_BOUNCE] = RECORD(bounce_fields, struct input_record),
    [RECORD_DELIVERY] = RECORD(delivery_fields, struct input_record),
    [RECORD_OVERRIDE] = RECORD(override_fields, struct input_record),
    [RECORD_RETRY_COMMAND] = RECORD(command_fields, struct retry_command),
    [RECORD_SUPPRESSION_EVENT] = RECORD(suppression_fields, struct suppression_event),
    [RECORD_RECIPIENT_NOTICE] = RECORD(notice_fields, struct recipient_notice),
    [RECORD_RECIPIENT_STATE] = RECORD(recipient_fields, struct recipient),
};
