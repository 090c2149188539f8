#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "domain/address.h"
#include "sim_support.h"
#include "tmpdir.h"

#define START_MS 1700000000000LL

uint64_t sim_random(struct sim *sim, uint64_t below)
{
    /* splitmix64 */
    uint64_t z = (sim->random += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
}

static const struct rule_sample disabled_yes = {.facts = {.diagnostic = {"mailbox disabled", 16}}};
static const struct rule_sample disabled_no = {.facts = {.diagnostic = {"fine", 4}}};

void sim_init(struct sim *sim, const struct sim_options *options)
{
    struct err err = {0};
    *sim = (struct sim){.options = *options, .random = options->seed, .event_time_ms = START_MS};
    if (!sim->options.batch_records_max)
        sim->options.batch_records_max = 200;
    if (!sim->options.map_size_initial)
        sim->options.map_size_initial = 1 << 20;
    if (!sim->options.certificate_refresh_ms)
        sim->options.certificate_refresh_ms = 3600000;
    sim->cluster = memory_cluster_new(&(struct memory_cluster_options){
        .seed = options->seed,
        .start_ms = START_MS,
        .marker_delay_max_ms = options->marker_delay_max_ms});
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        memory_topic_create(sim->cluster, (enum topic)topic, options->partitions);
    memory_chaos_init(&sim->chaos, options->seed, options->chaos);
    policy_set_defaults(&sim->policies);
    struct rule_source rule = {.id = STR("test.disabled"),
                               .text = STR("mailbox disabled"),
                               .class_name = STR("SOFT"),
                               .reason_name = STR("mailbox_disabled"),
                               .positive = &disabled_yes,
                               .positive_count = 1,
                               .negative = &disabled_no,
                               .negative_count = 1};
    if (rule_set_new("test", &rule, 1, &sim->rules, &err) != OK ||
        codec_new(&(struct codec_options){0}, &sim->codec, &err) != OK) {
        fprintf(stderr, "sim: %s\n", err.text);
        abort();
    }
    tmpdir_make(sim->dir);
    for (int i = 0; i < options->nodes; i++)
        sim_start(sim, i);
}

void sim_deinit(struct sim *sim)
{
    for (int i = 0; i < SIM_NODES_MAX; i++)
        sim_kill(sim, i);
    memory_cluster_free(sim->cluster);
    rule_set_free(sim->rules);
    codec_free(sim->codec);
    tmpdir_remove(sim->dir);
}

struct worker_options sim_worker_options(struct sim *sim, const char *state_dir)
{
    struct worker_options options = {.policies = &sim->policies,
                                     .rules = sim->rules,
                                     .state_dir = state_dir,
                                     .app = "rimbalzo",
                                     .cluster_id = "memory",
                                     .map_size_initial = sim->options.map_size_initial};
#define X(constant, key, name) options.topic_names[constant] = name;
    TOPICS(X)
#undef X
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.partition_counts[i] = sim->options.partitions;
    return options;
}

/* --- nodes --- */

static void node_dir(const struct sim *sim, int node, char path[300])
{
    snprintf(path, 300, "%s/node-%d", sim->dir, node);
}

void sim_start(struct sim *sim, int index)
{
    struct sim_node *node = &sim->nodes[index];
    struct err err = {0};
    char instance[32], transactional_id[64];
    if (node->port)
        return;
    snprintf(instance, sizeof(instance), "node-%d", index);
    snprintf(transactional_id, sizeof(transactional_id), "%s-%s", SIM_GROUP, instance);
    struct memory_port_options options = {.group = SIM_GROUP,
                                          .instance_id = instance,
                                          .transactional_id = transactional_id,
                                          .input = TOPIC_BOUNCES,
                                          .certificate = TOPIC_RECIPIENTS};
    *node = (struct sim_node){.port = memory_port_new(sim->cluster, &options)};
    node_dir(sim, index, node->dir);
    struct worker_options worker_options = sim_worker_options(sim, node->dir);
    if (worker_new(&worker_options, &node->worker, &err) != OK) {
        fprintf(stderr, "sim: %s\n", err.text);
        abort();
    }
    struct memory_faults faults = memory_chaos_faults(&sim->chaos);
    memory_port_faults(node->port, &faults);
    node->engine = engine_new(&(struct engine_options){
        .port = node->port,
        .processor = node->worker,
        .thread = index,
        .batch_records_max = sim->options.batch_records_max,
        .batch_bytes_max = 1 << 24,
        .commit_interval_ms = 100,
        .certificate_refresh_ms = sim->options.certificate_refresh_ms,
        .rebuilds_max = 1000000,
        .partition_count = sim->options.partitions});
}

static void end_node(struct sim *sim, int index, bool clean)
{
    struct sim_node *node = &sim->nodes[index];
    if (!node->port)
        return;
    const char *misuse = memory_port_misuse(node->port);
    if (misuse) {
        fprintf(stderr, "sim: seed %llu: the engine broke the port's contract: %s\n",
                (unsigned long long)sim->options.seed, misuse);
        abort();
    }
    if (clean)
        engine_free(node->engine);
    else
        engine_abandon(node->engine);
    worker_free(node->worker);
    node->port->ops->free(node->port);
    node->port = NULL;
}

void sim_stop(struct sim *sim, int node)
{
    end_node(sim, node, true);
}

void sim_kill(struct sim *sim, int node)
{
    if (sim->nodes[node].port)
        memory_port_kill(sim->nodes[node].port);
    end_node(sim, node, false);
}

void sim_wipe(struct sim *sim, int node)
{
    char dir[300];
    node_dir(sim, node, dir);
    tmpdir_remove(dir);
}

void sim_step(struct sim *sim, int index)
{
    struct sim_node *node = &sim->nodes[index];
    struct err err = {0};
    if (!node->port)
        return;
    enum rcode rc = engine_step(node->engine, &err);
    if (memory_port_killed(node->port)) {
        end_node(sim, index, false);
    } else if (rc != OK) {
        node->ended = rc;
        end_node(sim, index, false);
    }
}

void sim_step_all(struct sim *sim, int times)
{
    for (int i = 0; i < times; i++)
        for (int node = 0; node < SIM_NODES_MAX; node++)
            sim_step(sim, node);
}

static bool drained(const struct sim *sim)
{
    bool any = false;
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        if (!sim->nodes[i].port)
            continue;
        any = true;
        if (!engine_idle(sim->nodes[i].engine))
            return false;
    }
    if (!any || memory_cluster_open_transactions(sim->cluster) ||
        memory_group_rebalancing(sim->cluster, SIM_GROUP))
        return false;
    for (int32_t p = 0; p < sim->options.partitions; p++) {
        struct port_watermarks input = memory_watermarks(sim->cluster, TOPIC_BOUNCES, p);
        if (memory_committed(sim->cluster, SIM_GROUP, TOPIC_BOUNCES, p, NULL) != input.high)
            return false;
    }
    return true;
}

