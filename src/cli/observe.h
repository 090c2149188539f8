/*
 * What a running process tells over HTTP (http.listen): /livez, /readyz and /metrics, made from the
 * counters of its engine threads. Nothing here asks the broker.
 *
 *   /livez   200 while every engine thread has made a turn within the last minute; 503 names those
 *            that have not. Waiting for the broker before any thread runs is being alive.
 *   /readyz  200 once the broker has answered, the threads have begun to turn, and no partition has
 *            failed; 503 else. Having no partition is being ready, and so is restoring one: the
 *            counts are in the body. That the broker has gone away later does not show here.
 *   /metrics all counters, summed over the threads of a role.
 */
#pragma once
#include "base/err.h"
#include "cli/service.h"
#include "dispatcher/dispatcher.h"
#include "stream/engine.h"
#include "worker/worker.h"

struct observe;

struct observed_thread {
    enum role role;
    const struct engine_stats *engine;
    const struct worker_stats *worker;         /* NULL: it has another role */
    const struct dispatcher_stats *dispatcher; /* likewise */
};

/* Starts to listen and says so in the log; `listen` as in the configuration, "" for no HTTP. E_IO
 * when that cannot be. Signals are to be blocked before. */
enum rcode observe_open(const char *listen, struct observe **ret_observe,
                        struct err *err) WARN_UNUSED;

/* The threads to tell about from now on, copied; their counters must live until observe_close. */
void observe_threads(struct observe *observe, const struct observed_thread *threads, int count);

/* NULL allowed. */
void observe_close(struct observe *observe);

/* The port listened on; 0: none. */
int observe_port(const struct observe *observe);
