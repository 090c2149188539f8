/*
 * What runs on the engine: the worker (recipients) and the dispatcher (timers). A processor owns
 * the local state of each partition; the engine owns membership, transactions, offsets and the
 * partition's life.
 *
 * Order of calls per partition: open → with a certificate (certificate_parse, restore_range,
 * restore_apply…, restore_finish) → process/certificate_write/commit or abort, again and again →
 * close. `discard` may come whenever the partition is open and has no transaction. All calls come
 * from the engine's thread.
 */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "store/store.h"
#include "stream/port.h"

struct processor;

#define CARRIED_ANY (-1)

/* What the group says about a partition's state, parsed from the committed certificate. */
struct certificate {
    int64_t input_next;     /* the state reflects the input up to here */
    int64_t log_next;       /* position in the certificate's topic after the last commit */
    int64_t stream_time_ms; /* of the input up to input_next */
    uint64_t entries;
    uint64_t digest;
    /* Recipients came from other partitions, where their former events lie: those whose partition
     * is another among so many. 0: none did; CARRIED_ANY: anybody may have. */
    int32_t carried;
    char text[PORT_METADATA_MAX + 1]; /* as committed: whatever else the processor wrote */
};

/* What there is locally, after open. */
struct local_state {
    bool empty;            /* never committed anything */
    int64_t input_next;    /* input offset the local state reflects */
    const char *discarded; /* why older local state was thrown away on open; NULL: it was not */
};

/* Where restoring reads, decided by the processor from certificate and local state. */
struct restore_range {
    enum topic topic;
    int64_t from;   /* -1: from the topic's log start */
    int64_t needed; /* what lies before it may have been deleted by retention */
    int64_t to;     /* exclusive */
};

/* Of a partition's local state, for metrics. */
struct processor_usage {
    uint64_t entries;            /* committed */
    uint64_t used;               /* octets */
    uint64_t map;                /* octets there is room for; 0: not open */
    uint64_t kinds[STORE_KINDS]; /* entries of each kind, as the processor numbers them */
};

/* Records that cannot be judged yet, for want of something that will come: this one, and all after
 * it in its partition. */
struct deferral {
    int32_t partition;
    int64_t offset;
    struct err why; /* a code with DISPOSITION_HOLD */
};

struct deferrals {
    struct deferral *items; /* one a partition at most */
    int count, cap;
};

struct batch {
    struct port *port;
    const struct port_record *records; /* per partition in offset order; partitions interleaved */
    size_t count;
    size_t max;   /* how many records a processor may add to the batch from its own state */
    size_t added; /* out: how many it did */
    const int32_t *partitions; /* those whose offsets this transaction commits: of all records, */
    int partition_count;       /* and of partitions that have other work or a certificate due */
    int32_t
        failed_partition; /* out: the partition at fault when process fails with RESTORE or STOP */
    struct deferrals *deferrals; /* out, by batch_defer; NULL: nothing can wait */
};

/*
 * The batch goes on without `record` and without what follows it in its partition, which the
 * processor leaves alone too: the transaction commits the partition up to `record`, and fetches
 * from there after a moment. So a batch always moves on, whatever number of its records must wait.
 * False: whoever calls `process` cannot let a partition wait; it is to get the error.
 */
bool batch_defer(struct batch *batch, const struct port_record *record, const struct err *why);
bool batch_deferred(const struct batch *batch, int32_t partition);

struct processor_ops {
    /* Opens the partition's local state; when it is open already it only tells what there is. */
    enum rcode (*open)(struct processor *processor, int32_t partition,
                       struct local_state *ret_local, struct err *err);
    /* clean: sync and mark clean; otherwise as a crash would. Unknown partitions are ignored. */
    void (*close)(struct processor *processor, int32_t partition, bool clean);
    /* Throws the local state away and starts empty. */
    enum rcode (*discard)(struct processor *processor, int32_t partition, struct err *err);

    /* E_CERTIFICATE_INVALID when the metadata is not one of ours. */
    enum rcode (*certificate_parse)(struct processor *processor, int64_t offset,
                                    struct str metadata, struct certificate *ret_certificate,
                                    struct err *err);
    void (*restore_range)(struct processor *processor, int32_t partition,
                          const struct certificate *certificate, struct restore_range *ret_range);
    /* Records of one partition in offset order; `next` is the position after them. Durable on
     * return. */
    enum rcode (*restore_apply)(struct processor *processor, int32_t partition,
                                const struct port_record *records, size_t count, int64_t next,
                                struct err *err);
    /* Proves the state against the certificate. E_STATE_MISMATCH when it differs. */
    enum rcode (*restore_finish)(struct processor *processor, int32_t partition,
                                 const struct certificate *certificate, struct err *err);

    /* Stages and sends everything that follows from the batch. */
    enum rcode (*process)(struct processor *processor, struct batch *batch, struct err *err);
    /* The certificate that goes with committing `input_next` of a partition. Returns the text's
     * length. */
    size_t (*certificate_write)(struct processor *processor, int32_t partition, int64_t input_next,
                                char ret_text[PORT_METADATA_MAX + 1]);
    /* Commits what is staged for the partition (after the log has committed). */
    enum rcode (*commit)(struct processor *processor, int32_t partition, int64_t input_next,
                         int64_t log_next, struct err *err);
    /* Drops whatever is staged, on all partitions. */
    void (*abort)(struct processor *processor);

    /* NULL: only records make work. Else the wall-clock time from which on a running partition
     * wants a transaction although no record came; INT64_MAX: none known. Asked again and again, so
     * a clock that jumps is noticed. */
    int64_t (*wake_ms)(struct processor *processor, int32_t partition);

    /* Of an open partition. */
    void (*usage)(struct processor *processor, int32_t partition,
                  struct processor_usage *ret_usage);
};

/* Embedded first in every implementation. */
struct processor {
    const struct processor_ops *ops;
    /* There is no changelog, the input itself is read again to restore: offsets that somebody moved
     * ahead cannot be obeyed, for the records between are a part of the state. */
    bool input_is_changelog;
    /* There is no state: nothing to restore or prove, no certificate, the input's committed offset
     * is all. Of the operations only process and abort are called. */
    bool stateless;
};
