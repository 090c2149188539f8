#include "codec/schema.h"

#include <assert.h>

const char *const schema_type_names[SCHEMA_TYPE_COUNT] = {
    [SCHEMA_NULL] = "null",   [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_INT] = "int",
    [SCHEMA_LONG] = "long",   [SCHEMA_FLOAT] = "float",     [SCHEMA_DOUBLE] = "double",
    [SCHEMA_BYTES] = "bytes", [SCHEMA_STRING] = "string",   [SCHEMA_RECORD] = "record",
    [SCHEMA_ENUM] = "enum",   [SCHEMA_ARRAY] = "array",     [SCHEMA_MAP] = "map",
    [SCHEMA_UNION] = "union", [SCHEMA_FIXED] = "fixed",
};

#define CRC64_EMPTY 0xc15d213aa4d7a795ULL

uint64_t schema_crc64(struct str octets)
{
    uint64_t crc = CRC64_EMPTY;
    for (size_t i = 0; i < octets.len; i++) {
        crc ^= (unsigned char)octets.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (CRC64_EMPTY & (0 - (crc & 1)));
    }
    return crc;
}

/* A type whose members are being written. */
struct open_type {
    uint32_t node;
    uint32_t next;
};

static void write_quoted(struct buf *out, struct str text)
{
    buf_str(out, STR("\""));
    buf_str(out, text);
    buf_str(out, STR("\""));
}

static void write_named(struct buf *out, const struct schema_node *node)
{
    buf_str(out, STR("{\"name\":"));
    write_quoted(out, node->name);
    buf_printf(out, ",\"type\":\"%s\"", schema_type_names[node->type]);
}

static void write_enum(const struct schema *schema, const struct schema_node *node, struct buf *out)
{
    write_named(out, node);
    buf_str(out, STR(",\"symbols\":["));
    for (uint32_t i = 0; i < node->count; i++) {
        if (i > 0)
            buf_str(out, STR(","));
        write_quoted(out, schema->symbols[node->first + i]);
    }
    buf_str(out, STR("]}"));
}

/* Writes a type up to its first member; true if members follow. A named type met again is its name.
 */
static bool write_start(const struct schema *schema, uint32_t index, bool *written, struct buf *out)
{
    const struct schema_node *node = &schema->nodes[index];
    if (node->name.data && written[index]) {
        write_quoted(out, node->name);
        return false;
    }
    written[index] = true;
    switch (node->type) {
    case SCHEMA_NULL:
    case SCHEMA_BOOLEAN:
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        write_quoted(out, str_of(schema_type_names[node->type]));
        return false;
    case SCHEMA_ENUM:
        write_enum(schema, node, out);
        return false;
    case SCHEMA_FIXED:
        write_named(out, node);
        buf_printf(out, ",\"size\":%u}", node->fixed_size);
        return false;
    case SCHEMA_RECORD:
        write_named(out, node);
        buf_str(out, STR(",\"fields\":["));
        return true;
    case SCHEMA_ARRAY:
        buf_str(out, STR("{\"type\":\"array\",\"items\":"));
        return true;
    case SCHEMA_MAP:
        buf_str(out, STR("{\"type\":\"map\",\"values\":"));
        return true;
    case SCHEMA_UNION:
        buf_str(out, STR("["));
        return true;
    case SCHEMA_TYPE_COUNT:
        break;
    }
    assert(false && "a type of the list");
    return false;
}

static void write_end(const struct schema_node *node, struct buf *out)
{
    if (node->type == SCHEMA_RECORD)
        buf_str(out, STR("]}"));
    else
        buf_str(out, node->type == SCHEMA_UNION ? STR("]") : STR("}"));
}

void schema_canonical(const struct schema *schema, struct buf *out)
{
    struct open_type stack[SCHEMA_DEPTH_MAX + 1];
    bool written[SCHEMA_NODES_MAX] = {false};
    int depth = 0;
    if (write_start(schema, schema->root, written, out))
        stack[depth++] = (struct open_type){.node = schema->root};
    while (depth > 0) {
        struct open_type *top = &stack[depth - 1];
        const struct schema_node *node = &schema->nodes[top->node];
        bool record = node->type == SCHEMA_RECORD;
        if (top->next > 0 && record)
            buf_str(out, STR("}"));
        if (top->next == node->count) {
            write_end(node, out);
            depth--;
            continue;
        }
        const struct schema_member *member = &schema->members[node->first + top->next++];
        if (top->next > 1)
            buf_str(out, STR(","));
        if (record) {
            buf_str(out, STR("{\"name\":"));
            write_quoted(out, member->name);
            buf_str(out, STR(",\"type\":"));
        }
        if (write_start(schema, member->node, written, out)) {
            assert(depth < SCHEMA_DEPTH_MAX);
            stack[depth++] = (struct open_type){.node = member->node};
        }
    }
}

int schema_field_index(const struct schema *schema, const struct schema_node *record,
                       struct str name)
{
    assert(record->type == SCHEMA_RECORD);
    for (uint32_t i = 0; i < record->count; i++)
        if (str_equal(schema->members[record->first + i].name, name))
            return (int)i;
    return -1;
}

int schema_symbol_index(const struct schema *schema, const struct schema_node *enumeration,
                        struct str symbol)
{
    assert(enumeration->type == SCHEMA_ENUM);
    for (uint32_t i = 0; i < enumeration->count; i++)
        if (str_equal(schema->symbols[enumeration->first + i], symbol))
            return (int)i;
    return -1;
}
