#include "registry/registry.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "registry/answer.h"
#include "registry/transport.h"

struct registry {
    struct transport *transport;
    struct buf path, answer;
};

enum rcode registry_open(const struct registry_options *options, struct registry_stats *stats,
                         struct registry **ret_registry, struct err *err)
{
    struct transport *transport;
    enum rcode rc = transport_open(options, stats, &transport, err);
    if (rc != OK)
        return rc;
    *ret_registry = mem_zalloc(sizeof(**ret_registry));
    (*ret_registry)->transport = transport;
    return OK;
}

void registry_close(struct registry *registry)
{
    if (!registry)
        return;
    transport_close(registry->transport);
    buf_deinit(&registry->path);
    buf_deinit(&registry->answer);
    mem_free(registry);
}

/* `before`, the subject, `after`. */
static struct str path_of(struct registry *registry, const char *before, struct str subject,
                          const char *after)
{
    buf_clear(&registry->path);
    buf_str(&registry->path, str_of(before));
    transport_escape(&registry->path, subject);
    buf_str(&registry->path, str_of(after));
    return buf_view(&registry->path);
}

static enum rcode call(struct registry *registry, const char *method, struct str path,
                       struct str body, const char *what, struct err *err)
{
    return transport_call(registry->transport, method, path, body, what, &registry->answer, err);
}

/* An answer that could not be read is none. */
static enum rcode read_answer(struct registry *registry, enum rcode rc, const char *what,
                              struct err *err)
{
    if (rc == E_REGISTRY_UNAVAILABLE)
        transport_disbelieve(registry->transport);
    if (rc != OK)
        err_prefix(err, "%s", what);
    return rc;
}

/* {"schema": "<text>"}: Avro is the default type, and the text stays as it is, doc and all. */
static char *schema_body(struct str text)
{
    json_t *root = json_pack("{s: s%}", "schema", text.data, text.len);
    char *body = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return body;
}

/* POST of a schema. */
static enum rcode post_schema(struct registry *registry, struct str path, struct str text,
                              const char *what, struct err *err)
{
    char *body = schema_body(text);
    if (!body)
        return err_set(err, E_SCHEMA, "%s: the schema is not UTF-8", what);
    enum rcode rc = call(registry, "POST", path, str_of(body), what, err);
    free(body); /* jansson's */
    return rc;
}

enum rcode registry_schema(struct registry *registry, int32_t id, struct arena *arena,
                           struct str *ret_text, struct err *err)
{
    char path[64], what[64];
    snprintf(path, sizeof(path), "/schemas/ids/%d", id);
    snprintf(what, sizeof(what), "schema id %d", id);
    enum rcode rc = call(registry, "GET", str_of(path), STR_NULL, what, err);
    if (rc != OK)
        return rc;
    rc = answer_schema(buf_view(&registry->answer), arena, ret_text, err);
    return read_answer(registry, rc, what, err);
}

enum rcode registry_find(struct registry *registry, struct str subject, struct str text,
                         int32_t *ret_id, int *ret_version, struct err *err)
{
    char what[200];
    snprintf(what, sizeof(what), "%.*s", STR_ARG(subject));
    struct str path = path_of(registry, "/subjects/", subject, "");
    enum rcode rc = post_schema(registry, path, text, what, err);
    if (rc != OK)
        return rc;
    rc = answer_id(buf_view(&registry->answer), ret_id, ret_version, err);
    return read_answer(registry, rc, what, err);
}

enum rcode registry_register(struct registry *registry, struct str subject, struct str text,
                             int32_t *ret_id, struct err *err)
{
    char what[200];
    int version;
    snprintf(what, sizeof(what), "%.*s", STR_ARG(subject));
    struct str path = path_of(registry, "/subjects/", subject, "/versions");
    enum rcode rc = post_schema(registry, path, text, what, err);
    if (rc != OK)
        return rc;
    rc = answer_id(buf_view(&registry->answer), ret_id, &version, err);
    return read_answer(registry, rc, what, err);
}

enum rcode registry_check(struct registry *registry, struct str subject, struct str text,
                          bool *ret_compatible, struct buf *messages, struct err *err)
{
    char what[200];
    snprintf(what, sizeof(what), "%.*s", STR_ARG(subject));
    /* Against every version, or the newest, as the subject's level wants. */
    struct str path =
        path_of(registry, "/compatibility/subjects/", subject, "/versions?verbose=true");
    enum rcode rc = post_schema(registry, path, text, what, err);
    if (rc == E_UNKNOWN_SCHEMA) {
        *ret_compatible = true;
        return OK;
    }
    if (rc == E_SCHEMA) { /* some say so instead of answering false */
        *ret_compatible = false;
        buf_str(messages, str_of(err->text));
        return OK;
    }
    if (rc != OK)
        return rc;
    rc = answer_compatible(buf_view(&registry->answer), ret_compatible, messages, err);
    return read_answer(registry, rc, what, err);
}

enum rcode registry_latest(struct registry *registry, struct str subject, struct arena *arena,
                           struct str *ret_text, int32_t *ret_id, int *ret_version, struct err *err)
{
    char what[200];
    snprintf(what, sizeof(what), "%.*s", STR_ARG(subject));
    struct str path = path_of(registry, "/subjects/", subject, "/versions/latest");
    enum rcode rc = call(registry, "GET", path, STR_NULL, what, err);
    if (rc != OK)
        return rc;
    rc = answer_schema(buf_view(&registry->answer), arena, ret_text, err);
    if (rc == OK)
        rc = answer_id(buf_view(&registry->answer), ret_id, ret_version, err);
    return read_answer(registry, rc, what, err);
}

enum rcode registry_set_level(struct registry *registry, struct str subject, const char *level,
                              struct err *err)
{
    char what[200], body[100];
    snprintf(what, sizeof(what), "compatibility of %.*s", STR_ARG(subject));
    snprintf(body, sizeof(body), "{\"compatibility\":\"%s\"}", level);
    struct str path = path_of(registry, "/config/", subject, "");
    return call(registry, "PUT", path, str_of(body), what, err);
}
