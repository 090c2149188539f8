/*
 * The oracle of dispatchers. It reads the delayed topic alone and decides which commands are
 * accepted, by a rule of its own making out of README and semantics: an id scheduled before, not
 * ended since and due later than the log's time makes a duplicate; one that is due and not sent may
 * give way to the next of its id. Then everything a read_committed reader finds in the due topic
 * must be an accepted command, octet for octet, none twice, none before its time unless it was
 * released, none sent after the CANCEL of its recipient had been taken in; and every accepted
 * command that was not cancelled must be there. The dead letters are those that nobody can use,
 * each once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_support.h"

/* --- what was there when --- */

/* When the due topic ended at `high`, the input below `committed` had been taken in. */
struct mark {
    int64_t high, committed;
};

struct sim_watch {
    struct mark *marks[SIM_TIMERS_PARTITIONS_MAX];
    size_t counts[SIM_TIMERS_PARTITIONS_MAX];
};

void sim_timers_watch(struct sim *sim)
{
    if (sim->options.role != SIM_DISPATCHER)
        return;
    if (!sim->watch)
        sim->watch = mem_zalloc(sizeof(*sim->watch));
    for (int32_t p = 0; p < sim->options.partitions; p++) {
        struct mark mark = {memory_watermarks(sim->cluster, TOPIC_DUE, p).high,
                            memory_committed(sim->cluster, sim_group(sim), TOPIC_DELAYED, p, NULL)};
        size_t count = sim->watch->counts[p];
        struct mark *last = count ? &sim->watch->marks[p][count - 1] : NULL;
        if (last && last->high == mark.high && last->committed == mark.committed)
            continue;
        sim->watch->marks[p] = mem_realloc(sim->watch->marks[p], (count + 1) * sizeof(struct mark));
        sim->watch->marks[p][sim->watch->counts[p]++] = mark;
    }
}

void sim_timers_deinit(struct sim *sim)
{
    for (int p = 0; sim->watch && p < SIM_TIMERS_PARTITIONS_MAX; p++)
        mem_free(sim->watch->marks[p]);
    mem_free(sim->watch);
    sim->watch = NULL;
}

/* How far the input had certainly been taken in before the record at `offset` was sent. */
static int64_t taken_in_before(const struct sim *sim, int32_t partition, int64_t offset)
{
    int64_t committed = -1;
    for (size_t i = 0; sim->watch && i < sim->watch->counts[partition]; i++)
        if (sim->watch->marks[partition][i].high <= offset &&
            sim->watch->marks[partition][i].committed > committed)
            committed = sim->watch->marks[partition][i].committed;
    return committed;
}

/* --- the fold --- */

struct accepted {
    struct port_record record;
    struct retry_command command;
    int64_t freed_at;  /* offset of the RELEASE; -1: none */
    int64_t void_from; /* of the CANCEL, or of the SCHEDULE that took its place; -1: none */
    bool duplicate;
    bool sent;
};

struct folded {
    struct accepted *items;
    size_t count;
    int64_t dead_letters;
};

static bool same_recipient(const struct retry_command *a, const struct retry_command *b)
{
    return str_equal(a->who.tenant, b->who.tenant) && str_equal(a->who.recipient, b->who.recipient);
}

/* Nothing has ended it yet, as far as the log goes. */
static bool is_open(const struct accepted *item)
{
    return item->freed_at < 0 && item->void_from < 0;
}

static bool same_id(const struct retry_command *a, const struct retry_command *b)
{
    return memcmp(a->command_id.text, b->command_id.text, UUID_TEXT_SIZE) == 0;
}

static void fold_command(struct folded *folded, const struct port_record *record,
                         const struct retry_command *command, int64_t log_time_ms)
{
    bool duplicate = false;
    for (size_t i = 0; i < folded->count; i++) {
        struct accepted *before = &folded->items[i];
        if (!is_open(before) || !same_recipient(&before->command, command))
            continue;
        if (command->action == COMMAND_CANCEL)
            before->void_from = record->offset;
        else if (command->action == COMMAND_RELEASE)
            before->freed_at = record->offset;
        else if (same_id(&before->command, command) && before->command.due_at_ms > log_time_ms)
            duplicate = true;
    }
    for (size_t i = 0; command->action == COMMAND_SCHEDULE && !duplicate && i < folded->count; i++)
        if (same_recipient(&folded->items[i].command, command) &&
            same_id(&folded->items[i].command, command) && is_open(&folded->items[i]))
            folded->items[i].void_from = record->offset;
    if (command->action != COMMAND_SCHEDULE)
        return;
    folded->items = mem_realloc(folded->items, (folded->count + 1) * sizeof(struct accepted));
    folded->items[folded->count++] = (struct accepted){*record, *command, -1, -1, duplicate, false};
}

