/* One adapter over one item, and what its entries must say. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/record.h"
#include "ingest/ingest.h"

#define RECEIVED_MS 1770000000000LL /* 2026-02-02T02:40:00Z */

struct reading {
    struct ingest *ingest;
    struct ingest_result result;
};

static inline struct reading read_octets(enum ingest_format format, struct str octets)
{
    struct reading reading = {ingest_new(&(struct ingest_options){.format = format}), {0}};
    ingest_read(reading.ingest, &(struct ingest_item){octets, RECEIVED_MS}, &reading.result);
    return reading;
}

static inline struct reading read_text(enum ingest_format format, const char *text)
{
    return read_octets(format, str_of(text));
}

static inline void reading_deinit(struct reading *reading)
{
    ingest_free(reading->ingest);
}

static inline void assert_str(struct str text, const char *expected)
{
    if (!expected) {
        assert_null(text.data);
        return;
    }
    assert_non_null(text.data);
    char *copy = malloc(text.len + 1);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    assert_string_equal(copy, expected);
    free(copy);
}

static inline const struct ingest_entry *entry_at(const struct reading *reading, size_t index)
{
    assert_true(index < reading->result.count);
    return &reading->result.entries[index];
}

/* Entry `index` is a bounce of this recipient; status NULL and reply 0: none. */
static inline const struct input_record *assert_bounce(const struct reading *reading, size_t index,
                                                       const char *recipient, const char *status,
                                                       int reply)
{
    const struct ingest_entry *entry = entry_at(reading, index);
    if (entry->outcome == INGEST_REJECTED)
        print_error("rejected: %.*s\n", STR_ARG(entry->why));
    assert_int_equal(entry->outcome, INGEST_BOUNCE);
    assert_int_equal(entry->record.kind, RECORD_BOUNCE);
    assert_str(entry->record.recipient, recipient);
    assert_str(entry->record.status, status);
    assert_int_equal(entry->record.reply_code, reply);
    assert_int_equal(entry->record.event_id.len, UUID_TEXT_SIZE);
    return &entry->record;
}

static inline const struct input_record *assert_delivery(const struct reading *reading,
                                                         size_t index, const char *recipient)
{
    const struct ingest_entry *entry = entry_at(reading, index);
    assert_int_equal(entry->outcome, INGEST_DELIVERY);
    assert_int_equal(entry->record.kind, RECORD_DELIVERY);
    assert_str(entry->record.recipient, recipient);
    return &entry->record;
}

static inline void assert_skipped(const struct reading *reading, size_t index,
                                  enum ingest_skip skip)
{
    const struct ingest_entry *entry = entry_at(reading, index);
    assert_int_equal(entry->outcome, INGEST_SKIPPED);
    assert_string_equal(ingest_skip_names[entry->skip], ingest_skip_names[skip]);
}

static inline void assert_rejected(const struct reading *reading, size_t index, enum rcode code)
{
    const struct ingest_entry *entry = entry_at(reading, index);
    assert_int_equal(entry->outcome, INGEST_REJECTED);
    assert_string_equal(rcode_name(entry->code), rcode_name(code));
    assert_true(entry->why.len > 0);
}

/* The whole of an item is skipped. */
static inline void assert_only_skipped(enum ingest_format format, const char *text,
                                       enum ingest_skip skip)
{
    struct reading reading = read_text(format, text);
    assert_int_equal(reading.result.count, 1);
    assert_skipped(&reading, 0, skip);
    reading_deinit(&reading);
}

static inline void assert_only_rejected(enum ingest_format format, const char *text,
                                        enum rcode code)
{
    struct reading reading = read_text(format, text);
    assert_int_equal(reading.result.count, 1);
    assert_rejected(&reading, 0, code);
    reading_deinit(&reading);
}

/* RFC 3339, in UTC. */
static inline void assert_time(int64_t time_ms, const char *expected)
{
    char text[32];
    clock_format(time_ms, text);
    assert_string_equal(text, expected);
}

/* An attribute of a bounce, as it will be read from the record. */
static inline void assert_attribute(const struct input_record *record, const char *name,
                                    const char *value)
{
    struct codec *codec;
    struct buf framed, json, wanted;
    struct err err;
    buf_init(&framed);
    buf_init(&json);
    buf_init(&wanted);
    assert_int_equal(codec_new(&(struct codec_options){0}, &codec, &err), OK);
    codec_encode_input(codec, record, &framed);
    assert_int_equal(codec_to_json(codec, buf_view(&framed), &json, &err), OK);
    buf_printf(&wanted, "\"%s\":\"%s\"", name, value);
    if (!memmem(json.data, json.len, wanted.data, wanted.len))
        fail_msg("%.*s is not in %.*s", STR_ARG(buf_view(&wanted)), STR_ARG(buf_view(&json)));
    codec_free(codec);
    buf_deinit(&framed);
    buf_deinit(&json);
    buf_deinit(&wanted);
}
