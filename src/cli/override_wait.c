/*
 * The worker is waited for up to the high watermarks that the recipients' partitions of the input
 * have once the records are written: not the stable ends, which may lie before the records while
 * somebody's transaction is open. What the worker then has committed includes the commands that
 * follow, so the same holds for the dispatcher and the delayed topic.
 */
#include "cli/override_wait.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "domain/address.h"
#include "kafka/reader.h"

#define PAUSE_US 100000

/* A group and where it has to come. */
struct stage {
    const char *who, *group;
    const char *topics[2]; /* its input, and the topic of its certificates */
    int32_t partitions;
    bool *touched; /* by partition */
};

struct override_wait {
    struct kafka_reader *reader;
    struct stage stages[2];
    int stage_count;
};

enum rcode override_wait_open(const struct deployment *deployment, bool dispatcher,
                              struct override_wait **ret_wait, struct err *err)
{
    struct override_wait *wait = mem_zalloc(sizeof(*wait));
    const char *const *topics = deployment->topics;
    wait->stages[0] = (struct stage){.who = "the worker",
                                     .group = deployment->worker_group,
                                     .topics = {topics[TOPIC_BOUNCES], topics[TOPIC_RECIPIENTS]}};
    wait->stages[1] = (struct stage){.who = "the dispatcher",
                                     .group = deployment->dispatcher_group,
                                     .topics = {topics[TOPIC_DELAYED], topics[TOPIC_DUE]}};
    wait->stage_count = dispatcher ? 2 : 1;
    enum rcode rc =
        kafka_reader_open(deployment->properties, deployment->worker_group, &wait->reader, err);
    for (int i = 0; rc == OK && i < wait->stage_count; i++) {
        struct stage *stage = &wait->stages[i];
        rc = kafka_reader_partition_count(wait->reader, stage->topics[0], &stage->partitions, err);
        if (rc == OK)
            stage->touched = mem_zalloc((size_t)stage->partitions * sizeof(stage->touched[0]));
    }
    if (rc != OK) {
        override_wait_close(wait);
        return rc;
    }
    *ret_wait = wait;
    return OK;
}

void override_wait_close(struct override_wait *wait)
{
    if (!wait)
        return;
    kafka_reader_close(wait->reader);
    for (int i = 0; i < wait->stage_count; i++)
        mem_free(wait->stages[i].touched);
    mem_free(wait);
}

void override_wait_note(struct override_wait *wait, struct identity who)
{
    char octets[RECORD_KEY_MAX];
    struct str key = {octets, identity_key(who, octets)};
    for (int i = 0; i < wait->stage_count; i++)
        wait->stages[i].touched[hash_partition(key, wait->stages[i].partitions)] = true;
}

/* Asks until all partitions in `places` have come to their targets. */
static enum rcode ask(struct kafka_reader *reader, const struct stage *stage,
                      struct port_committed *places, const int64_t *targets, int count,
                      int64_t deadline_ms, struct err *err)
{
    for (;;) {
        enum rcode rc =
            kafka_reader_committed(reader, stage->group, stage->topics, places, count, err);
        int behind = -1;
        for (int i = 0; i < count; i++)
            if (places[i].input_offset < targets[i])
                behind = i;
        if (rc != OK || behind < 0)
            return rc;
        if (clock_monotonic_ms() > deadline_ms)
            return err_set(err, E_TIMEOUT,
                           "written, but %s has not come there yet: %s-%d is at %lld of %lld; "
                           "`rimbalzo lag` shows whether it moves",
                           stage->who, stage->topics[0], places[behind].partition,
                           (long long)places[behind].input_offset, (long long)targets[behind]);
        usleep(PAUSE_US);
    }
}

static enum rcode await(struct kafka_reader *reader, const struct stage *stage, int64_t deadline_ms,
                        struct err *err)
{
    size_t room = (size_t)stage->partitions;
    struct port_committed *places = mem_zalloc(room * sizeof(places[0]));
    int64_t *targets = mem_zalloc(room * sizeof(targets[0]));
    int count = 0;
    enum rcode rc = OK;
    for (int32_t p = 0; rc == OK && p < stage->partitions; p++) {
        struct port_watermarks marks;
        if (!stage->touched[p])
            continue;
        rc = kafka_reader_watermarks(reader, stage->topics[0], p, &marks, err);
        if (rc == OK && marks.high > 0) {
            places[count].partition = p;
            targets[count++] = marks.high;
        }
    }
    if (rc == OK && count)
        rc = ask(reader, stage, places, targets, count, deadline_ms, err);
    mem_free(places);
    mem_free(targets);
    return rc;
}

enum rcode override_wait_done(struct override_wait *wait, int64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < wait->stage_count; i++)
        rc = await(wait->reader, &wait->stages[i], deadline_ms, err);
    return rc;
}
