/* The world of the demo: everything real but the broker, which is librdkafka's own. */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/demo.h"
#include "cli/settings.h"
#include "kafka/kafka_port.h"
#include "kafka/mock.h"
#include "kafka/reader.h"
#include "kafka/writer.h"
#include "stream/engine.h"
#include "worker/worker.h"

#define APP "rimbalzo-demo"
#define GROUP APP "-worker"
#define PARTITIONS 3
#define COMMIT_INTERVAL_MS 10
#define FEED_DEADLINE_MS 20000
#define MAP_SIZE ((size_t)1 << 20)
#define HOUR_MS (3600LL * 1000)

#define X(constant, key, name) "rimbalzo." name,
const char *const demo_topics[TOPIC_COUNT] = {TOPICS(X)};
#undef X

/* What the worker writes, in the order in which an event's outputs are told. */
static const enum topic outputs[] = {TOPIC_RECIPIENTS, TOPIC_SUPPRESSIONS, TOPIC_DELAYED,
                                     TOPIC_NOTICES, TOPIC_DEAD_LETTERS};
enum { OUTPUT_TOPICS = sizeof(outputs) / sizeof(outputs[0]) };

struct demo_engine {
    struct policy_set policies;
    struct rule_set *rules;
    char state_dir[256]; /* "": none made */
    struct kafka_mock *mock;
    struct kafka_property properties[2];
    struct port *port;
    struct processor *worker;
    struct engine *engine;
    struct kafka_writer *writer;
    struct kafka_reader *reader;
    int64_t next[OUTPUT_TOPICS][PARTITIONS]; /* of the reader */
    pthread_t thread;
    bool running;
    atomic_bool stop;
    atomic_bool done;
    struct err err; /* why the thread ended */
    sigset_t signals;
    int signal;
};

static struct kafka_properties properties_of(struct demo_engine *self)
{
    /* Nobody else is on this broker: an idle fetch need not last. */
    self->properties[0] =
        (struct kafka_property){"bootstrap.servers", kafka_mock_bootstrap(self->mock)};
    self->properties[1] = (struct kafka_property){"fetch.wait.max.ms", "10"};
    return (struct kafka_properties){self->properties, 2};
}

/* --- the temporary directory --- */

