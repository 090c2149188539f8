/*
 * A worker's certificates made anew from what the topics still say, for a group whose offsets are
 * gone (expired, deleted, not in a backup).
 *
 * The recipients topic is the state, so its digest, number of entries and position are read from
 * it. What nobody says any more is the input offset that this state belongs to. It follows from the
 * traces that records have left:
 *
 *   states       name the last record that changed them (source_offset), tombstones too
 *   dead letters name the record they were
 *   reroutes     are named by their copies; the header can be forged, so the record named must be
 *                there, misrouted and with the same octets
 *   the group    may still know the input offset, when only its certificate is gone
 *
 * The input goes on behind the last of these. Records between it and the offset that was committed
 * in truth had no effect (duplicates, deliveries to nobody known), and will have none again. One
 * trace can be lost: a FORGET whose tombstone is older than the recipients topic's
 * delete.retention.ms, when nothing of its partition left a trace after it. Then that recipient's
 * last records are done again up to the FORGET, and their outputs have the ids they had.
 *
 * A record that was processed though it lies in a wrong partition, without a copy in the right one,
 * tells that the input had fewer partitions then (reshard.h), and the certificates say so.
 *
 * Stream time is that of the input from its start up to the offset, at least the last event of any
 * state.
 */
#pragma once
#include "cli/changelog.h"
#include "worker/worker.h"

/* What an input offset follows from. */
#define RECOVER_BASES(X)                                                                           \
    X(RECOVER_CERTIFICATE, "certificate") /* it is there: nothing to recover */                    \
    X(RECOVER_LOG_START, "log start")     /* no trace of anything */                               \
    X(RECOVER_GROUP, "group")                                                                      \
    X(RECOVER_STATES, "states")                                                                    \
    X(RECOVER_DEAD_LETTERS, "dead letters")                                                        \
    X(RECOVER_REROUTES, "reroutes")
#define X(constant, string) constant,
enum recover_basis { RECOVER_BASES(X) RECOVER_BASIS_COUNT };
#undef X
extern const char *const recover_basis_names[RECOVER_BASIS_COUNT];

struct recover_partition {
    enum recover_basis basis;
    struct certificate certificate;
    struct port_watermarks input;
};

struct recover_options {
    struct kafka_reader *reader;
    const char *group;
    const char *const *topics; /* by enum topic */
    struct codec *codec;
    struct processor *worker; /* of the same topics and policies; nothing is opened in it */
    int32_t partitions;       /* of the input and of the recipients topic */
};

/* Fills one entry for each partition. The group must be unused. E_TOPIC_RECREATED: the input ends
 * before an offset that is known; E_CERTIFICATE_INVALID: one is there that is none of ours. */
enum rcode recover_plan(const struct recover_options *options,
                        struct recover_partition *ret_partitions, struct err *err) WARN_UNUSED;
