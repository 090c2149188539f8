/*
 * Values of any schema: skipped, or shown as JSON. Both walk the octets with a stack of
 * WALK_DEPTH_MAX open records, arrays and maps; deeper values (a recursive schema allows them) are
 * E_MALFORMED. The work is bounded by the octets: types that take none are skipped by arithmetic,
 * not by loops.
 */
#pragma once
#include "codec/schema.h"
#include "codec/wire.h"

#define WALK_DEPTH_MAX 64
#define WALK_EMPTY_ITEMS_MAX 64          /* items without octets (array of null) in one array */
#define WALK_JSON_MAX (16 * 1024 * 1024) /* octets of JSON made from one value */

/* Moves past one value. False: the octets are no value of that type (a string that is not UTF-8 is
 * none). */
bool walk_skip(const struct schema *schema, uint32_t node, struct wire *in);

/* Appends one value as one line of JSON, without line feed. False: no value of that type, or its
 * JSON would exceed WALK_JSON_MAX; `out` then holds a part. A union shows the value of its branch
 * alone; bytes and fixed show octets as U+0000 to U+00FF; octets of a string that are not UTF-8
 * show as U+FFFD; a float that JSON lacks shows as "NaN", "Infinity", "-Infinity". */
bool walk_json(const struct schema *schema, uint32_t node, struct wire *in, struct buf *out);
