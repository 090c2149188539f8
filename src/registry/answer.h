/*
 * What a schema registry answers, read without trust: JSON of bounded size, of which only what is
 * asked for is looked at. An answer that is not what a registry answers is E_REGISTRY_UNAVAILABLE,
 * as if none had come: some proxy's page must never be the end of a record.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define ANSWER_SIZE_MAX ((size_t)1024 * 1024) /* octets; a schema has 128 KiB at most */

/* Of a 2xx to /schemas/ids/N: the schema's text, into the arena. E_UNKNOWN_SCHEMA: it is no Avro,
 * or needs other schemas beside it. */
enum rcode answer_schema(struct str body, struct arena *arena, struct str *ret_text,
                         struct err *err) WARN_UNUSED;

/* Of a 2xx to a registration or a look-up by content; the version is 0 where none is told. */
enum rcode answer_id(struct str body, int32_t *ret_id, int *ret_version,
                     struct err *err) WARN_UNUSED;

/* Of a 2xx to a compatibility check; `messages` gets what the registry says against it. */
enum rcode answer_compatible(struct str body, bool *ret_compatible, struct buf *messages,
                             struct err *err) WARN_UNUSED;

/* Of anything else: the registry's own error code (40401: no such subject, 40402: version, 40403:
 * schema), 0 if the answer has none, and its message. */
int answer_error(struct str body, struct arena *arena, struct str *ret_message);
