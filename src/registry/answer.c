#include "registry/answer.h"

#include <jansson.h>

#define MESSAGES_MAX 20

/* NULL: it is no object, with why. */
static json_t *object_of(struct str body, struct err *err)
{
    json_error_t error;
    json_t *root = json_loadb(body.data ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        err_set(err, E_REGISTRY_UNAVAILABLE, "an answer of %zu octets is no JSON: %s", body.len,
                error.text);
        return NULL;
    }
    if (json_is_object(root))
        return root;
    json_decref(root);
    err_set(err, E_REGISTRY_UNAVAILABLE, "an answer of %zu octets is no JSON object", body.len);
    return NULL;
}

static struct str text_of(const json_t *value)
{
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : STR_NULL;
}

static enum rcode lacks(struct err *err, const char *member)
{
    return err_set(err, E_REGISTRY_UNAVAILABLE, "an answer without \"%s\"", member);
}

static enum rcode schema_of(const json_t *root, struct arena *arena, struct str *ret_text,
                            struct err *err)
{
    struct str text = text_of(json_object_get(root, "schema"));
    struct str type = text_of(json_object_get(root, "schemaType"));
    if (!text.data)
        return lacks(err, "schema");
    if (type.data && !str_equal(type, STR("AVRO")))
        return err_set(err, E_UNKNOWN_SCHEMA, "it is of type %.*s, not Avro",
                       (int)(type.len < 40 ? type.len : 40), type.data);
    if (json_array_size(json_object_get(root, "references")))
        return err_set(err, E_UNKNOWN_SCHEMA,
                       "it refers to other schemas of the registry; register it in one piece");
    *ret_text = arena_str(arena, text);
    return OK;
}

enum rcode answer_schema(struct str body, struct arena *arena, struct str *ret_text,
                         struct err *err)
{
    json_t *root = object_of(body, err);
    if (!root)
        return err->code;
    enum rcode rc = schema_of(root, arena, ret_text, err);
    json_decref(root);
    return rc;
}

enum rcode answer_id(struct str body, int32_t *ret_id, int *ret_version, struct err *err)
{
    json_t *root = object_of(body, err);
    enum rcode rc = OK;
    if (!root)
        return err->code;
    const json_t *id = json_object_get(root, "id");
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX) {
        rc = lacks(err, "id");
    } else {
        *ret_id = (int32_t)json_integer_value(id);
        *ret_version = version > 0 && version <= INT32_MAX ? (int)version : 0;
    }
    json_decref(root);
    return rc;
}

enum rcode answer_compatible(struct str body, bool *ret_compatible, struct buf *messages,
                             struct err *err)
{
    json_t *root = object_of(body, err);
    enum rcode rc = OK;
    if (!root)
        return err->code;
    const json_t *compatible = json_object_get(root, "is_compatible");
    const json_t *list = json_object_get(root, "messages");
    if (!json_is_boolean(compatible))
        rc = lacks(err, "is_compatible");
    else
        *ret_compatible = json_is_true(compatible);
    for (size_t i = 0; rc == OK && i < json_array_size(list) && i < MESSAGES_MAX; i++) {
        struct str message = text_of(json_array_get(list, i));
        if (message.data) {
            buf_str(messages, messages->len ? STR("; ") : STR(""));
            buf_str(messages, message);
        }
    }
    struct str reason = text_of(json_object_get(root, "reason")); /* as Apicurio has it */
    if (rc == OK && reason.data && !messages->len)
        buf_str(messages, reason);
    json_decref(root);
    return rc;
}

int answer_error(struct str body, struct arena *arena, struct str *ret_message)
{
    struct err ignored;
    json_t *root = object_of(body, &ignored);
    *ret_message = STR_NULL;
    if (!root)
        return 0;
    json_int_t code = json_integer_value(json_object_get(root, "error_code"));
    *ret_message = arena_str(arena, text_of(json_object_get(root, "message")));
    json_decref(root);
    return code > 0 && code < 1000000 ? (int)code : 0;
}
