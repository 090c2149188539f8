/* What we take from librdkafka's statistics (a JSON text every kafka.statistics.interval.ms). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct statistics {
    int brokers_up;  /* with an open connection */
    int64_t waiting; /* messages in its queues: to be sent, or fetched and not taken yet */
};

/* False: the text is not what it should be. */
bool statistics_parse(const char *json, size_t len, struct statistics *ret_statistics);
