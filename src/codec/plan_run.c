#include <assert.h>

#include "codec/plan.h"
#include "codec/walk.h"

/* Outcome of one op. */
enum verdict {
    FINE,
    INVALID,   /* the octets are a value, which the field cannot take */
    MALFORMED, /* the octets are no value */
};

/* An array of longs or ints: at most LONGS_MAX are kept, more make the record invalid. */
static enum verdict read_longs(struct wire *in, bool ints, int64_t *ret_items, int *ret_count)
{
    enum verdict verdict = FINE;
    int count = 0;
    for (;;) {
        uint64_t items;
        const unsigned char *end;
        if (!wire_block(in, &items, &end) || items > wire_left(in))
            return MALFORMED;
        if (items == 0)
            break;
        for (; items > 0; items--) {
            int64_t value;
            if (!wire_long(in, &value) || (ints && value != (int32_t)value))
                return MALFORMED;
            if (count < LONGS_MAX)
                ret_items[count++] = value;
            else
                verdict = INVALID;
        }
        if (end && end != in->next)
            return MALFORMED;
    }
    *ret_count = count;
    return verdict;
}

static enum verdict read_enum(const struct plan *plan, const struct op *op, struct wire *in,
                              char *record)
{
    uint32_t index;
    if (!wire_index(in, op->count, &index))
        return MALFORMED;
    int value = plan->values[op->arg + index];
    if (value == INT16_MIN)
        return INVALID;
    *(int *)(void *)(record + op->offset) = value;
    if (op->companion)
        *(bool *)(record + op->companion) = true;
    return FINE;
}

static enum verdict read_uuid(struct wire *in, struct uuid_text *ret_uuid)
{
    struct str text;
    if (!wire_text(in, &text))
        return MALFORMED;
    if (text.len != UUID_TEXT_SIZE)
        return INVALID;
    memcpy(ret_uuid->text, text.data, UUID_TEXT_SIZE);
    return FINE;
}

static enum verdict read_map(const struct plan *plan, const struct op *op, struct wire *in,
                             struct str *ret_raw)
{
    const unsigned char *start = in->next;
    if (!walk_skip(plan->writer, op->arg, in))
        return MALFORMED;
    *ret_raw = (struct str){(const char *)start, (size_t)(in->next - start)};
    return FINE;
}

static enum verdict when(bool read)
{
    return read ? FINE : MALFORMED;
}

static enum verdict run_op(const struct plan *plan, const struct op *op, struct wire *in,
                           char *record)
{
    void *at = record + op->offset;
    int32_t number;
    switch ((enum op_code)op->code) {
    case OP_STR:
        return when(wire_text(in, at));
    case OP_BYTES:
        if (!wire_str(in, at))
            return MALFORMED;
        return wire_is_utf8(*(const struct str *)at) ? FINE : INVALID;
    case OP_UUID:
        return read_uuid(in, at);
    case OP_INT:
        return when(wire_int(in, at));
    case OP_LONG:
        return when(wire_long(in, at));
    case OP_INT_AS_LONG:
        if (!wire_int(in, &number))
            return MALFORMED;
        *(int64_t *)at = number;
        return FINE;
    case OP_ENUM:
        return read_enum(plan, op, in, record);
    case OP_LONGS:
    case OP_INTS_AS_LONGS:
        return read_longs(in, op->code == OP_INTS_AS_LONGS, at, (void *)(record + op->companion));
    case OP_MAP:
        return read_map(plan, op, in, at);
    case OP_NULL:
        return FINE;
    case OP_SKIP:
        return when(walk_skip(plan->writer, op->arg, in));
    case OP_MISMATCH:
        return walk_skip(plan->writer, op->arg, in) ? INVALID : MALFORMED;
    case OP_UNION:
        break;
    }
    assert(false && "a union holds no union");
    return MALFORMED;
}

static const char *field_name(const struct plan *plan, const struct op *op)
{
    return op->field < plan->spec->field_count ? plan->spec->fields[op->field].name
                                               : "a field this version does not know";
}

static enum rcode malformed(const struct plan *plan, const struct op *op, struct str body,
                            const struct wire *in, struct err *err)
{
    return err_set(err, E_MALFORMED, "%s: the octets end or are no value, before octet %zu of %zu",
                   field_name(plan, op), (size_t)(in->next - (const unsigned char *)body.data),
                   body.len);
}

enum rcode plan_run(const struct plan *plan, struct str body, void *ret_struct, struct err *err)
{
    struct wire in = {.next = (const unsigned char *)body.data};
    const struct op *invalid = NULL;
    in.end = in.next + body.len;
    memcpy(ret_struct, plan->initial, plan->spec->size);
    for (const struct op *op = plan->ops; op < plan->ops + plan->op_count; op++) {
        const struct op *step = op;
        if (op->code == OP_UNION) {
            uint32_t branch;
            if (!wire_index(&in, op->count, &branch))
                return malformed(plan, op, body, &in, err);
            step = &plan->ops[op->arg + branch];
        }
        enum verdict verdict = run_op(plan, step, &in, ret_struct);
        if (verdict == MALFORMED)
            return malformed(plan, op, body, &in, err);
        if (verdict == INVALID && !invalid)
            invalid = op;
    }
    if (in.next != in.end)
        return err_set(err, E_MALFORMED, "%zu octets follow the record", wire_left(&in));
    if (invalid)
        return err_set(err, E_INVALID_FIELD, "%s: a value this version cannot take",
                       field_name(plan, invalid));
    if (plan->missing)
        return err_set(err, E_INVALID_FIELD, "%s is missing from the schema it was written with",
                       plan->missing);
    return OK;
}
