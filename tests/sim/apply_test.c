/*
 * A recomputed state is made the live one: by whom it is killed, refused or disturbed, the live
 * state stays proven, and who begins again finishes it. Then workers go on as if there had never
 * been another policy, and what is pending for the dispatcher is what would be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "domain/address.h"
#include "replay/apply.h"
#include "replay/replay.h"
#include "sim_scene.h"
#include "sim_support.h"
#include "tmpdir.h"

#define PARTITIONS 2
#define PAST_SESSION_MS 130000

/* One attempt to apply, with everything it needs. */
struct attempt {
    struct sim *sim;
    const struct policy_set *before; /* what the live state was made under */
    char dir[TMPDIR_PATH_MAX];
    struct replay *live, *wanted;
    struct standing *standing;
    struct certificate certificates[PARTITIONS];
    int32_t partition;   /* in hand */
    int64_t differences; /* seen by a walk */
    int disturb_at;      /* a worker is started at this difference; 0: never */
    struct port *port;
};

static struct certificate certificate_of(const struct sim *sim, int32_t partition)
{
    char text[PORT_METADATA_MAX + 1];
    long long input, time;
    unsigned long long entries, digest;
    struct str metadata;
    sim_certificate(sim, partition, text);
    assert_int_equal(
        sscanf(text, "v1 i=%lld t=%lld n=%llu d=%llx", &input, &time, &entries, &digest), 4);
    return (struct certificate){
        .input_next = input,
        .log_next =
            memory_committed(sim->cluster, sim_group(sim), TOPIC_RECIPIENTS, partition, &metadata),
        .stream_time_ms = time,
        .entries = entries,
        .digest = digest};
}

static void on_sent(void *context, const struct port_message *message)
{
    standing_sent(((struct attempt *)context)->standing, message);
}

static void on_again(void *context)
{
    standing_again(((struct attempt *)context)->standing);
}

static void read_partition(struct attempt *attempt, int32_t partition)
{
    struct sim *sim = attempt->sim;
    struct port_record record;
    struct err err;
    int64_t next, until = attempt->certificates[partition].input_next;
    assert_int_equal(replay_open(attempt->wanted, partition, &next, &err), OK);
    assert_int_equal(replay_open(attempt->live, partition, &next, &err), OK);
    assert_int_equal(standing_open(attempt->standing, partition, &err), OK);
    for (int64_t offset = 0;
         offset < until && memory_read(sim->cluster, TOPIC_BOUNCES, partition, &offset, &record);) {
        assert_int_equal(replay_feed(attempt->wanted, partition, &record, 1, offset, &err), OK);
        assert_int_equal(standing_store(attempt->standing, partition, &err), OK);
    }
    for (int64_t offset = 0;
         memory_read(sim->cluster, TOPIC_RECIPIENTS, partition, &offset, &record);)
        assert_int_equal(replay_load(attempt->live, partition, &record, 1, offset, &err), OK);
}

static void begin(struct attempt *attempt, struct sim *sim, const struct policy_set *before)
{
    struct err err;
    *attempt = (struct attempt){.sim = sim, .before = before};
    tmpdir_make(attempt->dir);
    struct replay_options options = {.worker = sim_worker_options(sim, attempt->dir)};
    struct state_options state = options.worker.state;
    options.worker.state.app = "live";
    assert_int_equal(replay_new(&options, &attempt->live, &err), OK);
    options.worker.state.app = "wanted";
    options.context = attempt;
    options.sent = on_sent;
    options.again = on_again;
    assert_int_equal(replay_new(&options, &attempt->wanted, &err), OK);
    state.app = "outputs";
    assert_int_equal(
        standing_new(&state, "bounces", &options.worker.codec, &attempt->standing, &err), OK);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        attempt->certificates[p] = certificate_of(sim, p);
        read_partition(attempt, p);
        /* However the attempt before ended: what is live is what the certificate says. */
        assert_int_equal(replay_meta(attempt->live, p)->entries, attempt->certificates[p].entries);
        assert_int_equal(replay_meta(attempt->live, p)->digest, attempt->certificates[p].digest);
    }
}

static void end(struct attempt *attempt)
{
    if (attempt->port)
        attempt->port->ops->free(attempt->port);
    standing_free(attempt->standing);
    replay_free(attempt->live);
    replay_free(attempt->wanted);
    tmpdir_remove(attempt->dir);
}