bool sim_drain(struct sim *sim, int steps)
{
    for (int i = 0; i < steps; i++) {
        if (drained(sim))
            return true;
        sim_step_all(sim, 1);
        for (int node = 0; node < sim->options.nodes; node++)
            sim_start(sim, node);
    }
    return drained(sim);
}

void sim_heal(struct sim *sim)
{
    sim->chaos.off = true;
    for (int node = 0; node < sim->options.nodes; node++)
        sim_start(sim, node);
}

/* --- the generator --- */

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
        key = (struct str){key_text, identity_key((struct identity){record->tenant, {canonical, len}},
                                                  key_text)};
    if (partition < 0)
        partition = hash_partition(key, sim->options.partitions);
    memory_produce(sim->cluster,
                   &(struct port_message){.topic = TOPIC_BOUNCES,
                                          .partition = partition,
                                          .key = key,
                                          .value = buf_view(&value)},
                   /* now and then the broker's clock lags so far that the event's time is not believed */
                   sim->event_time_ms - (sim_random(sim, 50) ? 0 : 600000));
    buf_deinit(&value);
    sim->produced++;
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
    memory_produce(sim->cluster,
                   &(struct port_message){
                       .topic = TOPIC_BOUNCES,
                       .partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions),
                       .key = sim_random(sim, 2) ? STR("garbage") : STR_NULL,
                       .value = sim_random(sim, 5) ? (struct str){octets, len} : STR_NULL},
                   -1);
    sim->produced++;
}

static void feed_one(struct sim *sim)
{
    static const char *const statuses[] = {"4.2.1", "4.2.1", "4.2.1", "4.2.2", "4.2.1", "5.2.1",
                                           "4.4.1", "5.7.1", "5.1.1", "4.2.1", NULL};
    static const int64_t hops[] = {1000, 60000, 3600000, 43200000, 86400000, 259200000};
    char recipient[64], event_id[64], message_id[16];
    if (sim_random(sim, 50) == 0) {
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
    snprintf(recipient, sizeof(recipient), sim_random(sim, 60) ? "User%llu@Example.com" : "a b%llu@x",
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
    if (record.message_attempt < 0 && sim_random(sim, 10))
        record.message_attempt = 0;
    uint64_t kind = sim_random(sim, 20);
    if (kind < 4)
        record.kind = RECORD_DELIVERY;
    else if (kind == 4)
        record.kind = RECORD_OVERRIDE;
    record.action = (int)sim_random(sim, OVERRIDE_ACTION_COUNT);
    int32_t partition = sim_random(sim, 30) ? -1 : (int32_t)sim_random(sim, (uint64_t)sim->options.partitions);
    produce(sim, &record, partition);
}

void sim_feed(struct sim *sim, int count)
{
    for (int i = 0; i < count; i++)
        feed_one(sim);
}
