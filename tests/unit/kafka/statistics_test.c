/* What is taken from librdkafka's statistics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kafka/statistics.h"

#define BROKERS                                                                                    \
    "\"brokers\":{"                                                                                \
    "\"a:9092/1\":{\"nodeid\":1,\"state\":\"UP\",\"source\":\"learned\"},"                         \
    "\"b:9092/2\":{\"nodeid\":2,\"state\":\"UP\",\"source\":\"configured\"},"                      \
    "\"c:9092/3\":{\"nodeid\":3,\"state\":\"DOWN\",\"source\":\"learned\"},"                       \
    "\"a:9092/bootstrap\":{\"nodeid\":-1,\"state\":\"UP\",\"source\":\"configured\"},"             \
    "\"GroupCoordinator\":{\"nodeid\":1,\"state\":\"UP\",\"source\":\"logical\"}}"

static bool parse(const char *json, struct statistics *ret_statistics)
{
    return statistics_parse(json, strlen(json), ret_statistics);
}

static void each_broker_with_a_connection_counts_once(void **unused)
{
    (void)unused;
    struct statistics statistics;
    assert_true(parse("{\"type\":\"producer\",\"msg_cnt\":0," BROKERS "}", &statistics));
    assert_int_equal(statistics.brokers_up, 2);
}

/* Each partition of a consumer tells the length of the queue they share. */
static void a_consumer_waits_with_its_one_queue_and_a_producer_with_its_messages(void **unused)
{
    (void)unused;
#define REST                                                                                       \
    "\"replyq\":4999,\"msg_cnt\":7,\"topics\":{\"t\":{\"partitions\":{"                            \
    "\"0\":{\"fetchq_cnt\":4999},\"1\":{\"fetchq_cnt\":4999}}}}," BROKERS "}"
    struct statistics statistics;
    assert_true(parse("{\"type\":\"consumer\"," REST, &statistics));
    assert_int_equal(statistics.waiting, 4999);
    assert_true(parse("{\"type\":\"producer\"," REST, &statistics));
    assert_int_equal(statistics.waiting, 7);
#undef REST
}

static void what_is_no_statistics_is_refused(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{}",
                                        "{\"type\":\"consumer\"," BROKERS "}",
                                        "{\"type\":\"consumer\",\"replyq\":1}",
                                        "{\"type\":\"consumer\",\"replyq\":\"1\"," BROKERS "}"};
    struct statistics statistics;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (parse(texts[i], &statistics))
            fail_msg("taken: %s", texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_broker_with_a_connection_counts_once),
        cmocka_unit_test(a_consumer_waits_with_its_one_queue_and_a_producer_with_its_messages),
        cmocka_unit_test(what_is_no_statistics_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
