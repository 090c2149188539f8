/* What the tests of the log in memory share: a port whose listener writes down what it was told. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "stream/memory_port.h"

#define GROUP "workers"
#define RECORDS_MAX 256

struct node {
    struct port *port;
    char told[256]; /* "+0,1 -0,1 !2 ": assigned 0 and 1, revoked, lost 2 */
    void (*on_revoked)(struct node *node);
};

static inline void node_tell(struct node *node, char sign, const int32_t *partitions, int count)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s%c", node->told, sign);
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s%d", i ? "," : "", (int)partitions[i]);
    buf_printf(&text, " ");
    assert_true(text.len < sizeof node->told);
    memcpy(node->told, text.data, text.len);
    node->told[text.len] = '\0';
    buf_deinit(&text);
}

static inline void node_assigned(void *context, const int32_t *partitions, int count)
{
    node_tell(context, '+', partitions, count);
}

static inline void node_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
    struct node *node = context;
    node_tell(node, lost ? '!' : '-', partitions, count);
    if (node->on_revoked)
        node->on_revoked(node);
}

/* A worker whose instance and transactional id are `name`. */
static inline void node_start(struct node *node, struct memory_cluster *cluster, const char *name)
{
    *node = (struct node){0};
    node->port = memory_port_new(cluster, &(struct memory_port_options){
                                              .group = GROUP,
                                              .instance_id = name,
                                              .transactional_id = name,
                                              .input = TOPIC_BOUNCES,
                                              .certificate = TOPIC_RECIPIENTS,
                                          });
    node->port->listener = (struct port_listener){node, node_assigned, node_revoked};
}

/* Polls without waiting; returns how many records came, writing their values behind each other. */
static inline enum rcode node_poll(struct node *node, char *ret_values, size_t size)
{
    struct port_record records[RECORDS_MAX];
    size_t count = 0;
    int32_t partition;
    enum rcode rc =
        node->port->ops->poll(node->port, 0, RECORDS_MAX, records, &count, &partition, NULL);
    size_t len = 0;
    for (size_t i = 0; rc == OK && i < count && ret_values; i++) {
        assert_true(len + records[i].value.len < size);
        memcpy(ret_values + len, records[i].value.data, records[i].value.len);
        len += records[i].value.len;
    }
    if (ret_values)
        ret_values[len] = '\0';
    node->port->ops->release(node->port);
    return rc;
}

/* Polls once and expects to have been told exactly this since the last time. */
static inline void node_expect(struct node *node, const char *told)
{
    assert_int_equal(node_poll(node, NULL, 0), OK);
    assert_string_equal(node->told, told);
    node->told[0] = '\0';
}

static inline enum rcode node_send(struct node *node, enum topic topic, int32_t partition,
                                   const char *key, const char *value)
{
    struct port_message message = {
        .topic = topic, .partition = partition, .key = str_of(key), .value = str_of(value)};
    return node->port->ops->send(node->port, &message, NULL);
}

static inline void node_open(struct node *node)
{
    assert_int_equal(node->port->ops->producer_open(node->port, NULL), OK);
}

static inline void node_begin(struct node *node)
{
    assert_int_equal(node->port->ops->begin(node->port, NULL), OK);
}

static inline enum rcode node_commit(struct node *node)
{
    return node->port->ops->commit(node->port, NULL);
}

static inline enum rcode node_abort(struct node *node)
{
    return node->port->ops->abort(node->port, NULL);
}

/* Sends the offset of one partition of the input, and a certificate. */
static inline enum rcode node_send_offset(struct node *node, int32_t partition, int64_t offset,
                                          const char *metadata)
{
    struct port_commit commits[] = {
        {TOPIC_BOUNCES, partition, offset, STR_NULL},
        {TOPIC_RECIPIENTS, partition, offset, str_of(metadata)},
    };
    return node->port->ops->send_offsets(node->port, commits, 2, NULL);
}

/* One record in one transaction, committed. */
static inline void node_write(struct node *node, enum topic topic, const char *key,
                              const char *value)
{
    node_begin(node);
    assert_int_equal(node_send(node, topic, 0, key, value), OK);
    assert_int_equal(node_commit(node), OK);
}

/* One record in one transaction, aborted. */
static inline void node_waste(struct node *node, enum topic topic, const char *key,
                              const char *value)
{
    node_begin(node);
    assert_int_equal(node_send(node, topic, 0, key, value), OK);
    assert_int_equal(node_abort(node), OK);
}

static inline int64_t produce(struct memory_cluster *cluster, enum topic topic, int32_t partition,
                              const char *key, const char *value)
{
    struct port_message message = {
        .topic = topic, .partition = partition, .key = str_of(key), .value = str_of(value)};
    return memory_produce(cluster, &message, -1);
}

/* "offset:value offset:value " of everything a read_committed reader sees. */
static inline void expect_log(const struct memory_cluster *cluster, enum topic topic,
                              int32_t partition, const char *expected)
{
    struct buf text;
    struct port_record record;
    int64_t offset = 0;
    buf_init(&text);
    while (memory_read(cluster, topic, partition, &offset, &record))
        buf_printf(&text, "%lld:%.*s ", (long long)record.offset, STR_ARG(record.value));
    buf_append(&text, "", 1);
    assert_string_equal(text.data, expected);
    buf_deinit(&text);
}

/* One fault, at the first call of `op`. */
struct planned {
    enum memory_op op;
    struct memory_fault fault;
};

static inline struct memory_fault planned_decide(void *context, struct port *port,
                                                 enum memory_op op, uint64_t call)
{
    struct planned *planned = context;
    (void)port;
    (void)call;
    if (op != planned->op)
        return (struct memory_fault){0};
    planned->op = MEMORY_OP_COUNT;
    return planned->fault;
}

static inline void node_plan(struct node *node, struct planned *planned)
{
    memory_port_faults(node->port, &(struct memory_faults){planned, planned_decide, NULL});
}
