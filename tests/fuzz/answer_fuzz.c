/* Whatever a registry answers: it is read within bounds, and what comes of it is one of few codes.
 */
#include <stdlib.h>

#include "codec/schema.h"
#include "registry/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = {(const char *)data, size}, text;
    struct arena arena;
    struct buf messages = {0};
    struct schema schema;
    struct err err;
    int32_t id;
    int version;
    bool compatible;
    arena_init(&arena);
    enum rcode rc = answer_schema(body, &arena, &text, &err);
    if (rc != OK && rc != E_REGISTRY_UNAVAILABLE && rc != E_UNKNOWN_SCHEMA)
        abort();
    if (rc == OK && schema_parse(text, &arena, &schema, &err) == OK && !schema.node_count)
        abort();
    if (answer_id(body, &id, &version, &err) == OK && (id < 0 || version < 0))
        abort();
    if (answer_compatible(body, &compatible, &messages, &err) != OK && messages.len)
        abort();
    int code = answer_error(body, &arena, &text);
    if (code < 0 || code >= 1000000)
        abort();
    buf_deinit(&messages);
    arena_deinit(&arena);
    return 0;
}
