/*
 * Writer of the text exposition format 0.0.4 of Prometheus. A family is opened once, then its
 * samples follow; the writer owns nothing and appends to a buffer:
 *
 *     struct metrics metrics = {&buf};
 *     metrics_family(&metrics, METRIC_COUNTER, "rimbalzo_outcomes_total", "Events by outcome");
 *     metrics_labelled(&metrics, "outcome", "applied", 7);
 */
#pragma once
#include <stdint.h>

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metrics {
    struct buf *out;
    const char *name; /* of the open family */
};

/* # HELP and # TYPE. `name` must be a valid name and outlive the family's samples. */
void metrics_family(struct metrics *metrics, enum metric_type type, const char *name,
                    const char *help);

/* A sample of the open family without labels. */
void metrics_value(struct metrics *metrics, int64_t value);

/* One with one label; any UTF-8 is allowed as `text`, which is escaped. */
void metrics_labelled(struct metrics *metrics, const char *label, const char *text, int64_t value);

struct metric_label {
    const char *name, *text;
};

/* One with several labels. */
void metrics_labels(struct metrics *metrics, const struct metric_label *labels, int count,
                    int64_t value);

/* process_resident_memory_bytes, process_cpu_seconds_total and process_open_fds of this process;
 * what /proc does not tell is left out. */
void metrics_process(struct metrics *metrics);
