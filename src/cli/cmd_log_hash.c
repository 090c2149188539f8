/* rimbalzo log-hash ADDRESS...: what stands in log lines for an address. */
#include <string.h>

#include "base/arena.h"
#include "base/log_address.h"
#include "cli/cli.h"
#include "cli/log_key.h"
#include "cli/settings.h"
#include "domain/address.h"

struct options {
    struct settings_options settings;
    enum output_format output;
    char **addresses;
    int count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case ARGP_KEY_ARGS:
        options->addresses = state->argv + state->next;
        options->count = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "say which address");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void show(const struct options *options, const struct settings *settings,
                 const struct buf *key)
{
    static const char *const columns[] = {"hash", "address"};
    struct log_addresses addresses = {.key_len = key->len};
    struct output output;
    memcpy(addresses.key, key->data, key->len);
    output_begin(&output, options->output, stdout, columns, 2);
    for (int i = 0; i < options->count; i++) {
        char canonical[RECIPIENT_MAX + 1];
        struct str address = str_of(options->addresses[i]);
        struct buf hash;
        size_t len;
        /* Also what is no address stands in a log line, as a hash of what it is. */
        if (address_canonical(address, settings->policies.local_part_preserve, canonical, &len,
                              NULL) == OK)
            address = (struct str){canonical, len};
        buf_init(&hash);
        log_address_append(&addresses, address, &hash);
        struct cell cells[] = {cell_text(buf_view(&hash)), cell_text(address)};
        output_row(&output, cells);
        buf_deinit(&hash);
    }
    output_end(&output);
}

int cmd_log_hash(int argc, char **argv)
{
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        NULL,
        parse,
        "ADDRESS...",
        "What stands in log lines for an address.\v"
        "Unless log.addresses is true, log lines hold hashes of addresses, made with the key in "
        "log.address_key_file or, without one, in log-address.key of state_dir. Run it where the "
        "service runs, with the same configuration and as a user who may read the key.",
        children,
        NULL,
        NULL};
    struct options options = {.output = OUTPUT_TABLE};
    struct settings settings = {0};
    struct err err = {0};
    struct buf key;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    buf_init(&key);
    int code = EXIT_CODE_OK;
    if (log_key_read(settings.config, &key, &err) == OK)
        show(&options, &settings, &key);
    else
        code = cli_fail(&err);
    buf_deinit(&key);
    settings_deinit(&settings);
    return cli_finish(code);
}
