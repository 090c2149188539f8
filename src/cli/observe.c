#include "cli/observe.h"

#include <assert.h>
#include <pthread.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "ops/http.h"
#include "ops/metrics.h"

#define TURN_MS_MAX 60000

#define HTTP_OK 200u
#define HTTP_UNAVAILABLE 503u

struct observe {
    struct http *http;    /* NULL: off */
    pthread_mutex_t lock; /* of what follows: the server's thread reads it */
    struct observed_thread *threads;
    int count;
    int64_t since_ms; /* when the threads were handed over */
};

/* --- health --- */

static int64_t turn_age_ms(const struct observe *observe, int thread)
{
    int64_t last_ms = atomic_load(&observe->threads[thread].engine->last_turn_ms);
    return clock_monotonic_ms() - (last_ms ? last_ms : observe->since_ms);
}

static unsigned answer_livez(void *context, struct buf *body)
{
    struct observe *observe = context;
    int stuck = 0;
    struct buf list;
    buf_init(&list);
    pthread_mutex_lock(&observe->lock);
    for (int i = 0; i < observe->count; i++) {
        int64_t age_ms = turn_age_ms(observe, i);
        if (age_ms <= TURN_MS_MAX)
            continue;
        buf_printf(&list, "%s{\"thread\":%d,\"last_turn_seconds\":%lld}", stuck++ ? "," : "", i,
                   (long long)(age_ms / 1000));
    }
    buf_printf(body, "{\"live\":%s,\"threads\":%d,\"stuck\":[", stuck ? "false" : "true",
               observe->count);
    pthread_mutex_unlock(&observe->lock);
    buf_str(body, buf_view(&list));
    buf_str(body, STR("]}\n"));
    buf_deinit(&list);
    return stuck ? HTTP_UNAVAILABLE : HTTP_OK;
}

struct partition_counts {
    int running, restoring, failed;
};

/* Adds those of the threads of a role. */
static void count_partitions(const struct observe *observe, enum role role,
                             struct partition_counts *inout_counts)
{
    for (int i = 0; i < observe->count; i++) {
        const struct engine_stats *stats = observe->threads[i].engine;
        if (observe->threads[i].role != role)
            continue;
        inout_counts->running += atomic_load(&stats->partitions_running);
        inout_counts->restoring += atomic_load(&stats->partitions_restoring);
        inout_counts->failed += atomic_load(&stats->partitions_failed);
    }
}

static unsigned answer_readyz(void *context, struct buf *body)
{
    struct observe *observe = context;
    pthread_mutex_lock(&observe->lock);
    struct partition_counts counts = {0};
    for (int role = 0; role < ROLE_COUNT; role++)
        count_partitions(observe, (enum role)role, &counts);
    int threads = observe->count, turned = 0;
    for (int i = 0; i < threads; i++)
        turned += atomic_load(&observe->threads[i].engine->last_turn_ms) != 0;
    pthread_mutex_unlock(&observe->lock);
    bool started = threads && turned == threads;
    bool ready = started && !counts.failed;
    buf_printf(body,
               "{\"ready\":%s,\"started\":%s,\"threads\":%d,"
               "\"partitions\":{\"running\":%d,\"restoring\":%d,\"failed\":%d}}\n",
               ready ? "true" : "false", started ? "true" : "false", threads, counts.running,
               counts.restoring, counts.failed);
    return ready ? HTTP_OK : HTTP_UNAVAILABLE;
}

/* --- metrics --- */

/* A counter of engine_stats. */
struct engine_family {
    size_t offset;
    const char *name, *help;
};

#define AT(member) offsetof(struct engine_stats, member)

static const struct engine_family engine_families[] = {
    {AT(records), "rimbalzo_records_total", "Input records of committed transactions."},
    {AT(batches), "rimbalzo_batches_total", "Transactions committed."},
    {AT(aborts), "rimbalzo_transactions_aborted_total", "Transactions aborted and done again."},
    {AT(rebuilds), "rimbalzo_producer_rebuilds_total", "Producers replaced after an error."},
    {AT(rebalances), "rimbalzo_rebalances_total", "Assignments of partitions by the group."},
    {AT(restored), "rimbalzo_restored_records_total", "Records read to restore local state."},
};

static bool has_role(const struct observe *observe, enum role role)
{
    for (int i = 0; i < observe->count; i++)
        if (observe->threads[i].role == role)
            return true;
    return false;
}

