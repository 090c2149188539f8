/* /metrics: what worker and dispatcher have done, summed over their threads; all of it of committed
 * transactions only. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/observe_internal.h"

#define X(constant, string) [constant] = (string),
static const char *const outcome_names[OUTCOME_COUNT] = {OUTCOMES(X)};
#undef X

/* --- worker --- */

static long long sum_of(const struct observe *observe, size_t offset)
{
    long long sum = 0;
    for (int i = 0; i < observe->count; i++)
        if (observe->threads[i].worker)
            sum += counter_get(
                (const atomic_llong *)((const char *)observe->threads[i].worker + offset));
    return sum;
}

/* A counter of worker_stats, or an array of them by `label`. */
struct worker_family {
    size_t offset;
    int count;
    const char *name, *label; /* label NULL: one counter */
    const char *const *names;
    const char *help;
};

#define AT(member) offsetof(struct worker_stats, member)

static const struct worker_family worker_families[] = {
    {AT(outcomes), OUTCOME_COUNT, "rimbalzo_outcomes_total", "outcome", outcome_names,
     "Events by what became of them."},
    {AT(bounces), BOUNCE_CLASS_COUNT, "rimbalzo_bounces_total", "class", bounce_class_names,
     "Bounces by class."},
    {AT(reasons), REASON_COUNT, "rimbalzo_bounce_reasons_total", "reason", reason_names,
     "Bounces by reason."},
    {AT(commands), COMMAND_ACTION_COUNT, "rimbalzo_commands_total", "action", command_action_names,
     "Retry commands."},
    {AT(notices), NOTICE_KIND_COUNT, "rimbalzo_notices_total", "kind", notice_kind_names,
     "Notices."},
    {AT(rerouted), 1, "rimbalzo_rerouted_total", NULL, NULL,
     "Records sent on to the partition of their key."},
    {AT(lapsed), 1, "rimbalzo_lapsed_total", NULL, NULL, "Stale episodes ended by the idle scan."},
    {AT(expired), 1, "rimbalzo_expired_total", NULL, NULL,
     "Recipients forgotten by the idle scan."},
};

static void write_family(struct metrics *metrics, const struct observe *observe,
                         const struct worker_family *family)
{
    metrics_family(metrics, METRIC_COUNTER, family->name, family->help);
    for (int k = 0; k < family->count; k++)
        metrics_int(metrics,
                    family->label ? METRIC_LABELS({family->label, family->names[k]})
                                  : METRIC_NO_LABELS,
                    sum_of(observe, family->offset + (size_t)k * sizeof(atomic_llong)));
}

static void write_suppressions(struct metrics *metrics, const struct observe *observe)
{
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_suppressions_total",
                   "Suppression events: SUPPRESS, and REINSTATE, which lifts one.");
    for (int action = 0; action < SUPPRESSION_ACTION_COUNT; action++)
        for (int reason = SUPPRESSION_NONE + 1; reason < SUPPRESSION_REASON_COUNT; reason++) {
            size_t index = (size_t)action * SUPPRESSION_REASON_COUNT + (size_t)reason;
            metrics_int(metrics,
                        METRIC_LABELS({"action", suppression_action_names[action]},
                                      {"reason", suppression_reason_names[reason]}),
                        sum_of(observe, AT(suppressions) + index * sizeof(atomic_llong)));
        }
}
#undef AT

static void write_worker(struct metrics *metrics, const struct observe *observe)
{
    struct histogram age = {0};
    for (size_t i = 0; i < sizeof(worker_families) / sizeof(worker_families[0]); i++)
        write_family(metrics, observe, &worker_families[i]);
    write_suppressions(metrics, observe);
    for (int i = 0; i < observe->count; i++)
        if (observe->threads[i].worker)
            histogram_sum(&age, &observe->threads[i].worker->bounce_age_seconds);
    metrics_family(metrics, METRIC_HISTOGRAM, "rimbalzo_bounce_age_seconds",
                   "How old bounces were when they were processed: the wall clock, minus the time "
                   "of the event.");
    metrics_histogram(metrics, METRIC_NO_LABELS, &age, &worker_bounce_age_layout);
}

static void write_recipients(struct metrics *metrics, const struct partition_view *views, int count)
{
    uint64_t kinds[STORE_KINDS];
    observe_kinds(views, count, kinds);
    metrics_family(
        metrics, METRIC_GAUGE, "rimbalzo_recipients",
        "Recipients in local state by status, of the partitions that run here. One whose "
        "suspension has gone stale counts as SUSPENDED until the worker notices.");
    for (int status = 0; status < RECIPIENT_STATUS_COUNT; status++)
        metrics_int(metrics, METRIC_LABELS({"status", recipient_status_names[status]}),
                    (long long)observe_of_status(kinds, (enum recipient_status)status));
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_suspended_recipients",
                   "Those that are SUSPENDED, by attempt. Absent: there are none.");
    for (int attempt = 1; attempt <= WORKER_ATTEMPTS_MAX; attempt++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", attempt);
        if (kinds[WORKER_KIND_SUSPENDED + attempt])
            metrics_int(metrics, METRIC_LABELS({"attempt", name}),
                        (long long)kinds[WORKER_KIND_SUSPENDED + attempt]);
    }
}

/* --- dispatcher --- */

