#include "cli/schemas.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "embedded.h"

#define FAILED_MS 5000

struct registry_options schemas_registry(const struct config *config)
{
    return (struct registry_options){
        .url = config->schemas.registry.url,
        .user = config->schemas.registry.user,
        .password_file = config->schemas.registry.password_file,
        .ca_file = config->schemas.registry.ca_file,
        .cert_file = config->schemas.registry.cert_file,
        .key_file = config->schemas.registry.key_file,
        .key_password_file = config->schemas.registry.key_password_file,
        .timeout_ms = config->schemas.registry.timeout_ms,
    };
}

struct str schemas_subject(enum record_kind kind, char subject[SCHEMAS_SUBJECT_MAX])
{
    int len = snprintf(subject, SCHEMAS_SUBJECT_MAX, "rimbalzo.%s", record_kind_names[kind]);
    return (struct str){subject, (size_t)len};
}

static enum rcode find_one(struct registry *registry, enum record_kind kind, struct str text,
                           int32_t *ret_id, int *ret_version, struct err *err)
{
    char subject[SCHEMAS_SUBJECT_MAX];
    return registry_find(registry, schemas_subject(kind, subject), text, ret_id, ret_version, err);
}

enum rcode schemas_find(struct registry *registry, const struct config *config, unsigned kinds,
                        int32_t ret_ids[RECORD_KIND_COUNT], struct err *err)
{
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        int version;
        ret_ids[kind] = -1;
        if (!(kinds & 1u << kind))
            continue;
        enum rcode rc =
            find_one(registry, (enum record_kind)kind, record_schema_text((enum record_kind)kind),
                     &ret_ids[kind], &version, err);
        if (rc == E_UNKNOWN_SCHEMA)
            return err_set(err, E_SCHEMA,
                           "the schema of %s is not registered as rimbalzo.%s at %s: `rimbalzo "
                           "schema register` does that; or set schemas.registry.write: false",
                           record_kind_names[kind], record_kind_names[kind],
                           config->schemas.registry.url);
        if (rc != OK)
            return rc;
    }
    return OK;
}

enum rcode schemas_probe(const struct config *config, unsigned kinds,
                         struct schemas_finding ret_findings[RECORD_KIND_COUNT], struct err *err)
{
    struct registry_options options = schemas_registry(config);
    struct registry *registry = NULL;
    enum rcode rc = registry_open(&options, NULL, &registry, err);
    for (int kind = 0; rc == OK && kind < RECORD_KIND_COUNT; kind++) {
        struct schemas_finding *finding = &ret_findings[kind];
        *finding = (struct schemas_finding){.id = -1};
        if (!(kinds & 1u << kind))
            continue;
        finding->rc =
            find_one(registry, (enum record_kind)kind, record_schema_text((enum record_kind)kind),
                     &finding->id, &finding->version, &finding->why);
        if (finding->rc == E_REGISTRY_UNAVAILABLE || finding->rc == E_AUTH) {
            *err = finding->why;
            rc = finding->rc;
        }
    }
    registry_close(registry);
    return rc;
}

/* --- commands --- */

static enum rcode ask(struct schemas *schemas, int32_t id, struct arena *arena,
                      struct str *ret_text, struct err *err)
{
    if (schemas->failed.code != OK && clock_monotonic_ms() - schemas->failed_ms < FAILED_MS) {
        *err = schemas->failed;
        return err->code;
    }
    for (uint32_t i = 0; i < schemas->absent_count; i++)
        if (schemas->absent[i] == id)
            return err_set(err, E_UNKNOWN_SCHEMA, "schema id %d: the registry has none", id);
    enum rcode rc = registry_schema(schemas->registry, id, arena, ret_text, err);
    if (rc == E_UNKNOWN_SCHEMA && schemas->absent_count < SCHEMAS_ABSENT_MAX)
        schemas->absent[schemas->absent_count++] = id;
    if (rc != OK && rc != E_UNKNOWN_SCHEMA) {
        schemas->failed = *err;
        schemas->failed_ms = clock_monotonic_ms();
    }
    return rc;
}

