/* rimbalzo reshard: more partitions for the input, and the recipients with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/reshard.h"

enum { KEY_YES = 'y', KEY_DRY_RUN = 'n', KEY_PARTITIONS = 'p', KEY_TO = 't', KEY_STRAYS = 0x100 };

#define TARGETS_MAX 100000

struct options {
    struct settings_options settings;
    enum output_format output;
    int32_t partitions;
    const char *to;
    bool yes, dry_run, accept_strays;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case KEY_PARTITIONS: {
        int64_t count = cli_number_arg(state, "partitions", arg, 2);
        if (count > TARGETS_MAX)
            argp_error(state, "--partitions takes at most %d", TARGETS_MAX);
        options->partitions = (int32_t)count;
        return 0;
    }
    case KEY_TO:
        options->to = arg;
        return 0;
    case KEY_YES:
        options->yes = true;
        return 0;
    case KEY_DRY_RUN:
        options->dry_run = true;
        return 0;
    case KEY_STRAYS:
        options->accept_strays = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one argument too many", arg);
        return EINVAL;
    case ARGP_KEY_END:
        if (!options->partitions)
            argp_error(state, "--partitions says how many there shall be");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The name as it is, with the next number of a version: x → x.v2 → x.v3. */
static void next_name(const char *name, struct buf *ret_name)
{
    const char *dot = strrchr(name, '.');
    char *end = NULL;
    long version = dot && dot[1] == 'v' ? strtol(dot + 2, &end, 10) : 0;
    if (version >= 1 && version < 1000000 && end != dot + 2 && !*end)
        buf_printf(ret_name, "%.*s.v%ld", (int)(dot - name), name, version + 1);
    else
        buf_printf(ret_name, "%s.v2", name);
    buf_append(ret_name, "", 1);
}

static void show(const struct reshard *reshard, enum output_format format)
{
    static const char *const columns[] = {"partition", "input_offset", "unread", "strays",
                                          "from",      "recipients",   "digest", "stream_time"};
    struct output output;
    output_begin(&output, format, stdout, columns, sizeof(columns) / sizeof(columns[0]));
    for (int32_t q = 0; q < reshard->to_count; q++) {
        const struct certificate *certificate = &reshard->targets[q].certificate;
        const struct reshard_source *source = q < reshard->from_count ? &reshard->sources[q] : NULL;
        char digest[17], time[32];
        snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)certificate->digest);
        clock_format(certificate->stream_time_ms, time);
        struct cell none = cell_text(STR_NULL);
        struct cell cells[] = {
            cell_number(q),
            cell_number(certificate->input_next),
            source ? cell_number(source->unread) : none,
            source ? cell_number(source->strays) : none,
            source ? cell_number((int64_t)source->certificate.entries) : none,
            cell_number((int64_t)certificate->entries),
            cell_text(str_of(digest)),
            certificate->stream_time_ms ? cell_text(str_of(time)) : none,
        };
        output_row(&output, cells);
    }
    output_end(&output);
}

/* False: there are records that nobody has said to be all right. */
static bool strays_accepted(const struct reshard *reshard, const struct options *options)
{
    long long strays = 0, lost = 0;
    for (int32_t p = 0; p < reshard->from_count; p++) {
        strays += reshard->sources[p].strays;
        lost += reshard->sources[p].lost;
    }
    if (!strays)
        return true;
    fprintf(stderr,
            "rimbalzo: %lld records of the input are not read yet and will be in a wrong partition "
            "then; workers will send %lld of them on, out of the order of their recipients, and "
            "%lld become dead letters\n",
            strays, strays - lost, lost);
    if (options->accept_strays)
        return true;
    if (reshard->input_count == reshard->from_count)
        fputs("rimbalzo: stop whoever writes to the input, let the workers read it to its end "
              "(`rimbalzo lag worker`), stop them, and run this again\n",
              stderr);
    else
        fputs("rimbalzo: the input topic has its partitions already, so no worker can read them in "
              "their order any more: --accept-strays goes on\n",
              stderr);
    return false;
}

static void tell(void *context, uint64_t done, uint64_t total)
{
    progress_show(context, (int64_t)done, (int64_t)total);
}

