/*
 * A schema registry's REST interface, as Confluent has it and others answer it too (Apicurio at
 * /apis/ccompat/v7, Karapace, Redpanda): the only place of libcurl in our code.
 *
 * A handle belongs to one thread. Every call has a deadline (`timeout_ms` for an attempt, and for
 * all attempts together), tries again after what may pass (no connection, 5xx, 429), follows no
 * redirect and takes no answer above ANSWER_SIZE_MAX. What goes wrong has one of these codes:
 *
 *   E_REGISTRY_UNAVAILABLE  no answer, or one that no registry gives: the same call may succeed
 * later E_AUTH                  401 or 403 E_UNKNOWN_SCHEMA        the registry says that it has no
 * such schema or subject E_SCHEMA                the registry refuses what it was sent
 */
#pragma once
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct registry_options {
    const char *url; /* http:// or https://, a path is kept; no user, query or fragment */
    const char *user, *password_file;                     /* basic authentication; NULL: none */
    const char *ca_file;                                  /* NULL: the system's */
    const char *cert_file, *key_file, *key_password_file; /* of the client; NULL: none */
    int64_t timeout_ms;
};

#define REGISTRY_OUTCOMES(X)                                                                       \
    X(REGISTRY_OK, "ok")                                                                           \
    X(REGISTRY_NOT_FOUND, "not_found")                                                             \
    X(REGISTRY_REFUSED, "refused")         /* another 4xx */                                       \
    X(REGISTRY_INVALID, "invalid")         /* no answer that a registry gives */                   \
    X(REGISTRY_UNAVAILABLE, "unavailable") /* no answer, 5xx, 429 */
#define X(constant, string) constant,
enum registry_outcome { REGISTRY_OUTCOMES(X) REGISTRY_OUTCOME_COUNT };
#undef X
extern const char *const registry_outcome_names[REGISTRY_OUTCOME_COUNT];

/* Of all handles that share it, attempts counted singly. */
struct registry_stats {
    atomic_llong requests[REGISTRY_OUTCOME_COUNT];
};

struct registry;

/* Asks nothing yet. `stats` NULL: not counted. The options' strings must live as long. E_CONFIG: a
 * file that cannot be read. */
enum rcode registry_open(const struct registry_options *options, struct registry_stats *stats,
                         struct registry **ret_registry, struct err *err) WARN_UNUSED;
void registry_close(struct registry *registry); /* NULL is allowed */

/* The text of a schema by its id. */
enum rcode registry_schema(struct registry *registry, int32_t id, struct arena *arena,
                           struct str *ret_text, struct err *err) WARN_UNUSED;

/* The id of exactly this schema under the subject. E_UNKNOWN_SCHEMA: it is not registered. */
enum rcode registry_find(struct registry *registry, struct str subject, struct str text,
                         int32_t *ret_id, int *ret_version, struct err *err) WARN_UNUSED;

/* Registers it, octet for octet. E_SCHEMA: refused, mostly as incompatible. */
enum rcode registry_register(struct registry *registry, struct str subject, struct str text,
                             int32_t *ret_id, struct err *err) WARN_UNUSED;

/* Whether the subject would take it; one that does not exist would. */
enum rcode registry_check(struct registry *registry, struct str subject, struct str text,
                          bool *ret_compatible, struct buf *messages, struct err *err) WARN_UNUSED;

/* The newest version's text. E_UNKNOWN_SCHEMA: no such subject. */
enum rcode registry_latest(struct registry *registry, struct str subject, struct arena *arena,
                           struct str *ret_text, int32_t *ret_id, int *ret_version,
                           struct err *err) WARN_UNUSED;

/* The subject's own compatibility level. */
enum rcode registry_set_level(struct registry *registry, struct str subject, const char *level,
                              struct err *err) WARN_UNUSED;
