/* /api/v1/status: what the process is, whether it is well, its partitions and what went wrong. What
 * it has done is in observe_status_work.c. Names of members are stable. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/observe_internal.h"

#define HTTP_OK 200u
#define LATE_SECONDS 60 /* behind, or overdue, for longer: late */
#define RATE_MS 60000   /* the window of records per second, if there are samples so old */
#define HISTORY_STEP 5  /* samples: about ten seconds */
#define ERRORS_MAX 10

static json_t *integer_or_null(bool known, int64_t value)
{
    return known ? json_integer(value) : json_null();
}

static json_t *real_or_null(bool known, double value)
{
    return known ? json_real(value) : json_null();
}

static json_t *time_or_null(int64_t wall_ms)
{
    char text[32];
    if (!wall_ms)
        return json_null();
    clock_format(wall_ms, text);
    return json_string(text);
}

/* A host's name need not be UTF-8. */
static json_t *text_or_null(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    return string ? string : json_null();
}

static json_t *code_or_null(enum rcode code)
{
    return code == OK ? json_null() : json_string(rcode_name(code));
}

/* --- partitions --- */

static json_t *partition_json(const struct partition_view *view)
{
    const struct board_entry *board = &view->board;
    const struct kafka_lag_partition *lag = view->lag;
    bool running = board->state == PARTITION_RUNNING;
    bool restored_known = board->restore_all > 0 && board->restore_left >= 0;
    double restored =
        restored_known ? 1 - (double)board->restore_left / (double)board->restore_all : 0;
    return json_pack(
        "{s:i,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "partition", board->partition, "state",
        partition_state_names[board->state], "code",
        code_or_null(running ? board->held : board->failure), "lag_records",
        integer_or_null(lag, lag ? kafka_lag_records(lag) : 0), "lag_seconds",
        real_or_null(lag && lag->waiting_known, lag ? (double)lag->waiting_ms / 1000 : 0),
        "committed_offset", integer_or_null(lag && lag->committed >= 0, lag ? lag->committed : 0),
        "end_offset", integer_or_null(lag, lag ? lag->end : 0), "restore_remaining",
        integer_or_null(board->restore_left >= 0, board->restore_left), "restored",
        running ? json_real(1) : real_or_null(restored_known, restored), "entries",
        integer_or_null(board->usage.map, (int64_t)board->usage.entries), "last_progress_at",
        time_or_null(board->progress_ms));
}

/* --- roles --- */

/* What is known of a role's partitions together. */
struct role_sums {
    int partitions, running, restoring, failed;
    bool lag_known, waiting_known;
    int64_t lag_records, waiting_ms;
};

static void add_partition(struct role_sums *sums, const struct partition_view *view)
{
    const struct kafka_lag_partition *lag = view->lag;
    enum partition_state state = view->board.state;
    sums->partitions++;
    sums->running += state == PARTITION_RUNNING;
    sums->failed += state == PARTITION_FAILED;
    sums->restoring += state == PARTITION_ASSIGNED || state == PARTITION_RESTORING;
    sums->lag_known &= lag != NULL;
    sums->waiting_known &= lag && lag->waiting_known;
    sums->lag_records += lag ? kafka_lag_records(lag) : 0;
    if (lag && lag->waiting_known && lag->waiting_ms > sums->waiting_ms)
        sums->waiting_ms = lag->waiting_ms;
}

static double rate_of(const struct observe_sample *from, const struct observe_sample *to, int role)
{
    return (double)(to->records[role] - from->records[role]) * 1000 /
           (double)(to->at_ms - from->at_ms);
}

/* The sample from which to tell the rate until now: a window old or a little younger, else the
 * youngest that is older; NULL: there is none. */
static const struct observe_sample *window_of(const struct observe *observe, int64_t now_ms)
{
    const struct observe_sample *found = NULL;
    for (int i = observe->sample_count - 1; i >= 0; i--) {
        const struct observe_sample *sample = &observe->samples[i];
        if (sample->at_ms >= now_ms || (found && now_ms - sample->at_ms > RATE_MS))
            continue;
        found = sample;
    }
    return found;
}

static json_t *history_json(const struct observe *observe, int role, int64_t now_ms)
{
    json_t *history = json_array();
    for (int i = HISTORY_STEP; i < observe->sample_count; i += HISTORY_STEP) {
        const struct observe_sample *from = &observe->samples[i - HISTORY_STEP],
                                    *to = &observe->samples[i];
        json_array_append_new(history, json_pack("{s:f,s:f}", "seconds_ago",
                                                 (double)(now_ms - to->at_ms) / 1000,
                                                 "records_per_second", rate_of(from, to, role)));
    }
    return history;
}

