#include "cli/replay_job.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/topics_setup.h"

#define TICK_MS 100

/* --- temporary stores --- */

static const char *dir_of(const struct replay_job *job)
{
    return job->options.dir ? job->options.dir : job->options.live->config->state_dir;
}

/* Deletes the stores of one name, as those of a process that was killed. */
static void remove_stores(const char *dir, const char *name)
{
    struct buf path;
    struct err ignored;
    buf_init(&path);
    buf_printf(&path, "%s/%s%c", dir, name, 0);
    DIR *entries = opendir(path.data);
    for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        struct buf store;
        buf_init(&store);
        buf_printf(&store, "%s/%s%c", path.data, entry->d_name, 0);
        (void)!store_remove(store.data, &ignored);
        buf_deinit(&store);
    }
    if (entries)
        closedir(entries);
    (void)!rmdir(path.data);
    buf_deinit(&path);
}

static void name_stores(struct replay_worker *worker)
{
    static const char *const whats[REPLAY_STORE_COUNT] = {
#define X(constant, string) [constant] = string,
        REPLAY_STORES(X)
#undef X
    };
    for (int i = 0; i < REPLAY_STORE_COUNT; i++) {
        struct buf name;
        buf_init(&name);
        buf_printf(&name, "%s%ld-%d-%s%c", worker->job->name, (long)getpid(), worker->number,
                   whats[i], 0);
        worker->names[i] = name.data;
    }
}

static void remove_leftovers(const struct replay_job *job)
{
    DIR *entries = opendir(dir_of(job));
    size_t len = strlen(job->name);
    for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        if (strncmp(entry->d_name, job->name, len) != 0)
            continue;
        long pid = strtol(entry->d_name + len, NULL, 10);
        if (pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
            remove_stores(dir_of(job), entry->d_name);
    }
    if (entries)
        closedir(entries);
}

/* --- threads' tools --- */

static void on_sent(void *context, const struct port_message *message)
{
    struct replay_worker *worker = context;
    if (worker->standing)
        standing_sent(worker->standing, message);
}

static void on_again(void *context)
{
    struct replay_worker *worker = context;
    if (worker->standing)
        standing_again(worker->standing);
}

struct worker_options replay_job_worker(const struct replay_job *job,
                                        const struct settings *settings, const char *name)
{
    const struct config *config = job->options.live->config;
    struct worker_options options = {
        .policies = &settings->policies,
        .rules = settings->rules,
        .codec = job->schemas.codec,
        .state = {.dir = dir_of(job),
                  .app = name,
                  .cluster_id = job->facts.cluster_id,
                  .durability = STORE_REBUILD,
                  .map_size_initial = (size_t)config->store.map_size_initial}};
    memcpy(options.topic_names, job->deployment.topics, sizeof(options.topic_names));
    memcpy(options.partition_counts, job->facts.partition_counts, sizeof(options.partition_counts));
    return options;
}

static enum rcode open_replays(struct replay_worker *worker, struct err *err)
{
    struct replay_job *job = worker->job;
    struct replay_options live_options = {
        .worker = replay_job_worker(job, job->options.live, worker->names[REPLAY_LIVE])};
    struct replay_options wanted_options = {
        .worker = replay_job_worker(job, job->options.wanted, worker->names[REPLAY_WANTED]),
        .context = worker,
        .sent = on_sent,
        .again = on_again};
    struct state_options *kept = &wanted_options.worker.state;
    if (job->options.keep) {
        kept->dir = job->options.keep;
        kept->app = job->options.live->config->app;
        kept->cluster_id = job->decisions;
    }
    enum rcode rc = replay_new(&live_options, &worker->live, err);
    if (rc == OK)
        rc = replay_new(&wanted_options, &worker->wanted, err);
    if (rc == OK && job->options.outputs) {
        struct state_options state = live_options.worker.state;
        state.app = worker->names[REPLAY_OUTPUTS];
        rc = standing_new(&state, job->deployment.topics[TOPIC_BOUNCES], &live_options.worker.codec,
                          &worker->standing, err);
    }
    return rc;
}

static enum rcode open_worker(struct replay_worker *worker, struct err *err)
{
    struct replay_job *job = worker->job;
    name_stores(worker);
    enum rcode rc = codec_new(&job->schemas.codec, &worker->codec, err);
    if (rc == OK)
        rc = kafka_reader_open(job->deployment.properties, job->deployment.worker_group,
                               &worker->reader, err);
    return rc == OK ? open_replays(worker, err) : rc;
}

static void close_worker(struct replay_worker *worker)
{
    kafka_reader_close(worker->reader);
    standing_free(worker->standing);
    replay_free(worker->live);
    replay_free(worker->wanted);
    codec_free(worker->codec);
    for (int i = 0; i < REPLAY_STORE_COUNT; i++) {
        if (worker->names[i])
            remove_stores(dir_of(worker->job), worker->names[i]);
        mem_free(worker->names[i]);
    }
}

static void *thread_main(void *context)
{
    struct replay_worker *worker = context;
    struct replay_job *job = worker->job;
    enum rcode rc = OK;
    while (rc == OK && !atomic_load(&job->stop)) {
        int index = atomic_fetch_add(&job->next, 1);
        if (index >= job->count)
            break;
        rc = replay_part_run(worker, &job->partitions[index], &worker->err);
    }
    worker->err.code = rc;
    if (rc != OK)
        atomic_store(&job->stop, true);
    return NULL;
}

