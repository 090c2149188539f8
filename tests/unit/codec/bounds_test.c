/* What hostile octets may cost: no memory, no time beyond their own length. */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/walk.h"
#include "codec_support.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static size_t allocated; /* octets asked for since it was last cleared */

#ifndef SANITIZED
/* The allocator's own entry points, as every call of this program reaches them. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    allocated += size;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocated += count * size;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocated += size;
    return __libc_realloc(memory, size);
}
#endif

static void decode_everything(struct fixture *f, struct str value)
{
    union any_record record;
    struct err err;
    enum record_kind kind;
    (void)!codec_kind(f->codec, value, &kind, &err);
    (void)!codec_decode_input(f->codec, value, &record.input, &err);
    (void)!codec_decode_command(f->codec, value, &record.command, &err);
    (void)!codec_decode_suppression(f->codec, value, &record.suppression, &err);
    (void)!codec_decode_notice(f->codec, value, &record.notice, &err);
    (void)!codec_decode_recipient(f->codec, value, &record.recipient, &err);
}

static void decoding_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 5;
    for (int i = 0; i < 7 * 300; i++) {
        enum record_kind kind = (enum record_kind)(i % RECORD_KIND_COUNT);
        union any_record record;
        random_record(kind, &seed, &f->arena, &record);
        buf_clear(&f->value);
        encode_any(f->codec, kind, &record, &f->value);
        allocated = 0;
        decode_everything(f, buf_view(&f->value));
        for (int j = 0; j < 50; j++) {
            f->value.data[random_below(&seed, (uint32_t)f->value.len)] =
                (char)random_below(&seed, 256);
            decode_everything(
                f, (struct str){f->value.data, random_below(&seed, (uint32_t)f->value.len + 1)});
        }
        assert_int_equal(allocated, 0);
        arena_reset(&f->arena, 1 << 20);
    }
}

/* Frame and ten octets that claim the most: lengths, counts and sizes near every limit. */
static void ten_octets_cost_ten_octets(void **state)
{
    static const char *const claims[] = {
        "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* 2^63 - 1 */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* -2^63 */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", /* no end */
        "\xfe\xff\xff\xff\x0f\x00\x00\x00\x00\x00", /* 2^31 - 1 */
        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", /* beyond 64 bits */
        "\x01\x13\x01\x13\x01\x13\x01\x13\x01\x13",
    };
    struct fixture *f = *state;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++) {
            buf_clear(&f->value);
            put_frame(&f->value, f->codec->readers[kind]->fingerprint);
            buf_append(&f->value, claims[i], 10);
            buf_reserve(&f->json, 4096);
            allocated = 0;
            decode_everything(f, buf_view(&f->value));
            assert_code(E_MALFORMED,
                        codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
            assert_true(allocated <= 4096);
        }
    }
}

