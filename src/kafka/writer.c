#include "kafka/writer.h"

#include "base/arena.h"
#include "base/clock.h"
#include "kafka/client.h"

#define PATIENCE_MS 60000
#define SLICE_MS 1000
#define CLOSE_DEADLINE_MS 5000

struct kafka_writer {
    struct client *client;
    uint64_t written;
    bool failed;
    struct err failure; /* of the first record that was not written */
};

static const struct kafka_property defaults[] = {
    {"message.timeout.ms", "60000"}, /* of a transaction it follows from transaction.timeout.ms */
    {"client.id", "rimbalzo"},
    {"message.max.bytes", "16777216"},
    {"queue.buffering.max.messages", "500000"},
    {"queue.buffering.max.kbytes", "131072"},
    {"linger.ms", "5"},
    {"compression.codec", "lz4"},
    {"topic.metadata.propagation.max.ms", "10000"},
    {"reconnect.backoff.max.ms", "2000"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

static void on_delivery(void *context, const rd_kafka_message_t *message)
{
    struct kafka_writer *writer = context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        writer->written++;
        return;
    }
    if (writer->failed)
        return;
    writer->failed = true;
    enum rcode rcode = client_rcode(message->err, E_IO);
    err_set(&writer->failure, rcode == E_TIMEOUT ? E_BROKER_UNREACHABLE : rcode,
            "a record for %s-%d was not written: %s", rd_kafka_topic_name(message->rkt),
            message->partition, rd_kafka_err2str(message->err));
}

static enum rcode init_transactions(struct kafka_writer *writer, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        enum rcode rc = client_fail_transaction(
            err, rd_kafka_init_transactions(writer->client->handle, SLICE_MS), E_LOG_FATAL,
            "initialising transactions");
        if (rc == OK || rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        if (clock_monotonic_ms() > deadline_ms)
            return err ? err->code = E_BROKER_UNREACHABLE : E_BROKER_UNREACHABLE;
    }
}

enum rcode kafka_writer_open(struct kafka_properties properties, const char *transactional_id,
                             struct kafka_writer **ret_writer, struct err *err)
{
    struct kafka_writer *writer = mem_zalloc(sizeof(*writer));
    struct kafka_property required[] = {
        {"enable.idempotence", "true"},         {"acks", "all"}, {"partitioner", "murmur2_random"},
        {"transactional.id", transactional_id}, {NULL, NULL},
    };
    struct client_options options = {
        .type = RD_KAFKA_PRODUCER,
        .role = "writer",
        .properties = properties,
        .defaults = defaults + (transactional_id != NULL),
        .required = required,
        .context = writer,
        .on_delivery = on_delivery,
    };
    enum rcode rc = client_new(&options, &writer->client, err);
    if (rc == OK && transactional_id)
        rc = init_transactions(writer, err);
    if (rc != OK) {
        kafka_writer_close(writer);
        return rc;
    }
    *ret_writer = writer;
    return OK;
}

void kafka_writer_close(struct kafka_writer *writer)
{
    if (!writer)
        return;
    if (writer->client)
        rd_kafka_purge(writer->client->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                                   RD_KAFKA_PURGE_F_NON_BLOCKING);
    client_free(writer->client, false, CLOSE_DEADLINE_MS);
    mem_free(writer);
}

static enum rcode failure(const struct kafka_writer *writer, struct err *err)
{
    if (err)
        *err = writer->failure;
    return writer->failure.code;
}

/* --- records --- */

static rd_kafka_headers_t *headers_of(const struct kafka_writer_record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)record->header_count);
    for (int i = 0; i < record->header_count; i++) {
        const struct port_header *header = &record->headers[i];
        rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.len,
                            header->value.data,
                            header->value.data ? (ssize_t)header->value.len : 0);
    }
    return headers;
}

static rd_kafka_resp_err_t enqueue(struct kafka_writer *writer,
                                   const struct kafka_writer_record *record)
{
    rd_kafka_headers_t *headers = headers_of(record);
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = record->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)record->value.data, record->value.len}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)record->key.data, record->key.len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
         .u.i64 = record->timestamp_ms < 0 ? clock_wall_ms() : record->timestamp_ms},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(writer->client->handle, fields, sizeof(fields) / sizeof(fields[0]));
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    rd_kafka_headers_destroy(headers);
    return code;
}

enum rcode kafka_writer_send(struct kafka_writer *writer, const struct kafka_writer_record *record,
                             struct err *err)
{
    int64_t deadline_ms = 0;
    for (;;) {
        if (writer->failed)
            return failure(writer, err);
        rd_kafka_resp_err_t code = enqueue(writer, record);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return OK;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return client_fail(err, code, E_LOG_FATAL, record->topic);
        if (!deadline_ms)
            deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
        else if (clock_monotonic_ms() > deadline_ms)
            return err_set(err, E_BROKER_UNREACHABLE, "%s: the queue stays full", record->topic);
        rd_kafka_poll(writer->client->handle, 10);
    }
}

enum rcode kafka_writer_flush(struct kafka_writer *writer, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(writer->client->handle, PATIENCE_MS);
    if (writer->failed)
        return failure(writer, err);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? OK
               : err_set(err, E_BROKER_UNREACHABLE, "%d records are not acknowledged within %d s",
                         rd_kafka_outq_len(writer->client->handle), PATIENCE_MS / 1000);
}

uint64_t kafka_writer_written(const struct kafka_writer *writer)
{
    return writer->written;
}

/* --- transactions --- */

enum rcode kafka_writer_begin(struct kafka_writer *writer, struct err *err)
{
    return client_fail_transaction(err, rd_kafka_begin_transaction(writer->client->handle),
                                   E_LOG_FATAL, "beginning a transaction");
}

enum rcode kafka_writer_send_offsets(struct kafka_writer *writer, const char *group,
                                     const char *topic, const struct port_position *positions,
                                     int count, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, positions[i].partition)->offset =
            positions[i].offset;
    rd_kafka_consumer_group_metadata_t *group_metadata =
        rd_kafka_consumer_group_metadata_new(group);
    enum rcode rc =
        client_fail_transaction(err,
                                rd_kafka_send_offsets_to_transaction(writer->client->handle, list,
                                                                     group_metadata, PATIENCE_MS),
                                E_LOG_ABORTABLE, "adding offsets to the transaction");
    rd_kafka_consumer_group_metadata_destroy(group_metadata);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

enum rcode kafka_writer_commit(struct kafka_writer *writer, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    enum rcode rc = kafka_writer_flush(writer, err);
    while (rc == OK) {
        rc = client_fail_transaction(err,
                                     rd_kafka_commit_transaction(writer->client->handle, SLICE_MS),
                                     E_LOG_UNKNOWN_OUTCOME, "committing the transaction");
        if (rc == OK)
            return OK;
        if (rcode_disposition(rc) == DISPOSITION_RETRY && clock_monotonic_ms() < deadline_ms)
            rc = OK;
    }
    return rc;
}

enum rcode kafka_writer_abort(struct kafka_writer *writer, struct err *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    enum rcode rc;
    do {
        rc = client_fail_transaction(err,
                                     rd_kafka_abort_transaction(writer->client->handle, SLICE_MS),
                                     E_LOG_FATAL, "aborting the transaction");
    } while (rc != OK && rcode_disposition(rc) == DISPOSITION_RETRY &&
             clock_monotonic_ms() < deadline_ms);
    writer->failed = false;
    return rc;
}
