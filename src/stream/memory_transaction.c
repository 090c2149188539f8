/*
 * The transaction coordinator. A transaction is OPEN from the first partition or offset added to
 * it, DECIDED once its end was accepted, and gone when all its markers are written. Only the
 * decision counts: from then on the outcome is fixed, though readers see it partition by partition.
 */
#include "stream/memory_cluster.h"

#include <assert.h>
#include <string.h>

struct memory_coordinator *memory_coordinator_of(struct memory_cluster *cluster, const char *id)
{
    struct memory_coordinator **link = &cluster->coordinators;
    while (*link) {
        if (strcmp((*link)->id, id) == 0)
            return *link;
        link = &(*link)->next;
    }
    *link = mem_zalloc(sizeof **link);
    (*link)->id = mem_strdup(id);
    return *link;
}

void memory_coordinators_free(struct memory_cluster *cluster)
{
    while (cluster->coordinators) {
        struct memory_coordinator *coordinator = cluster->coordinators;
        cluster->coordinators = coordinator->next;
        mem_free(coordinator->id);
        mem_free(coordinator->touches);
        mem_free(coordinator->pending);
        mem_free(coordinator);
    }
}

enum rcode memory_coordinator_init(struct memory_cluster *cluster,
                                   struct memory_coordinator *coordinator, int32_t *ret_epoch,
                                   struct err *err)
{
    coordinator->epoch++;
    if (coordinator->state == MEMORY_TRANSACTION_OPEN)
        memory_coordinator_end(cluster, coordinator, MEMORY_ABORTED_OUTCOME);
    if (coordinator->state != MEMORY_TRANSACTION_NONE)
        return err_set(err, E_LOG_RETRIABLE, "%s: an earlier transaction is being finished",
                       coordinator->id);
    *ret_epoch = coordinator->epoch;
    return OK;
}

/* Writes the markers that are due. */
static void settle(struct memory_cluster *cluster, struct memory_coordinator *coordinator,
                   int64_t now_ms)
{
    if (coordinator->state != MEMORY_TRANSACTION_DECIDED)
        return;
    bool all = true;
    for (int i = 0; i < coordinator->touch_count; i++) {
        struct memory_touch *touch = &coordinator->touches[i];
        if (!touch->settled && touch->due_ms <= now_ms) {
            memory_log_mark(memory_log_of(cluster, touch->topic, touch->partition),
                            coordinator->transaction, memory_wall_ms(cluster));
            touch->settled = true;
        }
        all = all && touch->settled;
    }
    if (!coordinator->pending_settled && coordinator->pending_due_ms <= now_ms) {
        bool committed = cluster->outcomes[coordinator->transaction] == MEMORY_COMMITTED_OUTCOME;
        for (int i = 0; i < coordinator->pending_count; i++) {
            const struct memory_pending *p = &coordinator->pending[i];
            struct memory_offset *entry =
                memory_group_offset(coordinator->group, p->topic, p->partition);
            entry->pending--;
            if (committed)
                memory_offset_set(entry, p->offset, (struct str){p->metadata, p->metadata_len});
        }
        coordinator->pending_settled = true;
    }
    if (all && coordinator->pending_settled)
        coordinator->state = MEMORY_TRANSACTION_NONE;
}

uint64_t memory_coordinator_open(struct memory_cluster *cluster,
                                 struct memory_coordinator *coordinator)
{
    settle(cluster, coordinator, INT64_MAX); /* the client would wait for its last transaction */
    if (coordinator->state == MEMORY_TRANSACTION_OPEN)
        return coordinator->transaction;
    if (cluster->transaction_count + 1 >= cluster->transaction_cap) {
        cluster->transaction_cap = cluster->transaction_cap ? 2 * cluster->transaction_cap : 64;
        cluster->outcomes = mem_realloc(cluster->outcomes, cluster->transaction_cap);
    }
    coordinator->transaction = ++cluster->transaction_count;
    cluster->outcomes[coordinator->transaction] = MEMORY_UNDECIDED;
    coordinator->state = MEMORY_TRANSACTION_OPEN;
    coordinator->started_ms = cluster->now_ms;
    coordinator->touch_count = 0;
    coordinator->pending_count = 0;
    coordinator->group = NULL;
    return coordinator->transaction;
}

void memory_coordinator_touch(struct memory_coordinator *coordinator, enum topic topic,
                              int32_t partition)
{
    for (int i = 0; i < coordinator->touch_count; i++) {
        const struct memory_touch *touch = &coordinator->touches[i];
        if (touch->topic == topic && touch->partition == partition)
            return;
    }
    coordinator->touches = memory_grow(coordinator->touches, coordinator->touch_count,
                                       &coordinator->touch_cap, sizeof *coordinator->touches);
    coordinator->touches[coordinator->touch_count++] =
        (struct memory_touch){.topic = topic, .partition = partition};
}

void memory_coordinator_pend(struct memory_coordinator *coordinator, struct memory_group *group,
                             const struct port_commit *commit)
{
    assert(!coordinator->group || coordinator->group == group);
    coordinator->group = group;
    coordinator->pending = memory_grow(coordinator->pending, coordinator->pending_count,
                                       &coordinator->pending_cap, sizeof *coordinator->pending);
    struct memory_pending *p = &coordinator->pending[coordinator->pending_count++];
    *p = (struct memory_pending){
        commit->topic, commit->partition, commit->offset, commit->metadata.len, {0}};
    if (commit->metadata.len)
        memcpy(p->metadata, commit->metadata.data, commit->metadata.len);
    memory_group_offset(group, commit->topic, commit->partition)->pending++;
}

static int64_t due_ms(struct memory_cluster *cluster)
{
    int64_t delay_ms_max = cluster->options.marker_delay_max_ms;
    if (delay_ms_max == 0)
        return cluster->now_ms;
    return cluster->now_ms +
           (int64_t)(memory_random(&cluster->random) % (uint64_t)(delay_ms_max + 1));
}

void memory_coordinator_end(struct memory_cluster *cluster, struct memory_coordinator *coordinator,
                            enum memory_outcome outcome)
{
    assert(coordinator->state == MEMORY_TRANSACTION_OPEN);
    coordinator->state = MEMORY_TRANSACTION_DECIDED;
    cluster->outcomes[coordinator->transaction] = (uint8_t)outcome;
    for (int i = 0; i < coordinator->touch_count; i++)
        coordinator->touches[i].due_ms = due_ms(cluster);
    coordinator->pending_settled = coordinator->pending_count == 0;
    if (!coordinator->pending_settled)
        coordinator->pending_due_ms = due_ms(cluster);
    settle(cluster, coordinator, cluster->now_ms);
}

void memory_coordinators_advance(struct memory_cluster *cluster)
{
    for (struct memory_coordinator *c = cluster->coordinators; c; c = c->next) {
        if (c->state == MEMORY_TRANSACTION_OPEN &&
            cluster->now_ms - c->started_ms >= cluster->options.transaction_timeout_ms) {
            c->epoch++;
            memory_coordinator_end(cluster, c, MEMORY_ABORTED_OUTCOME);
        }
        settle(cluster, c, cluster->now_ms);
    }
}
