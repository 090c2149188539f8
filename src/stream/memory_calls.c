/* The operations of port.h. Each passes memory_enter() and memory_leave(), where the faults are. */
#include "stream/memory_cluster.h"

#include <assert.h>
#include <string.h>

/* --- group and input --- */

static enum rcode poll_input(struct memory_port *self, int timeout_ms, size_t max,
                             struct port_record *ret_records, size_t *ret_count,
                             int32_t *ret_partition, struct err *err)
{
    if (self->polling)
        return memory_misuse(self, err, "poll from within the listener");
    if (!self->group || !self->port.listener.assigned || !self->port.listener.revoked)
        return memory_misuse(self, err, "poll without a group or a listener");
    bool called = false;
    size_t count = 0;
    enum rcode rc = memory_group_serve(self, &called, err);
    if (rc == OK && !called && !self->killed)
        rc = memory_reader_poll(self, &self->input, max, ret_records, &count, ret_partition, err);
    if (rc)
        return rc;
    if (count == 0 && !called && timeout_ms > 0)
        memory_pass_time(self, timeout_ms);
    *ret_count = count;
    return OK;
}

static enum rcode port_poll(struct port *port, int timeout_ms, size_t max,
                            struct port_record *ret_records, size_t *ret_count,
                            int32_t *ret_partition, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    *ret_partition = -1;
    enum rcode rc = memory_enter(self, MEMORY_POLL, &call, err);
    if (rc)
        return rc;
    rc = poll_input(self, timeout_ms, max, ret_records, ret_count, ret_partition, err);
    return memory_leave(self, &call, rc, err);
}

static void port_release(struct port *port)
{
    arena_reset(&memory_self(port)->input.arena, 0);
}

static enum rcode assign_input(struct memory_port *self, const struct port_position *positions,
                               int count, struct err *err)
{
    for (int i = 0; i < count; i++) {
        int32_t partition = positions[i].partition;
        if (partition < self->owned_first || partition >= self->owned_first + self->owned_count)
            return memory_misuse(self, err, "assign of a partition that is not owned");
    }
    return memory_reader_assign(self, &self->input, positions, count, err);
}

static enum rcode port_assign(struct port *port, const struct port_position *positions, int count,
                              struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_ASSIGN, &call, err);
    return rc ? rc : memory_leave(self, &call, assign_input(self, positions, count, err), err);
}

static int64_t port_position(struct port *port, int32_t partition)
{
    struct memory_port *self = memory_self(port);
    return self->killed ? -1 : memory_reader_position(&self->input, partition);
}

/* --- transactions --- */

static enum rcode port_producer_open(struct port *port, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_PRODUCER_OPEN, &call, err);
    return rc ? rc : memory_leave(self, &call, memory_producer_open(self, err), err);
}

static void port_producer_close(struct port *port)
{
    memory_producer_close(memory_self(port));
}

static enum rcode port_begin(struct port *port, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_BEGIN, &call, err);
    return rc ? rc : memory_leave(self, &call, memory_producer_begin(self, err), err);
}

static enum rcode port_send(struct port *port, const struct port_message *message, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_SEND, &call, err);
    return rc ? rc : memory_leave(self, &call, memory_producer_send(self, message, err), err);
}

static enum rcode port_flush(struct port *port, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_FLUSH, &call, err);
    return rc ? rc : memory_leave(self, &call, memory_producer_flush(self, err), err);
}

static int64_t port_sent_next(struct port *port, enum topic topic, int32_t partition)
{
    struct memory_port *self = memory_self(port);
    return self->killed ? -1 : memory_producer_sent_next(self, topic, partition);
}

static enum rcode port_send_offsets(struct port *port, const struct port_commit *commits, int count,
                                    struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_SEND_OFFSETS, &call, err);
    return rc ? rc
              : memory_leave(self, &call, memory_producer_send_offsets(self, commits, count, err),
                             err);
}

static enum rcode port_commit(struct port *port, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_COMMIT, &call, err);
    return rc ? rc : memory_leave(self, &call, memory_producer_commit(self, err), err);
}

static enum rcode port_abort(struct port *port, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_ABORT, &call, err);
    return rc ? rc : memory_leave(self, &call, memory_producer_abort(self, err), err);
}

/* --- restore and facts --- */

static bool is_unstable(const struct memory_group *group, enum topic topic, int32_t partition)
{
    return partition < group->offset_counts[topic] && group->offsets[topic][partition].pending > 0;
}

