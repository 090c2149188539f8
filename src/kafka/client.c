#include "kafka/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

/* --- properties --- */

/* Reasons a property is not the user's to set. */
#define BY_DESIGN "the engine relies on its own value"
#define BY_GROUP "it is made of `app`, `instance` and the thread's number"

static const struct {
    const char *name;
    const char *why;
} refused[] = {
    {"enable.auto.commit", "offsets are committed in transactions only"},
    {"auto.commit.enable", "offsets are committed in transactions only"},
    {"auto.commit.interval.ms", "offsets are committed in transactions only"},
    {"enable.auto.offset.store", "offsets are committed in transactions only"},
    {"offset.store.method", "offsets are committed in transactions only"},
    {"isolation.level", "records of aborted transactions must never be read"},
    {"enable.idempotence", "exactly once needs it"},
    {"enable.gapless.guarantee", BY_DESIGN},
    {"acks", "exactly once needs all"},
    {"request.required.acks", "exactly once needs all"},
    {"transactional.id", BY_GROUP},
    {"group.id", BY_GROUP},
    {"group.instance.id", BY_GROUP},
    {"group.protocol", BY_DESIGN},
    {"group.remote.assignor", BY_DESIGN},
    {"auto.offset.reset", "a position that is out of range must stop the partition, not move it"},
    {"partition.assignment.strategy", BY_DESIGN},
    {"enable.partition.eof", BY_DESIGN},
    {"delivery.report.only.error", BY_DESIGN},
    {"queuing.strategy", BY_DESIGN},
    {"allow.auto.create.topics", "topics are made by `rimbalzo topics apply`"},
    {"test.mock.num.brokers", "every handle would have a cluster of its own"},
    {"log.queue", BY_DESIGN},
};

const char *kafka_version(void)
{
    return rd_kafka_version_str();
}

enum rcode kafka_property_check(const struct kafka_property *property, struct err *err)
{
    char text[512];
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (strcmp(refused[i].name, property->name) == 0)
            return err_set(err, E_CONFIG, "kafka.%s: cannot be set: %s", property->name,
                           refused[i].why);
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(scratch, property->name, property->value, text, sizeof(text));
    rd_kafka_conf_destroy(scratch);
    if (result == RD_KAFKA_CONF_OK)
        return OK;
    if (result == RD_KAFKA_CONF_UNKNOWN)
        return err_set(err, E_CONFIG, "kafka.%s: librdkafka %s has no such property",
                       property->name, rd_kafka_version_str());
    return err_set(err, E_CONFIG, "kafka.%s: librdkafka refuses this value", property->name);
}

