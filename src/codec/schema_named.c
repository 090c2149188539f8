#include "codec/schema_parser.h"

/* [A-Za-z_][A-Za-z0-9_]*, and runs of it joined by dots if `dots`. */
static bool is_name(struct str text, bool dots)
{
    bool start = true;
    if (!text.data || text.len > SCHEMA_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (c == '.' && dots && !start) {
            start = true;
            continue;
        }
        if (!letter && !(digit && !start))
            return false;
        start = false;
    }
    return !start;
}

static struct str space_of(struct str full_name)
{
    const char *dot = memrchr(full_name.data, '.', full_name.len);
    return dot ? (struct str){full_name.data, (size_t)(dot - full_name.data)} : STR("");
}

struct full_name {
    char text[2 * SCHEMA_NAME_MAX + 2];
};

/* `name` itself, or the two joined in `buffer`. Both are valid names. */
static struct str qualified(struct str name, struct str space, struct full_name *buffer)
{
    if (space.len == 0 || memchr(name.data, '.', name.len))
        return name;
    memcpy(buffer->text, space.data, space.len);
    buffer->text[space.len] = '.';
    memcpy(buffer->text + space.len + 1, name.data, name.len);
    return (struct str){buffer->text, space.len + 1 + name.len};
}

static bool find_named(const struct parser *parser, struct str full_name, uint32_t *ret_node)
{
    for (uint32_t i = SCHEMA_PRIMITIVE_COUNT; i < parser->node_count; i++) {
        if (str_equal(parser->nodes[i].name, full_name)) {
            *ret_node = i;
            return true;
        }
    }
    return false;
}

static enum rcode add_named(struct parser *parser, const json_t *json, enum schema_type type,
                            size_t count, struct str space, uint32_t *ret_node)
{
    struct str name = json_text(json_object_get(json, "name"));
    const json_t *json_space = json_object_get(json, "namespace");
    if (!is_name(name, true))
        return err_set(parser->err, E_SCHEMA, "a %s has no valid name", schema_type_names[type]);
    if (json_space) {
        space = json_text(json_space);
        if (!space.data || (space.len > 0 && !is_name(space, true)))
            return err_set(parser->err, E_SCHEMA, "%.*s: its namespace is not valid",
                           STR_ARG(name));
    }
    struct full_name buffer;
    struct str full_name = qualified(name, space, &buffer);
    uint32_t other;
    if (full_name.len > SCHEMA_NAME_MAX)
        return parser_too_large(parser, "octets in a name", SCHEMA_NAME_MAX);
    if (find_named(parser, full_name, &other))
        return err_set(parser->err, E_SCHEMA, "%.*s is defined twice", STR_ARG(full_name));
    for (int i = 0; i < SCHEMA_PRIMITIVE_COUNT; i++)
        if (str_equal(full_name, str_of(schema_type_names[i])))
            return err_set(parser->err, E_SCHEMA, "%.*s is the name of a primitive type",
                           STR_ARG(full_name));
    enum rcode rc = parser_add_node(parser, type, count, ret_node);
    if (rc == OK)
        parser->nodes[*ret_node].name = arena_str(parser->arena, full_name);
    return rc;
}

enum rcode parser_record(struct parser *parser, const json_t *json, struct str space,
                         uint32_t *ret_node)
{
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields))
        return err_set(parser->err, E_SCHEMA, "a record has no fields");
    enum rcode rc =
        add_named(parser, json, SCHEMA_RECORD, json_array_size(fields), space, ret_node);
    if (rc != OK)
        return rc;
    struct schema_node *node = &parser->nodes[*ret_node];
    for (uint32_t i = 0; i < node->count; i++) {
        struct str name = json_text(json_object_get(json_array_get(fields, i), "name"));
        if (!is_name(name, false))
            return err_set(parser->err, E_SCHEMA, "%.*s: field %u has no valid name",
                           STR_ARG(node->name), i);
        for (uint32_t j = 0; j < i; j++)
            if (str_equal(parser->members[node->first + j].name, name))
                return err_set(parser->err, E_SCHEMA, "%.*s has two fields %.*s",
                               STR_ARG(node->name), STR_ARG(name));
        parser->members[node->first + i].name = arena_str(parser->arena, name);
    }
    return parser_push(parser, json, *ret_node, space_of(node->name));
}

