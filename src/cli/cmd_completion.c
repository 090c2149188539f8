/* rimbalzo completion: the scripts of deploy/completions, compiled in. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "embedded.h"

static const struct {
    const char *shell, *file;
} shells[] = {{"bash", "rimbalzo.bash"}, {"zsh", "_rimbalzo"}, {"fish", "rimbalzo.fish"}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **file = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
            if (!*file && strcmp(arg, shells[i].shell) == 0) {
                *file = shells[i].file;
                return 0;
            }
        argp_error(state, "\"%s\" is not bash, zsh or fish", arg);
        return EINVAL;
    case ARGP_KEY_END:
        if (!*file)
            argp_error(state, "say bash, zsh or fish");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cmd_completion(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse,
        "bash|zsh|fish",
        "Prints the completion script of a shell.\v"
        "bash: source <(rimbalzo completion bash). zsh: write it to a file _rimbalzo in a folder "
        "of "
        "$fpath. fish: rimbalzo completion fish | source. A package has installed them already.",
        NULL,
        NULL,
        NULL};
    const char *file = NULL;
    argp_parse(&argp, argc, argv, 0, NULL, &file);
    for (const struct embedded_file *at = embedded_files; at->name; at++)
        if (strcmp(at->name, file) == 0)
            fwrite(at->data, 1, at->size, stdout);
    return cli_finish(EXIT_CODE_OK);
}
