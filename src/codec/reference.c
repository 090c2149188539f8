#include "codec/reference.h"

#include <assert.h>
#include <avro.h>
#include <pthread.h>

#include "codec/fields.h"

struct reference {
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t value;
    avro_reader_t reader;
    avro_writer_t writer;
    struct arena scratch;
};

static pthread_mutex_t avro_lock = PTHREAD_MUTEX_INITIALIZER;

static enum rcode make(struct reference *reference, struct str schema, struct err *err)
{
    if (avro_schema_from_json_length(schema.data, schema.len, &reference->schema) != 0)
        return err_set(err, E_SCHEMA, "avro-c: %s", avro_strerror());
    reference->class = avro_generic_class_from_schema(reference->schema);
    if (!reference->class || avro_generic_value_new(reference->class, &reference->value) != 0)
        return err_set(err, E_SCHEMA, "avro-c: %s", avro_strerror());
    reference->reader = avro_reader_memory("", 0);
    reference->writer = avro_writer_memory("", 0);
    return OK;
}

enum rcode reference_new(struct str schema, struct reference **ret_reference, struct err *err)
{
    struct reference *reference = mem_zalloc(sizeof(*reference));
    arena_init(&reference->scratch);
    pthread_mutex_lock(&avro_lock);
    enum rcode rc = make(reference, schema, err);
    pthread_mutex_unlock(&avro_lock);
    if (rc == OK)
        *ret_reference = reference;
    else
        reference_free(reference);
    return rc;
}

void reference_free(struct reference *reference)
{
    if (!reference)
        return;
    pthread_mutex_lock(&avro_lock);
    if (reference->reader)
        avro_reader_free(reference->reader);
    if (reference->writer)
        avro_writer_free(reference->writer);
    if (reference->value.self)
        avro_value_decref(&reference->value);
    if (reference->class)
        avro_value_iface_decref(reference->class);
    if (reference->schema)
        avro_schema_decref(reference->schema);
    pthread_mutex_unlock(&avro_lock);
    arena_deinit(&reference->scratch);
    mem_free(reference);
}

bool reference_read(struct reference *reference, struct str body)
{
    char rest;
    avro_reader_memory_set_source(reference->reader, body.data, (int64_t)body.len);
    avro_value_reset(&reference->value);
    return avro_value_read(reference->reader, &reference->value) == 0 &&
           avro_read(reference->reader, &rest, 1) != 0;
}

static void must(int failure)
{
    assert(!failure);
}

static void set_text(struct reference *reference, avro_value_t *value, struct str text)
{
    struct str copy = arena_str(&reference->scratch, text.data ? text : STR(""));
    must(avro_value_set_string_len(value, (char *)(uintptr_t)copy.data, copy.len + 1));
}

static void set_enum(avro_value_t *value, const struct enum_spec *spec, int number)
{
    const char *name = number < 0 ? "UNKNOWN" : spec->names[number];
    int symbol = avro_schema_enum_get_by_name(avro_value_get_schema(value), name);
    assert(symbol >= 0);
    must(avro_value_set_enum(value, symbol));
}

static void set_longs(avro_value_t *value, const int64_t *items, int count)
{
    for (int i = 0; i < count; i++) {
        avro_value_t item;
        must(avro_value_append(value, &item, NULL));
        must(avro_value_set_long(&item, items[i]));
    }
}

static void set_map(struct reference *reference, avro_value_t *value, struct str raw)
{
    if (raw.len == 0)
        return;
    avro_reader_memory_set_source(reference->reader, raw.data, (int64_t)raw.len);
    must(avro_value_read(reference->reader, value));
}

/* Null, as the C struct says it. */
static bool is_null(const struct field_spec *field, const char *record)
{
    const void *at = record + field->offset;
    if (!field->nullable)
        return false;
    if (field->target == TARGET_STR)
        return !((const struct str *)at)->data;
    if (field->target == TARGET_LONG)
        return *(const int64_t *)at == TIME_NULL;
    if (field->target == TARGET_ENUM && field->companion)
        return !*(const bool *)(record + field->companion);
    return *(const int *)at == 0;
}

static void set_field(struct reference *reference, avro_value_t *value,
                      const struct field_spec *field, const char *record)
{
    const void *at = record + field->offset;
    switch (field->target) {
    case TARGET_STR:
        set_text(reference, value, *(const struct str *)at);
        return;
    case TARGET_UUID:
        set_text(reference, value, uuid_str(at));
        return;
    case TARGET_INT:
        must(avro_value_set_int(value, *(const int32_t *)at));
        return;
    case TARGET_LONG:
        must(avro_value_set_long(value, *(const int64_t *)at));
        return;
    case TARGET_ENUM:
        set_enum(value, field->enumeration, *(const int *)at);
        return;
    case TARGET_LONGS:
        set_longs(value, at, *(const int *)(const void *)(record + field->companion));
        return;
    case TARGET_MAP:
        set_map(reference, value, *(const struct str *)at);
        return;
    case TARGET_COUNT:
        return;
    }
}

void reference_set(struct reference *reference, enum record_kind kind, const void *record)
{
    const struct record_spec *spec = &record_specs[kind];
    avro_value_reset(&reference->value);
    arena_reset(&reference->scratch, 1 << 20);
    for (uint32_t i = 0; i < spec->field_count; i++) {
        const struct field_spec *field = &spec->fields[i];
        bool null = is_null(field, record);
        avro_value_t value, branch = {0};
        must(avro_value_get_by_index(&reference->value, i, &value, NULL));
        if (field->nullable) {
            must(avro_value_set_branch(&value, null ? 0 : 1, &branch));
            value = branch;
        }
        if (null)
            must(avro_value_set_null(&value));
        else
            set_field(reference, &value, field, record);
    }
}

void reference_write(struct reference *reference, struct buf *out)
{
    size_t size = 0;
    must(avro_value_sizeof(&reference->value, &size));
    buf_reserve(out, size);
    avro_writer_memory_set_dest(reference->writer, out->data + out->len, (int64_t)size);
    must(avro_value_write(reference->writer, &reference->value));
    out->len += (size_t)avro_writer_tell(reference->writer);
}

bool reference_json(struct reference *reference, struct buf *out)
{
    char *text = NULL;
    if (avro_value_to_json(&reference->value, 1, &text) != 0 || !text)
        return false;
    buf_str(out, str_of(text));
    mem_free(text);
    return true;
}
