#include "stream/partition.h"

#include <assert.h>

const char *const partition_state_names[PARTITION_STATE_COUNT] = {
#define X(constant, string) [constant] = string,
    PARTITION_STATES(X)
#undef X
};

#define TO(state) (1u << (state))

static const unsigned partition_next[PARTITION_STATE_COUNT] = {
    [PARTITION_ASSIGNED] = TO(PARTITION_RESTORING) | TO(PARTITION_FAILED) | TO(PARTITION_REVOKED),
    [PARTITION_RESTORING] = TO(PARTITION_RUNNING) | TO(PARTITION_FAILED) | TO(PARTITION_REVOKED),
    [PARTITION_RUNNING] = TO(PARTITION_RESTORING) | TO(PARTITION_FAILED) | TO(PARTITION_REVOKED),
    [PARTITION_FAILED] = TO(PARTITION_REVOKED),
    [PARTITION_REVOKED] = 0,
};

void partition_move(struct partition *partition, enum partition_state state)
{
    assert(partition_next[partition->state] & TO(state));
    partition->state = state;
}
