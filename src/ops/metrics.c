#include "ops/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

static bool is_name(const char *text)
{
    return *text && strspn(text, NAME_LETTERS "0123456789") == strlen(text) &&
           strchr(NAME_LETTERS, *text);
}

const char *metrics_content_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

static const char *type_name(enum metric_type type, enum metrics_format format)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_INFO:
        return format == METRICS_OPENMETRICS ? "info" : "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    case METRIC_GAUGE:
        break;
    }
    return "gauge";
}

/* The name without the suffix that a type gives to its samples in OpenMetrics. */
static struct str family_name(enum metric_type type, enum metrics_format format, const char *name)
{
    struct str suffix = type == METRIC_COUNTER ? STR("_total")
                        : type == METRIC_INFO  ? STR("_info")
                                               : STR("");
    struct str text = str_of(name);
    assert(text.len > suffix.len && strcmp(name + text.len - suffix.len, suffix.data) == 0);
    if (format == METRICS_OPENMETRICS)
        text.len -= suffix.len;
    return text;
}

/* OpenMetrics escapes a quote in a HELP text as well. */
static void escape(struct buf *out, const char *text, bool quote)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            buf_str(out, STR("\\n"));
        else if (*p == '\\' || (quote && *p == '"'))
            buf_printf(out, "\\%c", *p);
        else
            buf_append(out, p, 1);
    }
}

void metrics_family(struct metrics *metrics, enum metric_type type, const char *name,
                    const char *help)
{
    struct str family = family_name(type, metrics->format, name);
    assert(is_name(name));
    metrics->name = name;
    buf_printf(metrics->out, "# HELP %.*s ", (int)family.len, family.data);
    escape(metrics->out, help, metrics->format == METRICS_OPENMETRICS);
    buf_printf(metrics->out, "\n# TYPE %.*s %s\n", (int)family.len, family.data,
               type_name(type, metrics->format));
}

/* Name, suffix and labels; `le` NULL: no bucket. */
static void series(struct metrics *metrics, const char *suffix, struct metric_labels labels,
                   const char *le)
{
    char next = '{';
    buf_printf(metrics->out, "%s%s", metrics->name, suffix);
    for (int i = 0; i < labels.count; i++) {
        assert(is_name(labels.items[i].name));
        buf_printf(metrics->out, "%c%s=\"", next, labels.items[i].name);
        escape(metrics->out, labels.items[i].text, true);
        buf_str(metrics->out, STR("\""));
        next = ',';
    }
    if (le) {
        buf_printf(metrics->out, "%cle=\"%s\"", next, le);
        next = ',';
    }
    buf_str(metrics->out, next == '{' ? STR(" ") : STR("} "));
}

void metrics_int(struct metrics *metrics, struct metric_labels labels, int64_t value)
{
    series(metrics, "", labels, NULL);
    buf_printf(metrics->out, "%" PRId64 "\n", value);
}

void metrics_real(struct metrics *metrics, struct metric_labels labels, double value)
{
    series(metrics, "", labels, NULL);
    buf_printf(metrics->out, "%.15g\n", value);
}

/* As OpenMetrics wants it: a label is compared as a text. */
static void format_bound(double bound, char ret_text[32])
{
    int len = snprintf(ret_text, 32, "%g", bound);
    if (!strpbrk(ret_text, ".e"))
        snprintf(ret_text + len, 32 - (size_t)len, ".0");
}

void metrics_histogram(struct metrics *metrics, struct metric_labels labels,
                       const struct histogram *histogram, const struct histogram_layout *layout)
{
    char bound[32];
    long long count = 0;
    for (int i = 0; i < layout->count; i++) {
        count += counter_get(&histogram->buckets[i]);
        format_bound(layout->bounds[i], bound);
        series(metrics, "_bucket", labels, bound);
        buf_printf(metrics->out, "%lld\n", count);
    }
    count += counter_get(&histogram->buckets[layout->count]);
    series(metrics, "_bucket", labels, "+Inf");
    buf_printf(metrics->out, "%lld\n", count);
    series(metrics, "_sum", labels, NULL);
    buf_printf(metrics->out, "%.15g\n",
               atomic_load_explicit(&histogram->sum, memory_order_relaxed));
    series(metrics, "_count", labels, NULL);
    buf_printf(metrics->out, "%lld\n", count);
}

void metrics_end(struct metrics *metrics)
{
    if (metrics->format == METRICS_OPENMETRICS)
        buf_str(metrics->out, STR("# EOF\n"));
}
