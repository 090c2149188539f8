/*
 * Dispatchers: the generator of commands, and the oracle.
 *
 * The generator makes commands of few recipients with few ids, so that ids repeat while they are
 * pending and after; due in the past, at once, in a moment or in minutes; too far ahead; with
 * headers, with other keys, in other partitions; cancelled and released; and poison.
 *
 * The oracle reads the delayed topic alone and decides which commands are accepted, by a rule of
 * its own making out of README and semantics: an id scheduled before, not ended since and due later
 * than the log's time makes a duplicate; one that is due and not sent may give way to the next of
 * its id. Then everything a read_committed reader finds in the due topic must be an accepted
 * command, octet for octet, none twice, none before its time unless it was released, none sent
 * after the CANCEL of its recipient had been taken in; and every accepted command that was not
 * cancelled must be there. The dead letters are those that nobody can use, each once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "domain/address.h"
#include "domain/id.h"
#include "sim_support.h"

/* --- the generator --- */

static int64_t random_due(struct sim *sim, int64_t now_ms)
{
    switch (sim_random(sim, 12)) {
    case 0:
    case 1:
        return now_ms - (int64_t)sim_random(sim, 5000);
    case 2:
        return now_ms;
    case 3:
    case 4:
    case 5:
        return now_ms + (int64_t)sim_random(sim, 1000);
    case 6:
        return now_ms + (int64_t)sim_random(sim, 300000);
    case 7:
        if (sim_random(sim, 12) == 0)
            return now_ms + SIM_DELAY_MAX_MS + 1 + (int64_t)sim_random(sim, 1000000);
        return now_ms + 500; /* many at once */
    default:
        return now_ms + (int64_t)sim_random(sim, 20000);
    }
}

static void put_garbage(struct sim *sim)
{
    char octets[20];
    size_t len = sim_random(sim, sizeof(octets));
    for (size_t i = 0; i < len; i++)
        octets[i] = (char)sim_random(sim, 256);
    sim_put(sim,
            &(struct port_message){
                .topic = TOPIC_DELAYED,
                .partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions),
                .key = sim_random(sim, 2) ? STR("garbage") : STR_NULL,
                .value = sim_random(sim, 5) ? (struct str){octets, len} : STR_NULL},
            -1);
}

static void put_command(struct sim *sim, const struct retry_command *command)
{
    static const struct port_header headers[] = {{STR("traceparent"), STR("00-1-2-01")},
                                                 {STR("none"), STR_NULL},
                                                 {STR("traceparent"), STR("")}};
    char key_text[RECORD_KEY_MAX];
    struct buf value;
    buf_init(&value);
    codec_encode_command(sim->codec, command, &value);
    struct str key = {key_text, identity_key(command->who, key_text)};
    struct port_message message = {.topic = TOPIC_DELAYED,
                                   .partition = hash_partition(key, sim->options.partitions),
                                   .key = key,
                                   .value = buf_view(&value),
                                   .headers = headers,
                                   .header_count = (int)sim_random(sim, 4)};
    if (sim_random(sim, 40) == 0) {
        message.key = sim_random(sim, 2) ? STR("other") : STR_NULL;
        message.partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions);
    }
    /* Producers' clocks differ. */
    int64_t now_ms = sim->event_time_ms + memory_cluster_now(sim->cluster);
    sim_put(sim, &message, now_ms - (int64_t)sim_random(sim, 3) * 700);
    buf_deinit(&value);
}

static void feed_command(struct sim *sim)
{
    char recipient[64], message_id[24];
    int64_t now_ms = sim->event_time_ms + memory_cluster_now(sim->cluster);
    if (sim_random(sim, 50) == 0) {
        put_garbage(sim);
        return;
    }
    snprintf(recipient, sizeof(recipient), "t%llu@example.com",
             (unsigned long long)sim_random(sim, (uint64_t)sim->options.recipients));
    snprintf(message_id, sizeof(message_id), "m%lld",
             (long long)(sim->produced / 60 * 4 + (int64_t)sim_random(sim, 4)));
    uint64_t action = sim_random(sim, 20);
    struct retry_command command = {
        .action = action < 16   ? COMMAND_SCHEDULE
                  : action < 18 ? COMMAND_CANCEL
                                : COMMAND_RELEASE,
        .who = {sim_random(sim, 6) ? STR("") : STR("acme"), str_of(recipient)},
        .message_id = str_of(message_id),
        .episode = 1,
        .attempt = 1,
        .max_attempts = 4,
        .due_at_ms = random_due(sim, now_ms),
        .issued_at_ms = now_ms,
        .reason = REASON_OTHER,
        .source_offset = sim->produced};
    command.command_id =
        id_schedule(&(struct schedule_id){.who = command.who, .message_id = command.message_id});
    put_command(sim, &command);
    if (sim_random(sim, 25) == 0)
        put_command(sim, &command); /* the very same record */
}

void sim_timers_feed(struct sim *sim, int count)
{
    for (int i = 0; i < count; i++)
        feed_command(sim);
}

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
            (command.action == COMMAND_SCHEDULE &&
             command.due_at_ms - log_time_ms > SIM_DELAY_MAX_MS))
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

int64_t sim_timers_check(struct sim *sim, bool expect_failure)
{
    int64_t count = 0, dead_letters = 0;
    bool equal = true;
    for (int32_t p = 0; equal && p < sim->options.partitions; p++) {
        struct folded folded;
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
