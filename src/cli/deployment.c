#include "cli/deployment.h"

#include <string.h>

#include "base/arena.h"

static char *group_name(const char *app, const char *role)
{
    struct buf name;
    buf_init(&name);
    buf_printf(&name, "%s-%s%c", app, role, 0);
    return name.data; /* freed as any memory of mem_alloc */
}

enum rcode deployment_init(struct deployment *deployment, const struct config *config,
                           struct err *err)
{
    *deployment = (struct deployment){
        .app = config->app,
        .instance = config->instance,
        .topics = {[TOPIC_BOUNCES] = config->topics.bounces,
                   [TOPIC_RECIPIENTS] = config->topics.recipients,
                   [TOPIC_DELAYED] = config->topics.delayed,
                   [TOPIC_DUE] = config->topics.due,
                   [TOPIC_SUPPRESSIONS] = config->topics.suppressions,
                   [TOPIC_NOTICES] = config->topics.notices,
                   [TOPIC_DEAD_LETTERS] = config->topics.dead_letters},
        .worker_group = group_name(config->app, "worker"),
        .dispatcher_group = group_name(config->app, "dispatcher"),
    };
    int count = config->kafka.property_count;
    struct kafka_property *items = mem_alloc((size_t)count * sizeof(*items));
    deployment->properties = (struct kafka_properties){items, count};
    for (int i = 0; i < count; i++) {
        const struct config_property *property = &config->kafka.properties[i];
        items[i] = (struct kafka_property){property->name, property->value};
        struct err why;
        if (kafka_property_check(&items[i], &why) != OK)
            return config_fault(err, property->place, "kafka", "%s", why.text);
    }
    return OK;
}

void deployment_set_source(struct deployment *deployment, const char *topic)
{
    struct buf role;
    buf_init(&role);
    buf_printf(&role, "ingest-%s%c", topic, 0);
    deployment->topics[TOPIC_SOURCE] = topic;
    deployment->ingest_group = group_name(deployment->app, role.data);
    buf_deinit(&role);
}

void deployment_deinit(struct deployment *deployment)
{
    mem_free((void *)deployment->properties.items);
    mem_free(deployment->worker_group);
    mem_free(deployment->dispatcher_group);
    mem_free(deployment->ingest_group);
    *deployment = (struct deployment){0};
}

const char *deployment_group(const struct deployment *deployment, enum role role)
{
    switch (role) {
    case ROLE_WORKER:
        return deployment->worker_group;
    case ROLE_DISPATCHER:
        return deployment->dispatcher_group;
    case ROLE_INGEST:
        return deployment->ingest_group;
    case ROLE_COUNT:
        break;
    }
    return NULL;
}
