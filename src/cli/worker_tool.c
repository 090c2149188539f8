#include "cli/worker_tool.h"

#include <string.h>

#define MAP_SIZE ((size_t)1 << 20)
#define OFFLINE_SHARE 2 /* as a worker has it: local state older than that is not used */

enum rcode worker_tool_open(struct worker_tool *tool, const struct settings *settings,
                            struct err *err)
{
    *tool = (struct worker_tool){.settings = settings};
    enum rcode rc = deployment_init(&tool->deployment, settings->config, err);
    if (rc == OK)
        rc = schemas_open(settings->config, SCHEMAS_OF_OUTPUT, &tool->schemas, err);
    if (rc == OK)
        rc = codec_new(&tool->schemas.codec, &tool->codec, err);
    if (rc == OK)
        rc = kafka_reader_open(tool->deployment.properties, tool->deployment.worker_group,
                               &tool->reader, err);
    if (rc == OK)
        rc = kafka_group_offsets_open(tool->deployment.properties, tool->deployment.worker_group,
                                      &tool->offsets, err);
    return rc;
}

void worker_tool_close(struct worker_tool *tool)
{
    kafka_group_offsets_close(tool->offsets);
    kafka_reader_close(tool->reader);
    codec_free(tool->codec);
    schemas_close(&tool->schemas);
    deployment_deinit(&tool->deployment);
    *tool = (struct worker_tool){0};
}

enum rcode worker_tool_worker(const struct worker_tool *tool, int32_t partitions,
                              const char *state_dir, const struct topics_facts *facts,
                              struct processor **ret_worker, struct err *err)
{
    struct worker_options options = {
        .policies = &tool->settings->policies,
        .rules = tool->settings->rules,
        .codec = tool->schemas.codec,
        .state = {.dir = state_dir,
                  .app = tool->deployment.app,
                  .durability = STORE_DISK, /* files as small as what is in them */
                  .map_size_initial = MAP_SIZE},
        .partition_counts = {[TOPIC_BOUNCES] = partitions, [TOPIC_RECIPIENTS] = partitions}};
    memcpy(options.topic_names, tool->deployment.topics, sizeof(options.topic_names));
    if (facts) {
        options.state.cluster_id = facts->cluster_id;
        options.state.offline_ms_max = facts->delete_retention_ms / OFFLINE_SHARE;
    }
    return worker_new(&options, ret_worker, err);
}
