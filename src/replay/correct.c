#include "replay/correct.h"

#include <stdio.h>

#include "base/hash.h"
#include "domain/address.h"
#include "domain/id.h"

#define CAUSE_MAX 64

/* One recipient in hand. */
struct work {
    const struct correction *correction;
    const struct difference *difference;
    const struct port_message *standing;
    int standing_count;
    char key_text[RECORD_KEY_MAX];
    struct str key;
    char cause_text[CAUSE_MAX]; /* stands for the event id that ids are made of (semantics §7) */
    struct str cause;
};

static const struct recipient nobody = {
    .status = STATUS_ACTIVE,
    .episode_opened_at_ms = TIME_NULL,
    .due_at_ms = TIME_NULL,
    .last_bounce_at_ms = TIME_NULL,
};

static enum rcode send_to(const struct work *work, enum topic topic, struct err *err)
{
    const struct correction *correction = work->correction;
    struct port_message message = {
        .topic = topic,
        .partition = hash_partition(work->key, correction->partition_counts[topic]),
        .key = work->key,
        .value = buf_view(correction->value)};
    return correction->send(correction->context, &message, err);
}

/* The value that shall stand in the recipients topic; null: nothing. */
static struct str wanted_value(const struct difference *difference)
{
    return difference->wanted ? difference->wanted_value : STR_NULL;
}

static enum rcode send_state(const struct work *work, struct err *err)
{
    const struct difference *difference = work->difference;
    const struct correction *correction = work->correction;
    char offset[24];
    const struct recipient *live = difference->stored_live;
    int len = snprintf(offset, sizeof(offset), "%lld", live ? (long long)live->source_offset : 0);
    struct port_header header = {STR("source_offset"), {offset, (size_t)len}};
    struct port_message message = {.topic = TOPIC_RECIPIENTS,
                                   .partition = correction->partition,
                                   .key = work->key,
                                   .value = wanted_value(difference)};
    if (!message.value.data) {
        message.headers = &header;
        message.header_count = 1;
    }
    return correction->send(correction->context, &message, err);
}

/* --- suppression --- */

static const struct port_message *standing_suppression(const struct work *work,
                                                       enum suppression_action action,
                                                       struct suppression_event *ret_event)
{
    struct err ignored;
    for (int i = 0; i < work->standing_count; i++)
        if (work->standing[i].topic == TOPIC_SUPPRESSIONS &&
            codec_decode_suppression(work->correction->codec, work->standing[i].value, ret_event,
                                     &ignored) == OK &&
            ret_event->action == action)
            return &work->standing[i];
    return NULL;
}

/* The replay never had the recipient suppressed, so it has no event that takes it back. */
static enum rcode send_reinstate(const struct work *work, const struct recipient *live,
                                 const struct recipient *wanted, struct err *err)
{
    const struct correction *correction = work->correction;
    struct suppression_event event = {.suppression_id =
                                          id_output("reinstate", work->difference->who,
                                                    wanted->episode, live->attempt, work->cause),
                                      .action = SUPPRESSION_REINSTATE,
                                      .who = work->difference->who,
                                      .reason = SUPPRESSION_MANUAL,
                                      .attempts = live->attempt,
                                      .episode = wanted->episode,
                                      .first_bounced_at_ms = TIME_NULL,
                                      .last_bounced_at_ms = wanted->last_bounce_at_ms,
                                      .occurred_at_ms = correction->stream_time_ms,
                                      .source_partition = correction->partition,
                                      .source_offset = live->source_offset};
    buf_clear(correction->value);
    codec_encode_suppression(correction->codec, &event, correction->value);
    return send_to(work, TOPIC_SUPPRESSIONS, err);
}

static enum rcode correct_suppression(const struct work *work, const struct recipient *live,
                                      const struct recipient *wanted, struct err *err)
{
    const struct correction *correction = work->correction;
    bool was = live->status == STATUS_SUPPRESSED, is = wanted->status == STATUS_SUPPRESSED;
    struct suppression_event event;
    if (was == is)
        return OK;
    const struct port_message *message =
        standing_suppression(work, is ? SUPPRESSION_SUPPRESS : SUPPRESSION_REINSTATE, &event);
    if (message)
        return correction->send(correction->context, message, err);
    if (is)
        return err_set(err, E_BUG, "partition %d: the replay has suppressed %.*s without an event",
                       correction->partition, STR_ARG(work->key));
    return send_reinstate(work, live, wanted, err);
}

/* --- commands --- */

