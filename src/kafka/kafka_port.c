#include "kafka/kafka_port.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "kafka/port_parts.h"

#define CLOSE_DEADLINE_MS 5000

enum rcode kafka_port_reader(struct kafka_port *self, struct scan **ret_reader, struct err *err)
{
    if (!self->reader.client) {
        /* It never joins the group: the name only passes the access rules that the member passes.
         */
        enum rcode rc = scan_open(&self->reader, "reader", kafka_port_properties(self),
                                  client_reader_defaults, self->group, err);
        if (rc != OK)
            return rc;
    }
    *ret_reader = &self->reader;
    return OK;
}

const char *const kafka_client_names[KAFKA_CLIENT_COUNT] = {
#define X(constant, string) [constant] = string,
    KAFKA_CLIENTS(X)
#undef X
};

const struct kafka_statistics *kafka_port_statistics(const struct port *port)
{
    return ((const struct kafka_port *)port)->statistics;
}

static void asker_close(struct kafka_port *self)
{
    facts_drop(&self->asked);
    scan_close(&self->asker);
    self->asker_waits_ms = 0;
}

static enum rcode port_poll(struct port *port, int timeout_ms, size_t max,
                            struct port_record *ret_records, size_t *ret_count,
                            int32_t *ret_partition, struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    producer_serve(self);
    if (facts_waits_too_long(self->asker_waits_ms))
        asker_close(self); /* the next question opens it */
    return member_poll(port, timeout_ms, max, ret_records, ret_count, ret_partition, err);
}

/* --- restore and facts --- */

static enum rcode port_committed_offsets(struct port *port, struct port_committed *inout, int count,
                                         struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    const char *topics[2] = {self->topics[port->input], self->topics[port->certificate]};
    enum rcode rc = OK;
    if (!self->asker.client)
        rc = scan_open(&self->asker, "asker", kafka_port_properties(self), client_reader_defaults,
                       self->group, err);
    if (rc != OK)
        return rc;
    rc = facts_committed(&self->asked, self->asker.client, self->group, topics, inout, count, err);
    facts_waits(&self->asker_waits_ms, rc != E_TIMEOUT);
    return rc;
}

static enum rcode port_watermarks(struct port *port, enum topic topic, int32_t partition,
                                  struct port_watermarks *ret_watermarks, struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct scan *reader;
    enum rcode rc = kafka_port_reader(self, &reader, err);
    if (rc != OK)
        return rc;
    return facts_watermarks(&self->facts, reader->client, self->topics[topic], partition,
                            ret_watermarks, err);
}

static enum rcode port_restore_assign(struct port *port, enum topic topic,
                                      const struct port_position *positions, int count,
                                      struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct scan *reader;
    enum rcode rc = kafka_port_reader(self, &reader, err);
    if (rc != OK)
        return rc;
    return scan_assign(reader, self->topics[topic], positions, count, err);
}

static enum rcode port_restore_poll(struct port *port, int timeout_ms, size_t max,
                                    struct port_record *ret_records, size_t *ret_count,
                                    struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct scan *reader;
    enum rcode rc = kafka_port_reader(self, &reader, err);
    if (rc != OK)
        return rc;
    return scan_poll(reader, timeout_ms, max, ret_records, ret_count, err);
}

static int64_t port_restore_position(struct port *port, int32_t partition)
{
    return scan_position(&kafka_port_of(port)->reader, partition);
}

static enum rcode port_partition_count(struct port *port, enum topic topic, int32_t *ret_count,
                                       struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct scan *reader;
    enum rcode rc = kafka_port_reader(self, &reader, err);
    if (rc != OK)
        return rc;
    return facts_partition_count(reader->client, self->topics[topic], ret_count, err);
}

static enum rcode port_cluster_id(struct port *port, struct arena *arena, struct str *ret_id,
                                  struct err *err)
{
    struct scan *reader;
    enum rcode rc = kafka_port_reader(kafka_port_of(port), &reader, err);
    if (rc != OK)
        return rc;
    return facts_cluster_id(reader->client, arena, ret_id, err);
}

/* --- clock --- */

static int64_t port_wall_ms(struct port *port)
{
    (void)port;
    return clock_wall_ms();
}

static int64_t port_monotonic_ms(struct port *port)
{
    (void)port;
    return clock_monotonic_ms();
}

static void port_wait(struct port *port, int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    (void)port;
    nanosleep(&pause, NULL); /* a signal may cut it short: then its handler's flag is seen sooner */
}

/* --- life --- */

static void port_free(struct port *port)
{
    struct kafka_port *self;
    if (!port)
        return;
    self = kafka_port_of(port);
    producer_close(port);
    producer_deinit(&self->producer);
    facts_drop(&self->facts);
    scan_close(&self->reader);
    asker_close(self);
    member_close(self, CLOSE_DEADLINE_MS);
    for (int i = 0; i < self->property_count; i++) {
        mem_free((char *)(uintptr_t)self->properties[i].name);
        mem_free((char *)(uintptr_t)self->properties[i].value);
    }
    mem_free(self->properties);
    for (int i = 0; i < TOPIC_SLOTS; i++)
        mem_free(self->topics[i]);
    mem_free(self->group);
    mem_free(self->instance);
    mem_free(self->transactional_id);
    mem_free(self);
}

static const struct port_ops kafka_port_ops = {
    .free = port_free,
    .poll = port_poll,
    .release = member_release,
    .assign = member_assign,
    .position = member_position,
    .producer_open = producer_open,
    .producer_close = producer_close,
    .begin = producer_begin,
    .send = producer_send,
    .flush = producer_flush,
    .sent_next = producer_sent_next,
    .send_offsets = producer_send_offsets,
    .commit = producer_commit,
    .abort = producer_abort,
    .committed = port_committed_offsets,
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

enum rcode kafka_port_new(const struct kafka_port_options *options, struct port **ret_port,
                          struct err *err)
{
    struct kafka_port *self = mem_zalloc(sizeof(*self));
    int count = options->properties.count;
    self->port.ops = &kafka_port_ops;
    self->port.input = options->input;
    self->port.certificate = options->certificate;
    self->properties = mem_zalloc((size_t)count * sizeof(self->properties[0]));
    for (int i = 0; i < count; i++) {
        self->properties[i].name = mem_strdup(options->properties.items[i].name);
        self->properties[i].value = mem_strdup(options->properties.items[i].value);
    }
    self->property_count = count;
    for (int i = 0; i < TOPIC_SLOTS; i++)
        self->topics[i] = options->topics[i] ? mem_strdup(options->topics[i]) : NULL;
    self->group = mem_strdup(options->group);
    self->instance = options->instance ? mem_strdup(options->instance) : NULL;
    self->transactional_id = mem_strdup(options->transactional_id);
    enum rcode rc = member_open(self, err);
    if (rc != OK) {
        port_free(&self->port);
        return rc;
    }
    *ret_port = &self->port;
    return OK;
}
