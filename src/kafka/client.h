/*
 * A handle of librdkafka with what every one of ours needs: properties in their order (defaults,
 * the user's, required), logs through base/log.h, errors as rcodes, an end that
 * cannot hang. Internal to src/kafka.
 */
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdint.h>

#include "base/err.h"
#include "kafka/property.h"
#include "kafka/statistics.h"

struct client {
    rd_kafka_t *handle;
    const char *role; /* for log lines: "consumer", "producer", … */

    /* Served in whichever thread polls the handle. NULL: not wanted. */
    void *context;
    void (*on_error)(void *context, rd_kafka_resp_err_t code, const char *text);
    void (*on_rebalance)(void *context, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions);
    void (*on_delivery)(void *context, const rd_kafka_message_t *message);
    void (*on_statistics)(void *context, const struct statistics *statistics);
};

struct client_options {
    rd_kafka_type_t type;
    const char *role;
    struct kafka_properties properties;    /* the user's */
    const struct kafka_property *defaults; /* ended by a NULL name; the user's override them */
    const struct kafka_property *required; /* ended by a NULL name; a NULL value: leave it out */
    void *context;
    void (*on_error)(void *context, rd_kafka_resp_err_t code, const char *text);
    void (*on_rebalance)(void *context, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions);
    void (*on_delivery)(void *context, const rd_kafka_message_t *message);
    /* Every kafka.statistics.interval.ms; only a handle that is polled all the time may want it. */
    void (*on_statistics)(void *context, const struct statistics *statistics);
};

/* E_CONFIG: librdkafka refuses a property or their combination. Connects to nothing yet. */
enum rcode client_new(const struct client_options *options, struct client **ret_client,
                      struct err *err) WARN_UNUSED;

/* Ends the handle on a thread of its own; after `deadline_ms` that thread is left to itself
 * (false). `leave`: a consumer leaves its group first. No callback runs any more. Queues and topics
 * taken from the handle must be destroyed before, or it hangs. NULL is allowed. */
bool client_free(struct client *client, bool leave, int deadline_ms);

/* Defaults of a reader without a group (scan.h) and of handles that only ask for facts. */
extern const struct kafka_property client_reader_defaults[];

/* --- errors --- */

/* The rcode of librdkafka's code; `otherwise` for those that mean nothing in particular to us. */
enum rcode client_rcode(rd_kafka_resp_err_t code, enum rcode otherwise);

/* "what: text" with the rcode of `code`. */
enum rcode client_fail(struct err *err, rd_kafka_resp_err_t code, enum rcode otherwise,
                       const char *what);

/* The error of a transactional call (destroyed here) with its disposition; `otherwise` when it is
 * neither fatal, nor retriable, nor asks for an abort. NULL: OK. */
enum rcode client_fail_transaction(struct err *err, rd_kafka_error_t *error, enum rcode otherwise,
                                   const char *what);
