/* Looking into JSON values that come from outside: what is absent or of another type is null. Spans
 * point into the value. */
#pragma once
#include "ingest/ingest_internal.h"

/* The member at "name" or "name.name.name"; NULL if there is none, or it is null. */
const json_t *json_at(const json_t *object, const char *path);

/* A string, or null. */
struct str json_text(const json_t *object, const char *path);
/* A string; or a number or boolean as text, in the arena; or null. */
struct str json_any_text(struct arena *arena, const json_t *object, const char *path);
/* A whole number, or a text that is one; false if it is neither, or not within 32 bits. */
bool json_int(const json_t *object, const char *path, int32_t *ret_number);
/* A time: RFC 3339, or seconds or milliseconds since 1970 as a number or text; TIME_NULL. */
int64_t json_time(const json_t *object, const char *path);

/* A reply code: 200 to 599; 0 if it is none. */
int32_t json_reply_code(const json_t *object, const char *path);

/*
 * The hints of ingest.h among the members of `metadata` (NULL allowed) to the record: retry_of,
 * message_attempt, and message_id where there is one. Names are matched whatever their case, values
 * may be texts, numbers, or arrays of one.
 */
void json_hints(const json_t *metadata, struct input_record *record);
/* The same for headers: an object of names, or an array of [name, value] or {name, value}. */
void json_header_hints(const json_t *headers, struct input_record *record);
