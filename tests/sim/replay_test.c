/*
 * A replay beside the live deployment: whatever has happened to the workers, the state recomputed
 * from the input is the live one; what was written into the recipients topic by somebody else is
 * found; batches, memory and the moments of the idle scan make no difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "domain/address.h"
#include "replay/compare.h"
#include "replay/replay.h"
#include "replay/standing.h"
#include "sim_scene.h"
#include "sim_support.h"
#include "tmpdir.h"

#define PARTITIONS 3
#define HOUR_MS 3600000LL

static void give_certificate(const struct sim *sim, int32_t partition,
                             struct certificate *ret_certificate)
{
    char text[PORT_METADATA_MAX + 1];
    long long input, time;
    unsigned long long entries, digest;
    sim_certificate(sim, partition, text);
    assert_int_equal(
        sscanf(text, "v1 i=%lld t=%lld n=%llu d=%llx", &input, &time, &entries, &digest), 4);
    *ret_certificate = (struct certificate){
        .input_next = input, .stream_time_ms = time, .entries = entries, .digest = digest};
}

static struct replay *open_replay(struct sim *sim, const char *dir, const char *name)
{
    struct replay_options options = {.worker = sim_worker_options(sim, dir)};
    struct replay *replay;
    struct err err;
    options.worker.state.app = name;
    if (replay_new(&options, &replay, &err) != OK)
        fail_msg("%s", err.text);
    return replay;
}

/* Reads a partition of a topic in batches of up to `most` records, and gives them to the replay. */
static void read_all(struct sim *sim, struct replay *replay, enum topic topic, int32_t partition,
                     int64_t until, uint64_t most)
{
    static struct port_record records[1000];
    struct err err;
    int64_t next, offset = 0;
    assert_int_equal(replay_open(replay, partition, &next, &err), OK);
    assert_int_equal(next, 0);
    for (bool more = true; more;) {
        size_t count = 0, wanted = 1 + (size_t)sim_random(sim, most);
        while (count < wanted && offset < until &&
               (more = memory_read(sim->cluster, topic, partition, &offset, &records[count])))
            count++;
        more &= offset < until;
        enum rcode rc = topic == TOPIC_BOUNCES
                            ? replay_feed(replay, partition, records, count, offset, &err)
                            : replay_load(replay, partition, records, count, offset, &err);
        if (rc != OK)
            fail_msg("seed %llu: %s", (unsigned long long)sim->options.seed, err.text);
    }
}

struct found {
    int count;
    enum difference_kind kind; /* of the last */
    char recipient[RECIPIENT_MAX + 1];
    bool soft_differs, other_differs;
};

static enum rcode note(void *context, const struct difference *difference, struct err *err)
{
    struct found *found = context;
    (void)err;
    found->count++;
    found->kind = difference->kind;
    snprintf(found->recipient, sizeof(found->recipient), "%.*s",
             STR_ARG(difference->who.recipient));
    for (int i = 0; i < recipient_field_count; i++) {
        bool differs = recipient_field_differs(difference->live, difference->wanted, i);
        if (strcmp(recipient_field_names[i], "soft") == 0)
            found->soft_differs = differs;
        else
            found->other_differs |= differs;
    }
    return OK;
}

static struct found compare_all(struct sim *sim, const struct replay *live,
                                const struct replay *wanted)
{
    struct found found = {0};
    for (int32_t p = 0; p < PARTITIONS; p++) {
        struct compare compare = {.codec = sim->codec, .context = &found, .visit = note};
        uint64_t recipients;
        struct err err;
        compare.wanted = (struct compare_side){replay_store(wanted, p), &sim->policies,
                                               replay_meta(wanted, p)->stream_time_ms};
        compare.live = compare.wanted;
        compare.live.store = replay_store(live, p);
        if (compare_states(&compare, &recipients, &err) != OK)
            fail_msg("%s", err.text);
    }
    return found;
}

struct world {
    struct sim sim;
    char dir[256];
    struct replay *live, *wanted;
};

/* Everything recomputed, and the certificates hold. */
static void recompute(struct world *world, uint64_t most)
{
    struct sim *sim = &world->sim;
    tmpdir_make(world->dir);
    world->live = open_replay(sim, world->dir, "live");
    world->wanted = open_replay(sim, world->dir, "wanted");
    for (int32_t p = 0; p < PARTITIONS; p++) {
        struct certificate certificate;
        give_certificate(sim, p, &certificate);
        read_all(sim, world->wanted, TOPIC_BOUNCES, p, certificate.input_next, most);
        read_all(sim, world->live, TOPIC_RECIPIENTS, p, INT64_MAX, most);
        assert_int_equal(replay_meta(world->wanted, p)->stream_time_ms, certificate.stream_time_ms);
    }
}

