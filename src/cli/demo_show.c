/* How the demo is told: a timeline while it happens, tables when it is over, or JSON lines. */
#include "base/arena.h"
#include "cli/demo.h"
#include "kafka/property.h"

#define WHO_WIDTH 19
#define TEXT_COLUMN (9 + WHO_WIDTH)
#define ID_SHOWN 8 /* characters of an id */
#define DEAD_TEXT_SHOWN 64

#define PLAIN ""
#define BOLD "1"
#define RED "31"
#define GREEN "32"
#define YELLOW "33"

/* --- the timeline --- */

static void say(const struct demo_show *show, const char *colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const struct demo_show *show, const char *colour, const char *format, ...)
{
    va_list args;
    bool coloured = show->colours && *colour;
    va_start(args, format);
    if (coloured)
        fprintf(show->stream, "\033[%sm", colour);
    vfprintf(show->stream, format, args);
    if (coloured)
        fputs("\033[0m", show->stream);
    va_end(args);
}

static void indent(const struct demo_show *show)
{
    fprintf(show->stream, "%*s-> ", TEXT_COLUMN, "");
}

void demo_show_begin(struct demo_show *show)
{
    show->day = -1;
    say(show, BOLD, "rimbalzo demo");
    say(show, PLAIN,
        ": the real worker on a broker inside this process (librdkafka %s).\nDays pass in a "
        "moment; \"->\" is what the worker wrote to its topics.\n",
        kafka_version());
    fflush(show->stream);
}

static const char *colour_of(enum recipient_status status)
{
    switch (status) {
    case STATUS_ACTIVE:
        return GREEN;
    case STATUS_SUSPENDED:
        return YELLOW;
    case STATUS_SUPPRESSED:
    case RECIPIENT_STATUS_COUNT:
        break;
    }
    return RED;
}

/* `before`: the recipient's state before this event, or NULL. */
static void show_state(const struct demo_show *show, const struct demo_world *world,
                       const struct recipient *before, const struct recipient *state)
{
    indent(show);
    say(show, colour_of(state->status), "%s", recipient_status_names[state->status]);
    bool same = before && before->status == state->status && before->episode == state->episode;
    bool again = false;
    switch (state->status) {
    case STATUS_ACTIVE:
        if (state->transient > (before ? before->transient : 0))
            say(show, PLAIN, ": TRANSIENT, not held against the recipient");
        break;
    case STATUS_SUSPENDED:
        again = same && before->attempt == state->attempt;
        say(show, PLAIN, ", %s %d of %d%s", again ? "still attempt" : "attempt", state->attempt,
            policy_by_name(world->policies, state->policy)->max_attempts,
            again ? ": one window, one failure" : "");
        break;
    case STATUS_SUPPRESSED:
        say(show, PLAIN, ", %s", suppression_reason_names[state->suppressed_by]);
        break;
    case RECIPIENT_STATUS_COUNT:
        break;
    }
    long long bounces = state->soft + state->hard + state->transient;
    if (!again && (!before || bounces > before->soft + before->hard + before->transient))
        say(show, PLAIN, " (rule %.*s)", STR_ARG(state->last_rule));
    say(show, PLAIN, "\n");
}

static void delay(int64_t ms, char ret_text[32])
{
    int minutes = (int)(ms / 60000);
    if (minutes && minutes % (7 * 24 * 60) == 0)
        snprintf(ret_text, 32, "%d week", minutes / (7 * 24 * 60));
    else if (minutes % 60)
        snprintf(ret_text, 32, "%d h %d min", minutes / 60, minutes % 60);
    else
        snprintf(ret_text, 32, "%d h", minutes / 60);
}

static void show_command(const struct demo_show *show, const struct retry_command *command)
{
    char due[32];
    char wait[32];
    demo_time(command->due_at_ms, due);
    delay(command->due_at_ms - command->issued_at_ms, wait);
    indent(show);
    switch (command->action) {
    case COMMAND_SCHEDULE:
        say(show, PLAIN, "SCHEDULE message %.*s for %s, in %s\n", STR_ARG(command->message_id), due,
            wait);
        return;
    case COMMAND_CANCEL:
        say(show, PLAIN, "CANCEL every retry that is pending for this recipient\n");
        return;
    case COMMAND_RELEASE:
        say(show, PLAIN, "RELEASE everything that is pending for this recipient\n");
        return;
    case COMMAND_ACTION_COUNT:
        return;
    }
}

static const char *advice(enum notice_kind kind)
{
    switch (kind) {
    case NOTICE_CONTACT_ALTERNATIVE:
        return "reach them through another channel";
    case NOTICE_REDUCE_FREQUENCY:
        return "send to this recipient less often";
    case NOTICE_KIND_COUNT:
        break;
    }
    return "";
}

