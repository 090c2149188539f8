/*
 * The worker: folds batches of the input topic through the domain core into per-recipient state. A
 * processor of the engine (stream/processor.h); one per engine thread, with a store per assigned
 * partition.
 */
#pragma once
#include "base/counter.h"
#include "codec/record.h"
#include "domain/classify.h"
#include "stream/slots.h"

/* One step of a recipient, as it is made. */
struct worker_step {
    const struct event *event;
    const struct port_record *record;
    int64_t stream_time_ms;
    const struct recipient *before; /* as stored; NULL: unknown */
    const struct recipient *after;  /* NULL: nothing is stored of the step, or a tombstone */
    const struct effects *effects;
};

/* For tools that recompute the state (replay/) and look on. */
struct worker_watch {
    void *context;
    /* False: the record counts for the stream time and is not folded. */
    bool (*wants)(void *context, struct identity who);
    /* After the outputs of the step were sent. */
    void (*saw)(void *context, const struct worker_step *step);
};

struct worker_options {
    const struct policy_set *policies; /* not owned, shared between threads */
    const struct rule_set *rules;      /* likewise */
    struct codec_options codec;
    struct state_options state;
    const char *topic_names[TOPIC_COUNT];
    int32_t partition_counts[TOPIC_COUNT]; /* as checked at start */
    const struct worker_watch *watch;      /* not owned; NULL: nobody looks on */
};

/* Of committed transactions, since start; written by the engine's thread, readable from any other.
 */
struct worker_stats {
    atomic_llong outcomes[OUTCOME_COUNT];
    atomic_llong bounces[BOUNCE_CLASS_COUNT];
    atomic_llong reasons[REASON_COUNT]; /* bounces again */
    atomic_llong commands[COMMAND_ACTION_COUNT];
    atomic_llong suppressions[SUPPRESSION_ACTION_COUNT][SUPPRESSION_REASON_COUNT];
    atomic_llong notices[NOTICE_KIND_COUNT];
    atomic_llong dead_letters[RCODE_COUNT];
    atomic_llong rerouted, lapsed, expired;
    struct histogram bounce_age_seconds; /* by the wall clock when processed, minus event time */
};

extern const struct histogram_layout worker_bounce_age_layout;

/* Kinds of entries (store.h), which are in the store's file: a change wants another STATE_FORMAT
 * (worker.c). Those of the suppressed are ordered by enum suppression_reason. */
#define WORKER_KIND_ACTIVE 0
#define WORKER_KIND_SUPPRESSED 0 /* plus the reason */
#define WORKER_KIND_SUSPENDED 7  /* plus the attempt, from 1 */
#define WORKER_ATTEMPTS_MAX DELAYS_MAX
_Static_assert(SUPPRESSION_REASON_COUNT <= WORKER_KIND_SUSPENDED, "reasons are told from attempts");
_Static_assert(WORKER_KIND_SUSPENDED + WORKER_ATTEMPTS_MAX < STORE_KINDS, "attempts have kinds");
unsigned char worker_kind(const struct recipient *state);

enum rcode worker_new(const struct worker_options *options, struct processor **ret_worker,
                      struct err *err) WARN_UNUSED;
void worker_free(struct processor *worker); /* every partition closed before */

/* From any thread: the batches from the next one on are classified by these rules. worker_rules
 * tells which a batch in hand may still use: only when it is others may the rules before be freed.
 */
void worker_use_rules(struct processor *worker, const struct rule_set *rules);
const struct rule_set *worker_rules(const struct processor *worker);

/* The committed state of a recipient of an open partition, encoded; by the engine's thread, between
 * two turns. `ret_found` false: nothing is known of it. */
enum rcode worker_look(struct processor *worker, int32_t partition, struct identity who,
                       struct buf *out, bool *ret_found, struct err *err) WARN_UNUSED;
/* Stands where a partition's certificate will be while `rimbalzo reshard` makes its state: no
 * worker takes it for one, so none begins with half of the state. */
#define WORKER_UNFINISHED "reshard has not been finished"

/* The certificate's metadata; returns its length. */
size_t worker_certificate_text(const struct certificate *certificate,
                               char ret_text[PORT_METADATA_MAX + 1]);

/* For tools: closes a partition and deletes its local state. */
enum rcode worker_remove(struct processor *worker, int32_t partition, struct err *err) WARN_UNUSED;

/* For tools: the store of an open partition, to look at between two batches. */
struct store *worker_store(const struct processor *worker, int32_t partition);

const struct worker_stats *worker_stats(const struct processor *worker);

/* For tools: what the worker takes a record of the input for, in any partition. */
struct worker_judgement {
    int32_t home;    /* the partition it belongs to; -1: it is not usable */
    int64_t time_ms; /* of its event; it counts for the stream time of its home only */
};
enum rcode worker_judge(struct processor *worker, const struct port_record *record,
                        struct worker_judgement *ret_judgement, struct err *err) WARN_UNUSED;

/* For tools: where the record that this one says to be the copy of lies in the input; false: it
 * says to be none. Whoever produces records may write such a header. */
bool worker_rerouted_from(const struct port_record *record, struct port_position *ret_origin);
