/*
 * The inside of memory_port.h, for the memory_*.c files only.
 *
 *   memory_cluster.c      the cluster, its clock and its topics
 *   memory_log.c          one partition: records, markers, last stable offset, compaction
 *   memory_transaction.c  the transaction coordinator: epochs, outcomes, markers, timeouts
 *   memory_group.c        the group coordinator: members, generations, assignment, committed
 * offsets memory_producer.c     the client's side of transactions memory_reader.c       the
 * client's side of reading: input and restore memory_port.c         the port: each call passes
 * through the faults memory_chaos.c        random faults
 *
 * Between a call into the cluster and its return no caller of a port runs, except the listener from
 * memory_group_serve(). What a listener or a fault's decision did may move every array: look up
 * again.
 */
#pragma once
#include "stream/memory_port.h"

/* --- log --- */

struct memory_entry {
    int64_t offset;
    int64_t timestamp_ms;
    uint64_t transaction; /* 0: none */
    bool marker;
    int header_count;
    struct str key;
    struct str value;
    const struct port_header *headers;
};

struct memory_open {
    uint64_t transaction;
    int64_t first_offset;
};

struct memory_log {
    struct memory_entry *entries; /* by offset; gaps after compaction */
    size_t count;
    size_t cap;
    int64_t start;
    int64_t end; /* the next offset: the high watermark */
    struct memory_open *open;
    int open_count;
    int open_cap;
};

struct memory_topic {
    bool exists;
    int32_t partition_count;
    struct memory_log *logs;
    struct arena arena; /* of the records' octets */
};

enum memory_outcome { MEMORY_UNDECIDED, MEMORY_COMMITTED_OUTCOME, MEMORY_ABORTED_OUTCOME };

/* --- coordinators --- */

enum memory_transaction_state {
    MEMORY_TRANSACTION_NONE,
    MEMORY_TRANSACTION_OPEN,
    MEMORY_TRANSACTION_DECIDED, /* markers are being written */
};

struct memory_touch {
    enum topic topic;
    int32_t partition;
    int64_t due_ms;
    bool settled;
};

struct memory_pending {
    enum topic topic;
    int32_t partition;
    int64_t offset;
    size_t metadata_len;
    char metadata[PORT_METADATA_MAX + 1];
};

/* One transactional id. */
struct memory_coordinator {
    struct memory_coordinator *next;
    char *id;
    int32_t epoch; /* a producer with another is fenced */
    enum memory_transaction_state state;
    uint64_t transaction; /* index of memory_cluster.outcomes */
    int64_t started_ms;
    struct memory_touch *touches; /* partitions written to */
    int touch_count;
    int touch_cap;
    struct memory_group *group; /* of `pending` */
    struct memory_pending *pending;
    int pending_count;
    int pending_cap;
    int64_t pending_due_ms;
    bool pending_settled;
};

struct memory_offset {
    int64_t offset; /* -1: none */
    int pending;    /* entries of unfinished transactions */
    char *metadata; /* NULL: none */
    size_t metadata_len;
};

struct memory_member {
    uint64_t id;
    char *instance_id;       /* NULL: dynamic */
    int64_t silent_since_ms; /* -1: it heartbeats */
    bool joined;             /* this round of the rebalance */
    int32_t first_partition; /* of the generation: `partition_count` from here */
    int32_t partition_count;
};

struct memory_group {
    struct memory_group *next;
    char *name;
    bool has_topic;
    enum topic topic;
    int32_t generation;
    bool rebalancing;
    struct memory_member *members; /* in the order of the assignor */
    int member_count;
    int member_cap;
    struct memory_offset *offsets[TOPIC_SLOTS];
    int32_t offset_counts[TOPIC_SLOTS];
};

struct memory_cluster {
    struct memory_cluster_options options;
    char *id;
    uint64_t random;
    int64_t now_ms;
    struct memory_topic topics[TOPIC_SLOTS];
    struct memory_coordinator *coordinators; /* in the order of their making */
    struct memory_group *groups;
    struct memory_port *ports;
    uint8_t *outcomes; /* enum memory_outcome by transaction, from 1 */
    uint64_t transaction_count;
    uint64_t transaction_cap;
    uint64_t last_member_id;
};

