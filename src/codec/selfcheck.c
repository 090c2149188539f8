#include "codec/selfcheck.h"

#include "codec/codec.h"
#include "codec/reference.h"

#define WHO                                                                                        \
    {                                                                                              \
        STR("acme"), STR("ada@example.com")                                                        \
    }

static const struct input_record input = {.event_id = STR("e1"),
                                          .tenant = STR("acme"),
                                          .recipient = STR("ada@example.com"),
                                          .message_id = STR("m1"),
                                          .occurred_at_ms = 1700000000000,
                                          .retry_of = STR("r1"),
                                          .source = STR("check"),
                                          .status = STR("4.2.1"),
                                          .diagnostic = STR("disabled"),
                                          .reply_code = 450,
                                          .message_attempt = 2,
                                          .action = OVERRIDE_SUPPRESS,
                                          .reason = STR("why")};

static const struct retry_command command = {
    .command_id = {"10176b9e-de33-5f1f-b2c2-b866c6d1251e"},
    .action = COMMAND_SCHEDULE,
    .who = WHO,
    .message_id = STR("m1"),
    .episode = 1,
    .attempt = 2,
    .max_attempts = 4,
    .due_at_ms = 1700086400000,
    .issued_at_ms = 1700000000000,
    .reason = REASON_MAILBOX_DISABLED,
    .source_partition = 3,
    .source_offset = 1LL << 40,
};

static const struct suppression_event suppression = {
    .suppression_id = {"a5a43005-7979-5ad8-8252-c0f8b260f0e4"},
    .action = SUPPRESSION_SUPPRESS,
    .who = WHO,
    .reason = SUPPRESSION_HARD_BOUNCE,
    .status = STR("5.1.1"),
    .attempts = 1,
    .first_bounced_at_ms = TIME_NULL,
    .last_bounced_at_ms = 1700000000000,
    .occurred_at_ms = 1700000000000,
};

static const struct recipient_notice notice = {
    .notice_id = {"893743ee-e435-59b8-bd25-0f1358bc6702"},
    .kind = NOTICE_CONTACT_ALTERNATIVE,
    .who = WHO,
    .frequency = FREQUENCY_HALF,
    .occurred_at_ms = 1700000000000,
};

static const struct recipient state = {
    .who = WHO,
    .status = STATUS_SUSPENDED,
    .in_episode = true,
    .reason = REASON_MAILBOX_FULL,
    .policy = STR("default"),
    .attempt = 1,
    .episode = 1,
    .episode_opened_at_ms = 1700000000000,
    .due_at_ms = 1700086400000,
    .last_bounce_at_ms = 1700000000000,
    .last_delivery_at_ms = TIME_NULL,
    .reinstated_at_ms = TIME_NULL,
    .last_event_at_ms = 1700000000000,
    .last_rule = STR("code.4.2.2"),
    .soft = 1,
    .openings_ms = {1700000000000},
    .opening_count = 1,
    .recent_events = {0x8000000000000001, 2},
    .recent_event_count = 2,
    .source_offset = 77,
};

/* Encodes the kind's record with our writer; returns what was encoded. */
static const void *encode_one(struct codec *codec, enum record_kind kind,
                              struct input_record *scratch, struct buf *out)
{
    switch (kind) {
    case RECORD_BOUNCE:
    case RECORD_DELIVERY:
    case RECORD_OVERRIDE:
        *scratch = input;
        scratch->kind = kind;
        codec_encode_input(codec, scratch, out);
        return scratch;
    case RECORD_RETRY_COMMAND:
        codec_encode_command(codec, &command, out);
        return &command;
    case RECORD_SUPPRESSION_EVENT:
        codec_encode_suppression(codec, &suppression, out);
        return &suppression;
    case RECORD_RECIPIENT_NOTICE:
        codec_encode_notice(codec, &notice, out);
        return &notice;
    case RECORD_RECIPIENT_STATE:
        codec_encode_recipient(codec, &state, out);
        return &state;
    case RECORD_KIND_COUNT:
        break;
    }
    return NULL;
}

static enum rcode check_kind(struct codec *codec, enum record_kind kind, struct str schema,
                             struct err *err)
{
    struct reference *reference = NULL;
    struct input_record scratch;
    struct buf ours, theirs;
    buf_init(&ours);
    buf_init(&theirs);
    enum rcode rc = reference_new(schema, &reference, err);
    if (rc == OK) {
        const void *record = encode_one(codec, kind, &scratch, &ours);
        size_t frame = codec->heads[kind].size;
        struct str body = {ours.data + frame, ours.len - frame};
        reference_set(reference, kind, record);
        reference_write(reference, &theirs);
        if (!str_equal(body, buf_view(&theirs)))
            rc = err_set(err, E_BUG, "our octets of %s are not avro-c's", record_kind_names[kind]);
    }
    reference_free(reference);
    buf_deinit(&ours);
    buf_deinit(&theirs);
    return rc;
}

enum rcode codec_selfcheck(struct codec *codec, struct err *err)
{
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        enum rcode rc = check_kind(codec, (enum record_kind)kind,
                                   record_schema_text((enum record_kind)kind), err);
        if (rc != OK)
            return rc;
    }
    return OK;
}
