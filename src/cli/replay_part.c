/* One partition of a replay: the recipients topic, the input up to the certificate, the comparison.
 */
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "cli/replay_job.h"
#include "domain/address.h"

#define STABLE_MS 15000
#define TRIES_MAX 5 /* to read the recipients topic before it is compacted */

enum rcode replay_part_ask(struct replay_worker *worker, struct replay_partition *partition,
                           struct err *err)
{
    const struct deployment *deployment = &worker->job->deployment;
    const char *topics[] = {deployment->topics[TOPIC_BOUNCES],
                            deployment->topics[TOPIC_RECIPIENTS]};
    struct port_watermarks input, state;
    struct port_committed committed = {.partition = partition->partition};
    enum rcode rc =
        kafka_reader_watermarks(worker->reader, topics[1], partition->partition, &state, err);
    if (rc == OK)
        rc = kafka_reader_watermarks(worker->reader, topics[0], partition->partition, &input, err);
    if (rc == OK)
        rc = kafka_reader_committed(worker->reader, deployment->worker_group, topics, &committed, 1,
                                    err);
    if (rc != OK)
        return rc;
    partition->input_start = input.log_start;
    partition->state_start = state.log_start;
    partition->state_end = state.stable;
    partition->certified = committed.certificate_offset >= 0;
    partition->certificate = (struct certificate){0};
    return partition->certified
               ? replay_certificate(worker->live, &committed, &partition->certificate, err)
               : OK;
}

/* Where the recipients topic is read to. */
static int64_t state_until(const struct replay_partition *partition)
{
    int64_t at = partition->certificate.log_next;
    return at > partition->state_end ? at : partition->state_end;
}

int64_t replay_part_offsets(const struct replay_partition *partition)
{
    int64_t input = partition->certificate.input_next - partition->input_start;
    return (input > 0 ? input : 0) + state_until(partition) - partition->state_start;
}

static enum rcode stopped(struct err *err)
{
    return err_set(err, E_TIMEOUT, "interrupted");
}

/* What a reading has come to: whole batches, gaps of control records included. */
static void count_done(struct replay_worker *worker, int64_t next)
{
    atomic_fetch_add(&worker->job->done, next - worker->next);
    worker->next = next;
}

static enum rcode feed(void *context, const struct port_record *records, size_t count,
                       struct err *err)
{
    struct replay_worker *worker = context;
    int32_t partition = worker->partition->partition;
    int64_t next = records[count - 1].offset + 1;
    if (atomic_load(&worker->job->stop))
        return stopped(err);
    enum rcode rc = replay_feed(worker->wanted, partition, records, count, next, err);
    if (rc == OK && worker->standing)
        rc = standing_store(worker->standing, partition, err);
    atomic_fetch_add(&worker->job->records, (long long)count);
    count_done(worker, next);
    return rc;
}

static enum rcode load_some(struct replay_worker *worker, const struct port_record *records,
                            size_t count, int64_t next, struct err *err)
{
    return count
               ? replay_load(worker->live, worker->partition->partition, records, count, next, err)
               : OK;
}

/* What there is at the certificate's position. */
static void note_certified(struct replay_worker *worker)
{
    struct replay_partition *partition = worker->partition;
    const struct certificate *certificate = &partition->certificate;
    const struct store_meta *meta = replay_meta(worker->live, partition->partition);
    partition->live_entries = meta->entries;
    partition->live_digest = meta->digest;
    partition->live_holds =
        meta->entries == certificate->entries && meta->digest == certificate->digest;
}

static enum rcode load(void *context, const struct port_record *records, size_t count,
                       struct err *err)
{
    struct replay_worker *worker = context;
    struct replay_partition *partition = worker->partition;
    int64_t next = records[count - 1].offset + 1, at = partition->certificate.log_next;
    size_t certified = 0;
    if (atomic_load(&worker->job->stop))
        return stopped(err);
    while (certified < count && records[certified].offset < at)
        certified++;
    enum rcode rc = load_some(worker, records, certified, next < at ? next : at, err);
    if (rc == OK && certified < count && !partition->foreign)
        note_certified(worker);
    partition->foreign += (int64_t)(count - certified);
    if (rc == OK)
        rc = load_some(worker, records + certified, count - certified, next, err);
    count_done(worker, next);
    return rc;
}

