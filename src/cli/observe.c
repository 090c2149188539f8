#include "cli/observe.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/observe_internal.h"

/* --- what is known --- */

bool observe_has_role(const struct observe *observe, enum role role)
{
    for (int i = 0; i < observe->count; i++)
        if (observe->threads[i].role == role)
            return true;
    return false;
}

int64_t observe_heard_ms(const struct observe *observe)
{
    int64_t last_ms = 0;
    for (int role = 0; role < ROLE_COUNT; role++)
        if (observe->heard[role].at_ms > last_ms)
            last_ms = observe->heard[role].at_ms;
    return last_ms;
}

bool observe_connected(const struct observe *observe)
{
    int64_t heard_ms = observe_heard_ms(observe);
    return observe->count &&
           (!observe->watched || (heard_ms && clock_monotonic_ms() - heard_ms <= HEARD_MS_MAX));
}

static int compare_partitions(const void *a, const void *b)
{
    const struct kafka_lag_partition *left = a, *right = b;
    return (left->partition > right->partition) - (left->partition < right->partition);
}

static const struct kafka_lag_partition *lag_of(const struct observe *observe, enum role role,
                                                int32_t partition)
{
    const struct heard *heard = &observe->heard[role];
    if (!heard->at_ms || clock_monotonic_ms() - heard->at_ms > HEARD_MS_MAX)
        return NULL;
    struct kafka_lag_partition key = {.partition = partition};
    const struct kafka_lag_partition *found =
        heard->count ? bsearch(&key, heard->partitions, (size_t)heard->count, sizeof(key),
                               compare_partitions)
                     : NULL;
    return found && found->known ? found : NULL;
}

int observe_partitions(const struct observe *observe, struct partition_view **ret_views)
{
    struct partition_view *views = NULL;
    int count = 0;
    for (int i = 0; i < observe->count; i++) {
        const struct observed_thread *thread = &observe->threads[i];
        struct board_entry *entries;
        int more = board_read(thread->board, &entries);
        views = mem_realloc(views, (size_t)(count + more) * sizeof(*views));
        for (int k = 0; k < more; k++)
            views[count++] =
                (struct partition_view){.role = thread->role,
                                        .board = entries[k],
                                        .lag = lag_of(observe, thread->role, entries[k].partition)};
        mem_free(entries);
    }
    *ret_views = views;
    return count;
}

int observe_kinds(const struct partition_view *views, int count, uint64_t ret_kinds[STORE_KINDS])
{
    int running = 0;
    memset(ret_kinds, 0, STORE_KINDS * sizeof(ret_kinds[0]));
    for (int i = 0; i < count; i++) {
        if (views[i].role != ROLE_WORKER || views[i].board.state != PARTITION_RUNNING)
            continue;
        running++;
        for (int kind = 0; kind < STORE_KINDS; kind++)
            ret_kinds[kind] += views[i].board.usage.kinds[kind];
    }
    return running;
}

uint64_t observe_of_status(const uint64_t kinds[STORE_KINDS], enum recipient_status status)
{
    static const int first[RECIPIENT_STATUS_COUNT + 1] = {
        [STATUS_ACTIVE] = WORKER_KIND_ACTIVE,
        [STATUS_SUPPRESSED] = WORKER_KIND_SUPPRESSED + 1,
        [STATUS_SUSPENDED] = WORKER_KIND_SUSPENDED + 1};
    static const int last[RECIPIENT_STATUS_COUNT + 1] = {[STATUS_ACTIVE] = WORKER_KIND_ACTIVE,
                                                         [STATUS_SUPPRESSED] =
                                                             WORKER_KIND_SUSPENDED,
                                                         [STATUS_SUSPENDED] = STORE_KINDS - 1};
    uint64_t sum = 0;
    for (int kind = first[status]; kind <= last[status]; kind++)
        sum += kinds[kind];
    return sum;
}

/* --- for the watch --- */

void observe_note(struct observe *observe)
{
    struct observe_sample *samples = observe->samples;
    pthread_mutex_lock(&observe->lock);
    if (observe->sample_count == SAMPLES_MAX)
        memmove(samples, samples + 1, (size_t)--observe->sample_count * sizeof(*samples));
    struct observe_sample *sample = &samples[observe->sample_count++];
    *sample = (struct observe_sample){.at_ms = clock_monotonic_ms()};
    for (int i = 0; i < observe->count; i++)
        sample->records[observe->threads[i].role] +=
            counter_get(&observe->threads[i].engine->records);
    pthread_mutex_unlock(&observe->lock);
}