static enum rcode read_committed(struct memory_port *self, struct port_committed *inout, int count,
                                 struct err *err)
{
    const struct memory_group *group = self->group;
    if (!group)
        return memory_misuse(self, err, "committed without a group");
    for (int i = 0; i < count; i++) {
        int32_t p = inout[i].partition;
        if (is_unstable(group, self->port.input, p) ||
            is_unstable(group, self->port.certificate, p))
            return err_set(err, E_UNSTABLE_OFFSETS, "partition %d: a transaction is open", (int)p);
    }
    for (int i = 0; i < count; i++) {
        struct port_committed *c = &inout[i];
        struct str metadata;
        c->input_offset =
            memory_committed(self->cluster, group->name, self->port.input, c->partition, NULL);
        c->certificate_offset = memory_committed(self->cluster, group->name, self->port.certificate,
                                                 c->partition, &metadata);
        assert(metadata.len <= PORT_METADATA_MAX);
        c->metadata_len = metadata.len;
        if (metadata.len)
            memcpy(c->metadata, metadata.data, metadata.len);
        c->metadata[metadata.len] = '\0';
    }
    return OK;
}

static enum rcode port_committed(struct port *port, struct port_committed *inout, int count,
                                 struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_COMMITTED, &call, err);
    return rc ? rc : memory_leave(self, &call, read_committed(self, inout, count, err), err);
}

static enum rcode port_watermarks(struct port *port, enum topic topic, int32_t partition,
                                  struct port_watermarks *ret_watermarks, struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_WATERMARKS, &call, err);
    if (rc)
        return rc;
    if (memory_log_of(self->cluster, topic, partition))
        *ret_watermarks = memory_watermarks(self->cluster, topic, partition);
    else
        rc = err_set(err, E_TOPICS, "topic %d has no partition %d", (int)topic, (int)partition);
    return memory_leave(self, &call, rc, err);
}

static enum rcode port_restore_assign(struct port *port, enum topic topic,
                                      const struct port_position *positions, int count,
                                      struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_RESTORE_ASSIGN, &call, err);
    if (rc)
        return rc;
    rc = memory_reader_assign(self, &self->restore, positions, count, err);
    if (rc == OK)
        self->restore.topic = topic;
    return memory_leave(self, &call, rc, err);
}

static enum rcode port_restore_poll(struct port *port, int timeout_ms, size_t max,
                                    struct port_record *ret_records, size_t *ret_count,
                                    struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    int32_t partition;
    enum rcode rc = memory_enter(self, MEMORY_RESTORE_POLL, &call, err);
    if (rc)
        return rc;
    arena_reset(&self->restore.arena, 0);
    rc = memory_reader_poll(self, &self->restore, max, ret_records, ret_count, &partition, err);
    if (rc == OK && *ret_count == 0 && timeout_ms > 0)
        memory_pass_time(self, timeout_ms);
    return memory_leave(self, &call, rc, err);
}

static int64_t port_restore_position(struct port *port, int32_t partition)
{
    struct memory_port *self = memory_self(port);
    return self->killed ? -1 : memory_reader_position(&self->restore, partition);
}

static enum rcode port_partition_count(struct port *port, enum topic topic, int32_t *ret_count,
                                       struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_PARTITION_COUNT, &call, err);
    if (rc)
        return rc;
    if (self->cluster->topics[topic].exists)
        *ret_count = self->cluster->topics[topic].partition_count;
    else
        rc = err_set(err, E_TOPICS, "topic %d does not exist", (int)topic);
    return memory_leave(self, &call, rc, err);
}

static enum rcode port_cluster_id(struct port *port, struct arena *arena, struct str *ret_id,
                                  struct err *err)
{
    struct memory_port *self = memory_self(port);
    struct memory_call call;
    enum rcode rc = memory_enter(self, MEMORY_CLUSTER_ID, &call, err);
    if (rc)
        return rc;
    *ret_id = arena_str(arena, str_of(self->cluster->id));
    return memory_leave(self, &call, OK, err);
}

static int64_t port_wall_ms(struct port *port)
{
    struct memory_port *self = memory_self(port);
    return memory_wall_ms(self->cluster) + self->wall_offset_ms;
}

static int64_t port_monotonic_ms(struct port *port)
{
    struct memory_port *self = memory_self(port);
    return self->cluster->now_ms + self->monotonic_offset_ms;
}

static void port_wait(struct port *port, int ms)
{
    if (ms > 0)
        memory_pass_time(memory_self(port), ms);
}

static void port_free(struct port *port)
{
    memory_port_free(memory_self(port));
}

const struct port_ops memory_port_ops = {
    .free = port_free,
    .poll = port_poll,
    .release = port_release,
    .assign = port_assign,
    .position = port_position,
    .producer_open = port_producer_open,
    .producer_close = port_producer_close,
    .begin = port_begin,
    .send = port_send,
    .flush = port_flush,
    .sent_next = port_sent_next,
    .send_offsets = port_send_offsets,
    .commit = port_commit,
    .abort = port_abort,
    .committed = port_committed,
    .watermarks = port_watermarks,
    .restore_assign = port_restore_assign,
    .restore_poll = port_restore_poll,
    .restore_position = port_restore_position,
    .partition_count = port_partition_count,
    .cluster_id = port_cluster_id,
    .wall_ms = port_wall_ms,
    .monotonic_ms = port_monotonic_ms,
    .wait = port_wait,
};
