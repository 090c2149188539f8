#include "kafka/reader.h"

#include <time.h>

#include "base/clock.h"
#include "kafka/facts.h"
#include "kafka/scan.h"

#define ANSWER_MS 15000
#define STABLE_MS 90000 /* a transaction whose owner has died ends within 70 s */
#define SILENCE_MS 60000
#define PROGRESS_MS 1000
#define POLL_MS 10
#define POLL_RECORDS 16384

struct kafka_reader {
    struct scan scan;
    struct port_record records[POLL_RECORDS];
};

/* One kafka_reader_read under way. */
struct run {
    struct kafka_reader *reader;
    const struct kafka_reading *reading;
    struct port_position *start; /* the partitions that have something to read */
    int64_t *end;                /* of start[i] */
    int count;
    int64_t total;
    bool ended; /* the caller has had enough */
};

/* client_reader_defaults, but for the time a fetch waits for more: a reading is over at the end of
 * what there is, and knows it only by such a fetch. */
static const struct kafka_property defaults[] = {
    {"client.id", "rimbalzo"},
    {"fetch.queue.backoff.ms", "10"},
    {"fetch.wait.max.ms", "5"},
    {"queued.max.messages.kbytes", "16384"},
    {"queued.min.messages", "100000"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

enum rcode kafka_reader_open(struct kafka_properties properties, const char *group,
                             struct kafka_reader **ret_reader, struct err *err)
{
    struct kafka_reader *reader = mem_zalloc(sizeof(*reader));
    enum rcode rc = scan_open(&reader->scan, "reader", properties, defaults, group, err);
    if (rc != OK) {
        mem_free(reader);
        return rc;
    }
    *ret_reader = reader;
    return OK;
}

void kafka_reader_close(struct kafka_reader *reader)
{
    if (!reader)
        return;
    scan_close(&reader->scan);
    mem_free(reader);
}

enum rcode kafka_reader_partition_count(struct kafka_reader *reader, const char *topic,
                                        int32_t *ret_count, struct err *err)
{
    return facts_partition_count_wait(reader->scan.client, topic, clock_monotonic_ms() + ANSWER_MS,
                                      ret_count, err);
}

enum rcode kafka_reader_watermarks(struct kafka_reader *reader, const char *topic,
                                   int32_t partition, struct port_watermarks *ret_watermarks,
                                   struct err *err)
{
    return facts_watermarks_wait(reader->scan.client, topic, partition,
                                 clock_monotonic_ms() + ANSWER_MS, ret_watermarks, err);
}

enum rcode kafka_reader_offset_at(struct kafka_reader *reader, const char *topic, int32_t partition,
                                  int64_t time_ms, int64_t *ret_offset, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, topic, partition);
    entry->offset = time_ms;
    rd_kafka_resp_err_t code =
        rd_kafka_offsets_for_times(reader->scan.client->handle, list, ANSWER_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = entry->err;
    int64_t offset = entry->offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_BROKER_UNREACHABLE, "offsets by time");
    *ret_offset = offset < 0 ? -1 : offset;
    return OK;
}

enum rcode kafka_reader_committed(struct kafka_reader *reader, const char *group,
                                  const char *const topics[2], struct port_committed *inout,
                                  int count, struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 7 * 1000000}; /* between two transactions */
    int64_t deadline_ms = clock_monotonic_ms() + STABLE_MS;
    struct facts facts = {0};
    enum rcode rc;
    for (;;) {
        rc = facts_committed(&facts, reader->scan.client, group, topics, inout, count, err);
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY ||
            clock_monotonic_ms() >= deadline_ms)
            break;
        nanosleep(&pause, NULL);
    }
    facts_drop(&facts);
    return rc == E_TIMEOUT ? err_set(err, E_BROKER_UNREACHABLE,
                                     "group %s: its coordinator does not answer", group)
                           : rc;
}

static enum rcode find_bounds(struct run *run, int32_t partition, struct err *err)
{
    const struct kafka_reading *reading = run->reading;
    struct port_watermarks marks;
    enum rcode rc = facts_watermarks_wait(run->reader->scan.client, reading->topic, partition,
                                          clock_monotonic_ms() + ANSWER_MS, &marks, err);
    if (rc != OK)
        return rc;
    int64_t from = reading->from > marks.log_start ? reading->from : marks.log_start;
    int64_t until =
        reading->until >= 0 && reading->until < marks.stable ? reading->until : marks.stable;
    if (from < until) {
        run->start[run->count] = (struct port_position){partition, from};
        run->end[run->count++] = until;
        run->total += until - from;
    }
    return OK;
}

