/* rimbalzo config check|show|defaults */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/settings.h"
#include "codec/record.h"

enum action { ACTION_CHECK, ACTION_SHOW, ACTION_DEFAULTS, ACTION_NONE };
enum { KEY_PLACES = 0x2000 };

struct options {
    struct settings_options settings;
    enum action action;
    bool places;
};

static const char *const action_names[] = {"check", "show", "defaults"};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case KEY_PLACES:
        options->places = true;
        return 0;
    case ARGP_KEY_ARG:
        for (int i = 0; i < ACTION_NONE; i++)
            if (options->action == ACTION_NONE && strcmp(arg, action_names[i]) == 0) {
                options->action = (enum action)i;
                return 0;
            }
        argp_error(state, "\"%s\" is one argument too many, or not check, show or defaults", arg);
        return ARGP_ERR_UNKNOWN;
    case ARGP_KEY_END:
        if (options->action == ACTION_NONE)
            argp_error(state, "say check, show or defaults");
        if (options->places && options->action != ACTION_SHOW)
            argp_error(state, "--places is for show");
        if (options->action == ACTION_DEFAULTS &&
            (options->settings.file || options->settings.set_count))
            argp_error(state, "defaults takes no configuration");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Every line of `faults` on stderr, then the configuration's exit code. */
static int complain(const struct buf *faults)
{
    for (size_t at = 0; at < faults->len;) {
        const char *line = faults->data + at;
        const char *end = memchr(line, '\n', faults->len - at);
        size_t len = end ? (size_t)(end - line) : faults->len - at;
        fprintf(stderr, "rimbalzo: %.*s\n", (int)len, line);
        at += len + 1;
    }
    return EXIT_CODE_CONFIG;
}

/* NULL: `faults` says why. */
static struct config *load(const struct settings_options *settings, struct buf *faults)
{
    struct config_options options = {.file = settings->file,
                                     .sets = settings->sets,
                                     .set_count = settings->set_count,
                                     .environment = (const char *const *)environ,
                                     .faults = faults};
    struct config *config = NULL;
    struct err err;
    return config_load(&options, &config, &err) == OK ? config : NULL;
}

/* --- check --- */

/* What a command would stumble over at its start. A file that cannot be read is a fault of the key
 * that names it. */
static void note(const struct config *config, const char *key, enum rcode rc, struct err *err,
                 struct buf *faults)
{
    char text[ERR_TEXT_MAX];
    if (rc == OK)
        return;
    if (rc == E_IO) {
        memcpy(text, err->text, sizeof(text));
        (void)config_fault(err, config_place(config, key), key, "%s", text);
    }
    buf_printf(faults, "%s\n", err->text);
}

static void check_meaning(const struct config *config, struct buf *faults)
{
    struct err err;
    struct policy_set policies;
    struct rule_set *rules = NULL;
    struct codec *codec = NULL;
    struct deployment deployment = {0};
    const struct codec_options codec_options = {.schemas_dir = config->schemas.dir};
    note(config, "policies", settings_policies(config, &policies, &err), &err, faults);
    note(config, "rules.file", settings_rules(config->rules.file, &rules, &err), &err, faults);
    note(config, "schemas.dir", codec_new(&codec_options, &codec, &err), &err, faults);
    note(config, "kafka", deployment_init(&deployment, config, &err), &err, faults);
    deployment_deinit(&deployment);
    codec_free(codec);
    rule_set_free(rules);
}

static int check(const struct settings_options *settings)
{
    struct buf faults = {0};
    struct config *config = load(settings, &faults);
    if (config)
        check_meaning(config, &faults);
    int code = EXIT_CODE_OK;
    if (faults.len)
        code = complain(&faults);
    else
        puts("OK");
    config_free(config);
    buf_deinit(&faults);
    return code;
}

/* --- show --- */

static int show(const struct settings_options *settings, bool places)
{
    struct buf faults = {0}, text = {0};
    struct config *config = load(settings, &faults);
    int code = EXIT_CODE_OK;
    if (config) {
        config_show(config, places, &text);
        fwrite(text.data, 1, text.len, stdout);
    } else {
        code = complain(&faults);
    }
    config_free(config);
    buf_deinit(&text);
    buf_deinit(&faults);
    return code;
}

int cmd_config(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"places", KEY_PLACES, NULL, 0, "show: say where each value is from", 0}, {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "check\nshow [--places]\ndefaults",
        "Checks or shows the configuration.\v"
        "check reads everything the configuration names and reports every error, with file, line "
        "and column; it asks no broker. show prints the effective values of flags, RIMBALZO_* "
        "variables, file and defaults as YAML that loads into the same configuration; of secrets "
        "only their files. defaults prints the defaults with comments, to start a file from.",
        children,
        NULL,
        NULL};
    struct options options = {.action = ACTION_NONE};
    int code = EXIT_CODE_OK;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    switch (options.action) {
    case ACTION_CHECK:
        code = check(&options.settings);
        break;
    case ACTION_SHOW:
        code = show(&options.settings, options.places);
        break;
    case ACTION_DEFAULTS:
        fputs(config_defaults_yaml, stdout);
        break;
    case ACTION_NONE:
        break;
    }
    return cli_finish(code);
}