static void forget(struct world *world)
{
    replay_free(world->live);
    replay_free(world->wanted);
    tmpdir_remove(world->dir);
}

static void wild(struct world *world, uint64_t seed)
{
    struct sim *sim = &world->sim;
    struct sim_options options = {
        .seed = seed, .partitions = PARTITIONS, .nodes = 2, .recipients = 40};
    options.map_size_initial = seed % 3 ? 0 : 64 << 10; /* too little: batches are done again */
    sim_init(sim, &options);
    for (int round = 0; round < 6; round++) {
        sim_feed(sim, 300);
        sim_step_all(sim, 30);
        sim_kill(sim, round % 2);
        sim_start(sim, round % 2);
    }
    sim_heal(sim);
    sim_must_drain(sim);
}

static void the_state_recomputed_is_the_live_one(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(6); seed++) {
        struct world world;
        wild(&world, seed);
        recompute(&world, seed % 2 ? 500 : 7);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct certificate certificate;
            give_certificate(&world.sim, p, &certificate);
            assert_int_equal(replay_meta(world.live, p)->entries, certificate.entries);
            assert_int_equal(replay_meta(world.live, p)->digest, certificate.digest);
            assert_true(certificate.entries > 0);
        }
        struct found found = compare_all(&world.sim, world.live, world.wanted);
        if (found.count)
            fail_msg("seed %llu: %d recipients differ, %s among them", (unsigned long long)seed,
                     found.count, found.recipient);
        forget(&world);
        sim_deinit(&world.sim);
    }
}

/* The last state of the recipients topic once more, with a counter that is off by one. */
static void flip(struct sim *sim, char ret_recipient[RECIPIENT_MAX + 1])
{
    struct port_record record;
    struct recipient recipient;
    struct buf value;
    struct err err;
    buf_init(&value);
    for (int64_t offset = 0; memory_read(sim->cluster, TOPIC_RECIPIENTS, 1, &offset, &record);) {
        if (!record.value.data)
            continue;
        assert_int_equal(codec_decode_recipient(sim->codec, record.value, &recipient, &err), OK);
        snprintf(ret_recipient, RECIPIENT_MAX + 1, "%.*s", STR_ARG(recipient.who.recipient));
        recipient.soft++;
        buf_clear(&value);
        codec_encode_recipient(sim->codec, &recipient, &value);
    }
    char key[RECORD_KEY_MAX];
    struct port_message message = {.topic = TOPIC_RECIPIENTS,
                                   .partition = 1,
                                   .key = {key, identity_key(recipient.who, key)},
                                   .value = buf_view(&value)};
    memory_produce(sim->cluster, &message, sim->event_time_ms);
    buf_deinit(&value);
}

static void one_counter_that_is_off_is_named(void **state)
{
    (void)state;
    struct world world;
    struct sim *sim = &world.sim;
    char recipient[RECIPIENT_MAX + 1];
    struct sim_options options = {
        .seed = 5, .partitions = PARTITIONS, .nodes = 1, .recipients = 40, .clean = true};
    sim_init(sim, &options);
    sim_feed(sim, 600);
    for (int32_t p = 0; p < PARTITIONS; p++)
        sim_feed_partition(sim, p, 3);
    sim_must_drain(sim);
    flip(sim, recipient);
    recompute(&world, 100);
    struct found found = compare_all(sim, world.live, world.wanted);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.kind, DIFFERENCE_COUNTERS);
    assert_string_equal(found.recipient, recipient);
    assert_true(found.soft_differs && !found.other_differs);
    forget(&world);
    sim_deinit(sim);
}

