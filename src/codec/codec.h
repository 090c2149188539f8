/*
 * Inside of the codec, shared by its files: the schemas it knows and how a value's frame finds one
 * of them.
 */
#pragma once
#include "codec/plan.h"
#include "codec/record.h"

#define CODEC_SCHEMAS_MAX 1024 /* compiled in and in schemas.dir */
#define CODEC_IDS_MAX 256      /* registry ids remembered; beyond: all are forgotten */
#define CODEC_REGISTRY_BYTES_MAX (32 * 1024 * 1024) /* memory of their schemas, likewise */

#define FRAME_SINGLE_OBJECT_SIZE 10 /* C3 01 and the fingerprint */
#define FRAME_CONFLUENT_SIZE 5      /* 00 and the id */

/* A schema that values may have been written with. */
struct writer {
    struct schema schema;
    int kind; /* enum record_kind, or -1: a schema we know, no record of ours */
    struct plan plan;
};

struct writer_table {
    struct writer *slots[2 * CODEC_SCHEMAS_MAX]; /* open addressing by fingerprint */
    uint32_t count;
};

/* A registry id: its writer, or NULL with why its schema cannot be used. */
struct id_entry {
    bool used;
    int32_t id;
    struct writer *writer;
    const char *why;
};

struct frame_head {
    unsigned char octets[FRAME_SINGLE_OBJECT_SIZE];
    uint32_t size;
};

struct codec {
    struct arena arena; /* what lives as long as the codec */
    struct writer_table known;
    const struct schema *readers[RECORD_KIND_COUNT];
    struct frame_head heads[RECORD_KIND_COUNT]; /* of what is encoded */

    enum rcode (*resolve)(void *context, int32_t id, struct arena *arena, struct str *ret_json,
                          struct err *err);
    void *resolve_context;
    struct arena registry_arena; /* schemas of ids */
    struct id_entry ids[2 * CODEC_IDS_MAX];
    uint32_t id_count;
};

/* Parses a schema and plans its decoding. E_SCHEMA. */
enum rcode writer_new(const struct codec *codec, struct str text, struct arena *arena,
                      struct writer **ret_writer, struct err *err) WARN_UNUSED;

/* Makes a schema known by its fingerprint. E_SCHEMA: not valid, too many, or another schema has its
 * fingerprint already. */
enum rcode codec_add_schema(struct codec *codec, struct str text, struct err *err) WARN_UNUSED;

/* Adds every *.avsc of a directory. E_IO, E_SCHEMA with the file's name. */
enum rcode codec_add_directory(struct codec *codec, const char *path, struct err *err) WARN_UNUSED;

/* The writer schema of a framed value and the octets behind the frame. E_MALFORMED,
 * E_UNKNOWN_SCHEMA, and what the resolver returns. */
enum rcode codec_unframe(struct codec *codec, struct str value, const struct writer **ret_writer,
                         struct str *ret_body, struct err *err) WARN_UNUSED;
