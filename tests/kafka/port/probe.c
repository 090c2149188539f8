#include "probe.h"

#include <string.h>
#include <time.h>

#include "base/arena.h"

const char *bootstrap;
const char *prefix;
struct err last;

void check_code(const char *file, int line, enum rcode got, enum rcode wanted)
{
    if (got == wanted)
        return;
    fprintf(stderr, "%s:%d: %s, not %s: %s\n", file, line, rcode_name(got), rcode_name(wanted),
            got == OK ? "" : last.text);
    exit(1);
}

static void on_assigned(void *context, const int32_t *partitions, int count)
{
    struct probe *probe = context;
    CHECK(count <= OWNED_MAX);
    CHECK_NUMBER(probe->owned_count, 0);
    memcpy(probe->owned, partitions, (size_t)count * sizeof(partitions[0]));
    probe->owned_count = count;
    probe->assigned_calls++;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
    struct probe *probe = context;
    CHECK_NUMBER(count, probe->owned_count);
    CHECK(memcmp(probe->owned, partitions, (size_t)count * sizeof(partitions[0])) == 0);
    probe->owned_count = 0;
    probe->revoked_calls++;
    probe->lost_calls += lost;
}

static const char *prefixed(char *text, size_t size, const char *name)
{
    snprintf(text, size, "%s%s", prefix, name);
    return text;
}

void probe_open(struct probe *probe, const struct probe_options *options)
{
    static const char *const names[TOPIC_COUNT] = {
#define X(constant, key, name) name,
        TOPICS(X)
#undef X
    };
    char topics[TOPIC_COUNT][128], group[128], transactional_id[128];
    struct kafka_property properties[] = {
        {"bootstrap.servers", bootstrap},
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "500"},
        {options->name, options->value},
    };
    struct kafka_port_options port_options = {
        .properties = {properties, options->name ? 4 : 3},
        .input = TOPIC_BOUNCES,
        .certificate = TOPIC_RECIPIENTS,
        .group = prefixed(group, sizeof(group), options->group ? options->group : "group"),
        .instance = options->instance,
        .transactional_id = prefixed(transactional_id, sizeof(transactional_id),
                                     options->transactional_id ? options->transactional_id : "txn"),
    };
    for (int i = 0; i < TOPIC_COUNT; i++)
        port_options.topics[i] = prefixed(topics[i], sizeof(topics[i]), names[i]);
    *probe = (struct probe){0};
    CHECK_OK(kafka_port_new(&port_options, &probe->port, &last));
    probe->port->listener = (struct port_listener){probe, on_assigned, on_revoked};
}

void probe_close(struct probe *probe)
{
    probe->port->ops->free(probe->port);
    probe->port = NULL;
}

void probe_pause(int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

size_t probe_poll(struct probe *probe, int timeout_ms, size_t max, struct port_record *records)
{
    int32_t partition;
    size_t count;
    enum rcode rc =
        probe->port->ops->poll(probe->port, timeout_ms, max, records, &count, &partition, &last);
    if (rc != OK && rcode_disposition(rc) != DISPOSITION_RETRY)
        CHECK_OK(rc);
    return count;
}

void probe_join(struct probe *probe, int count)
{
    struct port_record records[16];
    int64_t deadline_ms = clock_monotonic_ms() + 60000;
    while (probe->owned_count != count) {
        CHECK(clock_monotonic_ms() < deadline_ms);
        probe_poll(probe, 100, 16, records);
        probe->port->ops->release(probe->port);
    }
}

void probe_producer(struct probe *probe)
{
    CHECK_OK(RETRYING(probe->port->ops->producer_open(probe->port, &last)));
}

void probe_send(struct probe *probe, enum topic topic, int32_t partition, const char *key,
                const char *value)
{
    struct port_message message = {
        .topic = topic, .partition = partition, .key = str_of(key), .value = str_of(value)};
    CHECK_OK(probe->port->ops->send(probe->port, &message, &last));
}

void probe_send_numbers(struct probe *probe, enum topic topic, int32_t partition, int from,
                        int count)
{
    CHECK_OK(probe->port->ops->begin(probe->port, &last));
    for (int i = from; i < from + count; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        probe_send(probe, topic, partition, text, text);
    }
}

void probe_commit(struct probe *probe)
{
    CHECK_OK(RETRYING(probe->port->ops->flush(probe->port, &last)));
    CHECK_OK(RETRYING(probe->port->ops->commit(probe->port, &last)));
}

void probe_abort(struct probe *probe)
{
    CHECK_OK(RETRYING(probe->port->ops->abort(probe->port, &last)));
}

void probe_offsets(struct probe *probe, int32_t partition, int64_t input, int64_t certificate,
                   const char *metadata)
{
    struct port_commit commits[] = {
        {TOPIC_BOUNCES, partition, input, STR_NULL},
        {TOPIC_RECIPIENTS, partition, certificate, str_of(metadata)},
    };
    CHECK_OK(probe->port->ops->send_offsets(probe->port, commits, 2, &last));
}

int probe_restore(struct probe *probe, enum topic topic, int32_t partition, int64_t from,
                  int64_t until, void (*each)(const struct port_record *record))
{
    static struct port_record records[1000];
    const struct port_ops *ops = probe->port->ops;
    struct port_position position = {partition, from};
    int64_t deadline_ms = clock_monotonic_ms() + 60000;
    int64_t next = from;
    int total = 0;
    CHECK_OK(ops->restore_assign(probe->port, topic, &position, 1, &last));
    while (ops->restore_position(probe->port, partition) < until) {
        size_t count = 0;
        CHECK(clock_monotonic_ms() < deadline_ms);
        CHECK_OK(RETRYING(ops->restore_poll(probe->port, 100, 1000, records, &count, &last)));
        for (size_t i = 0; i < count; i++) {
            CHECK_NUMBER(records[i].partition, partition);
            CHECK(records[i].offset >= next);
            next = records[i].offset + 1;
            if (each)
                each(&records[i]);
        }
        total += (int)count;
    }
    CHECK_OK(ops->restore_assign(probe->port, topic, NULL, 0, &last));
    return total;
}
