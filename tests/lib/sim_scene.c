#include "sim_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "sim_commands.h"

#define PAST_SESSION_MS 46000

void sim_must_drain(struct sim *sim)
{
    if (!sim_drain(sim, 20000))
        fail_msg("seed %llu: does not come to rest", (unsigned long long)sim->options.seed);
}

void sim_must_settle(struct sim *sim)
{
    if (!sim_settle(sim, 20000))
        fail_msg("seed %llu: does not come to rest", (unsigned long long)sim->options.seed);
}

void sim_kill_all(struct sim *sim)
{
    for (int node = 0; node < SIM_NODES_MAX; node++)
        sim_kill(sim, node);
    memory_cluster_advance(sim->cluster, PAST_SESSION_MS);
    /* Markers may take a moment more. */
    memory_cluster_advance(sim->cluster, sim->options.marker_delay_max_ms);
}

void sim_wipe_all(struct sim *sim)
{
    for (int node = 0; node < SIM_NODES_MAX; node++)
        sim_wipe(sim, node);
}

void sim_start_all(struct sim *sim)
{
    for (int node = 0; node < sim->options.nodes; node++)
        sim_start(sim, node);
}

static void set_offset(struct sim *sim, enum topic topic, int32_t partition, int64_t offset)
{
    memory_commit_set(
        sim->cluster, sim_group(sim),
        &(struct port_commit){.topic = topic, .partition = partition, .offset = offset});
}

void sim_set_input_offset(struct sim *sim, int32_t partition, int64_t offset)
{
    set_offset(sim, sim_input(sim), partition, offset);
}

void sim_remove_certificate(struct sim *sim, int32_t partition)
{
    set_offset(sim, sim_certified(sim), partition, -1);
}

void sim_certificate(const struct sim *sim, int32_t partition, char ret_text[PORT_METADATA_MAX + 1])
{
    struct str metadata;
    memory_committed(sim->cluster, sim_group(sim), sim_certified(sim), partition, &metadata);
    snprintf(ret_text, PORT_METADATA_MAX + 1, "%.*s", (int)metadata.len,
             metadata.data ? metadata.data : "");
}

int64_t sim_count(const struct sim *sim, enum topic topic, int32_t partition)
{
    int64_t count = 0;
    struct port_record record;
    for (int32_t p = 0; p < sim->options.partitions; p++)
        for (int64_t offset = 0; (partition < 0 || partition == p) &&
                                 memory_read(sim->cluster, topic, p, &offset, &record);)
            count++;
    return count;
}

int64_t sim_count_outputs(const struct sim *sim)
{
    int64_t count = 0;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if ((enum topic)topic != sim_input(sim))
            count += sim_count(sim, (enum topic)topic, -1);
    return count;
}

static void recipient_of(const struct sim *sim, int32_t partition, int from, int *ret_number,
                         char ret_recipient[32])
{
    for (int i = from;; i++) {
        int len = snprintf(ret_recipient, 32, "p%d@example.org", i);
        *ret_number = i;
        if (hash_partition((struct str){ret_recipient, (size_t)len}, sim->options.partitions) ==
            partition)
            return;
    }
}

void sim_recipient_of(const struct sim *sim, int32_t partition, char ret_recipient[32])
{
    int number;
    recipient_of(sim, partition, 0, &number, ret_recipient);
}

void sim_feed_partition(struct sim *sim, int32_t partition, int count)
{
    int number = -1;
    for (int i = 0; i < count; i++) {
        char recipient[32], id[32];
        recipient_of(sim, partition, number + 1, &number, recipient);
        snprintf(id, sizeof(id), "F%lld", (long long)sim->produced);
        if (sim->options.role == SIM_DISPATCHER)
            sim_schedule(sim, recipient, id, sim_wall(sim) + 500);
        else
            sim_feed_bounce(sim, recipient, "4.2.1", sim->event_time_ms + 1000, id);
    }
}
