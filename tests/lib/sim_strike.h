/*
 * One blow at one call: the n-th call of an operation that a node makes is refused, its answer is
 * lost, the node dies before or after it, or it stands still in front of it while the world goes
 * on. And the small world that such blows are dealt in: the same input every time, so that the
 * calls are the same too.
 */
#pragma once
#include "sim.h"

struct sim_strike {
    struct sim *sim;
    int node;
    enum memory_op op;
    uint64_t call; /* from 1, of the node's first life; 0: never */
    struct memory_fault fault;
    /* What happens in front of the call, before the fault; the node is stalled meanwhile. NULL:
     * nothing. */
    void (*meanwhile)(struct sim *sim, int node);
    bool stumbles; /* one batch is aborted and one commit's outcome unknown whatever else happens */
    bool hit;
    uint64_t calls[MEMORY_OP_COUNT]; /* what the node's first life has made */
};

/* Nodes started from now on meet it. */
void sim_strike_arm(struct sim_strike *strike, struct sim *sim);

/* "commit #3, killed before": for messages. Static memory. */
const char *sim_strike_text(const struct sim_strike *strike);

/* The small world: two partitions, two nodes, batches of ten. sim_init() without any node started.
 */
void sim_small_init(struct sim *sim, uint64_t seed);
/* Feeds, steps and lets everything happen that there is: several batches, a rebalance, a
 * certificate without records. Ends anywhere. */
void sim_small_story(struct sim *sim);

/* Heals, drains, asks the oracle; fails the test with `what`. */
void sim_finish(struct sim *sim, const char *what);

/* How many calls of each operation node 0 makes in its first life when nothing strikes. */
void sim_small_calls(uint64_t seed, bool stumbles, uint64_t ret_calls[MEMORY_OP_COUNT]);

/* What Kafka may answer to an operation without having done it (done false) or having done it; OK
 * ends. */
const enum rcode *sim_answers(enum memory_op op, bool done);
