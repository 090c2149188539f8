#include "stream/slots.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

void slots_init(struct slots *slots, const struct slots_options *options)
{
    *slots = (struct slots){.options = *options};
    slots->options.belongs_to = mem_strdup(options->belongs_to);
}

void slots_deinit(struct slots *slots)
{
    while (slots->count)
        slots_close(slots, slots->items[0]->partition, true);
    mem_free(slots->items);
    mem_free((char *)(uintptr_t)slots->options.belongs_to);
}

struct slot *slots_find(const struct slots *slots, int32_t partition)
{
    for (int i = 0; i < slots->count; i++)
        if (slots->items[i]->partition == partition)
            return slots->items[i];
    return NULL;
}

static void append_path(const struct slots *slots, int32_t partition, struct buf *path)
{
    const struct slots_options *options = &slots->options;
    buf_printf(path, "%s/%s/%s-%d%c", options->state.dir, options->state.app, options->topic,
               partition, 0);
}

static enum rcode open_store(const struct slots *slots, int32_t partition, struct store **ret_store,
                             const char **ret_discarded, struct err *err)
{
    const struct slots_options *options = &slots->options;
    const struct state_options *state = &options->state;
    struct buf path, identity;
    buf_init(&path);
    buf_init(&identity);
    append_path(slots, partition, &path);
    buf_printf(&identity, "cluster=%s %s partition=%d of=%d format=%d%c", state->cluster_id,
               options->belongs_to, partition, options->partition_count, options->format, 0);
    struct store_options store_options = {.path = path.data,
                                          .identity = identity.data,
                                          .kind = options->kind,
                                          .durability = state->durability,
                                          .map_size_initial = state->map_size_initial,
                                          .offline_ms_max = state->offline_ms_max,
                                          .now_ms = clock_wall_ms()};
    enum rcode rc = store_open(&store_options, ret_store, ret_discarded, err);
    buf_deinit(&path);
    buf_deinit(&identity);
    return rc;
}

enum rcode slots_open(struct slots *slots, int32_t partition, struct local_state *ret_local,
                      struct err *err)
{
    struct slot *slot = slots_find(slots, partition);
    if (!slot) {
        struct store *store;
        const char *discarded;
        enum rcode rc = open_store(slots, partition, &store, &discarded, err);
        if (rc != OK)
            return rc;
        slots->items =
            mem_realloc(slots->items, ((size_t)slots->count + 1) * sizeof(struct slot *));
        slot = slots->items[slots->count++] = mem_zalloc(slots->options.slot_size);
        slot->partition = partition;
        slot->store = store;
        ret_local->discarded = discarded;
    }
    const struct store_meta *meta = store_meta(slot->store);
    ret_local->empty = meta->sequence == 0;
    ret_local->input_next = meta->input_next;
    return OK;
}

void slots_close(struct slots *slots, int32_t partition, bool clean)
{
    for (int i = 0; i < slots->count; i++) {
        struct slot *slot = slots->items[i];
        if (slot->partition != partition)
            continue;
        if (clean)
            store_close(slot->store);
        else
            store_abandon(slot->store);
        mem_free(slot);
        slots->items[i] = slots->items[--slots->count];
        return;
    }
}

enum rcode slots_remove(struct slots *slots, int32_t partition, struct err *err)
{
    struct buf path;
    buf_init(&path);
    append_path(slots, partition, &path);
    slots_close(slots, partition, false);
    enum rcode rc = store_remove(path.data, err);
    buf_deinit(&path);
    return rc;
}

enum rcode slots_discard(struct slots *slots, int32_t partition, struct err *err)
{
    struct slot *slot = slots_find(slots, partition);
    struct slot fresh = {.partition = partition, .store = slot->store};
    memset(slot, 0, slots->options.slot_size);
    *slot = fresh;
    return store_reset(slot->store, err);
}

void slots_usage(const struct slots *slots, int32_t partition, struct processor_usage *ret_usage)
{
    const struct slot *slot = slots_find(slots, partition);
    struct store_usage usage = store_usage(slot->store);
    const struct store_meta *meta = store_meta(slot->store);
    *ret_usage = (struct processor_usage){
        .entries = meta->entries, .used = usage.used, .map = usage.map_size};
    memcpy(ret_usage->kinds, meta->kinds, sizeof(ret_usage->kinds));
}

enum rcode slot_begin(struct slot *slot, struct err *err)
{
    if (slot->begun)
        return OK;
    enum rcode rc = slot->map_full ? store_grow(slot->store, err) : OK;
    if (rc != OK)
        return rc;
    slot->map_full = false;
    rc = store_begin(slot->store, err);
    slot->begun = rc == OK;
    return rc;
}

enum rcode slot_at_fault(struct slot *slot, struct batch *batch, enum rcode rc)
{
    batch->failed_partition = slot->partition;
    slot->map_full |= rc == E_STORE_MAP_FULL;
    return rc;
}

enum rcode slots_commit(struct slots *slots, int32_t partition, int64_t input_next,
                        int64_t log_next, struct err *err)
{
    struct slot *slot = slots_find(slots, partition);
    enum rcode rc = OK;
    if (!slot->begun)
        rc = store_begin(slot->store, err);
    slot->begun = false;
    if (rc == OK)
        rc = store_commit(slot->store, input_next, log_next, slot->batch_time_ms, err);
    if (rc == OK)
        slot->time_ms = slot->batch_time_ms;
    else
        slot->batch_time_ms = slot->time_ms;
    return rc;
}

static void abort_slot(struct slot *slot)
{
    slot->batch_time_ms = slot->time_ms;
    if (slot->begun)
        store_abort(slot->store);
    slot->begun = false;
}

void slots_abort(struct slots *slots)
{
    for (int i = 0; i < slots->count; i++)
        abort_slot(slots->items[i]);
}

enum rcode slots_write(struct slots *slots, int32_t partition, int64_t input_next, int64_t log_next,
                       slot_write *write, void *context, struct err *err)
{
    struct slot *slot = slots_find(slots, partition);
    for (;;) {
        size_t map_size = store_usage(slot->store).map_size;
        enum rcode rc = slot_begin(slot, err);
        if (rc == OK)
            rc = write(context, slot, err);
        if (rc == OK) {
            rc = slots_commit(slots, partition, input_next, log_next, err);
            if (rc != OK && store_usage(slot->store).map_size > map_size)
                continue; /* the map was full at the very end, and has grown */
            return rc;
        }
        abort_slot(slot);
        if (rc != E_STORE_MAP_FULL)
            return rc;
        slot->map_full = true;
    }
}
