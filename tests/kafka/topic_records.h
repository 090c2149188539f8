/* topic_records.h: the octets in which the topic programs and tests/lib/kafka_read.py exchange
 * records.
 *
 * A record, every integer little endian:
 *
 *     u32 octets that follow
 *     i32 length, topic
 *     i32 partition          produce: −1 leaves it to the partitioner
 *     i64 offset             produce: ignored
 *     i64 timestamp_ms       produce: −1 leaves it to the client
 *     i32 length (−1: null), key
 *     i32 length (−1: null), value
 *     i32 number of headers, each: i32 length, name; i32 length (−1: null), value
 *
 * Everything here exits with a message when it cannot go on: these are programs for tests, and each
 * is one process with one job.
 */
#ifndef KAFKA_TOPIC_RECORDS_H
#define KAFKA_TOPIC_RECORDS_H

#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>

struct octets {
    const unsigned char *data; /* NULL: null */
    size_t size;
};

struct record_header {
    char *name; /* NUL-terminated, owned by the reader */
    struct octets value;
};

enum { RECORD_HEADERS_MAX = 256 };

/* Points into the reader's buffer: valid until the next read. */
struct record {
    char *topic; /* NUL-terminated, owned by the reader */
    int32_t partition;
    int64_t timestamp_ms;
    struct octets key;
    struct octets value;
    size_t header_count;
    struct record_header headers[RECORD_HEADERS_MAX];
};

struct record_reader {
    FILE *file;
    unsigned char *buffer;
    size_t capacity;
    struct record record;
};

/* Prints "program: text" to stderr and exits with 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The next record, or NULL at the end of the file. A record that is cut short is a failure. */
struct record *record_read(struct record_reader *reader);
void record_reader_free(struct record_reader *reader);

/* Writes one consumed message. */
void record_write(FILE *file, const rd_kafka_message_t *message);

/* A client of librdkafka with `key=value` settings; the configuration is consumed by it. */
rd_kafka_conf_t *client_conf(const char *bootstrap);
void client_set(rd_kafka_conf_t *conf, const char *key, const char *value);
void client_set_pair(rd_kafka_conf_t *conf, const char *pair);
rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);

int64_t now_ms(void);
void pause_ms(int64_t duration_ms);

#endif
