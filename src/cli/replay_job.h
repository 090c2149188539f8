/*
 * What `replay diff`, `replay apply` and `state verify` have in common: for every partition, the
 * state that the group's certificate speaks of is recomputed from the input and held against the
 * one that the recipients topic tells. Threads share the partitions out; each has readers and
 * temporary stores of its own (replay/replay.h).
 *
 * Workers may run meanwhile. The end of the recipients topic is asked for before the certificate: a
 * record before that end belongs to a transaction that had committed, and so had its certificate.
 * Hence whatever stands between the certificate's position and that end was written by no worker.
 * What a running worker replaces behind the certificate may be compacted away before it, before it
 * is read; then the certificate is asked for again.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "cli/deployment.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "kafka/reader.h"
#include "kafka/topics.h"
#include "replay/compare.h"
#include "replay/replay.h"
#include "replay/standing.h"

struct replay_job;

/* One partition, and what was found out about it. */
struct replay_partition {
    int32_t partition;
    struct certificate certificate; /* what the live state reflects; all 0: nothing yet */
    bool certified;
    int64_t input_start;            /* the input's log start */
    int64_t state_start, state_end; /* of the recipients topic */
    int64_t from;                   /* first input offset that was folded now */
    int64_t lost;                   /* input offsets below that nobody can fold any more */
    bool incomplete;                /* lost > 0, or recipients were carried over from elsewhere */
    int64_t foreign;                /* records behind the certificate's position */
    uint64_t live_entries, live_digest; /* at the certificate's position */
    int64_t stream_time_ms;             /* as recomputed */
    uint64_t recipients;                /* compared */
    int64_t differences[DIFFERENCE_KIND_COUNT];
    int64_t unprovable; /* differences that the lost offsets explain */
    bool live_holds;    /* the recipients topic is what the certificate says */
    struct replay_worker *worker;
};

struct replay_job_options {
    const struct settings *live;   /* as the workers have them */
    const struct settings *wanted; /* to recompute under; may be the same */
    int threads;                   /* 0: as many as processors */
    const char *dir;               /* of temporary stores; NULL: state_dir */
    const char *keep; /* where recomputed state stays for the next time; NULL: nowhere */
    bool outputs;     /* keep what stands of the outputs, and all stores, until the end */
    void *context;
    /* Of every recipient that differs; one at a time, from any thread. `explained`: the input that
     * was lost may be the reason. */
    enum rcode (*differs)(void *context, const struct replay_partition *partition,
                          const struct difference *difference, bool explained, struct err *err);
};

#define REPLAY_STORES(X)                                                                           \
    X(REPLAY_LIVE, "live")                                                                         \
    X(REPLAY_WANTED, "wanted")                                                                     \
    X(REPLAY_OUTPUTS, "outputs")                                                                   \
    X(REPLAY_TOLD, "told") /* of `explain` */
#define X(constant, string) constant,
enum replay_store { REPLAY_STORES(X) REPLAY_STORE_COUNT };
#undef X

/* What a thread works with. */
struct replay_worker {
    struct replay_job *job;
    pthread_t id;
    int number;
    char *names[REPLAY_STORE_COUNT]; /* `<app>.replay-<process>-<thread>-<what>`: of its stores */
    struct kafka_reader *reader;
    struct replay *live, *wanted;
    struct standing *standing; /* NULL: not wanted */
    struct codec *codec;
    struct replay_partition *partition; /* in hand */
    int64_t next;                       /* offset that the reading in hand has come to */
    struct err err;
};

struct replay_job {
    struct replay_job_options options;
    struct deployment deployment;
    struct topics_facts facts;
    struct schemas schemas; /* of all its codecs */
    char *name;             /* of this process' temporary stores */
    char *decisions;        /* cluster and fingerprint of `wanted`, for what is kept */
    struct replay_partition *partitions;
    int32_t count;
    struct replay_worker *workers;
    int worker_count;
    pthread_mutex_t lock;     /* of differs */
    atomic_int next;          /* partition that nobody has taken */
    atomic_llong done, total; /* offsets */
    atomic_llong records;     /* folded */
    atomic_bool stop;
};

/* Asks for topics, offsets and certificates. The settings must outlive it. */
enum rcode replay_job_open(struct replay_job *job, const struct replay_job_options *options,
                           struct err *err) WARN_UNUSED;
/* Recomputes and compares. A signal: its number in `ret_signal`. */
enum rcode replay_job_run(struct replay_job *job, int *ret_signal, struct err *err) WARN_UNUSED;
/* Deletes what is temporary. Of an opened or zeroed one. */
void replay_job_close(struct replay_job *job);

/* "recomputed 1000 records of 4 partitions in 0.5 s (2000/s)" on stderr. */
void replay_job_tell(const struct replay_job *job, int64_t ms);

/* How a replay under these settings is made, with its stores under this name of a thread's. */
struct worker_options replay_job_worker(const struct replay_job *job,
                                        const struct settings *settings, const char *name);
/* What there is of a partition now, and its certificate (replay_part.c). */
enum rcode replay_part_ask(struct replay_worker *worker, struct replay_partition *partition,
                           struct err *err) WARN_UNUSED;
/* How many offsets are to be read of it. */
int64_t replay_part_offsets(const struct replay_partition *partition);

/* One partition, by the worker that took it; it is asked about once more before. */
enum rcode replay_part_run(struct replay_worker *worker, struct replay_partition *partition,
                           struct err *err) WARN_UNUSED;
/* Only the live state, into the worker's store of it. */
enum rcode replay_part_load(struct replay_worker *worker, struct replay_partition *partition,
                            struct err *err) WARN_UNUSED;
/* Compares once more, with another visitor; while everything is kept (options.outputs). */
enum rcode replay_part_compare(struct replay_worker *worker, struct replay_partition *partition,
                               compare_visit *visit, void *context, struct err *err) WARN_UNUSED;
/* Whether input that was lost may be the reason of a difference. */
bool replay_part_explained(const struct replay_partition *partition,
                           const struct difference *difference);
