/* Whether schemas of different versions read each other (Avro 1.11 "Schema Resolution"): what a
 * release of a schema must keep, checked before it is released. Decoding itself goes by
 * codec/plan.h. */
#pragma once
#include "codec/schema.h"

/* E_SCHEMA, naming the place, unless every value written with `writer` can be read with `reader`.
 */
enum rcode schema_can_read(const struct schema *reader, const struct schema *writer,
                           struct err *err) WARN_UNUSED;
