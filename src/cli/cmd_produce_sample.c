/* rimbalzo produce-sample: realistic records into the input topic, or as JSON lines to look at. */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/mailer.h"
#include "cli/sample.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "kafka/reader.h"
#include "kafka/writer.h"

#define DAY_MS 86400000LL
#define START_MS_DEFAULT                                                                           \
    1767225600000LL /* 2026-01-01T00:00:00Z: the same seed gives the same records */
#define MISROUTED 0.001

struct options {
    struct settings_options settings;
    struct mailer_options mailer;
    struct sample_options sample;
    bool samples; /* an option that is not for the mailer */
    int64_t rate; /* records per second; 0: as fast as possible */
    bool now;     /* the events end now */
    bool show;    /* JSON lines on stdout instead of Kafka */
};

enum {
    KEY_SEED = 0x2000,
    KEY_RECIPIENTS,
    KEY_SPAN,
    KEY_START,
    KEY_POISON,
    KEY_DUPLICATES,
    KEY_LATE,
    KEY_RATE,
    KEY_SHOW
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->mailer;
        state->child_inputs[1] = &options->settings;
        return 0;
    case KEY_SEED:
        options->sample.seed = (uint64_t)cli_number_arg(state, "seed", arg, 0);
        return 0;
    case 'n':
        options->sample.count = cli_number_arg(state, "count", arg, 1);
        break;
    case KEY_RECIPIENTS:
        options->sample.recipients = cli_number_arg(state, "recipients", arg, 1);
        break;
    case KEY_SPAN:
        options->sample.span_ms = cli_number_arg(state, "span-days", arg, 0) * DAY_MS;
        break;
    case KEY_START:
        options->now = strcmp(arg, "now") == 0;
        if (!options->now)
            options->sample.start_ms = cli_number_arg(state, "start", arg, 0);
        break;
    case KEY_POISON:
        options->sample.poison = cli_share_arg(state, "poison", arg);
        break;
    case KEY_DUPLICATES:
        options->sample.duplicates = cli_share_arg(state, "duplicates", arg);
        break;
    case KEY_LATE:
        options->sample.late = cli_share_arg(state, "late", arg);
        break;
    case KEY_RATE:
        options->rate = cli_number_arg(state, "rate", arg, 1);
        break;
    case KEY_SHOW:
        options->show = true;
        break;
    case ARGP_KEY_END:
        if (options->mailer.wanted && options->samples)
            argp_error(state, "--mailer makes no samples: of their options it takes --seed only");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    options->samples = true;
    return 0;
}

static enum rcode show_all(struct sample *sample, struct codec *codec, struct err *err)
{
    struct sample_record record;
    struct buf line;
    buf_init(&line);
    while (sample_next(sample, &record)) {
        buf_clear(&line);
        if (codec_to_json(codec, record.value, &line, err) != OK) {
            buf_clear(&line);
            buf_str(&line, STR("{\"poison\":"));
            output_json_string(&line, str_of(rcode_name(err->code)));
            buf_str(&line, STR("}"));
        }
        buf_append(&line, "\n", 1);
        (void)fwrite(line.data, 1, line.len, stdout); /* cli_finish tells of errors */
    }
    buf_deinit(&line);
    return OK;
}

/* Keeps the rate, and on a terminal tells how far it is. */
static void pace(const struct options *options, int64_t sent, int64_t started_ms, int64_t *told_ms)
{
    int64_t now = clock_monotonic_ms();
    int64_t due = options->rate ? started_ms + sent * 1000 / options->rate : now;
    if (due > now)
        usleep((useconds_t)(due - now) * 1000);
    bool terminal = isatty(STDERR_FILENO);
    if (now - *told_ms < (terminal ? 200 : 10000))
        return;
    *told_ms = now;
    fprintf(stderr, "%s%lld of %lld records%s", terminal ? "\r" : "", (long long)sent,
            (long long)options->sample.count, terminal ? "" : "\n");
}

static enum rcode send_all(const struct options *options, const struct deployment *deployment,
                           int32_t partitions, struct sample *sample, struct kafka_writer *writer,
                           struct err *err)
{
    struct sample_record record;
    int64_t sent = 0, poison = 0, started_ms = clock_monotonic_ms(), told_ms = started_ms;
    uint64_t misroute = options->sample.seed;
    enum rcode rc = OK;
    while (rc == OK && sample_next(sample, &record)) {
        int32_t partition = hash_partition(record.key, partitions);
        misroute = misroute * 6364136223846793005u + 1442695040888963407u;
        if ((double)(misroute >> 33) < MISROUTED * (double)(1ll << 31))
            partition = (partition + 1) % partitions;
        rc = kafka_writer_send(
            writer,
            &(struct kafka_writer_record){.topic = deployment->topics[TOPIC_BOUNCES],
                                          .partition = partition,
                                          .timestamp_ms = KAFKA_WRITER_NOW,
                                          .key = record.key,
                                          .value = record.value},
            err);
        sent++;
        poison += record.poison;
        if (sent % 128 == 0)
            pace(options, sent, started_ms, &told_ms);
    }
    if (rc == OK)
        rc = kafka_writer_flush(writer, err);
    if (rc == OK)
        fprintf(stderr, "%s%lld records (%lld poison) in %.1f s\n",
                isatty(STDERR_FILENO) ? "\r" : "", (long long)sent, (long long)poison,
                (double)(clock_monotonic_ms() - started_ms) / 1000);
    return rc;
}