/* --- walking --- */

struct walk {
    struct attempt *attempt;
    compare_visit *visit;
    void *context;
};

static enum rcode visit(void *context, const struct difference *difference, struct err *err)
{
    struct walk *walk = context;
    struct sim *sim = walk->attempt->sim;
    walk->attempt->differences++;
    if (walk->attempt->differences == walk->attempt->disturb_at) {
        sim_start(sim, 0);
        for (int i = 0; i < 50; i++)
            sim_step(sim, 0);
    }
    return walk->visit ? walk->visit(walk->context, difference, err) : OK;
}

static enum rcode walk_partition(void *context, compare_visit *inner, void *inner_context,
                                 struct err *err)
{
    struct attempt *attempt = context;
    int32_t p = attempt->partition;
    struct walk walk = {attempt, inner, inner_context};
    struct compare compare = {.codec = attempt->sim->codec,
                              .live = {replay_store(attempt->live, p), attempt->before,
                                       attempt->certificates[p].stream_time_ms},
                              .wanted = {replay_store(attempt->wanted, p), &attempt->sim->policies,
                                         replay_meta(attempt->wanted, p)->stream_time_ms},
                              .context = &walk,
                              .visit = visit};
    uint64_t recipients;
    return compare_states(&compare, &recipients, err);
}

static int64_t count_differences(struct attempt *attempt)
{
    struct err err;
    attempt->differences = 0;
    for (attempt->partition = 0; attempt->partition < PARTITIONS; attempt->partition++)
        assert_int_equal(walk_partition(attempt, NULL, NULL, &err), OK);
    return attempt->differences;
}

/* --- applying --- */

/* Kills at one call of the port, or refuses it. */
struct strike {
    uint64_t at; /* 0: never */
    uint64_t calls;
    struct memory_fault fault;
    bool hit;
};

static struct memory_fault decide(void *context, struct port *port, enum memory_op op,
                                  uint64_t call)
{
    struct strike *strike = context;
    (void)port;
    (void)op;
    (void)call;
    if (++strike->calls != strike->at)
        return (struct memory_fault){0};
    strike->hit = true;
    return strike->fault;
}

static enum rcode try_apply(struct attempt *attempt, struct strike *strike, struct err *err)
{
    struct sim *sim = attempt->sim;
    struct memory_faults faults = {.context = strike, .decide = decide};
    int32_t counts[TOPIC_COUNT];
    for (int i = 0; i < TOPIC_COUNT; i++)
        counts[i] = PARTITIONS;
    attempt->port = memory_port_new(sim->cluster,
                                    &(struct memory_port_options){.group = sim_group(sim),
                                                                  .transactional_id = "apply",
                                                                  .input = TOPIC_BOUNCES,
                                                                  .certificate = TOPIC_RECIPIENTS});
    memory_port_faults(attempt->port, &faults);
    struct apply apply;
    struct apply_options options = {.port = attempt->port,
                                    .codec = sim->codec,
                                    .policies = &sim->policies,
                                    .partition_counts = counts,
                                    .recipients_max = 4};
    apply_init(&apply, &options);
    enum rcode rc = apply_join(&apply, PARTITIONS, err);
    for (int32_t p = 0; rc == OK && p < PARTITIONS; p++) {
        struct apply_target target = {.partition = p,
                                      .certificate = attempt->certificates[p],
                                      .live_entries = replay_meta(attempt->live, p)->entries,
                                      .live_digest = replay_meta(attempt->live, p)->digest,
                                      .stream_time_ms =
                                          replay_meta(attempt->wanted, p)->stream_time_ms,
                                      .standing = attempt->standing,
                                      .context = attempt,
                                      .walk = walk_partition};
        attempt->partition = p;
        rc = apply_partition(&apply, &target, err);
    }
    apply_deinit(&apply);
    return rc;
}

/* --- the dispatcher's view --- */

struct pending {
    struct str key;
    struct uuid_text ids[64];
    int64_t due_ms[64];
    int count;
};

