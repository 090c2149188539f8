/* Transactions, committed offsets, watermarks. */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "probe.h"
#include "scenarios.h"

static int seen;

static void expect_shapes(const struct port_record *record)
{
    switch (seen++) {
    case 0: /* null key, empty value */
        CHECK(!record->key.data);
        CHECK(record->value.data && record->value.len == 0);
        CHECK_NUMBER(record->header_count, 0);
        break;
    case 1: /* empty key, null value */
        CHECK(record->key.data && record->key.len == 0);
        CHECK(!record->value.data);
        break;
    default: /* headers, one of them null, one empty, one with a NUL octet */
        CHECK(str_equal(record->key, STR("key")));
        CHECK_NUMBER(record->header_count, 3);
        CHECK(str_equal(record->headers[0].name, STR("a")));
        CHECK(!record->headers[0].value.data);
        CHECK(record->headers[1].value.data && record->headers[1].value.len == 0);
        CHECK(str_equal(record->headers[2].name, STR("c")));
        CHECK(str_equal(record->headers[2].value, STR("x\0y")));
        CHECK(record->timestamp_ms > 0 && record->timestamp_ms <= clock_wall_ms() + 1000);
    }
}

void records_keep_what_was_sent(void)
{
    struct probe probe;
    struct port_header headers[] = {
        {STR("a"), STR_NULL}, {STR("b"), STR("")}, {STR("c"), STR("x\0y")}};
    struct port_message messages[] = {
        {TOPIC_DUE, 1, STR_NULL, STR(""), NULL, 0},
        {TOPIC_DUE, 1, STR(""), STR_NULL, NULL, 0},
        {TOPIC_DUE, 1, STR("key"), STR("value"), headers, 3},
    };
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    CHECK_OK(ops->begin(probe.port, &last));
    for (int i = 0; i < 3; i++)
        CHECK_OK(ops->send(probe.port, &messages[i], &last));
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_DUE, 1), 3);
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_DUE, 0), -1);
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_DELAYED, 1), -1);
    probe_commit(&probe);
    CHECK_NUMBER(probe_restore(&probe, TOPIC_DUE, 1, 0, 4, expect_shapes), 3);
    probe_close(&probe);
}

void aborted_records_are_not_read(void)
{
    struct probe probe;
    struct port_watermarks marks;
    probe_open(&probe, &(struct probe_options){0});
    const struct port_ops *ops = probe.port->ops;
    probe_producer(&probe);
    probe_send_numbers(&probe, TOPIC_RECIPIENTS, 0, 0, 10);
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    CHECK_OK(RETRYING(ops->watermarks(probe.port, TOPIC_RECIPIENTS, 0, &marks, &last)));
    CHECK_NUMBER(marks.log_start, 0);
    CHECK_NUMBER(marks.high, 10);
    CHECK_NUMBER(marks.stable, 0);
    probe_abort(&probe);
    probe_send_numbers(&probe, TOPIC_RECIPIENTS, 0, 10, 5);
    probe_commit(&probe);
    probe_send_numbers(&probe, TOPIC_RECIPIENTS, 0, 15, 7);
    CHECK_OK(RETRYING(ops->flush(probe.port, &last)));
    CHECK_NUMBER(ops->sent_next(probe.port, TOPIC_RECIPIENTS, 0), 24);
    probe_abort(&probe);
    /* 10 aborted, marker, 5, marker, 7 aborted, marker */
    CHECK_NUMBER(probe_restore(&probe, TOPIC_RECIPIENTS, 0, 0, 25, NULL), 5);
    CHECK_OK(RETRYING(ops->watermarks(probe.port, TOPIC_RECIPIENTS, 0, &marks, &last)));
    CHECK_NUMBER(marks.high, 25);
    CHECK_NUMBER(marks.stable, 25);
    probe_close(&probe);
}
