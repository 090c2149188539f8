#include "cli/topics_setup.h"

#include <string.h>

static int64_t longest(const struct config_delays *delays, int64_t than_ms)
{
    for (int i = 0; i < delays->count; i++)
        if (delays->delay_ms[i] > than_ms)
            than_ms = delays->delay_ms[i];
    return than_ms;
}

struct topics_options topics_setup(const struct config *config, const struct deployment *deployment)
{
    struct topics_options options = {
        .properties = deployment->properties,
        .group = deployment->worker_group,
        .partitions = config->topics.partitions,
        .replication = config->topics.replication,
        .delay_longest_ms = longest(&config->transient.delays, config->dispatcher.delay_max_ms),
        .recipient_retention_ms = config->recipient.retention_ms,
    };
    memcpy(options.topics, deployment->topics, sizeof(deployment->topics));
    for (int i = 0; i < config->policy_count; i++)
        options.delay_longest_ms = longest(&config->policies[i].delays, options.delay_longest_ms);
    return options;
}
