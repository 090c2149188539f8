/* rimbalzo replay plan|diff|apply: the state recomputed from the input topic alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/replay_command.h"

#define ACTIONS(X)                                                                                 \
    X(plan)                                                                                        \
    X(diff)                                                                                        \
    X(apply)

static const struct {
    const char *name;
    int (*run)(const struct replay_command *command);
} actions[] = {
#define X(name) {#name, replay_##name},
    ACTIONS(X)
#undef X
};
#define ACTION_COUNT (sizeof(actions) / sizeof(actions[0]))

struct options {
    struct settings_options settings;
    struct replay_command command;
    int (*run)(const struct replay_command *command); /* NULL: not said */
};

enum {
    KEY_POLICY = 'p',
    KEY_YES = 'y',
    KEY_DRY_RUN = 'n',
    KEY_THREADS = 0x2000,
    KEY_TMP,
    KEY_EXAMPLES,
    KEY_FROM,
    KEY_TO
};

static error_t parse_action(struct options *options, const char *arg, struct argp_state *state)
{
    for (size_t i = 0; i < ACTION_COUNT; i++)
        if (!options->run && strcmp(arg, actions[i].name) == 0) {
            options->run = actions[i].run;
            return 0;
        }
    argp_error(state, "\"%s\" is not plan, diff or apply", arg);
    return EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    struct replay_command *command = &options->command;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &command->output;
        return 0;
    case KEY_POLICY:
        command->policy = arg;
        return 0;
    case KEY_YES:
        command->yes = true;
        return 0;
    case KEY_DRY_RUN:
        command->dry_run = true;
        return 0;
    case KEY_THREADS:
        command->threads = (int)cli_number_arg(state, "threads", arg, 1);
        return 0;
    case KEY_TMP:
        command->dir = arg;
        return 0;
    case KEY_EXAMPLES:
        command->examples = cli_number_arg(state, "examples", arg, 0);
        return 0;
    case KEY_FROM:
        command->from = arg;
        return 0;
    case KEY_TO:
        command->to = arg;
        return 0;
    case ARGP_KEY_ARG:
        return parse_action(options, arg, state);
    case ARGP_KEY_END:
        if (!options->run)
            argp_error(state, "say plan, diff or apply");
        if ((command->from || command->to) && options->run != replay_plan)
            argp_error(state, "--from and --to are for plan: a state is made of all of the input");
        if ((command->yes || command->dry_run) && options->run != replay_apply)
            argp_error(state, "--yes and --dry-run are for apply");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(struct options *options)
{
    struct replay_command *command = &options->command;
    struct settings_options wanted = options->settings;
    struct err err = {0};
    wanted.overlay = command->policy;
    enum rcode rc = settings_load(&options->settings, &command->live, &err);
    if (rc == OK)
        rc = settings_load(&wanted, &command->wanted, &err);
    if (rc == OK)
        rc = settings_check_overlay(&command->live, &command->wanted, &err);
    if (rc != OK)
        return cli_fail(&err);
    settings_log(&command->live);
    return options->run(command);
}

int cmd_replay(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"policy", KEY_POLICY, "FILE", 0,
         "other policies or rules, as a configuration above the present one", 0},
        {"from", KEY_FROM, "PLACE", 0, "plan: earliest (default), committed, an offset or a time",
         0},
        {"to", KEY_TO, "PLACE", 0, "plan: committed (default), end, an offset or a time", 0},
        {"dry-run", KEY_DRY_RUN, NULL, 0, "apply: show what would be written", 0},
        {"yes", KEY_YES, NULL, 0, "apply: without asking", 0},
        {"examples", KEY_EXAMPLES, "N", 0, "recipients that a table shows (20)", 0},
        {"threads", KEY_THREADS, "N", 0, "threads (one for each processor)", 0},
        {"tmp", KEY_TMP, "DIR", 0, "where temporary stores are (state_dir)", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "plan|diff|apply",
        "Recomputes the state of all recipients from the input topic.\v"
        "plan tells what there is to read, and whether retention has taken what states were made "
        "of. diff recomputes all states up to what the workers have committed, beside them, and "
        "shows which differ from the live ones: under the present configuration none should, under "
        "--policy those for which it would have decided otherwise. It exits with 1 if any differs. "
        "apply makes the recomputed states the live ones while no worker runs: it writes states, "
        "corrective SuppressionEvents and commands, and the group's certificates, in transactions; "
        "broken off, it goes on when it is run again. Notices are not sent again. Recipients that "
        "have events which the input does not hold any more are left as they are.",
        children,
        NULL,
        NULL};
    struct options options = {.command = {.output = OUTPUT_TABLE, .examples = 20}};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    int code = run(&options);
    settings_deinit(&options.command.live);
    settings_deinit(&options.command.wanted);
    return code;
}
