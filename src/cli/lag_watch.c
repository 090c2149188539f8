#include "cli/lag_watch.h"

#include <pthread.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

#define INTERVAL_MS 2000
#define ASK_MS 5000

struct lag_watch {
    struct observe *observe;
    struct kafka_lag *lag;
    enum role roles[ROLE_COUNT]; /* of each input of `lag` */
    int count;
    bool failing[ROLE_COUNT]; /* it was said that the brokers do not answer */
    pthread_t thread;
    atomic_bool stop;
    pthread_mutex_t lock; /* of `wake` */
    pthread_cond_t wake;
};

static enum rcode ask(struct lag_watch *watch, int input, struct err *err)
{
    enum role role = watch->roles[input];
    int32_t *assigned;
    int count = observe_assigned(watch->observe, role, &assigned);
    /* Without a partition the first one is asked about, for the sake of an answer. */
    size_t size = (size_t)(count ? count : 1) * sizeof(struct kafka_lag_partition);
    struct kafka_lag_partition *partitions = mem_zalloc(size);
    for (int i = 0; i < count; i++)
        partitions[i].partition = assigned[i];
    struct kafka_lag_question question = {
        .input = input, .timeout_ms = ASK_MS, .stop = &watch->stop};
    enum rcode rc = kafka_lag_ask(watch->lag, &question, partitions, count ? count : 1, err);
    if (rc == OK && !atomic_load(&watch->stop))
        observe_heard(watch->observe, role, partitions, count);
    mem_free(partitions);
    mem_free(assigned);
    return rc;
}

/* Says that the brokers do not answer, once until they do. */
static void ask_and_tell(struct lag_watch *watch, int input)
{
    struct err err = {0};
    enum rcode rc = ask(watch, input, &err);
    bool failed = rc != OK && !atomic_load(&watch->stop);
    if (failed && !watch->failing[input])
        log_warn(rcode_name(rc), err.text, LOG_S("role", role_names[watch->roles[input]]),
                 LOG_S("for", "lag metrics and /readyz"));
    watch->failing[input] = failed;
}

/* Returns when it is time again, or to stop. */
static void wait_interval(struct lag_watch *watch)
{
    int64_t until_ms = clock_monotonic_ms() + INTERVAL_MS;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&watch->lock);
    while (!atomic_load(&watch->stop) &&
           pthread_cond_timedwait(&watch->wake, &watch->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&watch->lock);
}

static void *watch_main(void *context)
{
    struct lag_watch *watch = context;
    while (!atomic_load(&watch->stop)) {
        observe_note(watch->observe);
        for (int i = 0; i < watch->count; i++)
            ask_and_tell(watch, i);
        wait_interval(watch);
    }
    return NULL;
}

static void release(struct lag_watch *watch)
{
    kafka_lag_close(watch->lag);
    pthread_mutex_destroy(&watch->lock);
    pthread_cond_destroy(&watch->wake);
    mem_free(watch);
}

enum rcode lag_watch_start(const struct deployment *deployment, const int roles[ROLE_COUNT],
                           struct observe *observe, struct lag_watch **ret_watch, struct err *err)
{
    struct kafka_lag_input inputs[ROLE_COUNT];
    struct lag_watch *watch = mem_zalloc(sizeof(*watch));
    pthread_condattr_t attributes;
    watch->observe = observe;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    for (int role = 0; role < ROLE_COUNT; role++)
        if (roles[role]) {
            inputs[watch->count] =
                (struct kafka_lag_input){deployment_group(deployment, (enum role)role),
                                         deployment->topics[role_inputs[role]]};
            watch->roles[watch->count++] = (enum role)role;
        }
    enum rcode rc = kafka_lag_open(deployment->properties, inputs, watch->count, &watch->lag, err);
    if (rc == OK && pthread_create(&watch->thread, NULL, watch_main, watch) != 0)
        rc = err_errno(err, E_IO, "cannot start a thread");
    if (rc != OK) {
        release(watch);
        return rc;
    }
    observe_watched(observe);
    *ret_watch = watch;
    return OK;
}

void lag_watch_stop(struct lag_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    atomic_store(&watch->stop, true);
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    release(watch);
}
