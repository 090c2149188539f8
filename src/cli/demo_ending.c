/* How the story of the demo must end, and whether it did. */
#include "base/arena.h"
#include "cli/demo.h"

/* One line for each record written, and for the last state of each recipient; in any order. */
static const char *const ending[] = {
    /* two whole days, three, and a week: the schedule of the source text, then it is over */
    "state ada@example.org SUPPRESSED ATTEMPTS_EXHAUSTED attempt 0 due - soft 5 hard 0 transient 0 "
    "delivered 0",
    "command ada@example.org SCHEDULE message a1 attempt 1 of 4 retry 0 due day 1 09:00 "
    "mailbox_disabled",
    "command ada@example.org SCHEDULE message a1 attempt 2 of 4 retry 0 due day 3 09:00 "
    "mailbox_disabled",
    "command ada@example.org SCHEDULE message a1 attempt 3 of 4 retry 0 due day 6 09:00 "
    "mailbox_disabled",
    "command ada@example.org SCHEDULE message a1 attempt 4 of 4 retry 0 due day 13 09:00 "
    "mailbox_disabled",
    "command ada@example.org CANCEL message - attempt 4 of 4 retry 0 due day 13 09:00 "
    "mailbox_disabled",
    "notice ada@example.org CONTACT_ALTERNATIVE attempt 2 NORMAL at day 3 09:00",
    "suppression ada@example.org SUPPRESS ATTEMPTS_EXHAUSTED attempts 4 at day 13 09:00",
    /* back after the second retry */
    "state bruno@example.net ACTIVE - attempt 0 due - soft 2 hard 0 transient 0 delivered 1",
    "command bruno@example.net SCHEDULE message b1 attempt 1 of 4 retry 0 due day 1 09:30 "
    "mailbox_disabled",
    "command bruno@example.net SCHEDULE message b1 attempt 2 of 4 retry 0 due day 3 09:30 "
    "mailbox_disabled",
    "command bruno@example.net RELEASE message - attempt 2 of 4 retry 0 due day 3 09:30 "
    "mailbox_disabled",
    /* never to be tried again */
    "state carla@example.com SUPPRESSED HARD_BOUNCE attempt 0 due - soft 0 hard 1 transient 0 "
    "delivered 0",
    "command carla@example.com CANCEL message - attempt 0 of 4 retry 0 due day 0 10:00 other",
    "suppression carla@example.com SUPPRESS HARD_BOUNCE attempts 0 at day 0 10:00",
    /* a rate limit is the sender's matter, whatever its code */
    "state dario@example.edu ACTIVE - attempt 0 due - soft 0 hard 0 transient 1 delivered 1",
    "command dario@example.edu SCHEDULE message d1 attempt 0 of 4 retry 1 due day 0 12:00 "
    "rate_limited",
    /* three messages, one failure */
    "state elena@example.org SUSPENDED mailbox_disabled attempt 1 due day 13 15:00 soft 3 hard 0 "
    "transient 0 delivered 0",
    "command elena@example.org SCHEDULE message e1 attempt 1 of 4 retry 0 due day 13 15:00 "
    "mailbox_disabled",
    "command elena@example.org SCHEDULE message e2 attempt 1 of 4 retry 0 due day 13 15:00 "
    "mailbox_disabled",
    "command elena@example.org SCHEDULE message e3 attempt 1 of 4 retry 0 due day 13 15:00 "
    "mailbox_disabled",
    /* kept, not lost */
    "dead letter fosca@example.org malformed",
    "duplicates 1",
};
enum { ENDING_COUNT = sizeof(ending) / sizeof(ending[0]) };

static struct str fact_of_state(struct arena *arena, const struct recipient *state)
{
    char due[32];
    demo_time(state->due_at_ms, due);
    const char *why = state->in_episode ? reason_names[state->reason]
                                        : suppression_reason_names[state->suppressed_by];
    return arena_printf(arena,
                        "state %.*s %s %s attempt %d due %s soft %lld hard %lld transient %lld "
                        "delivered %lld",
                        STR_ARG(state->who.recipient), recipient_status_names[state->status],
                        *why ? why : "-", state->attempt, due, (long long)state->soft,
                        (long long)state->hard, (long long)state->transient,
                        (long long)state->deliveries);
}

