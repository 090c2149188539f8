/* Shared by observe*.c, and for their test; nobody else includes it. */
#pragma once
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

struct observe {
    struct http *http;    /* NULL: off */
    pthread_mutex_t lock; /* of what follows: the server's thread and the watch read and write it */
    const char *const *topics;
    struct observed_thread *threads;
    int count;
    int64_t since_ms; /* when the threads were handed over */
    bool watched;
    struct heard heard[ROLE_COUNT];
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

/* Answers. */
unsigned observe_livez(void *context, struct http_exchange *exchange);
unsigned observe_readyz(void *context, struct http_exchange *exchange);
unsigned observe_metrics(void *context, struct http_exchange *exchange);

/* Families of what worker and dispatcher do; those of the engine are in observe_metrics.c. */
void observe_work(struct metrics *metrics, const struct observe *observe,
                  const struct partition_view *views, int count);
