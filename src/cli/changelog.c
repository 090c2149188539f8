#include "cli/changelog.h"

#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"

#define SETTLE_MS 90000

/* --- keys --- */

struct key_table {
    struct slot {
        uint64_t hash; /* 0: free */
        uint64_t value;
    } * slots;
    size_t size; /* a power of two */
    size_t used;
};

static struct slot *slot_of(const struct key_table *table, uint64_t hash)
{
    size_t at = hash & (table->size - 1);
    while (table->slots[at].hash && table->slots[at].hash != hash)
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

static void grow(struct key_table *table)
{
    struct key_table larger = {.size = table->size ? table->size * 2 : 1024, .used = table->used};
    larger.slots = mem_zalloc(larger.size * sizeof(larger.slots[0]));
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].hash)
            *slot_of(&larger, table->slots[i].hash) = table->slots[i];
    mem_free(table->slots);
    *table = larger;
}

/* The value kept for a key; 0 of one that is new. Valid until the next call. */
static uint64_t *value_of(struct key_table *table, struct str key)
{
    uint64_t hash = hash_xxh3(key.data, key.len);
    hash = hash ? hash : 1;
    if (table->used * 3 >= table->size * 2)
        grow(table);
    struct slot *slot = slot_of(table, hash);
    table->used += !slot->hash;
    slot->hash = hash;
    return &slot->value;
}

/* --- reading --- */

struct run {
    struct key_table table; /* live: offset of the last record; sum: hash of the live record */
    changelog_visit *visit;
    void *context;
    struct changelog_sum sum;
};

static enum rcode note_last(void *context, const struct port_record *record, struct err *err)
{
    struct run *run = context;
    (void)err;
    *value_of(&run->table, record->key) = (uint64_t)record->offset;
    return OK;
}

static enum rcode visit_last(void *context, const struct port_record *record, struct err *err)
{
    struct run *run = context;
    if (!record->value.data || *value_of(&run->table, record->key) != (uint64_t)record->offset)
        return OK;
    return run->visit(run->context, record, err);
}

enum rcode changelog_live(const struct changelog *changelog, int32_t partition,
                          changelog_visit *visit, void *context, struct err *err)
{
    struct port_watermarks marks;
    struct run run = {.visit = visit, .context = context};
    enum rcode rc =
        kafka_reader_watermarks(changelog->reader, changelog->topic, partition, &marks, err);
    if (rc != OK)
        return rc;
    struct kafka_reading reading = {.topic = changelog->topic,
                                    .partition = partition,
                                    .until = marks.stable, /* both times */
                                    .context = &run,
                                    .record = note_last};
    rc = kafka_reader_read(changelog->reader, &reading, err);
    reading.record = visit_last;
    if (rc == OK)
        rc = kafka_reader_read(changelog->reader, &reading, err);
    mem_free(run.table.slots);
    return rc;
}

static enum rcode add_record(void *context, const struct port_record *record, struct err *err)
{
    struct run *run = context;
    uint64_t *hash = value_of(&run->table, record->key);
    run->sum.entries -= *hash != 0;
    run->sum.digest ^= *hash;
    *hash = record->value.data ? hash_record(record->key, record->value) : 0;
    run->sum.entries += *hash != 0;
    run->sum.digest ^= *hash;
    run->sum.next = record->offset + 1;
    return run->visit ? run->visit(run->context, record, err) : OK;
}

enum rcode changelog_sum(const struct changelog *changelog, int32_t partition,
                         changelog_visit *visit, void *context, struct changelog_sum *ret_sum,
                         struct err *err)
{
    struct run run = {.visit = visit, .context = context};
    struct kafka_reading reading = {.topic = changelog->topic,
                                    .partition = partition,
                                    .until = -1,
                                    .context = &run,
                                    .record = add_record};
    enum rcode rc = kafka_reader_read(changelog->reader, &reading, err);
    if (rc == OK)
        *ret_sum = run.sum;
    mem_free(run.table.slots);
    return rc;
}

enum rcode changelog_settle(struct kafka_reader *reader, const char *topic, int32_t partitions,
                            struct port_watermarks *ret_watermarks, struct err *err)
{
    static const struct timespec pause = {.tv_nsec = 200 * 1000000};
    int64_t deadline_ms = clock_monotonic_ms() + SETTLE_MS;
    for (int32_t p = 0; p < partitions;) {
        enum rcode rc = kafka_reader_watermarks(reader, topic, p, &ret_watermarks[p], err);
        if (rc != OK)
            return rc;
        if (ret_watermarks[p].stable >= ret_watermarks[p].high) {
            p++;
            continue;
        }
        if (clock_monotonic_ms() > deadline_ms)
            return err_set(err, E_UNSTABLE_OFFSETS,
                           "%s-%d: a transaction stays open: somebody still writes there", topic,
                           p);
        nanosleep(&pause, NULL);
    }
    return OK;
}
