/*
 * rimbalzo ingest: what mail systems emit, as records into the input topic or on stdout. The
 * adapters are in src/ingest; here is what is around them: sources, sinks, progress, rejects, and
 * the account of what became of everything that was read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "cli/cli.h"
#include "cli/ingest_account.h"
#include "cli/ingest_sink.h"
#include "cli/ingest_source.h"
#include "cli/service.h"
#include "cli/settings.h"
#include "domain/address.h"

#define PATHS_MAX 100000
#define TOPIC_SCHEME "kafka:"
#define FAULTS_SHOWN 20

struct options {
    struct settings_options settings;
    char rules[4096]; /* "rules.file=…" */
    int format;       /* enum ingest_format, -1: not given */
    enum ingest_sink_kind sink;
    const char *tenant;
    const char *rejects;
    bool dry_run;
    const char **paths;
    int path_count;
    const char *topic; /* kafka:TOPIC instead of paths; NULL */
    int threads;
};

struct run {
    const struct options *options;
    struct ingest *ingest;
    struct classifier *classifier;
    struct ingest_sink *sink;
    FILE *rejects;
    struct ingest_account account;
    struct ingest_source source;
    int64_t size; /* octets of all sources; 0: not known */
    int64_t started_ms, told_ms;
    bool terminal;
};

/* --- options --- */

enum {
    KEY_FROM = 'f',
    KEY_TENANT = 't',
    KEY_REJECTS = 0x3000,
    KEY_DRY_RUN,
    KEY_RULES,
    KEY_THREADS
};

static void add_path(struct options *options, const char *path, struct argp_state *state)
{
    if (options->path_count == PATHS_MAX)
        argp_error(state, "more than %d files; give their folder", PATHS_MAX);
    options->paths = mem_realloc((void *)options->paths,
                                 (size_t)(options->path_count + 1) * sizeof(options->paths[0]));
    options->paths[options->path_count++] = path;
}

static void check(struct options *options, struct argp_state *state)
{
    if (options->format < 0)
        argp_error(state, "--from is missing: dsn, kumomta, ses, sendgrid, postmark, mailgun or "
                          "sisimai");
    if (!options->path_count)
        add_path(options, "-", state);
    for (int i = 0; i < options->path_count; i++)
        if (strncmp(options->paths[i], TOPIC_SCHEME, strlen(TOPIC_SCHEME)) == 0)
            options->topic = options->paths[i] + strlen(TOPIC_SCHEME);
    if (!options->topic)
        return;
    if (options->path_count > 1 || !*options->topic)
        argp_error(state, "give one topic, as kafka:TOPIC, and no files with it");
    if (options->sink != INGEST_SINK_TOPIC || options->rejects || options->dry_run)
        argp_error(state, "a topic is read into the input topic, what cannot be used goes to the "
                          "dead letters: without -o, --rejects and --dry-run");
}

