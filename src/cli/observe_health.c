/* /livez and /readyz. */
#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/observe_internal.h"

#define TURN_MS_MAX 60000

#define HTTP_OK 200u
#define HTTP_UNAVAILABLE 503u

static int64_t turn_age_ms(const struct observe *observe, int thread)
{
    int64_t last_ms = atomic_load(&observe->threads[thread].engine->last_turn_ms);
    return clock_monotonic_ms() - (last_ms ? last_ms : observe->since_ms);
}

bool observe_is_stuck(const struct observe *observe, int thread)
{
    return turn_age_ms(observe, thread) > TURN_MS_MAX;
}

bool observe_live(struct observe *observe)
{
    bool live = true;
    pthread_mutex_lock(&observe->lock);
    for (int i = 0; i < observe->count; i++)
        live &= !observe_is_stuck(observe, i);
    pthread_mutex_unlock(&observe->lock);
    return live;
}

unsigned observe_livez(void *context, struct http_exchange *exchange)
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
        buf_printf(&list, "%s{\"thread\":%d,\"last_turn_seconds\":%lld,\"role\":\"%s\"}",
                   stuck++ ? "," : "", i, (long long)(age_ms / 1000),
                   role_names[observe->threads[i].role]);
    }
    buf_printf(&exchange->body, "{\"live\":%s,\"threads\":%d,\"stuck\":[", stuck ? "false" : "true",
               observe->count);
    pthread_mutex_unlock(&observe->lock);
    buf_str(&exchange->body, buf_view(&list));
    buf_str(&exchange->body, STR("]}\n"));
    buf_deinit(&list);
    return stuck ? HTTP_UNAVAILABLE : HTTP_OK;
}

/* --- readiness --- */

/* What the body has, member by member. */
struct readiness {
    int threads, turned;
    bool connected;
    int running, restoring, failed, held;
    struct buf restoring_list, failed_list, held_list, error_list;
};

static void add_place(struct buf *list, const struct partition_view *view)
{
    buf_printf(list, "%s{\"role\":\"%s\",\"partition\":%d", list->len ? "," : "",
               role_names[view->role], view->board.partition);
}

static void add_partition(struct readiness *ready, const struct partition_view *view)
{
    switch (view->board.state) {
    case PARTITION_RUNNING:
        ready->running++;
        if (view->board.held != OK) {
            ready->held++;
            add_place(&ready->held_list, view);
            buf_printf(&ready->held_list, ",\"code\":\"%s\"}", rcode_name(view->board.held));
        }
        break;
    case PARTITION_ASSIGNED:
    case PARTITION_RESTORING:
        ready->restoring++;
        add_place(&ready->restoring_list, view);
        if (view->board.restore_left >= 0)
            buf_printf(&ready->restoring_list, ",\"remaining\":%lld",
                       (long long)view->board.restore_left);
        buf_str(&ready->restoring_list, STR("}"));
        break;
    case PARTITION_FAILED:
        ready->failed++;
        add_place(&ready->failed_list, view);
        buf_printf(&ready->failed_list, ",\"code\":\"%s\"}", rcode_name(view->board.failure));
        break;
    case PARTITION_REVOKED:
    case PARTITION_STATE_COUNT:
        break;
    }
}

static void add_thread(struct readiness *ready, const struct observe *observe, int index)
{
    const struct observed_thread *thread = &observe->threads[index];
    enum rcode trouble = (enum rcode)atomic_load(&thread->engine->trouble);
    ready->turned += atomic_load(&thread->engine->last_turn_ms) != 0;
    if (trouble != OK)
        buf_printf(&ready->error_list, "%s{\"role\":\"%s\",\"thread\":%d,\"code\":\"%s\"}",
                   ready->error_list.len ? "," : "", role_names[thread->role], index,
                   rcode_name(trouble));
}

static void find_readiness(struct observe *observe, struct readiness *ready)
{
    struct partition_view *views;
    pthread_mutex_lock(&observe->lock);
    int count = observe_partitions(observe, &views);
    ready->threads = observe->count;
    ready->connected = observe_connected(observe);
    for (int i = 0; i < observe->count; i++)
        add_thread(ready, observe, i);
    pthread_mutex_unlock(&observe->lock);
    for (int i = 0; i < count; i++)
        add_partition(ready, &views[i]);
    mem_free(views);
}

static const char *json_bool(bool value)
{
    return value ? "true" : "false";
}

static void add_list(struct buf *body, const char *name, struct buf *list)
{
    buf_printf(body, ",\"%s\":[", name);
    buf_str(body, buf_view(list));
    buf_str(body, STR("]"));
    buf_deinit(list);
}

unsigned observe_readyz(void *context, struct http_exchange *exchange)
{
    struct readiness ready = {0};
    find_readiness(context, &ready);
    bool started = ready.threads && ready.turned == ready.threads;
    bool is_ready =
        started && ready.connected && !ready.failed && !ready.held && !ready.error_list.len;
    buf_printf(&exchange->body,
               "{\"ready\":%s,\"started\":%s,\"threads\":%d,"
               "\"partitions\":{\"running\":%d,\"restoring\":%d,\"failed\":%d},\"connected\":%s",
               json_bool(is_ready), json_bool(started), ready.threads, ready.running,
               ready.restoring, ready.failed, json_bool(ready.connected));
    add_list(&exchange->body, "restoring", &ready.restoring_list);
    add_list(&exchange->body, "failed", &ready.failed_list);
    add_list(&exchange->body, "held", &ready.held_list);
    add_list(&exchange->body, "errors", &ready.error_list);
    buf_str(&exchange->body, STR("}\n"));
    return is_ready ? HTTP_OK : HTTP_UNAVAILABLE;
}
