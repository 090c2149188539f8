#include "codec/walk.h"

#include <math.h>

#include "base/utf8.h"

/* An open record, array or map. */
struct level {
    const struct schema_node *node;
    uint32_t next;                  /* record: next field; array: items without octets so far */
    uint64_t items;                 /* array, map: left in this block */
    const unsigned char *block_end; /* where the block must end, or NULL */
    bool begun;                     /* JSON: something stands inside already */
};

/* What comes next inside a level. */
struct inside {
    bool more;
    uint32_t node;
    struct str key; /* of a map's item, else null */
};

struct walk {
    const struct schema *schema;
    struct wire *in;
    bool json; /* values without octets, too, and strings that are not UTF-8 */
};

/* Opens the next block of an array or map; 0 items mean the end. */
static bool next_block(const struct walk *walk, struct level *level)
{
    const struct schema *schema = walk->schema;
    if (level->block_end && level->block_end != walk->in->next)
        return false;
    if (!wire_block(walk->in, &level->items, &level->block_end))
        return false;
    uint64_t size = schema->nodes[schema->members[level->node->first].node].size_min;
    size += level->node->type == SCHEMA_MAP; /* the key's length */
    if (size > 0)
        return level->items <= wire_left(walk->in) / size;
    if (level->items > WALK_EMPTY_ITEMS_MAX - level->next)
        return false;
    level->next += (uint32_t)level->items;
    return true;
}

static bool next_inside(const struct walk *walk, struct level *level, struct inside *ret_inside)
{
    const struct schema *schema = walk->schema;
    const struct schema_node *node = level->node;
    *ret_inside = (struct inside){.more = true};
    if (node->type == SCHEMA_RECORD) {
        ret_inside->more = level->next < (walk->json ? node->count : node->solid_count);
        if (ret_inside->more && walk->json)
            ret_inside->node = schema->members[node->first + level->next++].node;
        else if (ret_inside->more)
            ret_inside->node = schema->solids[node->solid_first + level->next++];
        return true;
    }
    if (level->items == 0) {
        if (!next_block(walk, level))
            return false;
        ret_inside->more = level->items > 0;
        if (!ret_inside->more)
            return true;
    }
    level->items--;
    ret_inside->node = schema->members[node->first].node;
    if (node->type != SCHEMA_MAP)
        return true;
    return walk->json ? wire_str(walk->in, &ret_inside->key)
                      : wire_text(walk->in, &ret_inside->key);
}

/* Reads a value without members, or the index of a union's branch; the rest is left to a level. */
static bool skip_flat(const struct schema *schema, const struct schema_node *node, struct wire *in,
                      bool lenient, uint32_t *ret_branch)
{
    struct str text;
    int64_t number;
    int32_t small;
    uint32_t index;
    switch (node->type) {
    case SCHEMA_NULL:
        return true;
    case SCHEMA_BOOLEAN:
        return in->next < in->end && *in->next++ <= 1;
    case SCHEMA_INT:
        return wire_int(in, &small);
    case SCHEMA_LONG:
        return wire_long(in, &number);
    case SCHEMA_FLOAT:
        return wire_skip(in, 4);
    case SCHEMA_DOUBLE:
        return wire_skip(in, 8);
    case SCHEMA_BYTES:
        return wire_str(in, &text);
    case SCHEMA_STRING:
        return lenient ? wire_str(in, &text) : wire_text(in, &text);
    case SCHEMA_ENUM:
        return wire_index(in, node->count, &index);
    case SCHEMA_FIXED:
        return wire_skip(in, node->fixed_size);
    case SCHEMA_UNION:
        if (!wire_index(in, node->count, &index))
            return false;
        *ret_branch = schema->members[node->first + index].node;
        return true;
    case SCHEMA_RECORD:
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
    case SCHEMA_TYPE_COUNT:
        break;
    }
    return true;
}

static bool has_level(const struct schema_node *node)
{
    return node->type == SCHEMA_RECORD || node->type == SCHEMA_ARRAY || node->type == SCHEMA_MAP;
}

bool walk_skip(const struct schema *schema, uint32_t index, struct wire *in)
{
    const struct walk walk = {.schema = schema, .in = in};
    struct level levels[WALK_DEPTH_MAX];
    int depth = 0;
    for (;;) {
        const struct schema_node *node = &schema->nodes[index];
        uint32_t branch = UINT32_MAX;
        if (!skip_flat(schema, node, in, false, &branch))
            return false;
        if (branch != UINT32_MAX) {
            index = branch;
            continue;
        }
        if (has_level(node)) {
            if (depth == WALK_DEPTH_MAX)
                return false;
            levels[depth++] = (struct level){.node = node};
        }
        struct inside inside = {.more = false};
        while (depth > 0 && !inside.more) {
            if (!next_inside(&walk, &levels[depth - 1], &inside))
                return false;
            depth -= !inside.more;
        }
        if (!inside.more)
            return true;
        index = inside.node;
    }
}

static void put_octet(struct buf *out, unsigned char octet)
{
    if (octet == '"' || octet == '\\')
        buf_printf(out, "\\%c", octet);
    else if (octet < 0x20 || octet >= 0x7f)
        buf_printf(out, "\\u%04x", octet);
    else
        buf_append(out, &octet, 1);
}

