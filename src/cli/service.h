/*
 * The engine threads of one process, from start to a clean end: what `worker`, `dispatcher`, `run`
 * and `ingest` share. A role is a processor with its group: the worker on the input topic, the
 * dispatcher on the delayed topic, the ingest job on a topic of somebody else's.
 */
#pragma once
#include "cli/role.h"
#include "cli/settings.h"
#include "ingest/ingest.h"

struct service_run {
    const struct settings *settings;
    int threads[ROLE_COUNT];
    /* Of an ingest job. */
    const struct ingest_options *ingest;
    const char *source; /* the topic it reads */
};

/* Runs until a signal or an error that ends the process; returns the exit code. failpoint_init()
 * was called before. */
int service_run(const struct service_run *run);

struct service_command {
    const char *doc;       /* of --help */
    int roles[ROLE_COUNT]; /* which of them it runs */
};

/* Parses the options (those of the configuration, and --threads when there is one role) and runs.
 */
int service_main(int argc, char **argv, const struct service_command *command);
