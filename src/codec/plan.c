#include "codec/plan.h"

#include <assert.h>

#define VALUE_UNKNOWN (-1)      /* override action this version does not know */
#define VALUE_REFUSED INT16_MIN /* symbol without a value */
#define OP_COUNT_MAX (2 * SCHEMA_MEMBERS_MAX)

static const struct schema_node *root_of(const struct schema *schema)
{
    return &schema->nodes[schema->root];
}

static const struct schema_member *member_of(const struct schema *schema,
                                             const struct schema_node *node, uint32_t index)
{
    return &schema->members[node->first + index];
}

static const struct schema_node *item_of(const struct schema *schema,
                                         const struct schema_node *node)
{
    return &schema->nodes[member_of(schema, node, 0)->node];
}

/* Type of a reader's field without its null branch; NULL if it is not what the table says. */
static const struct schema_node *plain_type(const struct schema *schema, uint32_t index,
                                            bool nullable)
{
    const struct schema_node *node = &schema->nodes[index];
    if (!nullable)
        return node;
    if (node->type != SCHEMA_UNION || node->count != 2 ||
        schema->nodes[member_of(schema, node, 0)->node].type != SCHEMA_NULL)
        return NULL;
    return &schema->nodes[member_of(schema, node, 1)->node];
}

static bool enum_fits(const struct schema *schema, const struct schema_node *node,
                      const struct enum_spec *spec)
{
    if (node->type != SCHEMA_ENUM || node->count != (uint32_t)spec->symbol_count ||
        node->symbol_default < 0)
        return false;
    for (int i = spec->symbol_min; i < spec->symbol_count; i++)
        if (!str_equal(schema->symbols[node->first + (uint32_t)i],
                       str_of(spec->names[i - spec->shift])))
            return false;
    return true;
}

static bool type_fits(const struct schema *schema, const struct schema_node *node,
                      const struct field_spec *field)
{
    switch (field->target) {
    case TARGET_STR:
    case TARGET_UUID:
        return node->type == SCHEMA_STRING;
    case TARGET_INT:
        return node->type == SCHEMA_INT;
    case TARGET_LONG:
        return node->type == SCHEMA_LONG;
    case TARGET_ENUM:
        return enum_fits(schema, node, field->enumeration);
    case TARGET_LONGS:
        return node->type == SCHEMA_ARRAY && item_of(schema, node)->type == SCHEMA_LONG;
    case TARGET_MAP:
        return node->type == SCHEMA_MAP && item_of(schema, node)->type == SCHEMA_STRING;
    case TARGET_COUNT:
        break;
    }
    return false;
}

enum rcode plan_check_reader(const struct schema *reader, const struct record_spec *spec,
                             struct err *err)
{
    const struct schema_node *record = root_of(reader);
    assert(spec->field_count <= RECORD_FIELDS_MAX);
    if (record->type != SCHEMA_RECORD || record->count != spec->field_count)
        return err_set(err, E_SCHEMA, "%u fields are expected", spec->field_count);
    for (uint32_t i = 0; i < spec->field_count; i++) {
        const struct field_spec *field = &spec->fields[i];
        const struct schema_member *member = member_of(reader, record, i);
        if (!str_equal(member->name, str_of(field->name)))
            return err_set(err, E_SCHEMA, "field %u is not %s", i, field->name);
        const struct schema_node *type = plain_type(reader, member->node, field->nullable);
        if (!type || !type_fits(reader, type, field))
            return err_set(err, E_SCHEMA, "field %s has not the type expected", field->name);
        if (field->nullable && member->default_kind != SCHEMA_DEFAULT_NULL)
            return err_set(err, E_SCHEMA, "field %s has not the default null", field->name);
    }
    return OK;
}

/* Growing tables of a plan under construction; copied to the arena at their final size. */
struct compiler {
    const struct schema *writer;
    const struct schema *reader;
    struct op *ops;
    uint32_t op_count;
    struct buf values;
};

static enum op_code mismatch_unless(bool fits, enum op_code code)
{
    return fits ? code : OP_MISMATCH;
}