static struct role_sums sum_role(const struct partition_view *views, int count, int role)
{
    struct role_sums sums = {.lag_known = true, .waiting_known = true};
    for (int i = 0; i < count; i++)
        if ((int)views[i].role == role)
            add_partition(&sums, &views[i]);
    return sums;
}

static json_t *role_json(const struct observe *observe, const struct partition_view *views,
                         int count, int role)
{
    int64_t now_ms = clock_monotonic_ms();
    struct role_sums sums = sum_role(views, count, role);
    struct observe_sample now = {.at_ms = now_ms};
    const struct observe_sample *from = window_of(observe, now_ms);
    json_t *partitions = json_array();
    int threads = 0;
    for (int i = 0; i < observe->count; i++) {
        if ((int)observe->threads[i].role != role)
            continue;
        threads++;
        now.records[role] += counter_get(&observe->threads[i].engine->records);
    }
    for (int i = 0; i < count; i++)
        if ((int)views[i].role == role)
            json_array_append_new(partitions, partition_json(&views[i]));
    return json_pack("{s:s,s:o,s:i,s:I,s:o,s:o,s:o,s:o,s:o,s:i,s:i,s:i,s:i,s:o}", "role",
                     role_names[role], "input", text_or_null(observe->topics[role_inputs[role]]),
                     "threads", threads, "records", (json_int_t)now.records[role],
                     "records_per_second", real_or_null(from, from ? rate_of(from, &now, role) : 0),
                     "window_seconds",
                     real_or_null(from, from ? (double)(now_ms - from->at_ms) / 1000 : 0),
                     "history", history_json(observe, role, now_ms), "lag_records",
                     integer_or_null(sums.lag_known, sums.lag_records), "lag_seconds",
                     real_or_null(sums.waiting_known, (double)sums.waiting_ms / 1000), "assigned",
                     sums.partitions, "running", sums.running, "restoring", sums.restoring,
                     "failed", sums.failed, "partitions", partitions);
}

/* --- problems --- */

static void add_problem(json_t *problems, enum role role, int32_t partition, enum rcode code,
                        const char *text)
{
    json_array_append_new(problems,
                          json_pack("{s:s,s:o,s:o,s:s}", "role", role_names[role], "partition",
                                    integer_or_null(partition >= 0, partition), "code",
                                    code_or_null(code), "text", text));
}

static json_t *problems_json(const struct observe *observe, const struct partition_view *views,
                             int count)
{
    json_t *problems = json_array();
    for (int i = 0; i < count; i++) {
        const struct board_entry *board = &views[i].board;
        if (board->state == PARTITION_FAILED)
            add_problem(problems, views[i].role, board->partition, board->failure,
                        "the partition has stopped");
        else if (board->state == PARTITION_RUNNING && board->held != OK)
            add_problem(problems, views[i].role, board->partition, board->held,
                        "the partition waits a moment");
    }
    for (int i = 0; i < observe->count; i++) {
        const struct observed_thread *thread = &observe->threads[i];
        enum rcode trouble = (enum rcode)atomic_load(&thread->engine->trouble);
        if (trouble != OK)
            add_problem(problems, thread->role, -1, trouble, "a thread cannot commit");
        if (observe_is_stuck(observe, i))
            add_problem(problems, thread->role, -1, OK,
                        "a thread has not made a turn for more than a minute");
    }
    return problems;
}

/* --- errors --- */

struct error {
    int role, stage, code;
    long long count;
    int64_t last_ms;
};

static int compare_errors(const void *a, const void *b)
{
    const struct error *left = a, *right = b;
    return (left->last_ms < right->last_ms) - (left->last_ms > right->last_ms);
}

/* Those of one role, stage and code, over its threads. */
static struct error error_of(const struct observe *observe, int role, int stage, int code)
{
    struct error error = {.role = role, .stage = stage, .code = code};
    for (int i = 0; i < observe->count; i++) {
        const struct engine_stats *engine = observe->threads[i].engine;
        if ((int)observe->threads[i].role != role)
            continue;
        int64_t last_ms = atomic_load(&engine->error_ms[stage][code]);
        error.count += counter_get(&engine->errors[stage][code]);
        if (last_ms > error.last_ms)
            error.last_ms = last_ms;
    }
    return error;
}

static json_t *errors_json(const struct observe *observe)
{
    struct error *errors =
        mem_alloc((size_t)ROLE_COUNT * ENGINE_STAGE_COUNT * RCODE_COUNT * sizeof(*errors));
    int64_t now_ms = clock_wall_ms();
    json_t *list = json_array();
    size_t count = 0;
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int stage = 0; stage < ENGINE_STAGE_COUNT; stage++)
            for (int code = 0; code < RCODE_COUNT; code++) {
                struct error error = error_of(observe, role, stage, code);
                if (error.count)
                    errors[count++] = error;
            }
    if (count)
        qsort(errors, count, sizeof(*errors), compare_errors);
    for (size_t i = 0; i < count && i < ERRORS_MAX; i++) {
        const struct error *error = &errors[i];
        bool past = error->last_ms && error->last_ms <= now_ms;
        json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:s,s:I,s:o,s:o}", "role", role_names[error->role], "stage",
                      engine_stage_names[error->stage], "code", rcode_name((enum rcode)error->code),
                      "count", (json_int_t)error->count, "last_at", time_or_null(error->last_ms),
                      "seconds_ago", real_or_null(past, (double)(now_ms - error->last_ms) / 1000)));
    }
    mem_free(errors);
    return list;
}

