#include "codec/codec.h"

#include <stdio.h>

#include "embedded.h"

static int kind_of(const struct schema *schema)
{
    static const struct str space = STR("rimbalzo.");
    const struct schema_node *root = &schema->nodes[schema->root];
    if (root->type != SCHEMA_RECORD || root->name.len <= space.len ||
        memcmp(root->name.data, space.data, space.len) != 0)
        return -1;
    struct str name = {root->name.data + space.len, root->name.len - space.len};
    return name_index(record_kind_names, RECORD_KIND_COUNT, name);
}

enum rcode writer_new(const struct codec *codec, struct str text, struct arena *arena,
                      struct writer **ret_writer, struct err *err)
{
    struct writer *writer = arena_alloc(arena, sizeof(*writer));
    enum rcode rc = schema_parse(text, arena, &writer->schema, err);
    if (rc != OK)
        return rc;
    writer->kind = kind_of(&writer->schema);
    if (writer->kind >= 0 && codec->readers[writer->kind])
        plan_compile(&writer->schema, codec->readers[writer->kind], &record_specs[writer->kind],
                     arena, &writer->plan);
    *ret_writer = writer;
    return OK;
}

static struct writer **known_slot(struct writer_table *table, uint64_t fingerprint)
{
    uint32_t size = sizeof(table->slots) / sizeof(*table->slots);
    uint32_t i = (uint32_t)(fingerprint % size);
    while (table->slots[i] && table->slots[i]->schema.fingerprint != fingerprint)
        i = (i + 1) % size;
    return &table->slots[i];
}

enum rcode codec_add_schema(struct codec *codec, struct str text, struct err *err)
{
    struct writer *writer;
    enum rcode rc = writer_new(codec, text, &codec->arena, &writer, err);
    if (rc != OK)
        return rc;
    struct writer **slot = known_slot(&codec->known, writer->schema.fingerprint);
    if (*slot && !str_equal((*slot)->schema.canonical, writer->schema.canonical))
        return err_set(err, E_SCHEMA, "another schema has its fingerprint %016llx",
                       (unsigned long long)writer->schema.fingerprint);
    if (*slot)
        return OK;
    if (codec->known.count == CODEC_SCHEMAS_MAX)
        return err_set(err, E_SCHEMA, "more than %d schemas", CODEC_SCHEMAS_MAX);
    *slot = writer;
    codec->known.count++;
    return OK;
}

static bool has_suffix(struct str name, struct str suffix)
{
    return name.len > suffix.len &&
           memcmp(name.data + name.len - suffix.len, suffix.data, suffix.len) == 0;
}

struct str record_schema_text(enum record_kind kind)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.avsc", record_kind_names[kind]);
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return (struct str){file->data, file->size};
    return STR_NULL;
}

static enum rcode add_reader(struct codec *codec, enum record_kind kind, struct err *err)
{
    struct str text = record_schema_text(kind);
    struct schema *schema = arena_alloc(&codec->arena, sizeof(*schema));
    enum rcode rc = schema_parse(text, &codec->arena, schema, err);
    if (rc == OK)
        rc = plan_check_reader(schema, &record_specs[kind], err);
    if (rc != OK)
        return err_prefix(err, "%s.avsc", record_kind_names[kind]);
    codec->readers[kind] = schema;
    return OK;
}

static enum rcode add_embedded(struct codec *codec, struct err *err)
{
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        enum rcode rc = add_reader(codec, (enum record_kind)kind, err);
        if (rc != OK)
            return rc;
    }
    for (const struct embedded_file *file = embedded_files; file->name; file++) {
        if (!has_suffix(str_of(file->name), STR(".avsc")))
            continue;
        if (codec_add_schema(codec, (struct str){file->data, file->size}, err) != OK)
            return err_prefix(err, "%s", file->name);
    }
    return OK;
}

static void make_heads(struct codec *codec, const int32_t *registered_ids)
{
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        struct frame_head *head = &codec->heads[kind];
        if (registered_ids) {
            uint32_t id = (uint32_t)registered_ids[kind];
            head->size = FRAME_CONFLUENT_SIZE;
            for (int i = 0; i < 4; i++)
                head->octets[1 + i] = (unsigned char)(id >> (24 - 8 * i));
        } else {
            uint64_t fingerprint = codec->readers[kind]->fingerprint;
            head->size = FRAME_SINGLE_OBJECT_SIZE;
            head->octets[0] = 0xc3;
            head->octets[1] = 0x01;
            for (int i = 0; i < 8; i++)
                head->octets[2 + i] = (unsigned char)(fingerprint >> (8 * i));
        }
    }
}

enum rcode codec_new(const struct codec_options *options, struct codec **ret_codec, struct err *err)
{
    struct codec *codec = mem_zalloc(sizeof(*codec));
    arena_init(&codec->arena);
    arena_init(&codec->registry_arena);
    codec->resolve = options->resolve;
    codec->resolve_context = options->resolve_context;
    enum rcode rc = add_embedded(codec, err);
    if (rc == OK && options->schemas_dir)
        rc = codec_add_directory(codec, options->schemas_dir, err);
    if (rc != OK) {
        codec_free(codec);
        return rc;
    }
    make_heads(codec, options->registered_ids);
    *ret_codec = codec;
    return OK;
}