/* --- port --- */

struct memory_fetch {
    int32_t partition;
    int64_t next;
    bool known;  /* something was passed since it was assigned */
    bool halted; /* its error was reported */
};

struct memory_reader {
    enum topic topic;
    enum rcode truncated; /* its error for a position below the log start */
    enum rcode beyond;    /* and for one beyond the high watermark */
    struct memory_fetch *fetches;
    int count;
    int turn; /* who is read first */
    struct arena arena;
};

struct memory_sent {
    enum topic topic;
    int32_t partition;
    int64_t next;
};

struct memory_producer {
    struct memory_coordinator *coordinator; /* NULL: no transactional id */
    bool open;
    int32_t epoch;
    enum rcode failed; /* not OK: returned until closed and opened */
    bool open_unresolved;
    bool commit_unresolved; /* commit returned RETRY */
    bool abort_unresolved;
    bool begun;
    bool abortable; /* only abort is left */
    bool flushed;
    uint64_t transaction; /* 0: the coordinator has not heard of it yet */
    struct memory_sent *sent;
    int sent_count;
    int sent_cap;
};

struct memory_port {
    struct port port;
    struct memory_port *next;
    struct memory_cluster *cluster;
    char *instance_id;
    struct memory_group *group;
    size_t poll_records_max;
    int64_t wall_offset_ms;
    int64_t monotonic_offset_ms; /* grows by its waits once it is killed */
    bool killed;
    bool stalled;
    bool polling; /* within its listener */
    bool instance_fenced;
    uint64_t member_id; /* 0: none */
    int32_t generation; /* of the last assigned(), -1: none */
    int32_t owned_first;
    int32_t owned_count;
    struct memory_reader input;
    struct memory_reader restore;
    struct memory_producer producer;
    struct memory_faults faults;
    uint64_t calls[MEMORY_OP_COUNT];
    char misuse[ERR_TEXT_MAX]; /* "": none */
};

/* memory_cluster.c */
uint64_t memory_random(uint64_t *state); /* splitmix64 */
int64_t memory_wall_ms(const struct memory_cluster *cluster);
struct memory_log *memory_log_of(const struct memory_cluster *cluster, enum topic topic,
                                 int32_t partition); /* NULL: does not exist */
/* Makes room for one more element in an array of `*inout_cap`. */
void *memory_grow(void *array, int count, int *inout_cap, size_t element_size);

/* memory_log.c */
void memory_log_deinit(struct memory_log *log);
/* Appends a copy; returns its offset. The first of a transaction opens it in this partition. */
int64_t memory_log_append(struct memory_cluster *cluster, const struct port_message *message,
                          int64_t timestamp_ms, uint64_t transaction);
/* Writes the marker and closes the transaction in this partition. */
void memory_log_mark(struct memory_log *log, uint64_t transaction, int64_t timestamp_ms);
int64_t memory_log_stable(const struct memory_log *log);
/* The first record visible to read_committed at or after *inout_offset, which becomes the offset
 * behind it; NULL: none, and *inout_offset is at least the last stable offset. */
const struct memory_entry *memory_log_next(const struct memory_cluster *cluster,
                                           const struct memory_log *log, int64_t *inout_offset);
void memory_log_compact(const struct memory_cluster *cluster, struct memory_log *log, bool purge);

/* memory_transaction.c */
struct memory_coordinator *memory_coordinator_of(struct memory_cluster *cluster, const char *id);
void memory_coordinators_free(struct memory_cluster *cluster);
/* Gives the caller a new epoch; E_LOG_RETRIABLE while an earlier transaction is being finished. */
enum rcode memory_coordinator_init(struct memory_cluster *cluster,
                                   struct memory_coordinator *coordinator, int32_t *ret_epoch,
                                   struct err *err);
/* The transaction that is open now, made if there is none. The caller is not fenced. */
uint64_t memory_coordinator_open(struct memory_cluster *cluster,
                                 struct memory_coordinator *coordinator);
