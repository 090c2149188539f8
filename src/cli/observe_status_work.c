/* /api/v1/status: recipients, bounces, what is due, what ingest jobs and dead letters tell. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/observe_internal.h"

#define REASONS_MAX 10
#define ASK_MS_MAX 1000                /* of all threads together */
#define DUE_FRESH_MS 5000              /* they are not counted more often */
#define DUE_WALK_MAX ((size_t)1000000) /* timers looked at; a few hundredths of a second */

/* --- lists of names and numbers --- */

struct line {
    const char *name;
    uint64_t number;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    return (left->number < right->number) - (left->number > right->number);
}

static void add_line(json_t *list, const char *name_key, const char *name, const char *number_key,
                     uint64_t number, uint64_t all)
{
    double share = all ? (double)number / (double)all : 0;
    json_array_append_new(list, json_pack("{s:s,s:I,s:f}", name_key, name, number_key,
                                          (json_int_t)number, "share", share));
}

/* Those that are not 0, the greatest first, at most `max`. */
static json_t *greatest(struct line *lines, size_t count, size_t max, const char *name_key,
                        const char *number_key)
{
    json_t *list = json_array();
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all += lines[i].number;
    qsort(lines, count, sizeof(*lines), compare_lines);
    for (size_t i = 0; i < count && i < max && lines[i].number; i++)
        add_line(list, name_key, lines[i].name, number_key, lines[i].number, all);
    return list;
}

/* --- worker --- */

json_t *observe_recipients_json(const struct partition_view *views, int count)
{
    uint64_t kinds[STORE_KINDS], total = 0;
    json_t *statuses = json_array(), *attempts = json_array();
    struct line reasons[SUPPRESSION_REASON_COUNT] = {{0}};
    int assigned = 0, last = WORKER_ATTEMPTS_MAX;
    int running = observe_kinds(views, count, kinds);
    for (int i = 0; i < count; i++)
        assigned += views[i].role == ROLE_WORKER;
    for (int i = 0; i < STORE_KINDS; i++)
        total += kinds[i];
    for (int i = 0; i < RECIPIENT_STATUS_COUNT; i++)
        add_line(statuses, "status", recipient_status_names[i], "recipients",
                 observe_of_status(kinds, (enum recipient_status)i), total);
    uint64_t suspended = observe_of_status(kinds, STATUS_SUSPENDED);
    while (last && !kinds[WORKER_KIND_SUSPENDED + last])
        last--;
    for (int i = 1; i <= last; i++) {
        uint64_t number = kinds[WORKER_KIND_SUSPENDED + i];
        json_array_append_new(attempts, json_pack("{s:i,s:I,s:f}", "attempt", i, "recipients",
                                                  (json_int_t)number, "share",
                                                  (double)number / (double)suspended));
    }
    for (int i = 1; i < SUPPRESSION_REASON_COUNT; i++)
        reasons[i] = (struct line){suppression_reason_names[i], kinds[WORKER_KIND_SUPPRESSED + i]};
    return json_pack(
        "{s:i,s:i,s:b,s:I,s:o,s:o,s:o}", "assigned", assigned, "partitions", running, "complete",
        running == assigned, "total", (json_int_t)total, "by_status", statuses, "by_attempt",
        attempts, "suppressed_by",
        greatest(reasons + 1, SUPPRESSION_REASON_COUNT - 1, REASONS_MAX, "reason", "recipients"));
}

