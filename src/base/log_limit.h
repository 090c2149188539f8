/*
 * How often a line may be said: LOG_REPEATS_MAX times in LOG_WINDOW_MS. What comes more often is
 * counted, and told in one line when the window ends, with `repeated=` and the text of the first
 * one that was not written; nothing is lost. Not thread-safe; log.c holds a lock. No clock: the
 * caller says what time it is.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define LOG_REPEATS_MAX 10
#define LOG_WINDOW_MS 60000
#define LOG_PLACES_MAX 64 /* watched at once; of more, the oldest window ends early */

struct log_place {
    uint64_t id; /* 0: free */
    int64_t since_ms;
    int written;
    int64_t repeated; /* lines not written */
    struct buf body;  /* of the first of them */
};

/* Zero-initialise. */
struct log_limit {
    struct log_place places[LOG_PLACES_MAX];
};

/* Takes a place out of the table that has lines to tell of. */
typedef void (*log_limit_tell)(void *context, const struct log_place *place);

/* Ends the windows that are over at `now_ms`; INT64_MAX: all. */
void log_limit_expire(struct log_limit *limit, int64_t now_ms, log_limit_tell tell, void *context);

/* The place of `id`; if none is free, that of the oldest window, which ends. */
struct log_place *log_limit_place(struct log_limit *limit, uint64_t id, int64_t now_ms,
                                  log_limit_tell tell, void *context);