void codec_free(struct codec *codec)
{
    if (!codec)
        return;
    arena_deinit(&codec->arena);
    arena_deinit(&codec->registry_arena);
    mem_free(codec);
}

static enum rcode find_fingerprint(struct codec *codec, struct str value,
                                   const struct writer **ret_writer, struct err *err)
{
    uint64_t fingerprint = 0;
    for (int i = 7; i >= 0; i--)
        fingerprint = fingerprint << 8 | (unsigned char)value.data[2 + i];
    struct writer *writer = *known_slot(&codec->known, fingerprint);
    if (!writer)
        return err_set(err, E_UNKNOWN_SCHEMA,
                       "no schema has the fingerprint %016llx; put its .avsc into schemas.dir",
                       (unsigned long long)fingerprint);
    *ret_writer = writer;
    return OK;
}

static void forget_ids(struct codec *codec)
{
    memset(codec->ids, 0, sizeof(codec->ids));
    codec->id_count = 0;
    arena_reset(&codec->registry_arena, CODEC_REGISTRY_BYTES_MAX);
}

static struct id_entry *id_slot(struct codec *codec, int32_t id)
{
    uint32_t size = sizeof(codec->ids) / sizeof(*codec->ids);
    uint32_t i = (uint32_t)id % size;
    while (codec->ids[i].used && codec->ids[i].id != id)
        i = (i + 1) % size;
    return &codec->ids[i];
}

/* Asks the registry once per id; a schema that cannot be used is remembered as such. */
static enum rcode resolve_id(struct codec *codec, int32_t id, struct id_entry **ret_entry,
                             struct err *err)
{
    if (!codec->resolve)
        return err_set(err, E_UNKNOWN_SCHEMA, "schema id %d, but no registry is configured", id);
    if (codec->id_count == CODEC_IDS_MAX || codec->registry_arena.used > CODEC_REGISTRY_BYTES_MAX)
        forget_ids(codec);
    struct arena scratch;
    struct str text = STR_NULL;
    struct err why;
    arena_init(&scratch);
    enum rcode rc = codec->resolve(codec->resolve_context, id, &scratch, &text, err);
    if (rc == OK) {
        struct id_entry *entry = id_slot(codec, id);
        *entry = (struct id_entry){.used = true, .id = id};
        codec->id_count++;
        if (writer_new(codec, text, &codec->registry_arena, &entry->writer, &why) != OK)
            entry->why = arena_str(&codec->registry_arena, str_of(why.text)).data;
        *ret_entry = entry;
    }
    arena_deinit(&scratch);
    return rc;
}

static enum rcode find_id(struct codec *codec, struct str value, const struct writer **ret_writer,
                          struct err *err)
{
    uint32_t bits = 0;
    for (int i = 1; i <= 4; i++)
        bits = bits << 8 | (unsigned char)value.data[i];
    int32_t id = (int32_t)bits;
    struct id_entry *entry = id_slot(codec, id);
    if (!entry->used) {
        enum rcode rc = resolve_id(codec, id, &entry, err);
        if (rc != OK)
            return rc;
    }
    if (!entry->writer)
        return err_set(err, E_UNKNOWN_SCHEMA, "schema id %d cannot be used: %s", id, entry->why);
    *ret_writer = entry->writer;
    return OK;
}

enum rcode codec_unframe(struct codec *codec, struct str value, const struct writer **ret_writer,
                         struct str *ret_body, struct err *err)
{
    const unsigned char *octets = (const unsigned char *)value.data;
    size_t size = 0;
    enum rcode rc;
    if (!octets)
        return err_set(err, E_MALFORMED, "the record has no value");
    if (value.len >= FRAME_CONFLUENT_SIZE && octets[0] == 0) {
        size = FRAME_CONFLUENT_SIZE;
        rc = find_id(codec, value, ret_writer, err);
    } else if (value.len >= FRAME_SINGLE_OBJECT_SIZE && octets[0] == 0xc3 && octets[1] == 0x01) {
        size = FRAME_SINGLE_OBJECT_SIZE;
        rc = find_fingerprint(codec, value, ret_writer, err);
    } else {
        rc = err_set(err, E_MALFORMED,
                     "%zu octets that begin with neither 00 and a schema id nor C3 01 and a "
                     "fingerprint",
                     value.len);
    }
    if (rc == OK)
        *ret_body = (struct str){value.data + size, value.len - size};
    return rc;
}

enum rcode codec_kind(struct codec *codec, struct str value, enum record_kind *ret_kind,
                      struct err *err)
{
    const struct writer *writer = NULL;
    struct str body;
    enum rcode rc = codec_unframe(codec, value, &writer, &body, err);
    if (rc != OK)
        return rc;
    if (writer->kind < 0)
        return err_set(err, E_UNEXPECTED_SCHEMA, "%.*s is no record of rimbalzo",
                       STR_ARG(writer->schema.nodes[writer->schema.root].name));
    *ret_kind = (enum record_kind)writer->kind;
    return OK;
}
