/*
 * The codec under octets from anywhere. The first octet chooses:
 *   0  the rest is a framed value
 *   1  a record kind (one octet), then the body of its current schema; the frame is added
 *   2  a writer schema (its length in two octets, big-endian), then the body of a value of it
 *
 * What must hold: what this codec takes, avro-c takes; what was decoded is encoded to octets that
 * decode and encode to themselves, and equal those that avro-c makes of the value; decoding
 * allocates nothing, JSON and schemas no more than their bounds.
 */
#include <assert.h>
#include <stdlib.h>

#include "codec/codec.h"
#include "codec/evolution.h"
#include "codec/reference.h"
#include "codec/walk.h"
#include "embedded.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#include <sanitizer/lsan_interface.h>
#define COUNTED
#endif
#endif

#define SCHEMA_BYTES_MAX (8 * 1024 * 1024) /* asked for while one schema is parsed */
#define EXPANDED_MAX 10000 /* types in one value; beyond that avro-c takes memory without end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t allocated;

#ifdef COUNTED
static void count_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    allocated += size;
}

static void count_free(const volatile void *memory)
{
    (void)memory;
}
#endif

/* Around avro-c: it does not free a recursive schema, nor one it refuses, and keeps pointers where
 * a leak checker does not see them. */
static void leaks_ignored(bool ignored)
{
#ifdef COUNTED
    if (ignored)
        __lsan_disable();
    else
        __lsan_enable();
#else
    (void)ignored;
#endif
}

static struct {
    struct codec *codec;
    struct reference *references[RECORD_KIND_COUNT];
    struct str schema; /* what the registry answers */
    int32_t next_id;
    struct arena arena;
    struct buf value, first, second, json;
} fuzz;

union any_record {
    struct input_record input;
    struct retry_command command;
    struct suppression_event suppression;
    struct recipient_notice notice;
    struct recipient recipient;
};

static enum rcode resolve(void *context, int32_t id, struct arena *arena, struct str *ret_json,
                          struct err *err)
{
    (void)context;
    if (!fuzz.schema.data)
        return err_set(err, E_UNKNOWN_SCHEMA, "id %d", id);
    *ret_json = arena_str(arena, fuzz.schema);
    return OK;
}

static void setup(void)
{
    struct codec_options options = {.resolve = resolve};
    struct err err;
    if (fuzz.codec)
        return;
#ifdef COUNTED
    __sanitizer_install_malloc_and_free_hooks(count_malloc, count_free);
#endif
    if (codec_new(&options, &fuzz.codec, &err) != OK)
        abort();
    leaks_ignored(true);
    for (const struct embedded_file *file = embedded_files; file->name; file++) {
        struct str name = str_of(file->name);
        name.len -= name.len > 5 ? 5 : 0;
        int kind = name_index(record_kind_names, RECORD_KIND_COUNT, name);
        if (kind >= 0 &&
            reference_new((struct str){file->data, file->size}, &fuzz.references[kind], &err) != OK)
            abort();
    }
    leaks_ignored(false);
}

static void encode(enum record_kind kind, const union any_record *record, struct buf *out)
{
    buf_clear(out);
    switch (kind) {
    case RECORD_BOUNCE:
    case RECORD_DELIVERY:
    case RECORD_OVERRIDE:
        codec_encode_input(fuzz.codec, &record->input, out);
        return;
    case RECORD_RETRY_COMMAND:
        codec_encode_command(fuzz.codec, &record->command, out);
        return;
    case RECORD_SUPPRESSION_EVENT:
        codec_encode_suppression(fuzz.codec, &record->suppression, out);
        return;
    case RECORD_RECIPIENT_NOTICE:
        codec_encode_notice(fuzz.codec, &record->notice, out);
        return;
    case RECORD_RECIPIENT_STATE:
        codec_encode_recipient(fuzz.codec, &record->recipient, out);
        return;
    case RECORD_KIND_COUNT:
        return;
    }
}

