/*
 * Who bounces when, how the mailboxes answer a retry, and how it must all end. A retry is nowhere
 * in the script: it happens because the worker asked for it, at the time it asked for. The story
 * plays the sender and, with time in its hand, the dispatcher.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/demo.h"
#include "domain/id.h"

#define MINUTE_MS (60LL * 1000)
#define DAY_MS (24 * 60 * MINUTE_MS)
#define DAY_0_MS 1767571200000LL /* 2026-01-05T00:00:00Z */
#define AT(day, hour, minute) (DAY_0_MS + (day)*DAY_MS + ((hour)*60 + (minute)) * MINUTE_MS)
#define END_MS AT(13, 12, 0)
#define EVER 1000 /* more attempts than there can be */

/* --- the cast --- */

struct bounce_text {
    const char *status;
    int32_t reply_code;
    const char *diagnostic;
    const char *remote_mta;
};

static const struct bounce_text disabled = {
    "4.2.1", 450, "450 4.2.1 Mailbox temporarily disabled, not accepting messages",
    "mx1.example.org"};
static const struct bounce_text no_such_user = {
    "5.1.1", 550, "550 5.1.1 <carla@example.com>: no such user here", "mx.example.com"};
static const struct bounce_text rate = {
    "4.2.1", 450,
    "450-4.2.1 The user you are trying to contact is receiving mail at a rate that\n"
    "450-4.2.1 prevents additional messages from being delivered.\n"
    "450 4.2.1 https://support.google.com/mail/?p=ReceivingRate",
    "gmail-smtp-in.l.google.com"};

/* A mailbox bounces so many retries, then it takes mail. */
static const struct {
    const char *who;
    int retries_bounced;
} mailboxes[] = {{"ada@example.org", EVER}, {"bruno@example.net", 1}, {"dario@example.edu", 0}};

static const struct {
    int64_t at_ms;
    const char *who;
    const char *message;
    const struct bounce_text *text; /* NULL: poison */
    const char *what;
} script[] = {
    {AT(0, 9, 0), "ada@example.org", "a1", &disabled,
     "message a1 bounces: 450 4.2.1 Mailbox temporarily disabled"},
    {AT(0, 9, 5), "ada@example.org", "a1", &disabled, "the same record comes again"},
    {AT(0, 9, 30), "bruno@example.net", "b1", &disabled,
     "message b1 bounces: 450 4.2.1 Mailbox temporarily disabled"},
    {AT(0, 10, 0), "carla@example.com", "c1", &no_such_user,
     "message c1 bounces: 550 5.1.1 No such user here"},
    {AT(0, 11, 0), "dario@example.edu", "d1", &rate,
     "message d1 bounces: 450 4.2.1 receiving mail at a rate that ... (Gmail)"},
    {AT(0, 15, 0), "fosca@example.org", NULL, NULL, "a record that is JSON where Avro belongs"},
    {AT(12, 15, 0), "elena@example.org", "e1", &disabled,
     "message e1 bounces: 450 4.2.1 Mailbox temporarily disabled"},
    {AT(12, 15, 20), "elena@example.org", "e2", &disabled, "message e2 bounces too"},
    {AT(12, 16, 0), "elena@example.org", "e3", &disabled, "message e3 bounces too"},
};
enum { SCRIPT_COUNT = sizeof(script) / sizeof(script[0]) };

int demo_minutes(int64_t time_ms)
{
    return (int)((time_ms - DAY_0_MS) / MINUTE_MS);
}

void demo_time(int64_t time_ms, char ret_text[32])
{
    int minutes = time_ms == TIME_NULL ? 0 : demo_minutes(time_ms);
    if (time_ms == TIME_NULL)
        snprintf(ret_text, 32, "-");
    else
        snprintf(ret_text, 32, "day %d %02d:%02d", minutes / 1440, minutes / 60 % 24, minutes % 60);
}

/* --- telling --- */

void demo_story_init(struct demo_story *story, struct demo_world *world)
{
    *story = (struct demo_story){.world = world};
    buf_init(&story->what);
    buf_init(&story->value);
}

void demo_story_deinit(struct demo_story *story)
{
    mem_free(story->pending);
    buf_deinit(&story->what);
    buf_deinit(&story->value);
}

static void encode(struct demo_story *story, const struct input_record *facts,
                   const struct bounce_text *text, struct demo_event *ret_event)
{
    struct input_record record = *facts;
    record.kind = text ? RECORD_BOUNCE : RECORD_DELIVERY;
    record.tenant = STR("");
    record.source = STR("demo");
    if (text) {
        record.status = str_of(text->status);
        record.reply_code = text->reply_code;
        record.diagnostic = str_of(text->diagnostic);
        record.remote_mta = str_of(text->remote_mta);
        record.stage = STR("rcpt");
    }
    codec_encode_input(story->world->codec, &record, &story->value);
    *ret_event = (struct demo_event){
        .at_ms = record.occurred_at_ms, .key = record.recipient, .value = buf_view(&story->value)};
}

