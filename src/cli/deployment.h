/* Names that follow from the configuration: groups, topics, and the properties for librdkafka. */
#pragma once
#include "cli/role.h"
#include "kafka/property.h"
#include "ops/config.h"
#include "stream/topic.h"

struct deployment {
    const char *app, *instance;      /* the config's */
    const char *topics[TOPIC_SLOTS]; /* likewise; TOPIC_SOURCE: of an ingest job */
    char *worker_group;              /* `<app>-worker` */
    char *dispatcher_group;          /* `<app>-dispatcher` */
    char *ingest_group;              /* `<app>-ingest-<topic>`; NULL: no ingest job */
    struct kafka_properties properties;
};

/* E_CONFIG with the place of the property that is refused. The config must outlive it. */
enum rcode deployment_init(struct deployment *deployment, const struct config *config,
                           struct err *err) WARN_UNUSED;
/* The topic that an ingest job reads; must outlive the deployment. */
void deployment_set_source(struct deployment *deployment, const char *topic);
void deployment_deinit(struct deployment *deployment);

const char *deployment_group(const struct deployment *deployment, enum role role);
