/*
 * Copiers in a hostile world: a few processes copy the bounces to the notices, exactly once, while
 * calls fail, answers get lost, processes are killed and stopped and the group rebalances. What
 * they do is the protocol of the engine without its state, so a log that breaks a rule shows here
 * as a record too many or too few.
 */
#include "memory_fixture.h"

#define NODES 3
#define PARTITIONS 4
#define BATCH_MAX 64
#define STEPS_MAX 200000

struct copier {
    struct node node;
    char name[24];
    bool open;
    bool positioned;   /* since the last loss of what it was reading */
    int64_t resume_ms; /* -1: it runs */
    int64_t revive_ms; /* -1: it lives */
};

struct world {
    struct memory_cluster *cluster;
    struct memory_chaos chaos;
    uint64_t random;
    int records;          /* per partition */
    bool ignores_unknown; /* the planted bug: goes on reading after an unknown outcome */
    struct copier copiers[NODES];
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (world->random >> 33) % below;
}

static void copier_assigned(void *context, const int32_t *partitions, int count)
{
    struct copier *copier = context;
    copier->positioned = false;
    copier->node.told[0] = '\0';
    node_tell(&copier->node, '+', partitions, count);
}

static void copier_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
    struct copier *copier = context;
    (void)partitions;
    (void)count;
    (void)lost;
    copier->node.told[0] = '\0';
}

static void copier_start(struct world *world, struct copier *copier)
{
    node_start(&copier->node, world->cluster, copier->name);
    copier->node.port->listener = (struct port_listener){copier, copier_assigned, copier_revoked};
    struct memory_faults faults = memory_chaos_faults(&world->chaos);
    memory_port_faults(copier->node.port, &faults);
    copier->open = false;
    copier->positioned = false;
    copier->resume_ms = -1;
    copier->revive_ms = -1;
}

/* Seeks what it owns to the stable committed offsets. */
static void copier_position(struct copier *copier)
{
    struct port *port = copier->node.port;
    struct port_committed committed[PARTITIONS];
    struct port_position positions[PARTITIONS];
    int count = 0;
    const char *told = copier->node.told;
    for (int p = 0; p < PARTITIONS; p++) {
        if (strchr(told, '0' + p))
            committed[count++] = (struct port_committed){.partition = p};
    }
    if (count == 0 || port->ops->committed(port, committed, count, NULL) != OK)
        return;
    for (int i = 0; i < count; i++) {
        int64_t offset = committed[i].input_offset;
        positions[i] = (struct port_position){committed[i].partition, offset < 0 ? 0 : offset};
    }
    copier->positioned = port->ops->assign(port, positions, count, NULL) == OK;
}

