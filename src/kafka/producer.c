/*
 * The transactional producer of the port. Calls that librdkafka can resume (init, commit, abort)
 * get a second and are called again by the engine while they answer RETRY.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "kafka/port_parts.h"

#define CALL_TIMEOUT_MS 1000
/* Not resumable: past its timeout the transaction must be aborted, so it gets longer. */
#define OFFSETS_TIMEOUT_MS 5000
#define CLOSE_DEADLINE_MS 3000
#define HEADERS_MAX 64

static const struct kafka_property producer_defaults[] = {
    {"client.id", "rimbalzo"},
    {"transaction.timeout.ms", "15000"}, /* how long a dead owner's transaction holds up its heir */
    {"message.max.bytes", "16777216"},   /* the topic's own limit decides, not this one */
    {"queue.buffering.max.messages", "500000"},
    {"queue.buffering.max.kbytes", "131072"},
    {"linger.ms", "5"},
    {"compression.codec", "lz4"},
    {"topic.metadata.propagation.max.ms", "10000"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"statistics.interval.ms", "5000"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

/* --- delivery reports --- */

static bool permanent(rd_kafka_resp_err_t code)
{
    enum rcode rcode = client_rcode(code, OK);
    return rcode == E_TOPICS || rcode == E_AUTH;
}

static void fail_too_large(struct producer *producer, const rd_kafka_message_t *message,
                           const char *topic)
{
    err_set(&producer->failure, E_TOPICS,
            "the log refuses a record for %s-%d with a key of %zu and a value of %zu octets: raise "
            "max.message.bytes of topic %s (`rimbalzo topics check` tells to what)",
            topic, message->partition, message->key_len, message->len, topic);
}

static void fail_delivery(struct producer *producer, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    size_t size = message->key_len + message->len;
    rd_kafka_resp_err_t code = message->err;
    bool worse =
        !producer->failed ||
        (permanent(code) && (rcode_disposition(producer->failure.code) != DISPOSITION_FATAL ||
                             size > producer->failure_size));
    producer->failed = true;
    if (!worse)
        return;
    producer->failure_size = size;
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
        code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
        fail_too_large(producer, message, topic);
    else
        err_set(&producer->failure, permanent(code) ? client_rcode(code, OK) : E_LOG_ABORTABLE,
                "a record for %s-%d (key %zu, value %zu octets) was not written: %s (%s)%s", topic,
                message->partition, message->key_len, message->len, rd_kafka_err2str(code),
                rd_kafka_err2name(code),
                client_rcode(code, OK) == E_TOPICS ? "; see `rimbalzo topics check`" : "");
}

static void on_delivery(void *context, const rd_kafka_message_t *message)
{
    struct kafka_port *self = context;
    struct producer *producer = &self->producer;
    enum topic topic = (enum topic)(uintptr_t)rd_kafka_topic_opaque(message->rkt);
    producer->reported++;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail_delivery(producer, message);
        return;
    }
    if (message->offset < 0) {
        /* Written, by an attempt whose answer was lost; where is not known. */
        if (topic == self->port.certificate && !producer->failed) {
            producer->failed = true;
            err_set(&producer->failure, E_LOG_ABORTABLE,
                    "the log wrote a record to %s-%d without telling where",
                    rd_kafka_topic_name(message->rkt), message->partition);
        }
        return;
    }
    if (message->offset + 1 > offsets_get(&producer->next[topic], message->partition))
        offsets_set(&producer->next[topic], message->partition, message->offset + 1);
}

/* --- life --- */

static void on_error(void *context, rd_kafka_resp_err_t code, const char *text)
{
    /* Every call answers for itself; librdkafka logs connections. */
    (void)context;
    (void)code;
    (void)text;
}

static void on_statistics(void *context, const struct statistics *statistics)
{
    kafka_port_tell(context, KAFKA_PRODUCER, statistics);
}

static enum rcode producer_create(struct kafka_port *self, struct err *err)
{
    struct producer *producer = &self->producer;
    struct kafka_property required[] = {
        {"transactional.id", self->transactional_id},
        {"enable.idempotence", "true"},
        {"delivery.report.only.error", "false"},
        {"acks", "all"},
        {NULL, NULL},
    };
    struct client_options options = {
        .type = RD_KAFKA_PRODUCER,
        .role = "producer",
        .properties = kafka_port_properties(self),
        .defaults = producer_defaults,
        .required = required,
        .context = self,
        .on_error = on_error,
        .on_delivery = on_delivery,
        .on_statistics = on_statistics,
    };
    enum rcode rc = client_new(&options, &producer->client, err);
    if (rc != OK)
        return rc;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(producer->client->handle);
        rd_kafka_topic_conf_set_opaque(conf, (void *)(uintptr_t)i);
        producer->topics[i] = rd_kafka_topic_new(producer->client->handle, self->topics[i], conf);
        if (!producer->topics[i]) {
            rc = client_fail(err, rd_kafka_last_error(), E_CONFIG, self->topics[i]);
            producer_close(&self->port);
            return rc;
        }
    }
    producer->sent = producer->reported = 0;
    producer->failed = false;
    return OK;
}