static enum rcode make_state_dir(struct demo_engine *self, struct err *err)
{
    const char *base = getenv("TMPDIR");
    char path[sizeof(self->state_dir)];
    int len =
        snprintf(path, sizeof(path), "%s/rimbalzo-demo.XXXXXX", base && *base ? base : "/tmp");
    if (len < 0 || (size_t)len >= sizeof(path))
        return err_set(err, E_IO, "TMPDIR is too long");
    if (!mkdtemp(path))
        return err_errno(err, E_IO, path);
    memcpy(self->state_dir, path, sizeof(path));
    return OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_state_dir(struct demo_engine *self)
{
    if (*self->state_dir && nftw(self->state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "rimbalzo: %s cannot be removed: %s\n", self->state_dir, strerror(errno));
}

/* --- the worker --- */

static enum rcode open_port(struct demo_engine *self, struct err *err)
{
    struct kafka_port_options options = {.properties = properties_of(self),
                                         .input = TOPIC_BOUNCES,
                                         .certificate = TOPIC_RECIPIENTS,
                                         .group = GROUP,
                                         .transactional_id = GROUP "-0"};
    memcpy(options.topics, demo_topics, sizeof(demo_topics));
    return kafka_port_new(&options, &self->port, err);
}

static enum rcode open_worker(struct demo_engine *self, struct err *err)
{
    struct worker_options options = {.policies = &self->policies,
                                     .rules = self->rules,
                                     .state = {.dir = self->state_dir,
                                               .app = APP,
                                               .cluster_id = "embedded",
                                               .durability = STORE_REBUILD,
                                               .map_size_initial = MAP_SIZE}};
    for (int i = 0; i < TOPIC_COUNT; i++) {
        options.topic_names[i] = demo_topics[i];
        options.partition_counts[i] = PARTITIONS;
    }
    return worker_new(&options, &self->worker, err);
}

static void *thread_main(void *context)
{
    struct demo_engine *self = context;
    enum rcode rc = OK;
    while (rc == OK && !atomic_load(&self->stop))
        rc = engine_step(self->engine, &self->err);
    self->err.code = rc;
    atomic_store(&self->done, true);
    return NULL;
}

static enum rcode start_engine(struct demo_engine *self, struct err *err)
{
    struct engine_options options = {.port = self->port,
                                     .processor = self->worker,
                                     .batch_records_max = 1024,
                                     .batch_bytes_max = 1024 * 1024,
                                     .commit_interval_ms = COMMIT_INTERVAL_MS,
                                     .certificate_refresh_ms = HOUR_MS,
                                     .rebuilds_max = 3,
                                     .partition_count = PARTITIONS};
    self->engine = engine_new(&options);
    if (pthread_create(&self->thread, NULL, thread_main, self) != 0)
        return err_errno(err, E_IO, "cannot start a thread");
    self->running = true;
    return OK;
}

enum rcode demo_world_open(struct demo_world *world, struct err *err)
{
    struct demo_engine *self = mem_zalloc(sizeof(*self));
    struct codec_options codec = {0};
    *world = (struct demo_world){.engine = self, .policies = &self->policies};
    arena_init(&world->arena);
    sigemptyset(&self->signals);
    sigaddset(&self->signals, SIGINT);
    sigaddset(&self->signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &self->signals, NULL); /* demo_world_feed looks for them */
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that leaves must not leave the directory behind */
    policy_set_defaults(&self->policies);
    enum rcode rc = settings_rules(NULL, &self->rules, err);
    if (rc == OK)
        rc = codec_new(&codec, &world->codec, err);
    if (rc == OK)
        rc = make_state_dir(self, err);
    if (rc == OK)
        rc = kafka_mock_open(demo_topics, PARTITIONS, &self->mock, err);
    if (rc == OK)
        rc = open_port(self, err);
    if (rc == OK)
        rc = open_worker(self, err);
    if (rc == OK)
        rc = start_engine(self, err);
    if (rc == OK)
        rc = kafka_writer_open(properties_of(self), NULL, &self->writer, err);
    if (rc == OK)
        rc = kafka_reader_open(properties_of(self), GROUP, &self->reader, err);
    return rc;
}

void demo_world_close(struct demo_world *world)
{
    struct demo_engine *self = world->engine;
    if (!self)
        return;
    kafka_reader_close(self->reader);
    kafka_writer_close(self->writer);
    if (self->running) {
        atomic_store(&self->stop, true);
        engine_stop(self->engine);
        pthread_join(self->thread, NULL);
    }
    engine_free(self->engine);
    worker_free(self->worker);
    if (self->port)
        self->port->ops->free(self->port);
    kafka_mock_close(self->mock);
    remove_state_dir(self);
    rule_set_free(self->rules);
    codec_free(world->codec);
    mem_free(world->outputs);
    arena_deinit(&world->arena);
    mem_free(self);
    world->engine = NULL;
}

/* --- reading what was written --- */

static struct str header_of(const struct port_record *record, const char *name)
{
    for (int i = 0; i < record->header_count; i++)
        if (str_equal(record->headers[i].name, str_of(name)))
            return record->headers[i].value;
    return STR_NULL;
}

static enum rcode decode(struct demo_world *world, struct demo_output *output, struct err *err)
{
    switch (output->topic) {
    case TOPIC_RECIPIENTS:
        return codec_decode_recipient(world->codec, output->value, &output->state, err);
    case TOPIC_DELAYED:
        return codec_decode_command(world->codec, output->value, &output->command, err);
    case TOPIC_SUPPRESSIONS:
        return codec_decode_suppression(world->codec, output->value, &output->suppression, err);
    case TOPIC_NOTICES:
        return codec_decode_notice(world->codec, output->value, &output->notice, err);
    case TOPIC_DEAD_LETTERS:
    case TOPIC_BOUNCES:
    case TOPIC_DUE:
    case TOPIC_COUNT:
        break;
    }
    return OK;
}

struct reading {
    struct demo_world *world;
    enum topic topic;
    int64_t *next;
};

static enum rcode take(void *context, const struct port_record *record, struct err *err)
{
    const struct reading *reading = context;
    struct demo_world *world = reading->world;
    struct arena *arena = &world->arena;
    world->outputs =
        mem_realloc(world->outputs, ((size_t)world->output_count + 1) * sizeof(world->outputs[0]));
    struct demo_output *output = &world->outputs[world->output_count++];
    *output = (struct demo_output){
        .topic = reading->topic,
        .partition = record->partition,
        .offset = record->offset,
        .key = arena_str(arena, record->key),
        .value = arena_str(arena, record->value),
        .dead_reason = arena_str(arena, header_of(record, "rimbalzo-reason")),
        .dead_text = arena_str(arena, header_of(record, "rimbalzo-text")),
    };
    *reading->next = record->offset + 1;
    return decode(world, output, err);
}

/* What is new in one partition of every topic. */
static enum rcode read_partition(struct demo_world *world, int32_t partition, struct err *err)
{
    struct demo_engine *self = world->engine;
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < OUTPUT_TOPICS; i++) {
        struct reading context = {world, outputs[i], &self->next[i][partition]};
        struct kafka_reading reading = {.topic = demo_topics[outputs[i]],
                                        .partition = partition,
                                        .from = self->next[i][partition],
                                        .until = -1,
                                        .context = &context,
                                        .record = take};
        rc = kafka_reader_read(self->reader, &reading, err);
    }
    return rc;
}

enum rcode demo_world_sweep(struct demo_world *world, struct err *err)
{
    enum rcode rc = OK;
    for (int32_t p = 0; rc == OK && p < PARTITIONS; p++)
        rc = read_partition(world, p, err);
    return rc;
}

/* --- feeding --- */

/* Until the worker has committed everything fed. */
static enum rcode await_worker(struct demo_world *world, struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    struct demo_engine *self = world->engine;
    const struct engine_stats *stats = engine_stats(self->engine);
    int64_t deadline_ms = clock_monotonic_ms() + FEED_DEADLINE_MS;
    while (atomic_load(&stats->records) < world->fed) {
        int number = sigtimedwait(&self->signals, NULL, &pause);
        if (number > 0) {
            self->signal = number;
            return err_set(err, E_TIMEOUT, "ended by a signal");
        }
        if (atomic_load(&self->done)) {
            *err = self->err;
            return err->code;
        }
        if (atomic_load(&stats->partitions_failed))
            return err_set(err, E_BUG,
                           "the worker has stopped a partition, see the log line above");
        if (clock_monotonic_ms() > deadline_ms)
            return err_set(err, E_BUG, "the worker has processed %lld of %d records within %d s",
                           (long long)atomic_load(&stats->records), world->fed,
                           FEED_DEADLINE_MS / 1000);
    }
    return OK;
}

enum rcode demo_world_feed(struct demo_world *world, struct str key, struct str value,
                           int64_t timestamp_ms, struct err *err)
{
    struct demo_engine *self = world->engine;
    struct kafka_writer_record record = {.topic = demo_topics[TOPIC_BOUNCES],
                                         .partition = hash_partition(key, PARTITIONS),
                                         .timestamp_ms = timestamp_ms,
                                         .key = key,
                                         .value = value};
    enum rcode rc = kafka_writer_send(self->writer, &record, err);
    if (rc == OK)
        rc = kafka_writer_flush(self->writer, err);
    if (rc == OK) {
        world->fed++;
        rc = await_worker(world, err);
    }
    if (rc == OK) /* whatever follows from a record has its key */
        rc = read_partition(world, record.partition, err);
    return rc;
}

int demo_world_signal(const struct demo_world *world)
{
    return world->engine->signal;
}

long long demo_world_duplicates(const struct demo_world *world)
{
    return atomic_load(&worker_stats(world->engine->worker)->outcomes[OUTCOME_DUPLICATE]);
}

long long demo_world_transactions(const struct demo_world *world)
{
    return atomic_load(&engine_stats(world->engine->engine)->transactions[TRANSACTION_COMMITTED]);
}