static void write_dispatcher(struct metrics *metrics, const struct observe *observe)
{
    long long outcomes[COMMAND_OUTCOME_COUNT] = {0}, pending = 0;
    int64_t next_due_ms = INT64_MAX, now_ms = clock_wall_ms();
    struct histogram delay = {0};
    for (int i = 0; i < observe->count; i++) {
        const struct dispatcher_stats *stats = observe->threads[i].dispatcher;
        if (!stats)
            continue;
        for (int k = 0; k < COMMAND_OUTCOME_COUNT; k++)
            outcomes[k] += counter_get(&stats->commands[k]);
        pending += counter_get(&stats->pending);
        if (counter_get(&stats->next_due_ms) < next_due_ms)
            next_due_ms = counter_get(&stats->next_due_ms);
        histogram_sum(&delay, &stats->release_delay_seconds);
    }
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_dispatcher_commands_total",
                   "Retry commands by what became of them.");
    for (int k = 0; k < COMMAND_OUTCOME_COUNT; k++)
        metrics_int(metrics, METRIC_LABELS({"outcome", command_outcome_names[k]}), outcomes[k]);
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_dispatcher_pending",
                   "Commands that wait, on the partitions that run here.");
    metrics_int(metrics, METRIC_NO_LABELS, pending);
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_dispatcher_overdue_seconds",
                   "How long the command that should have left first has been due, on the "
                   "partitions that run here; 0: none is.");
    metrics_real(metrics, METRIC_NO_LABELS,
                 next_due_ms < now_ms ? (double)(now_ms - next_due_ms) / 1000 : 0);
    metrics_family(metrics, METRIC_HISTOGRAM, "rimbalzo_dispatcher_release_delay_seconds",
                   "When commands left that were due, minus their due time; those that came late "
                   "count from their due time too.");
    metrics_histogram(metrics, METRIC_NO_LABELS, &delay, &dispatcher_release_delay_layout);
}

/* --- ingest job --- */

static void write_ingest(struct metrics *metrics, const struct observe *observe)
{
    long long entries[INGEST_OUTCOME_COUNT] = {0}, skipped[INGEST_SKIP_COUNT] = {0};
    for (int i = 0; i < observe->count; i++) {
        const struct ingest_job_stats *stats = observe->threads[i].ingest;
        for (int k = 0; stats && k < INGEST_OUTCOME_COUNT; k++)
            entries[k] += counter_get(&stats->entries[k]);
        for (int k = 0; stats && k < INGEST_SKIP_COUNT; k++)
            skipped[k] += counter_get(&stats->skipped[k]);
    }
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_ingest_entries_total",
                   "What the source tells, for each recipient, by what became of it.");
    for (int k = 0; k < INGEST_OUTCOME_COUNT; k++)
        metrics_int(metrics, METRIC_LABELS({"outcome", ingest_outcome_names[k]}), entries[k]);
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_ingest_skipped_total",
                   "What is no event for us, by reason.");
    for (int k = INGEST_SKIP_NONE + 1; k < INGEST_SKIP_COUNT; k++)
        metrics_int(metrics, METRIC_LABELS({"reason", ingest_skip_names[k]}), skipped[k]);
}

/* --- schema registry --- */

static void write_registry(struct metrics *metrics, const struct schemas_service *schemas)
{
    struct lookup_usage usage;
    lookup_usage(schemas->lookup, &usage);
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_registry_requests_total",
                   "Requests to the schema registry by what came of them.");
    for (int k = 0; k < REGISTRY_OUTCOME_COUNT; k++)
        metrics_int(metrics, METRIC_LABELS({"outcome", registry_outcome_names[k]}),
                    atomic_load(&schemas->stats.requests[k]));
    metrics_family(metrics, METRIC_GAUGE, "rimbalzo_registry_schemas",
                   "Schema ids that are remembered: known, absent from the registry, or wanted and "
                   "not told yet.");
    metrics_int(metrics, METRIC_LABELS({"state", "known"}), usage.known);
    metrics_int(metrics, METRIC_LABELS({"state", "absent"}), usage.absent);
    metrics_int(metrics, METRIC_LABELS({"state", "wanted"}), usage.wanted);
}

/* --- all --- */

void observe_sum_dead_letters(const struct observe *observe, long long ret_sums[RCODE_COUNT])
{
    memset(ret_sums, 0, RCODE_COUNT * sizeof(ret_sums[0]));
    for (int i = 0; i < observe->count; i++) {
        const struct observed_thread *thread = &observe->threads[i];
        const atomic_llong *counters = thread->worker       ? thread->worker->dead_letters
                                       : thread->dispatcher ? thread->dispatcher->dead_letters
                                       : thread->ingest     ? thread->ingest->dead_letters
                                                            : NULL;
        for (int k = 0; counters && k < RCODE_COUNT; k++)
            ret_sums[k] += counter_get(&counters[k]);
    }
}

/* The reasons of dead letters are the codes that say the record is at fault. */
static void write_dead_letters(struct metrics *metrics, const struct observe *observe)
{
    long long sums[RCODE_COUNT];
    observe_sum_dead_letters(observe, sums);
    metrics_family(metrics, METRIC_COUNTER, "rimbalzo_dead_letters_total",
                   "Records that nobody can use, by reason.");
    for (int i = 0; i < RCODE_COUNT; i++)
        if (rcode_disposition((enum rcode)i) == DISPOSITION_REJECT || sums[i])
            metrics_int(metrics, METRIC_LABELS({"reason", rcode_name((enum rcode)i)}), sums[i]);
}

/* What is not there reads as no family, not as 0. */
void observe_work(struct metrics *metrics, const struct observe *observe,
                  const struct partition_view *views, int count)
{
    if (observe_has_role(observe, ROLE_WORKER)) {
        write_worker(metrics, observe);
        write_recipients(metrics, views, count);
    }
    if (observe_has_role(observe, ROLE_DISPATCHER))
        write_dispatcher(metrics, observe);
    if (observe_has_role(observe, ROLE_INGEST))
        write_ingest(metrics, observe);
    if (observe->schemas && observe->schemas->lookup)
        write_registry(metrics, observe->schemas);
    write_dead_letters(metrics, observe);
}