static enum rcode carry_out(struct reshard *reshard, struct err *err)
{
    struct progress progress;
    progress_begin(&progress, "recipients");
    reshard->progress = tell;
    reshard->progress_context = &progress;
    enum rcode rc = reshard_begin(reshard, err);
    if (rc == OK)
        rc = reshard_copy(reshard, err);
    if (rc == OK)
        rc = reshard_prove(reshard, err);
    if (rc == OK)
        rc = reshard_finish(reshard, err);
    progress_clear(&progress);
    if (rc == OK)
        fprintf(stderr, "%llu recipients written in %.1f s\n", (unsigned long long)reshard->copied,
                (double)progress_ms(&progress) / 1000);
    return rc;
}

static void tell_next(const struct reshard *reshard)
{
    fprintf(stderr,
            "topic %s has the recipients of %s, proven, in %d partitions. Now set\n"
            "    topics:\n      recipients: %s\n"
            "for every worker and whoever reads that topic, and start the workers\n",
            reshard->to, reshard->from, reshard->to_count, reshard->to);
}

static enum rcode run(struct reshard *reshard, const struct options *options, int *ret_code,
                      struct err *err)
{
    enum rcode rc = reshard_plan(reshard, err);
    if (rc != OK)
        return rc;
    if (reshard->stage == RESHARD_FINISHED) {
        tell_next(reshard);
        return OK;
    }
    show(reshard, options->output);
    fprintf(stderr, "%llu recipients, %016llx without source_offset, %s -> %s%s\n",
            (unsigned long long)reshard_entries(reshard), (unsigned long long)reshard->content,
            reshard->from, reshard->to,
            reshard->stage == RESHARD_BEGUN ? ", begun by an earlier run" : "");
    if (!strays_accepted(reshard, options)) {
        *ret_code = EXIT_CODE_AGAIN;
        return OK;
    }
    if (options->dry_run) {
        fputs("nothing was changed\n", stderr);
        return OK;
    }
    if (!options->yes &&
        !cli_confirmed("Carry %llu recipients over to %d partitions?",
                       (unsigned long long)reshard_entries(reshard), reshard->to_count)) {
        *ret_code = EXIT_CODE_NEGATIVE;
        return OK;
    }
    rc = carry_out(reshard, err);
    if (rc == OK)
        tell_next(reshard);
    return rc;
}

static int reshard_with(const struct options *options, const struct settings *settings)
{
    struct worker_tool tool = {0};
    struct reshard reshard = {0};
    struct buf name;
    struct err err = {0};
    int code = EXIT_CODE_OK;
    buf_init(&name);
    next_name(settings->config->topics.recipients, &name);
    enum rcode rc = worker_tool_open(&tool, settings, &err);
    if (rc == OK) {
        reshard_init(&reshard, &tool, options->to ? options->to : name.data, options->partitions);
        rc = run(&reshard, options, &code, &err);
        reshard_deinit(&reshard);
    }
    worker_tool_close(&tool);
    buf_deinit(&name);
    return rc == OK ? cli_finish(code) : cli_fail(&err);
}

int cmd_reshard(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"partitions", KEY_PARTITIONS, "N", 0, "of the input and of the new recipients topic", 0},
        {"to", KEY_TO, "TOPIC", 0,
         "the new recipients topic (topics.recipients with .v2, .v3 … unless given)", 0},
        {"accept-strays", KEY_STRAYS, NULL, 0,
         "go on though records are not read that belong elsewhere then", 0},
        {"yes", KEY_YES, NULL, 0, "without asking", 0},
        {"dry-run", KEY_DRY_RUN, NULL, 0, "only show what would be done", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "",
        "Gives the input topic more partitions and carries the recipients over.\v"
        "Stop whoever writes to the input, let the workers read it to its end, stop them, and run "
        "this with the configuration as it is. It widens the input topic unless that has been "
        "done, "
        "writes every recipient into a new recipients topic, to the partition it belongs to now, "
        "reads that topic back and compares it with the old one, and commits certificates from "
        "which workers go on without losing a record or counting one twice. Then set "
        "topics.recipients to the new name and start again. The old topic stays as it is, until "
        "you "
        "delete it. What was cut off is gone on with when it is run again; until it has come to "
        "its "
        "end no worker starts on the new topic. It is refused (75) while the group has members. "
        "The other topics keep their partitions, and the dispatcher may run meanwhile.",
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
    if (!failpoint_init()) {
        fputs("rimbalzo: RIMBALZO_FAILPOINT names no crash point\n", stderr);
        return EXIT_CODE_USAGE;
    }
    int code = reshard_with(&options, &settings);
    settings_deinit(&settings);
    return code;
}
