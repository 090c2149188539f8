/*
 * A Kafka cluster in memory: the port for simulations and tests. Deterministic and single-threaded:
 * nothing happens but in a call, time is virtual, every choice comes from a seed.
 *
 * What it keeps of Kafka, because the engine relies on it:
 * - Log. Every finished transaction leaves one control marker, an offset, in each partition it
 * wrote to. The last stable offset is the first offset of the earliest open transaction;
 * read_committed readers stop there and skip markers and aborted records. Compaction leaves gaps,
 * retention moves the log start.
 * - Transactions. producer_open() fences every earlier producer of the transactional id and
 * finishes what it left. begin() is local; the first send() or send_offsets() opens the
 * transaction, from then its timeout runs. A commit that was accepted is committed, whatever
 * becomes of the caller; its markers may follow later (marker_delay_max_ms). Offsets within an
 * unfinished transaction are unstable. A producer that returned an error of DISPOSITION_REBUILD
 * returns it until it is closed and opened; a transaction that returned one of DISPOSITION_ABORT
 * can only be aborted.
 * - Group. Eager `range` with static membership. A live member heartbeats without being called; one
 * that is stalled, killed or freed is silent, and out after the session timeout. A rebalance waits
 * for every member to poll. A static member that returns in time gets its partitions back and
 * nobody else notices; if the one whose place it takes still lives, that one is fenced.
 * send_offsets() fails unless the member is known and its generation the group's.
 *
 * Reading from a position that is not in the log: poll() reports it once and that partition stops
 * until the next assign(); restore_poll() likewise, with E_CHANGELOG_TRUNCATED for both ends.
 *
 * Time: wait() and a poll that finds nothing advance the clock, by what they were given; a call
 * that returns an error of DISPOSITION_RETRY by 10 ms, so that loops end. Nothing else does, but
 * memory_cluster_advance().
 *
 * Calls that break the contract of port.h (abort after a commit that must be repeated, begin within
 * a transaction, an offset below zero …) return E_BUG and are remembered: see memory_port_misuse().
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "stream/port.h"
#include "stream/topic.h"

struct memory_cluster;

/* Zero means the default, given behind. */
struct memory_cluster_options {
    const char *id;                 /* "memory" */
    uint64_t seed;                  /* of the delays of markers */
    int64_t start_ms;               /* wall clock at the start: 1700000000000 */
    int64_t session_timeout_ms;     /* 45000 */
    int64_t transaction_timeout_ms; /* 15000 */
    /* 0: the markers are written with the outcome. Else each on its own, up to this much later:
     * partitions and offsets become stable one after the other. */
    int64_t marker_delay_max_ms;
};

/* NULL: defaults. */
struct memory_cluster *memory_cluster_new(const struct memory_cluster_options *options);
/* With all its ports. */
void memory_cluster_free(struct memory_cluster *cluster);

/* Time passes: markers that are due are written, transactions and sessions time out. */
void memory_cluster_advance(struct memory_cluster *cluster, int64_t ms);
int64_t memory_cluster_now(const struct memory_cluster *cluster); /* virtual, from 0 */
/* Transactions whose markers are not all written. */
int memory_cluster_open_transactions(const struct memory_cluster *cluster);

/* --- topics --- */

void memory_topic_create(struct memory_cluster *cluster, enum topic topic, int32_t partitions);
/* More partitions; the groups that read the topic rebalance. */
void memory_topic_grow(struct memory_cluster *cluster, enum topic topic, int32_t partitions);
/* Deletes the topic and creates it again, empty. Committed offsets stay. No transaction may be open
 * on it. */
void memory_topic_recreate(struct memory_cluster *cluster, enum topic topic, int32_t partitions);
/* Retention: everything below `log_start` (at most the high watermark) is gone. */
void memory_topic_truncate(struct memory_cluster *cluster, enum topic topic, int32_t partition,
                           int64_t log_start);
/* Removes, below the last stable offset, aborted records and committed records whose key has a
 * later one. `purge`: tombstones and markers as well, as when delete.retention.ms has passed. The
 * last offset stays. */
void memory_topic_compact(struct memory_cluster *cluster, enum topic topic, int32_t partition,
                          bool purge);

/* A record from outside, without a transaction; returns its offset. timestamp_ms -1: the cluster's
 * wall clock. */
int64_t memory_produce(struct memory_cluster *cluster, const struct port_message *message,
                       int64_t timestamp_ms);
/* Reads what a read_committed reader can: the first record at or after *inout_offset, which becomes
 * the offset behind it; false at the last stable offset. The spans live until the topic is
 * recreated or the cluster freed. */
bool memory_read(const struct memory_cluster *cluster, enum topic topic, int32_t partition,
                 int64_t *inout_offset, struct port_record *ret_record);
struct port_watermarks memory_watermarks(const struct memory_cluster *cluster, enum topic topic,
                                         int32_t partition);

/* --- groups --- */

/* The stable committed offset, -1: none. The metadata (null: none) lives until the next commit. */
int64_t memory_committed(const struct memory_cluster *cluster, const char *group, enum topic topic,
                         int32_t partition, struct str *ret_metadata);
/* Sets it, as Kafka's tool does; offset -1 removes it. */
void memory_commit_set(struct memory_cluster *cluster, const char *group,
                       const struct port_commit *commit);