static enum rcode resolve(void *context, int32_t id, struct arena *arena, struct str *ret_text,
                          struct err *err)
{
    struct schemas *schemas = context;
    pthread_mutex_lock(&schemas->lock);
    enum rcode rc = ask(schemas, id, arena, ret_text, err);
    pthread_mutex_unlock(&schemas->lock);
    return rc;
}

enum rcode schemas_open(const struct config *config, unsigned written, struct schemas *ret_schemas,
                        struct err *err)
{
    struct registry_options options = schemas_registry(config);
    *ret_schemas = (struct schemas){.codec = {.schemas_dir = config->schemas.dir},
                                    .lock = PTHREAD_MUTEX_INITIALIZER};
    if (!options.url)
        return OK;
    enum rcode rc = registry_open(&options, NULL, &ret_schemas->registry, err);
    if (rc != OK)
        return rc;
    ret_schemas->codec.resolve = resolve;
    ret_schemas->codec.resolve_context = ret_schemas;
    if (!config->schemas.registry.write || !written)
        return OK;
    ret_schemas->codec.registered_ids = ret_schemas->ids;
    return schemas_find(ret_schemas->registry, config, written, ret_schemas->ids, err);
}

void schemas_close(struct schemas *schemas)
{
    registry_close(schemas->registry);
    *schemas = (struct schemas){0};
}

/* --- services --- */

/* Makes those of `kinds`, and any earlier version that is registered, known for good: records in
 * the topics and states in the store were written with them, and they are read with the registry
 * down as well. */
static enum rcode learn(struct schemas_service *service, struct registry *registry, struct err *err)
{
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        char folder[64];
        int len = snprintf(folder, sizeof(folder), "released/%s/", record_kind_names[kind]);
        for (const struct embedded_file *file = embedded_files; file->name; file++) {
            struct str text = {file->data, file->size};
            int32_t id;
            int version;
            if (strncmp(file->name, folder, (size_t)len) != 0)
                continue;
            enum rcode rc = find_one(registry, (enum record_kind)kind, text, &id, &version, err);
            if (rc == OK)
                lookup_put(service->lookup, id, text);
            else if (rc != E_UNKNOWN_SCHEMA)
                return rc;
        }
    }
    return OK;
}

enum rcode schemas_service_start(struct schemas_service *service, const struct config *config,
                                 unsigned written, struct err *err)
{
    struct registry_options options = schemas_registry(config);
    struct registry *registry = NULL;
    enum rcode rc = OK;
    if (!options.url)
        return OK;
    if (!service->lookup)
        rc = lookup_open(&options, &service->stats, &service->lookup, err);
    if (rc != OK || !config->schemas.registry.write)
        return rc;
    rc = registry_open(&options, &service->stats, &registry, err);
    if (rc == OK)
        rc = schemas_find(registry, config, written, service->ids, err);
    if (rc == OK)
        rc = learn(service, registry, err);
    registry_close(registry);
    if (rc != OK)
        return rc;
    service->writes = true;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++)
        if (service->ids[kind] >= 0)
            log_info("registered", "records are written with a schema id",
                     LOG_S("record", record_kind_names[kind]), LOG_I("id", service->ids[kind]));
    return OK;
}

void schemas_service_stop(struct schemas_service *service)
{
    lookup_close(service->lookup);
    service->lookup = NULL;
}

struct codec_options schemas_service_codec(struct schemas_service *service,
                                           const struct config *config, struct lookup_asker *asker)
{
    struct codec_options options = {.schemas_dir = config->schemas.dir};
    if (!service->lookup)
        return options;
    *asker = (struct lookup_asker){.lookup = service->lookup};
    options.resolve = lookup_resolve;
    options.resolve_context = asker;
    if (service->writes)
        options.registered_ids = service->ids;
    return options;
}
