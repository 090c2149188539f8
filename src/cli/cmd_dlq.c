/* rimbalzo dlq: what could not be used, and why; and back with it once it can. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/deployment.h"
#include "cli/dlq.h"
#include "cli/schemas.h"
#include "codec/record.h"
#include "kafka/reader.h"

#define HEX_MAX 512 /* octets of a value that a table shows */
#define ATTEMPTS_DEFAULT 3

enum action { ACTION_NONE, ACTION_LS, ACTION_SHOW, ACTION_REDRIVE };

enum {
    KEY_REASON = 'r',
    KEY_TOPIC = 0x5000,
    KEY_SINCE,
    KEY_UNTIL,
    KEY_RAW,
    KEY_ATTEMPTS,
    KEY_DRY_RUN,
    KEY_YES
};

struct options {
    enum action action;
    bool placed;
    struct dlq_options dlq;
};

/* --- options --- */

/* RFC 3339 in UTC, "2026-01-31T12:00:00Z", or the day alone; or an age as in 90m, 12h, 7d. */
static int64_t time_arg(struct argp_state *state, const char *name, const char *arg)
{
    struct tm parts = {0};
    char *end;
    long long number = strtoll(arg, &end, 10);
    int64_t unit_ms = *end == 's'   ? 1000
                      : *end == 'm' ? 60000
                      : *end == 'h' ? 3600000
                      : *end == 'd' ? 86400000
                                    : 0;
    if (end != arg && unit_ms && !end[1] && number >= 0 && number < 1000000000)
        return clock_wall_ms() - number * unit_ms;
    const char *rest = strptime(arg, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (!rest)
        rest = strptime(arg, "%Y-%m-%d", &parts);
    if (!rest || *rest)
        argp_error(state,
                   "--%s takes 2026-01-31, 2026-01-31T12:00:00Z or an age as in 12h or 7d, "
                   "not \"%s\"",
                   name, arg);
    return (int64_t)timegm(&parts) * 1000;
}

static void place_arg(struct options *options, const char *arg, struct argp_state *state)
{
    char *colon, *end;
    errno = 0;
    long long partition = strtoll(arg, &colon, 10);
    long long offset = *colon == ':' ? strtoll(colon + 1, &end, 10) : -1;
    if (errno || colon == arg || *colon != ':' || end == colon + 1 || *end || partition < 0 ||
        partition > INT32_MAX || offset < 0)
        argp_error(state, "show takes PARTITION:OFFSET, as ls shows them, not \"%s\"", arg);
    options->dlq.partition = (int32_t)partition;
    options->dlq.offset = offset;
    options->placed = true;
}

static void word_arg(struct options *options, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"", "ls", "show", "redrive"};
    if (options->action == ACTION_SHOW && !options->placed) {
        place_arg(options, arg, state);
        return;
    }
    for (int i = ACTION_LS; options->action == ACTION_NONE && i <= ACTION_REDRIVE; i++)
        if (strcmp(arg, words[i]) == 0) {
            options->action = (enum action)i;
            return;
        }
    argp_error(state, "\"%s\" is one argument too many, or none of ls, show and redrive", arg);
}

