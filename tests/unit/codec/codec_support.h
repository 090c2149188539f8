/* Helpers of the codec's tests: a codec, framed values, random records. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "embedded.h"

struct fixture {
    struct codec *codec;
    struct arena arena;
    struct buf value; /* the framed value under test */
    struct buf json;
    struct err err;
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct codec_options options = {0};
    if (codec_new(&options, &f->codec, &f->err) != OK)
        fail_msg("%s", f->err.text);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    codec_free(f->codec);
    arena_deinit(&f->arena);
    buf_deinit(&f->value);
    buf_deinit(&f->json);
    mem_free(f);
    return 0;
}

#define codec_test(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

#define assert_code(expected, expression)                                                          \
    assert_string_equal(rcode_name(expression), rcode_name(expected))

static inline void assert_text(struct str actual, const char *expected)
{
    if (!str_equal(actual, str_of(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(actual), expected ? expected : "(null)");
}

static inline struct str embedded_text(const char *name)
{
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return (struct str){file->data, file->size};
    fail_msg("%s is not compiled in", name);
    return STR_NULL;
}

static inline struct str record_text(enum record_kind kind)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.avsc", record_kind_names[kind]);
    return embedded_text(name);
}

/* The single-object frame of a schema's values. */
static inline void put_frame(struct buf *out, uint64_t fingerprint)
{
    buf_append(out, "\xc3\x01", 2);
    for (int i = 0; i < 8; i++)
        buf_append(out, &(unsigned char){(unsigned char)(fingerprint >> (8 * i))}, 1);
}

static inline void put_confluent(struct buf *out, int32_t id)
{
    buf_append(out, "", 1);
    for (int i = 24; i >= 0; i -= 8)
        buf_append(out, &(unsigned char){(unsigned char)((uint32_t)id >> i)}, 1);
}

static inline void put_long(struct buf *out, int64_t value)
{
    unsigned char octets[WIRE_LONG_MAX];
    buf_append(out, octets, (size_t)(wire_put_long(octets, value) - octets));
}

static inline void put_text(struct buf *out, const char *text)
{
    put_long(out, (int64_t)strlen(text));
    buf_str(out, str_of(text));
}

/* Makes a schema known and begins a value of it in f->value. */
static inline void begin_value(struct fixture *f, const char *schema_text)
{
    struct schema schema;
    if (schema_parse(str_of(schema_text), &f->arena, &schema, &f->err) != OK ||
        codec_add_schema(f->codec, str_of(schema_text), &f->err) != OK)
        fail_msg("%s", f->err.text);
    buf_clear(&f->value);
    put_frame(&f->value, schema.fingerprint);
}

/* xorshift64*, so that a failure repeats. */
static inline uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545f4914f6cdd1dU;
}

static inline uint32_t random_below(uint64_t *seed, uint32_t count)
{
    return (uint32_t)(random_next(seed) >> 33) % count;
}

/* A number of random size, both signs, ends included. */
static inline int64_t random_long(uint64_t *seed)
{
    uint32_t kind = random_below(seed, 20);
    if (kind == 0)
        return INT64_MAX;
    if (kind == 1)
        return INT64_MIN + 1; /* TIME_NULL is null */
    return (int64_t)random_next(seed) >> random_below(seed, 64);
}

static inline struct str random_text(uint64_t *seed, struct arena *arena)
{
    uint32_t len = random_below(seed, 10) ? random_below(seed, 40) : random_below(seed, 9000);
    char *text = arena_alloc(arena, len + 1);
    for (uint32_t i = 0; i < len; i++)
        text[i] = (char)(' ' + random_below(seed, 95));
    text[len] = '\0';
    return (struct str){text, len};
}

static inline struct str random_map(uint64_t *seed, struct arena *arena)
{
    struct buf raw;
    buf_init(&raw);
    uint32_t count = random_below(seed, 4);
    if (count > 0)
        put_long(&raw, count);
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%u", i);
        put_text(&raw, key);
        struct str text = random_text(seed, arena);
        put_long(&raw, (int64_t)text.len);
        buf_str(&raw, text);
    }
    put_long(&raw, 0);
    struct str copy = arena_str(arena, buf_view(&raw));
    buf_deinit(&raw);
    return copy;
}