/* Markers of a transaction may come a moment after its offsets. */
static enum rcode wait_stable(struct replay_worker *worker, const char *topic, int64_t until,
                              struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 50 * 1000000};
    int64_t deadline_ms = clock_monotonic_ms() + STABLE_MS;
    int32_t partition = worker->partition->partition;
    for (;;) {
        struct port_watermarks marks;
        enum rcode rc = kafka_reader_watermarks(worker->reader, topic, partition, &marks, err);
        if (rc != OK || marks.stable >= until)
            return rc;
        if (marks.high < until)
            return err_set(err, E_TOPIC_RECREATED,
                           "%s-%d ends at offset %lld, and the group has committed %lld: the topic "
                           "was created anew",
                           topic, partition, (long long)marks.high, (long long)until);
        if (clock_monotonic_ms() > deadline_ms)
            return err_set(err, E_TIMEOUT,
                           "%s-%d: a transaction is open before offset %lld; try again", topic,
                           partition, (long long)until);
        nanosleep(&pause, NULL);
    }
}

typedef enum rcode batch_reader(void *context, const struct port_record *records, size_t count,
                                struct err *err);

static enum rcode read_range(struct replay_worker *worker, enum topic topic, int64_t from,
                             int64_t until, batch_reader *batch, struct err *err)
{
    const char *name = worker->job->deployment.topics[topic];
    struct kafka_reading reading = {.topic = name,
                                    .partition = worker->partition->partition,
                                    .from = from,
                                    .until = until,
                                    .context = worker,
                                    .batch = batch};
    if (from >= until)
        return OK;
    worker->next = from;
    enum rcode rc = wait_stable(worker, name, until, err);
    if (rc == OK)
        rc = kafka_reader_read(worker->reader, &reading, err);
    if (rc == OK)
        count_done(worker, until);
    return rc;
}

/* Goes on from what was kept, if that is part of the input still. */
static enum rcode open_wanted(struct replay_worker *worker, struct replay_partition *partition,
                              struct err *err)
{
    int64_t next = 0;
    enum rcode rc = replay_open(worker->wanted, partition->partition, &next, err);
    bool useless = next > partition->certificate.input_next || next < partition->input_start;
    if (rc == OK && next > 0 && useless) {
        rc = replay_restart(worker->wanted, partition->partition, err);
        next = 0;
    }
    partition->from = next > partition->input_start ? next : partition->input_start;
    partition->lost = next == 0 ? partition->input_start : 0;
    if (partition->lost > partition->certificate.input_next)
        partition->lost = partition->certificate.input_next;
    partition->incomplete = partition->lost || partition->certificate.carried;
    atomic_fetch_sub(&worker->job->total, partition->from - partition->input_start);
    return rc;
}

static enum rcode read_input(struct replay_worker *worker, struct replay_partition *partition,
                             struct err *err)
{
    enum rcode rc = open_wanted(worker, partition, err);
    if (rc == OK && worker->standing)
        rc = standing_open(worker->standing, partition->partition, err);
    int64_t until = partition->certificate.input_next;
    if (rc == OK)
        rc = read_range(worker, TOPIC_BOUNCES, partition->from, until, feed, err);
    /* Without records, too, the store shall say how far it has come. */
    if (rc == OK)
        rc = replay_feed(worker->wanted, partition->partition, NULL, 0,
                         until > partition->from ? until : partition->from, err);
    if (rc == OK)
        partition->stream_time_ms =
            replay_meta(worker->wanted, partition->partition)->stream_time_ms;
    return rc;
}

static enum rcode read_state(struct replay_worker *worker, struct replay_partition *partition,
                             struct err *err)
{
    int64_t next;
    partition->foreign = 0;
    enum rcode rc = replay_open(worker->live, partition->partition, &next, err);
    if (rc == OK)
        rc = read_range(worker, TOPIC_RECIPIENTS, partition->state_start, state_until(partition),
                        load, err);
    if (rc == OK && !partition->foreign)
        note_certified(worker);
    return rc;
}