static void write_engine_family(struct metrics *metrics, const struct observe *observe,
                                const struct engine_family *family)
{
    metrics_family(metrics, METRIC_COUNTER, family->name, family->help);
    for (int role = 0; role < ROLE_COUNT; role++) {
        long long sum = 0;
        for (int i = 0; i < observe->count; i++)
            if (observe->threads[i].role == (enum role)role)
                sum += atomic_load((const atomic_llong *)((const char *)observe->threads[i].engine +
                                                          family->offset));
        if (has_role(observe, (enum role)role))
            metrics_labelled(metrics, "role", role_names[role], sum);
    }
}

static void write_engine(struct metrics *metrics, const struct observe *observe)
{
    for (size_t i = 0; i < sizeof(engine_families) / sizeof(engine_families[0]); i++)
        write_engine_family(metrics, observe, &engine_families[i]);
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_partitions",
                   "Partitions assigned to this process, by role and state.");
    for (int role = 0; role < ROLE_COUNT; role++) {
        struct partition_counts counts = {0};
        if (!has_role(observe, (enum role)role))
            continue;
        count_partitions(observe, (enum role)role, &counts);
        const struct {
            const char *state;
            int count;
        } states[] = {{"running", counts.running},
                      {"restoring", counts.restoring},
                      {"failed", counts.failed}};
        for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
            metrics_labels(
                metrics,
                (struct metric_label[]){{"role", role_names[role]}, {"state", states[i].state}}, 2,
                states[i].count);
    }
}
#undef AT

#define X(constant, string) [constant] = (string),
static const char *const outcome_names[OUTCOME_COUNT] = {OUTCOMES(X)};
#undef X

/* Adds the counters at `offset` of each thread's worker_stats to `sums`. */
static void add_workers(const struct observe *observe, size_t offset, int count, long long *sums)
{
    for (int i = 0; i < observe->count; i++) {
        const struct worker_stats *stats = observe->threads[i].worker;
        if (!stats)
            continue;
        const atomic_llong *counters = (const atomic_llong *)((const char *)stats + offset);
        for (int k = 0; k < count; k++)
            sums[k] += atomic_load(&counters[k]);
    }
}

/* A family of worker_stats: an array by `names`, or one counter where there is no label. */
struct worker_family {
    size_t offset;
    int count;
    const char *name, *label;
    const char *const *names;
    const char *help;
};

#define WORKER_LABELS_MAX 8
#define AT(member) offsetof(struct worker_stats, member)

/* What is counted while a batch is processed is counted again when the batch is done again. */
static const struct worker_family worker_families[] = {
    {AT(outcomes), OUTCOME_COUNT, "rimbalzo_outcomes_total", "outcome", outcome_names,
     "Events by what became of them; those of an aborted transaction count again."},
    {AT(bounces), BOUNCE_CLASS_COUNT, "rimbalzo_bounces_total", "class", bounce_class_names,
     "Bounces by class; those of an aborted transaction count again."},
    {AT(commands), COMMAND_ACTION_COUNT, "rimbalzo_commands_total", "action", command_action_names,
     "Retry commands; those of an aborted transaction count again."},
    {AT(suppressions), SUPPRESSION_ACTION_COUNT, "rimbalzo_suppressions_total", "action",
     suppression_action_names, "Suppression events; those of an aborted transaction count again."},
    {AT(notices), NOTICE_KIND_COUNT, "rimbalzo_notices_total", "kind", notice_kind_names,
     "Notices; those of an aborted transaction count again."},
    {AT(rerouted), 1, "rimbalzo_rerouted_total", NULL, NULL,
     "Records sent on to the partition of their key; those of an aborted transaction count again."},
    {AT(lapsed), 1, "rimbalzo_lapsed_total", NULL, NULL,
     "Stale episodes ended by the idle scan; those of an aborted transaction count again."},
    {AT(expired), 1, "rimbalzo_expired_total", NULL, NULL,
     "Recipients forgotten by the idle scan; those of an aborted transaction count again."},
};

static_assert(OUTCOME_COUNT <= WORKER_LABELS_MAX && BOUNCE_CLASS_COUNT <= WORKER_LABELS_MAX &&
                  COMMAND_ACTION_COUNT <= WORKER_LABELS_MAX &&
                  SUPPRESSION_ACTION_COUNT <= WORKER_LABELS_MAX &&
                  NOTICE_KIND_COUNT <= WORKER_LABELS_MAX,
              "a list of labels is longer than the sums");