static bool same_schedule(const struct recipient *live, const struct recipient *wanted)
{
    return live->status == wanted->status && live->episode == wanted->episode &&
           live->attempt == wanted->attempt && live->due_at_ms == wanted->due_at_ms &&
           live->episode_opened_at_ms == wanted->episode_opened_at_ms &&
           live->recent_command_count == wanted->recent_command_count &&
           memcmp(live->recent_commands, wanted->recent_commands,
                  (size_t)live->recent_command_count * sizeof(live->recent_commands[0])) == 0;
}

static enum rcode send_cancel(const struct work *work, const struct recipient *live,
                              const struct recipient *wanted, struct err *err)
{
    const struct correction *correction = work->correction;
    struct retry_command command = {
        .command_id =
            id_output("cancel", work->difference->who, wanted->episode, live->attempt, work->cause),
        .action = COMMAND_CANCEL,
        .who = work->difference->who,
        .episode = wanted->episode,
        .attempt = live->attempt,
        .max_attempts = policy_by_name(correction->policies, live->policy)->max_attempts,
        .due_at_ms = correction->stream_time_ms,
        .issued_at_ms = correction->stream_time_ms,
        .reason = live->in_episode ? live->reason : REASON_OTHER,
        .source_partition = correction->partition,
        .source_offset = live->source_offset};
    buf_clear(correction->value);
    codec_encode_command(correction->codec, &command, correction->value);
    return send_to(work, TOPIC_DELAYED, err);
}

static bool was_sent(const struct recipient *live, const struct retry_command *command)
{
    struct str id = uuid_str(&command->command_id);
    uint64_t hash = hash_xxh3(id.data, id.len);
    for (int i = 0; i < live->recent_command_count; i++)
        if (live->recent_commands[i] == hash)
            return true;
    return false;
}

/* What is due already has left where it was sent. It is sent late where the recipient waits for
 * just that and it never was. */
static bool is_over(const struct work *work, const struct recipient *live,
                    const struct recipient *wanted, const struct retry_command *command)
{
    bool waited_for = wanted->status == STATUS_SUSPENDED && command->episode == wanted->episode &&
                      command->attempt == wanted->attempt;
    return command->due_at_ms <= work->correction->now_ms &&
           !(waited_for && !was_sent(live, command));
}

static enum rcode correct_commands(const struct work *work, const struct recipient *live,
                                   const struct recipient *wanted, struct err *err)
{
    const struct correction *correction = work->correction;
    if (same_schedule(live, wanted))
        return OK;
    /* Something may pend from a life before this one. */
    enum rcode rc = send_cancel(work, live, wanted, err);
    for (int i = 0; rc == OK && i < work->standing_count; i++) {
        struct retry_command command;
        if (work->standing[i].topic != TOPIC_DELAYED)
            continue;
        rc = codec_decode_command(correction->codec, work->standing[i].value, &command, err);
        if (rc == OK && !is_over(work, live, wanted, &command))
            rc = correction->send(correction->context, &work->standing[i], err);
    }
    return rc;
}

/* --- all --- */

enum rcode correct_recipient(const struct correction *correction,
                             const struct difference *difference,
                             const struct port_message *standing, int standing_count,
                             struct err *err)
{
    struct work work = {.correction = correction,
                        .difference = difference,
                        .standing = standing,
                        .standing_count = standing_count};
    const struct recipient *live = difference->live ? difference->live : &nobody;
    const struct recipient *wanted = difference->wanted ? difference->wanted : &nobody;
    work.key = (struct str){work.key_text, identity_key(difference->who, work.key_text)};
    int len = snprintf(work.cause_text, sizeof(work.cause_text), "replay-%d-%lld",
                       correction->partition, (long long)live->source_offset);
    work.cause = (struct str){work.cause_text, (size_t)len};
    enum rcode rc = correct_suppression(&work, live, wanted, err);
    if (rc == OK)
        rc = correct_commands(&work, live, wanted, err);
    return rc == OK ? send_state(&work, err) : rc;
}

void correct_account(const struct difference *difference, uint64_t *inout_entries,
                     uint64_t *inout_digest)
{
    char key_text[RECORD_KEY_MAX];
    struct str key = {key_text, identity_key(difference->who, key_text)};
    struct str before = difference->live_value, after = wanted_value(difference);
    if (before.data) {
        *inout_digest ^= hash_record(key, before);
        *inout_entries -= 1;
    }
    if (after.data) {
        *inout_digest ^= hash_record(key, after);
        *inout_entries += 1;
    }
}