const struct kafka_property client_reader_defaults[] = {
    {"client.id", "rimbalzo"},
    {"fetch.queue.backoff.ms", "10"},
    {"fetch.wait.max.ms", "100"},
    {"queued.max.messages.kbytes", "16384"},
    {"queued.min.messages", "100000"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

static enum rcode conf_set(rd_kafka_conf_t *conf, const struct kafka_property *property,
                           struct err *err)
{
    char text[512];
    if (rd_kafka_conf_set(conf, property->name, property->value, text, sizeof(text)) ==
        RD_KAFKA_CONF_OK)
        return OK;
    return err_set(err, E_CONFIG, "kafka.%s: librdkafka refuses this value", property->name);
}

static enum rcode conf_fill(rd_kafka_conf_t *conf, const struct client_options *options,
                            struct err *err)
{
    enum rcode rc = OK;
    for (const struct kafka_property *p = options->defaults; rc == OK && p && p->name; p++)
        rc = conf_set(conf, p, err);
    for (int i = 0; rc == OK && i < options->properties.count; i++) {
        rc = kafka_property_check(&options->properties.items[i], err);
        if (rc == OK)
            rc = conf_set(conf, &options->properties.items[i], err);
    }
    for (const struct kafka_property *p = options->required; rc == OK && p && p->name; p++)
        if (p->value)
            rc = conf_set(conf, p, err);
    return rc;
}

/* --- callbacks --- */

/* Never an error: what librdkafka calls fatal is routine to the engine, which heals it or says so
 * itself. */
static enum log_level level_of(int syslog_level)
{
    if (syslog_level <= 4)
        return LOG_WARN;
    return syslog_level <= 6 ? LOG_INFO : LOG_DEBUG;
}

static void log_cb(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    struct client *client = rd_kafka_opaque(handle);
    /* One set of properties serves producers and consumers: a producer's on a consumer is no
     * mistake. */
    if (strcmp(facility, "CONFWARN") == 0)
        return;
    log_line(level_of(level), "librdkafka", text, LOG_S("client", client->role),
             LOG_S("facility", facility));
}

static void error_cb(rd_kafka_t *handle, int code, const char *text, void *opaque)
{
    struct client *client = opaque;
    (void)handle;
    if (client->on_error)
        client->on_error(client->context, (rd_kafka_resp_err_t)code, text);
}

static void rebalance_cb(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct client *client = opaque;
    if (client->on_rebalance)
        client->on_rebalance(client->context, code, partitions);
    else
        rd_kafka_assign(handle, NULL);
}

static void delivery_cb(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    struct client *client = opaque;
    (void)handle;
    if (client->on_delivery)
        client->on_delivery(client->context, message);
}

static int statistics_cb(rd_kafka_t *handle, char *json, size_t len, void *opaque)
{
    struct client *client = opaque;
    struct statistics statistics;
    (void)handle;
    if (client->on_statistics && statistics_parse(json, len, &statistics))
        client->on_statistics(client->context, &statistics);
    return 0; /* librdkafka frees the text */
}

/* --- life --- */

enum rcode client_new(const struct client_options *options, struct client **ret_client,
                      struct err *err)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct client *client = mem_zalloc(sizeof(*client));
    client->role = options->role;
    client->context = options->context;
    client->on_error = options->on_error;
    client->on_rebalance = options->on_rebalance;
    client->on_delivery = options->on_delivery;
    client->on_statistics = options->on_statistics;

    enum rcode rc = conf_fill(conf, options, err);
    if (rc != OK)
        goto out;
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, log_cb);
    rd_kafka_conf_set_error_cb(conf, error_cb);
    if (options->on_rebalance)
        rd_kafka_conf_set_rebalance_cb(conf, rebalance_cb);
    if (options->on_delivery)
        rd_kafka_conf_set_dr_msg_cb(conf, delivery_cb);
    if (options->on_statistics)
        rd_kafka_conf_set_stats_cb(conf, statistics_cb);
    client->handle = rd_kafka_new(options->type, conf, text, sizeof(text));
    if (!client->handle) {
        rc = err_set(err, E_CONFIG, "kafka.*: %s", text);
        goto out;
    }
    conf = NULL; /* the handle's now */
    if (options->type == RD_KAFKA_CONSUMER)
        rd_kafka_poll_set_consumer(client->handle);
    *ret_client = client;
    client = NULL;
out:
    if (conf)
        rd_kafka_conf_destroy(conf);
    if (client)
        mem_free(client);
    return rc;
}

/* Whoever comes second, the ending thread or the one that waits for it, frees the job. */
struct ending {
    struct client *client;
    bool leave;
    atomic_bool settled;
};

static void *end_thread(void *argument)
{
    struct ending *ending = argument;
    rd_kafka_t *handle = ending->client->handle;
    if (rd_kafka_type(handle) == RD_KAFKA_CONSUMER && ending->leave)
        rd_kafka_consumer_close(handle);
    rd_kafka_destroy_flags(handle, ending->leave ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    mem_free(ending->client);
    ending->client = NULL;
    if (atomic_exchange(&ending->settled, true))
        mem_free(ending);
    return NULL;
}

static void pause_ms(int ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000L};
    nanosleep(&pause, NULL);
}

bool client_free(struct client *client, bool leave, int deadline_ms)
{
    pthread_t thread;
    if (!client)
        return true;
    client->on_error = NULL;
    client->on_rebalance = NULL;
    client->on_delivery = NULL;
    client->on_statistics = NULL;
    client->context = NULL;
    struct ending *ending = mem_zalloc(sizeof(*ending));
    ending->client = client;
    ending->leave = leave;
    if (pthread_create(&thread, NULL, end_thread, ending) != 0) {
        end_thread(ending); /* no thread to be had: then without a deadline */
        mem_free(ending);
        return true;
    }
    pthread_detach(thread);
    int64_t deadline = clock_monotonic_ms() + deadline_ms;
    while (!atomic_load(&ending->settled) && clock_monotonic_ms() < deadline)
        pause_ms(1);
    if (!atomic_exchange(&ending->settled, true))
        return false;
    mem_free(ending);
    return true;
}
