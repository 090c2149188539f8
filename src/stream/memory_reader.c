#include "stream/memory_cluster.h"

void memory_reader_init(struct memory_reader *reader, enum topic topic, enum rcode truncated,
                        enum rcode beyond)
{
    *reader = (struct memory_reader){.topic = topic, .truncated = truncated, .beyond = beyond};
    arena_init(&reader->arena);
}

void memory_reader_deinit(struct memory_reader *reader)
{
    mem_free(reader->fetches);
    arena_deinit(&reader->arena);
}

enum rcode memory_reader_assign(struct memory_port *self, struct memory_reader *reader,
                                const struct port_position *positions, int count, struct err *err)
{
    for (int i = 0; i < count; i++) {
        if (positions[i].offset < 0)
            return memory_misuse(self, err, "a position that is not an explicit offset");
        for (int j = 0; j < i; j++) {
            if (positions[i].partition == positions[j].partition)
                return memory_misuse(self, err, "a partition assigned twice");
        }
    }
    reader->fetches = mem_realloc(reader->fetches, (size_t)count * sizeof *reader->fetches);
    reader->count = count;
    reader->turn = 0;
    for (int i = 0; i < count; i++) {
        reader->fetches[i] = (struct memory_fetch){
            .partition = positions[i].partition,
            .next = positions[i].offset,
        };
    }
    return OK;
}

static struct port_record copy_record(struct arena *arena, int32_t partition,
                                      const struct memory_entry *entry)
{
    size_t header_count = (size_t)entry->header_count;
    struct port_header *headers =
        header_count ? arena_alloc(arena, header_count * sizeof *headers) : NULL;
    for (size_t i = 0; i < header_count; i++) {
        headers[i].name = arena_str(arena, entry->headers[i].name);
        headers[i].value = arena_str(arena, entry->headers[i].value);
    }
    return (struct port_record){
        .partition = partition,
        .offset = entry->offset,
        .timestamp_ms = entry->timestamp_ms,
        .key = arena_str(arena, entry->key),
        .value = arena_str(arena, entry->value),
        .headers = headers,
        .header_count = entry->header_count,
    };
}

static enum rcode check_range(const struct memory_reader *reader, const struct memory_fetch *fetch,
                              const struct memory_log *log, struct err *err)
{
    long long next = fetch->next;
    if (!log || fetch->next > log->end)
        return err_set(err, reader->beyond, "partition %d: position %lld, the log ends at %lld",
                       (int)fetch->partition, next, log ? (long long)log->end : -1LL);
    if (fetch->next < log->start)
        return err_set(err, reader->truncated,
                       "partition %d: position %lld, the log starts at %lld", (int)fetch->partition,
                       next, (long long)log->start);
    return OK;
}

enum rcode memory_reader_poll(struct memory_port *self, struct memory_reader *reader, size_t max,
                              struct port_record *ret_records, size_t *ret_count,
                              int32_t *ret_partition, struct err *err)
{
    if (self->poll_records_max && max > self->poll_records_max)
        max = self->poll_records_max;
    for (int i = 0; i < reader->count; i++) {
        struct memory_fetch *fetch = &reader->fetches[i];
        if (fetch->halted)
            continue;
        enum rcode rc = check_range(
            reader, fetch, memory_log_of(self->cluster, reader->topic, fetch->partition), err);
        if (rc) {
            fetch->halted = true;
            *ret_partition = fetch->partition;
            return rc;
        }
    }
    size_t count = 0;
    for (int i = 0; i < reader->count; i++) {
        struct memory_fetch *fetch = &reader->fetches[(reader->turn + i) % reader->count];
        if (fetch->halted)
            continue;
        const struct memory_log *log =
            memory_log_of(self->cluster, reader->topic, fetch->partition);
        int64_t before = fetch->next;
        while (count < max) {
            const struct memory_entry *entry = memory_log_next(self->cluster, log, &fetch->next);
            if (!entry)
                break;
            ret_records[count++] = copy_record(&reader->arena, fetch->partition, entry);
        }
        fetch->known = fetch->known || fetch->next != before;
    }
    if (reader->count)
        reader->turn = (reader->turn + 1) % reader->count;
    *ret_count = count;
    return OK;
}

int64_t memory_reader_position(const struct memory_reader *reader, int32_t partition)
{
    for (int i = 0; i < reader->count; i++) {
        if (reader->fetches[i].partition == partition)
            return reader->fetches[i].known ? reader->fetches[i].next : -1;
    }
    return -1;
}
