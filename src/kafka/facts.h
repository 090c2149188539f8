/*
 * What can be asked of a cluster without a group: offsets, topics, its id. Nothing here blocks for
 * longer than a second; a question that takes longer stays pending (DISPOSITION_RETRY) and is taken
 * up again when it is asked again. Internal to src/kafka.
 */
#pragma once
#include "base/arena.h"
#include "kafka/client.h"
#include "stream/port.h"

#define FACTS_WAIT_MS 1000

/* One pending question. Zero-initialise. */
struct facts {
    rd_kafka_queue_t *queue; /* NULL: none */
    uint64_t question;       /* hash of what was asked */
    rd_kafka_event_t *answers[3];
    int answer_count;
    int64_t deadline_ms;
};

/* Forgets the pending question. Before the client is freed. */
void facts_drop(struct facts *facts);

/* Shared with lag.c: options of an admin request, and the error of its answer. A request to a
 * coordinator does not end before an hour is over: see facts_waits(). */
rd_kafka_AdminOptions_t *facts_admin_options(struct client *client, rd_kafka_admin_op_t operation,
                                             int timeout_ms);
enum rcode facts_event_error(rd_kafka_event_t *event, const char *what,
                             struct err *err) WARN_UNUSED;

/*
 * librdkafka keeps a request to a coordinator that cannot be reached until it can be. If the
 * request has timed out meanwhile, it then uses what it has freed, and the process is over
 * (librdkafka#4605). So none may time out: they are given the longest time there is, and a handle
 * in which one has waited for too long is freed, and the request with it.
 *
 * `inout_since_ms`: since when a question has been waiting in a handle, 0: none is.
 */
void facts_waits(int64_t *inout_since_ms, bool answered); /* what became of a question */
bool facts_waits_too_long(int64_t since_ms);              /* the handle is to be freed */

/* port.h `committed`: the stable offsets of `group` on both topics. */
enum rcode facts_committed(struct facts *facts, struct client *client, const char *group,
                           const char *const topics[2], struct port_committed *inout, int count,
                           struct err *err) WARN_UNUSED;

/* port.h `watermarks`. */
enum rcode facts_watermarks(struct facts *facts, struct client *client, const char *topic,
                            int32_t partition, struct port_watermarks *ret_watermarks,
                            struct err *err) WARN_UNUSED;

/* Whether a partition has a leader librdkafka answers from what it remembers: where it had none, it
 * asks nobody again before topic.metadata.refresh.interval.ms, five minutes. This makes it ask. */
void facts_renew_leaders(struct client *client, const char *topic);

/* From fresh metadata; E_TOPICS if the topic does not exist. */
enum rcode facts_partition_count(struct client *client, const char *topic, int32_t *ret_count,
                                 struct err *err) WARN_UNUSED;

enum rcode facts_cluster_id(struct client *client, struct arena *arena, struct str *ret_id,
                            struct err *err) WARN_UNUSED;

/* The same question again and again until it is answered, for tools that have nothing else to do.
 */
enum rcode facts_watermarks_wait(struct client *client, const char *topic, int32_t partition,
                                 int64_t deadline_ms, struct port_watermarks *ret_watermarks,
                                 struct err *err) WARN_UNUSED;
enum rcode facts_partition_count_wait(struct client *client, const char *topic, int64_t deadline_ms,
                                      int32_t *ret_count, struct err *err) WARN_UNUSED;