/* Fills one field of a record's C struct as the table of fields says. */
static inline void random_field(const struct field_spec *field, uint64_t *seed, struct arena *arena,
                                char *record)
{
    void *at = record + field->offset;
    bool null = field->nullable && random_below(seed, 3) == 0;
    int *count = (void *)(record + field->companion);
    switch (field->target) {
    case TARGET_STR:
        *(struct str *)at = null ? STR_NULL : random_text(seed, arena);
        return;
    case TARGET_UUID:
        for (int i = 0; i < UUID_TEXT_SIZE; i++)
            ((struct uuid_text *)at)->text[i] = "0123456789abcdef-"[random_below(seed, 17)];
        return;
    case TARGET_INT:
        *(int32_t *)at = null ? 0 : (int32_t)random_long(seed);
        return;
    case TARGET_LONG:
        *(int64_t *)at = null ? TIME_NULL : random_long(seed);
        return;
    case TARGET_ENUM: {
        const struct enum_spec *spec = field->enumeration;
        int least = spec->unknown_allowed ? 0 : spec->symbol_min;
        int symbol = least + (int)random_below(seed, (uint32_t)(spec->symbol_count - least));
        *(int *)at = null ? 0 : symbol - spec->shift;
        if (field->companion)
            *(bool *)(record + field->companion) = !null;
        return;
    }
    case TARGET_LONGS:
        *count = (int)random_below(seed, LONGS_MAX + 1);
        for (int i = 0; i < *count; i++)
            ((int64_t *)at)[i] = (int64_t)random_next(seed);
        return;
    case TARGET_MAP:
        *(struct str *)at = random_map(seed, arena);
        return;
    case TARGET_COUNT:
        return;
    }
}

union any_record {
    struct input_record input;
    struct retry_command command;
    struct suppression_event suppression;
    struct recipient_notice notice;
    struct recipient recipient;
};

static inline void random_record(enum record_kind kind, uint64_t *seed, struct arena *arena,
                                 union any_record *ret_record)
{
    memset(ret_record, 0, sizeof(*ret_record));
    if (record_specs[kind].size == sizeof(struct input_record))
        ret_record->input.kind = kind;
    for (uint32_t i = 0; i < record_specs[kind].field_count; i++)
        random_field(&record_specs[kind].fields[i], seed, arena, (char *)ret_record);
}

static inline void encode_any(struct codec *codec, enum record_kind kind,
                              const union any_record *record, struct buf *out)
{
    switch (kind) {
    case RECORD_BOUNCE:
    case RECORD_DELIVERY:
    case RECORD_OVERRIDE:
        codec_encode_input(codec, &record->input, out);
        return;
    case RECORD_RETRY_COMMAND:
        codec_encode_command(codec, &record->command, out);
        return;
    case RECORD_SUPPRESSION_EVENT:
        codec_encode_suppression(codec, &record->suppression, out);
        return;
    case RECORD_RECIPIENT_NOTICE:
        codec_encode_notice(codec, &record->notice, out);
        return;
    case RECORD_RECIPIENT_STATE:
        codec_encode_recipient(codec, &record->recipient, out);
        return;
    case RECORD_KIND_COUNT:
        return;
    }
}

static inline enum rcode decode_any(struct codec *codec, enum record_kind kind, struct str value,
                                    union any_record *ret_record, struct err *err)
{
    memset(ret_record, 0, sizeof(*ret_record));
    switch (kind) {
    case RECORD_BOUNCE:
    case RECORD_DELIVERY:
    case RECORD_OVERRIDE:
        return codec_decode_input(codec, value, &ret_record->input, err);
    case RECORD_RETRY_COMMAND:
        return codec_decode_command(codec, value, &ret_record->command, err);
    case RECORD_SUPPRESSION_EVENT:
        return codec_decode_suppression(codec, value, &ret_record->suppression, err);
    case RECORD_RECIPIENT_NOTICE:
        return codec_decode_notice(codec, value, &ret_record->notice, err);
    case RECORD_RECIPIENT_STATE:
        return codec_decode_recipient(codec, value, &ret_record->recipient, err);
    case RECORD_KIND_COUNT:
        break;
    }
    return E_BUG;
}