static struct pending *pending_of(struct pending *all, int *count, struct str key)
{
    for (int i = 0; i < *count; i++)
        if (str_equal(all[i].key, key))
            return &all[i];
    assert_true(*count < 200);
    all[*count] = (struct pending){.key = key};
    return &all[(*count)++];
}

static bool has(const struct pending *pending, const struct uuid_text *id)
{
    for (int i = 0; i < pending->count; i++)
        if (str_equal(uuid_str(&pending->ids[i]), uuid_str(id)))
            return true;
    return false;
}

/* What the delayed topic leaves pending, were nothing ever due. */
static int read_pending(struct sim *sim, struct pending *all)
{
    struct port_record record;
    struct retry_command command;
    struct err err;
    int count = 0;
    for (int32_t p = 0; p < PARTITIONS; p++)
        for (int64_t offset = 0; memory_read(sim->cluster, TOPIC_DELAYED, p, &offset, &record);) {
            struct pending *pending = pending_of(all, &count, record.key);
            assert_int_equal(codec_decode_command(sim->codec, record.value, &command, &err), OK);
            if (command.action != COMMAND_SCHEDULE)
                pending->count = 0;
            else if (!has(pending, &command.command_id) && pending->count < 64) {
                pending->due_ms[pending->count] = command.due_at_ms;
                pending->ids[pending->count++] = command.command_id;
            }
        }
    return count;
}

static void check_pending(struct attempt *attempt)
{
    static struct pending all[200];
    struct sim *sim = attempt->sim;
    int recipients = read_pending(sim, all), commands = 0;
    for (int i = 0; i < recipients; i++) {
        const struct port_message *messages;
        struct retry_command command;
        struct identity who;
        struct err err;
        int count;
        struct pending stand = {0};
        assert_true(identity_of_key(all[i].key, &who));
        int32_t partition = hash_partition(all[i].key, PARTITIONS);
        assert_int_equal(standing_read(attempt->standing, partition, who, &messages, &count, &err),
                         OK);
        for (int j = 0; j < count; j++) {
            if (messages[j].topic != TOPIC_DELAYED)
                continue;
            assert_int_equal(codec_decode_command(sim->codec, messages[j].value, &command, &err),
                             OK);
            if (!has(&all[i], &command.command_id))
                fail_msg("seed %llu: %.*s: a command is not pending",
                         (unsigned long long)sim->options.seed, STR_ARG(all[i].key));
            stand.ids[stand.count++] = command.command_id;
        }
        /* What is due by now has left long ago; it may be of a life that has expired. */
        int64_t now_ms = replay_meta(attempt->wanted, partition)->stream_time_ms;
        for (int j = 0; j < all[i].count; j++)
            if (all[i].due_ms[j] > now_ms && !has(&stand, &all[i].ids[j]))
                fail_msg("seed %llu: %.*s: a command pends that should not",
                         (unsigned long long)sim->options.seed, STR_ARG(all[i].key));
        commands += stand.count;
    }
    assert_true(commands > 5);
}

/* --- the story --- */

struct world {
    struct sim sim;
    struct policy_set before; /* the policies that the workers began with */
};

static void make_world(struct world *world, uint64_t seed)
{
    struct sim_options options = {
        .seed = seed, .partitions = PARTITIONS, .nodes = 1, .recipients = 40};
    sim_init(&world->sim, &options);
    sim_feed(&world->sim, 800);
    sim_must_drain(&world->sim);
    sim_stop(&world->sim, 0);
    memory_cluster_advance(world->sim.cluster, PAST_SESSION_MS);
    world->before = world->sim.policies;
    world->sim.policies.policies[0].max_attempts = 1;
}

/* Whatever `strike` did to the first attempt, the next ones finish it. Returns whether it was hit.
 */
static bool finish(struct world *world, struct strike *strike)
{
    struct sim *sim = &world->sim;
    struct strike none = {0};
    struct attempt attempt;
    struct err err = {0};
    begin(&attempt, sim, &world->before);
    int64_t first = count_differences(&attempt);
    assert_true(first > 4);
    enum rcode rc = try_apply(&attempt, strike, &err);
    end(&attempt);
    if (strike->hit || rc != OK) {
        memory_cluster_advance(sim->cluster, PAST_SESSION_MS);
        begin(&attempt, sim, &world->before);
        assert_true(count_differences(&attempt) <= first);
        rc = try_apply(&attempt, &none, &err);
        end(&attempt);
    }
    if (rc != OK)
        fail_msg("seed %llu, call %llu: %s", (unsigned long long)sim->options.seed,
                 (unsigned long long)strike->at, err.text);
    begin(&attempt, sim, &sim->policies);
    assert_int_equal(count_differences(&attempt), 0);
    check_pending(&attempt);
    end(&attempt);
    return strike->hit;
}

