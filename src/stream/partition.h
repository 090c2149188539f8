/* A partition's life: ASSIGNED → RESTORING → RUNNING → REVOKED, or FAILED with a named error. */
#pragma once
#include "stream/processor.h"

#define PARTITION_STATES(X)                                                                        \
    X(PARTITION_ASSIGNED, "assigned")   /* ours; nothing is open yet */                            \
    X(PARTITION_RESTORING, "restoring") /* local state is being proven */                          \
    X(PARTITION_RUNNING, "running")     /* records are fetched and processed */                    \
    X(PARTITION_FAILED, "failed")       /* stopped with an error; the others go on */              \
    X(PARTITION_REVOKED, "revoked")     /* not ours; about to be forgotten */

#define X(constant, string) constant,
enum partition_state { PARTITION_STATES(X) PARTITION_STATE_COUNT };
#undef X
extern const char *const partition_state_names[PARTITION_STATE_COUNT];

enum restore_stage {
    RESTORE_LOCATE, /* open, read the group's offsets, decide what to read */
    RESTORE_READ,   /* reading up to the certificate */
    RESTORE_PROVE,  /* everything read: entries and digest must match */
};

struct partition {
    int32_t id;
    enum partition_state state;
    bool open;          /* the processor has it open */
    enum rcode failure; /* FAILED: why */

    /* RUNNING */
    int64_t input_next; /* committed, or about to be when certify is set */
    int64_t batch_next; /* input_next after the batch in hand */
    int64_t log_next;   /* position in the certificate's topic */
    bool touched;       /* the batch in hand has records of it */
    bool certify;       /* offsets must be committed although there may be no record */
    int64_t certified_at_ms;
    int64_t held_until_ms; /* nothing is fetched of it until then; 0: it is not held */
    enum rcode held;       /* why, until it gets on again; OK: it was not */
    int64_t progress_ms;   /* wall clock: began to run, or input_next grew; 0: not yet */

    /* RESTORING */
    enum restore_stage stage;
    bool has_certificate;
    struct certificate certificate;
    int64_t committed_input; /* -1: none */
    struct restore_range range;
    int64_t restore_began; /* the first offset that it had to read */
    int64_t restore_next;
    bool from_scratch; /* no local state took part: a mismatch is final */
    int64_t restore_count;
    int64_t retry_at_ms;
    int retries;
};

/* Moves to `state`, asserting that the transition table allows it. */
void partition_move(struct partition *partition, enum partition_state state);