static struct str fact_of_command(struct arena *arena, const struct retry_command *command)
{
    char due[32];
    struct str message = command->message_id.data ? command->message_id : STR("-");
    demo_time(command->due_at_ms, due);
    return arena_printf(arena, "command %.*s %s message %.*s attempt %d of %d retry %d due %s %s",
                        STR_ARG(command->who.recipient), command_action_names[command->action],
                        STR_ARG(message), command->attempt, command->max_attempts,
                        command->message_attempt, due, reason_names[command->reason]);
}

static struct str fact_of_suppression(struct arena *arena, const struct suppression_event *event)
{
    char at[32];
    demo_time(event->occurred_at_ms, at);
    return arena_printf(arena, "suppression %.*s %s %s attempts %d at %s",
                        STR_ARG(event->who.recipient), suppression_action_names[event->action],
                        suppression_reason_names[event->reason], event->attempts, at);
}

static struct str fact_of_notice(struct arena *arena, const struct recipient_notice *notice)
{
    char at[32];
    demo_time(notice->occurred_at_ms, at);
    return arena_printf(arena, "notice %.*s %s attempt %d %s at %s", STR_ARG(notice->who.recipient),
                        notice_kind_names[notice->kind], notice->attempt,
                        frequency_names[notice->frequency], at);
}

/* One line for an output; null for a state that a later one replaced. */
static struct str fact_of(const struct demo_world *world, struct arena *arena, int index)
{
    const struct demo_output *output = &world->outputs[index];
    switch (output->topic) {
    case TOPIC_RECIPIENTS:
        return demo_is_last_state(world, index) ? fact_of_state(arena, &output->state) : STR_NULL;
    case TOPIC_DELAYED:
        return fact_of_command(arena, &output->command);
    case TOPIC_SUPPRESSIONS:
        return fact_of_suppression(arena, &output->suppression);
    case TOPIC_NOTICES:
        return fact_of_notice(arena, &output->notice);
    case TOPIC_DEAD_LETTERS:
        return arena_printf(arena, "dead letter %.*s %.*s", STR_ARG(output->key),
                            STR_ARG(output->dead_reason));
    case TOPIC_BOUNCES:
    case TOPIC_DUE:
    case TOPIC_COUNT:
        break;
    }
    return STR_NULL;
}

/* Strikes the fact off the ending; what the ending does not have is a difference. */
static int strike(struct str fact, bool struck[ENDING_COUNT], struct buf *out)
{
    for (int i = 0; i < ENDING_COUNT; i++)
        if (!struck[i] && str_equal(str_of(ending[i]), fact)) {
            struck[i] = true;
            return 0;
        }
    buf_printf(out, "  not expected: %.*s\n", STR_ARG(fact));
    return 1;
}

int demo_story_differences(const struct demo_story *story, struct buf *out)
{
    const struct demo_world *world = story->world;
    bool struck[ENDING_COUNT] = {false};
    struct arena arena;
    int count = 0;
    arena_init(&arena);
    for (int i = 0; i < world->output_count; i++) {
        struct str fact = fact_of(world, &arena, i);
        if (fact.data)
            count += strike(fact, struck, out);
    }
    count +=
        strike(arena_printf(&arena, "duplicates %lld", demo_world_duplicates(world)), struck, out);
    for (int i = 0; i < ENDING_COUNT; i++)
        if (!struck[i]) {
            buf_printf(out, "  missing: %s\n", ending[i]);
            count++;
        }
    arena_deinit(&arena);
    return count;
}

const struct recipient *demo_state(const struct demo_world *world, struct str who, int from)
{
    for (int i = from - 1; i >= 0; i--) {
        const struct demo_output *output = &world->outputs[i];
        if (output->topic == TOPIC_RECIPIENTS && str_compare(output->key, who) == 0)
            return &output->state;
    }
    return NULL;
}

bool demo_is_last_state(const struct demo_world *world, int index)
{
    const struct demo_output *output = &world->outputs[index];
    return output->topic == TOPIC_RECIPIENTS &&
           demo_state(world, output->key, world->output_count) == &output->state;
}