json_t *observe_bounces_json(const struct observe *observe)
{
    struct line classes[BOUNCE_CLASS_COUNT] = {{0}}, reasons[REASON_COUNT] = {{0}};
    if (!observe_has_role(observe, ROLE_WORKER))
        return json_null();
    for (int k = 0; k < BOUNCE_CLASS_COUNT; k++)
        classes[k].name = bounce_class_names[k];
    for (int k = 0; k < REASON_COUNT; k++)
        reasons[k].name = reason_names[k];
    for (int i = 0; i < observe->count; i++) {
        const struct worker_stats *stats = observe->threads[i].worker;
        for (int k = 0; stats && k < BOUNCE_CLASS_COUNT; k++)
            classes[k].number += (uint64_t)counter_get(&stats->bounces[k]);
        for (int k = 0; stats && k < REASON_COUNT; k++)
            reasons[k].number += (uint64_t)counter_get(&stats->reasons[k]);
    }
    return json_pack("{s:o,s:o}", "by_class",
                     greatest(classes, BOUNCE_CLASS_COUNT, BOUNCE_CLASS_COUNT, "class", "bounces"),
                     "by_reason",
                     greatest(reasons, REASON_COUNT, REASONS_MAX, "reason", "bounces"));
}

/* --- dispatcher --- */

/* What one thread is asked, and its answer. */
struct counting {
    const struct observed_thread *thread;
    int64_t until_ms[DUE_BOUNDS];
    struct observe_due due;
    enum rcode rc;
};

/* By the engine's thread, whose board is up to date then. */
static void count_thread(void *context)
{
    struct counting *counting = context;
    struct board_entry *entries;
    size_t budget = DUE_WALK_MAX;
    int count = board_read(counting->thread->board, &entries);
    for (int i = 0; counting->rc == OK && i < count; i++) {
        uint64_t within[DUE_BOUNDS];
        struct err err = {0};
        if (entries[i].state != PARTITION_RUNNING)
            continue;
        counting->rc = dispatcher_due(counting->thread->processor, entries[i].partition,
                                      counting->until_ms, DUE_BOUNDS, &budget, within, &err);
        counting->due.partitions++;
        counting->due.pending += entries[i].usage.entries;
        for (int k = 0; k < DUE_BOUNDS; k++)
            counting->due.within[k] += within[k];
    }
    counting->due.complete = budget > 0;
    mem_free(entries);
}

static void add_due(struct observe_due *due, const struct counting *counting)
{
    due->complete &= counting->due.complete;
    due->partitions += counting->due.partitions;
    due->pending += counting->due.pending;
    for (int k = 0; k < DUE_BOUNDS; k++)
        due->within[k] += counting->due.within[k];
}

static int running_dispatcher_partitions(struct observe *observe)
{
    struct partition_view *views;
    int running = 0;
    pthread_mutex_lock(&observe->lock);
    int count = observe_partitions(observe, &views);
    pthread_mutex_unlock(&observe->lock);
    for (int i = 0; i < count; i++)
        running += views[i].role == ROLE_DISPATCHER && views[i].board.state == PARTITION_RUNNING;
    mem_free(views);
    return running;
}

/* Whether what was counted a moment ago may be told again: of the same partitions, as it seems. */
static bool is_fresh(struct observe *observe, int64_t now_ms)
{
    const struct observe_due *due = &observe->due;
    return due->known && now_ms >= due->at_ms && now_ms - due->at_ms < DUE_FRESH_MS &&
           due->partitions == running_dispatcher_partitions(observe);
}

void observe_count_due(struct observe *observe)
{
    static const int64_t ahead_ms[DUE_BOUNDS] = {0, 3600000LL, 86400000LL, 604800000LL};
    int64_t now_ms = clock_wall_ms(), until_ms = clock_monotonic_ms() + ASK_MS_MAX;
    if (is_fresh(observe, now_ms))
        return;
    struct observe_due due = {.at_ms = now_ms, .known = true, .complete = true};
    pthread_mutex_lock(&observe->lock);
    int count = observe->count;
    pthread_mutex_unlock(&observe->lock);
    for (int i = 0; i < count; i++) { /* threads are handed over once and stay */
        struct counting counting = {.thread = &observe->threads[i]};
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (counting.thread->role != ROLE_DISPATCHER || !counting.thread->ask)
            continue;
        for (int k = 0; k < DUE_BOUNDS; k++)
            counting.until_ms[k] = now_ms + ahead_ms[k];
        due.known &= left_ms > 0 &&
                     ask_put(counting.thread->ask, count_thread, &counting, (int)left_ms) &&
                     counting.rc == OK;
        if (!due.known)
            break;
        add_due(&due, &counting);
    }
    observe->due = due;
}

