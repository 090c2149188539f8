/* One HTTP exchange with the registry, and the attempts it takes. For src/registry only. */
#pragma once
#include "registry/registry.h"

struct transport;

enum rcode transport_open(const struct registry_options *options, struct registry_stats *stats,
                          struct transport **ret_transport, struct err *err) WARN_UNUSED;
void transport_close(struct transport *transport);

/* `path` is appended to the url; `body` NULL: GET. Retries as registry.h says. A 2xx has its body
 * in `answer`; anything else is an error, named by `what`. */
enum rcode transport_call(struct transport *transport, const char *method, struct str path,
                          struct str body, const char *what, struct buf *answer,
                          struct err *err) WARN_UNUSED;

/* Notes that the last 2xx was no answer of a registry. */
void transport_disbelieve(struct transport *transport);

/* Appends a part of a path, percent-encoded. */
void transport_escape(struct buf *path, struct str part);
