/* /metrics: the engine, its partitions and librdkafka. What worker and dispatcher do is in
 * observe_work.c. */
#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/observe_internal.h"

#define HTTP_OK 200u

/* --- counters of the engine, summed over the threads of a role --- */

static long long sum_of(const struct observe *observe, enum role role, size_t offset)
{
    long long sum = 0;
    for (int i = 0; i < observe->count; i++)
        if (observe->threads[i].role == role)
            sum += counter_get(
                (const atomic_llong *)((const char *)observe->threads[i].engine + offset));
    return sum;
}

/* A counter of engine_stats, or an array of them by `label`. */
struct engine_family {
    size_t offset;
    const char *name, *help;
    const char *label; /* NULL: one counter */
    const char *const *names;
    int count;
};

#define AT(member) offsetof(struct engine_stats, member)

static const struct engine_family engine_families[] = {
    {AT(records), "rimbalzo_records_total", "Input records of committed transactions.", NULL, NULL,
     1},
    {AT(transactions), "rimbalzo_transactions_total",
     "Transactions by how they ended. Those aborted are done again; of those whose outcome is "
     "unknown the certificates tell, and nothing else here counts them.",
     "outcome", transaction_outcome_names, TRANSACTION_OUTCOME_COUNT},
    {AT(rebuilds), "rimbalzo_producer_rebuilds_total", "Producers replaced after an error.", NULL,
     NULL, 1},
    {AT(rebalances), "rimbalzo_rebalances_total", "Assignments of partitions by the group.", NULL,
     NULL, 1},
    {AT(restored), "rimbalzo_restored_records_total", "Records read to restore local state.", NULL,
     NULL, 1},
};

static void write_counters(struct metrics *metrics, const struct observe *observe,
                           const struct engine_family *family)
{
    metrics_family(metrics, METRIC_COUNTER, family->name, family->help);
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int k = 0; observe_has_role(observe, (enum role)role) && k < family->count; k++) {
            long long sum =
                sum_of(observe, (enum role)role, family->offset + (size_t)k * sizeof(atomic_llong));
            if (family->label)
                metrics_int(
                    metrics,
                    METRIC_LABELS({"role", role_names[role]}, {family->label, family->names[k]}),
                    sum);
            else
                metrics_int(metrics, METRIC_LABELS({"role", role_names[role]}), sum);
        }
}

static void write_produced(struct metrics *metrics, const struct observe *observe)
{
    /* Where each role writes to: there is a series from the start, and none for other topics. */
    static const bool outputs[ROLE_COUNT][TOPIC_COUNT] = {
        [ROLE_WORKER] = {[TOPIC_BOUNCES] = true,
                         [TOPIC_RECIPIENTS] = true,
                         [TOPIC_DELAYED] = true,
                         [TOPIC_SUPPRESSIONS] = true,
                         [TOPIC_NOTICES] = true,
                         [TOPIC_DEAD_LETTERS] = true},
        [ROLE_DISPATCHER] = {[TOPIC_DUE] = true, [TOPIC_DEAD_LETTERS] = true},
        [ROLE_INGEST] = {[TOPIC_BOUNCES] = true, [TOPIC_DEAD_LETTERS] = true}};
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_produced_records_total",
                   "Records written in committed transactions.");
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int k = 0; observe_has_role(observe, (enum role)role) && k < TOPIC_COUNT; k++)
            if (outputs[role][k])
                metrics_int(
                    metrics,
                    METRIC_LABELS({"role", role_names[role]}, {"topic", observe->topics[k]}),
                    sum_of(observe, (enum role)role,
                           AT(produced) + (size_t)k * sizeof(atomic_llong)));
}

/* Too many to show those that never were. */
static void write_errors(struct metrics *metrics, const struct observe *observe)
{
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_errors_total",
                   "Errors met, those that pass when tried again included, by what was being done "
                   "and code. A series appears with its first error.");
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int stage = 0; stage < ENGINE_STAGE_COUNT; stage++)
            for (int code = 0; code < RCODE_COUNT; code++) {
                size_t index = (size_t)stage * RCODE_COUNT + (size_t)code;
                long long sum =
                    sum_of(observe, (enum role)role, AT(errors) + index * sizeof(atomic_llong));
                if (sum)
                    metrics_int(metrics,
                                METRIC_LABELS({"role", role_names[role]},
                                              {"stage", engine_stage_names[stage]},
                                              {"code", rcode_name((enum rcode)code)}),
                                sum);
            }
}

