/* rimbalzo topics plan|apply|check: the topics as they must be, and as they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "cli/topics_setup.h"

enum action { ACTION_PLAN, ACTION_APPLY, ACTION_CHECK, ACTION_NONE };

struct options {
    struct settings_options settings;
    enum output_format output;
    enum action action;
    bool yes;
};

enum { KEY_YES = 'y' };

static const char *const action_names[] = {"plan", "apply", "check"};
static const char *const kind_names[] = {
    [TOPICS_CREATE] = "create",
    [TOPICS_PARTITIONS] = "add_partitions",
    [TOPICS_CONFIG] = "configure",
    [TOPICS_FAULT] = "by_hand",
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
    case ARGP_KEY_ARG:
        for (int i = 0; i < ACTION_NONE; i++)
            if (options->action == ACTION_NONE && strcmp(arg, action_names[i]) == 0) {
                options->action = (enum action)i;
                return 0;
            }
        argp_error(state, "\"%s\" is not plan, apply or check", arg);
        return EINVAL;
    case ARGP_KEY_END:
        if (options->action == ACTION_NONE)
            argp_error(state, "say plan, apply or check");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void show(const struct topics_plan *plan, const struct topics_options *topics,
                 enum output_format format)
{
    static const char *const columns[] = {"topic", "action", "setting", "from", "to", "why"};
    struct output output;
    if (!plan->count && format == OUTPUT_TABLE)
        return; /* stderr says so */
    output_begin(&output, format, stdout, columns, sizeof(columns) / sizeof(columns[0]));
    for (int i = 0; i < plan->count; i++) {
        const struct topics_change *change = &plan->changes[i];
        const char *setting = change->setting;
        if (change->kind == TOPICS_PARTITIONS || change->kind == TOPICS_CREATE)
            setting = "partitions";
        struct cell cells[] = {
            cell_text(str_of(topics->topics[change->topic])),
            cell_text(str_of(kind_names[change->kind])),
            cell_text(str_of(setting)),
            cell_text(*change->from ? str_of(change->from) : STR_NULL),
            cell_text(*change->to ? str_of(change->to) : STR_NULL),
            cell_text(str_of(change->text)),
        };
        output_row(&output, cells);
    }
    output_end(&output);
}

/* What only a person can mend; advice does not count. */
static int count_by_hand(const struct topics_plan *plan)
{
    int count = 0;
    for (int i = 0; i < plan->count; i++)
        count += plan->changes[i].kind == TOPICS_FAULT && !plan->changes[i].advice;
    return count;
}

static int count_mendable(const struct topics_plan *plan)
{
    int count = 0;
    for (int i = 0; i < plan->count; i++)
        count += plan->changes[i].kind != TOPICS_FAULT;
    return count;
}

static bool wrong(const struct topics_plan *plan)
{
    for (int i = 0; i < plan->count; i++)
        if (!plan->changes[i].advice)
            return true;
    return false;
}

/* The answer of `plan` and `check`. */
static int judge(const struct options *options, const struct topics_plan *plan)
{
    if (!plan->count) {
        fputs("the topics are as they must be\n", stderr);
        return EXIT_CODE_OK;
    }
    if (count_mendable(plan))
        fputs("`rimbalzo topics apply` makes these changes, those by hand excepted\n", stderr);
    return options->action == ACTION_CHECK && wrong(plan) ? EXIT_CODE_NEGATIVE : EXIT_CODE_OK;
}

static int apply(const struct options *options, const struct topics_options *topics,
                 const struct topics_plan *plan)
{
    struct err err = {0};
    int changes = count_mendable(plan), by_hand = count_by_hand(plan);
    if (changes) {
        if (!options->yes && !cli_confirmed("Make %d change%s?", changes, changes == 1 ? "" : "s"))
            return EXIT_CODE_NEGATIVE;
        if (topics_apply(topics, plan, &err) != OK)
            return cli_fail(&err);
        fprintf(stderr, "%d change%s made\n", changes, changes == 1 ? "" : "s");
    }
    if (by_hand)
        fprintf(stderr, "%d thing%s to be mended by hand\n", by_hand,
                by_hand == 1 ? " is left" : "s are left");
    else if (!changes)
        fputs("the topics are as they must be\n", stderr);
    return by_hand ? EXIT_CODE_NEGATIVE : EXIT_CODE_OK;
}

static int run(const struct options *options, const struct config *config)
{
    struct err err = {0};
    struct deployment deployment = {0};
    struct topics_plan *plan = mem_zalloc(sizeof(*plan));
    int code;
    if (deployment_init(&deployment, config, &err) != OK) {
        code = cli_fail(&err);
        goto out;
    }
    struct topics_options topics = topics_setup(config, &deployment);
    if (topics_plan(&topics, plan, &err) != OK) {
        code = cli_fail(&err);
        goto out;
    }
    show(plan, &topics, options->output);
    code = options->action == ACTION_APPLY ? apply(options, &topics, plan) : judge(options, plan);
out:
    mem_free(plan);
    deployment_deinit(&deployment);
    return cli_finish(code);
}

int cmd_topics(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"yes", KEY_YES, NULL, 0, "apply without asking", 0}, {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "plan|apply|check",
        "Creates and checks the topics.\v"
        "plan shows what apply would change; apply asks before it changes anything; check exits "
        "with "
        "1 if something is not as it must be. New topics get topics.partitions partitions and "
        "topics.replication replicas. No topic is ever deleted, and nothing is narrowed.",
        children,
        NULL,
        NULL};
    struct options options = {.action = ACTION_NONE, .output = OUTPUT_TABLE};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = run(&options, settings.config);
    settings_deinit(&settings);
    return code;
}
