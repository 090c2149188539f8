/* The parts of the Kafka port, each in its own file: member.c, producer.c, kafka_port.c. Internal.
 */
#pragma once
#include "kafka/facts.h"
#include "kafka/fetched.h"
#include "kafka/kafka_port.h"
#include "kafka/scan.h"

#define TROUBLES_MAX                                                                               \
    64 /* partitions out of range that wait to be told; more wait in librdkafka                    \
        */

/* The consumer: a member of the group. */
struct member {
    struct client *client; /* NULL until the first poll */
    rd_kafka_queue_t *queue;
    struct fetched fetched;
    int32_t *owned; /* partitions the group gave us, whether they are fetched or not */
    int owned_count;
    bool subscribed;
    bool interrupted; /* a rebalance was served, or trouble waits to be told: poll ends */
    bool rebalanced;  /* in this poll */
    bool settled;     /* the group has given it a place, which it has not lost since */
    bool condemned;   /* to be replaced by a new one once no record of it is held */

    struct port_position out_of_range[TROUBLES_MAX];
    int out_of_range_count;
    bool failed; /* transient trouble waits to be told */
    struct err failure;
    int64_t told_ms; /* when trouble was last told */
    int untold;      /* troubles swallowed since */
};

/* The transactional producer of the moment. */
struct producer {
    struct client *client; /* NULL: closed */
    rd_kafka_topic_t *topics[TOPIC_SLOTS];
    uint64_t sent;
    uint64_t reported;
    struct offsets next[TOPIC_SLOTS]; /* one beyond the greatest offset of this transaction */
    bool failed; /* a record of this transaction was not written, or where is not known */
    struct err failure;
    size_t failure_size; /* key and value octets of the record the text tells of */
};

struct kafka_port {
    struct port port; /* first */
    struct kafka_property *properties;
    int property_count;
    char *topics[TOPIC_SLOTS];
    char *group;
    char *instance;
    char *transactional_id;
    struct member member;
    struct producer producer;
    struct scan reader; /* opened when first needed */
    struct facts facts;
    struct scan
        asker; /* asks for committed offsets and nothing else: it may be freed at any time */
    struct facts asked;
    int64_t asker_waits_ms; /* facts_waits() */
    struct kafka_statistics statistics[KAFKA_CLIENT_COUNT];
};

static inline struct kafka_port *kafka_port_of(struct port *port)
{
    return (struct kafka_port *)port;
}

static inline struct kafka_properties kafka_port_properties(const struct kafka_port *self)
{
    return (struct kafka_properties){self->properties, self->property_count};
}

static inline void kafka_port_tell(struct kafka_port *self, enum kafka_client client,
                                   const struct statistics *statistics)
{
    struct kafka_statistics *told = &self->statistics[client];
    atomic_store(&told->brokers_up, statistics->brokers_up);
    atomic_store(&told->waiting, statistics->waiting);
    atomic_store(&told->told, true);
}

enum rcode kafka_port_reader(struct kafka_port *self, struct scan **ret_reader,
                             struct err *err) WARN_UNUSED;

enum rcode member_open(struct kafka_port *self, struct err *err) WARN_UNUSED;
void member_close(struct kafka_port *self, int deadline_ms);
enum rcode member_poll(struct port *port, int timeout_ms, size_t max,
                       struct port_record *ret_records, size_t *ret_count, int32_t *ret_partition,
                       struct err *err);
void member_release(struct port *port);
enum rcode member_assign(struct port *port, const struct port_position *positions, int count,
                         struct err *err);
int64_t member_position(struct port *port, int32_t partition);

enum rcode producer_open(struct port *port, struct err *err);
void producer_close(struct port *port);
void producer_serve(struct kafka_port *self);
void producer_deinit(struct producer *producer);
enum rcode producer_begin(struct port *port, struct err *err);
enum rcode producer_send(struct port *port, const struct port_message *message, struct err *err);
enum rcode producer_flush(struct port *port, struct err *err);
int64_t producer_sent_next(struct port *port, enum topic topic, int32_t partition);
enum rcode producer_send_offsets(struct port *port, const struct port_commit *commits, int count,
                                 struct err *err);
enum rcode producer_commit(struct port *port, struct err *err);
enum rcode producer_abort(struct port *port, struct err *err);
