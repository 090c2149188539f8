/*
 * Inside of schema_parse, shared by its two files: types with a name (schema_named.c), everything
 * else (schema_parse.c). The text is read with a stack instead of recursion.
 */
#pragma once
#include <jansson.h>

#include "codec/schema.h"

/* Size of a type whose members are still being read. */
#define SIZE_OPEN UINT32_MAX
#define SIZE_CAP (1U << 30)

/* A type whose members are being read; children follow their parents on the stack. */
struct frame {
    const json_t *json; /* object with "fields", "items" or "values", or the array of a union */
    uint32_t node;
    uint32_t next;    /* member to read next */
    struct str space; /* namespace of unqualified names inside */
};

struct parser {
    struct arena *arena;
    struct err *err;
    struct schema_node *nodes;
    struct schema_member *members;
    uint32_t *solids;
    struct str *symbols;
    uint32_t node_count, member_count, solid_count, symbol_count;
    struct frame stack[SCHEMA_DEPTH_MAX];
    int depth;
};

/* The octets of a JSON string; null for anything else. They live as long as the JSON. */
static inline struct str json_text(const json_t *json)
{
    if (!json_is_string(json))
        return STR_NULL;
    return (struct str){json_string_value(json), json_string_length(json)};
}

enum rcode parser_too_large(struct parser *parser, const char *what, uint32_t max);

/* A new node with `count` unread members. */
enum rcode parser_add_node(struct parser *parser, enum schema_type type, size_t count,
                           uint32_t *ret_node);

/* Leaves a node open: its members are read next. */
enum rcode parser_push(struct parser *parser, const json_t *json, uint32_t node, struct str space);

/* The definition of a named type. */
enum rcode parser_record(struct parser *parser, const json_t *json, struct str space,
                         uint32_t *ret_node);
enum rcode parser_enum(struct parser *parser, const json_t *json, struct str space,
                       uint32_t *ret_node);
enum rcode parser_fixed(struct parser *parser, const json_t *json, struct str space,
                        uint32_t *ret_node);

/* A type given by a name alone: a primitive, or a named type met before. */
enum rcode parser_name(struct parser *parser, struct str name, struct str space,
                       uint32_t *ret_node);
