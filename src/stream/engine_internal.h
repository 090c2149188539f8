/* Shared by engine.c, transaction.c and restore.c; nobody else includes it. */
#pragma once
#include "stream/engine.h"
#include "stream/partition.h"

#define RESTORE_CHUNK 16384 /* records per LMDB transaction while restoring */

struct engine {
    struct engine_options options;
    struct port *port;
    struct processor *processor;
    struct partition *partitions; /* the assigned ones, by id ascending */
    int partition_count;
    struct port_record *records; /* the batch being collected */
    size_t record_count;
    size_t record_bytes;
    struct port_record *restore_records;
    struct port_commit *commits; /* scratch */
    char (*commit_texts)[PORT_METADATA_MAX + 1];
    int32_t *batch_partitions;    /* scratch */
    struct deferrals deferrals;   /* of the batch in hand */
    int64_t transaction_began_ms; /* monotonic: the last one */
    size_t batch_max; /* records of the next batch: batch_records_max, or less for a slow broker */
    bool producer_ready;
    bool assign_dirty;  /* the set of RUNNING partitions or a position has changed */
    bool restore_dirty; /* the set of partitions being read has changed */
    bool counts_checked;
    int64_t producer_retry_at_ms;
    int64_t rebuild_window_start_ms;
    int rebuilds;
    bool idle;
    atomic_bool stopping;
    int64_t transaction_began_us; /* the same, for the histogram */
    struct engine_stats stats;
    struct board board;
    struct board_entry *board_entries; /* scratch */
    struct ask ask;
};

struct partition *engine_partition(struct engine *engine, int32_t id); /* NULL: not ours */
int64_t engine_now(struct engine *engine);                             /* monotonic ms */

/* An error is counted once, where it is met, whatever follows from it. */
void engine_count_error(struct engine *engine, enum engine_stage stage, enum rcode rc);
void engine_warn(struct engine *engine, enum rcode rc, const struct err *err);

/* After a turn: how many partitions are in which state, that the loop is alive, and the board. */
void engine_publish(struct engine *engine);
/* The board alone, at once: partitions have come or gone. */
void engine_publish_board(struct engine *engine);

/* Stops one partition with a named error; the others go on. */
void engine_fail(struct engine *engine, struct partition *partition, const struct err *err);

/* Sends a RUNNING (or ASSIGNED) partition back to prove its state; `discard` throws local state
 * away first. */
void engine_restore(struct engine *engine, struct partition *partition, const char *why,
                    bool discard);

/* One bounded piece of restoring. Errors are dealt with per partition; only fatal ones are
 * returned. */
enum rcode restore_turn(struct engine *engine, struct err *err);

/* Commits the batch in hand and whatever needs certifying. Deals with everything short of fatal
 * errors. */
enum rcode transaction_run(struct engine *engine, struct err *err);

/* Producer open, waiting included; true when transactions are possible. */
bool transaction_ready(struct engine *engine);