enum rcode producer_open(struct port *port, struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    if (!self->producer.client) {
        enum rcode rc = producer_create(self, err);
        if (rc != OK)
            return rc;
    }
    enum rcode rc = client_fail_transaction(
        err, rd_kafka_init_transactions(self->producer.client->handle, CALL_TIMEOUT_MS),
        E_LOG_FATAL, "initialising transactions");
    if (rc != OK && rcode_disposition(rc) != DISPOSITION_RETRY)
        producer_close(port);
    return rc;
}

void producer_close(struct port *port)
{
    struct producer *producer = &kafka_port_of(port)->producer;
    if (!producer->client)
        return;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (producer->topics[i])
            rd_kafka_topic_destroy(producer->topics[i]);
        producer->topics[i] = NULL;
    }
    rd_kafka_purge(producer->client->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                                 RD_KAFKA_PURGE_F_NON_BLOCKING);
    if (!client_free(producer->client, false, CLOSE_DEADLINE_MS))
        log_warn("producer_abandoned", "the old producer does not end; it is left to itself");
    producer->client = NULL;
    atomic_store(&kafka_port_of(port)->statistics[KAFKA_PRODUCER].told, false);
}

/* Between transactions too, or statistics and errors would pile up in its queue. */
void producer_serve(struct kafka_port *self)
{
    if (self->producer.client)
        rd_kafka_poll(self->producer.client->handle, 0);
}

void producer_deinit(struct producer *producer)
{
    for (int i = 0; i < TOPIC_SLOTS; i++)
        offsets_deinit(&producer->next[i]);
}

/* --- transactions --- */

static enum rcode closed(struct err *err)
{
    return err_set(err, E_LOG_FATAL, "the producer is closed");
}

enum rcode producer_begin(struct port *port, struct err *err)
{
    struct producer *producer = &kafka_port_of(port)->producer;
    if (!producer->client)
        return closed(err);
    enum rcode rc =
        client_fail_transaction(err, rd_kafka_begin_transaction(producer->client->handle),
                                E_LOG_FATAL, "beginning a transaction");
    if (rc != OK)
        return rc;
    for (int i = 0; i < TOPIC_SLOTS; i++)
        offsets_clear(&producer->next[i]);
    producer->sent = producer->reported = 0;
    producer->failed = false;
    producer->failure_size = 0;
    return OK;
}

static rd_kafka_headers_t *headers_of(const struct port_message *message)
{
    if (!message->header_count)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)message->header_count);
    for (int i = 0; i < message->header_count; i++)
        rd_kafka_header_add(headers, message->headers[i].name.data,
                            (ssize_t)message->headers[i].name.len, message->headers[i].value.data,
                            message->headers[i].value.data ? (ssize_t)message->headers[i].value.len
                                                           : 0);
    return headers;
}

/* One attempt to queue the record. */
static rd_kafka_resp_err_t enqueue(struct producer *producer, const struct port_message *message)
{
    rd_kafka_topic_t *topic = producer->topics[message->topic];
    if (!message->header_count && !message->timestamp_ms)
        return rd_kafka_produce(topic, message->partition, RD_KAFKA_MSG_F_COPY,
                                (void *)(uintptr_t)message->value.data, message->value.len,
                                message->key.data, message->key.len, NULL) == 0
                   ? RD_KAFKA_RESP_ERR_NO_ERROR
                   : rd_kafka_last_error();
    rd_kafka_headers_t *headers = headers_of(message);
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = message->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)message->value.data, message->value.len}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)message->key.data, message->key.len}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = message->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = sizeof(fields) / sizeof(fields[0]) - (headers ? 0 : 1);
    rd_kafka_error_t *error = rd_kafka_produceva(producer->client->handle, fields, count);
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers)
        rd_kafka_headers_destroy(headers); /* still ours when the call failed */
    return code;
}

