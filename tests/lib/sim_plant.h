/*
 * A processor that stands between engine and worker and passes every call on: tests copy its
 * operations and change some, to plant a bug that the oracle has to find, or to watch.
 */
#pragma once
#include "sim.h"

#define SIM_PARTITIONS_MAX 16

struct sim_plant {
    struct processor processor;
    struct processor_ops ops;
    struct processor *inner;
    struct sim *sim;
    int node;
    /* What the planted operations remember of each partition. */
    char certificates[SIM_PARTITIONS_MAX][PORT_METADATA_MAX + 1];
    int64_t log_next[SIM_PARTITIONS_MAX];
};

/* Passes everything on; change `ops`. For mem_free(). */
struct sim_plant *sim_plant_new(struct sim *sim, int node, struct processor *worker);

struct sim_plant *sim_plant_of(struct processor *processor);

/* A bug: the store commits before the log. */
struct processor *sim_plant_store_before_log(struct sim *sim, int node, struct processor *worker);

/* --- the world that bugs are planted in --- */

typedef struct processor *sim_plant_fn(struct sim *sim, int node, struct processor *worker);

struct sim_trouble {
    enum sim_role role;
    struct memory_chaos_rates rates;
    int nodes;
    bool wipes;
};

/* Plants it (NULL: nothing) in the world of that seed. False: it did not come to rest, or the
 * oracle is red. */
bool sim_plant_green(uint64_t seed, sim_plant_fn *plant, struct sim_trouble trouble);

/* Runs seeds until the bug shows; each is green without it. Fails the test otherwise. */
void sim_plant_turns_red(sim_plant_fn *plant, struct sim_trouble trouble);
