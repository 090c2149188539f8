/*
 * Dead letters go back to where they came from, exactly once.
 *
 * Each reason and topic of origin is a class with a group of its own, `<app>-redrive-<reason>-
 * <topic>`, whose offset on a partition of the dead letters says up to where this class has been
 * sent back. Records and offsets are committed in one transaction, so a run that was killed goes on
 * where it was; classes do not overlap, so runs with other filters do not send anything again. A
 * class is worked through in the order of its offsets and never skips: that is why redrive knows
 * --until and no --since.
 *
 * What comes back to the dead letters lies beyond the end that a run has seen at its start, hence
 * is none of its business, and its header says how often that has happened already.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/hash.h"
#include "cli/deployment.h"
#include "cli/dlq.h"
#include "cli/progress.h"
#include "kafka/reader.h"
#include "kafka/writer.h"

#define CLASSES_MAX 64
#define BATCH_RECORDS 1000
#define BATCH_OCTETS ((size_t)4 << 20)
#define BATCH_MS 5000 /* well within the time a transaction may take */
#define REASON_MAX 63
#define TOPIC_NAME_MAX 249 /* Kafka's limit */

struct class
{
    char reason[REASON_MAX + 1];
    char topic[TOPIC_NAME_MAX + 1];
    char *group;
    struct port_committed *done; /* by partition of the dead letters */
    int32_t partitions;          /* of `topic`; 0: there is no such topic */
    int64_t waiting, exhausted;  /* what a survey has found */
};

struct redrive {
    const struct dlq_options *options;
    struct deployment deployment;
    struct kafka_reader *reader, *asker; /* the second answers while the first reads */
    struct kafka_writer *writer;
    int32_t partitions;
    int64_t *ends; /* by partition, as seen at the start */
    struct class classes[CLASSES_MAX];
    int class_count;
    int64_t foreign; /* no dead letters of ours */
    struct progress progress;
    int64_t total, sent;
    /* the transaction in hand */
    struct class *class;
    struct arena arena;
    int batch_records; /* 0: none is open */
    size_t batch_octets;
    int64_t batch_ms;           /* since when */
    struct port_position place; /* offset: one beyond the last record that was looked at */
    bool stopped;               /* --until has been passed in this partition */
};

static const char *dead_letters(const struct redrive *redrive)
{
    return redrive->deployment.topics[TOPIC_DEAD_LETTERS];
}

/* --- classes --- */

static enum rcode add_class(struct redrive *redrive, const struct dead_letter *letter,
                            struct class **ret_class, struct err *err)
{
    if (redrive->class_count == CLASSES_MAX)
        return err_set(
            err, E_USAGE,
            "more than %d pairs of reason and topic; say which with --reason and --topic",
            CLASSES_MAX);
    struct class *class = &redrive->classes[redrive->class_count++];
    struct buf group = {0};
    const char *const topics[] = {dead_letters(redrive), redrive->deployment.topics[TOPIC_BOUNCES]};
    snprintf(class->reason, sizeof(class->reason), "%.*s", STR_ARG(letter->reason));
    snprintf(class->topic, sizeof(class->topic), "%.*s", STR_ARG(letter->topic));
    buf_printf(&group, "%s-redrive-%s-%s%c", redrive->deployment.app, class->reason, class->topic,
               0);
    class->group = group.data;
    class->done = mem_zalloc((size_t)redrive->partitions * sizeof(class->done[0]));
    for (int32_t p = 0; p < redrive->partitions; p++)
        class->done[p].partition = p;
    enum rcode rc =
        kafka_reader_partition_count(redrive->asker, class->topic, &class->partitions, err);
    if (rc == E_TOPICS)
        rc = OK;
    if (rc == OK)
        rc = kafka_reader_committed(redrive->asker, class->group, topics, class->done,
                                    redrive->partitions, err);
    *ret_class = class;
    return rc;
}

