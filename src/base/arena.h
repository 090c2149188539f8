/*
 * Memory of one batch: many small allocations, freed all at once. Chunks are kept for the next
 * batch. Allocation failure ends the process with a message (memory is bounded by limits.h and the
 * batch size; a worker that cannot allocate 64 KiB has nothing better to do than be restarted).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head; /* chunks in use, newest first */
    struct arena_chunk *spare;
    size_t used;     /* bytes handed out since the last reset */
    size_t retained; /* bytes of all chunks */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* Everything handed out becomes invalid; up to `keep` bytes of chunks stay for reuse. */
void arena_reset(struct arena *arena, size_t keep);

/* `size` octets, aligned for any type, not zeroed. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy; null stays null. A NUL follows the copy, uncounted. */
struct str arena_str(struct arena *arena, struct str text);

/* printf into the arena. */
struct str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));

/* malloc and friends that end the process instead of returning NULL: the only ones used outside
 * base. */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *memory, size_t size);
char *mem_strdup(const char *text);
void mem_free(void *memory);