static enum rcode produce(const struct options *options, const struct config *config,
                          struct sample *sample, struct err *err)
{
    struct deployment deployment;
    struct kafka_reader *reader = NULL;
    struct kafka_writer *writer = NULL;
    int32_t partitions = 0;
    enum rcode rc = deployment_init(&deployment, config, err);
    if (rc == OK)
        rc = kafka_reader_open(deployment.properties, deployment.worker_group, &reader, err);
    if (rc == OK)
        rc = kafka_reader_partition_count(reader, deployment.topics[TOPIC_BOUNCES], &partitions,
                                          err);
    if (rc == OK)
        rc = kafka_writer_open(deployment.properties, NULL, &writer, err);
    if (rc == OK)
        rc = send_all(options, &deployment, partitions, sample, writer, err);
    kafka_writer_close(writer);
    kafka_reader_close(reader);
    deployment_deinit(&deployment);
    return rc;
}

static enum rcode make_samples(struct options *options, const struct settings *settings,
                               struct err *err)
{
    struct codec *codec = NULL;
    struct schemas schemas = {0};
    struct sample_options *of = &options->sample;
    if (!of->recipients)
        of->recipients = of->count / 10 + 1;
    if (options->now)
        of->start_ms = clock_wall_ms() - of->span_ms;
    of->policies = &settings->policies;
    enum rcode rc = OK;
    if (!options->show) /* what is shown needs no registry */
        rc = schemas_open(settings->config, SCHEMAS_OF_INPUT, &schemas, err);
    if (rc == OK)
        rc = codec_new(&schemas.codec, &codec, err);
    if (rc != OK) {
        schemas_close(&schemas);
        return rc;
    }
    struct sample *sample = sample_new(of, codec);
    rc = options->show ? show_all(sample, codec, err)
                       : produce(options, settings->config, sample, err);
    sample_free(sample);
    codec_free(codec);
    schemas_close(&schemas);
    return rc;
}

int cmd_produce_sample(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"count", 'n', "N", 0, "records (default 10000)", 0},
        {"seed", KEY_SEED, "N", 0, "the same seed gives the same records (default 1)", 0},
        {"recipients", KEY_RECIPIENTS, "N", 0, "different addresses (default count / 10)", 0},
        {"span-days", KEY_SPAN, "N", 0, "days of event time the records span (default 30)", 0},
        {"start", KEY_START, "MS|now", 0,
         "first event time in milliseconds; now: the events end now (default 2026-01-01)", 0},
        {"poison", KEY_POISON, "PCT", 0, "share of unusable records (default 1)", 0},
        {"duplicates", KEY_DUPLICATES, "PCT", 0, "share of repeated records (default 1)", 0},
        {"late", KEY_LATE, "PCT", 0, "share of records up to six hours late (default 1)", 0},
        {"rate", KEY_RATE, "N", 0, "records per second (default: as fast as possible)", 0},
        {"show", KEY_SHOW, NULL, 0, "JSON lines on stdout, nothing to Kafka", 0},
        {0}};
    static const struct argp_child children[] = {
        {&mailer_argp, 0, "Senders:", 1}, {&settings_argp, 0, "Configuration:", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        NULL,
        "Produces realistic records to the input topic.\v"
        "Bounces of mailboxes that are disabled, full or gone, mailboxes that recover, senders "
        "that answer retry commands when they are due, rate limits, outages of a domain, "
        "deliveries, duplicates, late, misrouted and unusable records. All of it in event time: "
        "nothing waits.\n\n"
        "With --mailer it waits for the commands of the due topic instead, as the dispatcher lets "
        "them leave, and answers each with a delivery or a bounce. Its place is kept in the group "
        "<app>-mailer, so that it goes on where it stopped; what it answers twice has the same "
        "event id and is counted once.",
        children,
        NULL,
        NULL};
    struct options options = {.mailer = MAILER_DEFAULTS,
                              .sample = {.seed = 1,
                                         .count = 10000,
                                         .span_ms = 30 * DAY_MS,
                                         .start_ms = START_MS_DEFAULT,
                                         .poison = 0.01,
                                         .duplicates = 0.01,
                                         .late = 0.01}};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    options.mailer.seed = options.sample.seed;
    enum rcode rc = settings_load(&options.settings, &settings, &err);
    if (rc == OK) {
        settings_log(&settings);
        rc = options.mailer.wanted ? mailer_run(&options.mailer, &settings, &err)
                                   : make_samples(&options, &settings, &err);
    }
    settings_deinit(&settings);
    return cli_finish(rc == OK ? EXIT_CODE_OK : cli_fail(&err));
}
