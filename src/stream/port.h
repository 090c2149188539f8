/*
 * The port: everything the engine wants from a log. Two implementations: Kafka (kafka/kafka_port.h)
 * and a deterministic in-memory log for simulation (stream/memory_port.h). One port belongs to one
 * engine thread; no function is called from another thread. A port is one member of the consumer
 * group of its input topic, one transactional producer and one reader for restoring.
 *
 * Dispositions (base/err.h) tell the engine what to do: RETRY the same call, ABORT the transaction,
 * REBUILD the producer (close and open), FATAL. No call blocks for longer than its timeout or a
 * second, whichever is greater; calls that need longer return DISPOSITION_RETRY and go on where
 * they were when called again.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "stream/topic.h"

struct port_header {
    struct str name;
    struct str value; /* null allowed */
};

/* A record as read. Spans belong to the port until release() (input) or the next restore_poll(). */
struct port_record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* the broker's or producer's, as the topic decides; -1: none */
    struct str key;       /* null allowed */
    struct str value;     /* null allowed */
    const struct port_header *headers;
    int header_count;
};

/* A record to write. All spans are copied. */
struct port_message {
    enum topic topic;
    int32_t partition;
    struct str key;   /* null allowed */
    struct str value; /* null: tombstone */
    const struct port_header *headers;
    int header_count;
    int64_t timestamp_ms; /* 0: the producer's clock, at the moment of sending */
};

struct port_position {
    int32_t partition;
    int64_t offset;
};

/* One committed offset of the group, written by send_offsets. */
struct port_commit {
    enum topic topic;
    int32_t partition;
    int64_t offset;      /* >= 0 */
    struct str metadata; /* null: none */
};

#define PORT_METADATA_MAX 1000 /* octets; brokers take 4096 (offset.metadata.max.bytes) */

/* The group's committed offsets for one partition. */
struct port_committed {
    int32_t partition;          /* in: which */
    int64_t input_offset;       /* -1: none */
    int64_t certificate_offset; /* -1: none */
    size_t metadata_len;
    char metadata[PORT_METADATA_MAX + 1]; /* of the certificate entry */
};

struct port_watermarks {
    int64_t log_start;
    int64_t high;   /* high watermark: open transactions included */
    int64_t stable; /* last stable offset: what a read_committed reader can reach now */
};

/* Called from within poll(), and only there. */
struct port_listener {
    void *context;
    /* These partitions of the input are this member's now; nothing is fetched until assign(). */
    void (*assigned)(void *context, const int32_t *partitions, int count);
    /* They no longer are. `lost`: another member may own them already; nothing of theirs can be
     * committed. */
    void (*revoked)(void *context, const int32_t *partitions, int count, bool lost);
};

struct port;

struct port_ops {
    void (*free)(
        struct port *port); /* leaves quietly (a static member keeps its place); bounded time */

    /* --- group and input --- */

    /* Joins the group and reads up to `max` records of the partitions given to assign(), waiting up
     * to `timeout_ms` for the first. Serves rebalances through the listener first; then it may
     * return none. E_INSTANCE_FENCED (another process has this instance id), E_BROKER_UNREACHABLE
     * and other transient trouble: RETRY, for logging; membership is kept up all the same.
     * E_TOPIC_RECREATED, E_INPUT_TRUNCATED (an explicit position is out of range): `ret_partition`
     * says which partition, otherwise it is -1. */
    enum rcode (*poll)(struct port *port, int timeout_ms, size_t max,
                       struct port_record *ret_records, size_t *ret_count, int32_t *ret_partition,
                       struct err *err);

    /* All records of earlier polls become invalid. */
    void (*release)(struct port *port);

    /* Fetch exactly these partitions from these explicit offsets, forgetting whatever was fetched
     * or queued before. Also the way to seek. */
    enum rcode (*assign)(struct port *port, const struct port_position *positions, int count,
                         struct err *err);

    /* Next offset the consumer would read: beyond the last record returned and any control records
     * or aborted tails passed since; -1 if not known yet. */
    int64_t (*position)(struct port *port, int32_t partition);

    /* --- transactions --- */

    /* Makes the producer and initialises transactions, fencing and finishing whatever an earlier
     * owner of the transactional id left. RETRY until done. */
    enum rcode (*producer_open)(struct port *port, struct err *err);
    void (*producer_close)(
        struct port *port); /* under a deadline; an open transaction is left to time out */

    enum rcode (*begin)(struct port *port, struct err *err);
    enum rcode (*send)(struct port *port, const struct port_message *message, struct err *err);
    /* Waits until every record sent has its delivery report. RETRY until done. */
    enum rcode (*flush)(struct port *port, struct err *err);
    /* After flush: one beyond the greatest offset this transaction wrote to that partition; -1:
     * wrote none. */
    int64_t (*sent_next)(struct port *port, enum topic topic, int32_t partition);
    /* Adds the offsets to the transaction with the consumer's current group metadata (this fences
     * zombies). */
    enum rcode (*send_offsets)(struct port *port, const struct port_commit *commits, int count,
                               struct err *err);
    enum rcode (*commit)(struct port *port,
                         struct err *err); /* RETRY: call commit again, never abort */
    enum rcode (*abort)(struct port *port, struct err *err); /* RETRY: call abort again */

    /* --- restore and facts --- */

    /* Stable committed offsets of both entries of every partition. E_UNSTABLE_OFFSETS (RETRY) while
     * a transaction that commits one of them is pending. */
    enum rcode (*committed)(struct port *port, struct port_committed *inout, int count,
                            struct err *err);

    enum rcode (*watermarks)(struct port *port, enum topic topic, int32_t partition,
                             struct port_watermarks *ret_watermarks, struct err *err);

    /* The restore reader (read_committed, no group): reads exactly these partitions of `topic` from
     * these offsets. count 0: stops. */
    enum rcode (*restore_assign)(struct port *port, enum topic topic,
                                 const struct port_position *positions, int count, struct err *err);
    enum rcode (*restore_poll)(struct port *port, int timeout_ms, size_t max,
                               struct port_record *ret_records, size_t *ret_count, struct err *err);
    /* Next offset the restore reader would return for the partition, beyond everything returned by
     * restore_poll and all control, aborted or compacted offsets passed; -1 if not known yet. */
    int64_t (*restore_position)(struct port *port, int32_t partition);

    /* Current partition count of a topic, from fresh metadata; E_TOPICS if it does not exist. */
    enum rcode (*partition_count)(struct port *port, enum topic topic, int32_t *ret_count,
                                  struct err *err);
    enum rcode (*cluster_id)(struct port *port, struct arena *arena, struct str *ret_id,
                             struct err *err);

    int64_t (*wall_ms)(struct port *port);
    int64_t (*monotonic_ms)(struct port *port);
    /* Sleeps up to `ms`, for backoff (virtual time in simulation). */
    void (*wait)(struct port *port, int ms);
};

/* Embedded first in every implementation. */
struct port {
    const struct port_ops *ops;
    struct port_listener listener; /* set by the engine before the first poll */
    enum topic input;              /* the topic of the consumer */
    enum topic certificate;        /* the topic whose committed offset carries the certificate */
    long long sent[TOPIC_COUNT];   /* records in this transaction, counted by the outbox */
    bool replays;                  /* it goes nowhere: what is sent was logged when it was first */
};