/* Once more, while a worker's going on may be why the topic is not what the certificate says. */
static enum rcode read_live(struct replay_worker *worker, struct replay_partition *partition,
                            struct err *err)
{
    enum rcode rc = OK;
    for (int try = 0; rc == OK && try < TRIES_MAX; try++) {
        int64_t at = partition->certificate.log_next;
        rc = replay_part_ask(worker, partition, err);
        if (rc != OK || (try > 0 && partition->certificate.log_next == at))
            break;
        if (try > 0)
            rc = replay_restart(worker->live, partition->partition, err);
        if (rc == OK)
            rc = read_state(worker, partition, err);
        if (partition->live_holds)
            break;
    }
    return rc;
}

enum rcode replay_part_load(struct replay_worker *worker, struct replay_partition *partition,
                            struct err *err)
{
    worker->partition = partition;
    return read_live(worker, partition, err);
}

/* Whether former events of a recipient lie in another partition. */
static bool has_moved(const struct replay_partition *partition, struct identity who)
{
    char text[RECORD_KEY_MAX];
    struct str key = {text, identity_key(who, text)};
    int32_t former = partition->certificate.carried;
    return former == CARRIED_ANY || (former && hash_partition(key, former) != partition->partition);
}

bool replay_part_explained(const struct replay_partition *partition,
                           const struct difference *difference)
{
    if (has_moved(partition, difference->who))
        return true;
    if (!partition->lost || !difference->live)
        return false;
    return !difference->wanted ||
           recipient_events(difference->live) > recipient_events(difference->wanted);
}

enum rcode replay_part_compare(struct replay_worker *worker, struct replay_partition *partition,
                               compare_visit *visit, void *context, struct err *err)
{
    const struct replay_job_options *options = &worker->job->options;
    struct compare compare = {.codec = worker->codec,
                              .live = {replay_store(worker->live, partition->partition),
                                       &options->live->policies,
                                       partition->certificate.stream_time_ms},
                              .wanted = {replay_store(worker->wanted, partition->partition),
                                         &options->wanted->policies, partition->stream_time_ms},
                              .context = context,
                              .visit = visit};
    return compare_states(&compare, &partition->recipients, err);
}

static enum rcode note(void *context, const struct difference *difference, struct err *err)
{
    struct replay_worker *worker = context;
    struct replay_job *job = worker->job;
    struct replay_partition *partition = worker->partition;
    bool explained = replay_part_explained(partition, difference);
    if (explained)
        partition->unprovable++;
    else
        partition->differences[difference->kind]++;
    pthread_mutex_lock(&job->lock);
    enum rcode rc =
        job->options.differs(job->options.context, partition, difference, explained, err);
    pthread_mutex_unlock(&job->lock);
    return atomic_load(&job->stop) && rc == OK ? stopped(err) : rc;
}

enum rcode replay_part_run(struct replay_worker *worker, struct replay_partition *partition,
                           struct err *err)
{
    const struct replay_job_options *options = &worker->job->options;
    worker->partition = partition;
    partition->worker = worker;
    enum rcode rc = read_live(worker, partition, err);
    if (rc == OK && !partition->certified && partition->foreign)
        rc = err_set(err, E_CERTIFICATE_LOST,
                     "partition %d of %s holds states, and group %s has no certificate that says "
                     "to which input they belong",
                     partition->partition, worker->job->deployment.topics[TOPIC_RECIPIENTS],
                     worker->job->deployment.worker_group);
    if (rc == OK)
        rc = read_input(worker, partition, err);
    if (rc == OK)
        rc = replay_part_compare(worker, partition, note, worker, err);
    if (rc != OK || options->outputs)
        return rc;
    rc = replay_close(worker->live, partition->partition, false, err);
    if (rc == OK)
        rc = replay_close(worker->wanted, partition->partition,
                          options->keep && !partition->incomplete, err);
    return rc;
}
