/*
 * Rate of the store under sorted batches: one get and one put per recipient, as the worker does.
 *
 * usage: bench_store [RECIPIENTS [BATCHES [DIRECTORY]]]     without: 500,000 and 5,000,000, both
 * durabilities
 *
 * First all recipients are inserted in batches of BATCH, then BATCHES batches of random recipients
 * are updated. Sorting is not in the figures: the worker sorts with all else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "store/store.h"
#include "tmpdir.h"

#define BATCH ((size_t)65536)
#define VALUE_SIZE 250
#define MAP_SIZE ((size_t)256 << 20)

struct bench {
    struct store *store;
    size_t recipients;
    struct identity *batch;
    char (*texts)[64];
    uint64_t random;
    int64_t offset;
    int64_t growths;
};

struct spent {
    int64_t wall_us, cpu_us;
};

static void must(enum rcode rc, const struct err *err)
{
    if (rc == OK)
        return;
    fprintf(stderr, "%s: %s\n", rcode_name(rc), err->text);
    exit(70);
}

static uint64_t next_random(struct bench *bench)
{
    bench->random += 0x9e3779b97f4a7c15ULL;
    uint64_t x = bench->random;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static int compare(const void *a, const void *b)
{
    return store_key_compare(*(const struct identity *)a, *(const struct identity *)b);
}

/* Spread over 1000 domains; numbers are scattered, so that neighbours in a batch are none in the
 * tree. */
static void name_recipient(struct bench *bench, size_t i, uint64_t number)
{
    int len =
        snprintf(bench->texts[i], sizeof(bench->texts[i]), "user%08" PRIu64 "@domain%03u.example",
                 number, (unsigned)(hash_xxh3(&number, sizeof(number)) % 1000));
    bench->batch[i] = (struct identity){STR(""), {bench->texts[i], (size_t)len}};
}

static enum rcode stage(struct bench *bench, size_t count, char fill, struct err *err)
{
    char value[VALUE_SIZE + 8];
    memset(value, fill, sizeof(value));
    for (size_t i = 0; i < count; i++) {
        struct str before;
        enum rcode rc = store_get(bench->store, bench->batch[i], &before, err);
        if (rc != OK)
            return rc;
        /* Sizes vary by a few octets, as Avro's numbers do. */
        size_t len = VALUE_SIZE + (i + (size_t)fill) % 4;
        memcpy(value, &i, sizeof(i));
        rc = store_put(bench->store, bench->batch[i], (struct str){value, len}, 0, err);
        if (rc != OK)
            return rc;
    }
    return OK;
}

/* Processor time, which a busy machine does not change as much. */
static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static struct spent run_batch(struct bench *bench, size_t count, char fill)
{
    struct err err;
    qsort(bench->batch, count, sizeof(*bench->batch), compare);
    struct spent start = {clock_monotonic_us(), cpu_us()};
    must(store_begin(bench->store, &err), &err);
    enum rcode rc;
    while ((rc = stage(bench, count, fill, &err)) == E_STORE_MAP_FULL) {
        store_abort(bench->store);
        must(store_grow(bench->store, &err), &err);
        must(store_begin(bench->store, &err), &err);
        bench->growths++;
    }
    must(rc, &err);
    bench->offset += (int64_t)count;
    must(store_commit(bench->store, bench->offset, bench->offset, bench->offset, &err), &err);
    return (struct spent){clock_monotonic_us() - start.wall_us, cpu_us() - start.cpu_us};
}

static void add(struct spent *sum, struct spent spent)
{
    sum->wall_us += spent.wall_us;
    sum->cpu_us += spent.cpu_us;
}

static struct spent insert_all(struct bench *bench)
{
    struct spent sum = {0};
    for (size_t done = 0; done < bench->recipients;) {
        size_t count = bench->recipients - done < BATCH ? bench->recipients - done : BATCH;
        for (size_t i = 0; i < count; i++)
            name_recipient(bench, i, done + i);
        add(&sum, run_batch(bench, count, 'i'));
        done += count;
    }
    return sum;
}

/* The recipients of a batch are distinct, as folded ones are: every stride has one. */
static struct spent update(struct bench *bench, size_t batches)
{
    struct spent sum = {0};
    size_t count = bench->recipients < BATCH ? bench->recipients : BATCH;
    size_t stride = bench->recipients / count;
    for (size_t b = 0; b < batches; b++) {
        for (size_t i = 0; i < count; i++)
            name_recipient(bench, i, i * stride + next_random(bench) % stride);
        add(&sum, run_batch(bench, count, (char)('A' + b % 26)));
    }
    return sum;
}

static void run(size_t recipients, size_t batches, enum store_durability durability,
                const char *directory)
{
    char made[TMPDIR_PATH_MAX] = "";
    if (!directory)
        tmpdir_make(made);
    struct store_options options = {
        .path = directory ? directory : made,
        .identity = "bench",
        .durability = durability,
        .map_size_initial = MAP_SIZE,
        .now_ms = clock_wall_ms(),
    };
    struct bench bench = {.recipients = recipients, .random = 1};
    bench.batch = mem_alloc(BATCH * sizeof(*bench.batch));
    bench.texts = mem_alloc(BATCH * sizeof(*bench.texts));
    const char *discarded;
    struct err err;
    must(store_open(&options, &bench.store, &discarded, &err), &err);
    struct spent insert = insert_all(&bench);
    struct spent updated = update(&bench, batches);
    size_t updates = batches * (recipients < BATCH ? recipients : BATCH);
    int64_t start = clock_monotonic_us();
    must(store_verify(bench.store, &err), &err);
    int64_t verify_us = clock_monotonic_us() - start;
    struct store_usage usage = store_usage(bench.store);
    start = clock_monotonic_us();
    store_close(bench.store);
    printf(
        "%-7s %7zu recipients, M/s (of processor time): insert %.2f (%.2f), get+put %.2f (%.2f), "
        "verify %.2f; close %.1f s; %zu of %zu MiB; batches done again %" PRId64 "\n",
        durability == STORE_DISK ? "disk" : "rebuild", recipients,
        (double)recipients / (double)insert.wall_us, (double)recipients / (double)insert.cpu_us,
        (double)updates / (double)updated.wall_us, (double)updates / (double)updated.cpu_us,
        (double)recipients / (double)verify_us, (double)(clock_monotonic_us() - start) / 1e6,
        (size_t)(usage.used >> 20), (size_t)(usage.map_size >> 20), bench.growths);
    fflush(stdout);
    mem_free(bench.batch);
    mem_free(bench.texts);
    if (!directory)
        tmpdir_remove(made);
}

int main(int argc, char **argv)
{
    size_t recipients = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    size_t batches = argc > 2 ? strtoul(argv[2], NULL, 10) : 40;
    const char *directory = argc > 3 ? argv[3] : NULL;
    if (argc > 1 && !recipients) {
        fprintf(stderr, "usage: bench_store [RECIPIENTS [BATCHES [DIRECTORY]]]\n");
        return 64;
    }
    if (recipients) {
        run(recipients, batches, STORE_REBUILD, directory);
        return 0;
    }
    run(500000, batches, STORE_REBUILD, NULL);
    run(5000000, batches, STORE_REBUILD, NULL);
    run(500000, batches, STORE_DISK, NULL);
    run(5000000, batches, STORE_DISK, NULL);
    return 0;
}
