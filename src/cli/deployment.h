/* Names that follow from the configuration: groups, topics, and the properties for librdkafka. */
#pragma once
#include "cli/role.h"
#include "kafka/property.h"
#include "ops/config.h"
#include "stream/topic.h"

struct deployment {
    const char *app, *instance;      /* the config's */
    const char *topics[TOPIC_COUNT]; /* likewise */
    char *worker_group;              /* `<app>-worker` */
    char *dispatcher_group;          /* `<app>-dispatcher` */
    struct kafka_properties properties;
};

/* E_CONFIG with the place of the property that is refused. The config must outlive it. */
enum rcode deployment_init(struct deployment *deployment, const struct config *config,
                           struct err *err) WARN_UNUSED;
void deployment_deinit(struct deployment *deployment);

const char *deployment_group(const struct deployment *deployment, enum role role);