static void show_output(const struct demo_show *show, const struct demo_world *world, int index,
                        int from)
{
    const struct demo_output *output = &world->outputs[index];
    switch (output->topic) {
    case TOPIC_RECIPIENTS:
        show_state(show, world, demo_state(world, output->key, from), &output->state);
        return;
    case TOPIC_DELAYED:
        show_command(show, &output->command);
        return;
    case TOPIC_SUPPRESSIONS:
        indent(show);
        say(show, PLAIN, "%s event for every sender's list: %s\n",
            suppression_action_names[output->suppression.action],
            suppression_reason_names[output->suppression.reason]);
        return;
    case TOPIC_NOTICES:
        indent(show);
        say(show, PLAIN, "notice %s: %s\n", notice_kind_names[output->notice.kind],
            advice(output->notice.kind));
        return;
    case TOPIC_DEAD_LETTERS:
        indent(show);
        say(show, YELLOW, "dead letter");
        say(show, PLAIN, ", its octets kept: %.*s\n", STR_ARG(output->dead_reason));
        return;
    case TOPIC_BOUNCES:
    case TOPIC_DUE:
    case TOPIC_COUNT:
        return;
    }
}

void demo_show_event(struct demo_show *show, const struct demo_world *world,
                     const struct demo_event *event, int from)
{
    int minutes = demo_minutes(event->at_ms), day = minutes / 1440;
    if (day != show->day) {
        show->day = day;
        say(show, BOLD, "\nDay %d\n", day);
    }
    fprintf(show->stream, "  %02d:%02d  %-*s%s\n", minutes / 60 % 24, minutes % 60, WHO_WIDTH,
            event->who, event->what);
    for (int i = from; i < world->output_count; i++)
        show_output(show, world, i, from);
    if (from == world->output_count) {
        indent(show);
        say(show, PLAIN, "seen before: nothing changes, nothing is written\n");
    }
    fflush(show->stream);
}

/* --- tables --- */

static void table(const struct demo_show *show, struct output *output, const char *title,
                  const char *const *columns, int count)
{
    say(show, BOLD, "\n%s\n", title);
    output_begin(output, OUTPUT_TABLE, show->stream, columns, count);
}

static struct cell named(const char *name)
{
    return cell_text(*name ? str_of(name) : STR_NULL);
}

static struct cell short_id(const struct uuid_text *id)
{
    return cell_text((struct str){id->text, ID_SHOWN});
}

/* The last state of the first recipient, in the order of addresses, after `after`; or NULL. */
static const struct recipient *next_state(const struct demo_world *world, struct str after)
{
    const struct recipient *next = NULL;
    for (int i = 0; i < world->output_count; i++) {
        const struct recipient *state = &world->outputs[i].state;
        if (demo_is_last_state(world, i) && str_compare(state->who.recipient, after) > 0 &&
            (!next || str_compare(state->who.recipient, next->who.recipient) < 0))
            next = state;
    }
    return next;
}

static void count(struct buf *counters, int64_t number, const char *what)
{
    if (number)
        buf_printf(counters, "%s%lld %s", counters->len ? ", " : "", (long long)number, what);
}

static void states_table(const struct demo_show *show, const struct demo_world *world)
{
    static const char *const columns[] = {"recipient", "status", "why",
                                          "attempt",   "due",    "counted"};
    struct output output;
    struct buf counters;
    buf_init(&counters);
    table(show, &output, "Recipients", columns, 6);
    for (const struct recipient *state = next_state(world, STR("")); state;
         state = next_state(world, state->who.recipient)) {
        char due[32];
        demo_time(state->due_at_ms, due);
        buf_clear(&counters);
        count(&counters, state->soft, "soft");
        count(&counters, state->hard, "hard");
        count(&counters, state->transient, "transient");
        count(&counters, state->deliveries, "delivered");
        const char *why = state->in_episode ? reason_names[state->reason]
                                            : suppression_reason_names[state->suppressed_by];
        output_row(&output,
                   (const struct cell[]){cell_text(state->who.recipient),
                                         named(recipient_status_names[state->status]), named(why),
                                         cell_number(state->attempt), cell_text(str_of(due)),
                                         cell_text(buf_view(&counters))});
    }
    output_end(&output);
    buf_deinit(&counters);
}

