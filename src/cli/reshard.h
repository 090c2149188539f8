/*
 * The recipients carried over to another number of partitions.
 *
 * When the input topic gets partitions, keys move. So a new recipients topic of the new width is
 * written, partition for partition by the same partitioner, with certificates from which workers go
 * on in the input where they were:
 *
 *   plan    read the old topic and prove it against its certificates; what each new partition will
 *           hold, as number and digest; what of the input is not read yet
 *   begin   make the new topic; commit WORKER_UNFINISHED for each of its partitions, so that no
 *           worker can begin there; widen the input
 *   copy    write the states, in transactions; a partition that holds them already is passed over
 *   prove   read the new topic back: number and digest of each partition as planned, and over all
 *           partitions those of the old topic
 *   finish  all certificates and input offsets in one request, which the broker refuses while the
 *           group has members
 *
 * Until that last request nothing counts, the old topic and its certificates are untouched, and
 * everything can be done again: each run plans anew and copies what is missing.
 *
 * A state is carried over octet by octet unless its recipient moves. Then its source_offset, which
 * tells duplicates by their offset in the partition, becomes the one just below where the new
 * partition's input goes on: every record of the recipient that was processed lies before, every
 * one to come behind. "Over all partitions" is compared with source_offset left out.
 *
 * The stream time of a new partition is the latest of the old ones whose keys it takes: it never
 * goes back for anybody.
 *
 * The certificates say from then on that recipients were carried over, since whoever recomputes
 * states from the input finds the former events of those that moved in other partitions.
 *
 * What of the input is not read when keys move: a record in a partition that is no longer the right
 * one ("stray") is sent on to the right one by the worker, as any misrouted record. That keeps
 * every record, but not the order of a recipient's; and one that was sent on before is a dead
 * letter. So strays are counted, and it is for the caller to go on or not.
 */
#pragma once
#include "cli/worker_tool.h"

struct reshard_source { /* an old partition */
    struct certificate certificate;
    int64_t input_next; /* where its input goes on */
    int64_t unread;     /* records of its input that are not read yet … */
    int64_t strays;     /* … those that belong elsewhere now … */
    int64_t lost;       /* … and that will be dead letters */
};

struct reshard_target {             /* a new partition */
    struct certificate certificate; /* log_next is known once it is proven */
    bool complete;
};

enum reshard_stage {
    RESHARD_NEW,
    RESHARD_BEGUN,    /* an earlier run has not come to its end */
    RESHARD_FINISHED, /* nothing is left to do */
};

struct reshard {
    const struct worker_tool *tool;
    const char *from, *to; /* recipients topics */
    int32_t from_count, input_count, to_count;
    bool to_exists;
    enum reshard_stage stage;
    struct reshard_source *sources; /* from_count */
    struct reshard_target *targets; /* to_count */
    uint64_t content;               /* digest of the old states without source_offset */
    uint64_t copied;                /* states written by this run */
    struct buf scratch;
    void (*progress)(void *context, uint64_t done, uint64_t total); /* NULL allowed */
    void *progress_context;
};

/* `to` must outlive it. */
void reshard_init(struct reshard *reshard, const struct worker_tool *tool, const char *to,
                  int32_t to_count);
void reshard_deinit(struct reshard *reshard);

/* Changes nothing. Unless it is finished, the group must be unused. E_GROUP_IN_USE, E_USAGE (the
 * widths do not allow it), E_CERTIFICATE_LOST, E_STATE_MISMATCH (the old topic is not what its
 * certificates say), E_TOPICS. */
enum rcode reshard_plan(struct reshard *reshard, struct err *err) WARN_UNUSED;

/* Recipients of the old topic, once planned. */
uint64_t reshard_entries(const struct reshard *reshard);

enum rcode reshard_begin(struct reshard *reshard, struct err *err) WARN_UNUSED;
enum rcode reshard_copy(struct reshard *reshard, struct err *err) WARN_UNUSED;
/* E_STATE_MISMATCH: the new topic holds something else. */
enum rcode reshard_prove(struct reshard *reshard, struct err *err) WARN_UNUSED;
enum rcode reshard_finish(struct reshard *reshard, struct err *err) WARN_UNUSED;
