/* A broker that goes away and comes back; and how fast it all is. */
#include <stdatomic.h>
#include <string.h>

#include "probe.h"
#include "scenarios.h"

#define POLL_MAX 10000

static struct port_record records[POLL_MAX];

static void say(const char *text)
{
    printf("%s\n", text);
}

/* One consumed record in, one out, a commit for each poll; the work is begun anew whenever the port
 * says so. test_port.py stops the broker at "half" and starts it again at once, "done" comes when
 * all are through. */
#define WANTED 20000

struct copier {
    struct probe probe;
    int64_t next; /* input_next of partition 0, as committed */
    int retries, aborts, rebuilds;
};

static bool step(struct copier *copier, enum rcode rc)
{
    if (rc == OK)
        return true;
    switch (rcode_disposition(rc)) {
    case DISPOSITION_RETRY:
        copier->retries++;
        return false;
    case DISPOSITION_ABORT:
    case DISPOSITION_HOLD:
        copier->aborts++;
        return false;
    case DISPOSITION_REBUILD:
        copier->rebuilds++;
        return false;
    case DISPOSITION_REJECT:
    case DISPOSITION_RESTORE:
    case DISPOSITION_STOP:
    case DISPOSITION_FATAL:
        break;
    }
    CHECK_OK(rc);
    return false;
}

/* Repeats while RETRY. */
#define STEP(copier, call)                                                                         \
    __extension__({                                                                                \
        enum rcode step_;                                                                          \
        while (!step((copier), step_ = (call)) && rcode_disposition(step_) == DISPOSITION_RETRY)   \
            probe_pause(20);                                                                       \
        step_;                                                                                     \
    })

static enum rcode copy(struct copier *copier, size_t count)
{
    struct port *port = copier->probe.port;
    const struct port_ops *ops = port->ops;
    enum rcode rc = STEP(copier, ops->begin(port, &last));
    for (size_t i = 0; rc == OK && i < count; i++) {
        struct port_message message = {
            .topic = TOPIC_DUE, .key = records[i].key, .value = records[i].value};
        rc = STEP(copier, ops->send(port, &message, &last));
    }
    if (rc == OK)
        rc = STEP(copier, ops->flush(port, &last));
    struct port_commit commits[] = {
        {TOPIC_BOUNCES, 0, records[count - 1].offset + 1, STR_NULL},
        {TOPIC_RECIPIENTS, 0, 0, STR("c")},
    };
    if (rc == OK)
        rc = STEP(copier, ops->send_offsets(port, commits, 2, &last));
    if (rc == OK)
        rc = STEP(copier, ops->commit(port, &last));
    if (rc != OK && rcode_disposition(rc) == DISPOSITION_ABORT)
        rc = STEP(copier, ops->abort(port, &last)) == OK ? E_LOG_ABORTABLE : E_LOG_FATAL;
    return rc;
}

/* Where the group stands; the partition is fetched from there again. */
static void resume(struct copier *copier)
{
    struct port *port = copier->probe.port;
    struct port_committed entry = {.partition = 0};
    CHECK_OK(STEP(copier, port->ops->committed(port, &entry, 1, &last)));
    copier->next = entry.input_offset < 0 ? 0 : entry.input_offset;
    struct port_position at = {0, copier->next};
    CHECK_OK(port->ops->assign(port, &at, 1, &last));
}