static void fold(const struct sim *sim, int32_t partition, struct folded *ret_folded)
{
    int64_t delay_ms_max = sim->options.delay_ms_max;
    struct port_record record;
    struct retry_command command;
    struct err err;
    int64_t log_time_ms = 0;
    *ret_folded = (struct folded){0};
    for (int64_t next = 0; memory_read(sim->cluster, TOPIC_DELAYED, partition, &next, &record);) {
        if (record.timestamp_ms > log_time_ms)
            log_time_ms = record.timestamp_ms;
        if (!record.value.data ||
            codec_decode_command(sim->codec, record.value, &command, &err) != OK ||
            (command.action == COMMAND_SCHEDULE && command.due_at_ms - log_time_ms > delay_ms_max))
            ret_folded->dead_letters++;
        else
            fold_command(ret_folded, &record, &command, log_time_ms);
    }
}

static bool same_record(const struct port_record *a, const struct port_record *b)
{
    if (!str_equal(a->key, b->key) || !str_equal(a->value, b->value) ||
        a->header_count != b->header_count)
        return false;
    for (int i = 0; i < a->header_count; i++)
        if (!str_equal(a->headers[i].name, b->headers[i].name) ||
            !str_equal(a->headers[i].value, b->headers[i].value))
            return false;
    return true;
}

/* --- comparing --- */

static bool differ(const struct sim *sim, bool expect_failure, int32_t partition, const char *what,
                   int64_t offset)
{
    if (!expect_failure)
        fail_msg("seed %llu: partition %d, offset %lld: %s", (unsigned long long)sim->options.seed,
                 partition, (long long)offset, what);
    return false;
}

/* The accepted command that a record of the due topic is. Copies of one record are told apart by
 * their order: the last one sent is the last that nothing ended. */
static struct accepted *find(struct folded *folded, const struct port_record *record)
{
    struct accepted *found = NULL;
    for (size_t i = 0; i < folded->count; i++) {
        struct accepted *item = &folded->items[i];
        if (!item->sent && !item->duplicate && same_record(&item->record, record) &&
            (!found || item->void_from < 0 || found->void_from >= 0))
            found = item;
    }
    return found;
}

static bool check_record(struct sim *sim, int32_t p, struct folded *folded,
                         const struct port_record *record, bool expect_failure)
{
    struct accepted *item = find(folded, record);
    if (!item)
        return differ(sim, expect_failure, p, "sent, and not accepted or sent before",
                      record->offset);
    item->sent = true;
    if (record->timestamp_ms < item->command.due_at_ms && item->freed_at < 0)
        return differ(sim, expect_failure, p, "sent before its time", record->offset);
    if (item->void_from >= 0 && taken_in_before(sim, p, record->offset) > item->void_from)
        return differ(sim, expect_failure, p,
                      "sent after its CANCEL, or what took its place, was taken in",
                      record->offset);
    return true;
}

static bool check_sent(struct sim *sim, int32_t p, struct folded *folded, bool expect_failure,
                       int64_t *inout_count)
{
    struct port_record record, *records = NULL;
    size_t count = 0;
    bool equal = true;
    for (int64_t next = 0; memory_read(sim->cluster, TOPIC_DUE, p, &next, &record);) {
        records = mem_realloc(records, (count + 1) * sizeof(record));
        records[count++] = record;
    }
    *inout_count += (int64_t)count;
    while (equal && count > 0)
        equal = check_record(sim, p, folded, &records[--count], expect_failure);
    mem_free(records);
    for (size_t i = 0; equal && i < folded->count; i++) {
        const struct accepted *item = &folded->items[i];
        if (!item->sent && !item->duplicate && item->void_from < 0)
            equal = differ(sim, expect_failure, p, "never sent", item->record.offset);
    }
    return equal;
}

static int64_t count_dead_letters(const struct sim *sim)
{
    int64_t count = 0;
    struct port_record record;
    for (int32_t p = 0; p < sim->options.partitions; p++)
        for (int64_t next = 0; memory_read(sim->cluster, TOPIC_DEAD_LETTERS, p, &next, &record);)
            count++;
    return count;
}

int64_t sim_timers_check(struct sim *sim, int32_t without, bool expect_failure)
{
    int64_t count = 0, dead_letters = 0;
    bool equal = true;
    for (int32_t p = 0; equal && p < sim->options.partitions; p++) {
        struct folded folded;
        if (p == without)
            continue;
        fold(sim, p, &folded);
        dead_letters += folded.dead_letters;
        equal = check_sent(sim, p, &folded, expect_failure, &count);
        mem_free(folded.items);
    }
    if (equal && dead_letters != count_dead_letters(sim))
        equal =
            differ(sim, expect_failure, -1, "dead letters are missing or too many", dead_letters);
    return equal ? count : -1;
}
