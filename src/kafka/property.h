/*
 * Properties for librdkafka, as the configuration gives them (`kafka.NAME: VALUE`). They override
 * our defaults, except those that the promise of exactly once rests on: these are refused.
 */
#pragma once
#include "base/err.h"

struct kafka_property {
    const char *name;
    const char *value;
};

struct kafka_properties {
    const struct kafka_property *items;
    int count;
};

/* E_CONFIG if librdkafka does not know the property, refuses the value, or the property is not the
 * user's to set; the text starts with "kafka.NAME: ". Never shows the value (it may be a password).
 */
enum rcode kafka_property_check(const struct kafka_property *property, struct err *err) WARN_UNUSED;

/* The version of librdkafka that is linked, e.g. "2.8.0". */
const char *kafka_version(void);
