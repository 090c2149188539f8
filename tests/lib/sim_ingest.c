/*
 * Ingest jobs: log records of KumoMTA in a topic of their own, and the oracle: the records that the
 * adapter makes of the source, each once in the input topic, and each record at fault once in the
 * dead letters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "cli/ingest_job.h"
#include "sim_support.h"

/* --- the generator --- */

static void put_text(struct sim *sim, struct str value)
{
    static const struct port_header headers[] = {{STR("traceparent"), STR("00-1-2-01")},
                                                 {STR("rimbalzo-x"), STR("ours")}};
    sim_put(sim,
            &(struct port_message){.topic = TOPIC_SOURCE,
                                   .partition =
                                       (int32_t)sim_random(sim, (uint64_t)sim->options.partitions),
                                   .value = value,
                                   .headers = headers,
                                   .header_count = (int)sim_random(sim, 3)},
            -1);
}

static void feed_log_record(struct sim *sim)
{
    static const char *const types[] = {"Bounce",     "Bounce",    "OOB",
                                        "Expiration", "Delivery",  "TransientFailure",
                                        "Delayed",    "Reception", "no such one"};
    char text[512];
    unsigned long long who = sim_random(sim, (uint64_t)sim->options.recipients);
    const char *second = sim_random(sim, 10) ? "" : ", \"second@example.org\"";
    snprintf(text, sizeof(text),
             "{\"type\": \"%s\", \"id\": \"id%lld\", \"nodeid\": \"n1\", \"num_attempts\": 1, "
             "\"timestamp\": 1700000000, \"recipient\": [\"User%llu@Example.com\"%s], "
             "\"peer_address\": {\"name\": \"mx.example.com\"}, \"response\": {\"code\": 450, "
             "\"enhanced_code\": {\"class\": 4, \"subject\": 2, \"detail\": 1}, "
             "\"content\": \"mailbox disabled\"}}",
             types[sim_random(sim, sizeof(types) / sizeof(types[0]))], (long long)sim->produced,
             who, second);
    if (sim_random(sim, 20) == 0)
        text[sim_random(sim, 60)] = '\0'; /* cut off */
    put_text(sim, sim_random(sim, 40) ? str_of(text) : STR_NULL);
}

void sim_ingest_feed(struct sim *sim, int count)
{
    for (int i = 0; i < count; i++)
        feed_log_record(sim);
}

struct ingest_options sim_ingest_options(void)
{
    return (struct ingest_options){.format = INGEST_KUMOMTA, .tenant = STR("acme")};
}

/* --- the oracle --- */

/* Hashes of records: as a multiset they are their sorted list. */
struct hashes {
    uint64_t *items;
    size_t count;
};

static void add_record(struct hashes *hashes, struct str key, struct str value)
{
    hashes->items = mem_realloc(hashes->items, (hashes->count + 1) * sizeof(uint64_t));
    hashes->items[hashes->count++] = hash_record(key, value);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static bool equal(struct hashes *a, struct hashes *b)
{
    if (a->count)
        qsort(a->items, a->count, sizeof(uint64_t), compare);
    if (b->count)
        qsort(b->items, b->count, sizeof(uint64_t), compare);
    return a->count == b->count &&
           (!a->count || memcmp(a->items, b->items, a->count * sizeof(uint64_t)) == 0);
}

/* What the source must lead to. */
static void fold(struct sim *sim, struct hashes *sent, struct hashes *dead)
{
    struct ingest_options options = sim_ingest_options();
    struct ingest *ingest = ingest_new(&options);
    struct port_record record;
    struct buf value, key;
    buf_init(&value);
    buf_init(&key);
    for (int32_t p = 0; p < sim->options.partitions; p++)
        for (int64_t next = 0; memory_read(sim->cluster, TOPIC_SOURCE, p, &next, &record);) {
            struct ingest_item item = {record.value, record.timestamp_ms};
            struct ingest_result result;
            bool rejected = false;
            ingest_read(ingest, &item, &result);
            for (size_t i = 0; i < result.count; i++) {
                const struct ingest_entry *entry = &result.entries[i];
                rejected |= entry->outcome == INGEST_REJECTED;
                if (entry->outcome != INGEST_BOUNCE && entry->outcome != INGEST_DELIVERY)
                    continue;
                buf_clear(&value);
                buf_clear(&key);
                codec_encode_input(sim->codec, &entry->record, &value);
                buf_printf(&key, "acme:%.*s", STR_ARG(entry->canonical));
                add_record(sent, buf_view(&key), buf_view(&value));
            }
            if (rejected)
                add_record(dead, record.key, record.value);
        }
    buf_deinit(&value);
    buf_deinit(&key);
    ingest_free(ingest);
}

static void read_all(const struct sim *sim, enum topic topic, struct hashes *hashes)
{
    struct port_record record;
    for (int32_t p = 0; p < sim->options.partitions; p++)
        for (int64_t next = 0; memory_read(sim->cluster, topic, p, &next, &record);)
            add_record(hashes, record.key, record.value);
}

int64_t sim_ingest_check(struct sim *sim, bool expect_failure)
{
    struct hashes sent = {0}, dead = {0}, found = {0}, found_dead = {0};
    fold(sim, &sent, &dead);
    read_all(sim, TOPIC_BOUNCES, &found);
    read_all(sim, TOPIC_DEAD_LETTERS, &found_dead);
    bool same = equal(&sent, &found), same_dead = equal(&dead, &found_dead);
    int64_t count = (int64_t)found.count;
    if (!expect_failure && !(same && same_dead))
        fail_msg("seed %llu: %zu records instead of %zu, %zu dead letters instead of %zu",
                 (unsigned long long)sim->options.seed, found.count, sent.count, found_dead.count,
                 dead.count);
    mem_free(sent.items);
    mem_free(dead.items);
    mem_free(found.items);
    mem_free(found_dead.items);
    return same && same_dead ? count : -1;
}
