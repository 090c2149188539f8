/*
 * The same encoding made by avro-c, the Avro project's own C library: what tests, fuzzing, the
 * bench and every worker at its start (selfcheck.h) hold this codec against.
 *
 * avro-c as packaged is not thread-safe and trusts its input: it recurses as deep as schema and
 * value say and allocates what a length says. Give it only schemas that schema_parse accepted and
 * octets that walk_skip accepted. Creation and freeing take a process-wide lock; a reference itself
 * belongs to one thread.
 */
#pragma once
#include "codec/record.h"

/* One schema and one generic value of it, used again and again. */
struct reference;

/* E_SCHEMA: avro-c refuses the schema; unlike Avro it refuses records without fields and unions
 * without branches. */
enum rcode reference_new(struct str schema, struct reference **ret_reference,
                         struct err *err) WARN_UNUSED;
void reference_free(struct reference *reference);

/* Reads the octets of one value, without frame. False: avro-c refuses them, or they hold more than
 * it. */
bool reference_read(struct reference *reference, struct str body);

/* Sets the value from the C struct of the record; the schema is the current one of that kind.
 * Symbols go by name. */
void reference_set(struct reference *reference, enum record_kind kind, const void *record);

/* Appends the value's octets, without frame. */
void reference_write(struct reference *reference, struct buf *out);

/* Appends avro-c's JSON of the value. False where it has none (a string that is not UTF-8, NaN). */
bool reference_json(struct reference *reference, struct buf *out);