/* --- the job --- */

static int thread_count(const struct replay_job *job)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int threads = job->options.threads ? job->options.threads : (int)processors;
    threads = threads < job->count ? threads : job->count;
    return threads > 0 ? threads : 1;
}

static void name_job(struct replay_job *job)
{
    struct buf name;
    buf_init(&name);
    buf_printf(&name, "%s.replay-%c", job->options.live->config->app, 0);
    job->name = name.data;
    buf_init(&name);
    buf_printf(&name, "%s decisions=%016llx%c", job->facts.cluster_id,
               (unsigned long long)settings_fingerprint(job->options.wanted), 0);
    job->decisions = name.data;
}

enum rcode replay_job_open(struct replay_job *job, const struct replay_job_options *options,
                           struct err *err)
{
    *job = (struct replay_job){.options = *options};
    pthread_mutex_init(&job->lock, NULL);
    enum rcode rc = deployment_init(&job->deployment, options->live->config, err);
    if (rc == OK)
        rc = schemas_open(options->live->config, SCHEMAS_OF_OUTPUT, &job->schemas, err);
    if (rc != OK)
        return rc;
    struct topics_options topics = topics_setup(options->live->config, &job->deployment);
    rc = topics_check(&topics, &job->facts, err);
    if (rc != OK)
        return rc;
    job->count = job->facts.partition_counts[TOPIC_BOUNCES];
    job->partitions = mem_zalloc((size_t)job->count * sizeof(*job->partitions));
    name_job(job);
    remove_leftovers(job);
    int threads = thread_count(job);
    job->workers = mem_zalloc((size_t)threads * sizeof(*job->workers));
    for (; rc == OK && job->worker_count < threads; job->worker_count++) {
        struct replay_worker *worker = &job->workers[job->worker_count];
        *worker = (struct replay_worker){.job = job, .number = job->worker_count};
        rc = open_worker(worker, err);
    }
    for (int32_t p = 0; rc == OK && p < job->count; p++) {
        job->partitions[p].partition = p;
        rc = replay_part_ask(&job->workers[0], &job->partitions[p], err);
        atomic_fetch_add(&job->total, replay_part_offsets(&job->partitions[p]));
    }
    return rc;
}

/* Until all threads are done; after a signal they end soon. Its number or 0. A second one ends the
 * process, with temporary stores left for the next to remove. */
static int watch(struct replay_job *job, int started, const sigset_t *signals)
{
    static const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    struct progress progress;
    int number = 0, left = started;
    progress_begin(&progress, "offsets");
    for (int i = 0; i < started;) {
        int got = sigtimedwait(signals, NULL, &tick);
        if (got > 0 && number)
            _exit(EXIT_CODE_SIGNAL + got);
        if (got > 0) {
            number = got;
            atomic_store(&job->stop, true);
        }
        for (; i < started && pthread_tryjoin_np(job->workers[i].id, NULL) == 0; i++)
            left--;
        if (left)
            progress_show(&progress, atomic_load(&job->done), atomic_load(&job->total));
    }
    progress_clear(&progress);
    return number;
}

enum rcode replay_job_run(struct replay_job *job, int *ret_signal, struct err *err)
{
    sigset_t signals, before;
    struct progress progress;
    int started = 0;
    enum rcode rc = OK;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    progress_begin(&progress, "");
    for (; rc == OK && started < job->worker_count; started += rc == OK)
        if (pthread_create(&job->workers[started].id, NULL, thread_main, &job->workers[started]))
            rc = err_errno(err, E_IO, "cannot start a thread");
    atomic_store(&job->stop, rc != OK);
    *ret_signal = watch(job, started, &signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* Of several threads that failed, the one that did not merely hear of it. */
    for (int i = 0; i < started; i++)
        if (job->workers[i].err.code != OK && (rc == OK || rc == E_TIMEOUT)) {
            *err = job->workers[i].err;
            rc = err->code;
        }
    if (rc == OK)
        replay_job_tell(job, progress_ms(&progress));
    return rc;
}

void replay_job_tell(const struct replay_job *job, int64_t ms)
{
    long long records = atomic_load(&job->records);
    uint64_t recipients = 0;
    for (int32_t p = 0; p < job->count; p++)
        recipients += job->partitions[p].recipients;
    fprintf(stderr,
            "rimbalzo: %lld records of %d partition%s recomputed, %llu recipients compared, in "
            "%.1f s (%lld records/s)\n",
            records, job->count, job->count == 1 ? "" : "s", (unsigned long long)recipients,
            (double)ms / 1000, records * 1000 / ms);
}

void replay_job_close(struct replay_job *job)
{
    for (int i = 0; i < job->worker_count; i++)
        close_worker(&job->workers[i]);
    mem_free(job->workers);
    mem_free(job->partitions);
    mem_free(job->name);
    mem_free(job->decisions);
    topics_facts_deinit(&job->facts);
    deployment_deinit(&job->deployment);
    schemas_close(&job->schemas);
    *job = (struct replay_job){0};
}