static void write_histogram(struct metrics *metrics, const struct observe *observe, size_t offset,
                            const struct histogram_layout *layout, const char *name,
                            const char *help)
{
    metrics_family(metrics, METRIC_HISTOGRAM, name, help);
    for (int role = 0; role < ROLE_COUNT; role++) {
        struct histogram sum = {0};
        if (!observe_has_role(observe, (enum role)role))
            continue;
        for (int i = 0; i < observe->count; i++)
            if (observe->threads[i].role == (enum role)role)
                histogram_sum(
                    &sum,
                    (const struct histogram *)((const char *)observe->threads[i].engine + offset));
        metrics_histogram(metrics, METRIC_LABELS({"role", role_names[role]}), &sum, layout);
    }
}

static void write_engine(struct metrics *metrics, const struct observe *observe)
{
    for (size_t i = 0; i < sizeof(engine_families) / sizeof(engine_families[0]); i++)
        write_counters(metrics, observe, &engine_families[i]);
    write_produced(metrics, observe);
    write_errors(metrics, observe);
    write_histogram(metrics, observe, AT(transaction_seconds), &engine_transaction_layout,
                    "rimbalzo_transaction_duration_seconds",
                    "From the beginning of a transaction to its end, whatever the outcome.");
    write_histogram(metrics, observe, AT(store_commit_seconds), &engine_store_layout,
                    "rimbalzo_store_commit_duration_seconds",
                    "Commits of one partition's local state.");
}
#undef AT

/* --- partitions --- */

/* All views of one scrape. */
struct views {
    const struct observe *observe;
    const struct partition_view *items;
    int count;
};

static void write_states(struct metrics *metrics, const struct views *views)
{
    enum { RUNNING, RESTORING, FAILED, STATES };
    static const char *const names[STATES] = {"running", "restoring", "failed"};
    int counts[ROLE_COUNT][STATES] = {0};
    for (int i = 0; i < views->count; i++) {
        enum partition_state state = views->items[i].board.state;
        counts[views->items[i].role][state == PARTITION_RUNNING  ? RUNNING
                                     : state == PARTITION_FAILED ? FAILED
                                                                 : RESTORING]++;
    }
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_partitions",
                   "Partitions assigned to this process, by state.");
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int state = 0; observe_has_role(views->observe, (enum role)role) && state < STATES;
             state++)
            metrics_int(metrics, METRIC_LABELS({"role", role_names[role]}, {"state", names[state]}),
                        counts[role][state]);
}

/* A gauge of a partition; false: not known, so there is no sample. */
typedef bool partition_gauge(const struct partition_view *view, double *ret_value);

static bool committed_offset(const struct partition_view *view, double *ret_value)
{
    *ret_value = view->lag ? (double)view->lag->committed : -1;
    return *ret_value >= 0;
}

static bool end_offset(const struct partition_view *view, double *ret_value)
{
    *ret_value = view->lag ? (double)view->lag->end : -1;
    return view->lag != NULL;
}

static bool lag_records(const struct partition_view *view, double *ret_value)
{
    *ret_value = view->lag ? (double)kafka_lag_records(view->lag) : -1;
    return view->lag != NULL;
}

static bool lag_seconds(const struct partition_view *view, double *ret_value)
{
    bool known = view->lag && view->lag->waiting_known;
    *ret_value = known ? (double)view->lag->waiting_ms / 1000 : -1;
    return known;
}

static bool last_progress(const struct partition_view *view, double *ret_value)
{
    *ret_value = (double)view->board.progress_ms / 1000;
    return view->board.progress_ms != 0;
}

static bool store_entries(const struct partition_view *view, double *ret_value)
{
    *ret_value = (double)view->board.usage.entries;
    return view->board.usage.map != 0;
}

static bool store_used(const struct partition_view *view, double *ret_value)
{
    *ret_value = (double)view->board.usage.used;
    return view->board.usage.map != 0;
}

static bool store_map(const struct partition_view *view, double *ret_value)
{
    *ret_value = (double)view->board.usage.map;
    return view->board.usage.map != 0;
}

static bool restore_remaining(const struct partition_view *view, double *ret_value)
{
    *ret_value = (double)view->board.restore_left;
    return view->board.restore_left >= 0;
}

struct partition_family {
    partition_gauge *gauge;
    bool topic; /* whether the input's name is a label */
    const char *name, *help;
};

