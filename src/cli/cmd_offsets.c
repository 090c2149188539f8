/* rimbalzo offsets recover: certificates for a group that has lost its offsets. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/recover.h"
#include "cli/worker_tool.h"

enum { KEY_YES = 'y', KEY_DRY_RUN = 'n' };

struct options {
    struct settings_options settings;
    enum output_format output;
    bool recover, yes, dry_run;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case KEY_YES:
        options->yes = true;
        return 0;
    case KEY_DRY_RUN:
        options->dry_run = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->recover || strcmp(arg, "recover") != 0)
            argp_error(state, "\"%s\" is one argument too many, or not recover", arg);
        options->recover = true;
        return 0;
    case ARGP_KEY_END:
        if (!options->recover)
            argp_error(state, "say recover");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

struct plan {
    struct recover_partition *partitions;
    int32_t count;
    int lost;
};

static void show(const struct plan *plan, enum output_format format)
{
    static const char *const columns[] = {"partition", "input_offset",     "known_by",
                                          "unread",    "changelog_offset", "recipients",
                                          "digest",    "stream_time"};
    struct output output;
    output_begin(&output, format, stdout, columns, sizeof(columns) / sizeof(columns[0]));
    for (int32_t p = 0; p < plan->count; p++) {
        const struct recover_partition *partition = &plan->partitions[p];
        const struct certificate *certificate = &partition->certificate;
        char digest[17], time[32];
        snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)certificate->digest);
        clock_format(certificate->stream_time_ms, time);
        struct cell cells[] = {
            cell_number(p),
            cell_number(certificate->input_next),
            cell_text(str_of(recover_basis_names[partition->basis])),
            cell_number(partition->input.high - certificate->input_next),
            cell_number(certificate->log_next),
            cell_number((int64_t)certificate->entries),
            cell_text(str_of(digest)),
            cell_text(certificate->stream_time_ms ? str_of(time) : STR_NULL),
        };
        output_row(&output, cells);
    }
    output_end(&output);
}

static enum rcode make_plan(const struct worker_tool *tool, struct plan *plan, struct err *err)
{
    const char *const *topics = tool->deployment.topics;
    struct processor *worker = NULL;
    int32_t width = 0;
    enum rcode rc =
        kafka_reader_partition_count(tool->reader, topics[TOPIC_BOUNCES], &plan->count, err);
    if (rc == OK)
        rc = kafka_reader_partition_count(tool->reader, topics[TOPIC_RECIPIENTS], &width, err);
    if (rc == OK && width != plan->count)
        rc = err_set(err, E_PARTITION_COUNT_CHANGED,
                     "topic %s has %d partitions and topic %s has %d: a certificate belongs to one "
                     "partition of both",
                     topics[TOPIC_BOUNCES], plan->count, topics[TOPIC_RECIPIENTS], width);
    if (rc == OK)
        rc = worker_tool_worker(tool, plan->count, "", NULL, &worker, err);
    if (rc != OK)
        return rc;
    plan->partitions = mem_zalloc((size_t)plan->count * sizeof(plan->partitions[0]));
    struct recover_options options = {.reader = tool->reader,
                                      .group = tool->deployment.worker_group,
                                      .topics = topics,
                                      .codec = tool->codec,
                                      .worker = worker,
                                      .partitions = plan->count};
    rc = recover_plan(&options, plan->partitions, err);
    for (int32_t p = 0; p < plan->count; p++)
        plan->lost += plan->partitions[p].basis != RECOVER_CERTIFICATE;
    worker_free(worker);
    return rc;
}

static enum rcode commit(const struct worker_tool *tool, const struct plan *plan, struct err *err)
{
    struct kafka_group_offset *items = mem_zalloc(2 * (size_t)plan->lost * sizeof(*items));
    char(*texts)[PORT_METADATA_MAX + 1] = mem_zalloc((size_t)plan->lost * sizeof(*texts));
    int count = 0;
    for (int32_t p = 0; p < plan->count; p++) {
        const struct certificate *certificate = &plan->partitions[p].certificate;
        if (plan->partitions[p].basis == RECOVER_CERTIFICATE)
            continue;
        char *text = texts[count / 2];
        size_t len = worker_certificate_text(certificate, text);
        items[count++] = (struct kafka_group_offset){tool->deployment.topics[TOPIC_BOUNCES], p,
                                                     certificate->input_next, STR_NULL};
        items[count++] = (struct kafka_group_offset){
            tool->deployment.topics[TOPIC_RECIPIENTS], p, certificate->log_next, {text, len}};
    }
    enum rcode rc = kafka_group_offsets_set(tool->offsets, items, count, err);
    mem_free(texts);
    mem_free(items);
    return rc;
}

static enum rcode recover(const struct worker_tool *tool, const struct options *options,
                          struct plan *plan, int *ret_code, struct err *err)
{
    enum rcode rc = kafka_group_offsets_unused(tool->offsets, err);
    if (rc == OK)
        rc = make_plan(tool, plan, err);
    if (rc != OK)
        return rc;
    show(plan, options->output);
    if (!plan->lost) {
        fputs("every partition has its certificate\n", stderr);
        return OK;
    }
    if (options->dry_run) {
        fprintf(stderr, "%d of %d partitions have no certificate; nothing was changed\n",
                plan->lost, plan->count);
        return OK;
    }
    if (!options->yes &&
        !cli_confirmed("Commit %d certificate%s to group %s?", plan->lost,
                       plan->lost == 1 ? "" : "s", tool->deployment.worker_group)) {
        *ret_code = EXIT_CODE_NEGATIVE;
        return OK;
    }
    rc = commit(tool, plan, err);
    if (rc == OK)
        fprintf(stderr, "%d certificate%s committed: workers can be started\n", plan->lost,
                plan->lost == 1 ? "" : "s");
    return rc;
}

int cmd_offsets(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"yes", KEY_YES, NULL, 0, "commit without asking", 0},
        {"dry-run", KEY_DRY_RUN, NULL, 0, "only show what would be committed", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "recover",
        "Makes the worker's certificates anew when its group has lost its offsets.\v"
        "For a worker that stops with certificate_lost, because the group's offsets have expired "
        "or "
        "were deleted. Reads the recipients topic, the dead letters and the input, and commits for "
        "each partition without a certificate the state as it stands and the input offset behind "
        "the last record that left a trace; known_by says which. Nothing is lost or counted twice "
        "then. It is refused (75) while the group has members. The dispatcher's group cannot be "
        "recovered.",
        children,
        NULL,
        NULL};
    struct options options = {.output = OUTPUT_TABLE};
    struct settings settings = {0};
    struct worker_tool tool = {0};
    struct plan plan = {0};
    struct err err = {0};
    int code = EXIT_CODE_OK;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    enum rcode rc = worker_tool_open(&tool, &settings, &err);
    if (rc == OK)
        rc = recover(&tool, &options, &plan, &code, &err);
    mem_free(plan.partitions);
    worker_tool_close(&tool);
    settings_deinit(&settings);
    return rc == OK ? cli_finish(code) : cli_fail(&err);
}
