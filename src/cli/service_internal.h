/* Shared by service.c (the process) and service_roles.c (what its threads run). */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "cli/deployment.h"
#include "cli/notify.h"
#include "cli/observe.h"
#include "cli/reload.h"
#include "cli/schemas.h"
#include "cli/service.h"
#include "kafka/topics.h"
#include "stream/engine.h"

/* What all threads share: made before they start, read-only then, but for `schemas`, which locks.
 */
struct shared {
    const struct service_run *run;
    const struct settings *settings; /* the run's */
    struct deployment deployment;
    struct topics_facts facts;
    struct schemas_service schemas;
    struct lookup_asker asker; /* of who answers HTTP */
    struct observe *observe;
    struct notify notify;
    struct reload reload;
};

struct service_thread {
    struct shared *shared;
    enum role role;
    int index;  /* among those of its role */
    int number; /* among all */
    pthread_t id;
    struct port *port;
    struct processor *processor;
    struct engine *engine;
    struct lookup_asker asker; /* the codec's */
    atomic_bool stop;
    atomic_bool done;
    struct err err; /* why it ended; OK: it was told to */
};

/* Port, processor and engine of the thread's role. What is made is for service_thread_close. */
enum rcode service_thread_open(struct service_thread *thread, struct err *err) WARN_UNUSED;
void service_thread_close(struct service_thread *thread);

/* What HTTP tells of it. */
struct observed_thread service_thread_observed(const struct service_thread *thread);

/* The records that the roles of this process write, see schemas.h. */
unsigned service_records_written(const int threads[ROLE_COUNT]);

/* The topics that the roles of this process need, see topics_options.wanted. */
unsigned service_topics_wanted(const int threads[ROLE_COUNT]);
