#include <stdio.h>
#include <string.h>

#include "cli/ingest_job.h"
#include "cli/service_internal.h"
#include "cli/settings.h"
#include "dispatcher/dispatcher.h"
#include "kafka/kafka_port.h"
#include "worker/worker.h"

#define OFFLINE_SHARE 2 /* local state older than this part of delete.retention.ms is rebuilt */

static enum rcode open_port(struct service_thread *thread, struct err *err)
{
    const struct deployment *deployment = &thread->shared->deployment;
    const char *group = deployment_group(deployment, thread->role);
    char instance[256], transactional_id[512];
    snprintf(instance, sizeof(instance), "%s-%d", deployment->instance, thread->index);
    snprintf(transactional_id, sizeof(transactional_id), "%s-%s", group, instance);
    struct kafka_port_options options = {.properties = deployment->properties,
                                         .input = role_inputs[thread->role],
                                         .certificate = role_certificates[thread->role],
                                         .group = group,
                                         .instance = instance,
                                         .transactional_id = transactional_id};
    memcpy(options.topics, deployment->topics, sizeof(deployment->topics));
    return kafka_port_new(&options, &thread->port, err);
}

static struct codec_options codec_of(struct service_thread *thread)
{
    struct shared *shared = thread->shared;
    return schemas_service_codec(&shared->schemas, shared->settings->config, &thread->asker);
}

static struct state_options state_of(const struct shared *shared)
{
    const struct config *config = shared->settings->config;
    return (struct state_options){
        .dir = config->state_dir,
        .app = config->app,
        .cluster_id = shared->facts.cluster_id,
        .durability = config->store.durability == DURABILITY_DISK ? STORE_DISK : STORE_REBUILD,
        .map_size_initial = (size_t)config->store.map_size_initial};
}

static enum rcode open_worker(struct service_thread *thread, struct err *err)
{
    const struct shared *shared = thread->shared;
    struct worker_options options = {.policies = &shared->settings->policies,
                                     .rules = shared->settings->rules,
                                     .codec = codec_of(thread),
                                     .state = state_of(shared)};
    options.state.offline_ms_max = shared->facts.delete_retention_ms / OFFLINE_SHARE;
    memcpy(options.topic_names, shared->deployment.topics, sizeof(options.topic_names));
    memcpy(options.partition_counts, shared->facts.partition_counts,
           sizeof(options.partition_counts));
    return worker_new(&options, &thread->processor, err);
}

static enum rcode open_dispatcher(struct service_thread *thread, struct err *err)
{
    const struct shared *shared = thread->shared;
    const struct config *config = shared->settings->config;
    struct dispatcher_options options = {.codec = codec_of(thread),
                                         .state = state_of(shared),
                                         .delay_ms_max = config->dispatcher.delay_max_ms};
    memcpy(options.topic_names, shared->deployment.topics, sizeof(options.topic_names));
    memcpy(options.partition_counts, shared->facts.partition_counts,
           sizeof(options.partition_counts));
    return dispatcher_new(&options, &thread->processor, err);
}

static enum rcode open_ingest(struct service_thread *thread, struct err *err)
{
    const struct shared *shared = thread->shared;
    struct ingest_job_options options = {.ingest = *shared->run->ingest,
                                         .codec = codec_of(thread),
                                         .source = shared->deployment.topics[TOPIC_SOURCE]};
    memcpy(options.partition_counts, shared->facts.partition_counts,
           sizeof(options.partition_counts));
    return ingest_job_new(&options, &thread->processor, err);
}

static enum rcode open_processor(struct service_thread *thread, struct err *err)
{
    switch (thread->role) {
    case ROLE_WORKER:
        return open_worker(thread, err);
    case ROLE_DISPATCHER:
        return open_dispatcher(thread, err);
    case ROLE_INGEST:
        return open_ingest(thread, err);
    case ROLE_COUNT:
        break;
    }
    return err_set(err, E_BUG, "no such role");
}

enum rcode service_thread_open(struct service_thread *thread, struct err *err)
{
    const struct config *config = thread->shared->settings->config;
    enum rcode rc = open_port(thread, err);
    if (rc == OK)
        rc = open_processor(thread, err);
    if (rc != OK)
        return rc;
    struct engine_options options = {
        .port = thread->port,
        .processor = thread->processor,
        .thread = thread->number,
        .batch_records_max = (size_t)config->worker.batch_records_max,
        .batch_bytes_max = (size_t)config->worker.batch_bytes_max,
        .commit_interval_ms = thread->role == ROLE_DISPATCHER
                                  ? config->dispatcher.commit_interval_ms
                                  : config->worker.commit_interval_ms,
        .certificate_refresh_ms = config->worker.certificate_refresh_ms,
        .rebuilds_max = config->worker.rebuilds_max,
    };
    if (!thread->processor->stateless)
        options.partition_count = thread->shared->facts.partition_counts[role_inputs[thread->role]];
    thread->engine = engine_new(&options);
    return OK;
}

static void free_processor(struct service_thread *thread)
{
    switch (thread->role) {
    case ROLE_WORKER:
        worker_free(thread->processor);
        return;
    case ROLE_DISPATCHER:
        dispatcher_free(thread->processor);
        return;
    case ROLE_INGEST:
        ingest_job_free(thread->processor);
        return;
    case ROLE_COUNT:
        break;
    }
}

void service_thread_close(struct service_thread *thread)
{
    /* After losing its place to another process nothing local may look cleanly closed by this one.
     */
    if (thread->err.code == E_INSTANCE_FENCED)
        engine_abandon(thread->engine);
    else
        engine_free(thread->engine);
    thread->engine = NULL;
    free_processor(thread);
    if (thread->port)
        thread->port->ops->free(thread->port);
}

struct observed_thread service_thread_observed(const struct service_thread *thread)
{
    struct observed_thread observed = {.role = thread->role,
                                       .engine = engine_stats(thread->engine),
                                       .board = engine_board(thread->engine),
                                       .ask = engine_ask(thread->engine),
                                       .processor = thread->processor,
                                       .kafka = kafka_port_statistics(thread->port)};
    switch (thread->role) {
    case ROLE_WORKER:
        observed.worker = worker_stats(thread->processor);
        break;
    case ROLE_DISPATCHER:
        observed.dispatcher = dispatcher_stats(thread->processor);
        break;
    case ROLE_INGEST:
        observed.ingest = ingest_job_stats(thread->processor);
        break;
    case ROLE_COUNT:
        break;
    }
    return observed;
}

unsigned service_topics_wanted(const int threads[ROLE_COUNT])
{
    unsigned wanted = 0;
    if (threads[ROLE_WORKER])
        return 0; /* all */
    if (threads[ROLE_DISPATCHER])
        wanted |= TOPICS_OF_DISPATCHER;
    if (threads[ROLE_INGEST])
        wanted |= TOPICS_OF_INGEST;
    return wanted;
}

unsigned service_records_written(const int threads[ROLE_COUNT])
{
    unsigned written = SCHEMAS_NONE; /* a dispatcher sends on what it has read */
    if (threads[ROLE_WORKER])
        written |= SCHEMAS_OF_OUTPUT;
    if (threads[ROLE_INGEST])
        written |= SCHEMAS_OF_INPUT;
    return written;
}
