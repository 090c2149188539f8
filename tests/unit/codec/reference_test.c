/* This codec and avro-c, side by side. */
#include "codec/reference.h"
#include "codec_support.h"

#define ROUNDS 2000

struct sides {
    struct fixture *f;
    struct reference *reference;
    struct buf other;
};

static struct str body_of(const struct buf *value)
{
    return (struct str){value->data + FRAME_SINGLE_OBJECT_SIZE,
                        value->len - FRAME_SINGLE_OBJECT_SIZE};
}

/* Both write the same octets; avro-c reads ours and writes them back. */
static void compare_encoding(struct sides *sides, enum record_kind kind,
                             const union any_record *record)
{
    struct fixture *f = sides->f;
    buf_clear(&f->value);
    encode_any(f->codec, kind, record, &f->value);
    buf_clear(&sides->other);
    reference_set(sides->reference, kind, record);
    reference_write(sides->reference, &sides->other);
    if (!str_equal(body_of(&f->value), buf_view(&sides->other)))
        fail_msg("%s: avro-c writes other octets", record_kind_names[kind]);

    assert_true(reference_read(sides->reference, body_of(&f->value)));
    buf_clear(&sides->other);
    reference_write(sides->reference, &sides->other);
    assert_true(str_equal(body_of(&f->value), buf_view(&sides->other)));
}

/* avro-c's octets of a value, decoded here, give the members avro-c was given. */
static void compare_decoding(struct sides *sides, enum record_kind kind,
                             const union any_record *record)
{
    struct fixture *f = sides->f;
    union any_record got;
    buf_clear(&sides->other);
    reference_set(sides->reference, kind, record);
    buf_append(&sides->other, f->value.data, FRAME_SINGLE_OBJECT_SIZE);
    reference_write(sides->reference, &sides->other);
    assert_code(OK, decode_any(f->codec, kind, buf_view(&sides->other), &got, &f->err));
    for (uint32_t i = 0; i < record_specs[kind].field_count; i++) {
        const struct field_spec *field = &record_specs[kind].fields[i];
        const char *mine = (const char *)&got + field->offset;
        const char *theirs = (const char *)record + field->offset;
        if (field->target == TARGET_STR || field->target == TARGET_MAP)
            assert_true(str_equal(*(const struct str *)(const void *)mine,
                                  *(const struct str *)(const void *)theirs));
        else if (field->target == TARGET_INT || field->target == TARGET_ENUM)
            assert_memory_equal(mine, theirs, sizeof(int32_t));
        else if (field->target == TARGET_LONG)
            assert_memory_equal(mine, theirs, sizeof(int64_t));
        else if (field->target == TARGET_LONGS)
            assert_memory_equal(mine, theirs, LONGS_MAX * sizeof(int64_t));
        else
            assert_memory_equal(mine, theirs, UUID_TEXT_SIZE);
    }
}

static void avro_c_and_this_codec_agree_on_random_records(void **state)
{
    struct sides sides = {.f = *state};
    uint64_t seed = 4711;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        assert_code(OK, reference_new(record_text((enum record_kind)kind), &sides.reference,
                                      &sides.f->err));
        for (int i = 0; i < ROUNDS; i++) {
            union any_record record;
            random_record((enum record_kind)kind, &seed, &sides.f->arena, &record);
            compare_encoding(&sides, (enum record_kind)kind, &record);
            compare_decoding(&sides, (enum record_kind)kind, &record);
            arena_reset(&sides.f->arena, 1 << 20);
        }
        reference_free(sides.reference);
    }
    buf_deinit(&sides.other);
}

/* Octets damaged at random: what this codec takes, avro-c takes too. */
static void what_this_codec_accepts_avro_c_accepts(void **state)
{
    struct sides sides = {.f = *state};
    struct fixture *f = sides.f;
    uint64_t seed = 815;
    int accepted = 0, refused = 0;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        assert_code(OK,
                    reference_new(record_text((enum record_kind)kind), &sides.reference, &f->err));
        for (int i = 0; i < ROUNDS; i++) {
            union any_record record, got;
            random_record((enum record_kind)kind, &seed, &f->arena, &record);
            buf_clear(&f->value);
            encode_any(f->codec, (enum record_kind)kind, &record, &f->value);
            uint32_t len = (uint32_t)f->value.len - FRAME_SINGLE_OBJECT_SIZE;
            uint32_t at = FRAME_SINGLE_OBJECT_SIZE + random_below(&seed, len);
            f->value.data[at] = (char)random_below(&seed, 256);
            if (decode_any(f->codec, (enum record_kind)kind, buf_view(&f->value), &got, &f->err) ==
                OK) {
                accepted++;
                assert_true(reference_read(sides.reference, body_of(&f->value)));
            } else {
                refused++;
            }
            arena_reset(&f->arena, 1 << 20);
        }
        reference_free(sides.reference);
    }
    assert_true(accepted > 1000 && refused > 1000);
    buf_deinit(&sides.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(avro_c_and_this_codec_agree_on_random_records),
        codec_test(what_this_codec_accepts_avro_c_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