void a_broker_that_restarts_loses_nothing(void)
{
    struct copier copier = {0};
    bool told = false;
    int64_t copied = 0;
    int assigned_calls = 0;
    probe_open(&copier.probe, &(struct probe_options){.instance = "i"});
    struct port *port = copier.probe.port;
    probe_producer(&copier.probe);
    for (int from = 0; from < WANTED; from += 1000) {
        probe_send_numbers(&copier.probe, TOPIC_BOUNCES, 0, from, 1000);
        probe_commit(&copier.probe);
    }
    probe_join(&copier.probe, 2);
    int64_t deadline_ms = clock_monotonic_ms() + 120000;
    while (copied < WANTED) {
        int32_t partition;
        size_t count;
        CHECK(clock_monotonic_ms() < deadline_ms);
        if (copier.probe.assigned_calls != assigned_calls) {
            assigned_calls = copier.probe.assigned_calls;
            resume(&copier);
        }
        step(&copier, port->ops->poll(port, 100, 200, records, &count, &partition, &last));
        if (!count)
            continue;
        CHECK_NUMBER(records[0].offset >= copier.next, true);
        enum rcode rc = copy(&copier, count);
        port->ops->release(port);
        if (rc == OK) {
            copied += (int64_t)count;
            copier.next = records[count - 1].offset + 1;
        } else {
            if (rcode_disposition(rc) == DISPOSITION_REBUILD) {
                port->ops->producer_close(port);
                CHECK_OK(STEP(&copier, port->ops->producer_open(port, &last)));
            }
            copied = -1;
        }
        if (copied < 0) { /* an outcome not known: count what is there */
            resume(&copier);
            copied = copier.next - copier.next / 1001;
        }
        if (!told && copied > WANTED / 2) {
            told = true;
            say("half");
        }
        probe_pause(20);
    }
    CHECK_NUMBER(probe_restore(&copier.probe, TOPIC_DUE, 0, 0, WANTED, NULL), WANTED);
    printf("retries %d, aborts %d, rebuilds %d, assigned %d times\n", copier.retries, copier.aborts,
           copier.rebuilds, copier.probe.assigned_calls);
    probe_close(&copier.probe);
}

/* No test: figures. */
#define SPEED_RECORDS 1000000

static void show(const char *what, int64_t count, int64_t begun_us)
{
    int64_t took_us = clock_monotonic_us() - begun_us;
    printf("%-28s %8.0f records/s\n", what, (double)count * 1e6 / (double)took_us);
}

void speed(void)
{
    struct probe probe;
    struct port_position start[] = {{0, 0}, {1, 0}};
    char value[200];
    memset(value, 'v', sizeof(value));
    probe_open(&probe, &(struct probe_options){.name = getenv("PROBE_PROPERTY"),
                                               .value = getenv("PROBE_VALUE")});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    int64_t begun_us = clock_monotonic_us();
    for (int i = 0; i < SPEED_RECORDS; i++) {
        char key[48];
        struct port_message message = {
            .topic = TOPIC_BOUNCES, .partition = i % 2, .value = {value, sizeof(value)}};
        if (i % 65536 == 0)
            CHECK_OK(ops->begin(probe.port, &last));
        snprintf(key, sizeof(key), "someone.%d@example.org", i);
        snprintf(value, sizeof(value), "%d %x", i, (unsigned)i * 2654435761u);
        message.key = str_of(key);
        CHECK_OK(RETRYING(ops->send(probe.port, &message, &last)));
        if (i % 65536 == 65535 || i == SPEED_RECORDS - 1)
            probe_commit(&probe);
    }
    show("produce, commits of 65,536", SPEED_RECORDS, begun_us);
    probe_join(&probe, 2);
    CHECK_OK(ops->assign(probe.port, start, 2, &last));
    begun_us = clock_monotonic_us();
    size_t got = 0, polls = 0;
    while (got < SPEED_RECORDS) {
        size_t count = probe_poll(&probe, 100, POLL_MAX, records);
        got += count;
        polls++;
        ops->release(probe.port);
    }
    show("consume", SPEED_RECORDS, begun_us);
    printf("%zu records a poll\n", got / polls);
    begun_us = clock_monotonic_us();
    got = (size_t)probe_restore(&probe, TOPIC_BOUNCES, 0, 0, SPEED_RECORDS / 2, NULL);
    show("restore", (int64_t)got, begun_us);
    probe_close(&probe);
}