static json_t *due_number(const struct observe_due *due, uint64_t number)
{
    return due->known ? json_integer((json_int_t)number) : json_null();
}

json_t *observe_due_json(const struct observe *observe)
{
    const struct observe_due *due = &observe->due;
    int64_t next_due_ms = INT64_MAX, now_ms = clock_wall_ms();
    long long pending = 0;
    char text[32], counted[32];
    clock_format(due->at_ms, counted);
    if (!observe_has_role(observe, ROLE_DISPATCHER))
        return json_null();
    for (int i = 0; i < observe->count; i++) {
        const struct dispatcher_stats *stats = observe->threads[i].dispatcher;
        if (!stats)
            continue;
        pending += counter_get(&stats->pending);
        if (counter_get(&stats->next_due_ms) < next_due_ms)
            next_due_ms = counter_get(&stats->next_due_ms);
    }
    if (next_due_ms != INT64_MAX)
        clock_format(next_due_ms, text);
    uint64_t week = due->within[3];
    return json_pack("{s:I,s:o,s:o,s:f,s:o,s:b,s:o,s:o,s:o,s:o,s:o}", "pending",
                     due->known ? (json_int_t)due->pending : (json_int_t)pending, "counted_at",
                     due->known ? json_string(counted) : json_null(), "next_due_at",
                     next_due_ms != INT64_MAX ? json_string(text) : json_null(), "overdue_seconds",
                     next_due_ms < now_ms ? (double)(now_ms - next_due_ms) / 1000 : 0.0,
                     "partitions", due_number(due, (uint64_t)due->partitions), "at_least",
                     due->known && !due->complete, "overdue", due_number(due, due->within[0]),
                     "within_hour", due_number(due, due->within[1]), "within_day",
                     due_number(due, due->within[2]), "within_week", due_number(due, week), "later",
                     due->complete ? due_number(due, due->pending > week ? due->pending - week : 0)
                                   : json_null());
}

/* --- ingest job, dead letters --- */

json_t *observe_ingest_json(const struct observe *observe)
{
    struct line outcomes[INGEST_OUTCOME_COUNT] = {{0}}, skips[INGEST_SKIP_COUNT] = {{0}};
    if (!observe_has_role(observe, ROLE_INGEST))
        return json_null();
    for (int k = 0; k < INGEST_OUTCOME_COUNT; k++)
        outcomes[k].name = ingest_outcome_names[k];
    for (int k = 0; k < INGEST_SKIP_COUNT; k++)
        skips[k].name = ingest_skip_names[k];
    for (int i = 0; i < observe->count; i++) {
        const struct ingest_job_stats *stats = observe->threads[i].ingest;
        for (int k = 0; stats && k < INGEST_OUTCOME_COUNT; k++)
            outcomes[k].number += (uint64_t)counter_get(&stats->entries[k]);
        for (int k = INGEST_SKIP_NONE + 1; stats && k < INGEST_SKIP_COUNT; k++)
            skips[k].number += (uint64_t)counter_get(&stats->skipped[k]);
    }
    return json_pack(
        "{s:o,s:o}", "by_outcome",
        greatest(outcomes, INGEST_OUTCOME_COUNT, INGEST_OUTCOME_COUNT, "outcome", "recipients"),
        "skipped", greatest(skips, INGEST_SKIP_COUNT, INGEST_SKIP_COUNT, "reason", "recipients"));
}

json_t *observe_dead_letters_json(const struct observe *observe)
{
    struct line lines[RCODE_COUNT];
    long long sums[RCODE_COUNT];
    observe_sum_dead_letters(observe, sums);
    for (int k = 0; k < RCODE_COUNT; k++)
        lines[k] = (struct line){rcode_name((enum rcode)k), (uint64_t)sums[k]};
    return greatest(lines, RCODE_COUNT, REASONS_MAX, "reason", "records");
}
