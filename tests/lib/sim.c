#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "cli/ingest_job.h"
#include "sim_scene.h"
#include "sim_support.h"
#include "tmpdir.h"

#define START_MS 1700000000000LL
#define MEMORY_DISK "/dev/shm"
#define MEMORY_DISK_ROOM ((uint64_t)512 << 20)

/* Stores sync when they open: on a disk in memory that costs nothing. */
static void choose_tmpdir(void)
{
    struct statvfs disk;
    if (!getenv("TMPDIR") && access(MEMORY_DISK, W_OK) == 0 && statvfs(MEMORY_DISK, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize >= MEMORY_DISK_ROOM)
        setenv("TMPDIR", MEMORY_DISK, 0);
}

uint64_t sim_seed_first(void)
{
    const char *one = getenv("RIMBALZO_TEST_SEED");
    return one ? strtoull(one, NULL, 10) : 1;
}

uint64_t sim_seed_last(uint64_t usual)
{
    const char *many = getenv("RIMBALZO_TEST_SEEDS");
    if (getenv("RIMBALZO_TEST_SEED"))
        return sim_seed_first();
    return many ? strtoull(many, NULL, 10) : usual;
}

void sim_log(void)
{
    enum log_level none = (enum log_level)(LOG_ERROR + 1);
    log_configure(getenv("RIMBALZO_TEST_LOG") ? LOG_DEBUG : none, LOG_LOGFMT);
}

bool sim_thorough(void)
{
    return getenv("RIMBALZO_TEST_SEEDS") != NULL;
}

static const struct {
    const char *name, *group;
    enum topic input, certified;
} roles[SIM_ROLE_COUNT] = {
    [SIM_WORKER] = {"worker", "rimbalzo-worker", TOPIC_BOUNCES, TOPIC_RECIPIENTS},
    [SIM_DISPATCHER] = {"dispatcher", "rimbalzo-dispatcher", TOPIC_DELAYED, TOPIC_DUE},
    [SIM_INGEST] = {"ingest", "rimbalzo-ingest", TOPIC_SOURCE, TOPIC_BOUNCES},
};

enum sim_role sim_role(void)
{
    const char *role = getenv("RIMBALZO_TEST_ROLE");
    for (int i = 0; role && i < SIM_ROLE_COUNT; i++)
        if (strcmp(roles[i].name, role) == 0)
            return (enum sim_role)i;
    return SIM_WORKER;
}

enum topic sim_input(const struct sim *sim)
{
    return roles[sim->options.role].input;
}

enum topic sim_certified(const struct sim *sim)
{
    return roles[sim->options.role].certified;
}

const char *sim_group(const struct sim *sim)
{
    return roles[sim->options.role].group;
}

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
    if (!sim->options.delay_ms_max)
        sim->options.delay_ms_max = 2 * 3600000;
    sim->cluster = memory_cluster_new(
        &(struct memory_cluster_options){.seed = options->seed,
                                         .start_ms = START_MS,
                                         .marker_delay_max_ms = options->marker_delay_max_ms});
    for (int topic = 0; topic < TOPIC_SLOTS; topic++)
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
        codec_new(&options->codec, &sim->codec, &err) != OK) {
        fprintf(stderr, "sim: %s\n", err.text);
        abort();
    }
    choose_tmpdir();
    tmpdir_make(sim->dir);
    for (int i = 0; i < options->nodes; i++)
        sim_start(sim, i);
}

void sim_deinit(struct sim *sim)
{
    for (int i = 0; i < SIM_NODES_MAX; i++)
        sim_kill(sim, i);
    sim_timers_deinit(sim);
    memory_cluster_free(sim->cluster);
    rule_set_free(sim->rules);
    codec_free(sim->codec);
    tmpdir_remove(sim->dir);
}

struct state_options sim_state_options(const struct sim *sim, const char *dir)
{
    return (struct state_options){.dir = dir,
                                  .app = "rimbalzo",
                                  .cluster_id = "memory",
                                  .map_size_initial = sim->options.map_size_initial};
}

