/*
 * The group coordinator. A rebalance: every member gives up what it owns at its next poll and
 * joins; when the last has joined, the generation advances and each gets its share at its next
 * poll. A silent member holds the rebalance up until its session times out. Generations change
 * nowhere else, except when the last member leaves.
 */
#include "stream/memory_cluster.h"

#include <assert.h>
#include <string.h>

const struct memory_group *memory_group_find(const struct memory_cluster *cluster, const char *name)
{
    const struct memory_group *group = cluster->groups;
    while (group && strcmp(group->name, name) != 0)
        group = group->next;
    return group;
}

struct memory_group *memory_group_of(struct memory_cluster *cluster, const char *name)
{
    struct memory_group **link = &cluster->groups;
    while (*link) {
        if (strcmp((*link)->name, name) == 0)
            return *link;
        link = &(*link)->next;
    }
    *link = mem_zalloc(sizeof **link);
    (*link)->name = mem_strdup(name);
    return *link;
}

void memory_groups_free(struct memory_cluster *cluster)
{
    while (cluster->groups) {
        struct memory_group *group = cluster->groups;
        cluster->groups = group->next;
        for (int i = 0; i < group->member_count; i++)
            mem_free(group->members[i].instance_id);
        for (int topic = 0; topic < TOPIC_SLOTS; topic++) {
            for (int32_t p = 0; p < group->offset_counts[topic]; p++)
                mem_free(group->offsets[topic][p].metadata);
            mem_free(group->offsets[topic]);
        }
        mem_free(group->members);
        mem_free(group->name);
        mem_free(group);
    }
}

/* --- members --- */

static struct memory_member *find_member(const struct memory_group *group, uint64_t id)
{
    for (int i = 0; i < group->member_count; i++) {
        if (group->members[i].id == id)
            return &group->members[i];
    }
    return NULL;
}

static struct memory_member *find_instance(const struct memory_group *group,
                                           const char *instance_id)
{
    for (int i = 0; instance_id && i < group->member_count; i++) {
        const char *other = group->members[i].instance_id;
        if (other && strcmp(other, instance_id) == 0)
            return &group->members[i];
    }
    return NULL;
}

/* Static members by their instance, then dynamic ones by age. */
static bool sorts_before(const struct memory_member *member, const char *instance_id)
{
    if (!member->instance_id || !instance_id)
        return member->instance_id || !instance_id;
    return strcmp(member->instance_id, instance_id) < 0;
}

static void add_member(struct memory_group *group, const char *instance_id, uint64_t id)
{
    int at = 0;
    while (at < group->member_count && sorts_before(&group->members[at], instance_id))
        at++;
    group->members = memory_grow(group->members, group->member_count, &group->member_cap,
                                 sizeof *group->members);
    memmove(&group->members[at + 1], &group->members[at],
            (size_t)(group->member_count - at) * sizeof *group->members);
    group->members[at] = (struct memory_member){
        .id = id,
        .instance_id = instance_id ? mem_strdup(instance_id) : NULL,
        .silent_since_ms = -1,
    };
    group->member_count++;
}

static void start_rebalance(struct memory_group *group)
{
    if (group->rebalancing || group->member_count == 0)
        return;
    group->rebalancing = true;
    for (int i = 0; i < group->member_count; i++)
        group->members[i].joined = false;
}

static void complete_rebalance(const struct memory_cluster *cluster, struct memory_group *group)
{
    if (!group->rebalancing)
        return;
    for (int i = 0; i < group->member_count; i++) {
        if (!group->members[i].joined)
            return;
    }
    group->rebalancing = false;
    group->generation++;
    int32_t partitions = cluster->topics[group->topic].partition_count;
    int32_t first = 0;
    for (int i = 0; i < group->member_count; i++) {
        struct memory_member *member = &group->members[i];
        member->first_partition = first;
        member->partition_count =
            partitions / group->member_count + (i < partitions % group->member_count);
        first += member->partition_count;
    }
}

static void remove_member(const struct memory_cluster *cluster, struct memory_group *group,
                          struct memory_member *member)
{
    mem_free(member->instance_id);
    size_t behind = (size_t)(&group->members[group->member_count] - (member + 1));
    memmove(member, member + 1, behind * sizeof *member);
    if (--group->member_count == 0) {
        group->rebalancing = false;
        group->generation++;
        return;
    }
    start_rebalance(group);
    complete_rebalance(cluster, group);
}

void memory_groups_advance(struct memory_cluster *cluster)
{
    for (struct memory_group *group = cluster->groups; group; group = group->next) {
        int i = 0;
        while (i < group->member_count) {
            struct memory_member *member = &group->members[i];
            if (member->silent_since_ms >= 0 &&
                cluster->now_ms - member->silent_since_ms >= cluster->options.session_timeout_ms)
                remove_member(cluster, group, member);
            else
                i++;
        }
    }
}

void memory_groups_regrown(struct memory_cluster *cluster, enum topic topic)
{
    for (struct memory_group *group = cluster->groups; group; group = group->next) {
        if (group->has_topic && group->topic == topic)
            start_rebalance(group);
    }
}

void memory_group_rebalance(struct memory_cluster *cluster, const char *name)
{
    start_rebalance(memory_group_of(cluster, name));
}

int32_t memory_group_generation(const struct memory_cluster *cluster, const char *name)
{
    const struct memory_group *group = memory_group_find(cluster, name);
    return group ? group->generation : 0;
}

int memory_group_members(const struct memory_cluster *cluster, const char *name)
{
    const struct memory_group *group = memory_group_find(cluster, name);
    return group ? group->member_count : 0;
}