void memory_coordinator_touch(struct memory_coordinator *coordinator, enum topic topic,
                              int32_t partition);
void memory_coordinator_pend(struct memory_coordinator *coordinator, struct memory_group *group,
                             const struct port_commit *commit);
void memory_coordinator_end(struct memory_cluster *cluster, struct memory_coordinator *coordinator,
                            enum memory_outcome outcome);
void memory_coordinators_advance(struct memory_cluster *cluster);

/* memory_group.c */
struct memory_group *memory_group_of(struct memory_cluster *cluster, const char *name);
const struct memory_group *memory_group_find(const struct memory_cluster *cluster,
                                             const char *name); /* NULL: none */
void memory_groups_free(struct memory_cluster *cluster);
void memory_groups_advance(struct memory_cluster *cluster);
void memory_groups_regrown(struct memory_cluster *cluster, enum topic topic);
struct memory_offset *memory_group_offset(struct memory_group *group, enum topic topic,
                                          int32_t partition);
void memory_offset_set(struct memory_offset *entry, int64_t offset, struct str metadata);
/* Joins, rejoins and calls the listener as needed; ret_called: it was called, or the port died in
 * it. */
enum rcode memory_group_serve(struct memory_port *self, bool *ret_called, struct err *err);
/* Why the group would not take offsets from this member; NULL: it does. */
const char *memory_group_objection(const struct memory_port *self);
void memory_group_silence(struct memory_port *self);
void memory_group_unsilence(struct memory_port *self);
void memory_group_leave(struct memory_port *self);

/* memory_producer.c */
enum rcode memory_producer_open(struct memory_port *self, struct err *err);
void memory_producer_close(struct memory_port *self);
enum rcode memory_producer_begin(struct memory_port *self, struct err *err);
enum rcode memory_producer_send(struct memory_port *self, const struct port_message *message,
                                struct err *err);
enum rcode memory_producer_flush(struct memory_port *self, struct err *err);
int64_t memory_producer_sent_next(struct memory_port *self, enum topic topic, int32_t partition);
enum rcode memory_producer_send_offsets(struct memory_port *self, const struct port_commit *commits,
                                        int count, struct err *err);
enum rcode memory_producer_commit(struct memory_port *self, struct err *err);
enum rcode memory_producer_abort(struct memory_port *self, struct err *err);
/* What the caller learns from `rc` stays so: failed, abortable, to be repeated. */
void memory_producer_note(struct memory_port *self, enum memory_op op, enum rcode rc);

/* memory_reader.c */
void memory_reader_init(struct memory_reader *reader, enum topic topic, enum rcode truncated,
                        enum rcode beyond);
void memory_reader_deinit(struct memory_reader *reader);
enum rcode memory_reader_assign(struct memory_port *self, struct memory_reader *reader,
                                const struct port_position *positions, int count, struct err *err);
/* Copies records into the reader's arena. An error names its partition and is reported once. */
enum rcode memory_reader_poll(struct memory_port *self, struct memory_reader *reader, size_t max,
                              struct port_record *ret_records, size_t *ret_count,
                              int32_t *ret_partition, struct err *err);
int64_t memory_reader_position(const struct memory_reader *reader, int32_t partition);

/* memory_calls.c */
extern const struct port_ops memory_port_ops;

/* memory_port.c */
struct memory_call {
    enum memory_op op;
    uint64_t number;
    struct memory_fault fault;
};

struct memory_port *memory_self(struct port *port);
const struct memory_port *memory_const_self(const struct port *port);
void memory_port_free(struct memory_port *self);
/* E_BUG, remembered: the caller broke the contract of port.h. */
enum rcode memory_misuse(struct memory_port *self, struct err *err, const char *what);
/* The cluster's time, or a dead process's own. */
void memory_pass_time(struct memory_port *self, int64_t ms);
/* Every call goes through these two. If memory_enter() fails the call ends there, with that code.
 */
enum rcode memory_enter(struct memory_port *self, enum memory_op op, struct memory_call *ret_call,
                        struct err *err);
enum rcode memory_leave(struct memory_port *self, const struct memory_call *call, enum rcode rc,
                        struct err *err);
