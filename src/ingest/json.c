#include "ingest/json.h"

#include <string.h>

#include "ingest/when.h"

#define NAME_MAX_OCTETS 64

const json_t *json_at(const json_t *object, const char *path)
{
    while (object) {
        char name[NAME_MAX_OCTETS];
        size_t len = strcspn(path, ".");
        if (len >= sizeof(name))
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        object = json_object_get(object, name);
        if (!path[len])
            break;
        path += len + 1;
    }
    return object && !json_is_null(object) ? object : NULL;
}

static struct str text_of(const json_t *value)
{
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : STR_NULL;
}

struct str json_text(const json_t *object, const char *path)
{
    return text_of(json_at(object, path));
}

struct str json_any_text(struct arena *arena, const json_t *object, const char *path)
{
    const json_t *value = json_at(object, path);
    if (json_is_integer(value))
        return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_real(value))
        return arena_printf(arena, "%.17g", json_real_value(value));
    if (json_is_boolean(value))
        return json_is_true(value) ? STR("true") : STR("false");
    return text_of(value);
}

static bool int_of(const json_t *value, int32_t *ret_number)
{
    json_int_t number = json_integer_value(value);
    if (json_is_string(value))
        return ingest_number(text_of(value), ret_number);
    if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
        return false;
    *ret_number = (int32_t)number;
    return true;
}

bool json_int(const json_t *object, const char *path, int32_t *ret_number)
{
    return int_of(json_at(object, path), ret_number);
}

int64_t json_time(const json_t *object, const char *path)
{
    const json_t *value = json_at(object, path);
    if (json_is_number(value))
        return when_epoch_number(json_number_value(value));
    struct str text = ingest_trim(text_of(value));
    int64_t time_ms = when_rfc3339(text);
    return time_ms == TIME_NULL ? when_epoch(text) : time_ms;
}

int32_t json_reply_code(const json_t *object, const char *path)
{
    int32_t code;
    return json_int(object, path, &code) && code >= 200 && code <= 599 ? code : 0;
}

/* --- hints --- */

/* One value, also where it comes as an array of it. */
static const json_t *only(const json_t *value)
{
    return json_is_array(value) ? json_array_get(value, 0) : value;
}

static void take_hint(struct str name, const json_t *value, const char *retry_of,
                      const char *message_id, const char *attempt, struct input_record *record)
{
    int32_t number;
    value = only(value);
    if (ingest_equal_caseless(name, str_of(retry_of)))
        record->retry_of = text_of(value);
    else if (ingest_equal_caseless(name, str_of(message_id)) && json_string_length(value))
        record->message_id = text_of(value);
    else if (ingest_equal_caseless(name, str_of(attempt)) && int_of(value, &number))
        record->message_attempt = number;
}

void json_hints(const json_t *metadata, struct input_record *record)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)metadata, name, value)
        take_hint(str_of(name), value, INGEST_RETRY_OF_NAME, INGEST_MESSAGE_ID_NAME,
                  INGEST_ATTEMPT_NAME, record);
}

/* The element of an array of headers: ["Name", "value"] or {"name": …, "value": …}. */
static const json_t *header_of(const json_t *element, struct str *ret_name)
{
    if (json_is_array(element)) {
        *ret_name = text_of(json_array_get(element, 0));
        return json_array_get(element, 1);
    }
    *ret_name = json_text(element, "name");
    return json_at(element, "value");
}

void json_header_hints(const json_t *headers, struct input_record *record)
{
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach((json_t *)headers, name, value)
        take_hint(str_of(name), value, INGEST_RETRY_OF_HEADER, INGEST_MESSAGE_ID_HEADER,
                  INGEST_ATTEMPT_HEADER, record);
    json_array_foreach(headers, i, value)
    {
        struct str header;
        const json_t *content = header_of(value, &header);
        take_hint(header, content, INGEST_RETRY_OF_HEADER, INGEST_MESSAGE_ID_HEADER,
                  INGEST_ATTEMPT_HEADER, record);
    }
}
