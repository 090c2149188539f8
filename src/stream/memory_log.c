#include "stream/memory_cluster.h"

#include <assert.h>
#include <stdlib.h>

void memory_log_deinit(struct memory_log *log)
{
    mem_free(log->entries);
    mem_free(log->open);
}

static struct memory_entry *append_entry(struct memory_log *log)
{
    if (log->count == log->cap) {
        log->cap = log->cap ? 2 * log->cap : 64;
        log->entries = mem_realloc(log->entries, log->cap * sizeof *log->entries);
    }
    struct memory_entry *entry = &log->entries[log->count++];
    *entry = (struct memory_entry){.offset = log->end++};
    return entry;
}

static void open_transaction(struct memory_log *log, uint64_t transaction, int64_t first_offset)
{
    for (int i = 0; i < log->open_count; i++) {
        if (log->open[i].transaction == transaction)
            return;
    }
    log->open = memory_grow(log->open, log->open_count, &log->open_cap, sizeof *log->open);
    log->open[log->open_count++] = (struct memory_open){transaction, first_offset};
}

int64_t memory_log_append(struct memory_cluster *cluster, const struct port_message *message,
                          int64_t timestamp_ms, uint64_t transaction)
{
    struct memory_log *log = memory_log_of(cluster, message->topic, message->partition);
    assert(log);
    struct arena *arena = &cluster->topics[message->topic].arena;
    size_t header_count = (size_t)message->header_count;
    struct port_header *headers =
        header_count ? arena_alloc(arena, header_count * sizeof *headers) : NULL;
    for (size_t i = 0; i < header_count; i++) {
        headers[i].name = arena_str(arena, message->headers[i].name);
        headers[i].value = arena_str(arena, message->headers[i].value);
    }
    struct memory_entry *entry = append_entry(log);
    entry->timestamp_ms = timestamp_ms;
    entry->transaction = transaction;
    entry->key = arena_str(arena, message->key);
    entry->value = arena_str(arena, message->value);
    entry->headers = headers;
    entry->header_count = message->header_count;
    if (transaction)
        open_transaction(log, transaction, entry->offset);
    return entry->offset;
}

void memory_log_mark(struct memory_log *log, uint64_t transaction, int64_t timestamp_ms)
{
    int i = 0;
    while (i < log->open_count && log->open[i].transaction != transaction)
        i++;
    assert(i < log->open_count);
    log->open[i] = log->open[--log->open_count];
    struct memory_entry *entry = append_entry(log);
    entry->timestamp_ms = timestamp_ms;
    entry->transaction = transaction;
    entry->marker = true;
}

int64_t memory_log_stable(const struct memory_log *log)
{
    int64_t stable = log->end;
    for (int i = 0; i < log->open_count; i++) {
        if (log->open[i].first_offset < stable)
            stable = log->open[i].first_offset;
    }
    return stable < log->start ? log->start : stable;
}

/* Index of the first entry at or after `offset`. */
static size_t find_entry(const struct memory_log *log, int64_t offset)
{
    if (log->count == 0 || offset <= log->entries[0].offset)
        return 0;
    size_t guess = (size_t)(offset - log->entries[0].offset); /* right unless compacted */
    if (guess < log->count && log->entries[guess].offset == offset)
        return guess;
    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->entries[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Below the last stable offset every transaction is decided. */
static bool is_committed(const struct memory_cluster *cluster, const struct memory_entry *entry)
{
    return !entry->marker && (entry->transaction == 0 ||
                              cluster->outcomes[entry->transaction] == MEMORY_COMMITTED_OUTCOME);
}

const struct memory_entry *memory_log_next(const struct memory_cluster *cluster,
                                           const struct memory_log *log, int64_t *inout_offset)
{
    int64_t stable = memory_log_stable(log);
    int64_t from = *inout_offset < log->start ? log->start : *inout_offset;
    for (size_t i = find_entry(log, from); i < log->count; i++) {
        const struct memory_entry *entry = &log->entries[i];
        if (entry->offset >= stable)
            break;
        if (is_committed(cluster, entry)) {
            *inout_offset = entry->offset + 1;
            return entry;
        }
    }
    if (*inout_offset < stable)
        *inout_offset = stable;
    return NULL;
}

static int compare_keys(const void *a, const void *b)
{
    const struct memory_entry *left = *(const struct memory_entry *const *)a;
    const struct memory_entry *right = *(const struct memory_entry *const *)b;
    int order = str_compare(left->key, right->key);
    if (order)
        return order;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Marks, by index, the committed records below `limit` whose key has a later one there. */
static bool *find_superseded(const struct memory_cluster *cluster, const struct memory_log *log,
                             int64_t limit)
{
    bool *superseded = mem_zalloc(log->count * sizeof *superseded);
    const struct memory_entry **keyed = mem_alloc(log->count * sizeof *keyed);
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct memory_entry *entry = &log->entries[i];
        if (entry->offset < limit && entry->key.data && is_committed(cluster, entry))
            keyed[count++] = entry;
    }
    qsort(keyed, count, sizeof *keyed, compare_keys);
    for (size_t i = 0; i + 1 < count; i++) {
        if (str_compare(keyed[i]->key, keyed[i + 1]->key) == 0)
            superseded[keyed[i] - log->entries] = true;
    }
    mem_free(keyed);
    return superseded;
}

void memory_log_compact(const struct memory_cluster *cluster, struct memory_log *log, bool purge)
{
    int64_t limit = memory_log_stable(log);
    bool *superseded = find_superseded(cluster, log, limit);
    size_t kept = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct memory_entry *entry = &log->entries[i];
        bool keep = entry->offset >= limit || i + 1 == log->count;
        if (!keep && entry->marker)
            keep = !purge;
        else if (!keep && is_committed(cluster, entry))
            keep = !superseded[i] && !(purge && !entry->value.data);
        if (keep)
            log->entries[kept++] = *entry;
    }
    log->count = kept;
    mem_free(superseded);
}
