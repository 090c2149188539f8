/*
 * The dispatcher: commands wait in LMDB until their time and then go from the delayed topic to the
 * due topic. A processor of the engine (stream/processor.h); one per engine thread, with a store of
 * timers per assigned partition.
 *
 * The delayed topic is the state's log: there is no changelog. A partition's certificate,
 *
 *     v1 i=<next offset> f=<frontier> m=<lowest pending offset> n=<pending> d=<digest>
 *        r=<offset to restore from> t=<log time just before r>
 *
 * committed on the due topic with the offsets of each transaction, says which commands are pending:
 * those below i, beyond the frontier (frontier.h), neither cancelled nor released by a later
 * record. So a lost store is rebuilt by reading the delayed topic from r to i; what lies before m
 * may have been deleted by retention.
 *
 * Whether a SCHEDULE repeats one that is pending already must follow from the log alone as well, or
 * a restore could not know it. So it is judged by the log's own clock: log time is the greatest
 * timestamp of the partition's records so far, and a SCHEDULE is a duplicate when the log has one
 * of the same id before it (a duplicate or not), no CANCEL or RELEASE between, due later than the
 * log time now. What has left is remembered until log time has reached its due time, and until the
 * frontier has passed all that are duplicates because of it, so that a restore finds it. r is the
 * lowest offset of what is pending or remembered. A SCHEDULE that is no duplicate takes the place
 * of one of the same id that is due and, the dispatcher being late, has not left: an id is pending
 * once.
 *
 * A transaction first takes in all its records and then lets leave what is due, so that a command
 * and its CANCEL in one transaction send nothing (unless a RELEASE came between). What leaves keeps
 * its key, value and headers, goes to the partition of the same number, in the order of due times,
 * and is stamped with the time by the wall clock; never before its due time by that clock.
 */
#pragma once
#include "base/counter.h"
#include "codec/record.h"
#include "stream/slots.h"

struct dispatcher_options {
    struct codec_options codec;
    struct state_options state;
    int64_t delay_ms_max; /* a command due later than so much after its record: dead letter */
    const char *topic_names[TOPIC_COUNT];
    int32_t partition_counts[TOPIC_COUNT]; /* as checked at start */
};

/* What became of a command; a metric label. */
#define COMMAND_OUTCOMES(X)                                                                        \
    X(COMMAND_SCHEDULED, "scheduled") /* waits, or leaves at once */                               \
    X(COMMAND_DUPLICATE, "duplicate") /* SCHEDULE of an id that is pending already */              \
    X(COMMAND_REPLACED, "replaced")   /* late, and gave way to a SCHEDULE of the same id */        \
    X(COMMAND_CANCELLED, "cancelled") /* dropped by a CANCEL */                                    \
    X(COMMAND_FREED, "freed")         /* left because of a RELEASE */                              \
    X(COMMAND_RELEASED, "released")   /* left because its time came */                             \
    X(COMMAND_VOID, "void")           /* a CANCEL or RELEASE that found nothing pending */
#define X(constant, string) constant,
enum command_outcome { COMMAND_OUTCOMES(X) COMMAND_OUTCOME_COUNT };
#undef X
extern const char *const command_outcome_names[COMMAND_OUTCOME_COUNT];

/* Counters and histogram of committed transactions, since start; written by the engine's thread,
 * readable from any other. */
struct dispatcher_stats {
    atomic_llong commands[COMMAND_OUTCOME_COUNT];
    atomic_llong dead_letters[RCODE_COUNT];
    struct histogram release_delay_seconds; /* release minus due time, of what was due */
    atomic_llong pending;                   /* now, on the partitions that run here */
    atomic_llong next_due_ms;               /* of them; INT64_MAX: none. In the past: overdue */
};

extern const struct histogram_layout dispatcher_release_delay_layout;

enum rcode dispatcher_new(const struct dispatcher_options *options,
                          struct processor **ret_dispatcher, struct err *err) WARN_UNUSED;
void dispatcher_free(struct processor *dispatcher); /* every partition closed before */

/* As timers_count, of an open partition; by the engine's thread, between two turns. */
enum rcode dispatcher_due(struct processor *dispatcher, int32_t partition, const int64_t *until_ms,
                          int count, size_t *inout_budget, uint64_t *ret_counts,
                          struct err *err) WARN_UNUSED;

const struct dispatcher_stats *dispatcher_stats(const struct processor *dispatcher);