static void commands_table(const struct demo_show *show, const struct demo_world *world)
{
    static const char *const columns[] = {"id",      "recipient", "action", "message",
                                          "attempt", "due",       "reason"};
    struct output output;
    table(show, &output, "Retry commands", columns, 7);
    for (int i = 0; i < world->output_count; i++) {
        char due[32], attempt[32];
        const struct retry_command *command = &world->outputs[i].command;
        if (world->outputs[i].topic != TOPIC_DELAYED)
            continue;
        demo_time(command->due_at_ms, due);
        snprintf(attempt, sizeof(attempt), "%d of %d", command->attempt, command->max_attempts);
        output_row(&output, (const struct cell[]){
                                short_id(&command->command_id), cell_text(command->who.recipient),
                                named(command_action_names[command->action]),
                                cell_text(command->message_id), cell_text(str_of(attempt)),
                                cell_text(str_of(due)), named(reason_names[command->reason])});
    }
    output_end(&output);
}

static void suppressions_table(const struct demo_show *show, const struct demo_world *world)
{
    static const char *const columns[] = {"id",     "recipient", "action", "reason",
                                          "status", "attempts",  "at"};
    struct output output;
    table(show, &output, "Suppressions", columns, 7);
    for (int i = 0; i < world->output_count; i++) {
        char at[32];
        const struct suppression_event *event = &world->outputs[i].suppression;
        if (world->outputs[i].topic != TOPIC_SUPPRESSIONS)
            continue;
        demo_time(event->occurred_at_ms, at);
        output_row(&output,
                   (const struct cell[]){
                       short_id(&event->suppression_id), cell_text(event->who.recipient),
                       named(suppression_action_names[event->action]),
                       named(suppression_reason_names[event->reason]), cell_text(event->status),
                       cell_number(event->attempts), cell_text(str_of(at))});
    }
    output_end(&output);
}

static void notices_table(const struct demo_show *show, const struct demo_world *world)
{
    static const char *const columns[] = {"id", "recipient", "kind", "attempt", "frequency", "at"};
    struct output output;
    table(show, &output, "Notices", columns, 6);
    for (int i = 0; i < world->output_count; i++) {
        char at[32];
        const struct recipient_notice *notice = &world->outputs[i].notice;
        if (world->outputs[i].topic != TOPIC_NOTICES)
            continue;
        demo_time(notice->occurred_at_ms, at);
        output_row(&output,
                   (const struct cell[]){
                       short_id(&notice->notice_id), cell_text(notice->who.recipient),
                       named(notice_kind_names[notice->kind]), cell_number(notice->attempt),
                       named(frequency_names[notice->frequency]), cell_text(str_of(at))});
    }
    output_end(&output);
}

static void dead_letters_table(const struct demo_show *show, const struct demo_world *world)
{
    static const char *const columns[] = {"key", "reason", "text"};
    struct output output;
    table(show, &output, "Dead letters", columns, 3);
    for (int i = 0; i < world->output_count; i++) {
        const struct demo_output *letter = &world->outputs[i];
        if (letter->topic != TOPIC_DEAD_LETTERS)
            continue;
        struct str shown = letter->dead_text;
        bool cut = shown.len > DEAD_TEXT_SHOWN;
        shown.len = cut ? DEAD_TEXT_SHOWN : shown.len;
        char text[DEAD_TEXT_SHOWN + 4];
        snprintf(text, sizeof(text), "%.*s%s", STR_ARG(shown), cut ? "..." : "");
        output_row(&output,
                   (const struct cell[]){cell_text(letter->key), cell_text(letter->dead_reason),
                                         cell_text(str_of(text))});
    }
    output_end(&output);
}

void demo_show_tables(const struct demo_show *show, const struct demo_world *world)
{
    states_table(show, world);
    commands_table(show, world);
    suppressions_table(show, world);
    notices_table(show, world);
    dead_letters_table(show, world);
}

/* --- JSON lines --- */

static void nullable(struct buf *line, struct str text)
{
    if (text.data)
        output_json_string(line, text);
    else
        buf_str(line, STR("null"));
}

void demo_show_json(struct demo_world *world, FILE *stream)
{
    struct buf line;
    buf_init(&line);
    for (int i = 0; i < world->output_count; i++) {
        const struct demo_output *output = &world->outputs[i];
        struct err err;
        buf_clear(&line);
        buf_printf(&line, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"key\":",
                   demo_topics[output->topic], output->partition, (long long)output->offset);
        nullable(&line, output->key);
        if (output->topic == TOPIC_DEAD_LETTERS) {
            buf_str(&line, STR(",\"reason\":"));
            nullable(&line, output->dead_reason);
            buf_str(&line, STR(",\"text\":"));
            nullable(&line, output->dead_text);
        }
        buf_str(&line, STR(",\"value\":"));
        size_t len = line.len;
        if (output->topic == TOPIC_DEAD_LETTERS ||
            codec_to_json(world->codec, output->value, &line, &err) != OK) {
            line.len = len;
            nullable(&line, output->value);
        }
        buf_str(&line, STR("}\n"));
        (void)fwrite(line.data, 1, line.len, stream); /* cli_finish tells of errors */
    }
    buf_deinit(&line);
}
