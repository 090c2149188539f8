/* The generator: adversarial records, all from the seed. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "domain/address.h"
#include "sim_support.h"

void sim_put(struct sim *sim, const struct port_message *message, int64_t timestamp_ms)
{
    struct err err;
    sim->produced++;
    if (!sim->outside)
        memory_produce(sim->cluster, message, timestamp_ms);
    else if (sim->outside->ops->send(sim->outside, message, &err) != OK)
        abort();
}

static void produce(struct sim *sim, const struct input_record *record, int32_t partition)
{
    struct buf value;
    char canonical[RECIPIENT_MAX + 1], key_text[RECORD_KEY_MAX];
    size_t len;
    struct err err;
    buf_init(&value);
    codec_encode_input(sim->codec, record, &value);
    struct str key = STR("odd");
    if (address_canonical(record->recipient, false, canonical, &len, &err) == OK)
        key = (struct str){
            key_text, identity_key((struct identity){record->tenant, {canonical, len}}, key_text)};
    if (partition < 0)
        partition = hash_partition(key, sim->options.partitions);
    static const struct port_header headers[] = {{STR("traceparent"), STR("00-1-2-01")},
                                                 {STR("rimbalzo-rerouted"), STR("no numbers")},
                                                 {STR("baggage"), STR_NULL}};
    sim_put(sim,
            &(struct port_message){.topic = TOPIC_BOUNCES,
                                   .partition = partition,
                                   .key = key,
                                   .value = buf_view(&value),
                                   .headers = headers,
                                   .header_count = (int)(sim->produced % 4)},
            /* now and then the broker's clock lags so far that the event's time is not believed */
            sim->event_time_ms - (sim_random(sim, 50) ? 0 : 600000));
    buf_deinit(&value);
}

void sim_feed_bounce(struct sim *sim, const char *recipient, const char *status, int64_t time_ms,
                     const char *event_id)
{
    if (time_ms > sim->event_time_ms)
        sim->event_time_ms = time_ms;
    struct input_record record = {.kind = RECORD_BOUNCE,
                                  .event_id = str_of(event_id),
                                  .tenant = STR(""),
                                  .recipient = str_of(recipient),
                                  .message_id = STR("m"),
                                  .occurred_at_ms = time_ms,
                                  .status = str_of(status),
                                  .source = STR("test")};
    produce(sim, &record, -1);
}

static void produce_garbage(struct sim *sim)
{
    char octets[24];
    size_t len = sim_random(sim, sizeof(octets));
    for (size_t i = 0; i < len; i++)
        octets[i] = (char)sim_random(sim, 256);
    if (len > 2 && sim_random(sim, 2))
        octets[0] = (char)0xc3, octets[1] = 1;
    sim_put(sim,
            &(struct port_message){
                .topic = TOPIC_BOUNCES,
                .partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions),
                .key = sim_random(sim, 2) ? STR("garbage") : STR_NULL,
                .value = sim_random(sim, 5) ? (struct str){octets, len} : STR_NULL},
            -1);
}

static void feed_one(struct sim *sim)
{
    static const char *const statuses[] = {"4.2.1", "4.2.1", "4.2.1", "4.2.2", "4.2.1", "5.2.1",
                                           "4.4.1", "5.7.1", "5.1.1", "4.2.1", NULL};
    static const int64_t hops[] = {1000, 60000, 3600000, 43200000, 86400000, 259200000};
    char recipient[64], event_id[64], message_id[16];
    if (!sim->options.clean && sim_random(sim, 50) == 0) {
        produce_garbage(sim);
        return;
    }
    sim->event_time_ms += hops[sim_random(sim, 6)] / (int64_t)(1 + sim_random(sim, 20));
    if (sim_random(sim, 400) == 0)
        sim->event_time_ms += 31LL * 86400000; /* lapses */
    if (sim_random(sim, 3000) == 0)
        sim->event_time_ms += 401LL * 86400000; /* expires */
    int64_t behind = sim_random(sim, 8) ? 0 : (int64_t)sim_random(sim, 86400000);
    uint64_t who = sim_random(sim, (uint64_t)sim->options.recipients);
    snprintf(recipient, sizeof(recipient),
             sim->options.clean || sim_random(sim, 60) ? "User%llu@Example.com" : "a b%llu@x",
             (unsigned long long)who);
    bool again = sim_random(sim, 12) == 0;
    snprintf(event_id, sizeof(event_id), "E%lld",
             (long long)(again ? sim->produced - (int64_t)sim_random(sim, 30) : sim->produced));
    snprintf(message_id, sizeof(message_id), "m%llu", (unsigned long long)sim_random(sim, 4));
    struct input_record record = {.kind = RECORD_BOUNCE,
                                  .event_id = str_of(event_id),
                                  .tenant = sim_random(sim, 5) ? STR("") : STR("acme"),
                                  .recipient = str_of(recipient),
                                  .message_id = str_of(message_id),
                                  .occurred_at_ms = sim->event_time_ms - behind,
                                  .status = str_of(statuses[sim_random(sim, 11)]),
                                  .message_attempt = (int32_t)sim_random(sim, 5) - 1,
                                  .source = STR("test")};
    if (record.message_attempt < 0 && (sim->options.clean || sim_random(sim, 10)))
        record.message_attempt = 0;
    uint64_t kind = sim_random(sim, 20);
    if (kind < 4)
        record.kind = RECORD_DELIVERY;
    else if (kind == 4)
        record.kind = RECORD_OVERRIDE;
    record.action = (int)sim_random(sim, OVERRIDE_ACTION_COUNT);
    int32_t partition = -1;
    if (!sim->options.clean && sim_random(sim, 30) == 0)
        partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions);
    produce(sim, &record, partition);
}

void sim_feed(struct sim *sim, int count)
{
    if (sim->options.role == SIM_INGEST) {
        sim_ingest_feed(sim, count);
        return;
    }
    if (sim->options.role == SIM_DISPATCHER) {
        sim_timers_feed(sim, count);
        return;
    }
    for (int i = 0; i < count; i++)
        feed_one(sim);
}

/* --- producers with transactions --- */

void sim_feed_transaction(struct sim *sim, int count, bool commit)
{
    struct err err;
    sim->outside = memory_port_new(
        sim->cluster, &(struct memory_port_options){.transactional_id = "outside",
                                                    .input = sim_input(sim),
                                                    .certificate = sim_certified(sim)});
    const struct port_ops *ops = sim->outside->ops;
    enum rcode rc;
    while ((rc = ops->producer_open(sim->outside, &err)) != OK)
        if (rcode_disposition(rc) != DISPOSITION_RETRY)
            abort();
    if (ops->begin(sim->outside, &err) != OK)
        abort();
    sim_feed(sim, count);
    if (ops->flush(sim->outside, &err) != OK ||
        (commit ? ops->commit : ops->abort)(sim->outside, &err) != OK)
        abort();
    ops->free(sim->outside);
    sim->outside = NULL;
}