static enum ingest_sink_kind sink_arg(const char *arg, struct argp_state *state)
{
    if (strcmp(arg, "jsonl") == 0)
        return INGEST_SINK_JSONL;
    if (strcmp(arg, "avro") != 0)
        argp_error(state, "-o takes jsonl or avro, not \"%s\"", arg);
    return INGEST_SINK_AVRO;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case KEY_FROM:
        options->format = name_index(ingest_format_names, INGEST_FORMAT_COUNT, str_of(arg));
        if (options->format < 0)
            argp_error(state,
                       "--from takes dsn, kumomta, ses, sendgrid, postmark, mailgun or sisimai, "
                       "not \"%s\"",
                       arg);
        return 0;
    case KEY_TENANT:
        if (!tenant_valid(str_of(arg)))
            argp_error(state, "--tenant takes up to 64 of a-z, 0-9, '.', '_' and '-', not \"%s\"",
                       arg);
        options->tenant = arg;
        return 0;
    case 'o':
        options->sink = sink_arg(arg, state);
        return 0;
    case KEY_REJECTS:
        options->rejects = arg;
        return 0;
    case KEY_DRY_RUN:
        options->dry_run = true;
        return 0;
    case KEY_THREADS:
        options->threads = (int)cli_number_arg(state, "threads", arg, 1);
        return 0;
    case KEY_RULES:
        if (options->settings.set_count == SETTINGS_SETS_MAX ||
            snprintf(options->rules, sizeof(options->rules), "rules.file=%s", arg) >=
                (int)sizeof(options->rules))
            argp_error(state, "--rules: the path is too long");
        options->settings.sets[options->settings.set_count++] = options->rules;
        return 0;
    case ARGP_KEY_ARG:
        add_path(options, arg, state);
        return 0;
    case ARGP_KEY_END:
        check(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- progress and messages --- */

static void clear_progress(const struct run *run)
{
    if (run->terminal && run->told_ms != run->started_ms)
        fputs("\r\x1b[K", stderr);
}

/* "[#####               ]  25 %"; nothing where the end is not known. */
static void tell_bar(const struct run *run)
{
    static const char full[] = "####################", empty[] = "                    ";
    int width = (int)sizeof(full) - 1;
    if (!run->size)
        return;
    int percent = (int)(run->source.octets * 100 / run->size);
    percent = percent > 100 ? 100 : percent;
    int done = percent * width / 100;
    if (run->terminal)
        fprintf(stderr, "[%.*s%.*s] ", done, full, width - done, empty);
    fprintf(stderr, "%d %% ", percent);
}

/* On a terminal one line that changes, else a line every 10 s. */
static void tell_progress(struct run *run)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - run->told_ms < (run->terminal ? 200 : 10000))
        return;
    run->told_ms = now_ms;
    const struct ingest_account *account = &run->account;
    if (run->terminal)
        fputs("\r\x1b[K", stderr);
    tell_bar(run);
    fprintf(stderr,
            "%" PRId64 " read, %" PRId64 " accepted, %" PRId64 " rejected, %" PRId64 " a second%s",
            account->read, account->accepted, account->rejected_all,
            account->read * 1000 / (now_ms - run->started_ms + 1), run->terminal ? "" : "\n");
}

static void tell_end(const struct run *run)
{
    fprintf(stderr, "%" PRId64 " items of %" PRId64 " files in %.1f s%s\n", run->account.items,
            run->source.files, (double)(clock_monotonic_ms() - run->started_ms + 1) / 1000,
            run->options->dry_run ? "; nothing was written" : "");
}

static void tell_fault(struct run *run, const char *file, const struct split_piece *piece,
                       const struct ingest_entry *entry)
{
    if (run->account.rejected_all > FAULTS_SHOWN)
        return;
    clear_progress(run);
    fprintf(stderr, "rimbalzo: %s:%" PRId64 ": %s: %.*s (at octet %" PRId64 ")\n", file,
            piece->line, rcode_name(entry->code), STR_ARG(entry->why), piece->offset);
    if (run->account.rejected_all == FAULTS_SHOWN)
        fprintf(stderr, "rimbalzo: further ones are not shown%s\n",
                run->rejects ? "" : "; --rejects FILE keeps them");
}

/* --- rejects --- */

/* A mail goes into an mbox, a JSON value on lines of its own: both can be read again. */
static void keep_reject(struct run *run, struct str octets)
{
    FILE *file = run->rejects;
    if (!file)
        return;
    if (run->source.kind == SPLIT_JSON) {
        (void)fwrite(octets.data, 1, octets.len, file);
        fputc('\n', file);
        return;
    }
    fputs("From rimbalzo Thu Jan  1 00:00:00 1970\n", file);
    for (size_t at = 0; at < octets.len;) {
        const char *end = memchr(octets.data + at, '\n', octets.len - at);
        size_t len = (end ? (size_t)(end - octets.data) + 1 : octets.len) - at;
        if (len >= 5 && memcmp(octets.data + at, "From ", 5) == 0)
            fputc('>', file);
        (void)fwrite(octets.data + at, 1, len, file);
        at += len;
    }
    fputs("\n\n", file);
}

/* --- items --- */