static enum op_code op_code_for(const struct compiler *compiler, const struct schema_node *node,
                                const struct field_spec *field)
{
    if (node->type == SCHEMA_NULL)
        return mismatch_unless(field->nullable, OP_NULL);
    switch (field->target) {
    case TARGET_STR:
        return node->type == SCHEMA_BYTES ? OP_BYTES
                                          : mismatch_unless(node->type == SCHEMA_STRING, OP_STR);
    case TARGET_UUID:
        return mismatch_unless(node->type == SCHEMA_STRING, OP_UUID);
    case TARGET_INT:
        return mismatch_unless(node->type == SCHEMA_INT, OP_INT);
    case TARGET_LONG:
        return node->type == SCHEMA_INT ? OP_INT_AS_LONG
                                        : mismatch_unless(node->type == SCHEMA_LONG, OP_LONG);
    case TARGET_ENUM:
        return mismatch_unless(node->type == SCHEMA_ENUM, OP_ENUM);
    case TARGET_LONGS:
        if (node->type == SCHEMA_ARRAY && item_of(compiler->writer, node)->type == SCHEMA_INT)
            return OP_INTS_AS_LONGS;
        return mismatch_unless(node->type == SCHEMA_ARRAY &&
                                   item_of(compiler->writer, node)->type == SCHEMA_LONG,
                               OP_LONGS);
    case TARGET_MAP:
        return mismatch_unless(node->type == SCHEMA_MAP &&
                                   item_of(compiler->writer, node)->type == SCHEMA_STRING,
                               OP_MAP);
    case TARGET_COUNT:
        break;
    }
    return OP_MISMATCH;
}

/* Appends the value of each of the writer's symbols; a symbol the reader lacks is its default
 * symbol. */
static void map_symbols(struct compiler *compiler, const struct schema_node *from,
                        const struct schema_node *to, const struct enum_spec *spec, struct op *op)
{
    op->arg = (uint32_t)(compiler->values.len / sizeof(int16_t));
    op->count = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        int symbol =
            schema_symbol_index(compiler->reader, to, compiler->writer->symbols[from->first + i]);
        if (symbol < 0)
            symbol = to->symbol_default;
        int16_t value = (int16_t)(symbol - spec->shift);
        if (symbol < spec->symbol_min)
            value = spec->unknown_allowed ? VALUE_UNKNOWN : VALUE_REFUSED;
        buf_append(&compiler->values, &value, sizeof(value));
    }
}

/* The op for one type that is no union. */
static struct op plain_op(struct compiler *compiler, uint32_t index, const struct field_spec *field,
                          uint32_t field_index)
{
    const struct schema_node *node = &compiler->writer->nodes[index];
    struct op op = {.code = OP_SKIP, .field = RECORD_FIELDS_MAX, .arg = index};
    if (!field)
        return op;
    op.code = (uint8_t)op_code_for(compiler, node, field);
    op.field = (uint8_t)field_index;
    op.offset = field->offset;
    op.companion = field->companion;
    if (op.code == OP_ENUM) {
        const struct schema_member *member =
            member_of(compiler->reader, root_of(compiler->reader), field_index);
        map_symbols(compiler, node, plain_type(compiler->reader, member->node, field->nullable),
                    field->enumeration, &op);
    }
    return op;
}

/* The op of one of the writer's fields. A union that no reader's field takes is skipped like
 * anything. */
static void compile_field(struct compiler *compiler, const struct record_spec *spec, uint32_t index)
{
    const struct schema *writer = compiler->writer;
    const struct schema_member *member = member_of(writer, root_of(writer), index);
    const struct schema_node *node = &writer->nodes[member->node];
    int found = schema_field_index(compiler->reader, root_of(compiler->reader), member->name);
    const struct field_spec *field = found < 0 ? NULL : &spec->fields[found];
    if (!field || node->type != SCHEMA_UNION) {
        compiler->ops[index] = plain_op(compiler, member->node, field, (uint32_t)found);
        return;
    }
    compiler->ops[index] = (struct op){
        .code = OP_UNION, .field = (uint8_t)found, .arg = compiler->op_count, .count = node->count};
    for (uint32_t i = 0; i < node->count; i++) {
        assert(compiler->op_count < OP_COUNT_MAX);
        compiler->ops[compiler->op_count++] =
            plain_op(compiler, member_of(writer, node, i)->node, field, (uint32_t)found);
    }
}

