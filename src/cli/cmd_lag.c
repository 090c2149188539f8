/* rimbalzo lag: how far the groups are behind, from the brokers; no worker is needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/settings.h"
#include "kafka/lag.h"

#define ANSWER_MS 15000
#define WATCH_SECONDS 2
#define CLEAR_SCREEN "\033[H\033[J"

struct options {
    struct settings_options settings;
    enum output_format output;
    bool roles[ROLES_CONFIGURED];
    bool role_given;
    bool watch;
    int64_t records_max; /* -1: any */
    int64_t waiting_ms_max;
};

/* What asking needs. An input of the handle is a role. */
struct session {
    const struct options *options;
    struct deployment deployment;
    struct kafka_lag *lag;
    struct output output;
    char now[32];
    bool above;   /* --fail-above */
    bool unknown; /* the lag of a partition is not known */
};

/* One role as it is now. */
struct round {
    enum role role;
    struct kafka_group group;
    struct kafka_lag_partition *partitions;
    int count;
};

enum { KEY_WATCH = 'w', KEY_FAIL_ABOVE = 'f' };

static void parse_limit(struct options *options, const char *arg, struct argp_state *state)
{
    char *end;
    errno = 0;
    long long records = strtoll(arg, &end, 10);
    if (!errno && *arg && !*end && records >= 0)
        options->records_max = records;
    else if (!config_duration(arg, &options->waiting_ms_max))
        argp_error(state,
                   "--fail-above takes a number of records, or a duration as in 30s, 5m or 1h, not "
                   "\"%s\"",
                   arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case KEY_WATCH:
        options->watch = true;
        return 0;
    case KEY_FAIL_ABOVE:
        parse_limit(options, arg, state);
        return 0;
    case ARGP_KEY_ARG: {
        int role = 0;
        while (role < ROLES_CONFIGURED && strcmp(arg, role_names[role]) != 0)
            role++;
        if (role == ROLES_CONFIGURED)
            argp_error(state, "\"%s\" is neither worker nor dispatcher", arg);
        options->roles[role] = options->role_given = true;
        return 0;
    }
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- rows --- */

/*    column                what it shows */
#define COLUMNS(X)                                                                                 \
    X(role, cell_text(str_of(role_names[round->role])))                                            \
    X(partition, cell_number(lag->partition))                                                      \
    X(committed, known(lag->known && lag->committed >= 0, cell_number(lag->committed)))            \
    X(end, known(lag->known, cell_number(lag->end)))                                               \
    X(lag_records, known(lag->known, cell_number(kafka_lag_records(lag))))                         \
    X(lag_seconds, known(lag->waiting_known, cell_milli(lag->waiting_ms)))                         \
    X(owner, cell_text(owner ? str_of(owner) : STR_NULL))                                          \
    X(group, cell_text(str_of(deployment_group(&session->deployment, round->role))))               \
    X(group_state, cell_text(str_of(kafka_group_state_names[round->group.state])))                 \
    X(topic, cell_text(str_of(session->deployment.topics[role_inputs[round->role]])))              \
    X(log_start, known(lag->known, cell_number(lag->log_start)))                                   \
    X(pending, cell_bool(lag->pending))                                                            \
    X(observed_at, cell_text(str_of(session->now)))

#define X(column, value) COLUMN_##column,
enum column { COLUMNS(X) COLUMN_COUNT };
#undef X
static const char *const column_names[COLUMN_COUNT] = {
#define X(column, value) #column,
    COLUMNS(X)
#undef X
};

#define TABLE_COLUMNS COLUMN_group /* a table shows the columns before this one */

static struct cell known(bool is_known, struct cell cell)
{
    return is_known ? cell : cell_text(STR_NULL);
}

static void show(struct session *session, const struct round *round)
{
    for (int i = 0; i < round->count; i++) {
        const struct kafka_lag_partition *lag = &round->partitions[i];
        const char *owner =
            lag->partition < round->group.owner_count ? round->group.owners[lag->partition] : NULL;
        const struct cell cells[COLUMN_COUNT] = {
#define X(column, value) value,
            COLUMNS(X)
#undef X
        };
        output_row(&session->output, cells);
    }
}

/* --- what is said about a group --- */

static const char *describe(enum kafka_group_state state)
{
    switch (state) {
    case KAFKA_GROUP_ABSENT:
        return "does not exist: it has committed nothing yet, or its offsets have expired";
    case KAFKA_GROUP_EMPTY:
        return "has no members: nobody consumes";
    case KAFKA_GROUP_REBALANCING:
        return "is rebalancing: its members wait for partitions";
    case KAFKA_GROUP_STABLE:
        return "is stable";
    case KAFKA_GROUP_UNKNOWN:
    case KAFKA_GROUP_STATE_COUNT:
        break;
    }
    return "is in a state that its coordinator does not tell";
}

struct totals {
    int64_t records, waiting_ms;
    int unknown, pending;
};

static struct totals add_up(const struct round *round)
{
    struct totals totals = {0};
    for (int i = 0; i < round->count; i++) {
        const struct kafka_lag_partition *lag = &round->partitions[i];
        totals.pending += lag->pending;
        totals.unknown += !lag->known || !lag->waiting_known;
        if (lag->known)
            totals.records += kafka_lag_records(lag);
        if (lag->waiting_known && lag->waiting_ms > totals.waiting_ms)
            totals.waiting_ms = lag->waiting_ms;
    }
    return totals;
}

static void tell(const struct session *session, const struct round *round,
                 const struct totals *totals)
{
    const char *group = deployment_group(&session->deployment, round->role);
    fprintf(stderr, "rimbalzo: %s: group %s %s", role_names[round->role], group,
            describe(round->group.state));
    if (round->group.member_count)
        fprintf(stderr, ", with %d member%s", round->group.member_count,
                round->group.member_count == 1 ? "" : "s");
    fprintf(stderr, "; %lld offset%s behind", (long long)totals->records,
            totals->records == 1 ? "" : "s");
    if (totals->waiting_ms)
        fprintf(stderr, ", the first record for %lld.%03d s", (long long)totals->waiting_ms / 1000,
                (int)(totals->waiting_ms % 1000));
    fputs("\n", stderr);
    if (totals->pending)
        fprintf(stderr,
                "rimbalzo: %s: %d of its offsets are unstable: a transaction that commits them is "
                "open. Shown is what was committed before\n",
                role_names[round->role], totals->pending);
    if (totals->unknown)
        fprintf(stderr,
                "rimbalzo: %s: the lag of %d partition%s is not known: without a leader, or "
                "without an answer in time\n",
                role_names[round->role], totals->unknown, totals->unknown == 1 ? "" : "s");
}

/* --- asking --- */

static enum rcode ask(struct session *session, struct round *round, struct err *err)
{
    struct kafka_lag_question question = {
        .input = (int)round->role, .pending = true, .timeout_ms = ANSWER_MS};
    struct err why;
    int32_t count = 0;
    enum rcode rc = kafka_lag_partition_count(session->lag, question.input, ANSWER_MS, &count, err);
    if (rc != OK)
        return rc;
    round->count = count;
    round->partitions = mem_zalloc((size_t)count * sizeof(*round->partitions));
    for (int i = 0; i < count; i++)
        round->partitions[i].partition = i;
    rc = kafka_lag_ask(session->lag, &question, round->partitions, count, err);
    /* Who may read offsets may not be allowed to see the group: it is then told as unknown. */
    if (rc == OK &&
        kafka_lag_group(session->lag, question.input, ANSWER_MS, &round->group, &why) != OK)
        fprintf(stderr, "rimbalzo: %s: %s\n", role_names[round->role], why.text);
    return rc;
}

static enum rcode show_role(struct session *session, enum role role, struct err *err)
{
    const struct options *options = session->options;
    struct round round = {.role = role};
    enum rcode rc = ask(session, &round, err);
    if (rc == OK) {
        struct totals totals = add_up(&round);
        show(session, &round);
        tell(session, &round, &totals);
        session->unknown |= totals.unknown > 0;
        session->above |= options->records_max >= 0 && totals.records > options->records_max;
        session->above |=
            options->waiting_ms_max >= 0 && totals.waiting_ms > options->waiting_ms_max;
    }
    kafka_group_deinit(&round.group);
    mem_free(round.partitions);
    return rc;
}

static enum rcode show_all(struct session *session, struct err *err)
{
    bool table = session->options->output == OUTPUT_TABLE;
    enum rcode rc = OK;
    clock_format(clock_wall_ms(), session->now);
    session->above = session->unknown = false;
    if (session->options->watch && table && isatty(STDOUT_FILENO))
        fputs(CLEAR_SCREEN, stdout);
    output_begin(&session->output, session->options->output, stdout, column_names,
                 table ? TABLE_COLUMNS : COLUMN_COUNT);
    for (int role = 0; rc == OK && role < ROLES_CONFIGURED; role++)
        if (session->options->roles[role])
            rc = show_role(session, (enum role)role, err);
    output_end(&session->output);
    return rc;
}

/* Until a limit is passed or stdout is gone; brokers that do not answer now are asked again. */
static int watch(struct session *session, struct err *err)
{
    static const struct timespec pause = {.tv_sec = WATCH_SECONDS};
    for (;;) {
        enum rcode rc = show_all(session, err);
        if (rc != OK && rcode_disposition(rc) != DISPOSITION_RETRY)
            return cli_fail(err);
        if (rc != OK)
            fprintf(stderr, "rimbalzo: %s\n", err->text);
        int code = cli_finish(session->above ? EXIT_CODE_NEGATIVE : EXIT_CODE_OK);
        if (code != EXIT_CODE_OK)
            return code;
        nanosleep(&pause, NULL);
    }
}

static int once(struct session *session, struct err *err)
{
    const struct options *options = session->options;
    bool limited = options->records_max >= 0 || options->waiting_ms_max >= 0;
    if (show_all(session, err) != OK)
        return cli_fail(err);
    if (session->above)
        return cli_finish(EXIT_CODE_NEGATIVE);
    return cli_finish(limited && session->unknown ? EXIT_CODE_AGAIN : EXIT_CODE_OK);
}

static int run(const struct options *options, const struct settings *settings)
{
    struct err err = {0};
    struct session session = {.options = options};
    struct kafka_lag_input inputs[ROLES_CONFIGURED];
    enum rcode rc = deployment_init(&session.deployment, settings->config, &err);
    for (int role = 0; rc == OK && role < ROLES_CONFIGURED; role++)
        inputs[role] =
            (struct kafka_lag_input){deployment_group(&session.deployment, (enum role)role),
                                     session.deployment.topics[role_inputs[role]]};
    if (rc == OK)
        rc = kafka_lag_open(session.deployment.properties, inputs, ROLES_CONFIGURED, &session.lag,
                            &err);
    int code = rc != OK         ? cli_fail(&err)
               : options->watch ? watch(&session, &err)
                                : once(&session, &err);
    kafka_lag_close(session.lag);
    deployment_deinit(&session.deployment);
    return code;
}

int cmd_lag(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"watch", KEY_WATCH, NULL, 0, "again every two seconds, until interrupted", 0},
        {"fail-above", KEY_FAIL_ABOVE, "N|TIME", 0,
         "exit with 1 when a group is more than N offsets behind in all, or its first record has "
         "waited for longer than TIME (30s, 5m); may be given twice",
         0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "[worker] [dispatcher]",
        "Shows how far the groups of worker and dispatcher are behind on their input, partition by "
        "partition.\v"
        "The brokers are asked; no worker need run. lag_records are the offsets from the first "
        "that is not committed to the last stable one, lag_seconds is how long the first record "
        "that is not committed has waited by its timestamp. What is not known is shown as -. A "
        "dispatcher that is not behind may still be late: see rimbalzo_dispatcher_overdue_seconds "
        "of its metrics. Exits with 75 when --fail-above cannot be answered because the lag of a "
        "partition is not known.",
        children,
        NULL,
        NULL};
    struct options options = {.output = OUTPUT_TABLE, .records_max = -1, .waiting_ms_max = -1};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    for (int role = 0; !options.role_given && role < ROLES_CONFIGURED; role++)
        options.roles[role] = true;
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = run(&options, &settings);
    settings_deinit(&settings);
    return code;
}