/* `text` is no longer than what `held` has room for, see usable(). */
static bool is_same(const char *held, struct str text)
{
    return strncmp(held, text.data, text.len) == 0 && held[text.len] == '\0';
}

static enum rcode class_of(struct redrive *redrive, const struct dead_letter *letter,
                           struct class **ret_class, struct err *err)
{
    for (int i = 0; i < redrive->class_count; i++) {
        struct class *class = &redrive->classes[i];
        if (is_same(class->reason, letter->reason) && is_same(class->topic, letter->topic)) {
            *ret_class = class;
            return OK;
        }
    }
    return add_class(redrive, letter, ret_class, err);
}

static bool usable(const struct port_record *record, struct dead_letter *ret_letter)
{
    return dead_letter_read(record, ret_letter) && ret_letter->reason.len <= REASON_MAX &&
           ret_letter->topic.len <= TOPIC_NAME_MAX && ret_letter->topic.len > 0;
}

static enum rcode count(void *context, const struct port_record *record, struct err *err)
{
    struct redrive *redrive = context;
    struct dead_letter letter;
    struct class *class = NULL;
    if (!usable(record, &letter)) {
        redrive->foreign++;
        return OK;
    }
    if (!dlq_matches(&redrive->options->filter, &letter) ||
        record->timestamp_ms > redrive->options->filter.until_ms)
        return OK;
    enum rcode rc = class_of(redrive, &letter, &class, err);
    if (rc != OK || record->offset < class->done[record->partition].input_offset)
        return rc;
    if (letter.redriven < redrive->options->attempts_max)
        class->waiting++;
    else
        class->exhausted++;
    return OK;
}

static void tell_progress(void *context, int64_t done, int64_t total)
{
    struct redrive *redrive = context;
    progress_show(&redrive->progress, done, total);
}

/* What there is to do, up to the ends as they are now. */
static enum rcode survey(struct redrive *redrive, struct err *err)
{
    const char *topic = dead_letters(redrive);
    enum rcode rc = kafka_reader_partition_count(redrive->reader, topic, &redrive->partitions, err);
    redrive->ends = mem_zalloc((size_t)(rc == OK ? redrive->partitions : 1) * sizeof(int64_t));
    for (int32_t p = 0; rc == OK && p < redrive->partitions; p++) {
        struct port_watermarks marks;
        rc = kafka_reader_watermarks(redrive->reader, topic, p, &marks, err);
        if (rc == OK)
            redrive->ends[p] = marks.stable;
    }
    progress_begin(&redrive->progress, "dead letters looked at");
    for (int32_t p = 0; rc == OK && p < redrive->partitions; p++)
        rc = kafka_reader_read(redrive->reader,
                               &(struct kafka_reading){.topic = topic,
                                                       .partition = p,
                                                       .until = redrive->ends[p],
                                                       .context = redrive,
                                                       .record = count,
                                                       .progress = tell_progress},
                               err);
    progress_clear(&redrive->progress);
    for (int i = 0; i < redrive->class_count; i++)
        redrive->total += redrive->classes[i].waiting;
    return rc;
}

/* --- sending back --- */

static enum rcode begin_batch(struct redrive *redrive, struct err *err)
{
    arena_reset(&redrive->arena, BATCH_OCTETS);
    redrive->batch_octets = 0;
    redrive->batch_ms = clock_monotonic_ms();
    return kafka_writer_begin(redrive->writer, err);
}

static enum rcode end_batch(struct redrive *redrive, struct err *err)
{
    failpoint("after-produce");
    enum rcode rc = kafka_writer_flush(redrive->writer, err);
    if (rc == OK)
        rc = kafka_writer_send_offsets(redrive->writer, redrive->class->group,
                                       dead_letters(redrive), &redrive->place, 1, err);
    failpoint("after-offsets");
    if (rc == OK)
        rc = kafka_writer_commit(redrive->writer, err);
    failpoint("after-kafka-commit");
    if (rc != OK)
        return rc;
    redrive->sent += redrive->batch_records;
    redrive->batch_records = 0;
    progress_show(&redrive->progress, redrive->sent, redrive->total);
    return OK;
}