enum rcode parser_enum(struct parser *parser, const json_t *json, struct str space,
                       uint32_t *ret_node)
{
    const json_t *symbols = json_object_get(json, "symbols");
    const json_t *fallback = json_object_get(json, "default");
    size_t count = json_array_size(symbols);
    enum rcode rc = add_named(parser, json, SCHEMA_ENUM, 0, space, ret_node);
    if (rc != OK)
        return rc;
    struct schema_node *node = &parser->nodes[*ret_node];
    if (count == 0)
        return err_set(parser->err, E_SCHEMA, "%.*s has no symbols", STR_ARG(node->name));
    if (count > SCHEMA_SYMBOLS_MAX - parser->symbol_count)
        return parser_too_large(parser, "symbols", SCHEMA_SYMBOLS_MAX);
    node->first = parser->symbol_count;
    node->size_min = 1;
    for (size_t i = 0; i < count; i++) {
        struct str symbol = json_text(json_array_get(symbols, i));
        if (!is_name(symbol, false))
            return err_set(parser->err, E_SCHEMA, "%.*s: symbol %zu is not valid",
                           STR_ARG(node->name), i);
        for (uint32_t j = node->first; j < parser->symbol_count; j++)
            if (str_equal(parser->symbols[j], symbol))
                return err_set(parser->err, E_SCHEMA, "%.*s has symbol %.*s twice",
                               STR_ARG(node->name), STR_ARG(symbol));
        if (fallback && str_equal(json_text(fallback), symbol))
            node->symbol_default = (int32_t)i;
        parser->symbols[parser->symbol_count++] = arena_str(parser->arena, symbol);
        node->count++;
    }
    if (fallback && node->symbol_default < 0)
        return err_set(parser->err, E_SCHEMA, "%.*s: its default is none of its symbols",
                       STR_ARG(node->name));
    return OK;
}

enum rcode parser_fixed(struct parser *parser, const json_t *json, struct str space,
                        uint32_t *ret_node)
{
    const json_t *size = json_object_get(json, "size");
    enum rcode rc = add_named(parser, json, SCHEMA_FIXED, 0, space, ret_node);
    if (rc != OK)
        return rc;
    struct schema_node *node = &parser->nodes[*ret_node];
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > SCHEMA_FIXED_MAX)
        return err_set(parser->err, E_SCHEMA, "%.*s: its size is not 0 to %d", STR_ARG(node->name),
                       SCHEMA_FIXED_MAX);
    node->fixed_size = node->size_min = (uint32_t)json_integer_value(size);
    return OK;
}

/* A record that holds itself in every value has no finite value. */
static enum rcode check_finite(struct parser *parser, uint32_t target)
{
    for (int i = parser->depth; i-- > 0;) {
        const struct schema_node *node = &parser->nodes[parser->stack[i].node];
        if (node->type != SCHEMA_RECORD)
            return OK;
        if (parser->stack[i].node == target)
            return err_set(parser->err, E_SCHEMA, "%.*s contains itself without end",
                           STR_ARG(node->name));
    }
    return OK;
}

enum rcode parser_name(struct parser *parser, struct str name, struct str space, uint32_t *ret_node)
{
    for (uint32_t i = 0; i < SCHEMA_PRIMITIVE_COUNT; i++) {
        if (str_equal(name, str_of(schema_type_names[i]))) {
            *ret_node = i;
            return OK;
        }
    }
    if (!is_name(name, true))
        return err_set(parser->err, E_SCHEMA, "a type has no valid name");
    struct full_name buffer;
    if (!find_named(parser, qualified(name, space, &buffer), ret_node))
        return err_set(parser->err, E_SCHEMA, "type %.*s is not defined before its use",
                       STR_ARG(name));
    if (parser->nodes[*ret_node].size_min == SIZE_OPEN)
        return check_finite(parser, *ret_node);
    return OK;
}