static void check(const struct options *options, struct argp_state *state)
{
    const struct dlq_filter *filter = &options->dlq.filter;
    if (options->action == ACTION_NONE)
        argp_error(state, "say ls, show PARTITION:OFFSET or redrive");
    if (options->action == ACTION_SHOW && !options->placed)
        argp_error(state, "show takes PARTITION:OFFSET, as ls shows them");
    if (options->action == ACTION_SHOW &&
        (filter->reason || filter->topic || filter->since_ms || filter->until_ms != INT64_MAX))
        argp_error(state, "show takes one record, and no filter");
    if (options->action == ACTION_REDRIVE && filter->since_ms)
        argp_error(state, "redrive goes in order and passes nothing over: it takes --until, and no "
                          "--since");
    if (options->action != ACTION_REDRIVE && (options->dlq.dry_run || options->dlq.yes))
        argp_error(state, "--dry-run and --yes are for redrive");
    if (options->action != ACTION_SHOW && options->dlq.raw)
        argp_error(state, "--raw is for show");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->dlq.settings;
        state->child_inputs[1] = &options->dlq.output;
        return 0;
    case KEY_REASON:
        options->dlq.filter.reason = arg;
        return 0;
    case KEY_TOPIC:
        options->dlq.filter.topic = arg;
        return 0;
    case KEY_SINCE:
        options->dlq.filter.since_ms = time_arg(state, "since", arg);
        return 0;
    case KEY_UNTIL:
        options->dlq.filter.until_ms = time_arg(state, "until", arg);
        return 0;
    case KEY_RAW:
        options->dlq.raw = true;
        return 0;
    case KEY_ATTEMPTS:
        options->dlq.attempts_max = cli_number_arg(state, "max-attempts", arg, 1);
        return 0;
    case KEY_DRY_RUN:
        options->dlq.dry_run = true;
        return 0;
    case KEY_YES:
        options->dlq.yes = true;
        return 0;
    case ARGP_KEY_ARG:
        word_arg(options, arg, state);
        return 0;
    case ARGP_KEY_END:
        check(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

bool dlq_matches(const struct dlq_filter *filter, const struct dead_letter *letter)
{
    return (!filter->reason || str_equal(letter->reason, str_of(filter->reason))) &&
           (!filter->topic || str_equal(letter->topic, str_of(filter->topic)));
}

/* --- ls --- */

struct session {
    const struct dlq_options *options;
    struct deployment deployment;
    struct kafka_reader *reader;
    struct codec *codec;
    struct output output;
    bool found;
};

static const char *const columns[] = {"partition",    "offset", "dead_since", "reason",
                                      "topic",        "from",   "redriven",   "key",
                                      "value_octets", "text"};
#define COLUMN_COUNT ((int)(sizeof(columns) / sizeof(columns[0])))

static enum rcode list_record(void *context, const struct port_record *record, struct err *err)
{
    struct session *session = context;
    const struct dlq_filter *filter = &session->options->filter;
    struct dead_letter letter = {0};
    char time[32] = "", from[64] = "";
    bool ours = dead_letter_read(record, &letter);
    struct cell none = cell_text(STR_NULL);
    (void)err;
    if (!dlq_matches(filter, &letter) || record->timestamp_ms < filter->since_ms ||
        record->timestamp_ms > filter->until_ms)
        return OK;
    if (record->timestamp_ms >= 0)
        clock_format(record->timestamp_ms, time);
    snprintf(from, sizeof(from), "%d:%" PRId64, letter.partition, letter.offset);
    const struct cell cells[COLUMN_COUNT] = {
        cell_number(record->partition),
        cell_number(record->offset),
        cell_text(*time ? str_of(time) : STR_NULL),
        cell_text(letter.reason),
        cell_text(letter.topic),
        ours ? cell_text(str_of(from)) : none,
        ours ? cell_number(letter.redriven) : none,
        cell_text(record->key),
        record->value.data ? cell_number((int64_t)record->value.len) : none,
        ours ? cell_text(letter.text) : cell_text(STR("no dead letter of rimbalzo")),
    };
    output_row(&session->output, cells);
    return OK;
}

static enum rcode list(struct session *session, struct err *err)
{
    output_begin(&session->output, session->options->output, stdout, columns, COLUMN_COUNT);
    enum rcode rc = kafka_reader_read(
        session->reader,
        &(struct kafka_reading){.topic = session->deployment.topics[TOPIC_DEAD_LETTERS],
                                .partition = -1,
                                .until = -1,
                                .context = session,
                                .record = list_record},
        err);
    output_end(&session->output);
    session->found = true;
    return rc;
}

/* --- show --- */

static void show_pair(struct session *session, const char *name, struct cell value)
{
    const struct cell cells[] = {cell_text(str_of(name)), value};
    output_row(&session->output, cells);
}

static void show_hex(struct session *session, struct str value)
{
    struct buf hex = {0};
    size_t shown = value.len;
    if (session->options->output == OUTPUT_TABLE && shown > HEX_MAX)
        shown = HEX_MAX;
    for (size_t i = 0; i < shown; i++)
        buf_printf(&hex, "%02x", (unsigned char)value.data[i]);
    if (shown < value.len)
        buf_printf(&hex, " and %zu octets more", value.len - shown);
    show_pair(session, "value_hex", cell_text(buf_view(&hex)));
    buf_deinit(&hex);
}

static void show_value(struct session *session, struct str value)
{
    struct buf json = {0};
    struct err why;
    if (!value.data) {
        show_pair(session, "value", cell_text(STR_NULL));
        return;
    }
    show_pair(session, "value_octets", cell_number((int64_t)value.len));
    if (codec_to_json(session->codec, value, &json, &why) == OK) {
        show_pair(session, "value", cell_text(buf_view(&json)));
    } else {
        show_pair(session, "not_decoded", cell_text(str_of(why.text)));
        show_hex(session, value);
    }
    buf_deinit(&json);
}

static enum rcode show_record(void *context, const struct port_record *record, struct err *err)
{
    static const char *const pair[] = {"field", "value"};
    struct session *session = context;
    char time[32] = "";
    (void)err;
    session->found = true;
    if (session->options->raw) {
        (void)fwrite(record->value.data, 1, record->value.len, stdout); /* see cli_finish */
        return OK;
    }
    output_begin(&session->output, session->options->output, stdout, pair, 2);
    show_pair(session, "partition", cell_number(record->partition));
    show_pair(session, "offset", cell_number(record->offset));
    if (record->timestamp_ms >= 0)
        clock_format(record->timestamp_ms, time);
    show_pair(session, "dead_since", cell_text(*time ? str_of(time) : STR_NULL));
    show_pair(session, "key", cell_text(record->key));
    for (int i = 0; i < record->header_count; i++) {
        struct buf name = {0};
        buf_printf(&name, "header %.*s%c", STR_ARG(record->headers[i].name), 0);
        show_pair(session, name.data, cell_text(record->headers[i].value));
        buf_deinit(&name);
    }
    show_value(session, record->value);
    output_end(&session->output);
    return OK;
}

static enum rcode show(struct session *session, struct err *err)
{
    const struct dlq_options *options = session->options;
    const char *topic = session->deployment.topics[TOPIC_DEAD_LETTERS];
    int32_t partitions;
    enum rcode rc = kafka_reader_partition_count(session->reader, topic, &partitions, err);
    if (rc != OK || options->partition >= partitions)
        return rc;
    return kafka_reader_read(session->reader,
                             &(struct kafka_reading){.topic = topic,
                                                     .partition = options->partition,
                                                     .from = options->offset,
                                                     .until = options->offset + 1,
                                                     .context = session,
                                                     .record = show_record},
                             err);
}

/* --- the command --- */

static int look(const struct options *options, const struct settings *settings)
{
    struct session session = {.options = &options->dlq};
    struct schemas schemas = {0};
    struct err err = {0};
    enum rcode rc = deployment_init(&session.deployment, settings->config, &err);
    if (rc == OK)
        rc = schemas_open(settings->config, SCHEMAS_NONE, &schemas, &err);
    if (rc == OK)
        rc = codec_new(&schemas.codec, &session.codec, &err);
    if (rc == OK)
        rc = kafka_reader_open(session.deployment.properties, session.deployment.worker_group,
                               &session.reader, &err);
    if (rc == OK)
        rc = options->action == ACTION_LS ? list(&session, &err) : show(&session, &err);
    kafka_reader_close(session.reader);
    codec_free(session.codec);
    schemas_close(&schemas);
    deployment_deinit(&session.deployment);
    if (rc != OK)
        return cli_fail(&err);
    if (session.found)
        return EXIT_CODE_OK;
    fprintf(stderr, "rimbalzo: there is no record %d:%" PRId64 "\n", options->dlq.partition,
            options->dlq.offset);
    return EXIT_CODE_NEGATIVE;
}

int cmd_dlq(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"reason", KEY_REASON, "REASON", 0, "only those with this reason, as in unknown_schema", 0},
        {"topic", KEY_TOPIC, "TOPIC", 0, "only those that came from this topic", 0},
        {"since", KEY_SINCE, "TIME", 0, "only dead since then: 2026-01-31, with T12:00:00Z, or 7d",
         0},
        {"until", KEY_UNTIL, "TIME", 0, "only dead by then", 0},
        {"raw", KEY_RAW, NULL, 0, "show the octets of the value alone", 0},
        {"max-attempts", KEY_ATTEMPTS, "N", 0,
         "redrive leaves alone what has come back so often (3)", 0},
        {"dry-run", KEY_DRY_RUN, NULL, 0, "redrive only counts", 0},
        {"yes", KEY_YES, NULL, 0, "redrive without asking", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "ls\nshow PARTITION:OFFSET\nredrive",
        "Shows dead letters, and sends them back to where they came from.\v"
        "Mend the cause first: add the schema, the rule, the configuration. redrive then sends "
        "key, "
        "value and headers as they were, with a count in the header rimbalzo-redriven, exactly "
        "once: a run that was cut off goes on where it was, and no later run sends the same again. "
        "It ends where the dead letters ended when it began.",
        children,
        NULL,
        NULL};
    struct options options = {.dlq = {.output = OUTPUT_TABLE,
                                      .attempts_max = ATTEMPTS_DEFAULT,
                                      .filter.until_ms = INT64_MAX}};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.dlq.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = options.action == ACTION_REDRIVE ? dlq_redrive(&options.dlq, &settings)
                                                : look(&options, &settings);
    settings_deinit(&settings);
    return cli_finish(code);
}
