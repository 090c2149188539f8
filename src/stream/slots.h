/*
 * The local state of a processor's partitions: a store each, under
 * `<state_dir>/<app>/<topic>-<partition>`. What every processor does with it is here: open, close,
 * throw away, begin with room enough, commit, abort. A processor embeds struct slot first in what
 * it keeps of a partition itself.
 */
#pragma once
#include "store/store.h"
#include "stream/processor.h"

struct slot {
    int32_t partition;
    struct store *store;
    int64_t time_ms;       /* stream time, as committed; 0: none yet */
    int64_t batch_time_ms; /* with the batch in hand */
    bool begun;            /* the store's transaction is open */
    bool map_full;         /* it ran out of room: grow before the batch is done again */
};

/* Where local state lives and whose it is; the same for all processors of a process. */
struct state_options {
    const char *dir; /* state_dir of the configuration */
    const char *app;
    const char *cluster_id;
    enum store_durability durability;
    size_t map_size_initial;
    int64_t offline_ms_max; /* 0: state does not age */
};

struct slots_options {
    struct state_options state;
    enum store_kind kind;
    size_t slot_size;        /* of what embeds struct slot; zeroed when opened */
    const char *topic;       /* names the directories */
    const char *belongs_to;  /* "input=… changelog=…": other state is not ours */
    int32_t partition_count; /* of the input */
    int format;              /* of the values stored */
};

struct slots {
    struct slots_options options; /* `belongs_to` is a copy */
    struct slot **items;
    int count;
};

void slots_init(struct slots *slots, const struct slots_options *options);
/* Closes what is open, cleanly. */
void slots_deinit(struct slots *slots);

struct slot *slots_find(const struct slots *slots, int32_t partition); /* NULL: not open */

/* As processor_ops.open, close, discard. */
enum rcode slots_open(struct slots *slots, int32_t partition, struct local_state *ret_local,
                      struct err *err) WARN_UNUSED;
void slots_close(struct slots *slots, int32_t partition, bool clean);
enum rcode slots_discard(struct slots *slots, int32_t partition, struct err *err) WARN_UNUSED;

/* Closes it if it is open, and deletes its directory. */
enum rcode slots_remove(struct slots *slots, int32_t partition, struct err *err) WARN_UNUSED;

/* As processor_ops.usage. */
void slots_usage(const struct slots *slots, int32_t partition, struct processor_usage *ret_usage);

/* Opens the store's transaction unless it is open, with more room after it ran out of it. */
enum rcode slot_begin(struct slot *slot, struct err *err) WARN_UNUSED;

/* Notes which partition is at fault, and that its store needs room; returns `rc`. */
enum rcode slot_at_fault(struct slot *slot, struct batch *batch, enum rcode rc);

/* Restoring: begins, writes and commits, again with more room as long as the store runs out of it.
 */
typedef enum rcode slot_write(void *context, struct slot *slot, struct err *err);
enum rcode slots_write(struct slots *slots, int32_t partition, int64_t input_next, int64_t log_next,
                       slot_write *write, void *context, struct err *err) WARN_UNUSED;

/* As processor_ops.commit and abort. */
enum rcode slots_commit(struct slots *slots, int32_t partition, int64_t input_next,
                        int64_t log_next, struct err *err) WARN_UNUSED;
void slots_abort(struct slots *slots);
