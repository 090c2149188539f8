/* rimbalzo explain: the story of one recipient, from the input topic. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/replay_job.h"
#include "domain/address.h"

enum { KEY_TENANT = 't', KEY_TMP = 0x2000 };

struct options {
    struct settings_options settings;
    enum output_format output;
    const char *address, *tenant;
    const char *dir; /* of the temporary store; NULL: state_dir */
};

struct session {
    const struct options *options;
    const struct settings *settings;
    struct replay_job job;
    struct replay *replay;
    struct worker_watch watch;
    struct replay_partition *partition;
    struct codec *codec;
    struct identity who;
    char address[RECIPIENT_MAX + 1];
    char key_text[RECORD_KEY_MAX];
    struct str key;
    struct output output;
    struct progress progress;
    int64_t events, waiting; /* of them, such as the workers have not committed yet */
};

/* One line of the story: an event, or a record that became a dead letter. */
struct chapter {
    int64_t offset, time_ms;
    const char *event, *outcome;
    const struct worker_step *step;         /* NULL: a dead letter */
    const struct input_record *input;       /* likewise */
    const struct recipient *before, *after; /* as they count; NULL: unknown */
    bool lapsed;
    struct str outputs;
};

/* --- columns --- */

/*    column            what it shows; those before `episode` make the table */
#define COLUMNS(X)                                                                                 \
    X(offset, cell_number(chapter->offset))                                                        \
    X(at, cell_time(chapter->time_ms, times[0]))                                                   \
    X(event, cell_text(str_of(chapter->event)))                                                    \
    X(class, bounce ? cell_text(str_of(bounce_class_names[event->bounce_class])) : none)           \
    X(reason, bounce ? cell_text(str_of(reason_names[event->reason])) : none)                      \
    X(rule, bounce ? cell_text(event->rule) : none)                                                \
    X(outcome, cell_text(str_of(chapter->outcome)))                                                \
    X(before, status_cell(chapter->before))                                                        \
    X(after, chapter->step ? status_cell(chapter->after) : none)                                   \
    X(attempt, chapter->after ? cell_number(chapter->after->attempt) : none)                       \
    X(due_at, chapter->after ? cell_time(chapter->after->due_at_ms, times[1]) : none)              \
    X(outputs, cell_text(chapter->outputs))                                                        \
    X(episode, chapter->after ? cell_number(chapter->after->episode) : none)                       \
    X(attempt_before, chapter->before ? cell_number(chapter->before->attempt) : none)              \
    X(policy, chapter->after ? cell_text(chapter->after->policy) : none)                           \
    X(frequency,                                                                                   \
      chapter->after ? cell_text(str_of(frequency_names[chapter->after->frequency])) : none)       \
    X(lapsed, cell_bool(chapter->lapsed))                                                          \
    X(stream_time, chapter->step ? cell_time(chapter->step->stream_time_ms, times[2]) : none)      \
    X(status, bounce ? cell_text(event->status) : none)                                            \
    X(text, bounce ? cell_text(chapter->input->diagnostic) : none)                                 \
    X(remote_mta, bounce ? cell_text(chapter->input->remote_mta) : none)                           \
    X(event_id, event ? cell_text(event->event_id) : none)                                         \
    X(message_id, event ? cell_text(event->message_id) : none)                                     \
    X(retry_of, event ? cell_text(event->retry_of) : none)                                         \
    X(source, chapter->input ? cell_text(chapter->input->source) : none)                           \
    X(actor, chapter->input ? cell_text(chapter->input->actor) : none)                             \
    X(processed, cell_bool(chapter->offset < session->partition->certificate.input_next))

#define X(column, value) COLUMN_##column,
enum column { COLUMNS(X) COLUMN_COUNT };
#undef X
static const char *const column_names[COLUMN_COUNT] = {
#define X(column, value) #column,
    COLUMNS(X)
#undef X
};
_Static_assert(COLUMN_COUNT <= OUTPUT_COLUMNS_MAX, "room for the columns");

#define TIMES 3

