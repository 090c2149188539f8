/*
 * The port (stream/port.h) on Kafka. One belongs to one thread. It holds a consumer that is a
 * member of the group, a transactional producer, and a reader without a group for restoring and for
 * facts.
 */
#pragma once
#include <stdatomic.h>

#include "kafka/property.h"
#include "stream/port.h"

/* Everything is copied. */
struct kafka_port_options {
    struct kafka_properties properties; /* `kafka.*` of the configuration */
    const char *topics[TOPIC_SLOTS];    /* names; of TOPIC_SOURCE only where it is the input */
    enum topic input;                   /* what the consumer reads */
    enum topic certificate;             /* see struct port */
    const char *group;                  /* group.id */
    const char *instance;               /* group.instance.id: static membership; NULL: dynamic */
    const char *transactional_id;
};

#define KAFKA_CLIENTS(X)                                                                           \
    X(KAFKA_CONSUMER, "consumer")                                                                  \
    X(KAFKA_PRODUCER, "producer")
#define X(constant, string) constant,
enum kafka_client { KAFKA_CLIENTS(X) KAFKA_CLIENT_COUNT };
#undef X
extern const char *const kafka_client_names[KAFKA_CLIENT_COUNT];

/* What librdkafka last told of a client (kafka.statistics.interval.ms, 5 s by default); readable
 * from any thread. */
struct kafka_statistics {
    atomic_bool told; /* false: the client is not there, or has not told yet */
    atomic_int brokers_up;
    atomic_llong waiting;
};

/* An array by enum kafka_client; lives as long as the port. */
const struct kafka_statistics *kafka_port_statistics(const struct port *port);

/* E_CONFIG when a property is refused. Connects to nothing yet: the first poll joins the group. */
enum rcode kafka_port_new(const struct kafka_port_options *options, struct port **ret_port,
                          struct err *err) WARN_UNUSED;
