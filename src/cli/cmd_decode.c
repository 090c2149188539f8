/* rimbalzo decode: one Avro message, in either framing, as a line of JSON. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "codec/record.h"

#define MESSAGE_SIZE_MAX (256u << 20)

struct options {
    struct settings_options settings;
    const char *file; /* NULL or "-": stdin */
    bool hex;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case 'x':
        options->hex = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->file)
            argp_error(state, "\"%s\" is one file too many", arg);
        options->file = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static enum rcode read_all(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        buf_reserve(out, 65536);
        ssize_t len = read(fd, out->data + out->len, 65536);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return err_errno(err, E_IO, "cannot be read");
        if (len == 0)
            return OK;
        out->len += (size_t)len;
        if (out->len > MESSAGE_SIZE_MAX)
            return err_set(err, E_MALFORMED, "larger than %u octets", MESSAGE_SIZE_MAX);
    }
}

static enum rcode read_message(const char *file, struct buf *out, struct err *err)
{
    bool is_stdin = !file || strcmp(file, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    enum rcode rc = fd < 0 ? err_errno(err, E_IO, "cannot be read") : read_all(fd, out, err);
    if (rc != OK)
        err_prefix(err, "%s", is_stdin ? "stdin" : file);
    if (!is_stdin && fd >= 0)
        close(fd);
    return rc;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. White space and colons may stand anywhere, as xxd, od and others set them. */
static enum rcode from_hex(struct buf *message, struct err *err)
{
    size_t digits = 0;
    for (size_t i = 0; i < message->len; i++) {
        char c = message->data[i];
        int digit = hex_digit(c);
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ':')
            continue;
        if (digit < 0)
            return err_set(err, E_MALFORMED, "octet %zu of the input is no hexadecimal digit",
                           i + 1);
        char *octet = &message->data[digits / 2];
        *octet = (char)(digits % 2 ? ((unsigned char)*octet << 4) | digit : digit);
        digits++;
    }
    if (digits % 2)
        return err_set(err, E_MALFORMED, "an odd number of hexadecimal digits");
    message->len = digits / 2;
    return OK;
}

static int run(const struct options *options, const struct config *config)
{
    struct err err = {0};
    struct buf message = {0}, json = {0};
    struct codec *codec = NULL;
    struct schemas schemas = {0};
    int code = EXIT_CODE_OK;
    enum rcode rc = schemas_open(config, SCHEMAS_NONE, &schemas, &err);
    if (rc == OK)
        rc = codec_new(&schemas.codec, &codec, &err);
    if (rc == OK)
        rc = read_message(options->file, &message, &err);
    if (rc == OK && options->hex)
        rc = from_hex(&message, &err);
    if (rc == OK)
        rc = codec_to_json(codec, buf_view(&message), &json, &err);
    if (rc == OK) {
        buf_append(&json, "\n", 1);
        fwrite(json.data, 1, json.len, stdout);
    } else {
        err_prefix(&err, "%s", rcode_name(rc));
        code = cli_fail(&err);
    }
    codec_free(codec);
    schemas_close(&schemas);
    buf_deinit(&json);
    buf_deinit(&message);
    return cli_finish(code);
}

int cmd_decode(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"hex", 'x', NULL, 0, "the message is written in hexadecimal digits", 0}, {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "[FILE|-]",
        "Prints one Avro message as a line of JSON.\v"
        "The message is a single object (C3 01), whose writer schema is compiled in or stands in "
        "schemas.dir, or framed as a schema registry has it (00), which is then asked "
        "(schemas.registry.url). Exits with 65 and the error's name when it cannot be decoded.",
        children,
        NULL,
        NULL};
    struct options options = {0};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    int code = run(&options, settings.config);
    settings_deinit(&settings);
    return code;
}
