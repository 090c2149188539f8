/*
 * Writer of what Prometheus reads: the text format 0.0.4, or OpenMetrics 1.0 for who asks for it. A
 * family is opened once, then its samples follow; the writer owns nothing and appends to a buffer:
 *
 *     struct metrics metrics = {.out = &buf, .format = METRICS_TEXT};
 *     metrics_family(&metrics, METRIC_COUNTER, "rimbalzo_outcomes_total", "Events by outcome.");
 *     metrics_int(&metrics, METRIC_LABELS({"outcome", "applied"}), 7);
 *     metrics_end(&metrics);
 *
 * Names are given in full, with _total and _info: where OpenMetrics wants a family's name without,
 * the writer leaves it off.
 */
#pragma once
#include <stdint.h>

#include "base/buf.h"
#include "base/counter.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

/* What an Accept header prefers of the two; "" or nothing known: METRICS_TEXT. */
enum metrics_format metrics_accepted(const char *accept);
const char *metrics_content_type(enum metrics_format format);

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };

struct metrics {
    struct buf *out;
    enum metrics_format format;
    const char *name; /* of the open family */
};

/* # HELP and # TYPE. `name` must be a valid name and outlive the family's samples. */
void metrics_family(struct metrics *metrics, enum metric_type type, const char *name,
                    const char *help);

/* Any UTF-8 is allowed as `text`, which is escaped. */
struct metric_label {
    const char *name, *text;
};

struct metric_labels {
    const struct metric_label *items;
    int count;
};

/* METRIC_LABELS({"role", "worker"}, {"state", "running"}) */
#define METRIC_LABELS(...)                                                                         \
    ((struct metric_labels){                                                                       \
        (const struct metric_label[]){__VA_ARGS__},                                                \
        (int)(sizeof((const struct metric_label[]){__VA_ARGS__}) / sizeof(struct metric_label))})
#define METRIC_NO_LABELS ((struct metric_labels){NULL, 0})

/* A sample of the open family. */
void metrics_int(struct metrics *metrics, struct metric_labels labels, int64_t value);
void metrics_real(struct metrics *metrics, struct metric_labels labels, double value);

/* All samples of a histogram: cumulative buckets, sum and count. */
void metrics_histogram(struct metrics *metrics, struct metric_labels labels,
                       const struct histogram *histogram, const struct histogram_layout *layout);

/* The usual process_* of this process; what /proc does not tell is left out. */
void metrics_process(struct metrics *metrics);

/* After the last family. */
void metrics_end(struct metrics *metrics);