/* --- the whole --- */

static bool has_turned(const struct observe *observe)
{
    for (int i = 0; i < observe->count; i++)
        if (!atomic_load(&observe->threads[i].engine->last_turn_ms))
            return false;
    return observe->count > 0;
}

static bool is_late(const struct observe *observe, const struct partition_view *views, int count)
{
    int64_t now_ms = clock_wall_ms();
    for (int i = 0; i < count; i++)
        if (views[i].lag && views[i].lag->waiting_known &&
            views[i].lag->waiting_ms > LATE_SECONDS * 1000)
            return true;
    for (int i = 0; i < observe->count; i++)
        if (observe->threads[i].dispatcher &&
            counter_get(&observe->threads[i].dispatcher->next_due_ms) <
                now_ms - LATE_SECONDS * 1000)
            return true;
    return false;
}

struct judgement {
    const char *state, *headline;
};

static struct judgement judge(const struct observe *observe, const struct partition_view *views,
                              int count, bool problems, bool connected)
{
    bool heard = observe_heard_ms(observe) || !observe->watched;
    bool fresh = clock_monotonic_ms() - observe->since_ms <= HEARD_MS_MAX;
    int restoring = 0;
    for (int i = 0; i < count; i++)
        restoring += views[i].board.state == PARTITION_RESTORING ||
                     views[i].board.state == PARTITION_ASSIGNED;
    if (!observe->count)
        return (struct judgement){"starting", "Starting: waiting for a broker and the topics"};
    if (problems)
        return (struct judgement){"trouble", "Needs attention"};
    if (!has_turned(observe) || (!heard && fresh))
        return (struct judgement){"starting", "Starting"};
    if (!connected)
        return (struct judgement){"trouble", "No broker has answered lately"};
    if (restoring)
        return (struct judgement){"restoring", "Restoring local state"};
    if (is_late(observe, views, count))
        return (struct judgement){"late", "Late: more has come than was done"};
    return (struct judgement){"ok", "All is well"};
}

static json_t *snapshot(struct observe *observe)
{
    struct partition_view *views;
    int count = observe_partitions(observe, &views);
    int64_t now_ms = clock_wall_ms();
    bool connected = observe_connected(observe);
    json_t *problems = problems_json(observe, views, count), *roles = json_array();
    struct judgement verdict =
        judge(observe, views, count, json_array_size(problems) > 0, connected);
    for (int role = 0; role < ROLE_COUNT; role++)
        if (observe_has_role(observe, (enum role)role))
            json_array_append_new(roles, role_json(observe, views, count, role));
    json_t *whole = json_pack(
        "{s:s,s:s,s:b,s:o,s:o,s:s,s:o,s:o,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "state", verdict.state,
        "headline", verdict.headline, "connected", connected, "app",
        text_or_null(observe->about.app), "instance", text_or_null(observe->about.instance),
        "version", RIMBALZO_VERSION, "now", time_or_null(now_ms), "started_at",
        time_or_null(observe->opened_ms), "uptime_seconds",
        (double)(now_ms > observe->opened_ms ? now_ms - observe->opened_ms : 0) / 1000, "problems",
        problems, "roles", roles, "recipients",
        observe_has_role(observe, ROLE_WORKER) ? observe_recipients_json(views, count)
                                               : json_null(),
        "bounces", observe_bounces_json(observe), "due", observe_due_json(observe), "ingest",
        observe_ingest_json(observe), "errors", errors_json(observe));
    json_object_set_new(whole, "dead_letters", observe_dead_letters_json(observe));
    mem_free(views);
    return whole;
}

json_t *observe_snapshot(struct observe *observe)
{
    observe_count_due(observe);
    pthread_mutex_lock(&observe->lock);
    json_t *whole = snapshot(observe);
    pthread_mutex_unlock(&observe->lock);
    return whole;
}

unsigned observe_status(void *context, struct http_exchange *exchange)
{
    json_t *whole = observe_snapshot(context);
    char *text = json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(12));
    buf_str(&exchange->body, str_of(text ? text : "{}"));
    buf_str(&exchange->body, STR("\n"));
    free(text);
    json_decref(whole);
    return HTTP_OK;
}
