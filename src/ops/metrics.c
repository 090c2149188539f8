#include "ops/metrics.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

static bool is_name(const char *text)
{
    return *text && strspn(text, NAME_LETTERS "0123456789") == strlen(text) &&
           strchr(NAME_LETTERS, *text);
}

static const char *type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    }
    return "untyped";
}

/* A quote is escaped in a label's value only. */
static void escape(struct buf *out, const char *text, bool quoted)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            buf_str(out, STR("\\n"));
        else if (*p == '\\' || (quoted && *p == '"'))
            buf_printf(out, "\\%c", *p);
        else
            buf_append(out, p, 1);
    }
}

void metrics_family(struct metrics *metrics, enum metric_type type, const char *name,
                    const char *help)
{
    assert(is_name(name));
    metrics->name = name;
    buf_printf(metrics->out, "# HELP %s ", name);
    escape(metrics->out, help, false);
    buf_printf(metrics->out, "\n# TYPE %s %s\n", name, type_name(type));
}

void metrics_value(struct metrics *metrics, int64_t value)
{
    buf_printf(metrics->out, "%s %" PRId64 "\n", metrics->name, value);
}

void metrics_labelled(struct metrics *metrics, const char *label, const char *text, int64_t value)
{
    metrics_labels(metrics, &(struct metric_label){label, text}, 1, value);
}

void metrics_labels(struct metrics *metrics, const struct metric_label *labels, int count,
                    int64_t value)
{
    buf_str(metrics->out, str_of(metrics->name));
    for (int i = 0; i < count; i++) {
        assert(is_name(labels[i].name));
        buf_printf(metrics->out, "%c%s=\"", i ? ',' : '{', labels[i].name);
        escape(metrics->out, labels[i].text, true);
        buf_str(metrics->out, STR("\""));
    }
    buf_printf(metrics->out, "} %" PRId64 "\n", value);
}

/* --- the process --- */

/* Octets, or -1 where /proc does not tell. */
static int64_t resident_bytes(void)
{
    int64_t pages = -1;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return -1;
    if (fscanf(file, "%*s %" SCNd64, &pages) != 1) // NOLINT(cert-err34-c): the kernel's number
        pages = -1;
    fclose(file);
    return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

/* Not the one that is open only to count them; -1 where /proc does not tell. */
static int64_t open_fds(void)
{
    int64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1;
}

void metrics_process(struct metrics *metrics)
{
    int64_t resident = resident_bytes(), fds = open_fds();
    struct rusage usage;
    if (resident >= 0) {
        metrics_family(metrics, METRIC_GAUGE, "process_resident_memory_bytes",
                       "Resident memory of the process, mapped state included.");
        metrics_value(metrics, resident);
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        int64_t us = (int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
        int64_t seconds = (int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + us / 1000000;
        metrics_family(metrics, METRIC_COUNTER, "process_cpu_seconds_total",
                       "Processor time of the process, user and system.");
        buf_printf(metrics->out, "%s %" PRId64 ".%06d\n", metrics->name, seconds,
                   (int)(us % 1000000));
    }
    if (fds >= 0) {
        metrics_family(metrics, METRIC_GAUGE, "process_open_fds",
                       "File descriptors the process has open.");
        metrics_value(metrics, fds);
    }
}
