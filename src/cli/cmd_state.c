/* rimbalzo state get|list|verify|export|snapshot|restore: what the recipients topic says; no worker
 * is needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/changelog.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/recipient_view.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "cli/state_snapshot.h"
#include "cli/state_verify.h"
#include "codec/record.h"
#include "domain/address.h"
#include "kafka/reader.h"

enum action {
    ACTION_NONE,
    ACTION_GET,
    ACTION_LIST,
    ACTION_VERIFY,
    ACTION_EXPORT,
    ACTION_SNAPSHOT,
    ACTION_RESTORE,
    ACTION_COUNT
};
static const struct {
    const char *name;
    const char *argument; /* NULL: none */
} actions[ACTION_COUNT] = {
    [ACTION_NONE] = {"", NULL},
    [ACTION_GET] = {"get", "an address"},
    [ACTION_LIST] = {"list", NULL},
    [ACTION_VERIFY] = {"verify", NULL},
    [ACTION_EXPORT] = {"export", NULL},
    [ACTION_SNAPSHOT] = {"snapshot", "a folder"},
    [ACTION_RESTORE] = {"restore", "a folder"},
};
enum { KEY_TENANT = 't', KEY_STATUS = 's', KEY_DOMAIN = 'd' };

struct options {
    struct settings_options settings;
    enum output_format output;
    enum action action;
    const char *argument; /* address or folder */
    const char *tenant;
    int status;         /* enum recipient_status, -1: any */
    const char *domain; /* NULL: any */
    struct state_verify_options verify;
};

/* What reading needs. */
struct session {
    const struct options *options;
    const struct settings *settings;
    struct deployment deployment;
    struct codec *codec;
    struct kafka_reader *reader;
    struct output output;
    int64_t now_ms;
};

static void parse_action(struct options *options, const char *arg, struct argp_state *state)
{
    for (int i = ACTION_NONE + 1; i < ACTION_COUNT; i++)
        if (strcmp(arg, actions[i].name) == 0)
            options->action = (enum action)i;
    if (options->action == ACTION_NONE)
        argp_error(state, "\"%s\" is none of get, list, verify, export, snapshot and restore", arg);
}