static struct cell cell_time(int64_t time_ms, char text[32])
{
    if (time_ms == TIME_NULL)
        return cell_text(STR_NULL);
    clock_format(time_ms, text);
    return cell_text(str_of(text));
}

static struct cell status_cell(const struct recipient *state)
{
    return cell_text(str_of(state ? recipient_status_names[state->status] : "unknown"));
}

static void show(struct session *session, const struct chapter *chapter)
{
    char times[TIMES][32];
    const struct event *event = chapter->step ? chapter->step->event : NULL;
    bool bounce = event && event->kind == EVENT_BOUNCE;
    struct cell none = cell_text(STR_NULL);
    progress_clear(&session->progress);
    const struct cell cells[COLUMN_COUNT] = {
#define X(column, value) value,
        COLUMNS(X)
#undef X
    };
    output_row(&session->output, cells);
    session->events++;
    session->waiting += chapter->offset >= session->partition->certificate.input_next;
}

/* --- what is seen --- */

static void put_due(struct buf *out, int64_t time_ms)
{
    char text[32];
    clock_format(time_ms, text);
    buf_printf(out, " due %s", text);
}

/* "SCHEDULE attempt 1 of 4 due 2026-01-31T12:00:00.000Z; CONTACT_ALTERNATIVE" */
static void put_outputs(struct buf *out, const struct effects *effects)
{
    for (int i = 0; i < effects->notice_count; i++)
        buf_printf(out, "%s%s", out->len ? "; " : "", notice_kind_names[effects->notices[i].kind]);
    for (int i = 0; i < effects->suppression_count; i++)
        buf_printf(out, "%s%s %s", out->len ? "; " : "",
                   suppression_action_names[effects->suppressions[i].action],
                   suppression_reason_names[effects->suppressions[i].reason]);
    for (int i = 0; i < effects->command_count; i++) {
        const struct retry_command *command = &effects->commands[i];
        buf_printf(out, "%s%s", out->len ? "; " : "", command_action_names[command->action]);
        if (command->action != COMMAND_SCHEDULE)
            continue;
        if (command->message_attempt)
            buf_printf(out, " message attempt %d", command->message_attempt);
        else
            buf_printf(out, " attempt %d of %d", command->attempt, command->max_attempts);
        put_due(out, command->due_at_ms);
    }
}

static const char *event_name(const struct event *event)
{
    switch (event->kind) {
    case EVENT_BOUNCE:
        return "BOUNCE";
    case EVENT_DELIVERY:
        return "DELIVERY";
    case EVENT_OVERRIDE:
        return override_action_names[event->action];
    }
    return NULL;
}

static bool wants(void *context, struct identity who)
{
    const struct session *session = context;
    return str_equal(who.recipient, session->who.recipient) &&
           str_equal(who.tenant, session->who.tenant);
}

static void saw(void *context, const struct worker_step *step)
{
    static const char *const outcomes[OUTCOME_COUNT] = {
#define X(constant, string) [constant] = string,
        OUTCOMES(X)
#undef X
    };
    struct session *session = context;
    const struct policy_set *policies = &session->settings->policies;
    struct recipient counted;
    struct input_record input;
    struct buf outputs;
    struct err ignored;
    struct chapter chapter = {.offset = step->event->offset,
                              .time_ms = step->event->time_ms,
                              .event = event_name(step->event),
                              .outcome = outcomes[step->effects->outcome],
                              .step = step};
    if (codec_decode_input(session->codec, step->record->value, &input, &ignored) == OK)
        chapter.input = &input; /* always: it was decoded before */
    enum idle_action idle =
        step->before ? recipient_idle(policies, step->before, step->stream_time_ms, &counted)
                     : IDLE_EXPIRE;
    chapter.before = idle == IDLE_EXPIRE ? NULL : &counted;
    chapter.lapsed = idle == IDLE_LAPSE;
    bool unchanged = step->effects->change == STATE_UNCHANGED;
    chapter.after = unchanged ? chapter.before : step->after;
    buf_init(&outputs);
    put_outputs(&outputs, step->effects);
    chapter.outputs = outputs.len ? buf_view(&outputs) : STR_NULL;
    show(session, &chapter);
    buf_deinit(&outputs);
}

