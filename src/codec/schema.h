/*
 * Avro schemas as flat tables. A schema is text from outside (schemas.dir, a registry), so parsing
 * bounds everything: size, nesting, number of types; names must be valid, types defined before use,
 * no record may contain itself without a union, array or map between. What schema_parse accepts is
 * safe to walk.
 *
 * Logical types, docs, aliases and the order of fields are read over: they change no octet.
 */
#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define SCHEMA_TEXT_MAX (128 * 1024) /* octets */
#define SCHEMA_DEPTH_MAX 32          /* nesting of types in the text */
#define SCHEMA_NODES_MAX 2048        /* types, each primitive counted once */
#define SCHEMA_MEMBERS_MAX 4096      /* fields, branches and items together */
#define SCHEMA_SYMBOLS_MAX 4096      /* of all enums together */
#define SCHEMA_NAME_MAX 512          /* octets of a full name */
#define SCHEMA_FIXED_MAX (1 << 24)   /* octets of a fixed */

enum schema_type {
    SCHEMA_NULL,
    SCHEMA_BOOLEAN,
    SCHEMA_INT,
    SCHEMA_LONG,
    SCHEMA_FLOAT,
    SCHEMA_DOUBLE,
    SCHEMA_BYTES,
    SCHEMA_STRING,
    SCHEMA_RECORD,
    SCHEMA_ENUM,
    SCHEMA_ARRAY,
    SCHEMA_MAP,
    SCHEMA_UNION,
    SCHEMA_FIXED,
    SCHEMA_TYPE_COUNT
};
#define SCHEMA_PRIMITIVE_COUNT SCHEMA_RECORD
extern const char *const schema_type_names[SCHEMA_TYPE_COUNT];

struct schema_node {
    enum schema_type type;
    uint32_t first, count; /* members (record, union, array, map) or symbols (enum) */
    uint32_t solid_first,
        solid_count;   /* record: types of the fields that take octets, in `solids` */
    uint32_t size_min; /* octets of the shortest value; 0: every value has none */
    uint32_t fixed_size;
    int32_t symbol_default; /* enum: index of the default symbol, or -1 */
    struct str name;        /* full name of a named type, else null */
};

enum schema_default_kind {
    SCHEMA_DEFAULT_NONE,
    SCHEMA_DEFAULT_NULL,
    SCHEMA_DEFAULT_TEXT,
    SCHEMA_DEFAULT_NUMBER,
    SCHEMA_DEFAULT_EMPTY, /* [] or {} */
    SCHEMA_DEFAULT_OTHER,
};

/* A field of a record; a branch of a union or the item of an array or map has no name. */
struct schema_member {
    struct str name;
    uint32_t node;
    enum schema_default_kind default_kind;
    struct str default_text;
    int64_t default_number;
};

struct schema {
    const struct schema_node *nodes;
    const struct schema_member *members;
    const uint32_t *solids;
    const struct str *symbols;
    uint32_t node_count;
    uint32_t root;
    struct str
        canonical; /* Parsing Canonical Form, Avro 1.11 "Parsing Canonical Form for Schemas" */
    uint64_t fingerprint; /* CRC-64-AVRO of it */
};

/* E_SCHEMA with what is wrong. Everything of `ret_schema` is in `arena`; `text` may go. */
enum rcode schema_parse(struct str text, struct arena *arena, struct schema *ret_schema,
                        struct err *err) WARN_UNUSED;

/* CRC-64-AVRO, Avro 1.11 "Schema Fingerprints". */
uint64_t schema_crc64(struct str octets);

/* Appends the Parsing Canonical Form. */
void schema_canonical(const struct schema *schema, struct buf *out);

/* Index of the record's field among its fields, or -1. */
int schema_field_index(const struct schema *schema, const struct schema_node *record,
                       struct str name);

/* Index of the symbol among the enum's symbols, or -1. */
int schema_symbol_index(const struct schema *schema, const struct schema_node *enumeration,
                        struct str symbol);
