/* The roles a process can have, each a processor with a group of its own. */
#pragma once
#include "stream/topic.h"

#define ROLES(X)                                                                                   \
    X(ROLE_WORKER, "worker")                                                                       \
    X(ROLE_DISPATCHER, "dispatcher")                                                               \
    X(ROLE_INGEST, "ingest")
#define X(constant, string) constant,
enum role { ROLES(X) ROLE_COUNT };
#undef X
extern const char *const role_names[ROLE_COUNT];

extern const enum topic role_inputs[ROLE_COUNT];       /* what it consumes */
extern const enum topic role_certificates[ROLE_COUNT]; /* where its certificate is committed */

/* The roles before this one have topics and groups that the configuration names; an ingest job's
 * only its command line does, so other commands do not know of it. */
#define ROLES_CONFIGURED ROLE_INGEST