bool memory_group_rebalancing(const struct memory_cluster *cluster, const char *name)
{
    const struct memory_group *group = memory_group_find(cluster, name);
    return group && group->rebalancing;
}

/* --- a member's side --- */

static void call_listener(struct memory_port *self, bool assigned, bool lost)
{
    int count = (int)self->owned_count;
    int32_t *partitions = mem_alloc((size_t)count * sizeof *partitions);
    for (int i = 0; i < count; i++)
        partitions[i] = self->owned_first + (int32_t)i;
    const struct port_listener *listener = &self->port.listener;
    self->polling = true;
    if (assigned)
        listener->assigned(listener->context, partitions, count);
    else
        listener->revoked(listener->context, partitions, count, lost);
    self->polling = false;
    mem_free(partitions);
}

static void give_up(struct memory_port *self, bool lost, bool *ret_called)
{
    if (self->owned_count) {
        call_listener(self, false, lost);
        *ret_called = true;
    }
    self->owned_count = 0;
    self->input.count = 0;
}

static void join(struct memory_port *self)
{
    struct memory_group *group = self->group;
    assert(!group->has_topic || group->topic == self->port.input);
    group->has_topic = true;
    group->topic = self->port.input;
    self->member_id = ++self->cluster->last_member_id;
    self->generation = -1;
    struct memory_member *member = find_instance(group, self->instance_id);
    if (member) { /* takes the place, whoever has it */
        member->id = self->member_id;
        member->silent_since_ms = -1;
    } else {
        add_member(group, self->instance_id, self->member_id);
        start_rebalance(group);
    }
}

enum rcode memory_group_serve(struct memory_port *self, bool *ret_called, struct err *err)
{
    struct memory_group *group = self->group;
    if (self->member_id && !find_member(group, self->member_id)) {
        self->instance_fenced = find_instance(group, self->instance_id) != NULL;
        self->member_id = 0;
        self->generation = -1;
        give_up(self, true, ret_called);
    }
    if (self->instance_fenced)
        return err_set(err, E_INSTANCE_FENCED, "%s: another member has this instance id",
                       self->instance_id);
    if (self->killed)
        return OK;
    if (!self->member_id)
        join(self);
    struct memory_member *member = find_member(group, self->member_id);
    if (group->rebalancing && !member->joined) {
        give_up(self, false, ret_called);
        member = find_member(group, self->member_id);
        if (self->killed || !member)
            return OK;
        member->joined = true;
        complete_rebalance(self->cluster, group);
    }
    if (group->rebalancing || self->generation == group->generation)
        return OK;
    self->generation = group->generation;
    self->owned_first = member->first_partition;
    self->owned_count = member->partition_count;
    if (self->owned_count) {
        call_listener(self, true, false);
        *ret_called = true;
    }
    return OK;
}

const char *memory_group_objection(const struct memory_port *self)
{
    if (!self->member_id || !find_member(self->group, self->member_id))
        return find_instance(self->group, self->instance_id) ? "FENCED_INSTANCE_ID"
                                                             : "UNKNOWN_MEMBER_ID";
    return self->generation == self->group->generation ? NULL : "ILLEGAL_GENERATION";
}

void memory_group_silence(struct memory_port *self)
{
    struct memory_member *member = self->group ? find_member(self->group, self->member_id) : NULL;
    if (member && member->silent_since_ms < 0)
        member->silent_since_ms = self->cluster->now_ms;
}

void memory_group_unsilence(struct memory_port *self)
{
    struct memory_member *member = self->group ? find_member(self->group, self->member_id) : NULL;
    if (member)
        member->silent_since_ms = -1;
}

void memory_group_leave(struct memory_port *self)
{
    memory_group_silence(self);
    struct memory_member *member = self->group ? find_member(self->group, self->member_id) : NULL;
    if (member && !member->instance_id && !self->killed)
        remove_member(self->cluster, self->group, member);
}

/* --- committed offsets --- */

struct memory_offset *memory_group_offset(struct memory_group *group, enum topic topic,
                                          int32_t partition)
{
    int32_t count = group->offset_counts[topic];
    assert(partition >= 0);
    if (partition >= count) {
        struct memory_offset *grown =
            mem_realloc(group->offsets[topic], (size_t)(partition + 1) * sizeof *grown);
        for (int32_t p = count; p <= partition; p++)
            grown[p] = (struct memory_offset){.offset = -1};
        group->offsets[topic] = grown;
        group->offset_counts[topic] = partition + 1;
    }
    return &group->offsets[topic][partition];
}

void memory_offset_set(struct memory_offset *entry, int64_t offset, struct str metadata)
{
    mem_free(entry->metadata);
    entry->offset = offset;
    entry->metadata = NULL;
    entry->metadata_len = 0;
    if (offset >= 0 && metadata.len) {
        entry->metadata = memcpy(mem_alloc(metadata.len), metadata.data, metadata.len);
        entry->metadata_len = metadata.len;
    }
}

int64_t memory_committed(const struct memory_cluster *cluster, const char *name, enum topic topic,
                         int32_t partition, struct str *ret_metadata)
{
    const struct memory_group *group = memory_group_find(cluster, name);
    bool known = group && partition >= 0 && partition < group->offset_counts[topic];
    const struct memory_offset *entry = known ? &group->offsets[topic][partition] : NULL;
    if (ret_metadata)
        *ret_metadata = entry ? (struct str){entry->metadata, entry->metadata_len} : STR_NULL;
    return entry ? entry->offset : -1;
}

void memory_commit_set(struct memory_cluster *cluster, const char *name,
                       const struct port_commit *commit)
{
    struct memory_group *group = memory_group_of(cluster, name);
    memory_offset_set(memory_group_offset(group, commit->topic, commit->partition), commit->offset,
                      commit->metadata);
}