static void a_replay_goes_on_where_it_was(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    int64_t next;
    wild(&world, 3);
    recompute(&world, 50);
    struct replay *again = open_replay(&world.sim, world.dir, "again");
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int64_t end = replay_meta(world.wanted, p)->input_next, half = end / 2, offset = half;
        struct port_record record;
        read_all(&world.sim, again, TOPIC_BOUNCES, p, half, 20);
        half = replay_meta(again, p)->input_next;
        int64_t time_ms = replay_meta(again, p)->stream_time_ms;
        assert_int_equal(replay_close(again, p, true, &err), OK);
        assert_int_equal(replay_open(again, p, &next, &err), OK);
        assert_int_equal(next, half);
        assert_int_equal(replay_meta(again, p)->stream_time_ms, time_ms);
        for (offset = half;
             offset < end && memory_read(world.sim.cluster, TOPIC_BOUNCES, p, &offset, &record);)
            assert_int_equal(replay_feed(again, p, &record, 1, offset, &err), OK);
    }
    assert_int_equal(compare_all(&world.sim, again, world.wanted).count, 0);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(replay_close(again, p, false, &err), OK);
    replay_free(again);
    forget(&world);
    sim_deinit(&world.sim);
}

/* --- what still stands of the outputs --- */

struct fed {
    struct standing *standing;
    int suppressions;
};

static void take(void *context, const struct port_message *message)
{
    struct fed *fed = context;
    fed->suppressions += message->topic == TOPIC_SUPPRESSIONS;
    standing_sent(fed->standing, message);
}

static void take_again(void *context)
{
    struct fed *fed = context;
    standing_again(fed->standing);
}

static void feed_bounces(struct sim *sim, struct replay *replay, struct fed *fed, int32_t partition)
{
    struct port_record record;
    struct err err;
    int64_t next;
    assert_int_equal(replay_open(replay, partition, &next, &err), OK);
    assert_int_equal(standing_open(fed->standing, partition, &err), OK);
    for (int64_t offset = 0;
         memory_read(sim->cluster, TOPIC_BOUNCES, partition, &offset, &record);) {
        assert_int_equal(replay_feed(replay, partition, &record, 1, offset, &err), OK);
        assert_int_equal(standing_store(fed->standing, partition, &err), OK);
    }
}

static void what_stands_of_the_outputs_is_kept(void **state)
{
    (void)state;
    struct sim sim;
    struct fed fed = {0};
    struct err err;
    char dir[256];
    const struct port_message *messages;
    struct retry_command command;
    int count;
    struct sim_options options = {.seed = 9, .partitions = 1, .nodes = 1, .recipients = 4};
    sim_init(&sim, &options);
    tmpdir_make(dir);
    struct replay_options replay_options = {.worker = sim_worker_options(&sim, dir),
                                            .context = &fed,
                                            .sent = take,
                                            .again = take_again};
    replay_options.worker.state.app = "wanted";
    struct state_options state_options = replay_options.worker.state;
    state_options.app = "outputs";
    struct replay *replay;
    assert_int_equal(replay_new(&replay_options, &replay, &err), OK);
    assert_int_equal(
        standing_new(&state_options, "bounces", &replay_options.worker.codec, &fed.standing, &err),
        OK);
    int64_t start_ms = sim.event_time_ms;
    sim_feed_bounce(&sim, "two@example.org", "4.2.1", start_ms, "e1");
    sim_feed_bounce(&sim, "two@example.org", "4.2.1", start_ms + 30 * HOUR_MS, "e2");
    sim_feed_bounce(&sim, "hard@example.org", "4.2.1", start_ms, "e3");
    sim_feed_bounce(&sim, "hard@example.org", "5.1.1", start_ms + 1, "e4");
    feed_bounces(&sim, replay, &fed, 0);
    struct identity who = {STR(""), STR("two@example.org")};
    assert_int_equal(standing_read(fed.standing, 0, who, &messages, &count, &err), OK);
    assert_int_equal(count, 2); /* the attempt that was answered, and the next */
    assert_int_equal(codec_decode_command(sim.codec, messages[1].value, &command, &err), OK);
    assert_int_equal(command.attempt, 2);
    assert_true(str_equal(messages[1].key, STR("two@example.org")));
    who.recipient = STR("hard@example.org");
    assert_int_equal(standing_read(fed.standing, 0, who, &messages, &count, &err), OK);
    assert_int_equal(count, 1); /* the CANCEL took the SCHEDULE away */
    assert_int_equal(messages[0].topic, TOPIC_SUPPRESSIONS);
    who.recipient = STR("nobody@example.org");
    assert_int_equal(standing_read(fed.standing, 0, who, &messages, &count, &err), OK);
    assert_int_equal(count, 0);
    standing_free(fed.standing);
    replay_free(replay);
    tmpdir_remove(dir);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_recomputed_is_the_live_one),
        cmocka_unit_test(one_counter_that_is_off_is_named),
        cmocka_unit_test(a_replay_goes_on_where_it_was),
        cmocka_unit_test(what_stands_of_the_outputs_is_kept),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
