/* rimbalzo suppress, reinstate, forget: an operator's overrides, as records of the input topic. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/copies.h"
#include "cli/input_writer.h"
#include "cli/override.h"
#include "cli/override_wait.h"
#include "cli/progress.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "domain/address.h"

#define ADDRESSES_MAX 10000
#define FAULTS_SHOWN 20

enum {
    KEY_TENANT = 't',
    KEY_FILE = 'f',
    KEY_REASON = 0x4000,
    KEY_ACTOR,
    KEY_BATCH,
    KEY_REJECTS,
    KEY_WAIT,
    KEY_DRY_RUN,
    KEY_YES,
    KEY_REPORT
};

struct options {
    struct settings_options settings;
    enum output_format output;
    struct override_options override;
    const char *addresses[ADDRESSES_MAX];
    int address_count;
    const char *file; /* NULL: none, "-": stdin */
    const char *rejects;
    int64_t wait_ms; /* 0: no */
    bool dry_run, yes, report;
};

static const char *const verbs[OVERRIDE_ACTION_COUNT] = {[OVERRIDE_REINSTATE] = "reinstate",
                                                         [OVERRIDE_SUPPRESS] = "suppress",
                                                         [OVERRIDE_FORGET] = "forget"};

/* --- options --- */

static struct str text_arg(struct argp_state *state, const char *name, const char *arg)
{
    struct str text = str_of(arg);
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_len(text, at);
        if (!len || text.len > TEXT_FIELD_MAX)
            argp_error(state, "--%s takes up to %d octets of UTF-8", name, TEXT_FIELD_MAX);
        at += len;
    }
    return text;
}