void observe_watched(struct observe *observe)
{
    pthread_mutex_lock(&observe->lock);
    observe->watched = true;
    pthread_mutex_unlock(&observe->lock);
}

int observe_assigned(struct observe *observe, enum role role, int32_t **ret_partitions)
{
    struct partition_view *views;
    int count = 0;
    pthread_mutex_lock(&observe->lock);
    int all = observe_partitions(observe, &views);
    pthread_mutex_unlock(&observe->lock);
    *ret_partitions = mem_alloc((size_t)all * sizeof(**ret_partitions));
    for (int i = 0; i < all; i++)
        if (views[i].role == role)
            (*ret_partitions)[count++] = views[i].board.partition;
    mem_free(views);
    return count;
}

void observe_heard(struct observe *observe, enum role role,
                   const struct kafka_lag_partition *partitions, int count)
{
    size_t size = (size_t)count * sizeof(*partitions);
    struct heard *heard = &observe->heard[role];
    pthread_mutex_lock(&observe->lock);
    heard->partitions = mem_realloc(heard->partitions, size);
    if (count) {
        memcpy(heard->partitions, partitions, size);
        qsort(heard->partitions, (size_t)count, sizeof(*partitions), compare_partitions);
    }
    heard->count = count;
    heard->at_ms = clock_monotonic_ms();
    pthread_mutex_unlock(&observe->lock);
}

/* --- life --- */

static const struct http_route routes[] = {
    {"/livez", "application/json", observe_livez},
    {"/readyz", "application/json", observe_readyz},
    {"/metrics", NULL, observe_metrics}, /* of its own choice */
    {"/", "text/html; charset=utf-8", observe_page},
    {"/api/v1/status", "application/json", observe_status},
    {"/api/v1/recipients/", "application/json", observe_recipient},
};

enum rcode observe_open(const char *listen, const char *const topics[TOPIC_SLOTS],
                        struct observe **ret_observe, struct err *err)
{
    struct observe *observe = mem_zalloc(sizeof(*observe));
    observe->topics = topics;
    observe->opened_ms = clock_wall_ms();
    pthread_mutex_init(&observe->lock, NULL);
    struct http_options options = {.listen = listen,
                                   .routes = routes,
                                   .route_count = sizeof(routes) / sizeof(routes[0]),
                                   .context = observe};
    if (*listen) {
        enum rcode rc = http_open(&options, &observe->http, err);
        if (rc != OK) {
            observe_close(observe);
            return rc;
        }
        log_info("listening", "HTTP answers; the status page is at /", LOG_S("listen", listen),
                 LOG_I("port", http_port(observe->http)));
    }
    *ret_observe = observe;
    return OK;
}

enum rcode observe_about(struct observe *observe, const struct observe_about *about,
                         struct err *err)
{
    struct codec *codec;
    enum rcode rc = codec_new(&about->codec, &codec, err);
    if (rc != OK)
        return rc;
    pthread_mutex_lock(&observe->lock);
    observe->about = *about;
    observe->codec = codec;
    pthread_mutex_unlock(&observe->lock);
    return OK;
}

void observe_threads(struct observe *observe, const struct observed_thread *threads, int count)
{
    size_t size = (size_t)count * sizeof(*threads);
    pthread_mutex_lock(&observe->lock);
    observe->threads = mem_realloc(observe->threads, size);
    memcpy(observe->threads, threads, size);
    observe->count = count;
    observe->since_ms = clock_monotonic_ms();
    pthread_mutex_unlock(&observe->lock);
}

void observe_schemas(struct observe *observe, struct schemas_service *schemas)
{
    pthread_mutex_lock(&observe->lock);
    observe->schemas = schemas;
    pthread_mutex_unlock(&observe->lock);
}

void observe_close(struct observe *observe)
{
    if (!observe)
        return;
    http_close(observe->http);
    pthread_mutex_destroy(&observe->lock);
    for (int role = 0; role < ROLE_COUNT; role++)
        mem_free(observe->heard[role].partitions);
    codec_free(observe->codec);
    mem_free(observe->threads);
    mem_free(observe);
}

int observe_port(const struct observe *observe)
{
    return observe->http ? http_port(observe->http) : 0;
}
