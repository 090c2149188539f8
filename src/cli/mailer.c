#include "cli/mailer.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/refusal.h"
#include "cli/schemas.h"
#include "domain/address.h"
#include "domain/id.h"
#include "kafka/follower.h"
#include "kafka/writer.h"

#define POLL_MS 200
#define TOLD_EVERY_MS 10000

/* --- options --- */

enum { KEY_MAILER = 0x3000, KEY_IDLE, KEY_RECOVER, KEY_HARD, KEY_TRANSIENT };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct mailer_options *options = state->input;
    switch (key) {
    case KEY_MAILER:
        options->wanted = true;
        return 0;
    case KEY_IDLE:
        options->idle_s = cli_number_arg(state, "idle", arg, 1);
        break;
    case KEY_RECOVER:
        options->recover = cli_share_arg(state, "recover", arg);
        break;
    case KEY_HARD:
        options->hard = cli_share_arg(state, "hard", arg);
        break;
    case KEY_TRANSIENT:
        options->transient = cli_share_arg(state, "transient", arg);
        break;
    case ARGP_KEY_END:
        if (options->given && !options->wanted)
            argp_error(state, "--idle, --recover, --hard and --transient are for --mailer");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    options->given = true;
    return 0;
}

static const struct argp_option argp_options[] = {
    {"mailer", KEY_MAILER, NULL, 0,
     "instead, answer the commands of the due topic as a sender would, until a signal", 0},
    {"idle", KEY_IDLE, "SECONDS", 0, "end after so long without a command (default: never)", 0},
    {"recover", KEY_RECOVER, "PCT", 0,
     "share of recipients that recover, at one of the attempts (default: as many at each as never)",
     0},
    {"hard", KEY_HARD, "PCT", 0,
     "share of those that never recover: a hard bounce at one of the attempts (default 10)", 0},
    {"transient", KEY_TRANSIENT, "PCT", 0,
     "share of attempts that fail at first because of the network (default 10)", 0},
    {0}};

const struct argp mailer_argp = {argp_options, parse, NULL, NULL, NULL, NULL, NULL};

/* --- what becomes of a message --- */

/* A number in [0, 1): always the same for a recipient and a question. */
static double dice(const struct mailer_options *options, struct identity who, const char *question,
                   int32_t attempt)
{
    char text[RECORD_KEY_MAX + 64];
    int len =
        snprintf(text, sizeof(text), "%llu %s %d %.*s:%.*s", (unsigned long long)options->seed,
                 question, attempt, STR_ARG(who.tenant), STR_ARG(who.recipient));
    return (double)(hash_xxh3(text, (size_t)len) >> 11) / (double)(1ULL << 53);
}

/* The attempt at which the mailbox changes, for good or bad; a SOFT bounce before. */
static int32_t turning_point(const struct mailer_options *options,
                             const struct retry_command *command)
{
    return 1 + (int32_t)(dice(options, command->who, "when", 0) * command->max_attempts);
}

static bool recovers(const struct mailer_options *options, const struct retry_command *command)
{
    double share = options->recover;
    if (share < 0)
        share = (double)command->max_attempts / (command->max_attempts + 1.0);
    return dice(options, command->who, "recovers", 0) < share;
}

/* Only a first try fails like that, so that the message comes back before its retries are spent. */
static bool fails_at_first(const struct mailer_options *options,
                           const struct retry_command *command)
{
    return command->message_attempt == 0 &&
           dice(options, command->who, "transient", command->attempt) < options->transient;
}

static void refuse(enum refusal refusal, const struct retry_command *command,
                   struct input_record *record)
{
    refusal_fill(refusal, record);
    record->message_attempt = command->message_attempt;
}

void mailer_answer(const struct mailer_options *options, const struct retry_command *command,
                   int64_t now_ms, struct mailer_answer *ret_answer)
{
    struct identity who = command->who;
    struct input_record *record = &ret_answer->record;
    ret_answer->event_id = id_output("answer", who, command->episode, command->attempt,
                                     uuid_str(&command->command_id));
    *record = (struct input_record){.kind = RECORD_DELIVERY,
                                    .event_id = uuid_str(&ret_answer->event_id),
                                    .tenant = who.tenant,
                                    .recipient = who.recipient,
                                    .message_id = command->message_id,
                                    .occurred_at_ms = now_ms,
                                    .retry_of = uuid_str(&command->command_id),
                                    .source = STR("produce-sample --mailer")};
    bool turned = command->attempt >= turning_point(options, command);
    if (fails_at_first(options, command))
        refuse(REFUSAL_OUTAGE, command, record);
    else if (command->attempt == 0 || (turned && recovers(options, command)))
        return; /* delivered; attempt 0: nothing was held against the recipient */
    else if (turned && dice(options, who, "hard", 0) < options->hard)
        refuse(REFUSAL_GONE, command, record);
    else
        refuse(command->reason == REASON_MAILBOX_FULL ? REFUSAL_FULL : REFUSAL_DISABLED, command,
               record);
}

/* --- the loop --- */

struct mailer {
    struct mailer_options options;
    struct deployment deployment;
    struct schemas schemas;
    struct codec *codec;
    struct kafka_follower *due;
    struct kafka_writer *writer;
    struct buf value; /* scratch */
    int64_t delivered, refused[REFUSAL_COUNT], unusable;
    int64_t heard_ms, told_ms;
};

