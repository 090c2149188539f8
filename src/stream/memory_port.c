#include "stream/memory_cluster.h"

#include <assert.h>
#include <stdio.h>

#define RETRY_MS 10 /* what a call takes that has to be repeated */

struct memory_port *memory_self(struct port *port)
{
    assert(port->ops == &memory_port_ops);
    return (struct memory_port *)port;
}

const struct memory_port *memory_const_self(const struct port *port)
{
    assert(port->ops == &memory_port_ops);
    return (const struct memory_port *)port;
}

enum rcode memory_misuse(struct memory_port *self, struct err *err, const char *what)
{
    if (!self->misuse[0])
        snprintf(self->misuse, sizeof self->misuse, "%s", what);
    return err_set(err, E_BUG, "%s", what);
}

/* --- life --- */

struct port *memory_port_new(struct memory_cluster *cluster,
                             const struct memory_port_options *options)
{
    struct memory_port *self = mem_zalloc(sizeof *self);
    self->port = (struct port){
        .ops = &memory_port_ops,
        .input = options->input,
        .certificate = options->certificate,
    };
    self->cluster = cluster;
    self->instance_id = options->instance_id ? mem_strdup(options->instance_id) : NULL;
    self->group = options->group ? memory_group_of(cluster, options->group) : NULL;
    self->poll_records_max = options->poll_records_max;
    self->wall_offset_ms = options->wall_offset_ms;
    self->monotonic_offset_ms = options->monotonic_offset_ms;
    self->generation = -1;
    memory_reader_init(&self->input, options->input, E_INPUT_TRUNCATED, E_TOPIC_RECREATED);
    memory_reader_init(&self->restore, options->certificate, E_CHANGELOG_TRUNCATED,
                       E_CHANGELOG_TRUNCATED);
    if (options->transactional_id)
        self->producer.coordinator = memory_coordinator_of(cluster, options->transactional_id);
    self->next = cluster->ports;
    cluster->ports = self;
    return &self->port;
}

void memory_port_free(struct memory_port *self)
{
    struct memory_port **link = &self->cluster->ports;
    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    memory_group_leave(self);
    memory_reader_deinit(&self->input);
    memory_reader_deinit(&self->restore);
    mem_free(self->producer.sent);
    mem_free(self->instance_id);
    mem_free(self);
}

void memory_port_kill(struct port *port)
{
    struct memory_port *self = memory_self(port);
    self->killed = true;
    memory_group_silence(self);
}

bool memory_port_killed(const struct port *port)
{
    return memory_const_self(port)->killed;
}

void memory_port_stall(struct port *port)
{
    struct memory_port *self = memory_self(port);
    self->stalled = true;
    memory_group_silence(self);
}

void memory_port_resume(struct port *port)
{
    struct memory_port *self = memory_self(port);
    self->stalled = false;
    if (!self->killed)
        memory_group_unsilence(self);
}

void memory_port_set_wall_offset(struct port *port, int64_t wall_offset_ms)
{
    memory_self(port)->wall_offset_ms = wall_offset_ms;
}

bool memory_port_in_transaction(const struct port *port)
{
    return memory_const_self(port)->producer.begun;
}

int32_t memory_port_generation(const struct port *port)
{
    return memory_const_self(port)->generation;
}

const char *memory_port_misuse(const struct port *port)
{
    const struct memory_port *self = memory_const_self(port);
    return self->misuse[0] ? self->misuse : NULL;
}

void memory_port_faults(struct port *port, const struct memory_faults *faults)
{
    memory_self(port)->faults = faults ? *faults : (struct memory_faults){0};
}

/* --- time --- */

void memory_pass_time(struct memory_port *self, int64_t ms)
{
    if (self->killed)
        self->monotonic_offset_ms += ms;
    else
        memory_cluster_advance(self->cluster, ms);
}

/* --- calls: every one passes enter() and leave(), where the faults are --- */

static enum rcode finish(struct memory_port *self, const struct memory_call *call, enum rcode rc,
                         struct err *err)
{
    if (self->killed) {
        rc = err_set(err, E_LOG_FATAL, "killed");
        memory_pass_time(self, RETRY_MS);
    } else if (rc) {
        memory_producer_note(self, call->op, rc);
        if (rcode_disposition(rc) == DISPOSITION_RETRY)
            memory_pass_time(self, RETRY_MS);
    }
    if (self->faults.done)
        self->faults.done(self->faults.context, &self->port, call->op, call->number, rc);
    return rc;
}

/* Nobody is told that a commit can be aborted which was done. */
static bool is_lie(const struct memory_port *self, enum memory_op op, struct memory_fault fault)
{
    if (op != MEMORY_COMMIT || rcode_disposition(fault.code) != DISPOSITION_ABORT)
        return false;
    bool done = self->producer.commit_unresolved && !self->producer.begun;
    return fault.kind == MEMORY_FAULT_LOSE || (fault.kind == MEMORY_FAULT_REFUSE && done);
}

enum rcode memory_enter(struct memory_port *self, enum memory_op op, struct memory_call *ret_call,
                        struct err *err)
{
    *ret_call = (struct memory_call){.op = op, .number = ++self->calls[op]};
    if (self->killed)
        return finish(self, ret_call, E_LOG_FATAL, err);
    if (self->faults.decide)
        ret_call->fault =
            self->faults.decide(self->faults.context, &self->port, op, ret_call->number);
    if (is_lie(self, op, ret_call->fault))
        ret_call->fault = (struct memory_fault){0};
    if (self->stalled)
        return finish(self, ret_call, memory_misuse(self, err, "called while stalled"), err);
    bool refuse = ret_call->fault.kind == MEMORY_FAULT_REFUSE;
    if (ret_call->fault.kind == MEMORY_FAULT_LOSE)
        refuse = op == MEMORY_POLL || op == MEMORY_RESTORE_POLL;
    if (ret_call->fault.kind == MEMORY_FAULT_KILL_BEFORE)
        memory_port_kill(&self->port);
    if (!self->killed && !refuse)
        return OK;
    enum rcode rc = self->killed ? E_LOG_FATAL : ret_call->fault.code;
    assert(rc != OK);
    return finish(self, ret_call, err_set(err, rc, "%s: injected", memory_op_name(op)), err);
}

enum rcode memory_leave(struct memory_port *self, const struct memory_call *call, enum rcode rc,
                        struct err *err)
{
    if (call->fault.kind == MEMORY_FAULT_KILL_AFTER)
        memory_port_kill(&self->port);
    if (call->fault.kind == MEMORY_FAULT_LOSE && rc == OK)
        rc = err_set(err, call->fault.code, "%s: answer lost", memory_op_name(call->op));
    return finish(self, call, rc, err);
}
