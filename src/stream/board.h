/*
 * What an engine thread tells of its partitions: written by the thread whenever something has
 * changed, a rebalance included, and copied by whoever wants to know. The lock is held for a copy
 * of a few hundred octets per partition, no longer.
 */
#pragma once
#include <pthread.h>

#include "stream/partition.h"

struct board_entry {
    int32_t partition;
    enum partition_state state;
    enum rcode failure;   /* FAILED: why */
    enum rcode held;      /* RUNNING: why nothing is fetched for a while; OK: it is */
    int64_t progress_ms;  /* wall clock: when its committed offset last grew; 0: not yet */
    int64_t restore_left; /* offsets that restoring has yet to read; -1: not known yet */
    int64_t restore_all;  /* and has to read in all; 0: not known, or nothing */
    struct processor_usage usage;
};

struct board {
    pthread_mutex_t lock;
    struct board_entry *entries; /* by partition, ascending */
    int count;
};

void board_init(struct board *board);
void board_deinit(struct board *board);

/* Replaces all entries; they are copied. */
void board_write(struct board *board, const struct board_entry *entries, int count);

/* A copy, to be freed with mem_free; returns how many there are. */
int board_read(struct board *board, struct board_entry **ret_entries);
