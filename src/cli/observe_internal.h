/* Shared by observe*.c, and for their test; nobody else includes it. */
#pragma once
#include <jansson.h>
#include <pthread.h>

#include "cli/observe.h"
#include "ops/http.h"
#include "ops/metrics.h"

/* How long an answer of the brokers counts. They are asked every 2 s. */
#define HEARD_MS_MAX 15000

/* What the brokers told of a role. */
struct heard {
    struct kafka_lag_partition *partitions; /* ascending */
    int count;
    int64_t at_ms; /* monotonic; 0: never */
};

/* What the counters were at a moment. */
struct observe_sample {
    int64_t at_ms; /* monotonic */
    long long records[ROLE_COUNT];
};
#define SAMPLES_MAX 151 /* five minutes */

/* When retries are due that wait in the dispatchers' partitions that run here. */
struct observe_due {
    int64_t at_ms; /* wall clock: when they were counted; 0: not */
    bool known;    /* every thread has answered */
    bool complete; /* all were counted: else there may be more */
    int partitions;
    uint64_t pending;
#define DUE_BOUNDS 4
    uint64_t within[DUE_BOUNDS]; /* now, an hour, a day, a week */
};

struct observe {
    struct http *http;      /* NULL: off */
    struct codec *codec;    /* of the server's thread; NULL: not told about yet */
    int64_t opened_ms;      /* wall clock */
    struct observe_due due; /* of the server's thread */
    pthread_mutex_t lock; /* of what follows: the server's thread and the watch read and write it */
    const char *const *topics;
    struct observe_about about;
    struct observed_thread *threads;
    int count;
    int64_t since_ms;                /* when the threads were handed over */
    struct schemas_service *schemas; /* NULL: nothing is known of a registry */
    bool watched;
    struct heard heard[ROLE_COUNT];
    struct observe_sample samples[SAMPLES_MAX]; /* ascending */
    int sample_count;
};

/* A partition that is assigned now, and what is known of its lag. */
struct partition_view {
    enum role role;
    struct board_entry board;
    const struct kafka_lag_partition *lag; /* NULL: not known. Valid under the lock */
};

/* Of all roles, to be freed with mem_free; returns how many. Under the lock. */
int observe_partitions(const struct observe *observe, struct partition_view **ret_views);

/* Recipients in the local state of the workers' partitions that run, by their kind (worker.h).
 * Returns how many partitions these are. */
int observe_kinds(const struct partition_view *views, int count, uint64_t ret_kinds[STORE_KINDS]);

/* The recipients of one status among them. */
uint64_t observe_of_status(const uint64_t kinds[STORE_KINDS], enum recipient_status status);

bool observe_has_role(const struct observe *observe, enum role role);

/* When a broker was last heard of, monotonic; 0: never. Under the lock. */
int64_t observe_heard_ms(const struct observe *observe);

/* Of all threads, by reason. Under the lock. */
void observe_sum_dead_letters(const struct observe *observe, long long ret_sums[RCODE_COUNT]);

/* Whether a broker has been heard of lately. Under the lock. */
bool observe_connected(const struct observe *observe);

/* Whether a thread has not made a turn for too long. Under the lock. */
bool observe_is_stuck(const struct observe *observe, int thread);

/* All that is told of the process, for observe_status and observe_page. */
json_t *observe_snapshot(struct observe *observe);

/* Its parts, each under the lock. */
json_t *observe_recipients_json(const struct partition_view *views, int count);
json_t *observe_bounces_json(const struct observe *observe);
json_t *observe_due_json(const struct observe *observe);
json_t *observe_ingest_json(const struct observe *observe);
json_t *observe_dead_letters_json(const struct observe *observe);

/* Counts anew what is due unless it was counted a moment ago. Not under the lock: it asks the
 * engine threads. */
void observe_count_due(struct observe *observe);

/* Answers. */
unsigned observe_livez(void *context, struct http_exchange *exchange);
unsigned observe_readyz(void *context, struct http_exchange *exchange);
unsigned observe_metrics(void *context, struct http_exchange *exchange);
unsigned observe_recipient(void *context, struct http_exchange *exchange);
unsigned observe_status(void *context, struct http_exchange *exchange);
unsigned observe_page(void *context, struct http_exchange *exchange);

/* Families of what worker and dispatcher do; those of the engine are in observe_metrics.c. */
void observe_work(struct metrics *metrics, const struct observe *observe,
                  const struct partition_view *views, int count);