static enum rcode answer(struct mailer *mailer, const struct port_record *due, struct err *err)
{
    struct retry_command command;
    struct mailer_answer answer;
    char key[RECORD_KEY_MAX];
    struct err why;
    enum rcode rc = codec_decode_command(mailer->codec, due->value, &command, &why);
    if (rc != OK && rcode_disposition(rc) != DISPOSITION_REJECT) {
        *err = why;
        return rc;
    }
    if (rc != OK || command.action != COMMAND_SCHEDULE) {
        mailer->unusable++;
        return OK;
    }
    mailer_answer(&mailer->options, &command, clock_wall_ms(), &answer);
    buf_clear(&mailer->value);
    codec_encode_input(mailer->codec, &answer.record, &mailer->value);
    if (answer.record.kind == RECORD_DELIVERY)
        mailer->delivered++;
    for (int i = 0; i < REFUSAL_COUNT; i++)
        mailer->refused[i] += answer.record.status.data == refusal_texts[i].status;
    return kafka_writer_send(
        mailer->writer,
        &(struct kafka_writer_record){.topic = mailer->deployment.topics[TOPIC_BOUNCES],
                                      .partition = KAFKA_WRITER_PARTITIONER,
                                      .timestamp_ms = KAFKA_WRITER_NOW,
                                      .key = {key, identity_key(command.who, key)},
                                      .value = buf_view(&mailer->value),
                                      .headers = due->headers,
                                      .header_count = due->header_count},
        err);
}

static void tell(struct mailer *mailer, int64_t now_ms)
{
    mailer->told_ms = now_ms;
    fprintf(stderr, "answered: %lld delivered", (long long)mailer->delivered);
    for (int i = 0; i < REFUSAL_COUNT; i++)
        if (mailer->refused[i])
            fprintf(stderr, ", %lld refused with %s", (long long)mailer->refused[i],
                    refusal_texts[i].status);
    if (mailer->unusable)
        fprintf(stderr, "; %lld records were no commands", (long long)mailer->unusable);
    fputs("\n", stderr);
}

static bool told_to_end(const sigset_t *signals)
{
    static const struct timespec none = {0};
    return sigtimedwait(signals, NULL, &none) > 0;
}

/* Of what was polled before the last flush nobody knows whether it was answered: an error of the
 * writer ends the loop, and the next start answers it again. */
static enum rcode answer_all(struct mailer *mailer, const struct port_record *records, size_t count,
                             struct err *err)
{
    enum rcode rc = OK;
    for (size_t i = 0; rc == OK && i < count; i++)
        rc = answer(mailer, &records[i], err);
    mailer->heard_ms = clock_monotonic_ms();
    return rc == OK ? kafka_writer_flush(mailer->writer, err) : rc;
}

static enum rcode loop(struct mailer *mailer, const sigset_t *signals, struct err *err)
{
    const struct port_record *records;
    int64_t idle_ms = mailer->options.idle_s * 1000;
    mailer->heard_ms = mailer->told_ms = clock_monotonic_ms();
    while (!told_to_end(signals)) {
        size_t count = 0;
        enum rcode rc = kafka_follower_poll(mailer->due, POLL_MS, &records, &count, err);
        if (rc == OK && count && answer_all(mailer, records, count, err) != OK)
            return err->code;
        if (rc == OK)
            rc = kafka_follower_commit(mailer->due, err);
        if (rc != OK && rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        if (rc != OK)
            log_warn(rcode_name(rc), err->text);
        log_tick();
        int64_t now_ms = clock_monotonic_ms();
        if (now_ms - mailer->told_ms >= TOLD_EVERY_MS)
            tell(mailer, now_ms);
        if (idle_ms && now_ms - mailer->heard_ms >= idle_ms)
            break;
    }
    tell(mailer, 0);
    return OK;
}

static enum rcode open_mailer(struct mailer *mailer, const struct settings *settings,
                              struct err *err)
{
    char group[256];
    enum rcode rc = deployment_init(&mailer->deployment, settings->config, err);
    snprintf(group, sizeof(group), "%s-mailer", settings->config->app);
    if (rc == OK)
        rc = schemas_open(settings->config, SCHEMAS_OF_INPUT, &mailer->schemas, err);
    if (rc == OK)
        rc = codec_new(&mailer->schemas.codec, &mailer->codec, err);
    if (rc == OK)
        rc = kafka_follower_open(mailer->deployment.properties, group,
                                 mailer->deployment.topics[TOPIC_DUE], &mailer->due, err);
    if (rc == OK)
        rc = kafka_writer_open(mailer->deployment.properties, NULL, &mailer->writer, err);
    return rc;
}

enum rcode mailer_run(const struct mailer_options *options, const struct settings *settings,
                      struct err *err)
{
    struct mailer mailer = {.options = *options};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!settings->policies.transient_delay_count)
        mailer.options.transient = 0; /* there would be no second try */
    enum rcode rc = open_mailer(&mailer, settings, err);
    if (rc == OK)
        rc = loop(&mailer, &signals, err);
    kafka_writer_close(mailer.writer);
    kafka_follower_close(mailer.due);
    codec_free(mailer.codec);
    schemas_close(&mailer.schemas);
    buf_deinit(&mailer.value);
    deployment_deinit(&mailer.deployment);
    return rc;
}
