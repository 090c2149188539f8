#include "store/layout.h"

#include <string.h>

#include "base/hash.h"

void positions_encode(const struct store_meta *meta, int64_t used_ms,
                      struct positions_record *ret_record)
{
    *ret_record = (struct positions_record){.version = POSITIONS_VERSION};
    put_le64(ret_record->sequence, meta->sequence);
    put_le64(ret_record->entries, meta->entries);
    put_le64(ret_record->digest, meta->digest);
    put_le64(ret_record->input_next, (uint64_t)meta->input_next);
    put_le64(ret_record->changelog_next, (uint64_t)meta->changelog_next);
    put_le64(ret_record->stream_time_ms, (uint64_t)meta->stream_time_ms);
    put_le64(ret_record->used_ms, (uint64_t)used_ms);
    for (int i = 0; i < STORE_KINDS; i++)
        put_le64(ret_record->kinds[i], meta->kinds[i]);
    put_le64(ret_record->checksum,
             hash_xxh3(ret_record, offsetof(struct positions_record, checksum)));
}

bool positions_decode(const void *data, size_t size, struct store_meta *ret_meta,
                      int64_t *ret_used_ms)
{
    struct positions_record record;
    if (size != sizeof(record))
        return false;
    memcpy(&record, data, sizeof(record));
    if (record.version != POSITIONS_VERSION ||
        get_le64(record.checksum) !=
            hash_xxh3(&record, offsetof(struct positions_record, checksum)))
        return false;
    *ret_meta = (struct store_meta){
        .sequence = get_le64(record.sequence),
        .entries = get_le64(record.entries),
        .digest = get_le64(record.digest),
        .input_next = (int64_t)get_le64(record.input_next),
        .changelog_next = (int64_t)get_le64(record.changelog_next),
        .stream_time_ms = (int64_t)get_le64(record.stream_time_ms),
    };
    for (int i = 0; i < STORE_KINDS; i++)
        ret_meta->kinds[i] = get_le64(record.kinds[i]);
    *ret_used_ms = (int64_t)get_le64(record.used_ms);
    return true;
}
