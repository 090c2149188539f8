#include "cli/ingest_sink.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/input_writer.h"
#include "cli/schemas.h"
#include "embedded.h"

#define FRAME_SIZE 10              /* of a single object: C3 01 and the fingerprint */
#define BLOCK_SIZE ((size_t)65536) /* of an Avro file, about */

struct ingest_sink {
    enum ingest_sink_kind kind;
    struct schemas schemas; /* of the topic's records */
    struct codec *codec;
    struct buf value;
    /* the topic */
    struct deployment deployment;
    struct input_writer *writer;
    /* JSON lines */
    struct output output;
    /* an Avro file */
    struct buf block;
    int64_t block_count;
    unsigned char sync[SHA1_SIZE]; /* the first 16 octets */
};

/* --- the topic --- */

static enum rcode open_topic(struct ingest_sink *sink, const struct config *config, struct err *err)
{
    enum rcode rc = deployment_init(&sink->deployment, config, err);
    if (rc == OK)
        rc = input_writer_open(&sink->deployment, sink->codec, &sink->writer, err);
    return rc;
}

static enum rcode put_topic(struct ingest_sink *sink, const struct ingest_entry *entry,
                            struct err *err)
{
    return input_writer_put(sink->writer, &entry->record,
                            (struct identity){entry->record.tenant, entry->canonical}, err);
}

/* --- JSON lines --- */

static const char *const columns[] = {
    "file",       "line",   "recipient", "event_type",      "status", "reply_code", "diagnostic",
    "class",      "reason", "rule",      "event_id",        "tenant", "message_id", "occurred_at",
    "remote_mta", "stage",  "retry_of",  "message_attempt", "source",
};
#define COLUMN_COUNT ((int)(sizeof(columns) / sizeof(columns[0])))

static const char *event_type(const struct ingest_entry *entry)
{
    switch (entry->outcome) {
    case INGEST_BOUNCE:
        return "bounce";
    case INGEST_DELIVERY:
        return "delivery";
    case INGEST_SKIPPED:
        return ingest_skip_names[entry->skip];
    case INGEST_REJECTED:
    case INGEST_OUTCOME_COUNT:
        break;
    }
    return "rejected";
}

static void put_jsonl(struct ingest_sink *sink, const struct ingest_entry *entry,
                      const struct verdict *verdict, struct ingest_place place)
{
    const struct input_record *record = &entry->record;
    bool event = entry->outcome != INGEST_SKIPPED;
    char time[32] = "";
    if (event)
        clock_format(record->occurred_at_ms, time);
    const struct cell cells[COLUMN_COUNT] = {
        cell_text(str_of(place.file)),
        cell_number(place.line),
        cell_text(record->recipient),
        cell_text(str_of(event_type(entry))),
        cell_text(record->status),
        record->reply_code ? cell_number(record->reply_code) : cell_text(STR_NULL),
        cell_text(record->diagnostic),
        cell_text(verdict ? str_of(bounce_class_names[verdict->bounce_class]) : STR_NULL),
        cell_text(verdict ? str_of(reason_names[verdict->reason]) : STR_NULL),
        cell_text(verdict ? verdict->rule : STR_NULL),
        cell_text(record->event_id),
        cell_text(record->tenant),
        cell_text(record->message_id),
        cell_text(event ? str_of(time) : STR_NULL),
        cell_text(record->remote_mta),
        cell_text(record->stage),
        cell_text(record->retry_of),
        cell_number(record->message_attempt),
        cell_text(record->source),
    };
    output_row(&sink->output, cells);
}

/* --- an Avro file (Avro 1.11, "Object Container Files") --- */

static void put_long(struct buf *out, int64_t number)
{
    uint64_t rest = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
    do {
        unsigned char octet = (unsigned char)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        buf_append(out, &octet, 1);
        rest >>= 7;
    } while (rest);
}

static void put_text(struct buf *out, struct str text)
{
    put_long(out, (int64_t)text.len);
    buf_str(out, text);
}

static void append_schema(struct buf *schema, const char *name)
{
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            buf_append(schema, file->data, file->size);
}

