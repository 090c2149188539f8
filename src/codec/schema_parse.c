#include "codec/schema_parser.h"

enum rcode parser_too_large(struct parser *parser, const char *what, uint32_t max)
{
    return err_set(parser->err, E_SCHEMA, "more than %u %s", max, what);
}

enum rcode parser_add_node(struct parser *parser, enum schema_type type, size_t count,
                           uint32_t *ret_node)
{
    if (parser->node_count == SCHEMA_NODES_MAX)
        return parser_too_large(parser, "types", SCHEMA_NODES_MAX);
    if (count > SCHEMA_MEMBERS_MAX - parser->member_count)
        return parser_too_large(parser, "fields and branches", SCHEMA_MEMBERS_MAX);
    parser->nodes[parser->node_count] = (struct schema_node){
        .type = type,
        .first = parser->member_count,
        .count = (uint32_t)count,
        .size_min = SIZE_OPEN,
        .symbol_default = -1,
    };
    parser->member_count += (uint32_t)count;
    *ret_node = parser->node_count++;
    return OK;
}

enum rcode parser_push(struct parser *parser, const json_t *json, uint32_t node, struct str space)
{
    if (parser->depth == SCHEMA_DEPTH_MAX)
        return parser_too_large(parser, "levels of nesting", SCHEMA_DEPTH_MAX);
    parser->stack[parser->depth++] = (struct frame){.json = json, .node = node, .space = space};
    return OK;
}

/* Array, map or union: unnamed, one member or one per branch. */
static enum rcode parse_container(struct parser *parser, const json_t *json, enum schema_type type,
                                  struct str space, uint32_t *ret_node)
{
    size_t count = type == SCHEMA_UNION ? json_array_size(json) : 1;
    enum rcode rc = parser_add_node(parser, type, count, ret_node);
    if (rc == OK)
        rc = parser_push(parser, json, *ret_node, space);
    return rc;
}

/* Turns one type expression into a node; a type with members is left open on the stack. */
static enum rcode parse_type(struct parser *parser, const json_t *json, struct str space,
                             uint32_t *ret_node)
{
    int wraps = 0;
    while (json_is_object(json) && !json_is_string(json_object_get(json, "type"))) {
        json = json_object_get(json, "type");
        if (++wraps > SCHEMA_DEPTH_MAX)
            return parser_too_large(parser, "levels of nesting", SCHEMA_DEPTH_MAX);
    }
    if (json_is_array(json))
        return parse_container(parser, json, SCHEMA_UNION, space, ret_node);
    struct str name = json_text(json_is_object(json) ? json_object_get(json, "type") : json);
    if (json_is_object(json)) {
        if (str_equal(name, STR("record")) || str_equal(name, STR("error")))
            return parser_record(parser, json, space, ret_node);
        if (str_equal(name, STR("enum")))
            return parser_enum(parser, json, space, ret_node);
        if (str_equal(name, STR("fixed")))
            return parser_fixed(parser, json, space, ret_node);
        if (str_equal(name, STR("array")))
            return parse_container(parser, json, SCHEMA_ARRAY, space, ret_node);
        if (str_equal(name, STR("map")))
            return parse_container(parser, json, SCHEMA_MAP, space, ret_node);
    }
    return parser_name(parser, name, space, ret_node);
}

static void read_default(struct parser *parser, const json_t *json, struct schema_member *member)
{
    if (!json) {
        member->default_kind = SCHEMA_DEFAULT_NONE;
    } else if (json_is_null(json)) {
        member->default_kind = SCHEMA_DEFAULT_NULL;
    } else if (json_is_string(json)) {
        member->default_kind = SCHEMA_DEFAULT_TEXT;
        member->default_text = arena_str(parser->arena, json_text(json));
    } else if (json_is_integer(json)) {
        member->default_kind = SCHEMA_DEFAULT_NUMBER;
        member->default_number = json_integer_value(json);
    } else if ((json_is_array(json) && json_array_size(json) == 0) ||
               (json_is_object(json) && json_object_size(json) == 0)) {
        member->default_kind = SCHEMA_DEFAULT_EMPTY;
    } else {
        member->default_kind = SCHEMA_DEFAULT_OTHER;
    }
}

/* Avro 1.11 "Unions": no union directly inside, no two branches of one unnamed type or one name. */
static enum rcode check_branch(struct parser *parser, const struct schema_node *node, uint32_t last)
{
    uint32_t added = parser->members[node->first + last].node;
    const struct schema_node *branch = &parser->nodes[added];
    if (branch->type == SCHEMA_UNION)
        return err_set(parser->err, E_SCHEMA, "a union holds a union");
    for (uint32_t i = 0; i < last; i++) {
        uint32_t other = parser->members[node->first + i].node;
        if (other == added || (!branch->name.data && parser->nodes[other].type == branch->type))
            return err_set(parser->err, E_SCHEMA, "a union holds %s twice",
                           schema_type_names[branch->type]);
    }
    return OK;
}