static enum rcode transact(struct port *port, const struct port_record *records, size_t count)
{
    int64_t next[PARTITIONS] = {0};
    struct port_commit commits[PARTITIONS];
    int commit_count = 0;
    enum rcode rc = port->ops->begin(port, NULL);
    for (size_t i = 0; rc == OK && i < count; i++) {
        struct port_message message = {
            .topic = TOPIC_NOTICES, .partition = records[i].partition, .value = records[i].value};
        rc = port->ops->send(port, &message, NULL);
        next[records[i].partition] = records[i].offset + 1;
    }
    for (int p = 0; p < PARTITIONS; p++) {
        if (next[p])
            commits[commit_count++] = (struct port_commit){TOPIC_BOUNCES, p, next[p], STR_NULL};
    }
    while (rc == OK && (rc = port->ops->flush(port, NULL)) != OK) {
        if (rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        rc = OK;
    }
    while (rc == OK && (rc = port->ops->send_offsets(port, commits, commit_count, NULL)) != OK) {
        if (rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc;
        rc = OK;
    }
    if (rc)
        return rc;
    do
        rc = port->ops->commit(port, NULL);
    while (rc && rcode_disposition(rc) == DISPOSITION_RETRY);
    return rc;
}

static void copier_step(struct world *world, struct copier *copier)
{
    struct port *port = copier->node.port;
    struct port_record records[BATCH_MAX];
    size_t count = 0;
    int32_t partition;
    if (!copier->open) {
        copier->open = port->ops->producer_open(port, NULL) == OK;
        return;
    }
    enum rcode rc = port->ops->poll(port, 20, BATCH_MAX, records, &count, &partition, NULL);
    assert_int_not_equal(rc, E_INSTANCE_FENCED);
    if (!copier->positioned) { /* what came is not from where it should read */
        copier_position(copier);
        count = 0;
    }
    if (rc == OK && count)
        rc = transact(port, records, count);
    port->ops->release(port);
    if (rc == OK || rcode_disposition(rc) == DISPOSITION_RETRY)
        return;
    if (!world->ignores_unknown || rc != E_LOG_UNKNOWN_OUTCOME)
        copier->positioned = false;
    if (rcode_disposition(rc) == DISPOSITION_ABORT) {
        do
            rc = port->ops->abort(port, NULL);
        while (rc && rcode_disposition(rc) == DISPOSITION_RETRY);
    }
    if (rc) {
        port->ops->producer_close(port);
        copier->open = false;
    }
}

/* Kills are the chaos's; here the dead are revived, some stopped, and the group is shaken. */
static void disturb(struct world *world, struct copier *copier)
{
    int64_t now_ms = memory_cluster_now(world->cluster);
    if (memory_port_killed(copier->node.port) && copier->revive_ms < 0) {
        assert_null(memory_port_misuse(copier->node.port));
        copier->revive_ms = now_ms + (int64_t)draw(world, 60000);
    } else if (copier->resume_ms < 0 && draw(world, 2000) == 0) {
        memory_port_stall(copier->node.port);
        copier->resume_ms = now_ms + (int64_t)draw(world, 60000);
    }
    if (draw(world, 3000) == 0)
        memory_group_rebalance(world->cluster, GROUP);
    if (copier->revive_ms >= 0 && now_ms >= copier->revive_ms) {
        copier->node.port->ops->free(copier->node.port);
        copier_start(world, copier);
    } else if (copier->resume_ms >= 0 && now_ms >= copier->resume_ms) {
        memory_port_resume(copier->node.port);
        copier->resume_ms = -1;
    }
}

static bool is_drained(const struct world *world)
{
    for (int p = 0; p < PARTITIONS; p++) {
        if (memory_committed(world->cluster, GROUP, TOPIC_BOUNCES, p, NULL) != world->records)
            return false;
    }
    return true;
}

static void run(struct world *world, uint64_t seed, int records, struct memory_chaos_rates rates)
{
    *world = (struct world){
        .random = seed, .records = records, .ignores_unknown = world->ignores_unknown};
    world->cluster = memory_cluster_new(&(struct memory_cluster_options){
        .seed = seed,
        .marker_delay_max_ms = seed % 2 ? 50 : 0,
    });
    memory_topic_create(world->cluster, TOPIC_BOUNCES, PARTITIONS);
    memory_topic_create(world->cluster, TOPIC_RECIPIENTS, PARTITIONS);
    memory_topic_create(world->cluster, TOPIC_NOTICES, PARTITIONS);
    memory_chaos_init(&world->chaos, seed, rates);
    for (int i = 0; i < records * PARTITIONS; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i / PARTITIONS);
        produce(world->cluster, TOPIC_BOUNCES, i % PARTITIONS, "k", value);
    }
    for (int i = 0; i < NODES; i++) {
        snprintf(world->copiers[i].name, sizeof world->copiers[i].name, "copier%d", i);
        copier_start(world, &world->copiers[i]);
    }
    for (int step = 0; !is_drained(world); step++) {
        assert_true(step < STEPS_MAX);
        struct copier *copier = &world->copiers[draw(world, NODES)];
        disturb(world, copier);
        if (copier->resume_ms < 0 && copier->revive_ms < 0)
            copier_step(world, copier);
        memory_cluster_advance(world->cluster, 5);
    }
    memory_cluster_advance(world->cluster, 100000);
}

/* Copies that are missing, repeated or out of order. */
static int count_wrong(const struct world *world)
{
    int wrong = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        int64_t offset = 0;
        int expected = 0;
        struct port_record record;
        for (; memory_read(world->cluster, TOPIC_NOTICES, p, &offset, &record); expected++) {
            char value[16];
            snprintf(value, sizeof value, "%d", expected);
            wrong += !str_equal(record.value, str_of(value));
        }
        wrong += expected != world->records;
    }
    return wrong;
}

static uint64_t fingerprint(const struct world *world)
{
    uint64_t sum = (uint64_t)memory_cluster_now(world->cluster);
    for (int p = 0; p < PARTITIONS; p++)
        sum = sum * 31 + (uint64_t)memory_watermarks(world->cluster, TOPIC_NOTICES, p).high;
    return sum;
}

static const struct memory_chaos_rates hostile = {.refuse = 10000, .lose = 10000, .kill = 2000};

static void every_record_is_copied_exactly_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world world = {0};
        run(&world, seed, 2000, hostile);
        if (count_wrong(&world))
            fail_msg("seed %llu: %d wrong", (unsigned long long)seed, count_wrong(&world));
        for (int i = 0; i < NODES; i++)
            assert_null(memory_port_misuse(world.copiers[i].node.port));
        memory_cluster_free(world.cluster);
    }
}

static void same_seed_is_the_same_world(void **state)
{
    (void)state;
    struct world first = {0};
    struct world second = {0};
    run(&first, 7, 1000, hostile);
    run(&second, 7, 1000, hostile);
    assert_int_equal(fingerprint(&first), fingerprint(&second));
    memory_cluster_free(first.cluster);
    memory_cluster_free(second.cluster);
}

/* A copier that goes on reading after an unknown outcome loses what had not been committed. */
static void copier_that_ignores_unknown_outcomes_is_found_out(void **state)
{
    (void)state;
    int wrong = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world world = {.ignores_unknown = true};
        run(&world, seed, 2000, hostile);
        wrong += count_wrong(&world);
        memory_cluster_free(world.cluster);
    }
    assert_true(wrong > 0);
}

static void quiet_world_of_many_records_is_quick(void **state)
{
    (void)state;
    struct world world = {0};
    run(&world, 1, 25000, (struct memory_chaos_rates){0});
    assert_int_equal(count_wrong(&world), 0);
    memory_cluster_free(world.cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_copied_exactly_once),
        cmocka_unit_test(same_seed_is_the_same_world),
        cmocka_unit_test(copier_that_ignores_unknown_outcomes_is_found_out),
        cmocka_unit_test(quiet_world_of_many_records_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