static enum rcode decode(enum record_kind kind, struct str value, union any_record *ret_record)
{
    struct err err;
    switch (kind) {
    case RECORD_BOUNCE:
    case RECORD_DELIVERY:
    case RECORD_OVERRIDE:
        return codec_decode_input(fuzz.codec, value, &ret_record->input, &err);
    case RECORD_RETRY_COMMAND:
        return codec_decode_command(fuzz.codec, value, &ret_record->command, &err);
    case RECORD_SUPPRESSION_EVENT:
        return codec_decode_suppression(fuzz.codec, value, &ret_record->suppression, &err);
    case RECORD_RECIPIENT_NOTICE:
        return codec_decode_notice(fuzz.codec, value, &ret_record->notice, &err);
    case RECORD_RECIPIENT_STATE:
        return codec_decode_recipient(fuzz.codec, value, &ret_record->recipient, &err);
    case RECORD_KIND_COUNT:
        break;
    }
    return E_BUG;
}

static void check_stable(enum record_kind kind, const union any_record *record)
{
    union any_record again;
    encode(kind, record, &fuzz.first);
    assert(decode(kind, buf_view(&fuzz.first), &again) == OK);
    encode(kind, &again, &fuzz.second);
    assert(str_equal(buf_view(&fuzz.first), buf_view(&fuzz.second)));
}

/* The record, encoded by avro-c, decodes here to a record of the same encoding. Maps are left out:
 * avro-c drops keys that come twice. */
static void check_reference(enum record_kind kind, const union any_record *record, struct str body)
{
    struct reference *reference = fuzz.references[kind];
    union any_record other;
    leaks_ignored(true);
    assert(reference_read(reference, body));
    leaks_ignored(false);
    encode(kind, record, &fuzz.first);
    buf_clear(&fuzz.second);
    buf_append(&fuzz.second, fuzz.first.data, FRAME_SINGLE_OBJECT_SIZE);
    reference_write(reference, &fuzz.second);
    assert(decode(kind, buf_view(&fuzz.second), &other) == OK);
    if (kind == RECORD_BOUNCE)
        other.input.attributes = record->input.attributes;
    encode(kind, &other, &fuzz.json);
    assert(str_equal(buf_view(&fuzz.first), buf_view(&fuzz.json)));
}

/* Everything the codec does with a framed value; `ret_json` says whether it has JSON. */
static void use_value(struct str value, bool *ret_json)
{
    struct err err;
    enum record_kind kind;
    allocated = 0;
    enum rcode known = codec_kind(fuzz.codec, value, &kind, &err);
    bool schema_parsed = allocated > 0;
    for (int i = 0; i < RECORD_KIND_COUNT; i++) {
        union any_record record;
        allocated = 0;
        enum rcode rc = decode((enum record_kind)i, value, &record);
        assert(allocated == 0 || (schema_parsed && allocated <= SCHEMA_BYTES_MAX));
        if (rc != OK)
            continue;
        assert(known == OK);
        check_stable(kind, &record);
    }
    buf_clear(&fuzz.json);
    allocated = 0;
    *ret_json = codec_to_json(fuzz.codec, value, &fuzz.json, &err) == OK;
    assert(allocated <= 8 * (size_t)WALK_JSON_MAX);
}

static void fuzz_framed(struct str value)
{
    bool json;
    fuzz.schema = STR_NULL; /* the registry holds nothing */
    use_value(value, &json);
}

static void fuzz_record(struct str input)
{
    if (input.len < 1)
        return;
    enum record_kind kind =
        (enum record_kind)((unsigned char)input.data[0] % (unsigned)RECORD_KIND_COUNT);
    struct str body = {input.data + 1, input.len - 1};
    union any_record record;
    bool json;
    buf_clear(&fuzz.value);
    buf_append(&fuzz.value, fuzz.codec->heads[kind].octets, fuzz.codec->heads[kind].size);
    buf_str(&fuzz.value, body);
    use_value(buf_view(&fuzz.value), &json);
    enum rcode rc = decode(kind, buf_view(&fuzz.value), &record);
    /* invalid fields are well-formed octets all the same; JSON also shows broken strings */
    assert(json || (rc != OK && rc != E_INVALID_FIELD));
    if (rc == OK)
        check_reference(kind, &record, body);
}