static void check(const struct options *options, struct argp_state *state)
{
    bool any = options->address_count || options->file;
    if (!any && !options->report)
        argp_error(state, "which recipients? Give addresses, or --file");
    if (options->file && options->address_count)
        argp_error(state, "give addresses or --file, not both");
    if (options->dry_run && (options->wait_ms || options->report))
        argp_error(state, "--dry-run writes nothing: without --wait and --report");
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
        options->override.tenant = str_of(arg);
        if (!tenant_valid(options->override.tenant))
            argp_error(state, "--tenant takes up to 64 of a-z, 0-9, '.', '_' and '-', not \"%s\"",
                       arg);
        return 0;
    case KEY_FILE:
        options->file = arg;
        return 0;
    case KEY_REASON:
        options->override.reason = text_arg(state, "reason", arg);
        return 0;
    case KEY_ACTOR:
        options->override.actor = text_arg(state, "actor", arg);
        return 0;
    case KEY_BATCH:
        options->override.batch = text_arg(state, "batch", arg);
        return 0;
    case KEY_REJECTS:
        options->rejects = arg;
        return 0;
    case KEY_WAIT:
        options->wait_ms = cli_number_arg(state, "wait", arg, 1) * 1000;
        return 0;
    case KEY_DRY_RUN:
        options->dry_run = true;
        return 0;
    case KEY_YES:
        options->yes = true;
        return 0;
    case KEY_REPORT:
        options->report = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->address_count == ADDRESSES_MAX)
            argp_error(state, "more than %d addresses; put them into a file", ADDRESSES_MAX);
        options->addresses[options->address_count++] = arg;
        return 0;
    case ARGP_KEY_END:
        check(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- addresses become records --- */

struct run {
    const struct options *options;
    struct deployment deployment;
    struct schemas schemas;
    struct codec *codec;
    struct input_writer *writer; /* NULL: --dry-run */
    struct override_wait *wait;  /* NULL: nobody waits */
    struct output output;        /* of --dry-run */
    FILE *rejects;
    struct progress progress;
    int64_t written, rejected;
};

static void show(struct run *run, const struct override *override, int64_t line)
{
    const struct cell cells[] = {
        cell_number(line),
        cell_text(override->who.recipient),
        cell_text(override->who.tenant),
        cell_text(str_of(override_action_names[override->record.action])),
        cell_text(override->record.event_id),
    };
    output_row(&run->output, cells);
}

static void reject(struct run *run, struct str address, int64_t line, const struct err *why)
{
    const char *file = run->options->file;
    if (run->rejects) {
        (void)fwrite(address.data, 1, address.len, run->rejects); /* told by close_rejects */
        fputc('\n', run->rejects);
    }
    if (run->rejected++ >= FAULTS_SHOWN) {
        if (run->rejected == FAULTS_SHOWN + 1)
            fprintf(stderr, "rimbalzo: further ones are not shown%s\n",
                    run->rejects ? "" : "; --rejects FILE keeps them");
        return;
    }
    progress_clear(&run->progress);
    fprintf(stderr, "rimbalzo: %s:%" PRId64 ": %s: %s\n",
            !file                    ? "argument"
            : strcmp(file, "-") == 0 ? "stdin"
                                     : file,
            line, rcode_name(why->code), why->text);
}

static enum rcode take(struct run *run, struct str address, int64_t line, struct err *err)
{
    struct override override;
    struct err why;
    if (override_make(&run->options->override, address, &override, &why) != OK) {
        reject(run, address, line, &why);
        return OK;
    }
    run->written++;
    if (!run->writer) {
        show(run, &override, line);
        return OK;
    }
    if (run->wait)
        override_wait_note(run->wait, override.who);
    return input_writer_put(run->writer, &override.record, override.who, err);
}

static enum rcode take_file(struct run *run, struct err *err)
{
    const char *path = run->options->file;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    struct stat about = {0};
    char *text = NULL;
    size_t room = 0;
    ssize_t len = 0;
    int64_t done = 0;
    enum rcode rc = file ? OK : err_errno(err, E_IO, "cannot be read");
    if (file)
        (void)fstat(fileno(file), &about); /* what is not known is 0 */
    for (int64_t line = 1; rc == OK && (len = getline(&text, &room, file)) >= 0; line++) {
        done += len;
        struct str address = {text, (size_t)len};
        while (address.len && (text[address.len - 1] == '\n' || text[address.len - 1] == '\r'))
            address.len--;
        if (!override_is_blank(address))
            rc = take(run, address, line, err);
        progress_show(&run->progress, done, about.st_size);
    }
    progress_clear(&run->progress);
    if (file && rc == OK && ferror(file))
        rc = err_errno(err, E_IO, "cannot be read");
    if (rc == E_IO)
        err_prefix(err, "%s", path);
    if (file && !is_stdin)
        fclose(file);
    free(text);
    return rc;
}

static enum rcode take_all(struct run *run, struct err *err)
{
    const struct options *options = run->options;
    enum rcode rc = OK;
    if (options->file)
        return take_file(run, err);
    for (int i = 0; rc == OK && i < options->address_count; i++)
        rc = take(run, str_of(options->addresses[i]), i + 1, err);
    return rc;
}

/* --- the commands --- */

static enum rcode open_all(struct run *run, const struct settings *settings, struct err *err)
{
    const struct options *options = run->options;
    enum rcode rc = deployment_init(&run->deployment, settings->config, err);
    if (rc == OK && options->rejects && !(run->rejects = fopen(options->rejects, "we"))) {
        rc = err_errno(err, E_IO, "cannot be written");
        err_prefix(err, "--rejects %s", options->rejects);
    }
    if (rc != OK || options->dry_run)
        return rc;
    rc = schemas_open(settings->config, 1u << RECORD_OVERRIDE, &run->schemas, err);
    if (rc == OK)
        rc = codec_new(&run->schemas.codec, &run->codec, err);
    if (rc == OK)
        rc = input_writer_open(&run->deployment, run->codec, &run->writer, err);
    if (rc == OK && options->wait_ms)
        rc = override_wait_open(&run->deployment, options->override.action == OVERRIDE_FORGET,
                                &run->wait, err);
    return rc;
}

static enum rcode close_rejects(struct run *run, struct err *err)
{
    bool lost = run->rejects && ferror(run->rejects);
    if (!run->rejects || (fclose(run->rejects) == 0 && !lost))
        return OK;
    return err_set(err, E_IO, "--rejects %s: not all of it could be written",
                   run->options->rejects);
}

static enum rcode write_all(struct run *run, struct err *err)
{
    static const char *const columns[] = {"line", "recipient", "tenant", "action", "event_id"};
    const struct options *options = run->options;
    if (options->dry_run)
        output_begin(&run->output, options->output, stdout, columns, 5);
    progress_begin(&run->progress, "octets");
    enum rcode rc = take_all(run, err);
    if (rc == OK && run->writer)
        rc = input_writer_flush(run->writer, err);
    if (options->dry_run)
        output_end(&run->output);
    if (rc != OK && run->writer)
        fprintf(stderr,
                "rimbalzo: part of it may be written; the same again with --batch %.*s counts "
                "once\n",
                STR_ARG(options->override.batch));
    return rc;
}

static void tell(const struct run *run)
{
    const struct options *options = run->options;
    fprintf(stderr, "%s: %" PRId64 " record%s%s, %" PRId64 " rejected",
            verbs[options->override.action], run->written, run->written == 1 ? "" : "s",
            options->dry_run ? " would be written" : " written", run->rejected);
    if (!options->dry_run)
        fprintf(stderr, " (batch %.*s)", STR_ARG(options->override.batch));
    fputc('\n', stderr);
}

static bool may_go_on(const struct options *options, const char *app)
{
    const char *verb = verbs[options->override.action];
    if (options->yes || options->dry_run)
        return true;
    if (options->file)
        return cli_confirmed("%s: %s all recipients of %s?", app, verb, options->file);
    if (options->override.action != OVERRIDE_FORGET)
        return true;
    return cli_confirmed("%s: %s %d recipient%s?", app, verb, options->address_count,
                         options->address_count == 1 ? "" : "s");
}

static int run_all(struct run *run, const struct settings *settings)
{
    const struct options *options = run->options;
    struct err err = {0}, why;
    if (!may_go_on(options, settings->config->app))
        return EXIT_CODE_NEGATIVE;
    enum rcode rc = open_all(run, settings, &err);
    if (rc == OK)
        rc = write_all(run, &err);
    if (close_rejects(run, &why) != OK && rc == OK)
        err = why, rc = why.code;
    if (rc == OK)
        tell(run);
    if (rc == OK && run->wait)
        rc = override_wait_done(run->wait, options->wait_ms, &err);
    if (rc != OK)
        return cli_fail(&err);
    return run->rejected ? EXIT_CODE_DATA : EXIT_CODE_OK;
}

static int run(const struct options *options, const struct settings *settings)
{
    struct run run = {.options = options};
    struct err err;
    int code = EXIT_CODE_OK;
    if (options->file || options->address_count)
        code = run_all(&run, settings);
    override_wait_close(run.wait);
    input_writer_close(run.writer);
    codec_free(run.codec);
    schemas_close(&run.schemas);
    deployment_deinit(&run.deployment);
    if (options->report && (code == EXIT_CODE_OK || code == EXIT_CODE_DATA) &&
        copies_show(settings, options->output, &err) != OK)
        code = cli_fail(&err);
    return cli_finish(code);
}

static int override_run(struct options *options, const struct argp *argp, int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    char batch[64];
    int64_t now_ms = clock_wall_ms();
    snprintf(batch, sizeof(batch), "%" PRId64 "-%d", now_ms, (int)getpid());
    options->output = OUTPUT_TABLE;
    options->override.tenant = STR("");
    options->override.batch = str_of(batch);
    options->override.now_ms = now_ms;
    argp_parse(argp, argc, argv, 0, NULL, options);
    if (settings_load(&options->settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    options->override.local_part_preserve = settings.policies.local_part_preserve;
    int code = run(options, &settings);
    settings_deinit(&settings);
    mem_free(options);
    return code;
}

#define OPTIONS                                                                                    \
    {"tenant", KEY_TENANT, "TENANT", 0, "whose list the recipients are on", 0},                    \
        {"file", KEY_FILE, "FILE", 0, "an address on each line; -: stdin", 0},                     \
        {"reason", KEY_REASON, "TEXT", 0, "why; kept in the record", 0},                           \
        {"actor", KEY_ACTOR, "TEXT", 0, "who wants it; kept in the record", 0},                    \
        {"batch", KEY_BATCH, "NAME", 0, "the same batch given again counts once", 0},              \
        {"rejects", KEY_REJECTS, "FILE", 0, "keep what is no address", 0},                         \
        {"wait", KEY_WAIT, "SECONDS", 0, "until it has taken effect, so long at most", 0},         \
        {"dry-run", KEY_DRY_RUN, NULL, 0, "show the records, write nothing", 0},                   \
    {                                                                                              \
        "yes", KEY_YES, NULL, 0, "without asking", 0                                               \
    }

static const struct argp_child children[] = {
    {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};

#define ADDRESSES "ADDRESS...\n--file=FILE"
#define MORE                                                                                       \
    "What is no address is told with its line and passed over; the rest is written, and the exit " \
    "code is 65. Each run is a batch with a name of its own, told at the end: if a run was cut "   \
    "off, the same again with --batch NAME counts once. With --wait the exit code is 75 if the "   \
    "time is over first."

int cmd_suppress(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {OPTIONS, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        ADDRESSES,
        "Takes recipients off the list, by an operator's will.\v"
        "Writes a record for each to the input topic; the worker suppresses the recipient, known "
        "or not, and cancels what is pending. Only reinstate lifts it. " MORE,
        children,
        NULL,
        NULL};
    struct options *options = mem_zalloc(sizeof(*options));
    options->override.action = OVERRIDE_SUPPRESS;
    return override_run(options, &argp, argc, argv);
}

int cmd_reinstate(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {OPTIONS, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        ADDRESSES,
        "Puts recipients back on the list.\v"
        "Writes a record for each to the input topic; the worker makes a suppressed or suspended "
        "recipient active and releases what is pending. " MORE,
        children,
        NULL,
        NULL};
    struct options *options = mem_zalloc(sizeof(*options));
    options->override.action = OVERRIDE_REINSTATE;
    return override_run(options, &argp, argc, argv);
}

int cmd_forget(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        OPTIONS,
        {"report", KEY_REPORT, NULL, 0, "show what topics keep, and for how long", 0},
        {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        ADDRESSES "\n--report",
        "Deletes what is known of recipients.\v"
        "Writes a record for each to the input topic; the worker deletes the state, leaves a "
        "tombstone in the recipients topic and cancels what is pending; --wait waits for the "
        "dispatcher as well, which drops that. A suppression is forgotten too: the address may be "
        "written to again. What the topics hold goes with their retention, which --report reads "
        "from the broker, with the earliest time at which a copy written now may be gone. " MORE,
        children,
        NULL,
        NULL};
    struct options *options = mem_zalloc(sizeof(*options));
    options->override.action = OVERRIDE_FORGET;
    return override_run(options, &argp, argc, argv);
}
