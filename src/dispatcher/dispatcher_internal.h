/* Shared by dispatcher.c, ingest.c and release.c; nobody else includes it. */
#pragma once
#include "base/buf.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/frontier.h"
#include "stream/outbox.h"

#define ARENA_KEEP ((size_t)64 * 1024 * 1024) /* octets of batch memory kept for the next batch */

/* One assigned partition. */
struct dispatcher_slot {
    struct slot slot;         /* its time is log time */
    struct frontier frontier; /* as committed, or while restoring as certified */
    struct frontier batch_frontier;
    struct timers_bounds bounds; /* likewise */
    struct timers_bounds batch_bounds;
};

/* For the store: whether what has left need not be known any more, with the batch in hand. `slot`
 * is a struct dispatcher_slot. */
bool slot_over(const void *slot, struct timer_place until);

/* What becomes of a SCHEDULE in the batch. */
enum fate {
    FATE_NONE,     /* nothing is stored of it */
    FATE_PENDING,  /* waits */
    FATE_REMEMBER, /* leaves at once, or is a duplicate; its id is remembered */
};

/* One command of the batch. */
struct job {
    const struct port_record *record;
    struct dispatcher_slot *slot;
    enum command_action action;
    struct timer timer; /* without its record until it is put */
    int64_t time_ms;    /* log time with its record */
    bool passed;        /* the frontier has passed it: it leaves at once, or has left */
    enum fate fate;
};

/* A command that leaves: its record is in the batch, or (job NULL) in the store. */
struct departure {
    struct timer_place place;
    const struct job *job;
    bool freed; /* by a RELEASE */
};

struct dispatcher {
    struct processor processor;
    struct dispatcher_options options;
    struct dispatcher_stats stats;
    struct dispatcher_stats batch; /* counters of the batch in hand, until it has committed */
    struct codec *codec;
    struct slots slots; /* of struct dispatcher_slot */
    struct arena arena; /* of the batch in hand */
    struct job *jobs;   /* in the order of records */
    struct job **order; /* by partition, recipient, offset */
    size_t job_cap;
    size_t job_count;
    struct departure *departures; /* of one partition */
    size_t departure_count, departure_cap;
    int64_t *drops; /* offsets of stored timers to drop, of one partition */
    size_t drop_count, drop_cap;
    size_t turn;                /* of release.c: who is first */
    struct timer_place *places; /* scratch of release.c */
    struct buf headers;         /* scratch */
};

struct dispatcher_slot *dispatcher_slot(struct dispatcher *dispatcher, int32_t partition);

/* Makes jobs of records. The batch's port sends the dead letters of those at fault; NULL
 * (restoring, when they were sent long ago): nothing is sent, nothing is put off, and the frontier
 * is not stepped down. */
enum rcode ingest_prepare(struct dispatcher *dispatcher, struct batch *batch,
                          const struct port_record *records, size_t count, int64_t now_ms,
                          int32_t *ret_failed_partition, struct err *err) WARN_UNUSED;

/* The order in which jobs are folded. */
void ingest_sort(struct dispatcher *dispatcher);

/* Takes the jobs `order[from..to)`, all of one partition, into its store. `port` NULL: restoring,
 * nothing leaves. */
enum rcode ingest_fold(struct dispatcher *dispatcher, struct port *port, size_t from, size_t to,
                       int64_t now_ms, struct err *err) WARN_UNUSED;

/* Sends what leaves the moment it comes, in the order of places. */
enum rcode release_departures(struct dispatcher *dispatcher, struct port *port,
                              struct dispatcher_slot *slot, int64_t now_ms,
                              struct err *err) WARN_UNUSED;

/* Lets leave what is due on the batch's partitions. */
enum rcode release_due(struct dispatcher *dispatcher, struct batch *batch, int64_t now_ms,
                       struct err *err) WARN_UNUSED;

/* While restoring: what the frontier has passed has left. A bounded piece; `ret_done` when nothing
 * was left to do. */
enum rcode release_passed(struct dispatcher *dispatcher, struct dispatcher_slot *slot,
                          bool *ret_done, struct err *err) WARN_UNUSED;

/* Headers as one run of octets, and back (spans into it, the array in the arena). */
void headers_encode(const struct port_record *record, struct buf *out);
bool headers_decode(struct str text, struct arena *arena, struct port_message *message);
