/*
 * What a codec is told of schemas from outside: schemas.dir, and the registry of the configuration.
 * The registry has a subject for each record, its full name (RecordNameStrategy): one topic holds
 * several records, and one record goes through several topics. Nothing here registers anything.
 */
#pragma once
#include <pthread.h>

#include "codec/record.h"
#include "ops/config.h"
#include "registry/lookup.h"

/* Sets of record kinds, as bits. */
#define SCHEMAS_NONE 0u
#define SCHEMAS_OF_INPUT (1u << RECORD_BOUNCE | 1u << RECORD_DELIVERY | 1u << RECORD_OVERRIDE)
#define SCHEMAS_OF_OUTPUT                                                                          \
    (1u << RECORD_RETRY_COMMAND | 1u << RECORD_SUPPRESSION_EVENT | 1u << RECORD_RECIPIENT_NOTICE | \
     1u << RECORD_RECIPIENT_STATE)
#define SCHEMAS_ALL (SCHEMAS_OF_INPUT | SCHEMAS_OF_OUTPUT)

/* The registry of the configuration, whose strings these are. */
struct registry_options schemas_registry(const struct config *config);

/* "rimbalzo.BounceRecord" */
#define SCHEMAS_SUBJECT_MAX 64
struct str schemas_subject(enum record_kind kind, char subject[SCHEMAS_SUBJECT_MAX]);

/* The ids of the current schemas of `kinds`, -1 for the others. E_SCHEMA: one is not registered,
 * with what to do. */
enum rcode schemas_find(struct registry *registry, const struct config *config, unsigned kinds,
                        int32_t ret_ids[RECORD_KIND_COUNT], struct err *err) WARN_UNUSED;

/* What the registry says of the current schema of one record; for `schema check` and `doctor`. */
struct schemas_finding {
    enum rcode rc; /* OK: registered; E_UNKNOWN_SCHEMA: not; else why it is not known */
    int32_t id;
    int version; /* 0: not told */
    struct err why;
};

/* Reaches the registry and looks up the subjects of `kinds`. E_CONFIG, or what the first of them
 * met that says nothing of a schema: E_REGISTRY_UNAVAILABLE, E_AUTH. */
enum rcode schemas_probe(const struct config *config, unsigned kinds,
                         struct schemas_finding ret_findings[RECORD_KIND_COUNT],
                         struct err *err) WARN_UNUSED;

/* --- for commands, which may wait for the registry ----------------------------------------------
 */

#define SCHEMAS_ABSENT_MAX 64

struct schemas {
    struct codec_options codec; /* for codec_new, as long as this lives and does not move */
    struct registry *registry;  /* NULL: none is configured; used under the lock */
    pthread_mutex_t lock;       /* codecs of several threads may ask */
    int32_t ids[RECORD_KIND_COUNT];
    int32_t absent[SCHEMAS_ABSENT_MAX]; /* ids that the registry does not have */
    uint32_t absent_count;
    struct err failed; /* the registry did not answer … */
    int64_t failed_ms; /* … at this monotonic time, and is not asked again for a moment */
};

/* `written`: the kinds that will be encoded. With a registry and schemas.registry.write they must
 * be registered: E_SCHEMA. */
enum rcode schemas_open(const struct config *config, unsigned written, struct schemas *ret_schemas,
                        struct err *err) WARN_UNUSED;
void schemas_close(struct schemas *schemas); /* of an opened or zeroed one, after its codecs */

/* --- for services, which must not ----------------------------------------------------------------
 */

/* Of all threads of a process. */
struct schemas_service {
    struct lookup *lookup; /* NULL: no registry is configured */
    struct registry_stats stats;
    int32_t ids[RECORD_KIND_COUNT];
    bool writes; /* Confluent's frames, with these ids */
};

/* Asks what has to be known before the first record: the ids of our own schemas, `written` and
 * those that may be there. To be called again when it answers E_REGISTRY_UNAVAILABLE. */
enum rcode schemas_service_start(struct schemas_service *service, const struct config *config,
                                 unsigned written, struct err *err) WARN_UNUSED;
void schemas_service_stop(struct schemas_service *service);

/* For codec_new of one thread, whose asker it is. */
struct codec_options schemas_service_codec(struct schemas_service *service,
                                           const struct config *config, struct lookup_asker *asker);
