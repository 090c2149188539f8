#include "cli/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/lag_watch.h"
#include "cli/log_key.h"
#include "cli/reload.h"
#include "cli/service_internal.h"
#include "cli/topics_setup.h"

#define START_RETRY_MS 2000
#define PROGRESS_MS 10000

struct options {
    struct settings_options settings;
    const struct service_command *command;
    int threads; /* 0: as configured */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    char *end;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case 't':
        options->threads = (int)strtol(arg, &end, 10);
        if (*end || options->threads < 1 || options->threads > 256)
            argp_error(state, "--threads takes a number from 1 to 256, not \"%s\"", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- threads --- */

static void *thread_main(void *context)
{
    struct service_thread *thread = context;
    enum rcode rc = OK;
    while (rc == OK && !atomic_load(&thread->stop))
        rc = engine_step(thread->engine, &thread->err);
    if (rc == OK)
        thread->err.code = OK;
    else
        log_error(rcode_name(rc), thread->err.text, LOG_S("role", role_names[thread->role]),
                  LOG_I("thread", thread->number));
    atomic_store(&thread->done, true);
    return NULL;
}

/* The next signal within `ms`, or 0. SIGTERM and SIGINT are blocked in every thread. */
static int next_signal(const sigset_t *signals, int ms)
{
    struct timespec timeout = {ms / 1000, (long)(ms % 1000) * 1000000};
    int number = sigtimedwait(signals, NULL, &timeout);
    return number > 0 ? number : 0;
}

/* Topics first, then what the registry has to tell. */
static enum rcode try_start(struct shared *shared, bool *topics_checked, struct err *err)
{
    const struct config *config = shared->settings->config;
    struct topics_options topics = topics_setup(config, &shared->deployment);
    enum rcode rc = OK;
    topics.wanted = service_topics_wanted(shared->run->threads);
    if (!*topics_checked)
        rc = topics_check(&topics, &shared->facts, err);
    if (rc != OK)
        return rc;
    *topics_checked = true;
    return schemas_service_start(&shared->schemas, config,
                                 service_records_written(shared->run->threads), err);
}

/* Waits until the broker answers and the topics are as they must be, and for the registry. Returns
 * a signal's number, or 0. */
static int check_start(struct shared *shared, const sigset_t *signals, struct err *err)
{
    bool topics_checked = false;
    for (;;) {
        enum rcode rc = try_start(shared, &topics_checked, err);
        if (rc == OK ||
            (rcode_disposition(rc) != DISPOSITION_RETRY && rc != E_REGISTRY_UNAVAILABLE)) {
            err->code = rc;
            return 0;
        }
        const struct config *config = shared->settings->config;
        log_warn(rcode_name(rc), err->text,
                 LOG_S("servers", topics_checked ? config->schemas.registry.url
                                                 : config_kafka(config, "bootstrap.servers")),
                 LOG_I("retry_ms", START_RETRY_MS));
        notify_waiting(&shared->notify, err->text);
        int number = next_signal(signals, START_RETRY_MS);
        if (number) {
            err->code = OK; /* told to end, which is no failure */
            return number;
        }
    }
}

static void log_progress(const struct service_thread *threads, int count, enum role role,
                         int64_t ms, long long *last)
{
    long long records = 0, running = 0, restoring = 0, failed = 0, aborts = 0, rebuilds = 0;
    int found = 0;
    for (int i = 0; i < count; i++) {
        const struct engine_stats *stats = engine_stats(threads[i].engine);
        if (threads[i].role != role)
            continue;
        found++;
        records += atomic_load(&stats->records);
        running += atomic_load(&stats->partitions_running);
        restoring += atomic_load(&stats->partitions_restoring);
        failed += atomic_load(&stats->partitions_failed);
        aborts += atomic_load(&stats->transactions[TRANSACTION_ABORTED]);
        rebuilds += atomic_load(&stats->rebuilds);
    }
    if (!found)
        return;
    log_info("progress", "records processed", LOG_S("role", role_names[role]),
             LOG_I("records", records), LOG_I("per_second", (records - *last) * 1000 / ms),
             LOG_I("running", running), LOG_I("restoring", restoring), LOG_I("failed", failed),
             LOG_I("aborts", aborts), LOG_I("rebuilds", rebuilds));
    *last = records;
}

/* Until a signal asks to end or a thread cannot go on. Returns the signal's number, or 0. */
static int supervise(struct service_thread *threads, int count, const sigset_t *signals)
{
    struct shared *shared = threads->shared;
    int64_t reported = clock_monotonic_ms();
    long long last[ROLE_COUNT] = {0};
    for (;;) {
        int number = next_signal(signals, 200);
        if (number == SIGHUP)
            reload_rules(&shared->reload, threads, count);
        else if (number)
            return number;
        for (int i = 0; i < count; i++)
            if (atomic_load(&threads[i].done))
                return 0;
        reload_settle(&shared->reload, threads, count);
        log_tick();
        notify_alive(&shared->notify, observe_live(shared->observe));
        int64_t now = clock_monotonic_ms();
        if (now - reported < PROGRESS_MS)
            continue;
        for (int role = 0; role < ROLE_COUNT; role++)
            log_progress(threads, count, (enum role)role, now - reported, &last[role]);
        reported = now;
    }
}

/* Tells HTTP of the threads, and what the brokers say of their lag. */
static enum rcode observe_all(const struct service_thread *threads, int count,
                              struct lag_watch **ret_watch, struct err *err)
{
    struct shared *shared = threads->shared;
    const struct config *config = shared->settings->config;
    const struct observe_about about = {
        .app = config->app,
        .instance = shared->deployment.instance,
        .partitions =
            shared->run->threads[ROLE_WORKER] ? shared->facts.partition_counts[TOPIC_BOUNCES] : 0,
        .preserve_local_part = config->recipient.local_part == LOCAL_PART_PRESERVE,
        .stale_after_ms = config->stale_after_ms,
        .codec = schemas_service_codec(&shared->schemas, config, &shared->asker)};
    enum rcode rc = observe_about(shared->observe, &about, err);
    if (rc != OK)
        return rc;
    struct observed_thread *observed = mem_alloc((size_t)count * sizeof(*observed));
    for (int i = 0; i < count; i++)
        observed[i] = service_thread_observed(&threads[i]);
    observe_threads(shared->observe, observed, count);
    observe_schemas(shared->observe, &threads->shared->schemas);
    mem_free(observed);
    if (!observe_port(shared->observe))
        return OK; /* nobody asks */
    return lag_watch_start(&shared->deployment, shared->run->threads, shared->observe, ret_watch,
                           err);
}

static int run_threads(struct service_thread *threads, int count, const sigset_t *signals,
                       struct err *err)
{
    int started = 0, number = 0;
    struct lag_watch *watch = NULL;
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < count; i++)
        rc = service_thread_open(&threads[i], err);
    if (rc == OK)
        rc = observe_all(threads, count, &watch, err);
    for (; rc == OK && started < count; started++)
        if (pthread_create(&threads[started].id, NULL, thread_main, &threads[started]) != 0)
            rc = err_errno(err, E_IO, "cannot start a thread");
    if (rc == OK) {
        notify_ready(&threads->shared->notify);
        number = supervise(threads, count, signals);
    }
    notify_stopping(&threads->shared->notify);
    for (int i = 0; i < started; i++) {
        atomic_store(&threads[i].stop, true);
        engine_stop(threads[i].engine);
    }
    lag_watch_stop(watch);
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i].id, NULL);
        if (rc == OK && threads[i].err.code != OK) {
            *err = threads[i].err;
            rc = err->code;
        }
    }
    err->code = rc;
    return number;
}

