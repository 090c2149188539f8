/* The status page: page.html, filled with what /api/v1/status tells and with what only a page
 * wants. It is whole without JavaScript; with it, it fetches itself anew and takes over the parts
 * marked data-live. */
#include <stdlib.h>

#include "base/arena.h"
#include "cli/observe_internal.h"
#include "embedded.h"
#include "ops/template.h"

enum { HTTP_OK = 200, HTTP_INTERNAL_ERROR = 500 };

#define SPARK_SECONDS 300 /* and units of the drawing's width */
#define SPARK_HEIGHT 46

static void set_bool(json_t *object, const char *name, bool value)
{
    json_object_set_new(object, name, json_boolean(value));
}

static size_t size_of(json_t *object, const char *array)
{
    return json_array_size(json_object_get(object, array));
}

static double real_of(json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const char *text_of(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* The throughput's curve: points of a line, and of the area below it. */
static void add_curve(json_t *role)
{
    json_t *history = json_object_get(role, "history"), *point;
    double peak = 0, first = 0, last = 0;
    struct buf points;
    size_t i;
    buf_init(&points);
    json_array_foreach(history, i, point) if (real_of(point, "records_per_second") > peak) peak =
        real_of(point, "records_per_second");
    json_array_foreach(history, i, point)
    {
        double share = peak > 0 ? real_of(point, "records_per_second") / peak : 0;
        last = SPARK_SECONDS - real_of(point, "seconds_ago");
        if (last < 0)
            continue;
        if (!points.len)
            first = last;
        buf_printf(&points, "%.1f,%.1f ", last, SPARK_HEIGHT - share * (SPARK_HEIGHT - 2));
    }
    if (last > first) {
        json_object_set_new(role, "peak", json_real(peak));
        json_object_set_new(role, "points", json_stringn(points.data, points.len));
        buf_printf(&points, "%.1f,48 %.1f,48", last, first);
        json_object_set_new(role, "area", json_stringn(points.data, points.len));
    }
    buf_deinit(&points);
}

static void dress_role(json_t *role, bool alone)
{
    bool dispatcher = strcmp(text_of(role, "role"), role_names[ROLE_DISPATCHER]) == 0;
    json_t *partition;
    size_t i;
    json_object_set_new(role, "width", json_string(alone ? "wide" : ""));
    json_object_set_new(role, "entries_name", json_string(dispatcher ? "Retries" : "Recipients"));
    set_bool(role, "many_threads", real_of(role, "threads") > 1);
    add_curve(role);
    json_array_foreach(json_object_get(role, "partitions"), i, partition) set_bool(
        partition, "progress",
        strcmp(text_of(partition, "state"), partition_state_names[PARTITION_RESTORING]) == 0 &&
            json_is_number(json_object_get(partition, "restored")));
}

/* Adds what only the page wants. */
static void dress(json_t *whole)
{
    const char *state = text_of(whole, "state"), *now = text_of(whole, "now");
    json_t *recipients = json_object_get(whole, "recipients"),
           *bounces = json_object_get(whole, "bounces"), *ingest = json_object_get(whole, "ingest"),
           *item;
    bool alone = size_of(whole, "roles") == 1, ok = strcmp(state, "ok") == 0;
    bool bad = strcmp(state, "trouble") == 0;
    size_t i;
    /* 2026-11-25T16:08:07.320Z */
    json_object_set_new(whole, "clock", json_sprintf("%.8s UTC", strlen(now) > 19 ? now + 11 : ""));
    json_object_set_new(whole, "is",
                        json_pack("{s:b,s:b,s:b}", "ok", ok, "bad", bad, "busy", !ok && !bad));
    json_object_set_new(whole, "errors_width", json_string(alone ? "" : "wide"));
    set_bool(whole, "has_problems", size_of(whole, "problems"));
    set_bool(whole, "any_errors", size_of(whole, "errors"));
    set_bool(whole, "any_dead_letters", size_of(whole, "dead_letters"));
    json_array_foreach(json_object_get(whole, "problems"), i, item)
        set_bool(item, "has_partition", json_is_integer(json_object_get(item, "partition")));
    json_array_foreach(json_object_get(whole, "roles"), i, item) dress_role(item, alone);
    set_bool(recipients, "any_suspended", size_of(recipients, "by_attempt"));
    set_bool(recipients, "any_suppressed", size_of(recipients, "suppressed_by"));
    set_bool(bounces, "any_bounces", size_of(bounces, "by_class"));
    set_bool(ingest, "any_entries", size_of(ingest, "by_outcome"));
    set_bool(ingest, "any_skipped", size_of(ingest, "skipped"));
}

static struct str page(void)
{
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (strcmp(file->name, "page.html") == 0)
            return (struct str){file->data, file->size};
    return STR("");
}

unsigned observe_page(void *context, struct http_exchange *exchange)
{
    struct err err = {0};
    json_t *whole = observe_snapshot(context);
    dress(whole);
    enum rcode rc = template_fill(page(), whole, &exchange->body, &err);
    json_decref(whole);
    if (rc == OK)
        return HTTP_OK;
    exchange->content_type = "text/plain; charset=utf-8";
    buf_printf(&exchange->body, "%s: %s\n", rcode_name(rc), err.text);
    return HTTP_INTERNAL_ERROR;
}
