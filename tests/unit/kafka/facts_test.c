/* What is asked of brokers, on the one that librdkafka carries with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
/* wants to come after rdkafka.h */
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "kafka/facts.h"

#define TOPIC "t"
#define DEADLINE_MS 20000

struct fixture {
    struct client *host; /* runs the broker in a thread of its own */
    rd_kafka_mock_cluster_t *cluster;
    struct client *client;
};

static void setup(struct fixture *fixture)
{
    struct err err;
    struct client_options host = {.type = RD_KAFKA_PRODUCER, .role = "embedded broker"};
    assert_int_equal(client_new(&host, &fixture->host, &err), OK);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->host->handle, 1);
    assert_non_null(fixture->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(fixture->cluster, TOPIC, 1, 1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    struct kafka_property required[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture->cluster)}, {NULL, NULL}};
    struct client_options options = {
        .type = RD_KAFKA_CONSUMER, .role = "asker", .required = required};
    assert_int_equal(client_new(&options, &fixture->client, &err), OK);
}

static void teardown(struct fixture *fixture)
{
    assert_true(client_free(fixture->client, false, 5000));
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    assert_true(client_free(fixture->host, false, 5000));
}

/* Asks once, until there is an answer of any kind. */
static enum rcode ask(struct fixture *fixture, struct facts *facts, struct err *err)
{
    struct port_watermarks marks;
    enum rcode rc;
    do
        rc = facts_watermarks(facts, fixture->client, TOPIC, 0, &marks, err);
    while (rc == E_TIMEOUT);
    return rc;
}

static void a_partition_that_had_no_leader_is_asked_again(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    struct facts facts = {0};
    struct err err = {0};
    setup(&fixture);
    assert_int_equal(rd_kafka_mock_partition_set_leader(fixture.cluster, TOPIC, 0, -1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rcode_disposition(ask(&fixture, &facts, &err)), DISPOSITION_RETRY);
    assert_int_equal(rd_kafka_mock_partition_set_leader(fixture.cluster, TOPIC, 0, 1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    enum rcode rc;
    do
        rc = ask(&fixture, &facts, &err);
    while (rc != OK && clock_monotonic_ms() < deadline_ms);
    if (rc != OK)
        fail_msg("%s", err.text);
    facts_drop(&facts);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_that_had_no_leader_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
