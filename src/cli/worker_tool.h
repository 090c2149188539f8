/* What commands need that do something with the worker's group and state in its place. */
#pragma once
#include "cli/changelog.h"
#include "cli/deployment.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "kafka/group_offsets.h"
#include "kafka/topics.h"
#include "worker/worker.h"

struct worker_tool {
    const struct settings *settings;
    struct deployment deployment;
    struct kafka_reader *reader;
    struct kafka_group_offsets *offsets;
    struct schemas schemas;
    struct codec *codec;
};

enum rcode worker_tool_open(struct worker_tool *tool, const struct settings *settings,
                            struct err *err) WARN_UNUSED;
void worker_tool_close(struct worker_tool *tool); /* of an opened or zeroed one */

/* A worker that belongs to no engine, for an input of so many partitions. `state_dir`: where it
 * would keep what is opened. `facts` as checked; NULL when nothing is opened. */
enum rcode worker_tool_worker(const struct worker_tool *tool, int32_t partitions,
                              const char *state_dir, const struct topics_facts *facts,
                              struct processor **ret_worker, struct err *err) WARN_UNUSED;