/* How many offsets are behind; all of them: the end. */
static int64_t done_of(const struct run *run)
{
    int64_t done = 0;
    for (int i = 0; i < run->count; i++) {
        int64_t at = scan_position(&run->reader->scan, run->start[i].partition);
        int64_t from = run->start[i].offset;
        at = at > run->end[i] ? run->end[i] : at;
        done += at > from ? at - from : 0;
    }
    return done;
}

static int64_t end_of(const struct run *run, int32_t partition)
{
    for (int i = 0; i < run->count; i++)
        if (run->start[i].partition == partition)
            return run->end[i];
    return 0;
}

/* Keeps those that were asked for, in front. */
static size_t within(const struct run *run, struct port_record *records, size_t count)
{
    int32_t partition = -1;
    int64_t end = 0;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (records[i].partition != partition) {
            partition = records[i].partition;
            end = end_of(run, partition);
        }
        if (records[i].offset < end)
            records[kept++] = records[i];
    }
    return kept;
}

static enum rcode poll_once(struct run *run, size_t *ret_count, struct err *err)
{
    struct kafka_reader *reader = run->reader;
    const struct kafka_reading *reading = run->reading;
    enum rcode rc =
        scan_poll(&reader->scan, POLL_MS, POLL_RECORDS, reader->records, ret_count, err);
    size_t count = rc == OK ? within(run, reader->records, *ret_count) : 0;
    if (rc != OK)
        return rc;
    if (reading->batch && count)
        rc = reading->batch(reading->context, reader->records, count, err);
    for (size_t i = 0; rc == OK && !reading->batch && i < count; i++)
        rc = reading->record(reading->context, &reader->records[i], err);
    run->ended = rc != OK;
    return rc;
}

static enum rcode read_all(struct run *run, struct err *err)
{
    const struct kafka_reading *reading = run->reading;
    int64_t heard_ms = clock_monotonic_ms(), told_ms = heard_ms, done = 0;
    enum rcode rc = scan_assign(&run->reader->scan, reading->topic, run->start, run->count, err);
    while (rc == OK && done < run->total) {
        size_t count = 0;
        rc = poll_once(run, &count, err);
        int64_t now_ms = clock_monotonic_ms(), before = done;
        done = done_of(run);
        if (done > before)
            heard_ms = now_ms;
        if (rc != OK && !run->ended && rcode_disposition(rc) == DISPOSITION_RETRY &&
            now_ms - heard_ms < SILENCE_MS)
            rc = OK;
        else if (rc == OK && now_ms - heard_ms >= SILENCE_MS)
            rc = err_set(err, E_BROKER_UNREACHABLE, "%s: nothing has come for %d s", reading->topic,
                         SILENCE_MS / 1000);
        if (reading->progress && now_ms - told_ms >= PROGRESS_MS) {
            told_ms = now_ms;
            reading->progress(reading->context, done, run->total);
        }
    }
    struct err ignored;
    enum rcode stopped = scan_assign(&run->reader->scan, reading->topic, NULL, 0, &ignored);
    (void)stopped; /* the next reading assigns anew */
    return rc;
}

enum rcode kafka_reader_read(struct kafka_reader *reader, const struct kafka_reading *reading,
                             struct err *err)
{
    struct run run = {.reader = reader, .reading = reading};
    int32_t count = reading->partition + 1;
    enum rcode rc = OK;
    if (reading->partition < 0)
        rc = kafka_reader_partition_count(reader, reading->topic, &count, err);
    if (rc != OK)
        return rc;
    run.start = mem_zalloc((size_t)count * sizeof(run.start[0]));
    run.end = mem_zalloc((size_t)count * sizeof(run.end[0]));
    for (int32_t p = reading->partition < 0 ? 0 : reading->partition; rc == OK && p < count; p++)
        rc = find_bounds(&run, p, err);
    if (rc == OK && run.count)
        rc = read_all(&run, err);
    mem_free(run.start);
    mem_free(run.end);
    return rc;
}