struct worker_options sim_worker_options(struct sim *sim, const char *state_dir)
{
    struct worker_options options = {.policies = &sim->policies,
                                     .rules = sim->rules,
                                     .codec = sim->options.codec,
                                     .state = sim_state_options(sim, state_dir)};
#define X(constant, key, name) options.topic_names[constant] = name;
    TOPICS(X)
#undef X
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.partition_counts[i] = sim->options.partitions;
    return options;
}

static struct dispatcher_options dispatcher_options(struct sim *sim, const char *state_dir)
{
    struct dispatcher_options options = {.state = sim_state_options(sim, state_dir),
                                         .delay_ms_max = sim->options.delay_ms_max};
#define X(constant, key, name) options.topic_names[constant] = name;
    TOPICS(X)
#undef X
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.partition_counts[i] = sim->options.partitions;
    return options;
}

static enum rcode new_processor(struct sim *sim, const char *dir, struct processor **ret_processor,
                                struct err *err)
{
    struct worker_options worker = sim_worker_options(sim, dir);
    struct dispatcher_options dispatcher = dispatcher_options(sim, dir);
    struct ingest_job_options ingest = {.ingest = sim_ingest_options(), .source = "source"};
    worker.codec = dispatcher.codec = ingest.codec = sim->options.node_codec;
    memcpy(ingest.partition_counts, worker.partition_counts, sizeof(ingest.partition_counts));
    switch (sim->options.role) {
    case SIM_WORKER:
        return worker_new(&worker, ret_processor, err);
    case SIM_DISPATCHER:
        return dispatcher_new(&dispatcher, ret_processor, err);
    case SIM_INGEST:
        return ingest_job_new(&ingest, ret_processor, err);
    case SIM_ROLE_COUNT:
        break;
    }
    abort();
}

static void free_processor(struct sim *sim, struct processor *processor)
{
    switch (sim->options.role) {
    case SIM_WORKER:
        worker_free(processor);
        return;
    case SIM_DISPATCHER:
        dispatcher_free(processor);
        return;
    case SIM_INGEST:
        ingest_job_free(processor);
        return;
    case SIM_ROLE_COUNT:
        break;
    }
}

/* --- nodes --- */

static void node_dir(const struct sim *sim, int node, char path[300])
{
    snprintf(path, 300, "%s/node-%d", sim->dir, node);
}

void sim_start(struct sim *sim, int index)
{
    sim_start_as(sim, index, index);
}