static void set_null(const struct field_spec *field, char *record)
{
    if (field->target == TARGET_LONG)
        *(int64_t *)(void *)(record + field->offset) = TIME_NULL; /* all other nulls are zeros */
}

/* The reader's default; false if it has none that the table knows. */
static bool set_default(const struct schema *reader, const struct field_spec *field,
                        const struct schema_member *member, char *record)
{
    static const char empty_map[] = {0};
    void *at = record + field->offset;
    enum schema_default_kind kind = member->default_kind;
    switch (field->target) {
    case TARGET_STR:
        if (kind == SCHEMA_DEFAULT_TEXT)
            *(struct str *)at = member->default_text;
        return kind == SCHEMA_DEFAULT_TEXT;
    case TARGET_INT:
        if (kind == SCHEMA_DEFAULT_NUMBER)
            *(int32_t *)at = (int32_t)member->default_number;
        return kind == SCHEMA_DEFAULT_NUMBER;
    case TARGET_LONG:
        if (kind == SCHEMA_DEFAULT_NUMBER)
            *(int64_t *)at = member->default_number;
        return kind == SCHEMA_DEFAULT_NUMBER;
    case TARGET_ENUM: {
        if (kind != SCHEMA_DEFAULT_TEXT)
            return false;
        int symbol =
            schema_symbol_index(reader, &reader->nodes[member->node], member->default_text);
        if (symbol < field->enumeration->symbol_min)
            return false;
        *(int *)at = symbol - field->enumeration->shift;
        return true;
    }
    case TARGET_MAP:
        if (kind == SCHEMA_DEFAULT_EMPTY)
            *(struct str *)at = (struct str){empty_map, sizeof(empty_map)};
        return kind == SCHEMA_DEFAULT_EMPTY;
    case TARGET_LONGS: /* the count is 0 already */
        return kind == SCHEMA_DEFAULT_EMPTY;
    case TARGET_UUID:
    case TARGET_COUNT:
        break;
    }
    return false;
}

static const void *initial_record(const struct schema *writer, const struct schema *reader,
                                  const struct record_spec *spec, struct arena *arena,
                                  const char **ret_missing)
{
    char *record = memset(arena_alloc(arena, spec->size), 0, spec->size);
    *ret_missing = NULL;
    for (uint32_t i = 0; i < spec->field_count; i++) {
        const struct field_spec *field = &spec->fields[i];
        const struct schema_member *member = member_of(reader, root_of(reader), i);
        bool written = schema_field_index(writer, root_of(writer), member->name) >= 0;
        if (field->nullable)
            set_null(field, record);
        else if (!written && !set_default(reader, field, member, record) && !*ret_missing)
            *ret_missing = field->name;
    }
    return record;
}

void plan_compile(const struct schema *writer, const struct schema *reader,
                  const struct record_spec *spec, struct arena *arena, struct plan *ret_plan)
{
    uint32_t count = root_of(writer)->count;
    struct arena scratch;
    arena_init(&scratch);
    struct compiler compiler = {
        .writer = writer,
        .reader = reader,
        .ops = arena_alloc(&scratch, OP_COUNT_MAX * sizeof(*compiler.ops)),
        .op_count = count,
    };
    buf_init(&compiler.values);
    for (uint32_t i = 0; i < count; i++)
        compile_field(&compiler, spec, i);

    struct op *ops = arena_alloc(arena, compiler.op_count * sizeof(*ops));
    memcpy(ops, compiler.ops, compiler.op_count * sizeof(*ops));
    *ret_plan = (struct plan){
        .writer = writer,
        .spec = spec,
        .ops = ops,
        .op_count = count,
        .values = (const void *)arena_str(arena, buf_view(&compiler.values)).data,
    };
    ret_plan->initial = initial_record(writer, reader, spec, arena, &ret_plan->missing);
    buf_deinit(&compiler.values);
    arena_deinit(&scratch);
}
