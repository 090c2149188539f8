/*
 * A seeded source of realistic input records, in event time: recipients over provider domains,
 * disabled mailboxes that stay disabled or recover, senders that answer retry commands when they
 * are due, provider rate limits, outages of a domain, deliveries, duplicates, late records,
 * misrouted keys and poison. The same seed and options give the same records. Memory is bounded:
 * states of recent recipients are kept in a fixed table.
 */
#pragma once
#include "codec/record.h"

struct sample_options {
    uint64_t seed;
    int64_t count;      /* records; the event times are spread so that they span `span_ms` */
    int64_t recipients; /* different addresses */
    int64_t start_ms;
    int64_t span_ms;
    double poison; /* shares of 1 */
    double duplicates;
    double late;
    const struct policy_set *policies;
};

struct sample_record {
    struct str key;   /* null allowed */
    struct str value; /* null allowed */
    bool poison;
};

struct sample;

struct sample *sample_new(const struct sample_options *options, struct codec *codec);
void sample_free(struct sample *sample);

/* The next record; spans are valid until the next call. False after `count` records. */
bool sample_next(struct sample *sample, struct sample_record *ret_record);
