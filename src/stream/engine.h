/*
 * The engine: one thread's loop over a port and a processor. See engine.c for the story of a batch,
 * restore.c for how a partition proves its state, and src/README.md for the table of crash points.
 */
#pragma once
#include <stdatomic.h>

#include "base/counter.h"
#include "stream/ask.h"
#include "stream/board.h"
#include "stream/port.h"
#include "stream/processor.h"

struct engine;

struct engine_options {
    struct port *port;           /* not owned */
    struct processor *processor; /* not owned */
    int thread;                  /* number of the thread, for log lines */
    size_t batch_records_max;
    size_t batch_bytes_max;
    int64_t commit_interval_ms;
    int64_t certificate_refresh_ms;
    int rebuilds_max;        /* producer rebuilds within ten minutes before the process gives up */
    int32_t partition_count; /* of the input topic, as checked at start */
};

/* How a transaction ended; a metric label. */
#define TRANSACTION_OUTCOMES(X)                                                                    \
    X(TRANSACTION_COMMITTED, "committed")                                                          \
    X(TRANSACTION_ABORTED, "aborted") /* and its batch is done again */                            \
    X(TRANSACTION_UNKNOWN, "unknown") /* the certificates tell; the producer was rebuilt */

/* What the engine was doing when it met an error; a metric label. */
#define ENGINE_STAGES(X)                                                                           \
    X(STAGE_POLL, "poll")               /* reading the input, staying in the group */              \
    X(STAGE_RESTORE, "restore")         /* proving a partition's state */                          \
    X(STAGE_PRODUCER, "producer")       /* making one, finishing what a predecessor left */        \
    X(STAGE_TRANSACTION, "transaction") /* from begin to the log's commit */                       \
    X(STAGE_STORE, "store")             /* committing LMDB after the log */

#define X(constant, string) constant,
enum transaction_outcome { TRANSACTION_OUTCOMES(X) TRANSACTION_OUTCOME_COUNT };
enum engine_stage { ENGINE_STAGES(X) ENGINE_STAGE_COUNT };
#undef X
extern const char *const transaction_outcome_names[TRANSACTION_OUTCOME_COUNT];
extern const char *const engine_stage_names[ENGINE_STAGE_COUNT];

/* Since start; written by the engine's thread, readable from any other. */
struct engine_stats {
    atomic_llong records; /* of the input, in committed transactions */
    atomic_llong transactions[TRANSACTION_OUTCOME_COUNT];
    atomic_llong produced[TOPIC_COUNT]; /* in committed transactions */
    atomic_llong errors[ENGINE_STAGE_COUNT][RCODE_COUNT];
    atomic_llong error_ms[ENGINE_STAGE_COUNT][RCODE_COUNT]; /* wall clock of the last; 0: none */
    atomic_llong rebuilds, restored, rebalances;
    struct histogram transaction_seconds;  /* from begin to its end, whatever the outcome */
    struct histogram store_commit_seconds; /* of one partition */
    atomic_int partitions_running, partitions_restoring, partitions_failed;
    atomic_int trouble;        /* enum rcode of what keeps it from committing now; OK: nothing */
    atomic_llong last_turn_ms; /* monotonic: the loop is alive */
};

extern const struct histogram_layout engine_transaction_layout, engine_store_layout;

struct engine *engine_new(const struct engine_options *options);

/* Leaves: closes every partition cleanly. The port stays open. NULL allowed. */
void engine_free(struct engine *engine);

/* As free, but closes partitions as a crash would (after E_INSTANCE_FENCED, and in simulation). */
void engine_abandon(struct engine *engine);

/* One turn: poll, restore a piece, run at most one transaction. OK to call again; otherwise the
 * error is fatal for the process (codes with DISPOSITION_FATAL). */
enum rcode engine_step(struct engine *engine, struct err *err) WARN_UNUSED;

/* From any thread: retry loops give up soon, so that engine_step returns. */
void engine_stop(struct engine *engine);

const struct engine_stats *engine_stats(const struct engine *engine);

/* What it says of its partitions: to be read from any thread, as long as the engine lives. */
struct board *engine_board(struct engine *engine);

/* For questions to its thread, likewise; answered at the end of each turn, after the board is
 * written. */
struct ask *engine_ask(struct engine *engine);

/* The code that a partition has stopped with; OK: it has not, or is not ours. For simulation. */
enum rcode engine_failure(const struct engine *engine, int32_t partition);

/* True when nothing is left to do now: every assigned partition runs, the last poll found no record
 * and every offset is committed. For simulation. */
bool engine_idle(const struct engine *engine);