/* What to make of a record that could not be queued. */
static enum rcode refused(struct kafka_port *self, const struct port_message *message,
                          rd_kafka_resp_err_t code, struct err *err)
{
    char text[512];
    const char *topic = self->topics[message->topic];
    rd_kafka_resp_err_t fatal =
        rd_kafka_fatal_error(self->producer.client->handle, text, sizeof(text));
    if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err,
                       client_rcode(fatal, E_LOG_FATAL) == E_PRODUCER_FENCED ? E_PRODUCER_FENCED
                                                                             : E_LOG_FATAL,
                       "producing: %s", text);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return err_set(
            err, E_TOPICS,
            "a record for topic %s with a key of %zu and a value of %zu octets is larger "
            "than kafka.message.max.bytes: raise it, and max.message.bytes of the topic",
            topic, message->key.len, message->value.len);
    if (code == RD_KAFKA_RESP_ERR__STATE)
        return self->producer.failed
                   ? (err ? (*err = self->producer.failure).code : self->producer.failure.code)
                   : err_set(err, E_LOG_ABORTABLE, "producing to %s: the transaction has failed",
                             topic);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return err_set(err, E_LOG_RETRIABLE, "producing to %s: the queue is full", topic);
    err_set(err, client_rcode(code, E_LOG_FATAL), "producing to %s-%d: %s (%s)", topic,
            message->partition, rd_kafka_err2str(code), rd_kafka_err2name(code));
    return client_rcode(code, E_LOG_FATAL);
}

enum rcode producer_send(struct port *port, const struct port_message *message, struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct producer *producer = &self->producer;
    if (!producer->client)
        return closed(err);
    rd_kafka_resp_err_t code = enqueue(producer, message);
    int64_t deadline_ms =
        code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? clock_monotonic_ms() + CALL_TIMEOUT_MS : 0;
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && clock_monotonic_ms() < deadline_ms) {
        rd_kafka_poll(producer->client->handle, 10);
        code = enqueue(producer, message);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return refused(self, message, code, err);
    producer->sent++;
    return OK;
}

enum rcode producer_flush(struct port *port, struct err *err)
{
    struct producer *producer = &kafka_port_of(port)->producer;
    if (!producer->client)
        return closed(err);
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->client->handle, CALL_TIMEOUT_MS);
    if (producer->failed && rcode_disposition(producer->failure.code) == DISPOSITION_FATAL) {
        if (err)
            *err = producer->failure;
        return producer->failure.code;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || producer->reported < producer->sent)
        return err_set(err, E_TIMEOUT, "flushing: %llu of %llu records have no report yet",
                       (unsigned long long)(producer->sent - producer->reported),
                       (unsigned long long)producer->sent);
    if (!producer->failed)
        return OK;
    if (err)
        *err = producer->failure;
    return producer->failure.code;
}

int64_t producer_sent_next(struct port *port, enum topic topic, int32_t partition)
{
    return offsets_get(&kafka_port_of(port)->producer.next[topic], partition);
}

enum rcode producer_send_offsets(struct port *port, const struct port_commit *commits, int count,
                                 struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    if (!self->producer.client)
        return closed(err);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(
            list, self->topics[commits[i].topic], commits[i].partition);
        entry->offset = commits[i].offset;
        if (commits[i].metadata.data) {
            entry->metadata = mem_alloc(commits[i].metadata.len); /* the list frees it */
            memcpy(entry->metadata, commits[i].metadata.data, commits[i].metadata.len);
            entry->metadata_size = commits[i].metadata.len;
        }
    }
    rd_kafka_consumer_group_metadata_t *membership =
        rd_kafka_consumer_group_metadata(self->member.client->handle);
    enum rcode rc = client_fail_transaction(
        err,
        rd_kafka_send_offsets_to_transaction(self->producer.client->handle, list, membership,
                                             OFFSETS_TIMEOUT_MS),
        E_LOG_ABORTABLE, "adding offsets to the transaction");
    rd_kafka_consumer_group_metadata_destroy(membership);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

enum rcode producer_commit(struct port *port, struct err *err)
{
    struct producer *producer = &kafka_port_of(port)->producer;
    if (!producer->client)
        return closed(err);
    /* To die while the request is on its way, the call is not waited for. */
    int timeout_ms = failpoint_armed("during-commit") ? 1 : CALL_TIMEOUT_MS;
    enum rcode rc = client_fail_transaction(
        err, rd_kafka_commit_transaction(producer->client->handle, timeout_ms),
        E_LOG_UNKNOWN_OUTCOME, "committing the transaction");
    failpoint("during-commit");
    return rc;
}

enum rcode producer_abort(struct port *port, struct err *err)
{
    struct producer *producer = &kafka_port_of(port)->producer;
    if (!producer->client)
        return closed(err);
    return client_fail_transaction(
        err, rd_kafka_abort_transaction(producer->client->handle, CALL_TIMEOUT_MS), E_LOG_FATAL,
        "aborting the transaction");
}