static void check(const struct options *options, struct argp_state *state)
{
    enum action action = options->action;
    bool reads = action == ACTION_LIST || action == ACTION_EXPORT;
    if (action == ACTION_NONE)
        argp_error(state, "say get, list, verify, export, snapshot or restore");
    if (actions[action].argument && !options->argument)
        argp_error(state, "%s takes %s", actions[action].name, actions[action].argument);
    if (!reads && (options->status >= 0 || options->domain))
        argp_error(state, "--status and --domain are for list and export");
    if (!reads && action != ACTION_GET && options->tenant)
        argp_error(state, "--tenant is for get, list and export");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        state->child_inputs[2] = &options->verify;
        return 0;
    case KEY_TENANT:
        options->tenant = arg;
        return 0;
    case KEY_DOMAIN:
        options->domain = arg;
        return 0;
    case KEY_STATUS:
        options->status = name_index(recipient_status_names, RECIPIENT_STATUS_COUNT, str_of(arg));
        if (options->status < 0)
            argp_error(state, "--status takes ACTIVE, SUSPENDED or SUPPRESSED, not \"%s\"", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (options->action == ACTION_NONE)
            parse_action(options, arg, state);
        else if (actions[options->action].argument && !options->argument)
            options->argument = arg;
        else
            argp_error(state, "\"%s\" is one argument too many", arg);
        return 0;
    case ARGP_KEY_END:
        check(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- rows --- */

static bool has_lapsed(const struct session *session, const struct recipient *state)
{
    return recipient_has_lapsed(state, session->settings->config->stale_after_ms, session->now_ms);
}

static void show(struct session *session, const struct recipient *state, int32_t partition)
{
    struct recipient_view view;
    recipient_view(state, partition, has_lapsed(session, state), &view);
    if (session->options->action != ACTION_GET || session->options->output != OUTPUT_TABLE) {
        output_row(&session->output, view.cells);
        return;
    }
    for (int i = 0; i < RECIPIENT_COLUMN_COUNT; i++) {
        struct cell pair[] = {cell_text(str_of(recipient_columns[i])), view.cells[i]};
        output_row(&session->output, pair);
    }
}

static void begin_output(struct session *session)
{
    static const char *const pair[] = {"field", "value"};
    bool table = session->options->output == OUTPUT_TABLE;
    if (table && session->options->action == ACTION_GET)
        output_begin(&session->output, OUTPUT_TABLE, stdout, pair, 2);
    else
        output_begin(&session->output, session->options->output, stdout, recipient_columns,
                     table ? RECIPIENT_COLUMN_lapsed : RECIPIENT_COLUMN_COUNT);
}

/* --- get --- */

struct wanted {
    struct str key;
    struct buf value; /* the last one */
    bool exists;
};

static enum rcode take_wanted(void *context, const struct port_record *record, struct err *err)
{
    struct wanted *wanted = context;
    (void)err;
    if (!str_equal(record->key, wanted->key))
        return OK;
    buf_clear(&wanted->value);
    buf_str(&wanted->value, record->value);
    wanted->exists = record->value.data != NULL;
    return OK;
}

static enum rcode key_of(const struct session *session, char ret_key[RECORD_KEY_MAX],
                         size_t *ret_len, struct err *err)
{
    const struct options *options = session->options;
    enum config_local_part local_part = session->settings->config->recipient.local_part;
    struct recipient_name name;
    enum rcode rc = recipient_name(options->argument, options->tenant ? options->tenant : "",
                                   local_part == LOCAL_PART_PRESERVE, &name, err);
    if (rc == OK)
        *ret_len = identity_key(name.who, ret_key);
    else
        err->code = E_USAGE;
    return rc == OK ? OK : E_USAGE;
}

static enum rcode get(struct session *session, bool *ret_found, struct err *err)
{
    const char *topic = session->deployment.topics[TOPIC_RECIPIENTS];
    char key[RECORD_KEY_MAX];
    struct wanted wanted = {.key = {key, 0}};
    int32_t partitions;
    struct recipient state;
    buf_init(&wanted.value);
    enum rcode rc = key_of(session, key, &wanted.key.len, err);
    if (rc == OK)
        rc = kafka_reader_partition_count(session->reader, topic, &partitions, err);
    struct kafka_reading reading = {
        .topic = topic, .until = -1, .context = &wanted, .record = take_wanted};
    if (rc == OK) {
        reading.partition = hash_partition(wanted.key, partitions);
        rc = kafka_reader_read(session->reader, &reading, err);
    }
    if (rc == OK && wanted.exists)
        rc = codec_decode_recipient(session->codec, buf_view(&wanted.value), &state, err);
    if (rc == OK && (wanted.exists || session->options->output != OUTPUT_TABLE)) {
        begin_output(session);
        if (wanted.exists)
            show(session, &state, reading.partition);
        output_end(&session->output);
    }
    if (rc == OK)
        *ret_found = wanted.exists;
    buf_deinit(&wanted.value);
    return rc;
}

/* --- list --- */

struct listing {
    struct session *session;
    int64_t unreadable;
};

static bool is_wanted(const struct session *session, const struct recipient *state)
{
    const struct options *options = session->options;
    enum recipient_status status = has_lapsed(session, state) ? STATUS_ACTIVE : state->status;
    if (options->status >= 0 && (int)status != options->status)
        return false;
    if (options->tenant && !str_equal(state->who.tenant, str_of(options->tenant)))
        return false;
    return !options->domain ||
           str_equal(recipient_domain(state->who.recipient), str_of(options->domain));
}

static enum rcode show_state(void *context, const struct port_record *record, struct err *err)
{
    struct listing *listing = context;
    struct recipient state;
    struct err why;
    enum rcode rc = codec_decode_recipient(listing->session->codec, record->value, &state, &why);
    if (rc != OK && rcode_disposition(rc) != DISPOSITION_REJECT) {
        *err = why;
        return rc;
    }
    if (rc != OK)
        listing->unreadable++;
    else if (is_wanted(listing->session, &state))
        show(listing->session, &state, record->partition);
    return OK;
}

static enum rcode list(struct session *session, struct err *err)
{
    struct changelog changelog = {session->reader, session->deployment.topics[TOPIC_RECIPIENTS]};
    struct listing listing = {.session = session};
    int32_t partitions;
    enum rcode rc =
        kafka_reader_partition_count(session->reader, changelog.topic, &partitions, err);
    begin_output(session);
    for (int32_t p = 0; rc == OK && p < partitions; p++)
        rc = changelog_live(&changelog, p, show_state, &listing, err);
    if (rc == OK)
        output_end(&session->output);
    if (listing.unreadable)
        fprintf(stderr, "rimbalzo: %lld states cannot be read\n", (long long)listing.unreadable);
    return rc;
}

/* --- the command --- */

static int run(const struct options *options, const struct settings *settings)
{
    struct err err = {0};
    struct session session = {.options = options, .settings = settings, .now_ms = clock_wall_ms()};
    struct schemas schemas = {0};
    bool found = true;
    enum rcode rc = deployment_init(&session.deployment, settings->config, &err);
    if (rc == OK)
        rc = schemas_open(settings->config, SCHEMAS_NONE, &schemas, &err);
    if (rc == OK)
        rc = codec_new(&schemas.codec, &session.codec, &err);
    if (rc == OK)
        rc = kafka_reader_open(session.deployment.properties, session.deployment.worker_group,
                               &session.reader, &err);
    if (rc == OK)
        rc = options->action == ACTION_GET ? get(&session, &found, &err) : list(&session, &err);
    kafka_reader_close(session.reader);
    codec_free(session.codec);
    schemas_close(&schemas);
    deployment_deinit(&session.deployment);
    if (rc != OK)
        return cli_fail(&err);
    if (!found)
        fprintf(stderr, "rimbalzo: nothing is known of %s\n", options->argument);
    return cli_finish(found ? EXIT_CODE_OK : EXIT_CODE_NEGATIVE);
}

static int carry_out(const struct options *options, const struct settings *settings)
{
    enum output_format output = options->output;
    switch (options->action) {
    case ACTION_VERIFY:
        return state_verify(&options->verify, settings, output);
    case ACTION_SNAPSHOT:
        return state_snapshot(options->argument, settings, output);
    case ACTION_RESTORE:
        return state_restore(options->argument, settings, output);
    case ACTION_NONE:
    case ACTION_GET:
    case ACTION_LIST:
    case ACTION_EXPORT:
    case ACTION_COUNT:
        break;
    }
    return run(options, settings);
}

int cmd_state(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"tenant", KEY_TENANT, "TENANT", 0, "of this tenant (get: the empty one otherwise)", 0},
        {"status", KEY_STATUS, "STATUS", 0, "only ACTIVE, SUSPENDED or SUPPRESSED", 0},
        {"domain", KEY_DOMAIN, "DOMAIN", 0, "only recipients of this domain", 0},
        {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1},
                                                 {&output_argp, 0, "", 2},
                                                 {&state_verify_argp, 0, "", 3},
                                                 {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "get ADDRESS\nlist\nverify\nexport\nsnapshot DIR\nrestore DIR",
        "Shows the state of one recipient, or of all, or proves it; takes and restores snapshots "
        "of "
        "the workers' local state.\v"
        "get, list and export read the recipients topic to its end; get reads one partition of it, "
        "and exits with 1 when nothing is known of the address. A suspension that has gone stale "
        "is "
        "shown as ACTIVE, with lapsed set. export shows every column, as CSV unless -o says "
        "otherwise. snapshot makes files of the workers' local state as of their certificates, "
        "beside running workers, and brings a snapshot that is there up to date. restore puts one "
        "in the place of local state: it is refused (75) while a worker of this state_dir runs; "
        "what has come since, workers read from the topic, and prove all of it. "
        "verify recomputes all states from the input up to the "
        "certificates, beside running workers. The recipients topic must be "
        "what the certificates say, nothing may have been written to it by "
        "anybody else, and each state must be what the input makes of it "
        "under this configuration and these rules. It exits with 1 and "
        "shows recipients and fields if not, and with 75 if recipients have "
        "events that the input does not hold any more. With --keep only "
        "what has come since the last time is read, and retention may take "
        "the rest.",
        children,
        NULL,
        NULL};
    struct options options = {.status = -1, .output = OUTPUT_TABLE, .verify.examples = 20};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    if (options.action == ACTION_EXPORT && options.output == OUTPUT_TABLE)
        options.output = OUTPUT_CSV;
    int code = carry_out(&options, &settings);
    settings_deinit(&settings);
    return code;
}