/* An array claims 2^62 nulls. */
static void items_without_octets_are_counted(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    const char *schema =
        "{\"type\":\"record\",\"name\":\"rimbalzo.DeliveryRecord\",\"fields\":["
        "{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"recipient\",\"type\":\"string\"},"
        "{\"name\":\"message_id\",\"type\":\"string\"},{\"name\":\"occurred_at\",\"type\":\"long\"}"
        ","
        "{\"name\":\"nulls\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}]}";
    static const struct {
        int64_t count;
        int blocks;
        enum rcode rc;
    } cases[] = {
        {WALK_EMPTY_ITEMS_MAX, 1, OK},         {WALK_EMPTY_ITEMS_MAX + 1, 1, E_MALFORMED},
        {1, WALK_EMPTY_ITEMS_MAX, OK},         {1, WALK_EMPTY_ITEMS_MAX + 1, E_MALFORMED},
        {(int64_t)1 << 62, 1, E_MALFORMED},    {INT64_MIN, 1, E_MALFORMED},
        {-((int64_t)1 << 62), 1, E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin_value(f, schema);
        for (int j = 0; j < 4; j++)
            put_long(&f->value, 0);
        for (int j = 0; j < cases[i].blocks; j++) {
            put_long(&f->value, cases[i].count);
            if (cases[i].count < 0)
                put_long(&f->value, 0);
        }
        put_long(&f->value, 0);
        int64_t start = clock_monotonic_ms();
        assert_code(cases[i].rc,
                    codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
        assert_true(clock_monotonic_ms() - start < 1000);
    }
}

/* A list nested as deep as its octets allow. */
static void values_nest_to_a_bounded_depth(void **state)
{
    struct fixture *f = *state;
    for (int depth = WALK_DEPTH_MAX - 1; depth < 100000; depth *= 3) {
        begin_value(f, "{\"type\":\"record\",\"name\":\"List\",\"fields\":["
                       "{\"name\":\"next\",\"type\":[\"null\",\"List\"]}]}");
        for (int i = 0; i < depth; i++)
            put_long(&f->value, 1);
        put_long(&f->value, 0);
        buf_clear(&f->json);
        assert_code(depth < WALK_DEPTH_MAX ? OK : E_MALFORMED,
                    codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    }
}

/* A record of many nulls behind one octet: the JSON would be thousands of times as long as the
 * value. */
static void json_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct buf schema;
    buf_init(&schema);
    buf_str(&schema,
            STR("{\"type\":\"map\",\"values\":{\"type\":\"record\",\"name\":\"R\",\"fields\":["));
    for (int i = 0; i < 1000; i++)
        buf_printf(&schema, "%s{\"name\":\"field%d\",\"type\":\"null\"}", i ? "," : "", i);
    buf_append(&schema, "]}}", 4);
    begin_value(f, schema.data);
    put_long(&f->value, 100000);
    for (int i = 0; i < 100000; i++)
        put_text(&f->value, "");
    put_long(&f->value, 0);
    assert_code(E_MALFORMED, codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    assert_int_equal(f->json.len, 0);
    assert_true(f->json.cap <= 4 * WALK_JSON_MAX);
    buf_deinit(&schema);
}

static void json_shows_every_type(void **state)
{
    struct fixture *f = *state;
    begin_value(f,
                "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
                "{\"name\":\"n\",\"type\":\"null\"},{\"name\":\"b\",\"type\":\"boolean\"},"
                "{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},"
                "{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"o\",\"type\":\"bytes\"},"
                "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\"]}},"
                "{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":[\"int\",\"string\"]}},"
                "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"long\"}},"
                "{\"name\":\"z\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
                "{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"Q\",\"fields\":[]}}]}");
    buf_str(&f->value, STR("\001"));
    buf_str(&f->value, STR("\000\000\300\077"));                 /* 1.5 */
    buf_str(&f->value, STR("\000\000\000\000\000\000\360\377")); /* -infinity */
    put_text(&f->value, "\"\\\n\x1b\x7f \xc3\xa9 \xc2\x9b \xff \xf0\x9f\x93\xa7");
    put_text(&f->value, "a\xe9");
    put_long(&f->value, 0);
    put_long(&f->value, -2);
    put_long(&f->value, 6);
    put_long(&f->value, 0);
    put_long(&f->value, -70);
    put_long(&f->value, 1);
    put_text(&f->value, "i");
    put_long(&f->value, 0);
    put_long(&f->value, 1);
    put_text(&f->value, "k");
    put_long(&f->value, INT64_MIN);
    put_long(&f->value, 0);
    put_long(&f->value, 2);
    put_long(&f->value, 0);
    if (codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err) != OK)
        fail_msg("%s", f->err.text);
    assert_text(buf_view(&f->json),
                "{\"n\":null,\"b\":true,\"f\":1.5,\"d\":\"-Infinity\","
                "\"s\":\"\\\"\\\\\\u000a\\u001b\\u007f \xc3\xa9 \\u009b \xef\xbf\xbd "
                "\xf0\x9f\x93\xa7\",\"o\":\"a\\u00e9\",\"e\":\"X\",\"a\":[-70,\"i\"],"
                "\"m\":{\"k\":-9223372036854775808},\"z\":[null,null],\"r\":{}}");
}

/* The size of a block in octets is a promise. */
static void a_block_must_keep_its_size(void **state)
{
    struct fixture *f = *state;
    for (int size = 0; size < 5; size++) {
        begin_value(f, "{\"type\":\"array\",\"items\":\"long\"}");
        put_long(&f->value, -2);
        put_long(&f->value, size);
        put_long(&f->value, 1);
        put_long(&f->value, 2);
        put_long(&f->value, 0);
        buf_clear(&f->json);
        assert_code(size == 2 ? OK : E_MALFORMED,
                    codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    }
}

/* Every varint of every length, at the end of the octets and before others. */
static void varints_are_read_alike_anywhere(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        int64_t value = i < 128 ? (int64_t)(UINT64_C(1) << (i % 64)) : random_long(&seed), got = 0;
        unsigned char octets[2 * WIRE_LONG_MAX];
        memset(octets, 0xff, sizeof(octets));
        size_t len = (size_t)(wire_put_long(octets, value) - octets);
        for (size_t room = 0; room <= sizeof(octets); room++) {
            struct wire in = {octets, octets + room};
            assert_int_equal(wire_long(&in, &got), room >= len);
            assert_true(room < len || (got == value && in.next == octets + len));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(decoding_allocates_nothing),
        codec_test(ten_octets_cost_ten_octets),
        codec_test(items_without_octets_are_counted),
        codec_test(values_nest_to_a_bounded_depth),
        codec_test(json_is_bounded),
        codec_test(json_shows_every_type),
        codec_test(a_block_must_keep_its_size),
        codec_test(varints_are_read_alike_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