static enum rcode take_entry(struct run *run, const struct ingest_source_item *item,
                             const struct ingest_entry *entry, struct err *err)
{
    const struct input_record *record = &entry->record;
    struct verdict verdict = {0};
    if (entry->outcome == INGEST_BOUNCE)
        classify(run->classifier,
                 &(struct bounce_facts){.status = record->status,
                                        .reply_code = record->reply_code,
                                        .diagnostic = record->diagnostic,
                                        .remote_mta = record->remote_mta,
                                        .stage = record->stage},
                 &verdict);
    ingest_account_add(&run->account, entry, verdict.bounce_class);
    if (entry->outcome == INGEST_REJECTED)
        tell_fault(run, item->file, item->piece, entry);
    /* What is skipped without a recipient is only counted. */
    if (entry->outcome == INGEST_REJECTED || !record->recipient.data)
        return OK;
    return ingest_sink_put(run->sink, entry, entry->outcome == INGEST_BOUNCE ? &verdict : NULL,
                           (struct ingest_place){item->file, item->piece->line}, err);
}

static enum rcode take_item(void *context, const struct ingest_source_item *item, struct err *err)
{
    struct run *run = context;
    struct ingest_result result;
    struct ingest_item octets = {item->piece->octets, item->modified_ms};
    struct ingest_entry fault = {.outcome = INGEST_REJECTED,
                                 .code = E_MALFORMED,
                                 .why = str_of(item->piece->fault),
                                 .octets = item->piece->octets};
    int64_t rejected = run->account.rejected_all;
    enum rcode rc = OK;
    if (item->piece->fault)
        result = (struct ingest_result){&fault, 1};
    else
        ingest_read(run->ingest, &octets, &result);
    run->account.items++;
    for (size_t i = 0; rc == OK && i < result.count; i++)
        rc = take_entry(run, item, &result.entries[i], err);
    if (run->account.rejected_all > rejected)
        keep_reject(run, item->piece->octets);
    tell_progress(run);
    return rc;
}

/* --- all --- */

static enum rcode open_rejects(struct run *run, struct err *err)
{
    const char *path = run->options->rejects;
    if (!path || run->options->dry_run)
        return OK;
    run->rejects = fopen(path, "we");
    if (!run->rejects) {
        enum rcode rc = err_errno(err, E_IO, "cannot be written");
        err_prefix(err, "--rejects %s", path);
        return rc;
    }
    return OK;
}

static enum rcode close_rejects(struct run *run, struct err *err)
{
    bool lost = run->rejects && ferror(run->rejects);
    if (!run->rejects || (fclose(run->rejects) == 0 && !lost))
        return OK;
    return err_set(err, E_IO, "--rejects %s: not all of it could be written",
                   run->options->rejects);
}

static enum rcode read_all(struct run *run, struct err *err)
{
    enum rcode rc = OK, failed = OK;
    struct err why;
    for (int i = 0; rc == OK && i < run->options->path_count; i++) {
        rc = ingest_source_read(&run->source, run->options->paths[i], &why);
        /* The other files go on; a sink that fails ends it. */
        if (rc == E_IO) {
            clear_progress(run);
            fprintf(stderr, "rimbalzo: %s\n", why.text);
            failed = err_set(err, E_IO, "not all files could be read");
            rc = OK;
        }
    }
    if (rc != OK)
        *err = why;
    clear_progress(run);
    return rc == OK ? failed : rc;
}

static int run_all(struct run *run, const struct settings *settings)
{
    const struct options *options = run->options;
    struct err err;
    enum rcode rc = open_rejects(run, &err);
    if (rc == OK)
        rc = ingest_sink_open(options->dry_run ? INGEST_SINK_NONE : options->sink, settings->config,
                              &run->sink, &err);
    if (rc != OK)
        return cli_fail(&err);
    rc = read_all(run, &err);
    struct err why;
    enum rcode of_flush = ingest_sink_flush(run->sink, &why);
    if (rc == OK && of_flush != OK)
        err = why, rc = of_flush;
    enum rcode of_rejects = close_rejects(run, &why);
    if (rc == OK && of_rejects != OK)
        err = why, rc = of_rejects;
    enum rcode of_account = ingest_account_tell(&run->account, &why);
    tell_end(run);
    if (rc == OK && of_account != OK)
        err = why, rc = of_account;
    if (rc != OK)
        return cli_fail(&err);
    return run->account.rejected_all ? EXIT_CODE_DATA : EXIT_CODE_OK;
}