/* The reasons of dead letters are the codes that say the record is at fault. */
static void write_dead_letters(struct metrics *metrics, const struct observe *observe)
{
    long long sums[RCODE_COUNT] = {0};
    for (int i = 0; i < observe->count; i++) {
        const struct observed_thread *thread = &observe->threads[i];
        const atomic_llong *counters = thread->worker       ? thread->worker->dead_letters
                                       : thread->dispatcher ? thread->dispatcher->dead_letters
                                                            : NULL;
        for (int k = 0; counters && k < RCODE_COUNT; k++)
            sums[k] += atomic_load(&counters[k]);
    }
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_dead_letters_total",
                   "Dead letters by reason; those of an aborted transaction count again.");
    for (int i = 0; i < RCODE_COUNT; i++)
        if (rcode_disposition((enum rcode)i) == DISPOSITION_REJECT || sums[i])
            metrics_labelled(metrics, "reason", rcode_name((enum rcode)i), sums[i]);
}

/* What is not there reads as no family, not as 0. */
static void write_dispatcher(struct metrics *metrics, const struct observe *observe)
{
    long long outcomes[COMMAND_OUTCOME_COUNT] = {0}, pending = 0;
    int64_t next_due_ms = INT64_MAX, now_ms = clock_wall_ms();
    if (!has_role(observe, ROLE_DISPATCHER))
        return;
    for (int i = 0; i < observe->count; i++) {
        const struct dispatcher_stats *stats = observe->threads[i].dispatcher;
        if (!stats)
            continue;
        for (int k = 0; k < COMMAND_OUTCOME_COUNT; k++)
            outcomes[k] += atomic_load(&stats->commands[k]);
        pending += atomic_load(&stats->pending);
        if (atomic_load(&stats->next_due_ms) < next_due_ms)
            next_due_ms = atomic_load(&stats->next_due_ms);
    }
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_dispatcher_commands_total",
                   "Retry commands by what became of them; those of an aborted transaction count "
                   "again.");
    for (int k = 0; k < COMMAND_OUTCOME_COUNT; k++)
        metrics_labelled(metrics, "outcome", command_outcome_names[k], outcomes[k]);
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_dispatcher_pending",
                   "Commands that wait, on the partitions assigned to this process.");
    metrics_value(metrics, pending);
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_dispatcher_overdue_seconds",
                   "How long the command that should have left first has been due; 0: none is.");
    metrics_value(metrics, next_due_ms < now_ms ? (now_ms - next_due_ms) / 1000 : 0);
}

static void write_worker(struct metrics *metrics, const struct observe *observe)
{
    if (!has_role(observe, ROLE_WORKER))
        return;

    for (size_t i = 0; i < sizeof(worker_families) / sizeof(worker_families[0]); i++) {
        const struct worker_family *family = &worker_families[i];
        long long sums[WORKER_LABELS_MAX] = {0};
        add_workers(observe, family->offset, family->count, sums);
        metrics_family(metrics, METRIC_COUNTER, family->name, family->help);
        for (int k = 0; k < family->count; k++) {
            if (family->label)
                metrics_labelled(metrics, family->label, family->names[k], sums[k]);
            else
                metrics_value(metrics, sums[k]);
        }
    }
}

static unsigned answer_metrics(void *context, struct buf *body)
{
    struct observe *observe = context;
    struct metrics metrics = {.out = body};
    metrics_family(&metrics, METRIC_GAUGE, "rimbalzo_build_info", "The version that runs.");
    metrics_labelled(&metrics, "version", RIMBALZO_VERSION, 1);
    pthread_mutex_lock(&observe->lock);
    write_engine(&metrics, observe);
    write_worker(&metrics, observe);
    write_dispatcher(&metrics, observe);
    write_dead_letters(&metrics, observe);
    pthread_mutex_unlock(&observe->lock);
    metrics_process(&metrics);
    return HTTP_OK;
}

/* --- life --- */

static const struct http_route routes[] = {
    {"/livez", "application/json", answer_livez},
    {"/readyz", "application/json", answer_readyz},
    {"/metrics", METRICS_CONTENT_TYPE, answer_metrics},
};

enum rcode observe_open(const char *listen, struct observe **ret_observe, struct err *err)
{
    struct observe *observe = mem_zalloc(sizeof(*observe));
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
        log_info("listening", "HTTP answers /livez, /readyz and /metrics", LOG_S("listen", listen),
                 LOG_I("port", http_port(observe->http)));
    }
    *ret_observe = observe;
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

void observe_close(struct observe *observe)
{
    if (!observe)
        return;
    http_close(observe->http);
    pthread_mutex_destroy(&observe->lock);
    mem_free(observe->threads);
    mem_free(observe);
}

int observe_port(const struct observe *observe)
{
    return observe->http ? http_port(observe->http) : 0;
}