static const struct partition_family partition_families[] = {
    {committed_offset, true, "rimbalzo_committed_offset",
     "What the group has committed of the input, as the brokers told seconds ago."},
    {end_offset, true, "rimbalzo_end_offset",
     "Last stable offset of the input, told just after the committed one."},
    {lag_records, true, "rimbalzo_lag_records",
     "Offsets from the first that is not committed (not below the log's start) to the last stable "
     "one. Absent: not known."},
    {lag_seconds, true, "rimbalzo_lag_seconds",
     "How long the first record that is not committed has waited, by its timestamp; 0: none waits. "
     "Absent: not known."},
    {last_progress, true, "rimbalzo_last_progress_timestamp_seconds",
     "When the partition last committed input, or began to run here."},
    {store_entries, false, "rimbalzo_store_entries",
     "Recipients (worker) or waiting commands (dispatcher) in local state."},
    {store_used, false, "rimbalzo_store_used_bytes", "Local state: octets in use."},
    {store_map, false, "rimbalzo_store_map_bytes",
     "Local state: octets there is room for before the file must grow."},
    {restore_remaining, false, "rimbalzo_restore_remaining_records",
     "Offsets that restoring has yet to read; 0: the partition runs. Absent: not known yet, or "
     "failed."},
};

static void write_partitions(struct metrics *metrics, const struct views *views,
                             const struct partition_family *family)
{
    metrics_family(metrics, METRIC_GAUGE, family->name, family->help);
    for (int i = 0; i < views->count; i++) {
        const struct partition_view *view = &views->items[i];
        const char *role = role_names[view->role];
        char partition[16];
        double value;
        if (!family->gauge(view, &value))
            continue;
        snprintf(partition, sizeof(partition), "%d", view->board.partition);
        if (family->topic)
            metrics_real(metrics,
                         METRIC_LABELS({"role", role},
                                       {"topic", views->observe->topics[role_inputs[view->role]]},
                                       {"partition", partition}),
                         value);
        else
            metrics_real(metrics, METRIC_LABELS({"role", role}, {"partition", partition}), value);
    }
}

/* --- librdkafka --- */

/* Of the clients of a role's threads: how many have told, the sum of what waits, the fewest
 * brokers. */
static int sum_clients(const struct observe *observe, enum role role, enum kafka_client client,
                       long long *ret_waiting, int *inout_brokers)
{
    int told = 0;
    *ret_waiting = 0;
    for (int i = 0; i < observe->count; i++) {
        const struct kafka_statistics *statistics = observe->threads[i].kafka;
        if (observe->threads[i].role != role || !statistics ||
            !atomic_load(&statistics[client].told))
            continue;
        int brokers = atomic_load(&statistics[client].brokers_up);
        told++;
        *ret_waiting += atomic_load(&statistics[client].waiting);
        if (*inout_brokers < 0 || brokers < *inout_brokers)
            *inout_brokers = brokers;
    }
    return told;
}

static void write_kafka(struct metrics *metrics, const struct observe *observe)
{
    int brokers[ROLE_COUNT];
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_kafka_queued_messages",
                   "Records in librdkafka's queues: fetched and not taken yet (consumer), or not "
                   "yet acknowledged (producer).");
    for (int role = 0; role < ROLE_COUNT; role++) {
        brokers[role] = -1;
        for (int client = 0; client < KAFKA_CLIENT_COUNT; client++) {
            long long waiting;
            if (sum_clients(observe, (enum role)role, (enum kafka_client)client, &waiting,
                            &brokers[role]))
                metrics_int(metrics,
                            METRIC_LABELS({"role", role_names[role]},
                                          {"client", kafka_client_names[client]}),
                            waiting);
        }
    }
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_kafka_brokers_up",
                   "Brokers with an open connection, of the client that has the fewest.");
    for (int role = 0; role < ROLE_COUNT; role++)
        if (brokers[role] >= 0)
            metrics_int(metrics, METRIC_LABELS({"role", role_names[role]}), brokers[role]);
}

/* --- all of it --- */

unsigned observe_metrics(void *context, struct http_exchange *exchange)
{
    struct observe *observe = context;
    enum metrics_format format = metrics_accepted(exchange->accept);
    struct metrics metrics = {.out = &exchange->body, .format = format};
    struct partition_view *items;
    exchange->content_type = metrics_content_type(format);
    metrics_family(&metrics, METRIC_INFO, "rimbalzo_build_info", "The versions that run.");
    metrics_int(&metrics,
                METRIC_LABELS({"version", RIMBALZO_VERSION}, {"librdkafka", kafka_version()}), 1);
    pthread_mutex_lock(&observe->lock);
    struct views views = {.observe = observe, .count = observe_partitions(observe, &items)};
    views.items = items;
    write_states(&metrics, &views);
    for (size_t i = 0; i < sizeof(partition_families) / sizeof(partition_families[0]); i++)
        write_partitions(&metrics, &views, &partition_families[i]);
    write_engine(&metrics, observe);
    write_kafka(&metrics, observe);
    observe_work(&metrics, observe, views.items, views.count);
    pthread_mutex_unlock(&observe->lock);
    mem_free(items);
    metrics_process(&metrics);
    metrics_end(&metrics);
    return HTTP_OK;
}