/* A log line like any other: what reads JSON finds nothing else. */
static int fail(const struct err *err)
{
    log_error(rcode_name(err->code), err->text, LOG_S("so", "the service ends"));
    return cli_exit_code(err->code);
}

static int run_service(struct shared *shared)
{
    struct err err = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    const int *counts = shared->run->threads;
    int count = 0, number = 0;
    for (int role = 0; role < ROLE_COUNT; role++)
        count += counts[role];
    log_info("starting", "rimbalzo " RIMBALZO_VERSION,
             LOG_S("instance", shared->deployment.instance),
             LOG_I("worker_threads", counts[ROLE_WORKER]),
             LOG_I("dispatcher_threads", counts[ROLE_DISPATCHER]),
             LOG_I("ingest_threads", counts[ROLE_INGEST]));
    if (observe_open(shared->settings->config->http.listen, shared->deployment.topics,
                     &shared->observe, &err) == OK)
        number = check_start(shared, &signals, &err);
    if (!number && err.code == OK) {
        struct service_thread *threads = mem_zalloc((size_t)count * sizeof(*threads));
        for (int role = 0, i = 0; role < ROLE_COUNT; role++)
            for (int index = 0; index < counts[role]; index++, i++)
                threads[i] = (struct service_thread){
                    .shared = shared, .role = (enum role)role, .index = index, .number = i};
        number = run_threads(threads, count, &signals, &err);
        observe_close(shared->observe); /* it reads the threads' counters */
        shared->observe = NULL;
        for (int i = 0; i < count; i++)
            service_thread_close(&threads[i]);
        mem_free(threads);
    }
    observe_close(shared->observe);
    schemas_service_stop(&shared->schemas);
    if (err.code != OK)
        return fail(&err);
    log_info("stopped", "ended by a signal, everything is committed", LOG_I("signal", number));
    return EXIT_CODE_OK;
}

int service_run(const struct service_run *run)
{
    struct shared shared = {.run = run, .settings = run->settings};
    struct err err = {0};
    int code;
    notify_open(&shared.notify);
    reload_init(&shared.reload, run->settings);
    if (log_key_apply(run->settings->config, &err) != OK ||
        deployment_init(&shared.deployment, run->settings->config, &err) != OK) {
        code = fail(&err);
    } else {
        if (run->source)
            deployment_set_source(&shared.deployment, run->source);
        code = run_service(&shared);
    }
    notify_close(&shared.notify);
    reload_deinit(&shared.reload);
    deployment_deinit(&shared.deployment);
    topics_facts_deinit(&shared.facts);
    return code;
}

static int configured_threads(const struct config *config, enum role role)
{
    return role == ROLE_WORKER ? config->worker.threads : config->dispatcher.threads;
}

int service_main(int argc, char **argv, const struct service_command *command)
{
    bool both = command->roles[ROLE_WORKER] && command->roles[ROLE_DISPATCHER];
    const struct argp_option argp_options[] = {
        {"threads", 't', "N", 0, "engine threads (worker.threads, dispatcher.threads)", 0}, {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1}, {0}};
    const struct argp argp = {
        both ? NULL : argp_options, parse, NULL, command->doc, children, NULL, NULL};
    struct options options = {.command = command};
    struct settings settings = {0};
    struct service_run run = {.settings = &settings};
    struct err err = {0};
    if (!failpoint_init()) {
        fprintf(stderr, "rimbalzo: RIMBALZO_FAILPOINT names no failpoint\n");
        return EXIT_CODE_USAGE;
    }
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    for (int role = 0; role < ROLE_COUNT; role++)
        if (command->roles[role])
            run.threads[role] = options.threads
                                    ? options.threads
                                    : configured_threads(settings.config, (enum role)role);
    int code = service_run(&run);
    settings_deinit(&settings);
    return code;
}
