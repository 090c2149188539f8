/* rimbalzo state get|list|verify: what the recipients topic says; no worker is needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/recipient_view.h"
#include "cli/settings.h"
#include "cli/state_verify.h"
#include "codec/record.h"
#include "domain/address.h"
#include "kafka/reader.h"

enum action { ACTION_NONE, ACTION_GET, ACTION_LIST, ACTION_VERIFY };
enum { KEY_TENANT = 't', KEY_STATUS = 's', KEY_DOMAIN = 'd' };

struct options {
    struct settings_options settings;
    enum output_format output;
    enum action action;
    const char *address;
    const char *tenant;
    int status;         /* enum recipient_status, -1: any */
    const char *domain; /* NULL: any */
    struct state_verify_options verify;
};

/* What reading needs. */
struct session {
    const struct options *options;
    const struct settings *settings;
    struct deployment deployment;
    struct codec *codec;
    struct kafka_reader *reader;
    struct output output;
    int64_t now_ms;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        state->child_inputs[2] = &options->verify;
        return 0;
    case KEY_TENANT:
        options->tenant = arg;
        return 0;
    case KEY_DOMAIN:
        options->domain = arg;
        return 0;
    case KEY_STATUS:
        options->status = name_index(recipient_status_names, RECIPIENT_STATUS_COUNT, str_of(arg));
        if (options->status < 0)
            argp_error(state, "--status takes ACTIVE, SUSPENDED or SUPPRESSED, not \"%s\"", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (options->action == ACTION_NONE && strcmp(arg, "get") == 0)
            options->action = ACTION_GET;
        else if (options->action == ACTION_NONE && strcmp(arg, "list") == 0)
            options->action = ACTION_LIST;
        else if (options->action == ACTION_NONE && strcmp(arg, "verify") == 0)
            options->action = ACTION_VERIFY;
        else if (options->action == ACTION_GET && !options->address)
            options->address = arg;
        else
            argp_error(state, "\"%s\" is one argument too many, or none of get, list and verify",
                       arg);
        return 0;
    case ARGP_KEY_END:
        if (options->action == ACTION_NONE)
            argp_error(state, "say get ADDRESS, list or verify");
        if (options->action == ACTION_GET && !options->address)
            argp_error(state, "get takes an address");
        if (options->action != ACTION_LIST && (options->status >= 0 || options->domain))
            argp_error(state, "--status and --domain are for list");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- rows --- */

static bool has_lapsed(const struct session *session, const struct recipient *state)
{
    return recipient_has_lapsed(state, session->settings->config->stale_after_ms, session->now_ms);
}

static void show(struct session *session, const struct recipient *state, int32_t partition)
{
    struct recipient_view view;
    recipient_view(state, partition, has_lapsed(session, state), &view);
    if (session->options->action == ACTION_LIST || session->options->output != OUTPUT_TABLE) {
        output_row(&session->output, view.cells);
        return;
    }
    for (int i = 0; i < RECIPIENT_COLUMN_COUNT; i++) {
        struct cell pair[] = {cell_text(str_of(recipient_columns[i])), view.cells[i]};
        output_row(&session->output, pair);
    }
}

static void begin_output(struct session *session)
{
    static const char *const pair[] = {"field", "value"};
    bool table = session->options->output == OUTPUT_TABLE;
    if (table && session->options->action == ACTION_GET)
        output_begin(&session->output, OUTPUT_TABLE, stdout, pair, 2);
    else
        output_begin(&session->output, session->options->output, stdout, recipient_columns,
                     table ? RECIPIENT_COLUMN_lapsed : RECIPIENT_COLUMN_COUNT);
}

/* --- get --- */

struct wanted {
    struct str key;
    struct buf value; /* the last one */
    bool exists;
};

static enum rcode take_wanted(void *context, const struct port_record *record, struct err *err)
{
    struct wanted *wanted = context;
    (void)err;
    if (!str_equal(record->key, wanted->key))
        return OK;
    buf_clear(&wanted->value);
    buf_str(&wanted->value, record->value);
    wanted->exists = record->value.data != NULL;
    return OK;
}

static enum rcode key_of(const struct session *session, char ret_key[RECORD_KEY_MAX],
                         size_t *ret_len, struct err *err)
{
    const struct options *options = session->options;
    enum config_local_part local_part = session->settings->config->recipient.local_part;
    struct recipient_name name;
    enum rcode rc = recipient_name(options->address, options->tenant ? options->tenant : "",
                                   local_part == LOCAL_PART_PRESERVE, &name, err);
    if (rc == OK)
        *ret_len = identity_key(name.who, ret_key);
    else
        err->code = E_USAGE;
    return rc == OK ? OK : E_USAGE;
}

static enum rcode get(struct session *session, bool *ret_found, struct err *err)
{
    const char *topic = session->deployment.topics[TOPIC_RECIPIENTS];
    char key[RECORD_KEY_MAX];
    struct wanted wanted = {.key = {key, 0}};
    int32_t partitions;
    struct recipient state;
    buf_init(&wanted.value);
    enum rcode rc = key_of(session, key, &wanted.key.len, err);
    if (rc == OK)
        rc = kafka_reader_partition_count(session->reader, topic, &partitions, err);
    struct kafka_reading reading = {
        .topic = topic, .until = -1, .context = &wanted, .record = take_wanted};
    if (rc == OK) {
        reading.partition = hash_partition(wanted.key, partitions);
        rc = kafka_reader_read(session->reader, &reading, err);
    }
    if (rc == OK && wanted.exists)
        rc = codec_decode_recipient(session->codec, buf_view(&wanted.value), &state, err);
    if (rc == OK && (wanted.exists || session->options->output != OUTPUT_TABLE)) {
        begin_output(session);
        if (wanted.exists)
            show(session, &state, reading.partition);
        output_end(&session->output);
    }
    if (rc == OK)
        *ret_found = wanted.exists;
    buf_deinit(&wanted.value);
    return rc;
}

/* --- list --- */

/*
 * The topic is read twice: first to learn which offset holds the last word on each key, by a hash
 * of the key (16 octets for each recipient), then to show the states at these offsets. So a list of
 * millions needs little memory and starts to come at once.
 */
struct latest {
    struct slot {
        uint64_t hash; /* 0: free */
        int64_t offset;
    } * slots;
    size_t size; /* a power of two */
    size_t used;
};

static struct slot *slot_of(const struct latest *latest, uint64_t hash)
{
    size_t at = hash & (latest->size - 1);
    while (latest->slots[at].hash && latest->slots[at].hash != hash)
        at = (at + 1) & (latest->size - 1);
    return &latest->slots[at];
}

static void grow(struct latest *latest)
{
    struct latest larger = {.size = latest->size ? latest->size * 2 : 1024, .used = latest->used};
    larger.slots = mem_zalloc(larger.size * sizeof(larger.slots[0]));
    for (size_t i = 0; i < latest->size; i++)
        if (latest->slots[i].hash)
            *slot_of(&larger, latest->slots[i].hash) = latest->slots[i];
    mem_free(latest->slots);
    *latest = larger;
}

static uint64_t hash_of(struct str key)
{
    uint64_t hash = hash_xxh3(key.data, key.len);
    return hash ? hash : 1;
}

struct listing {
    struct session *session;
    struct latest latest;
    int64_t unreadable;
};

static enum rcode note_latest(void *context, const struct port_record *record, struct err *err)
{
    struct latest *latest = &((struct listing *)context)->latest;
    (void)err;
    if (latest->used * 3 >= latest->size * 2)
        grow(latest);
    struct slot *slot = slot_of(latest, hash_of(record->key));
    latest->used += !slot->hash;
    *slot = (struct slot){hash_of(record->key), record->offset};
    return OK;
}

static bool is_wanted(const struct session *session, const struct recipient *state)
{
    const struct options *options = session->options;
    enum recipient_status status = has_lapsed(session, state) ? STATUS_ACTIVE : state->status;
    if (options->status >= 0 && (int)status != options->status)
        return false;
    if (options->tenant && !str_equal(state->who.tenant, str_of(options->tenant)))
        return false;
    return !options->domain ||
           str_equal(recipient_domain(state->who.recipient), str_of(options->domain));
}

static enum rcode show_latest(void *context, const struct port_record *record, struct err *err)
{
    struct listing *listing = context;
    struct recipient state;
    struct err why;
    (void)err;
    if (!record->value.data ||
        slot_of(&listing->latest, hash_of(record->key))->offset != record->offset)
        return OK;
    if (codec_decode_recipient(listing->session->codec, record->value, &state, &why) != OK)
        listing->unreadable++;
    else if (is_wanted(listing->session, &state))
        show(listing->session, &state, record->partition);
    return OK;
}

static enum rcode list(struct session *session, struct err *err)
{
    const char *topic = session->deployment.topics[TOPIC_RECIPIENTS];
    struct listing listing = {.session = session};
    struct kafka_reading reading = {.topic = topic, .until = -1, .context = &listing};
    int32_t partitions;
    enum rcode rc = kafka_reader_partition_count(session->reader, topic, &partitions, err);
    begin_output(session);
    /* Partition by partition: offsets are compared within one, and memory is that of one. */
    for (int32_t p = 0; rc == OK && p < partitions; p++) {
        mem_free(listing.latest.slots);
        listing.latest = (struct latest){0};
        grow(&listing.latest);
        reading.partition = p;
        reading.record = note_latest;
        rc = kafka_reader_read(session->reader, &reading, err);
        reading.record = show_latest;
        if (rc == OK)
            rc = kafka_reader_read(session->reader, &reading, err);
    }
    if (rc == OK)
        output_end(&session->output);
    if (listing.unreadable)
        fprintf(stderr, "rimbalzo: %lld states cannot be read\n", (long long)listing.unreadable);
    mem_free(listing.latest.slots);
    return rc;
}

/* --- the command --- */

static int run(const struct options *options, const struct settings *settings)
{
    struct err err = {0};
    struct session session = {.options = options, .settings = settings, .now_ms = clock_wall_ms()};
    struct codec_options codec_options = {.schemas_dir = settings->config->schemas.dir};
    bool found = true;
    enum rcode rc = deployment_init(&session.deployment, settings->config, &err);
    if (rc == OK)
        rc = codec_new(&codec_options, &session.codec, &err);
    if (rc == OK)
        rc = kafka_reader_open(session.deployment.properties, session.deployment.worker_group,
                               &session.reader, &err);
    if (rc == OK)
        rc = options->action == ACTION_GET ? get(&session, &found, &err) : list(&session, &err);
    kafka_reader_close(session.reader);
    codec_free(session.codec);
    deployment_deinit(&session.deployment);
    if (rc != OK)
        return cli_fail(&err);
    if (!found)
        fprintf(stderr, "rimbalzo: nothing is known of %s\n", options->address);
    return cli_finish(found ? EXIT_CODE_OK : EXIT_CODE_NEGATIVE);
}

int cmd_state(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"tenant", KEY_TENANT, "TENANT", 0, "of this tenant (get: the empty one otherwise)", 0},
        {"status", KEY_STATUS, "STATUS", 0, "list only ACTIVE, SUSPENDED or SUPPRESSED", 0},
        {"domain", KEY_DOMAIN, "DOMAIN", 0, "list only recipients of this domain", 0},
        {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1},
                                                 {&output_argp, 0, "", 2},
                                                 {&state_verify_argp, 0, "", 3},
                                                 {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "get ADDRESS\nlist\nverify",
        "Shows the state of one recipient, or of all, or proves it.\v"
        "Reads the recipients topic to its end; get reads one "
        "partition of it, and exits with 1 when "
        "nothing is known of the address. A suspension that has gone "
        "stale is shown as ACTIVE, with "
        "lapsed set. verify recomputes all states from the input up to the "
        "certificates, beside running workers. The recipients topic must be "
        "what the certificates say, nothing may have been written to it by "
        "anybody else, and each state must be what the input makes of it "
        "under this configuration and these rules. It exits with 1 and "
        "shows recipients and fields if not, and with 75 if recipients have "
        "events that the input does not hold any more. With --keep only "
        "what has come since the last time is read, and retention may take "
        "the rest.",
        children,
        NULL,
        NULL};
    struct options options = {.status = -1, .output = OUTPUT_TABLE, .verify.examples = 20};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = options.action == ACTION_VERIFY
                   ? state_verify(&options.verify, &settings, options.output)
                   : run(&options, &settings);
    settings_deinit(&settings);
    return code;
}
