/* Whom a member that is told "fenced" believes, on the broker that librdkafka carries with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
/* wants to come after rdkafka.h */
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "kafka/client.h"
#include "kafka/kafka_port.h"

#define DEADLINE_MS 20000
/* Kafka's numbers of requests. */
#define HEARTBEAT 12
#define SYNC_GROUP 14

struct fixture {
    struct client *host; /* runs the broker in a thread of its own */
    rd_kafka_mock_cluster_t *cluster;
    struct port *port;
    int assigned, revoked;
};

static void on_assigned(void *context, const int32_t *partitions, int count)
{
    struct fixture *fixture = context;
    (void)partitions;
    (void)count;
    fixture->assigned++;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
    struct fixture *fixture = context;
    (void)partitions;
    (void)count;
    (void)lost;
    fixture->revoked++;
}

static void setup(struct fixture *fixture)
{
    struct err err;
    struct client_options host = {.type = RD_KAFKA_PRODUCER, .role = "embedded broker"};
    assert_int_equal(client_new(&host, &fixture->host, &err), OK);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->host->handle, 1);
    assert_non_null(fixture->cluster);
    rd_kafka_mock_group_initial_rebalance_delay_ms(fixture->cluster, 0);
    struct kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture->cluster)},
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "200"}};
    struct kafka_port_options options = {.properties = {properties, 3},
                                         .input = TOPIC_BOUNCES,
                                         .certificate = TOPIC_RECIPIENTS,
                                         .group = "g",
                                         .instance = "i",
                                         .transactional_id = "t"};
    for (int i = 0; i < TOPIC_COUNT; i++) {
        static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
        options.topics[i] = names[i];
        assert_int_equal(rd_kafka_mock_topic_create(fixture->cluster, names[i], 2, 1),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(kafka_port_new(&options, &fixture->port, &err), OK);
    fixture->port->listener = (struct port_listener){fixture, on_assigned, on_revoked};
}

static void teardown(struct fixture *fixture)
{
    fixture->port->ops->free(fixture->port);
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    assert_true(client_free(fixture->host, false, 5000));
}

/* Polls until partitions were given `times` times, or the process would have to end. */
static enum rcode poll_until(struct fixture *fixture, int times)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    struct port_record records[8];
    size_t count;
    int32_t partition;
    struct err err;
    while (fixture->assigned < times && clock_monotonic_ms() < deadline_ms) {
        enum rcode rc =
            fixture->port->ops->poll(fixture->port, 50, 8, records, &count, &partition, &err);
        fixture->port->ops->release(fixture->port);
        if (rc != OK && rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
    }
    return fixture->assigned >= times ? OK : E_TIMEOUT;
}

/* A request to join that had been given up, because no broker answered, may be served after the one
 * that took its place: it fences its own sender. */
static void a_member_that_is_fenced_while_it_joins_joins_again(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    setup(&fixture);
    rd_kafka_mock_push_request_errors(fixture.cluster, SYNC_GROUP, 1,
                                      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    assert_int_equal(poll_until(&fixture, 1), OK);
    assert_int_equal(fixture.revoked, 0);
    teardown(&fixture);
}

static void a_member_that_is_fenced_at_its_place_has_lost_it(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    setup(&fixture);
    assert_int_equal(poll_until(&fixture, 1), OK);
    rd_kafka_mock_push_request_errors(fixture.cluster, HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    assert_int_equal(poll_until(&fixture, 2), E_INSTANCE_FENCED);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_is_fenced_while_it_joins_joins_again),
        cmocka_unit_test(a_member_that_is_fenced_at_its_place_has_lost_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
