#include "kafka/mock.h"

#include <librdkafka/rdkafka.h>
/* wants to come after rdkafka.h */
#include <librdkafka/rdkafka_mock.h>
#include <time.h>

#include "base/arena.h"
#include "kafka/client.h"

#define CLOSE_DEADLINE_MS 5000

struct kafka_mock {
    struct client *host; /* librdkafka runs the broker in a thread of some handle */
    rd_kafka_mock_cluster_t *cluster;
};

/* Its thread reads the wake-up of a request that comes right after another with the other's, and
 * sleeps for a second before it looks again. */
static void settle(void)
{
    static const struct timespec pause = {.tv_nsec = 2 * 1000000};
    nanosleep(&pause, NULL);
}

static enum rcode create_topics(struct kafka_mock *mock, const char *const topics[TOPIC_COUNT],
                                int32_t partitions, struct err *err)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        rd_kafka_resp_err_t code =
            rd_kafka_mock_topic_create(mock->cluster, topics[i], partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return client_fail(err, code, E_BUG, topics[i]);
        settle();
    }
    return OK;
}

enum rcode kafka_mock_open(const char *const topics[TOPIC_COUNT], int32_t partitions,
                           struct kafka_mock **ret_mock, struct err *err)
{
    struct kafka_mock *mock = mem_zalloc(sizeof(*mock));
    struct client_options options = {.type = RD_KAFKA_PRODUCER, .role = "embedded broker"};
    enum rcode rc = client_new(&options, &mock->host, err);
    if (rc == OK) {
        mock->cluster = rd_kafka_mock_cluster_new(mock->host->handle, 1);
        if (!mock->cluster)
            rc = err_set(err, E_IO, "the embedded broker cannot listen on the loopback");
    }
    if (rc == OK) {
        /* It waits 3 s for more members otherwise. */
        rd_kafka_mock_group_initial_rebalance_delay_ms(mock->cluster, 0);
        settle();
        rc = create_topics(mock, topics, partitions, err);
    }
    if (rc != OK) {
        kafka_mock_close(mock);
        return rc;
    }
    *ret_mock = mock;
    return OK;
}

void kafka_mock_close(struct kafka_mock *mock)
{
    if (!mock)
        return;
    if (mock->cluster)
        rd_kafka_mock_cluster_destroy(mock->cluster);
    client_free(mock->host, false, CLOSE_DEADLINE_MS);
    mem_free(mock);
}

const char *kafka_mock_bootstrap(const struct kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}