static int64_t decimal(struct str text)
{
    char digits[24] = "";
    memcpy(digits, text.data, text.len < sizeof(digits) ? text.len : sizeof(digits) - 1);
    return strtoll(digits, NULL, 10);
}

/* A record with the recipient's key that cannot be used: whose it is, its key alone says. */
static void sent(void *context, const struct port_message *message)
{
    struct session *session = context;
    struct chapter chapter = {.event = "DEAD_LETTER", .time_ms = TIME_NULL};
    char reason[64] = "";
    if (message->topic != TOPIC_DEAD_LETTERS || !str_equal(message->key, session->key))
        return;
    for (int i = 0; i < message->header_count; i++) {
        const struct port_header *header = &message->headers[i];
        if (str_equal(header->name, STR("rimbalzo-reason")))
            snprintf(reason, sizeof(reason), "%.*s", STR_ARG(header->value));
        else if (str_equal(header->name, STR("rimbalzo-offset")))
            chapter.offset = decimal(header->value);
        else if (str_equal(header->name, STR("rimbalzo-timestamp")))
            chapter.time_ms = decimal(header->value);
    }
    chapter.outcome = reason;
    show(session, &chapter);
}

/* --- reading --- */

static enum rcode feed(void *context, const struct port_record *records, size_t count,
                       struct err *err)
{
    struct session *session = context;
    return replay_feed(session->replay, session->partition->partition, records, count,
                       records[count - 1].offset + 1, err);
}

static void on_progress(void *context, int64_t done, int64_t total)
{
    progress_show(&((struct session *)context)->progress, done, total);
}

static enum rcode read_story(struct session *session, struct err *err)
{
    struct replay_worker *worker = &session->job.workers[0];
    struct replay_options options = {
        .worker = replay_job_worker(&session->job, session->settings, worker->names[REPLAY_TOLD]),
        .context = session,
        .sent = sent};
    struct kafka_reading reading = {.topic = session->job.deployment.topics[TOPIC_BOUNCES],
                                    .partition = session->partition->partition,
                                    .until = -1,
                                    .context = session,
                                    .batch = feed,
                                    .progress = on_progress};
    int64_t next;
    session->watch = (struct worker_watch){.context = session, .wants = wants, .saw = saw};
    options.worker.watch = &session->watch;
    progress_begin(&session->progress, "offsets");
    enum rcode rc = replay_new(&options, &session->replay, err);
    if (rc == OK)
        rc = replay_open(session->replay, session->partition->partition, &next, err);
    if (rc == OK)
        rc = kafka_reader_read(worker->reader, &reading, err);
    progress_clear(&session->progress);
    return rc;
}

static enum rcode tell_state(struct session *session, struct err *err)
{
    int32_t partition = session->partition->partition;
    struct store *store = replay_store(session->replay, partition);
    struct recipient state, counted;
    struct str value;
    char due[32] = "";
    enum rcode rc = store_begin(store, err);
    if (rc == OK)
        rc = store_get(store, session->who, &value, err);
    if (rc == OK && value.data)
        rc = codec_decode_recipient(session->codec, value, &state, err);
    if (rc != OK)
        return rc;
    bool known =
        value.data && recipient_idle(&session->settings->policies, &state,
                                     replay_meta(session->replay, partition)->stream_time_ms,
                                     &counted) != IDLE_EXPIRE;
    if (!known)
        fputs("rimbalzo: nothing is known of it now\n", stderr);
    else if (counted.status != STATUS_SUSPENDED)
        fprintf(stderr, "rimbalzo: it is %s now\n", recipient_status_names[counted.status]);
    else {
        clock_format(counted.due_at_ms, due);
        fprintf(stderr, "rimbalzo: it is SUSPENDED now, attempt %d due %s\n", counted.attempt, due);
    }
    store_abort(store);
    return OK;
}

