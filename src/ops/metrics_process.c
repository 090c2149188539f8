/* What the process says of itself, under the names that client libraries have agreed on. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ops/metrics.h"

static void gauge(struct metrics *metrics, const char *name, const char *help, double value)
{
    if (value < 0)
        return; /* not known */
    metrics_family(metrics, METRIC_GAUGE, name, help);
    metrics_real(metrics, METRIC_NO_LABELS, value);
}

/* The number that `format` finds in the first line it fits; -1: none. */
static double number_in(const char *path, const char *format)
{
    char line[1024];
    int64_t number = -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (number < 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, format, &number) != 1) // NOLINT(cert-err34-c): the kernel's number
            number = -1;
    fclose(file);
    return (double)number;
}

static double pages_in(const char *format)
{
    double pages = number_in("/proc/self/statm", format);
    return pages < 0 ? -1 : pages * (double)sysconf(_SC_PAGESIZE);
}

/* Seconds since 1970. The name in parentheses, field 2, is ours: it has no blank. */
static double start_time(void)
{
    double boot = number_in("/proc/stat", "btime %" SCNd64);
    double ticks = number_in("/proc/self/stat",
                             "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                             "%*s %*s %*s %*s %" SCNd64);
    return boot < 0 || ticks < 0 ? -1 : boot + ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Not the one that is open only to count them; -1 where /proc does not tell. */
static double open_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1;
}

static double max_fds(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return -1;
    return (double)limit.rlim_cur;
}

void metrics_process(struct metrics *metrics)
{
    struct rusage usage;
    gauge(metrics, "process_resident_memory_bytes",
          "Resident memory of the process, mapped state included.", pages_in("%*s %" SCNd64));
    gauge(metrics, "process_virtual_memory_bytes", "Address space of the process.",
          pages_in("%" SCNd64));
    gauge(metrics, "process_open_fds", "File descriptors the process has open.", open_fds());
    gauge(metrics, "process_max_fds", "How many file descriptors the process may open.", max_fds());
    gauge(metrics, "process_start_time_seconds", "When the process was started, since 1970.",
          start_time());
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    metrics_family(metrics, METRIC_COUNTER, "process_cpu_seconds_total",
                   "Processor time of the process, user and system.");
    metrics_real(metrics, METRIC_NO_LABELS,
                 (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}