/* Makes all members join again. */
void memory_group_rebalance(struct memory_cluster *cluster, const char *group);
int32_t memory_group_generation(const struct memory_cluster *cluster,
                                const char *group); /* 0: none yet */
int memory_group_members(const struct memory_cluster *cluster, const char *group);
bool memory_group_rebalancing(const struct memory_cluster *cluster, const char *group);

/* --- ports --- */

struct memory_port_options {
    const char *group;            /* NULL: no consumer */
    const char *instance_id;      /* NULL: a dynamic member; free() leaves the group at once */
    const char *transactional_id; /* NULL: no producer */
    enum topic input;
    enum topic certificate;
    size_t poll_records_max; /* poll() and restore_poll() return no more at once; 0: what they are
                                asked for */
    int64_t wall_offset_ms;  /* of this process's clocks */
    int64_t monotonic_offset_ms;
};

/* Free with port->ops->free(), or with the cluster. Joins the group at its first poll. */
struct port *memory_port_new(struct memory_cluster *cluster,
                             const struct memory_port_options *options);

/* kill -9: silent from now; every later call does nothing and returns E_LOG_FATAL, its waits pass
 * only for itself. */
void memory_port_kill(struct port *port);
bool memory_port_killed(const struct port *port);
/* SIGSTOP and SIGCONT: silent in between, during which it must not be called. */
void memory_port_stall(struct port *port);
void memory_port_resume(struct port *port);
/* Its wall clock jumps to so much beside the cluster's. */
void memory_port_set_wall_offset(struct port *port, int64_t wall_offset_ms);

bool memory_port_in_transaction(
    const struct port *port); /* between begin and the outcome, as the caller knows it */
int32_t memory_port_generation(const struct port *port); /* it takes part in; -1: none */
/* What the first call that broke the contract did wrong; NULL: none. */
const char *memory_port_misuse(const struct port *port);

/* --- faults --- */

#define MEMORY_OPS(X)                                                                              \
    X(MEMORY_POLL, "poll")                                                                         \
    X(MEMORY_ASSIGN, "assign")                                                                     \
    X(MEMORY_PRODUCER_OPEN, "producer_open")                                                       \
    X(MEMORY_BEGIN, "begin")                                                                       \
    X(MEMORY_SEND, "send")                                                                         \
    X(MEMORY_FLUSH, "flush")                                                                       \
    X(MEMORY_SEND_OFFSETS, "send_offsets")                                                         \
    X(MEMORY_COMMIT, "commit")                                                                     \
    X(MEMORY_ABORT, "abort")                                                                       \
    X(MEMORY_COMMITTED, "committed")                                                               \
    X(MEMORY_WATERMARKS, "watermarks")                                                             \
    X(MEMORY_RESTORE_ASSIGN, "restore_assign")                                                     \
    X(MEMORY_RESTORE_POLL, "restore_poll")                                                         \
    X(MEMORY_PARTITION_COUNT, "partition_count")                                                   \
    X(MEMORY_CLUSTER_ID, "cluster_id")

enum memory_op {
#define X(constant, name) constant,
    MEMORY_OPS(X)
#undef X
        MEMORY_OP_COUNT
};

const char *memory_op_name(enum memory_op op);

enum memory_fault_kind {
    MEMORY_FAULT_NONE,
    MEMORY_FAULT_REFUSE,      /* return `code` without doing anything */
    MEMORY_FAULT_LOSE,        /* do it; if that succeeds, return `code` (the polls: as REFUSE) */
    MEMORY_FAULT_KILL_BEFORE, /* memory_port_kill() without doing anything */
    MEMORY_FAULT_KILL_AFTER,  /* do it, then memory_port_kill() */
};

struct memory_fault {
    enum memory_fault_kind kind;
    enum rcode code; /* of REFUSE and LOSE: not OK */
};

/*
 * Decides before each call of an op; `call` counts the calls of that op on this port from 1. While
 * it decides it may advance the clock, stall and resume this port, and run other ports: so a test
 * can stop a process in front of any call, let others take over, and let it go on. `done` (NULL
 * allowed) is told what each call returned. A fault that would report a commit as abortable though
 * it was done is ignored: no broker does that.
 */
struct memory_faults {
    void *context;
    struct memory_fault (*decide)(void *context, struct port *port, enum memory_op op,
                                  uint64_t call);
    void (*done)(void *context, struct port *port, enum memory_op op, uint64_t call, enum rcode rc);
};

/* Copied; NULL: none. */
void memory_port_faults(struct port *port, const struct memory_faults *faults);

/* Random faults from a seed: each op's rates in parts per million, codes as Kafka would return them
 * from that op. */
struct memory_chaos_rates {
    uint32_t refuse;
    uint32_t lose;
    uint32_t kill; /* before or after, evenly */
};

struct memory_chaos {
    uint64_t state;
    bool off;
    struct memory_chaos_rates rates[MEMORY_OP_COUNT];
};

/* The same rates for all ops; for send() a hundredth of them. */
void memory_chaos_init(struct memory_chaos *chaos, uint64_t seed, struct memory_chaos_rates rates);
/* For memory_port_faults(); several ports may share one. */
struct memory_faults memory_chaos_faults(struct memory_chaos *chaos);