static void tell(const struct session *session)
{
    fprintf(stderr, "rimbalzo: %lld event%s of %.*s in partition %d", (long long)session->events,
            session->events == 1 ? "" : "s", STR_ARG(session->key), session->partition->partition);
    if (session->waiting)
        fprintf(stderr, ", %lld not yet processed", (long long)session->waiting);
    fputs("\n", stderr);
    if (session->partition->input_start)
        fprintf(stderr,
                "rimbalzo: the input begins at offset %lld: what came before is not told, and the "
                "states shown may lack it\n",
                (long long)session->partition->input_start);
}

/* --- the command --- */

static enum rcode find(struct session *session, struct err *err)
{
    const struct options *options = session->options;
    bool preserve = session->settings->policies.local_part_preserve;
    size_t len;
    session->who.tenant = options->tenant ? str_of(options->tenant) : STR("");
    if (!tenant_valid(session->who.tenant))
        return err_set(err, E_USAGE, "--tenant: \"%.80s\" is not [a-z0-9._-]{0,64}",
                       options->tenant);
    enum rcode rc =
        address_canonical(str_of(options->address), preserve, session->address, &len, err);
    if (rc != OK) {
        err_prefix(err, "\"%.80s\" is no address", options->address);
        return err->code = E_USAGE;
    }
    session->who.recipient = (struct str){session->address, len};
    session->key = (struct str){session->key_text, identity_key(session->who, session->key_text)};
    return OK;
}

static enum rcode explain(struct session *session, struct err *err)
{
    struct replay_job_options options = {.live = session->settings,
                                         .wanted = session->settings,
                                         .threads = 1,
                                         .dir = session->options->dir};
    enum rcode rc = find(session, err);
    if (rc == OK)
        rc = replay_job_open(&session->job, &options, err);
    if (rc != OK)
        return rc;
    session->codec = session->job.workers[0].codec;
    session->partition = &session->job.partitions[hash_partition(session->key, session->job.count)];
    output_begin(&session->output, session->options->output, stdout, column_names,
                 session->options->output == OUTPUT_TABLE ? COLUMN_episode : COLUMN_COUNT);
    rc = read_story(session, err);
    if (rc == OK) {
        output_end(&session->output);
        tell(session);
    }
    return rc == OK && session->events ? tell_state(session, err) : rc;
}

static int run(const struct options *options, const struct settings *settings)
{
    struct err err = {0};
    struct session session = {.options = options, .settings = settings};
    enum rcode rc = explain(&session, &err);
    int code = rc != OK ? cli_fail(&err) : session.events ? EXIT_CODE_OK : EXIT_CODE_NEGATIVE;
    replay_free(session.replay);
    replay_job_close(&session.job);
    return cli_finish(code);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case KEY_TENANT:
        options->tenant = arg;
        return 0;
    case KEY_TMP:
        options->dir = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (options->address)
            argp_error(state, "\"%s\" is one argument too many", arg);
        options->address = arg;
        return 0;
    case ARGP_KEY_END:
        if (!options->address)
            argp_error(state, "say whose story: explain ADDRESS");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cmd_explain(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"tenant", KEY_TENANT, "TENANT", 0, "of this tenant (the empty one otherwise)", 0},
        {"tmp", KEY_TMP, "DIR", 0, "where a temporary store is (state_dir)", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "ADDRESS",
        "Tells the story of one recipient: every event, what it was taken for and by which rule, "
        "the state before and after, and what was sent.\v"
        "The events are read from the input topic, which takes as long as one partition of it is, "
        "and folded as the worker folds them, under the present configuration and rules. Records "
        "with the recipient's key that became dead letters are told too. jsonl and the other "
        "formats show more than the table. Exits with 1 when the input knows nothing of the "
        "address.",
        children,
        NULL,
        NULL};
    struct options options = {.output = OUTPUT_TABLE};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = run(&options, &settings);
    settings_deinit(&settings);
    return code;
}
