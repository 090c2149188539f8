#include "cli/role.h"

const char *const role_names[ROLE_COUNT] = {
#define X(constant, string) [constant] = string,
    ROLES(X)
#undef X
};

const enum topic role_inputs[ROLE_COUNT] = {
    [ROLE_WORKER] = TOPIC_BOUNCES,
    [ROLE_DISPATCHER] = TOPIC_DELAYED,
    [ROLE_INGEST] = TOPIC_SOURCE,
};

const enum topic role_certificates[ROLE_COUNT] = {
    [ROLE_WORKER] = TOPIC_RECIPIENTS,
    [ROLE_DISPATCHER] = TOPIC_DUE,
    [ROLE_INGEST] = TOPIC_BOUNCES, /* it has none; a topic that is sure to exist */
};
