/* Shared by reshard.c and reshard_plan.c; nobody else includes it. */
#pragma once
#include "cli/reshard.h"

/* Whether a key can be in both partitions. */
bool reshard_shares_keys(const struct reshard *reshard, int32_t source, int32_t target);

/* Where a state of the old topic goes, and what it is there; the value may lie in `scratch`. */
enum rcode reshard_carry(struct reshard *reshard, const struct port_record *record,
                         int32_t *ret_partition, struct str *ret_value,
                         struct err *err) WARN_UNUSED;

struct reshard_measure {
    uint64_t entries;
    uint64_t digest;
    uint64_t content; /* digest without source_offset */
};

/* The live states of a partition. */
enum rcode reshard_measure(struct reshard *reshard, const char *topic, int32_t partition,
                           struct reshard_measure *ret_measure, struct err *err) WARN_UNUSED;