static bool is_full(const struct redrive *redrive)
{
    return redrive->batch_records == BATCH_RECORDS || redrive->batch_octets >= BATCH_OCTETS ||
           (redrive->batch_records && clock_monotonic_ms() - redrive->batch_ms > BATCH_MS);
}

/* Where it came from, while there is such a partition. */
static int32_t partition_of(const struct redrive *redrive, const struct port_record *record,
                            const struct dead_letter *letter)
{
    int32_t partitions = redrive->class->partitions;
    if (letter->partition < partitions)
        return letter->partition;
    return record->key.data ? hash_partition(record->key, partitions)
                            : letter->partition % partitions;
}

static enum rcode send_back(struct redrive *redrive, const struct port_record *record,
                            const struct dead_letter *letter, struct err *err)
{
    const struct port_header *headers;
    enum rcode rc = redrive->batch_records ? OK : begin_batch(redrive, err);
    if (rc != OK)
        return rc;
    int header_count = dead_letter_headers(record, letter, &redrive->arena, &headers);
    redrive->batch_records++;
    redrive->batch_octets += record->value.len + record->key.len;
    return kafka_writer_send(
        redrive->writer,
        &(struct kafka_writer_record){.topic = redrive->class->topic,
                                      .partition = partition_of(redrive, record, letter),
                                      .timestamp_ms = KAFKA_WRITER_NOW,
                                      .key = record->key,
                                      .value = record->value,
                                      .headers = headers,
                                      .header_count = header_count},
        err);
}

static enum rcode take(void *context, const struct port_record *record, struct err *err)
{
    struct redrive *redrive = context;
    const struct class *class = redrive->class;
    struct dead_letter letter;
    enum rcode rc = OK;
    redrive->stopped |= record->timestamp_ms > redrive->options->filter.until_ms;
    if (redrive->stopped)
        return OK;
    if (usable(record, &letter) && str_equal(letter.reason, str_of(class->reason)) &&
        str_equal(letter.topic, str_of(class->topic)) &&
        letter.redriven < redrive->options->attempts_max)
        rc = send_back(redrive, record, &letter, err);
    redrive->place.offset = record->offset + 1;
    return rc == OK && is_full(redrive) ? end_batch(redrive, err) : rc;
}

static enum rcode redrive_partition(struct redrive *redrive, int32_t partition, struct err *err)
{
    int64_t from = redrive->class->done[partition].input_offset;
    redrive->place = (struct port_position){partition, from};
    redrive->stopped = false;
    if (from >= redrive->ends[partition])
        return OK;
    enum rcode rc = kafka_reader_read(redrive->reader,
                                      &(struct kafka_reading){.topic = dead_letters(redrive),
                                                              .partition = partition,
                                                              .from = from,
                                                              .until = redrive->ends[partition],
                                                              .context = redrive,
                                                              .record = take},
                                      err);
    if (rc == OK && redrive->batch_records)
        rc = end_batch(redrive, err);
    struct err ignored;
    if (rc != OK && redrive->batch_records)
        (void)!kafka_writer_abort(redrive->writer, &ignored); /* or the next run does so */
    return rc;
}

static enum rcode redrive_all(struct redrive *redrive, struct err *err)
{
    enum rcode rc = OK;
    progress_begin(&redrive->progress, "records");
    for (int i = 0; rc == OK && i < redrive->class_count; i++) {
        redrive->class = &redrive->classes[i];
        for (int32_t p = 0; rc == OK && redrive->class->waiting && p < redrive->partitions; p++)
            rc = redrive_partition(redrive, p, err);
    }
    progress_clear(&redrive->progress);
    fprintf(stderr, "%" PRId64 " of %" PRId64 " records were sent back%s\n", redrive->sent,
            redrive->total, rc == OK ? "" : "; the same again goes on from there");
    return rc;
}