static enum rcode read_member(struct parser *parser, struct frame *frame)
{
    const struct schema_node *node = &parser->nodes[frame->node];
    struct schema_member *member = &parser->members[node->first + frame->next];
    const json_t *json = NULL;
    if (node->type == SCHEMA_RECORD) {
        const json_t *field = json_array_get(json_object_get(frame->json, "fields"), frame->next);
        json = json_object_get(field, "type");
        read_default(parser, json_object_get(field, "default"), member);
    } else if (node->type == SCHEMA_UNION) {
        json = json_array_get(frame->json, frame->next);
    } else {
        json = json_object_get(frame->json, node->type == SCHEMA_MAP ? "values" : "items");
    }
    if (!json)
        return err_set(parser->err, E_SCHEMA, "a %s has a member without type",
                       schema_type_names[node->type]);
    uint32_t index = frame->next++;
    enum rcode rc = parse_type(parser, json, frame->space, &member->node);
    if (rc == OK && node->type == SCHEMA_UNION)
        rc = check_branch(parser, node, index);
    return rc;
}

/* All members are known: what the shortest value takes. A reference to a record around this one
 * counts 1: between them is a union, array or map (check_finite), so no value of it is empty. */
static void close_node(struct parser *parser, struct schema_node *node)
{
    if (node->type != SCHEMA_RECORD) {
        node->size_min = 1; /* the branch's index; the end of the last block */
        return;
    }
    uint32_t total = 0;
    node->solid_first = parser->solid_count;
    for (uint32_t i = 0; i < node->count; i++) {
        uint32_t member = parser->members[node->first + i].node;
        uint32_t size = parser->nodes[member].size_min;
        if (size == 0)
            continue;
        parser->solids[parser->solid_count++] = member;
        total += size == SIZE_OPEN ? 1 : size;
        total = total > SIZE_CAP ? SIZE_CAP : total;
    }
    node->solid_count = parser->solid_count - node->solid_first;
    node->size_min = total;
}

static enum rcode parse_tree(struct parser *parser, const json_t *json, uint32_t *ret_root)
{
    static const uint32_t primitive_size[SCHEMA_PRIMITIVE_COUNT] = {
        [SCHEMA_BOOLEAN] = 1, [SCHEMA_INT] = 1,   [SCHEMA_LONG] = 1,   [SCHEMA_FLOAT] = 4,
        [SCHEMA_DOUBLE] = 8,  [SCHEMA_BYTES] = 1, [SCHEMA_STRING] = 1,
    };
    for (uint32_t i = 0; i < SCHEMA_PRIMITIVE_COUNT; i++) {
        parser->nodes[i] = (struct schema_node){
            .type = (enum schema_type)i, .size_min = primitive_size[i], .symbol_default = -1};
    }
    parser->node_count = SCHEMA_PRIMITIVE_COUNT;
    enum rcode rc = parse_type(parser, json, STR(""), ret_root);
    while (rc == OK && parser->depth > 0) {
        struct frame *frame = &parser->stack[parser->depth - 1];
        struct schema_node *node = &parser->nodes[frame->node];
        if (frame->next < node->count) {
            rc = read_member(parser, frame);
        } else {
            close_node(parser, node);
            parser->depth--;
        }
    }
    return rc;
}

/* Exact-size copies: a schema lives as long as its codec, the tables of the parser do not. */
static void *keep(struct arena *arena, const void *table, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (size)
        memcpy(copy, table, size);
    return copy;
}

static void finish(struct parser *parser, uint32_t root, struct schema *ret_schema)
{
    struct arena *arena = parser->arena;
    struct buf canonical;
    *ret_schema = (struct schema){
        .nodes = keep(arena, parser->nodes, parser->node_count * sizeof(*parser->nodes)),
        .members = keep(arena, parser->members, parser->member_count * sizeof(*parser->members)),
        .solids = keep(arena, parser->solids, parser->solid_count * sizeof(*parser->solids)),
        .symbols = keep(arena, parser->symbols, parser->symbol_count * sizeof(*parser->symbols)),
        .node_count = parser->node_count,
        .root = root,
    };
    buf_init(&canonical);
    schema_canonical(ret_schema, &canonical);
    ret_schema->canonical = arena_str(arena, buf_view(&canonical));
    ret_schema->fingerprint = schema_crc64(ret_schema->canonical);
    buf_deinit(&canonical);
}

enum rcode schema_parse(struct str text, struct arena *arena, struct schema *ret_schema,
                        struct err *err)
{
    if (!text.data || text.len > SCHEMA_TEXT_MAX)
        return err_set(err, E_SCHEMA, "a schema has 1 to %d octets", SCHEMA_TEXT_MAX);
    json_error_t json_error;
    json_t *json =
        json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
    if (!json)
        return err_set(err, E_SCHEMA, "line %d: %s", json_error.line, json_error.text);

    struct arena scratch;
    arena_init(&scratch);
    struct parser parser = {
        .arena = arena,
        .err = err,
        .nodes = arena_alloc(&scratch, SCHEMA_NODES_MAX * sizeof(*parser.nodes)),
        .members = arena_alloc(&scratch, SCHEMA_MEMBERS_MAX * sizeof(*parser.members)),
        .solids = arena_alloc(&scratch, SCHEMA_MEMBERS_MAX * sizeof(*parser.solids)),
        .symbols = arena_alloc(&scratch, SCHEMA_SYMBOLS_MAX * sizeof(*parser.symbols)),
    };
    memset(parser.members, 0, SCHEMA_MEMBERS_MAX * sizeof(*parser.members));
    uint32_t root = 0;
    enum rcode rc = parse_tree(&parser, json, &root);
    if (rc == OK)
        finish(&parser, root, ret_schema);
    arena_deinit(&scratch);
    json_decref(json);
    return rc;
}
