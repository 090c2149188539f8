#include "stream/memory_cluster.h"

#include <assert.h>

#define START_MS_DEFAULT INT64_C(1700000000000)
#define SESSION_TIMEOUT_MS_DEFAULT 45000
#define TRANSACTION_TIMEOUT_MS_DEFAULT 15000

struct memory_cluster *memory_cluster_new(const struct memory_cluster_options *options)
{
    struct memory_cluster *cluster = mem_zalloc(sizeof *cluster);
    if (options)
        cluster->options = *options;
    struct memory_cluster_options *o = &cluster->options;
    cluster->id = mem_strdup(o->id ? o->id : "memory");
    o->id = cluster->id;
    if (!o->start_ms)
        o->start_ms = START_MS_DEFAULT;
    if (!o->session_timeout_ms)
        o->session_timeout_ms = SESSION_TIMEOUT_MS_DEFAULT;
    if (!o->transaction_timeout_ms)
        o->transaction_timeout_ms = TRANSACTION_TIMEOUT_MS_DEFAULT;
    cluster->random = o->seed;
    return cluster;
}

static void topic_deinit(struct memory_topic *topic)
{
    for (int32_t p = 0; p < topic->partition_count; p++)
        memory_log_deinit(&topic->logs[p]);
    mem_free(topic->logs);
    if (topic->exists)
        arena_deinit(&topic->arena);
    *topic = (struct memory_topic){0};
}

void memory_cluster_free(struct memory_cluster *cluster)
{
    if (!cluster)
        return;
    while (cluster->ports)
        cluster->ports->port.ops->free(&cluster->ports->port);
    memory_coordinators_free(cluster);
    memory_groups_free(cluster);
    for (int topic = 0; topic < TOPIC_SLOTS; topic++)
        topic_deinit(&cluster->topics[topic]);
    mem_free(cluster->outcomes);
    mem_free(cluster->id);
    mem_free(cluster);
}

void memory_cluster_advance(struct memory_cluster *cluster, int64_t ms)
{
    assert(ms >= 0);
    cluster->now_ms += ms;
    memory_coordinators_advance(cluster);
    memory_groups_advance(cluster);
}

int64_t memory_cluster_now(const struct memory_cluster *cluster)
{
    return cluster->now_ms;
}

int64_t memory_wall_ms(const struct memory_cluster *cluster)
{
    return cluster->options.start_ms + cluster->now_ms;
}

int memory_cluster_open_transactions(const struct memory_cluster *cluster)
{
    int count = 0;
    for (const struct memory_coordinator *c = cluster->coordinators; c; c = c->next)
        count += c->state != MEMORY_TRANSACTION_NONE;
    return count;
}

uint64_t memory_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void *memory_grow(void *array, int count, int *inout_cap, size_t element_size)
{
    if (count < *inout_cap)
        return array;
    *inout_cap = *inout_cap ? 2 * *inout_cap : 4;
    return mem_realloc(array, (size_t)*inout_cap * element_size);
}

struct memory_log *memory_log_of(const struct memory_cluster *cluster, enum topic topic,
                                 int32_t partition)
{
    const struct memory_topic *t = &cluster->topics[topic];
    return partition >= 0 && partition < t->partition_count ? &t->logs[partition] : NULL;
}

void memory_topic_create(struct memory_cluster *cluster, enum topic topic, int32_t partitions)
{
    struct memory_topic *t = &cluster->topics[topic];
    assert(!t->exists && partitions > 0);
    t->exists = true;
    t->partition_count = partitions;
    t->logs = mem_zalloc((size_t)partitions * sizeof *t->logs);
    arena_init(&t->arena);
}

void memory_topic_grow(struct memory_cluster *cluster, enum topic topic, int32_t partitions)
{
    struct memory_topic *t = &cluster->topics[topic];
    assert(t->exists && partitions > t->partition_count);
    t->logs = mem_realloc(t->logs, (size_t)partitions * sizeof *t->logs);
    for (int32_t p = t->partition_count; p < partitions; p++)
        t->logs[p] = (struct memory_log){0};
    t->partition_count = partitions;
    memory_groups_regrown(cluster, topic);
}

void memory_topic_recreate(struct memory_cluster *cluster, enum topic topic, int32_t partitions)
{
    struct memory_topic *t = &cluster->topics[topic];
    for (int32_t p = 0; p < t->partition_count; p++)
        assert(t->logs[p].open_count == 0);
    bool regrown = t->exists && t->partition_count != partitions;
    topic_deinit(t);
    memory_topic_create(cluster, topic, partitions);
    if (regrown)
        memory_groups_regrown(cluster, topic);
}

void memory_topic_truncate(struct memory_cluster *cluster, enum topic topic, int32_t partition,
                           int64_t log_start)
{
    struct memory_log *log = memory_log_of(cluster, topic, partition);
    assert(log && log_start <= log->end);
    if (log->start < log_start)
        log->start = log_start;
}

void memory_topic_compact(struct memory_cluster *cluster, enum topic topic, int32_t partition,
                          bool purge)
{
    struct memory_log *log = memory_log_of(cluster, topic, partition);
    assert(log);
    if (log->count)
        memory_log_compact(cluster, log, purge);
}

int64_t memory_produce(struct memory_cluster *cluster, const struct port_message *message,
                       int64_t timestamp_ms)
{
    return memory_log_append(cluster, message,
                             timestamp_ms == -1 ? memory_wall_ms(cluster) : timestamp_ms, 0);
}

bool memory_read(const struct memory_cluster *cluster, enum topic topic, int32_t partition,
                 int64_t *inout_offset, struct port_record *ret_record)
{
    const struct memory_log *log = memory_log_of(cluster, topic, partition);
    assert(log);
    const struct memory_entry *entry = memory_log_next(cluster, log, inout_offset);
    if (!entry)
        return false;
    *ret_record = (struct port_record){
        .partition = partition,
        .offset = entry->offset,
        .timestamp_ms = entry->timestamp_ms,
        .key = entry->key,
        .value = entry->value,
        .headers = entry->headers,
        .header_count = entry->header_count,
    };
    return true;
}

struct port_watermarks memory_watermarks(const struct memory_cluster *cluster, enum topic topic,
                                         int32_t partition)
{
    const struct memory_log *log = memory_log_of(cluster, topic, partition);
    assert(log);
    return (struct port_watermarks){log->start, log->end, memory_log_stable(log)};
}
