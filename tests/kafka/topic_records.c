#include "topic_records.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD_SIZE_MAX = 64 * 1024 * 1024 };

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(int64_t duration_ms)
{
    struct timespec pause = {.tv_sec = duration_ms / 1000, .tv_nsec = duration_ms % 1000 * 1000000};

    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        ;
}

/* ---- reading ---- */

struct cursor {
    const unsigned char *at;
    size_t left;
};

static const unsigned char *take(struct cursor *cursor, size_t size)
{
    const unsigned char *at = cursor->at;

    if (size > cursor->left)
        fail("a field is longer than its record");
    cursor->at += size;
    cursor->left -= size;
    return at;
}

static uint64_t take_integer(struct cursor *cursor, size_t size)
{
    const unsigned char *at = take(cursor, size);
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static int32_t take_i32(struct cursor *cursor)
{
    return (int32_t)(uint32_t)take_integer(cursor, 4);
}

static struct octets take_octets(struct cursor *cursor)
{
    int32_t length = take_i32(cursor);

    if (length < 0)
        return (struct octets){NULL, 0};
    return (struct octets){take(cursor, (size_t)length), (size_t)length};
}

static char *take_string(struct cursor *cursor)
{
    struct octets octets = take_octets(cursor);
    char *string = malloc(octets.size + 1);

    if (string == NULL)
        fail("out of memory");
    if (octets.size > 0)
        memcpy(string, octets.data, octets.size);
    string[octets.size] = '\0';
    return string;
}

static void record_clear(struct record *record)
{
    free(record->topic);
    for (size_t i = 0; i < record->header_count; i++)
        free(record->headers[i].name);
    record->topic = NULL;
    record->header_count = 0;
}

static void record_parse(struct record *record, struct cursor *cursor)
{
    int32_t header_count;

    record->topic = take_string(cursor);
    record->partition = take_i32(cursor);
    take(cursor, 8);
    record->timestamp_ms = (int64_t)take_integer(cursor, 8);
    record->key = take_octets(cursor);
    record->value = take_octets(cursor);
    header_count = take_i32(cursor);
    if (header_count < 0 || header_count > RECORD_HEADERS_MAX)
        fail("a record with %d headers", header_count);
    while (record->header_count < (size_t)header_count) {
        struct record_header *header = &record->headers[record->header_count++];

        header->name = take_string(cursor);
        header->value = take_octets(cursor);
    }
    if (cursor->left != 0)
        fail("%zu octets too many in a record", cursor->left);
}

struct record *record_read(struct record_reader *reader)
{
    unsigned char prefix[4];
    size_t got = fread(prefix, 1, sizeof(prefix), reader->file);
    struct cursor cursor = {prefix, sizeof(prefix)};
    size_t size;

    record_clear(&reader->record);
    if (got == 0 && feof(reader->file))
        return NULL;
    if (got != sizeof(prefix))
        fail("the input ends within a record");
    size = (size_t)take_integer(&cursor, 4);
    if (size > RECORD_SIZE_MAX)
        fail("a record of %zu octets", size);
    if (size > reader->capacity) {
        free(reader->buffer);
        reader->capacity = size;
        reader->buffer = malloc(size);
        if (reader->buffer == NULL)
            fail("out of memory");
    }
    if (fread(reader->buffer, 1, size, reader->file) != size)
        fail("the input ends within a record");
    cursor = (struct cursor){reader->buffer, size};
    record_parse(&reader->record, &cursor);
    return &reader->record;
}

void record_reader_free(struct record_reader *reader)
{
    record_clear(&reader->record);
    free(reader->buffer);
    reader->buffer = NULL;
    reader->capacity = 0;
}

/* ---- writing ---- */

static void put_integer(FILE *file, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        putc_unlocked((int)((value >> (8 * i)) & 0xff), file);
}

static void put_octets(FILE *file, const void *data, size_t size)
{
    put_integer(file, data == NULL ? UINT32_MAX : size, 4);
    if (data != NULL)
        fwrite(data, 1, size, file);
}

/* Twice over the headers: for their size, then for their octets (file given). */
static size_t put_headers(FILE *file, const rd_kafka_headers_t *headers)
{
    size_t count = headers == NULL ? 0 : rd_kafka_header_cnt(headers);
    size_t total = 4;

    if (file != NULL)
        put_integer(file, count, 4);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;

        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail("a header cannot be read");
        total += 4 + strlen(name) + 4 + (value == NULL ? 0 : size);
        if (file != NULL) {
            put_octets(file, name, strlen(name));
            put_octets(file, value, size);
        }
    }
    return total;
}

void record_write(FILE *file, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    /* An empty key is not a null key; librdkafka gives a pointer for the first only. */
    const void *key = message->key;
    const void *value = message->payload;
    size_t key_size = key == NULL ? 0 : message->key_len;
    size_t value_size = value == NULL ? 0 : message->len;
    rd_kafka_headers_t *headers = NULL;
    size_t size;

    (void)rd_kafka_message_headers(message, &headers);
    size =
        4 + strlen(topic) + 4 + 8 + 8 + 4 + key_size + 4 + value_size + put_headers(NULL, headers);
    put_integer(file, size, 4);
    put_octets(file, topic, strlen(topic));
    put_integer(file, (uint32_t)message->partition, 4);
    put_integer(file, (uint64_t)message->offset, 8);
    put_integer(file, (uint64_t)timestamp_ms, 8);
    put_octets(file, key, key_size);
    put_octets(file, value, value_size);
    put_headers(file, headers);
}

/* ---- clients ---- */

void client_set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char text[512];

    if (rd_kafka_conf_set(conf, key, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        fail("%s", text);
}

void client_set_pair(rd_kafka_conf_t *conf, const char *pair)
{
    const char *equals = strchr(pair, '=');
    char key[256];

    if (equals == NULL || (size_t)(equals - pair) >= sizeof(key))
        fail("not key=value: %s", pair);
    memcpy(key, pair, (size_t)(equals - pair));
    key[equals - pair] = '\0';
    client_set(conf, key, equals + 1);
}

rd_kafka_conf_t *client_conf(const char *bootstrap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    client_set(conf, "bootstrap.servers", bootstrap);
    client_set(conf, "log_level", "3");
    return conf;
}

rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof(text));

    if (client == NULL)
        fail("%s", text);
    return client;
}