/* C1 controls are escaped as well: a terminal may obey them. */
static void put_text(struct buf *out, struct str text)
{
    buf_str(out, STR("\""));
    for (size_t i = 0, len; i < text.len; i += len) {
        len = utf8_len(text, i);
        if (len == 1)
            put_octet(out, (unsigned char)text.data[i]);
        else if (len == 2 && (unsigned char)text.data[i] == 0xc2 &&
                 (unsigned char)text.data[i + 1] < 0xa0)
            put_octet(out, (unsigned char)text.data[i + 1]);
        else if (len > 1)
            buf_append(out, text.data + i, len);
        else
            buf_str(out, STR("\xef\xbf\xbd"));
        len = len ? len : 1;
    }
    buf_str(out, STR("\""));
}

static void put_octets(struct buf *out, struct str octets)
{
    buf_str(out, STR("\""));
    for (size_t i = 0; i < octets.len; i++)
        put_octet(out, (unsigned char)octets.data[i]);
    buf_str(out, STR("\""));
}

static void put_real(struct buf *out, double value, int digits)
{
    if (isnan(value))
        buf_str(out, STR("\"NaN\""));
    else if (isinf(value))
        buf_str(out, value < 0 ? STR("\"-Infinity\"") : STR("\"Infinity\""));
    else
        buf_printf(out, "%.*g", digits, value);
}

/* IEEE 754 in little-endian octets. */
static void put_float(struct buf *out, const unsigned char *octets, size_t size)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)octets[i] << (8 * i);
    if (size == 4) {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof(value));
        put_real(out, (double)value, 9);
    } else {
        double value;
        memcpy(&value, &bits, sizeof(value));
        put_real(out, value, 17);
    }
}

/* Shows a value without members: its octets are known to be well-formed. */
static void put_flat(const struct schema *schema, const struct schema_node *node, struct wire value,
                     struct buf *out)
{
    int64_t number = 0;
    struct str text = STR_NULL;
    switch (node->type) {
    case SCHEMA_NULL:
        buf_str(out, STR("null"));
        return;
    case SCHEMA_BOOLEAN:
        buf_str(out, *value.next ? STR("true") : STR("false"));
        return;
    case SCHEMA_INT:
    case SCHEMA_LONG:
        if (wire_long(&value, &number))
            buf_printf(out, "%lld", (long long)number);
        return;
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
        put_float(out, value.next, wire_left(&value));
        return;
    case SCHEMA_STRING:
        if (wire_str(&value, &text))
            put_text(out, text);
        return;
    case SCHEMA_BYTES:
        if (wire_str(&value, &text))
            put_octets(out, text);
        return;
    case SCHEMA_FIXED:
        put_octets(out, (struct str){(const char *)value.next, wire_left(&value)});
        return;
    case SCHEMA_ENUM:
        if (wire_long(&value, &number))
            put_text(out, schema->symbols[node->first + (uint32_t)number]);
        return;
    case SCHEMA_RECORD:
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
    case SCHEMA_UNION:
    case SCHEMA_TYPE_COUNT:
        return;
    }
}

/* Comma and key before the next value inside a level, or the level's end. */
static void put_between(const struct schema *schema, struct level *level,
                        const struct inside *inside, struct buf *out)
{
    if (!inside->more) {
        buf_str(out, level->node->type == SCHEMA_ARRAY ? STR("]") : STR("}"));
        return;
    }
    if (level->begun)
        buf_str(out, STR(","));
    level->begun = true;
    if (level->node->type == SCHEMA_RECORD)
        put_text(out, schema->members[level->node->first + level->next - 1].name);
    else if (level->node->type == SCHEMA_MAP)
        put_text(out, inside->key);
    if (level->node->type != SCHEMA_ARRAY)
        buf_str(out, STR(":"));
}

bool walk_json(const struct schema *schema, uint32_t index, struct wire *in, struct buf *out)
{
    const struct walk walk = {.schema = schema, .in = in, .json = true};
    const size_t start = out->len;
    struct level levels[WALK_DEPTH_MAX];
    int depth = 0;
    for (;;) {
        const struct schema_node *node = &schema->nodes[index];
        struct wire value = *in;
        uint32_t branch = UINT32_MAX;
        if (!skip_flat(schema, node, in, true, &branch) || out->len - start > WALK_JSON_MAX)
            return false;
        if (branch != UINT32_MAX) {
            index = branch;
            continue;
        }
        value.end = in->next;
        put_flat(schema, node, value, out);
        if (has_level(node)) {
            if (depth == WALK_DEPTH_MAX)
                return false;
            levels[depth++] = (struct level){.node = node};
            buf_str(out, node->type == SCHEMA_ARRAY ? STR("[") : STR("{"));
        }
        struct inside inside = {.more = false};
        while (depth > 0 && !inside.more) {
            if (!next_inside(&walk, &levels[depth - 1], &inside))
                return false;
            put_between(schema, &levels[depth - 1], &inside, out);
            depth -= !inside.more;
        }
        if (!inside.more)
            return true;
        index = inside.node;
    }
}