static void open_avro(struct ingest_sink *sink)
{
    struct buf schema, head;
    struct sha1 sha1;
    buf_init(&schema);
    buf_init(&head);
    buf_str(&schema, STR("["));
    append_schema(&schema, "BounceRecord.avsc");
    buf_str(&schema, STR(","));
    append_schema(&schema, "DeliveryRecord.avsc");
    buf_str(&schema, STR("]"));
    /* The mark between blocks: the same records give the same file. */
    sha1_init(&sha1);
    sha1_update(&sha1, schema.data, schema.len);
    sha1_final(&sha1, sink->sync);
    buf_str(&head, STR("Obj\x01"));
    put_long(&head, 2);
    put_text(&head, STR("avro.schema"));
    put_text(&head, buf_view(&schema));
    put_text(&head, STR("avro.codec"));
    put_text(&head, STR("null"));
    put_long(&head, 0);
    buf_append(&head, sink->sync, 16);
    (void)fwrite(head.data, 1, head.len, stdout);
    buf_deinit(&schema);
    buf_deinit(&head);
}

static void flush_block(struct ingest_sink *sink)
{
    struct buf head;
    if (!sink->block_count)
        return;
    buf_init(&head);
    put_long(&head, sink->block_count);
    put_long(&head, (int64_t)sink->block.len);
    (void)fwrite(head.data, 1, head.len, stdout);
    (void)fwrite(sink->block.data, 1, sink->block.len, stdout);
    (void)fwrite(sink->sync, 1, 16, stdout);
    buf_deinit(&head);
    buf_clear(&sink->block);
    sink->block_count = 0;
}

static void put_avro(struct ingest_sink *sink, const struct ingest_entry *entry)
{
    buf_clear(&sink->value);
    codec_encode_input(sink->codec, &entry->record, &sink->value);
    put_long(&sink->block, entry->outcome == INGEST_DELIVERY);
    buf_append(&sink->block, sink->value.data + FRAME_SIZE, sink->value.len - FRAME_SIZE);
    sink->block_count++;
    if (sink->block.len >= BLOCK_SIZE)
        flush_block(sink);
}

/* --- all --- */

enum rcode ingest_sink_open(enum ingest_sink_kind kind, const struct config *config,
                            struct ingest_sink **ret_sink, struct err *err)
{
    struct ingest_sink *sink = mem_zalloc(sizeof(*sink));
    sink->kind = kind;
    enum rcode rc = OK;
    if (kind == INGEST_SINK_TOPIC)
        rc = schemas_open(config, SCHEMAS_OF_INPUT, &sink->schemas, err);
    if (rc == OK)
        rc = codec_new(&sink->schemas.codec, &sink->codec, err);
    if (rc == OK && kind == INGEST_SINK_TOPIC)
        rc = open_topic(sink, config, err);
    if (rc != OK) {
        ingest_sink_close(sink);
        return rc;
    }
    if (kind == INGEST_SINK_JSONL)
        output_begin(&sink->output, OUTPUT_JSONL, stdout, columns, COLUMN_COUNT);
    if (kind == INGEST_SINK_AVRO)
        open_avro(sink);
    *ret_sink = sink;
    return OK;
}

enum rcode ingest_sink_put(struct ingest_sink *sink, const struct ingest_entry *entry,
                           const struct verdict *verdict, struct ingest_place place,
                           struct err *err)
{
    bool event = entry->outcome != INGEST_SKIPPED;
    switch (sink->kind) {
    case INGEST_SINK_TOPIC:
        return event ? put_topic(sink, entry, err) : OK;
    case INGEST_SINK_JSONL:
        put_jsonl(sink, entry, verdict, place);
        return OK;
    case INGEST_SINK_AVRO:
        if (event)
            put_avro(sink, entry);
        return OK;
    case INGEST_SINK_NONE:
        break;
    }
    return OK;
}

enum rcode ingest_sink_flush(struct ingest_sink *sink, struct err *err)
{
    if (sink->kind == INGEST_SINK_TOPIC)
        return input_writer_flush(sink->writer, err);
    if (sink->kind == INGEST_SINK_AVRO)
        flush_block(sink);
    if (sink->kind == INGEST_SINK_JSONL)
        output_end(&sink->output);
    return OK;
}

void ingest_sink_close(struct ingest_sink *sink)
{
    if (!sink)
        return;
    input_writer_close(sink->writer);
    deployment_deinit(&sink->deployment);
    codec_free(sink->codec);
    schemas_close(&sink->schemas);
    buf_deinit(&sink->value);
    buf_deinit(&sink->block);
    mem_free(sink);
}