/* --- the command --- */

static enum rcode open_all(struct redrive *redrive, const struct settings *settings,
                           struct err *err)
{
    struct buf id = {0};
    struct deployment *deployment = &redrive->deployment;
    enum rcode rc = deployment_init(deployment, settings->config, err);
    if (rc == OK)
        rc = kafka_reader_open(deployment->properties, deployment->worker_group, &redrive->reader,
                               err);
    if (rc == OK)
        rc = kafka_reader_open(deployment->properties, deployment->worker_group, &redrive->asker,
                               err);
    /* One id for all runs: opening it ends the transaction of a run that was killed, and fences one
     * that still goes on. Offsets are read after that. */
    buf_printf(&id, "%s-redrive%c", deployment->app, 0);
    if (rc == OK && !redrive->options->dry_run)
        rc = kafka_writer_open(deployment->properties, id.data, &redrive->writer, err);
    buf_deinit(&id);
    return rc;
}

static void close_all(struct redrive *redrive)
{
    kafka_writer_close(redrive->writer);
    kafka_reader_close(redrive->reader);
    kafka_reader_close(redrive->asker);
    for (int i = 0; i < redrive->class_count; i++) {
        mem_free(redrive->classes[i].group);
        mem_free(redrive->classes[i].done);
    }
    mem_free(redrive->ends);
    arena_deinit(&redrive->arena);
    deployment_deinit(&redrive->deployment);
}

static void show(const struct redrive *redrive)
{
    static const char *const columns[] = {"reason", "topic", "records", "exhausted"};
    struct output output;
    output_begin(&output, redrive->options->output, stdout, columns, 4);
    for (int i = 0; i < redrive->class_count; i++) {
        const struct class *class = &redrive->classes[i];
        const struct cell cells[] = {
            cell_text(str_of(class->reason)),
            cell_text(str_of(class->topic)),
            cell_number(class->waiting),
            cell_number(class->exhausted),
        };
        if (class->waiting || class->exhausted)
            output_row(&output, cells);
    }
    output_end(&output);
    if (redrive->foreign)
        fprintf(stderr, "rimbalzo: %" PRId64 " records there are no dead letters of rimbalzo\n",
                redrive->foreign);
}

static enum rcode check_topics(const struct redrive *redrive, struct err *err)
{
    for (int i = 0; i < redrive->class_count; i++)
        if (redrive->classes[i].waiting && !redrive->classes[i].partitions)
            return err_set(err, E_TOPICS,
                           "topic %s, where dead letters came from, does not exist; --topic "
                           "chooses others",
                           redrive->classes[i].topic);
    return OK;
}

int dlq_redrive(const struct dlq_options *options, const struct settings *settings)
{
    struct redrive *redrive = mem_zalloc(sizeof(*redrive));
    struct err err = {0};
    int code = EXIT_CODE_OK;
    if (!failpoint_init()) {
        mem_free(redrive);
        return EXIT_CODE_USAGE;
    }
    redrive->options = options;
    arena_init(&redrive->arena);
    enum rcode rc = open_all(redrive, settings, &err);
    if (rc == OK)
        rc = survey(redrive, &err);
    if (rc == OK) {
        show(redrive);
        rc = check_topics(redrive, &err);
    }
    bool go = rc == OK && redrive->total && !options->dry_run;
    if (go && !options->yes &&
        !cli_confirmed("Send %lld record%s back?", (long long)redrive->total,
                       redrive->total == 1 ? "" : "s"))
        code = EXIT_CODE_NEGATIVE;
    else if (go)
        rc = redrive_all(redrive, &err);
    else if (rc == OK && !redrive->total)
        fputs("there is nothing to send back\n", stderr);
    close_all(redrive);
    mem_free(redrive);
    return rc == OK ? code : cli_fail(&err);
}
