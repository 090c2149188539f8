/*
 * What the dispatcher can do on one partition without a broker: commands taken in, waiting, and let
 * go when they are due. Prints rates, memory and the file's size. Arguments: commands (10 million),
 * batch (65536). The store is made under TMPDIR and removed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "domain/address.h"
#include "domain/id.h"
#include "tmpdir.h"

#define START_MS 1700000000000LL
#define HOUR_MS 3600000LL

/* A log that takes everything. */
struct sink {
    struct port port;
    int64_t now_ms;
    int64_t sent;
};

static enum rcode sink_send(struct port *port, const struct port_message *message, struct err *err)
{
    (void)message;
    (void)err;
    ((struct sink *)port)->sent++;
    return OK;
}

static int64_t sink_wall(struct port *port)
{
    return ((struct sink *)port)->now_ms;
}

static const struct port_ops sink_ops = {.send = sink_send, .wall_ms = sink_wall};

static void die(const struct err *err)
{
    fprintf(stderr, "bench_timers: %s\n", err->text);
    exit(1);
}

/* The line of /proc/self/status, in KiB. */
static long status_kib(const char *name)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

static long file_mib(const char *dir)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/bench/delayed-0/data.mdb", dir);
    FILE *file = fopen(path, "re");
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file) >> 20;
    if (file)
        fclose(file);
    return size;
}

struct spent {
    int64_t wall_us, cpu_us;
};

static struct spent spent_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct spent){clock_monotonic_us(),
                          (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
                              usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
}

static void add_since(struct spent *total, struct spent start)
{
    struct spent now = spent_now();
    total->wall_us += now.wall_us - start.wall_us;
    total->cpu_us += now.cpu_us - start.cpu_us;
}

static void report(const char *what, int64_t count, const struct spent *spent, const char *dir)
{
    double wall = (double)spent->wall_us / 1e6, cpu = (double)spent->cpu_us / 1e6;
    printf("%-9s %9" PRId64 " in %6.2f s %8.0f /s, %6.2f CPU s %8.0f /s, anonymous %ld MiB, file "
           "%ld MiB\n",
           what, count, wall, (double)count / wall, cpu, (double)count / cpu,
           status_kib("RssAnon:") >> 10, file_mib(dir));
    fflush(stdout);
}

/* One transaction: again with more room while the store's map is full. */
static void run_batch(struct processor *dispatcher, struct sink *sink,
                      const struct port_record *records, size_t count, size_t max, int64_t next)
{
    const int32_t partition = 0;
    char text[PORT_METADATA_MAX + 1];
    struct err err = {0};
    for (;;) {
        struct batch batch = {.port = &sink->port,
                              .records = records,
                              .count = count,
                              .max = max,
                              .partitions = &partition,
                              .partition_count = 1};
        enum rcode rc = dispatcher->ops->process(dispatcher, &batch, &err);
        if (rc == E_STORE_MAP_FULL) {
            dispatcher->ops->abort(dispatcher);
            continue;
        }
        if (rc == OK) {
            (void)dispatcher->ops->certificate_write(dispatcher, 0, next, text);
            rc = dispatcher->ops->commit(dispatcher, 0, next, 0, &err);
        }
        if (rc != OK)
            die(&err);
        return;
    }
}

/* Command `number`: a recipient of many, one of the schedule's four delays. */
static void make_record(struct codec *codec, int64_t number, int64_t now_ms, struct arena *arena,
                        struct port_record *ret_record)
{
    static const int64_t delays[] = {24, 48, 72, 168};
    struct buf value;
    uint64_t mixed = (uint64_t)number * 0x9e3779b97f4a7c15;
    struct str recipient =
        arena_printf(arena, "user%08llx@example.org", (unsigned long long)(mixed >> 40));
    struct retry_command command = {
        .action = COMMAND_SCHEDULE,
        .who = {STR(""), recipient},
        .message_id = arena_printf(arena, "<%016llx@mail.example.org>", (unsigned long long)mixed),
        .episode = 1,
        .attempt = 1,
        .max_attempts = 4,
        .due_at_ms = now_ms + delays[mixed >> 62] * HOUR_MS,
        .issued_at_ms = now_ms,
        .status = STR("4.2.1"),
        .reason = REASON_MAILBOX_DISABLED,
        .source_offset = number};
    command.command_id =
        id_schedule(&(struct schedule_id){.who = command.who, .message_id = command.message_id});
    buf_init(&value);
    codec_encode_command(codec, &command, &value);
    *ret_record = (struct port_record){.offset = number,
                                       .timestamp_ms = now_ms,
                                       .key = recipient,
                                       .value = arena_str(arena, buf_view(&value))};
    buf_deinit(&value);
}

int main(int argc, char **argv)
{
    int64_t count = argc > 1 ? strtoll(argv[1], NULL, 10) : 10000000;
    size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 65536;
    char dir[256];
    struct err err = {0};
    struct processor *dispatcher;
    struct codec *codec;
    struct local_state local;
    struct arena arena;
    struct sink sink = {.port = {.ops = &sink_ops}, .now_ms = START_MS};
    tmpdir_make(dir);
    struct dispatcher_options options = {
        .state = {.dir = dir, .app = "bench", .cluster_id = "none", .map_size_initial = 64 << 20},
        .delay_ms_max = 400 * 24 * HOUR_MS};
    for (int i = 0; i < TOPIC_COUNT; i++) {
        options.topic_names[i] = "delayed";
        options.partition_counts[i] = 1;
    }
    if (codec_new(&(struct codec_options){0}, &codec, &err) != OK ||
        dispatcher_new(&options, &dispatcher, &err) != OK ||
        dispatcher->ops->open(dispatcher, 0, &local, &err) != OK)
        die(&err);
    struct port_record *records = mem_alloc(size * sizeof(*records));
    arena_init(&arena);

    struct spent spent = {0};
    int64_t part = count / 4 ? count / 4 : 1;
    for (int64_t done = 0; done < count; sink.now_ms += 100) {
        size_t n = (size_t)(count - done) < size ? (size_t)(count - done) : size;
        arena_reset(&arena, SIZE_MAX);
        for (size_t i = 0; i < n; i++)
            make_record(codec, done + (int64_t)i, sink.now_ms, &arena, &records[i]);
        struct spent start = spent_now();
        run_batch(dispatcher, &sink, records, n, size, done + (int64_t)n);
        add_since(&spent, start);
        bool told = done / part != (done + (int64_t)n) / part;
        done += (int64_t)n;
        if (told)
            report("taken in", done, &spent, dir);
    }
    sink.now_ms = START_MS + 400 * 24 * HOUR_MS;
    spent = (struct spent){0};
    for (int64_t done = 0; done < count; done = sink.sent) {
        struct spent start = spent_now();
        run_batch(dispatcher, &sink, NULL, 0, size, count);
        add_since(&spent, start);
        if (done / part != sink.sent / part)
            report("let go", sink.sent, &spent, dir);
    }
    dispatcher_free(dispatcher);
    codec_free(codec);
    arena_deinit(&arena);
    mem_free(records);
    tmpdir_remove(dir);
    return 0;
}
