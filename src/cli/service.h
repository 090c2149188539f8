/*
 * The engine threads of one process, from start to a clean end: what `worker`, `dispatcher` and
 * `run` share. A role is a processor with its group: the worker on the input topic, the dispatcher
 * on the delayed topic.
 */
#pragma once
#include "cli/role.h"

struct service_command {
    const char *doc;       /* of --help */
    int roles[ROLE_COUNT]; /* which of them it runs */
};

/* Parses the options (those of the configuration, and --threads when there is one role), runs until
 * a signal or an error that ends the process; returns the exit code. */
int service_main(int argc, char **argv, const struct service_command *command);