/* Types in the largest value without lists: what avro-c allocates at once. A fixed of no octets,
 * which avro-c cannot read, counts as too many. */
static uint32_t expanded_max(const struct schema *schema)
{
    uint32_t *count = arena_alloc(&fuzz.arena, schema->node_count * sizeof(*count));
    uint32_t max = 0;
    memset(count, 0, schema->node_count * sizeof(*count));
    for (bool changed = true; changed && max <= EXPANDED_MAX;) {
        changed = false;
        for (uint32_t i = 0; i < schema->node_count; i++) {
            const struct schema_node *node = &schema->nodes[i];
            uint32_t sum = 1 + node->fixed_size / 16;
            if (node->type == SCHEMA_FIXED && node->fixed_size == 0)
                return EXPANDED_MAX + 1;
            for (uint32_t j = 0; node->type != SCHEMA_ENUM && j < node->count; j++)
                sum +=
                    node->type == SCHEMA_RECORD ? count[schema->members[node->first + j].node] : 1;
            sum = sum > EXPANDED_MAX ? EXPANDED_MAX + 1 : sum;
            changed |= sum != count[i];
            count[i] = sum;
            max = sum > max ? sum : max;
        }
    }
    return max;
}

static void check_readable(struct str body)
{
    struct reference *reference = NULL;
    struct err err;
    leaks_ignored(true);
    if (reference_new(fuzz.schema, &reference, &err) == OK)
        assert(reference_read(reference, body));
    reference_free(reference);
    leaks_ignored(false);
}

static void fuzz_schema(struct str input)
{
    struct schema schema, again;
    struct err err;
    size_t len = input.len < 2
                     ? 0
                     : (size_t)((unsigned char)input.data[0] << 8 | (unsigned char)input.data[1]);
    if (input.len < 2 || len > input.len - 2)
        return;
    fuzz.schema = (struct str){input.data + 2, len};
    struct str body = {input.data + 2 + len, input.len - 2 - len};
    allocated = 0;
    if (schema_parse(fuzz.schema, &fuzz.arena, &schema, &err) != OK)
        return;
    assert(allocated <= SCHEMA_BYTES_MAX);
    assert(schema_parse(schema.canonical, &fuzz.arena, &again, &err) == OK);
    assert(str_equal(schema.canonical, again.canonical));
    assert(schema_can_read(&schema, &again, &err) == OK || schema.node_count > 100);

    bool json;
    uint32_t id = (uint32_t)fuzz.next_id++;
    unsigned char head[FRAME_CONFLUENT_SIZE] = {0, (unsigned char)(id >> 24),
                                                (unsigned char)(id >> 16), (unsigned char)(id >> 8),
                                                (unsigned char)id};
    buf_clear(&fuzz.value);
    buf_append(&fuzz.value, head, sizeof(head));
    buf_str(&fuzz.value, body);
    use_value(buf_view(&fuzz.value), &json);

    struct wire in = {(const unsigned char *)body.data,
                      (const unsigned char *)body.data + body.len};
    bool whole = walk_skip(&schema, schema.root, &in) && in.next == in.end;
    uint32_t expanded = expanded_max(&schema);
    assert(!whole || json || body.len * expanded * schema.canonical.len > WALK_JSON_MAX);
    if (whole && expanded <= EXPANDED_MAX)
        check_readable(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setup();
    arena_reset(&fuzz.arena, 1 << 20);
    if (size < 1)
        return 0;
    struct str rest = {(const char *)data + 1, size - 1};
    if (data[0] % 3 == 0)
        fuzz_framed(rest);
    else if (data[0] % 3 == 1)
        fuzz_record(rest);
    else
        fuzz_schema(rest);
    return 0;
}
