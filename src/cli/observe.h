/*
 * What a running process tells over HTTP (http.listen), made from what its engine threads count and
 * from what lag_watch.h last heard. Nothing here asks a broker, and no engine thread waits for it.
 * What is in a store only the engine's thread may look at: it is asked, and answers between two
 * turns (stream/ask.h).
 *
 *   /livez   200 while every engine thread has made a turn within the last minute; 503 names those
 *            that have not. Waiting for the broker before any thread runs is being alive.
 *   /readyz  200 when the threads have begun to turn, a broker has answered lately, and nothing is
 *            in error: no partition has failed or is held still, and every thread can commit.
 *            Having no partition is being ready, and so is restoring one. The body names what is
 *            not as it should be.
 *   /metrics all counters, summed over the threads of a role, and what is known of each partition
 *            that is assigned now: what has been taken away is not told any more.
 *   /api/v1/status
 *            the same and more for people and programs, as JSON: what observe_status.c makes.
 *   /        that as a page: observe_page.c fills page.html with it.
 *   /api/v1/recipients/ADDRESS?tenant=TENANT
 *            the state of one recipient, if its partition runs here: observe_recipient.c.
 */
#pragma once
#include "base/err.h"
#include "cli/ingest_job.h"
#include "cli/role.h"
#include "cli/schemas.h"
#include "dispatcher/dispatcher.h"
#include "kafka/kafka_port.h"
#include "kafka/lag.h"
#include "stream/engine.h"
#include "worker/worker.h"

struct observe;

struct observed_thread {
    enum role role;
    const struct engine_stats *engine;
    struct board *board;
    struct ask *ask;                           /* NULL: it cannot be asked */
    struct processor *processor;               /* only for what is asked */
    const struct worker_stats *worker;         /* NULL: it has another role */
    const struct dispatcher_stats *dispatcher; /* likewise */
    const struct ingest_job_stats *ingest;     /* likewise */
    const struct kafka_statistics *kafka;      /* by enum kafka_client; NULL: not known */
};

/* What is told of the process, and what it takes to answer for a recipient. */
struct observe_about {
    const char *app, *instance;
    int32_t partitions; /* of the workers' input; 0: there is no worker */
    bool preserve_local_part;
    int64_t stale_after_ms;
    struct codec_options codec;
};

/* Starts to listen and says so in the log; `listen` as in the configuration, "" for no HTTP.
 * `topics` are the names that labels have; they must live as long. E_IO when that cannot be.
 * Signals are to be blocked before. */
enum rcode observe_open(const char *listen, const char *const topics[TOPIC_SLOTS],
                        struct observe **ret_observe, struct err *err) WARN_UNUSED;

/* As soon as it is known, before the threads; copied, what it points to must live as long. */
enum rcode observe_about(struct observe *observe, const struct observe_about *about,
                         struct err *err) WARN_UNUSED;

/* The threads to tell about from now on, copied; their counters must live until observe_close. */
void observe_threads(struct observe *observe, const struct observed_thread *threads, int count);

/* What the process knows of a registry, to tell about from now on; it must live until
 * observe_close. */
void observe_schemas(struct observe *observe, struct schemas_service *schemas);

/* What /livez says, for those who watch by other means. */
bool observe_live(struct observe *observe);

/* NULL allowed. */
void observe_close(struct observe *observe);

/* The port listened on; 0: none. */
int observe_port(const struct observe *observe);

/* --- for lag_watch.h --- */

/* Notes what the counters are now, every few seconds: throughput is told from that. */
void observe_note(struct observe *observe);

/* From now on, not to have heard of a broker is not to be ready. */
void observe_watched(struct observe *observe);

/* The partitions of a role that are assigned now, to be freed with mem_free; returns how many. */
int observe_assigned(struct observe *observe, enum role role, int32_t **ret_partitions);

/* A broker has answered: this is what it told of some partitions of a role, copied. It counts for a
 * while, if nothing newer comes. */
void observe_heard(struct observe *observe, enum role role,
                   const struct kafka_lag_partition *partitions, int count);
