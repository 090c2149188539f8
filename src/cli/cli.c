#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int cli_exit_code(enum rcode code)
{
    switch (code) {
    case OK:
        return EXIT_CODE_OK;
    case E_USAGE:
        return EXIT_CODE_USAGE;
    case E_CONFIG:
    case E_RULES:
    case E_SCHEMA:
    case E_TOPICS:
    case E_INSTANCE_FENCED: /* its place is taken, or the id is configured twice */
        return EXIT_CODE_CONFIG;
    case E_MALFORMED:
    case E_UNKNOWN_SCHEMA:
    case E_UNEXPECTED_SCHEMA:
    case E_INVALID_FIELD:
    case E_INVALID_TENANT:
    case E_INVALID_RECIPIENT:
    case E_MISROUTED:
    case E_DELAY_TOO_LONG:
        return EXIT_CODE_DATA;
    case E_BROKER_UNREACHABLE:
    case E_REGISTRY_UNAVAILABLE:
        return EXIT_CODE_UNREACHABLE;
    case E_AUTH:
        return EXIT_CODE_AUTH;
    case E_IO:
    case E_STORE:
    case E_STORE_CORRUPT:
        return EXIT_CODE_IO;
    case E_STORE_FULL:
    case E_STORE_MAP_FULL:
        return EXIT_CODE_CREATE;
    case E_TIMEOUT:
    case E_REBUILD_LIMIT:
    case E_STORE_LOCKED:
    case E_CLOCK:
    case E_LOG_RETRIABLE:
    case E_LOG_ABORTABLE:
    case E_LOG_UNKNOWN_OUTCOME:
    case E_LOG_FATAL:
    case E_PRODUCER_FENCED:
    case E_UNSTABLE_OFFSETS:
    case E_GROUP_IN_USE:
        return EXIT_CODE_AGAIN;
    case E_CERTIFICATE_LOST:
    case E_CERTIFICATE_INVALID:
    case E_STATE_MISMATCH:
    case E_CHANGELOG_TRUNCATED:
    case E_INPUT_TRUNCATED:
    case E_TOPIC_RECREATED:
    case E_PARTITION_COUNT_CHANGED:
        return EXIT_CODE_DATA;
    case E_MEMORY:
    case E_BUG:
    case RCODE_COUNT:
        break;
    }
    return EXIT_CODE_BUG;
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "rimbalzo: %s\n", err->text);
    return cli_exit_code(err->code);
}

int64_t cli_number_arg(struct argp_state *state, const char *name, const char *arg, int64_t least)
{
    char *end;
    errno = 0;
    long long number = strtoll(arg, &end, 10);
    if (errno || !*arg || *end || number < least)
        argp_error(state, "--%s takes a whole number from %lld, not \"%s\"", name, (long long)least,
                   arg);
    return number;
}

double cli_share_arg(struct argp_state *state, const char *name, const char *arg)
{
    char *end;
    double percent = strtod(arg, &end);
    if (*end == '%')
        end++;
    if (!*arg || *end || !(percent >= 0 && percent <= 100))
        argp_error(state, "--%s takes a percentage, not \"%s\"", name, arg);
    return percent / 100;
}

bool cli_confirmed(const char *format, ...)
{
    char answer[16];
    va_list args;
    if (!isatty(STDIN_FILENO)) {
        fputs("rimbalzo: nothing was changed: add --yes, or run it on a terminal\n", stderr);
        return false;
    }
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs(" [y/N] ", stderr);
    return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

bool cli_colours(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(stream)) && (!no_color || !*no_color);
}

int cli_finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    perror("rimbalzo: cannot write to stdout");
    return EXIT_CODE_IO;
}
