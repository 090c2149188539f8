/*
 * A simulated deployment: workers on the in-memory log with real stores, and the oracle that every
 * scenario ends in. Everything follows from the seed; a failure prints it.
 */
#pragma once
#include "dispatcher/dispatcher.h"
#include "stream/engine.h"
#include "stream/memory_port.h"
#include "worker/worker.h"

#define SIM_NODES_MAX 4

struct sim;

/* Which processor the nodes run. */
enum sim_role { SIM_WORKER, SIM_DISPATCHER, SIM_INGEST, SIM_ROLE_COUNT };

/* RIMBALZO_TEST_ROLE=dispatcher, =ingest, or the worker: scenarios that are told with any. */
enum sim_role sim_role(void);

struct sim_options {
    uint64_t seed;
    enum sim_role role;
    int32_t partitions;              /* of input and recipients */
    int nodes;                       /* started at once */
    int recipients;                  /* how many different addresses the generator uses */
    int64_t marker_delay_max_ms;     /* see memory_port.h */
    struct memory_chaos_rates chaos; /* of every op of every port; zero: none */
    size_t map_size_initial;         /* 0: 1 MiB */
    size_t batch_records_max;        /* 0: 200 */
    int64_t certificate_refresh_ms;  /* 0: an hour */
    int64_t delay_ms_max;            /* of dispatchers; 0: two hours */
    size_t poll_records_max;         /* that are read at once; 0: no limit */
    struct codec_options codec;      /* of whoever writes and judges from outside … */
    struct codec_options node_codec; /* … and of the nodes */
    bool clean;                      /* the generator makes no poison and no misrouted records */
    /* Puts something between engine and worker (sim_plant.h): what it returns is mem_free()d with
     * the node. */
    struct processor *(*plant)(struct sim *sim, int node, struct processor *worker);
};

struct sim_node {
    struct port *port;           /* NULL: not running */
    char dir[300];               /* its state directory */
    int64_t wall_offset_ms;      /* of its clock beside the cluster's */
    struct processor *worker;    /* or the dispatcher */
    struct processor *processor; /* what the engine runs: that, or what was planted */
    struct engine *engine;
    enum rcode ended; /* why it stopped by itself */
    int lives;        /* how often it was started */
    bool stalled;
    bool stays_down; /* nobody starts it again before sim_heal() */
};

struct sim {
    struct sim_options options;
    uint64_t random;
    struct memory_cluster *cluster;
    struct memory_chaos chaos;
    struct memory_faults faults; /* instead of the chaos, when set; of nodes started from then on */
    struct port *outside; /* a producer with a transaction open, see sim_feed_transaction() */
    struct policy_set policies;
    struct rule_set *rules;
    struct codec *codec;
    char dir[256];
    struct sim_node nodes[SIM_NODES_MAX];
    int64_t event_time_ms; /* of the generator */
    int64_t produced;
    struct sim_watch *watch; /* of dispatchers: what was seen when (sim_timers.c) */
};

/* Of the role. */
enum topic sim_input(const struct sim *sim);
enum topic sim_certified(const struct sim *sim); /* an ingest job certifies nothing */
const char *sim_group(const struct sim *sim);

/* The seeds to run: `usual` many, RIMBALZO_TEST_SEEDS many, or RIMBALZO_TEST_SEED alone. */
uint64_t sim_seed_first(void);
uint64_t sim_seed_last(uint64_t usual);
/* Logs of the engine: none, or all with RIMBALZO_TEST_LOG. */
void sim_log(void);
bool sim_thorough(void); /* RIMBALZO_TEST_SEEDS is given: do not sample */

void sim_init(struct sim *sim, const struct sim_options *options);
void sim_deinit(struct sim *sim);

uint64_t sim_random(struct sim *sim, uint64_t below);

/* Adversarial records. Of the worker's input: every class, any order of times, duplicates, poison,
 * misrouted ones. Of the dispatcher's: see sim_commands.c. */
void sim_feed(struct sim *sim, int count);
/* The same from a producer with transactions; aborted ones leave nothing but gaps. */
void sim_feed_transaction(struct sim *sim, int count, bool commit);
/* One bounce with status "4.2.1" (or as given) of `recipient` at `time_ms`. */
void sim_feed_bounce(struct sim *sim, const char *recipient, const char *status, int64_t time_ms,
                     const char *event_id);

void sim_start(struct sim *sim, int node);
/* With another node's instance id and transactional id, but its own directory. */
void sim_start_as(struct sim *sim, int node, int identity);
void sim_stall(struct sim *sim, int node); /* SIGSTOP: it makes no steps */
void sim_resume(struct sim *sim, int node);
void sim_stop(struct sim *sim, int node); /* SIGTERM */
void sim_kill(struct sim *sim, int node); /* SIGKILL */
void sim_wipe(struct sim *sim, int node); /* its state directory; not while it runs */
/* Its wall clock jumps to so much beside the cluster's; also when it is started again. */
void sim_set_clock(struct sim *sim, int node, int64_t wall_offset_ms);

/* One engine step of the node; a node that was killed by a fault or ended is cleaned up. */
void sim_step(struct sim *sim, int node);
void sim_step_all(struct sim *sim, int times);

/* Steps all running nodes until they are idle, everything is committed and nothing waits; false
 * after `steps`. */
bool sim_drain(struct sim *sim, int steps);

/* The same, where partitions that have stopped with an error count as at rest. */
bool sim_settle(struct sim *sim, int steps);

/* The code that a partition has stopped with; OK: it has not. */
enum rcode sim_failure(const struct sim *sim, int32_t partition);

/* Faults stop; the nodes that do not run are started. */
void sim_heal(struct sim *sim);

/* The oracle: outputs and final states of a read_committed reader equal the sequential fold of the
 * input, one record at a time from offset zero. Fails the cmocka test with the seed and the first
 * difference. Returns how many outputs there were. `expect_failure`: returns -1 instead of failing
 * when they differ. */
int64_t sim_check(struct sim *sim, bool expect_failure);
/* The same without one partition of every topic; the input must be clean, or records would cross
 * over. */
int64_t sim_check_without(struct sim *sim, int32_t partition);