/* Workers restore what was written, and go on under the other policy. */
static void go_on(struct world *world)
{
    struct sim *sim = &world->sim;
    struct attempt attempt;
    memory_cluster_advance(sim->cluster, PAST_SESSION_MS);
    sim_start(sim, 0);
    sim_feed(sim, 200);
    sim_must_drain(sim);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(sim_failure(sim, p), OK);
    begin(&attempt, sim, &sim->policies);
    assert_int_equal(count_differences(&attempt), 0);
    end(&attempt);
}

static void the_live_state_becomes_that_of_the_other_policy(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(3); seed++) {
        struct world world;
        struct strike none = {0};
        make_world(&world, seed);
        finish(&world, &none);
        go_on(&world);
        sim_deinit(&world.sim);
    }
}

static void strike_everywhere(struct memory_fault fault)
{
    uint64_t step = sim_thorough() ? 1 : 9;
    int hits = 0;
    bool hit = true;
    for (uint64_t at = 1; hit; at += step) {
        struct world world;
        struct strike strike = {.at = at, .fault = fault};
        make_world(&world, 2);
        hit = finish(&world, &strike);
        hits += hit;
        if (at % 3 == 1)
            go_on(&world);
        sim_deinit(&world.sim);
    }
    assert_true(hits > 10);
}

static void killed_anywhere_it_is_finished_by_the_next(void **state)
{
    (void)state;
    strike_everywhere((struct memory_fault){.kind = MEMORY_FAULT_KILL_BEFORE});
    strike_everywhere((struct memory_fault){.kind = MEMORY_FAULT_KILL_AFTER});
}

static void any_answer_may_be_lost(void **state)
{
    (void)state;
    strike_everywhere((struct memory_fault){MEMORY_FAULT_LOSE, E_LOG_UNKNOWN_OUTCOME});
    strike_everywhere((struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_ABORTABLE});
}

static void a_worker_that_comes_ends_it(void **state)
{
    (void)state;
    struct world world;
    struct attempt attempt;
    struct strike none = {0};
    struct err err = {0};
    make_world(&world, 1);
    begin(&attempt, &world.sim, &world.before);
    attempt.disturb_at = 6;
    assert_int_equal(try_apply(&attempt, &none, &err), E_LOG_ABORTABLE);
    end(&attempt);
    sim_must_drain(&world.sim);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(sim_failure(&world.sim, p), OK);
    sim_stop(&world.sim, 0);
    memory_cluster_advance(world.sim.cluster, PAST_SESSION_MS);
    finish(&world, &none);
    sim_deinit(&world.sim);
}

static void a_state_that_has_moved_on_is_not_overwritten(void **state)
{
    (void)state;
    struct world world;
    struct attempt attempt;
    struct strike none = {0};
    struct err err = {0};
    make_world(&world, 1);
    begin(&attempt, &world.sim, &world.before);
    sim_start(&world.sim, 0);
    sim_feed(&world.sim, 100);
    sim_must_drain(&world.sim);
    sim_stop(&world.sim, 0);
    memory_cluster_advance(world.sim.cluster, PAST_SESSION_MS);
    int64_t written = sim_count(&world.sim, TOPIC_RECIPIENTS, -1);
    assert_int_equal(try_apply(&attempt, &none, &err), E_LOG_ABORTABLE);
    assert_int_equal(sim_count(&world.sim, TOPIC_RECIPIENTS, -1), written);
    end(&attempt);
    sim_deinit(&world.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_live_state_becomes_that_of_the_other_policy),
        cmocka_unit_test(killed_anywhere_it_is_finished_by_the_next),
        cmocka_unit_test(any_answer_may_be_lost),
        cmocka_unit_test(a_worker_that_comes_ends_it),
        cmocka_unit_test(a_state_that_has_moved_on_is_not_overwritten),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