static void tell_scripted(struct demo_story *story, struct demo_event *ret_event)
{
    int index = story->told++;
    const char *message = script[index].message;
    if (message) {
        char event_id[64];
        snprintf(event_id, sizeof(event_id), "bounce-of-%s", message);
        struct input_record record = {.event_id = str_of(event_id),
                                      .recipient = str_of(script[index].who),
                                      .message_id = str_of(message),
                                      .occurred_at_ms = script[index].at_ms};
        /* The record that comes again is the same, octet for octet. */
        if (index && str_equal(str_of(script[index - 1].message), str_of(message)))
            record.occurred_at_ms = script[index - 1].at_ms;
        encode(story, &record, script[index].text, ret_event);
    } else {
        buf_printf(&story->value, "{\"recipient\": \"%s\", \"status\": \"4.2.1\"}",
                   script[index].who);
        *ret_event =
            (struct demo_event){.key = str_of(script[index].who), .value = buf_view(&story->value)};
    }
    ret_event->at_ms = script[index].at_ms;
    ret_event->who = script[index].who;
    ret_event->what = script[index].what;
}

/* The message goes out again when its command says so, and the mailbox answers. */
static void tell_answer(struct demo_story *story, const struct retry_command *command,
                        struct demo_event *ret_event)
{
    const char *who = NULL;
    int retries_bounced = 0;
    for (size_t i = 0; i < sizeof(mailboxes) / sizeof(mailboxes[0]); i++)
        if (str_equal(str_of(mailboxes[i].who), command->who.recipient)) {
            who = mailboxes[i].who;
            retries_bounced = mailboxes[i].retries_bounced;
        }
    assert(who); /* everybody else's retries lie beyond the end */
    bool bounces = command->attempt > 0 && command->attempt <= retries_bounced;
    char event_id[64];
    snprintf(event_id, sizeof(event_id), "answer-%.*s-%d-%d", STR_ARG(command->message_id),
             command->attempt, command->message_attempt);
    struct input_record record = {.event_id = str_of(event_id),
                                  .recipient = command->who.recipient,
                                  .message_id = command->message_id,
                                  .occurred_at_ms = command->due_at_ms,
                                  .retry_of = uuid_str(&command->command_id),
                                  .message_attempt = command->message_attempt};
    encode(story, &record, bounces ? &disabled : NULL, ret_event);
    ret_event->who = who;
    if (command->attempt)
        buf_printf(&story->what, "message %.*s again, retry %d: %s%c", STR_ARG(command->message_id),
                   command->attempt, bounces ? "still 4.2.1" : "delivered", 0);
    else
        buf_printf(&story->what, "message %.*s again: %s%c", STR_ARG(command->message_id),
                   bounces ? "still 4.2.1" : "delivered", 0);
    ret_event->what = story->what.data;
}

bool demo_story_next(struct demo_story *story, struct demo_event *ret_event)
{
    int first = -1;
    for (int i = 0; i < story->pending_count; i++)
        if (first < 0 || story->pending[i].due_at_ms < story->pending[first].due_at_ms)
            first = i;
    int64_t scripted_ms = story->told < SCRIPT_COUNT ? script[story->told].at_ms : END_MS;
    int64_t due_ms = first >= 0 ? story->pending[first].due_at_ms : END_MS;
    buf_clear(&story->what);
    buf_clear(&story->value);
    if (scripted_ms >= END_MS && due_ms >= END_MS)
        return false;
    if (scripted_ms <= due_ms) {
        tell_scripted(story, ret_event);
        return true;
    }
    struct retry_command command = story->pending[first];
    story->pending_count--;
    memmove(&story->pending[first], &story->pending[first + 1],
            (size_t)(story->pending_count - first) * sizeof(story->pending[0]));
    tell_answer(story, &command, ret_event);
    return true;
}

/* CANCEL drops, RELEASE frees at once everything that is pending for the recipient. */
static void settle(struct demo_story *story, const struct retry_command *by)
{
    int kept = 0;
    for (int i = 0; i < story->pending_count; i++) {
        struct retry_command command = story->pending[i];
        bool concerned = str_compare(command.who.recipient, by->who.recipient) == 0;
        if (concerned && by->action == COMMAND_CANCEL)
            continue;
        if (concerned)
            command.due_at_ms = by->issued_at_ms;
        story->pending[kept++] = command;
    }
    story->pending_count = kept;
}

void demo_story_observe(struct demo_story *story, int from)
{
    for (int i = from; i < story->world->output_count; i++) {
        const struct demo_output *output = &story->world->outputs[i];
        if (output->topic != TOPIC_DELAYED)
            continue;
        if (output->command.action != COMMAND_SCHEDULE) {
            settle(story, &output->command);
            continue;
        }
        story->pending = mem_realloc(story->pending, ((size_t)story->pending_count + 1) *
                                                         sizeof(story->pending[0]));
        story->pending[story->pending_count++] = output->command;
    }
}
