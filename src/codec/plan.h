/*
 * A decoding plan: what to do with each field of a writer's record, in the writer's order, so that
 * a record_spec's C struct results (Avro 1.11 "Schema Resolution", as far as the seven records need
 * it). It is compiled once per writer schema; running it takes no recursion, no allocation and no
 * look-up of names.
 *
 * Fields of the writer that the reader lacks are skipped, whatever their type. Fields the writer
 * lacks get the reader's default. int widens to long, bytes that are UTF-8 make a string, T and
 * ["null", T] read each other, enums go by symbol. Where the two do not agree the field is skipped
 * and the record is E_INVALID_FIELD, but only after the rest proved well-formed: a record that is
 * both malformed and invalid is malformed.
 */
#pragma once
#include "codec/fields.h"
#include "codec/wire.h"

enum op_code {
    OP_STR,
    OP_BYTES, /* to a string */
    OP_UUID,
    OP_INT,
    OP_LONG,
    OP_INT_AS_LONG,
    OP_ENUM, /* `arg`, `count`: values of the writer's symbols in plan.values */
    OP_LONGS,
    OP_INTS_AS_LONGS,
    OP_MAP,      /* `arg`: the writer's type */
    OP_NULL,     /* the initial value stands for null */
    OP_SKIP,     /* `arg`: the writer's type */
    OP_MISMATCH, /* `arg`: the writer's type; the record is invalid */
    OP_UNION,    /* `arg`, `count`: one op per branch */
};

struct op {
    uint8_t code;       /* enum op_code */
    uint8_t field;      /* reader's field, for errors; RECORD_FIELDS_MAX: none */
    uint16_t offset;    /* in the C struct */
    uint16_t companion; /* see field_spec */
    uint32_t arg, count;
};

struct plan {
    const struct schema *writer;
    const struct record_spec *spec;
    const struct op *ops; /* one per field of the writer, then those of unions' branches */
    uint32_t op_count;    /* fields of the writer */
    const int16_t *values;
    const void *initial; /* the C struct with defaults and nulls */
    const char *missing; /* required field that the writer lacks, or NULL */
};

/* E_SCHEMA if the table of fields does not fit the schema: names, order, types, symbols. */
enum rcode plan_check_reader(const struct schema *reader, const struct record_spec *spec,
                             struct err *err) WARN_UNUSED;

/* `writer` is a record; `reader` passed plan_check_reader. All of the plan is in `arena`, `writer`
 * must stay. */
void plan_compile(const struct schema *writer, const struct schema *reader,
                  const struct record_spec *spec, struct arena *arena, struct plan *ret_plan);

/* Decodes `body`, all of it, into the C struct of the record. E_MALFORMED, E_INVALID_FIELD. */
enum rcode plan_run(const struct plan *plan, struct str body, void *ret_struct,
                    struct err *err) WARN_UNUSED;
