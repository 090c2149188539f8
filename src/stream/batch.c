#include "base/arena.h"
#include "stream/processor.h"

bool batch_defer(struct batch *batch, const struct port_record *record, const struct err *why)
{
    struct deferrals *deferrals = batch->deferrals;
    if (!deferrals)
        return false;
    if (deferrals->count == deferrals->cap) {
        deferrals->cap = 2 * deferrals->cap + 4;
        deferrals->items =
            mem_realloc(deferrals->items, (size_t)deferrals->cap * sizeof(*deferrals->items));
    }
    deferrals->items[deferrals->count++] =
        (struct deferral){.partition = record->partition, .offset = record->offset, .why = *why};
    return true;
}

bool batch_deferred(const struct batch *batch, int32_t partition)
{
    for (int i = 0; batch->deferrals && i < batch->deferrals->count; i++)
        if (batch->deferrals->items[i].partition == partition)
            return true;
    return false;
}
