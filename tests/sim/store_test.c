/*
 * Trouble with the local store: octets that changed on the disk, maps that are too small, a disk
 * that is full, a predecessor that still has the lock.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "sim_scene.h"

#define CLOCK_MS 3600000

static void path_of(const struct sim *sim, int node, int32_t partition, const char *name,
                    char ret_path[400])
{
    const char *topic = sim->options.role == SIM_WORKER ? "bounces" : "retries.delayed";
    snprintf(ret_path, 400, "%s/node-%d/rimbalzo/%s-%d/%s", sim->dir, node, topic, partition, name);
}

/* Flips a bit in whatever follows the text, wherever it stands: within a value (keys of entries
 * have the domain first), or a claim's key. Returns how often. */
static int flip_after(const char *path, const char *text)
{
    int flips = 0;
    struct stat status;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    size_t size = (size_t)status.st_size, len = strlen(text);
    char *octets = mem_alloc(size);
    assert_int_equal(pread(fd, octets, size, 0), (ssize_t)size);
    for (size_t i = 0; i + len < size; i++)
        if (memcmp(octets + i, text, len) == 0) {
            octets[i + len] ^= 1;
            flips++;
        }
    assert_int_equal(pwrite(fd, octets, size, 0), (ssize_t)size);
    mem_free(octets);
    close(fd);
    return flips;
}

/* Does what there is to do. Dispatchers have a clock that is behind: everything waits. */
static void work(struct sim *sim)
{
    if (sim->options.role == SIM_WORKER)
        sim_must_drain(sim);
    else
        sim_step_all(sim, 50);
}

static void damaged(bool clean)
{
    struct sim sim;
    char recipient[32], path[400];
    struct sim_options options = {
        .seed = 1, .role = sim_role(), .partitions = 2, .nodes = 1, .recipients = 30};
    sim_init(&sim, &options);
    sim_set_clock(&sim, 0, -CLOCK_MS);
    sim_feed(&sim, 300);
    sim_feed_partition(&sim, 0, 3);
    work(&sim);
    if (clean)
        sim_stop(&sim, 0);
    else
        sim_kill(&sim, 0);
    sim_recipient_of(&sim, 0, recipient);
    path_of(&sim, 0, 0, "data.mdb", path);
    assert_true(flip_after(path, recipient) > 0);
    sim_start(&sim, 0);
    work(&sim);
    int64_t restored = atomic_load(&engine_stats(sim.nodes[0].engine)->restored);
    sim_feed_partition(&sim, 0, 1);
    sim_set_clock(&sim, 0, 0);
    sim_must_drain(&sim);
    assert_true(atomic_load(&engine_stats(sim.nodes[0].engine)->restored) > restored);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void a_damaged_entry_is_found_and_the_state_rebuilt(void **state)
{
    (void)state;
    damaged(true);
    damaged(false);
}

/* One octet missing, or everything. */
static void a_damaged_file_is_rebuilt(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sim sim;
        char path[400];
        struct sim_options options = {
            .seed = 2, .role = sim_role(), .partitions = 2, .nodes = 1, .recipients = 30};
        sim_init(&sim, &options);
        sim_feed(&sim, 300);
        work(&sim);
        sim_kill_all(&sim);
        path_of(&sim, 0, 1, "data.mdb", path);
        assert_int_equal(truncate(path, i == 0 ? 0 : i == 1 ? 4096 : 20000), 0);
        sim_feed(&sim, 100);
        sim_start_all(&sim);
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* The map grows while batches are staged, while logs are restored, and while commits are written.
 */
static void maps_grow_as_needed(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(6); seed++) {
        struct sim sim;
        struct sim_options options = {.seed = seed,
                                      .role = sim_role(),
                                      .partitions = 1,
                                      .nodes = 1,
                                      .recipients = 50 + (int)(seed * 97 % 900),
                                      .batch_records_max = seed % 2 ? 2000 : 40 + seed % 300,
                                      .map_size_initial = 4096};
        sim_init(&sim, &options);
        for (int i = 0; i < 4; i++) {
            sim_feed(&sim, 700);
            work(&sim);
            sim_kill_all(&sim);
            if (i % 2)
                sim_wipe_all(&sim);
            sim_start_all(&sim);
        }
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

static void a_store_that_is_locked_is_waited_for(void **state)
{
    (void)state;
    struct sim sim;
    char path[400];
    struct sim_options options = {.seed = 4,
                                  .role = sim_role(),
                                  .partitions = 2,
                                  .nodes = 1,
                                  .recipients = 30,
                                  .clean = true};
    sim_init(&sim, &options);
    sim_feed(&sim, 200);
    sim_must_drain(&sim);
    sim_kill(&sim, 0);
    sim_feed(&sim, 100);
    path_of(&sim, 0, 0, "lock", path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    sim_start(&sim, 0);
    sim_step_all(&sim, 100);
    memory_cluster_advance(sim.cluster, CLOCK_MS);
    sim_step_all(&sim, 100);
    assert_false(engine_idle(sim.nodes[0].engine));
    assert_int_equal(atomic_load(&engine_stats(sim.nodes[0].engine)->partitions_running), 1);
    sim_check_without(&sim, 0);
    close(fd);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void limit_files(rlim_t octets)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = octets < limit.rlim_max ? octets : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No room to grow, as a limit on files makes it: the partition stops and says so; with room it goes
 * on. */
static void full(bool restoring)
{
    struct sim sim;
    struct sim_options options = {.seed = 5,
                                  .role = sim_role(),
                                  .partitions = 1,
                                  .nodes = 1,
                                  .recipients = 3000,
                                  .batch_records_max = 3000,
                                  .map_size_initial = 64 << 10};
    signal(SIGXFSZ, SIG_IGN);
    sim_init(&sim, &options);
    sim_must_drain(&sim);
    sim_set_clock(&sim, 0, -CLOCK_MS);
    sim_feed(&sim, 3000);
    if (restoring) {
        work(&sim);
        sim_kill_all(&sim);
        sim_wipe_all(&sim);
    }
    limit_files(128 << 10);
    sim_start_all(&sim);
    bool settled = sim_settle(&sim, 2000);
    enum rcode failure = sim_failure(&sim, 0);
    limit_files(RLIM_INFINITY);
    assert_true(settled);
    assert_string_equal(rcode_name(failure), rcode_name(E_STORE_FULL));
    sim_kill_all(&sim);
    sim_set_clock(&sim, 0, 0);
    sim_start_all(&sim);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void a_full_disk_stops_the_partition(void **state)
{
    (void)state;
    full(false);
}

static void a_full_disk_stops_a_partition_that_restores(void **state)
{
    (void)state;
    full(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_entry_is_found_and_the_state_rebuilt),
        cmocka_unit_test(a_damaged_file_is_rebuilt),
        cmocka_unit_test(maps_grow_as_needed),
        cmocka_unit_test(a_store_that_is_locked_is_waited_for),
        cmocka_unit_test(a_full_disk_stops_the_partition),
        cmocka_unit_test(a_full_disk_stops_a_partition_that_restores),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
