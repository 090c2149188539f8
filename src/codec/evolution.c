#include "codec/evolution.h"

#define PAIRS_MAX 8192 /* pairs of types to compare; recursive types repeat them */

struct pair {
    uint32_t reader, writer;
    struct str where; /* field they belong to */
};

/* Pairs found so far; those from `next` on are not yet compared. */
struct pairs {
    const struct schema *reader, *writer;
    struct pair *list;
    uint32_t count, next;
    struct err *err;
};

static enum rcode add_pair(struct pairs *pairs, uint32_t reader, uint32_t writer, struct str where)
{
    for (uint32_t i = 0; i < pairs->count; i++)
        if (pairs->list[i].reader == reader && pairs->list[i].writer == writer)
            return OK;
    if (pairs->count == PAIRS_MAX)
        return err_set(pairs->err, E_SCHEMA, "too many types to compare");
    pairs->list[pairs->count++] = (struct pair){reader, writer, where};
    return OK;
}

static bool promotes(enum schema_type from, enum schema_type to)
{
    if (from == SCHEMA_STRING || from == SCHEMA_BYTES)
        return to == SCHEMA_STRING || to == SCHEMA_BYTES;
    return from >= SCHEMA_INT && from < to && to <= SCHEMA_DOUBLE;
}

/* What shows without a look at members. */
static bool looks_readable(const struct schema_node *reader, const struct schema_node *writer)
{
    if (reader->type != writer->type)
        return promotes(writer->type, reader->type);
    return str_equal(reader->name, writer->name) && reader->fixed_size == writer->fixed_size;
}

static enum rcode refuse(struct pairs *pairs, const struct pair *pair, const char *what,
                         struct str name)
{
    return err_set(pairs->err, E_SCHEMA, "%.*s: %s %.*s", STR_ARG(pair->where), what,
                   STR_ARG(name));
}

static enum rcode compare_records(struct pairs *pairs, const struct pair *pair)
{
    const struct schema_node *reader = &pairs->reader->nodes[pair->reader];
    const struct schema_node *writer = &pairs->writer->nodes[pair->writer];
    enum rcode rc = OK;
    for (uint32_t i = 0; rc == OK && i < reader->count; i++) {
        const struct schema_member *field = &pairs->reader->members[reader->first + i];
        int found = schema_field_index(pairs->writer, writer, field->name);
        if (found >= 0)
            rc =
                add_pair(pairs, field->node,
                         pairs->writer->members[writer->first + (uint32_t)found].node, field->name);
        else if (field->default_kind == SCHEMA_DEFAULT_NONE)
            rc = refuse(pairs, pair, "lacks and there is no default for", field->name);
    }
    return rc;
}

static enum rcode compare_enums(struct pairs *pairs, const struct pair *pair)
{
    const struct schema_node *reader = &pairs->reader->nodes[pair->reader];
    const struct schema_node *writer = &pairs->writer->nodes[pair->writer];
    for (uint32_t i = 0; i < writer->count && reader->symbol_default < 0; i++) {
        struct str symbol = pairs->writer->symbols[writer->first + i];
        if (schema_symbol_index(pairs->reader, reader, symbol) < 0)
            return refuse(pairs, pair, "has, and there is no default for, symbol", symbol);
    }
    return OK;
}

/* The reader's branch that takes a writer's type: the same type before a wider one. */
static bool find_branch(const struct pairs *pairs, const struct pair *pair, uint32_t *ret_branch)
{
    const struct schema_node *reader = &pairs->reader->nodes[pair->reader];
    const struct schema_node *writer = &pairs->writer->nodes[pair->writer];
    for (int same = 1; same >= 0; same--) {
        for (uint32_t i = 0; i < reader->count; i++) {
            uint32_t branch = pairs->reader->members[reader->first + i].node;
            const struct schema_node *node = &pairs->reader->nodes[branch];
            if (looks_readable(node, writer) && (!same || node->type == writer->type)) {
                *ret_branch = branch;
                return true;
            }
        }
    }
    return false;
}

static enum rcode compare(struct pairs *pairs, const struct pair *pair)
{
    const struct schema_node *reader = &pairs->reader->nodes[pair->reader];
    const struct schema_node *writer = &pairs->writer->nodes[pair->writer];
    enum rcode rc = OK;
    uint32_t branch = 0;
    if (writer->type == SCHEMA_UNION) {
        for (uint32_t i = 0; rc == OK && i < writer->count; i++)
            rc = add_pair(pairs, pair->reader, pairs->writer->members[writer->first + i].node,
                          pair->where);
        return rc;
    }
    if (reader->type == SCHEMA_UNION)
        return find_branch(pairs, pair, &branch)
                   ? add_pair(pairs, branch, pair->writer, pair->where)
                   : refuse(pairs, pair, "no branch takes",
                            str_of(schema_type_names[writer->type]));
    if (!looks_readable(reader, writer))
        return refuse(pairs, pair, "cannot take", str_of(schema_type_names[writer->type]));
    if (writer->type == SCHEMA_RECORD)
        return compare_records(pairs, pair);
    if (writer->type == SCHEMA_ENUM)
        return compare_enums(pairs, pair);
    if (writer->type == SCHEMA_ARRAY || writer->type == SCHEMA_MAP)
        return add_pair(pairs, pairs->reader->members[reader->first].node,
                        pairs->writer->members[writer->first].node, pair->where);
    return OK;
}

enum rcode schema_can_read(const struct schema *reader, const struct schema *writer,
                           struct err *err)
{
    struct pairs pairs = {
        .reader = reader,
        .writer = writer,
        .list = mem_alloc(PAIRS_MAX * sizeof(*pairs.list)),
        .err = err,
    };
    struct str name = reader->nodes[reader->root].name;
    enum rcode rc =
        add_pair(&pairs, reader->root, writer->root, name.data ? name : STR("the schema"));
    while (rc == OK && pairs.next < pairs.count) {
        const struct pair pair = pairs.list[pairs.next++];
        rc = compare(&pairs, &pair);
    }
    mem_free(pairs.list);
    return rc;
}