void sim_start_as(struct sim *sim, int index, int identity)
{
    struct sim_node *node = &sim->nodes[index];
    struct err err = {0};
    char instance[32], transactional_id[64];
    if (node->port)
        return;
    snprintf(instance, sizeof(instance), "node-%d", identity);
    snprintf(transactional_id, sizeof(transactional_id), "%s-%s", sim_group(sim), instance);
    struct memory_port_options options = {.group = sim_group(sim),
                                          .instance_id = instance,
                                          .transactional_id = transactional_id,
                                          .input = sim_input(sim),
                                          .certificate = sim_certified(sim),
                                          .poll_records_max = sim->options.poll_records_max};
    options.wall_offset_ms = node->wall_offset_ms;
    *node = (struct sim_node){.port = memory_port_new(sim->cluster, &options),
                              .wall_offset_ms = node->wall_offset_ms,
                              .lives = node->lives + 1};
    node_dir(sim, index, node->dir);
    if (new_processor(sim, node->dir, &node->worker, &err) != OK) {
        fprintf(stderr, "sim: %s\n", err.text);
        abort();
    }
    node->processor = node->worker;
    if (sim->options.plant)
        node->processor = sim->options.plant(sim, index, node->worker);
    struct memory_faults faults = sim->faults;
    if (!faults.decide)
        faults = memory_chaos_faults(&sim->chaos);
    memory_port_faults(node->port, &faults);
    node->engine = engine_new(
        &(struct engine_options){.port = node->port,
                                 .processor = node->processor,
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
    free_processor(sim, node->worker);
    if (node->processor != node->worker)
        mem_free(node->processor);
    node->port->ops->free(node->port);
    node->port = NULL;
    node->stalled = false;
}

void sim_stall(struct sim *sim, int node)
{
    if (!sim->nodes[node].port)
        return;
    memory_port_stall(sim->nodes[node].port);
    sim->nodes[node].stalled = true;
}

void sim_resume(struct sim *sim, int node)
{
    if (!sim->nodes[node].stalled)
        return;
    memory_port_resume(sim->nodes[node].port);
    sim->nodes[node].stalled = false;
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

void sim_set_clock(struct sim *sim, int node, int64_t wall_offset_ms)
{
    sim->nodes[node].wall_offset_ms = wall_offset_ms;
    if (sim->nodes[node].port)
        memory_port_set_wall_offset(sim->nodes[node].port, wall_offset_ms);
}

void sim_step(struct sim *sim, int index)
{
    struct sim_node *node = &sim->nodes[index];
    struct err err = {0};
    if (!node->port || node->stalled)
        return;
    enum rcode rc = engine_step(node->engine, &err);
    if (memory_port_killed(node->port)) {
        end_node(sim, index, false);
    } else if (rc != OK) {
        node->ended = rc;
        end_node(sim, index, false);
    }
    sim_timers_watch(sim);
}

void sim_step_all(struct sim *sim, int times)
{
    for (int i = 0; i < times; i++)
        for (int node = 0; node < SIM_NODES_MAX; node++)
            sim_step(sim, node);
}

enum rcode sim_failure(const struct sim *sim, int32_t partition)
{
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < SIM_NODES_MAX; i++)
        if (sim->nodes[i].port)
            rc = engine_failure(sim->nodes[i].engine, partition);
    return rc;
}

/* Commands are pending in the partition, as the group knows it. */
static bool waits(const struct sim *sim, int32_t partition)
{
    char certificate[PORT_METADATA_MAX + 1];
    if (sim->options.role != SIM_DISPATCHER)
        return false;
    sim_certificate(sim, partition, certificate);
    return !strstr(certificate, " n=0 ");
}

/* `failed`: partitions that have stopped with a named error are at rest too. */
static bool at_rest(const struct sim *sim, bool failed)
{
    bool any = false;
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        if (!sim->nodes[i].port || sim->nodes[i].stalled)
            continue;
        any = true;
        if (!engine_idle(sim->nodes[i].engine))
            return false;
    }
    if (!any || memory_cluster_open_transactions(sim->cluster) ||
        memory_group_rebalancing(sim->cluster, sim_group(sim)))
        return false;
    for (int32_t p = 0; p < sim->options.partitions; p++) {
        struct port_watermarks input = memory_watermarks(sim->cluster, sim_input(sim), p);
        if (memory_committed(sim->cluster, sim_group(sim), sim_input(sim), p, NULL) != input.high &&
            !(failed && sim_failure(sim, p) != OK))
            return false;
        if (waits(sim, p) && !(failed && sim_failure(sim, p) != OK))
            return false;
    }
    return true;
}

static bool run_until_at_rest(struct sim *sim, int steps, bool failed)
{
    for (int i = 0; i < steps; i++) {
        if (at_rest(sim, failed))
            return true;
        sim_step_all(sim, 1);
        for (int node = 0; node < sim->options.nodes; node++)
            if (!sim->nodes[node].stays_down)
                sim_start(sim, node);
    }
    return at_rest(sim, failed);
}

bool sim_drain(struct sim *sim, int steps)
{
    return run_until_at_rest(sim, steps, false);
}

bool sim_settle(struct sim *sim, int steps)
{
    return run_until_at_rest(sim, steps, true);
}

void sim_heal(struct sim *sim)
{
    sim->chaos.off = true;
    for (int node = 0; node < sim->options.nodes; node++) {
        sim->nodes[node].stays_down = false;
        sim_set_clock(sim, node, 0);
        sim_start(sim, node);
    }
}
