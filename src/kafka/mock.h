/*
 * The broker that librdkafka carries with it, inside this process, with the topics of a pipeline:
 * for `rimbalzo demo`, which shows the real worker with nothing installed.
 *
 * Every request the port makes is answered by it, so the port runs unchanged. What it is not (as of
 * librdkafka 2.8): it shows records of aborted transactions to everybody, and forgets offsets that
 * come with a transaction, so a worker that starts again finds no certificate. One worker, one
 * life; it proves nothing about exactly once. Its records live in memory until it is closed.
 */
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "stream/topic.h"

struct kafka_mock;

/* One broker on a port of the loopback, and these topics with so many partitions each. */
enum rcode kafka_mock_open(const char *const topics[TOPIC_COUNT], int32_t partitions,
                           struct kafka_mock **ret_mock, struct err *err) WARN_UNUSED;
void kafka_mock_close(struct kafka_mock *mock); /* NULL is allowed */

/* For bootstrap.servers; lives as long as the broker. */
const char *kafka_mock_bootstrap(const struct kafka_mock *mock);