static int64_t size_of(const struct options *options)
{
    int64_t size = 0;
    for (int i = 0; i < options->path_count; i++) {
        int64_t more = ingest_source_size(options->paths[i]);
        if (!more)
            return 0;
        size += more;
    }
    return size;
}

static struct ingest_options ingest_options_of(const struct options *options,
                                               const struct settings *settings)
{
    return (struct ingest_options){.format = (enum ingest_format)options->format,
                                   .tenant = str_of(options->tenant),
                                   .local_part_preserve = settings->policies.local_part_preserve};
}

static int ingest_topic(const struct options *options, const struct settings *settings)
{
    struct ingest_options ingest = ingest_options_of(options, settings);
    struct service_run run = {.settings = settings, .ingest = &ingest, .source = options->topic};
    run.threads[ROLE_INGEST] = options->threads;
    settings_log(settings);
    return service_run(&run);
}

static int ingest_all(const struct options *options, const struct settings *settings)
{
    struct ingest_options ingest = ingest_options_of(options, settings);
    struct run run = {
        .options = options,
        .ingest = ingest_new(&ingest),
        .classifier = classifier_new(settings->rules),
        .started_ms = clock_monotonic_ms(),
        .terminal = isatty(STDERR_FILENO),
    };
    run.told_ms = run.started_ms;
    run.source = (struct ingest_source){
        .kind = ingest_is_json((enum ingest_format)options->format) ? SPLIT_JSON : SPLIT_MAIL,
        .context = &run,
        .item = take_item};
    run.size = size_of(options);
    int code = run_all(&run, settings);
    ingest_sink_close(run.sink);
    classifier_free(run.classifier);
    ingest_free(run.ingest);
    return cli_finish(code);
}

int cmd_ingest(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"from", KEY_FROM, "FORMAT", 0, "dsn, kumomta, ses, sendgrid, postmark, mailgun or sisimai",
         0},
        {"output", 'o', "FORMAT", 0, "jsonl or avro: to stdout instead of the input topic", 0},
        {"tenant", KEY_TENANT, "TENANT", 0, "whose list the recipients are on", 0},
        {"rules", KEY_RULES, "FILE", 0, "classification rules (rules.file)", 0},
        {"rejects", KEY_REJECTS, "FILE", 0, "keep what cannot be used; it can be read again", 0},
        {"threads", KEY_THREADS, "N", 0, "of kafka:TOPIC: engine threads (default 1)", 0},
        {"dry-run", KEY_DRY_RUN, NULL, 0, "read and count, write nothing", 0},
        {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "[FILE|FOLDER|-]...\nkafka:TOPIC",
        "Reads what mail systems report and writes bounce and delivery records.\v"
        "Files, folders of files, Maildirs, an mbox, or stdin. JSON may be lines, arrays or "
        "values of several lines. Only final failures and deliveries become records, each with an "
        "id that is the same when it is read again; the table at the end accounts for all that "
        "was read. What cannot be used is reported with its place, the others go on, and it ends "
        "with 65.\n\n"
        "kafka:TOPIC is read for as long as it runs, by the members of the group "
        "<app>-ingest-TOPIC together, and each of its records exactly once: its value is what a "
        "file would hold. What cannot be used goes to the dead letters. It ends with 0 upon "
        "SIGTERM or SIGINT.",
        children,
        NULL,
        NULL};
    struct options options = {.format = -1, .sink = INGEST_SINK_TOPIC, .threads = 1};
    struct settings settings = {0};
    struct err err;
    if (!failpoint_init()) {
        fprintf(stderr, "rimbalzo: RIMBALZO_FAILPOINT names no failpoint\n");
        return EXIT_CODE_USAGE;
    }
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    int code;
    if (settings_load(&options.settings, &settings, &err) != OK)
        code = cli_fail(&err);
    else
        code = options.topic ? ingest_topic(&options, &settings) : ingest_all(&options, &settings);
    settings_deinit(&settings);
    mem_free((void *)options.paths);
    return code;
}
