#include "cli/input_writer.h"

#include "base/hash.h"
#include "domain/address.h"
#include "kafka/reader.h"
#include "kafka/writer.h"

struct input_writer {
    const struct deployment *deployment;
    struct codec *codec;
    struct kafka_writer *writer;
    int32_t partitions;
    struct buf value; /* scratch */
};

enum rcode input_writer_open(const struct deployment *deployment, struct codec *codec,
                             struct input_writer **ret_writer, struct err *err)
{
    struct input_writer *writer = mem_zalloc(sizeof(*writer));
    struct kafka_reader *reader = NULL;
    writer->deployment = deployment;
    writer->codec = codec;
    enum rcode rc =
        kafka_reader_open(deployment->properties, deployment->worker_group, &reader, err);
    if (rc == OK)
        rc = kafka_reader_partition_count(reader, deployment->topics[TOPIC_BOUNCES],
                                          &writer->partitions, err);
    kafka_reader_close(reader);
    if (rc == OK)
        rc = kafka_writer_open(deployment->properties, NULL, &writer->writer, err);
    if (rc != OK) {
        input_writer_close(writer);
        return rc;
    }
    *ret_writer = writer;
    return OK;
}

void input_writer_close(struct input_writer *writer)
{
    if (!writer)
        return;
    kafka_writer_close(writer->writer);
    buf_deinit(&writer->value);
    mem_free(writer);
}

enum rcode input_writer_put(struct input_writer *writer, const struct input_record *record,
                            struct identity who, struct err *err)
{
    char octets[RECORD_KEY_MAX];
    struct str key = {octets, identity_key(who, octets)};
    buf_clear(&writer->value);
    codec_encode_input(writer->codec, record, &writer->value);
    return kafka_writer_send(
        writer->writer,
        &(struct kafka_writer_record){.topic = writer->deployment->topics[TOPIC_BOUNCES],
                                      .partition = hash_partition(key, writer->partitions),
                                      .timestamp_ms = KAFKA_WRITER_NOW,
                                      .key = key,
                                      .value = buf_view(&writer->value)},
        err);
}

enum rcode input_writer_flush(struct input_writer *writer, struct err *err)
{
    return kafka_writer_flush(writer->writer, err);
}
