#include "cli/sample.h"

#include <stdio.h>

#include "base/hash.h"
#include "cli/refusal.h"
#include "domain/address.h"
#include "domain/id.h"

#define TABLE_SIZE 65536 /* recipients whose state is remembered; a power of two */
#define PENDING_MAX 65536
#define RECENT_COUNT 256 /* records that may come again */
#define OUTAGE_MS (2LL * 3600 * 1000)

/* What kind of mailbox an address has: fixed by its number and the seed. */
enum trait { TRAIT_HEALTHY, TRAIT_DISABLED, TRAIT_RECOVERS, TRAIT_FULL, TRAIT_GONE, TRAIT_COUNT };

struct provider {
    const char *domain, *mx;
    int share; /* of 100 */
};

static const struct provider providers[] = {
    {"gmail.com", "gmail-smtp-in.l.google.com", 36},
    {"outlook.com", "outlook-com.olc.protection.outlook.com", 15},
    {"yahoo.com", "mta7.am0.yahoodns.net", 10},
    {"libero.it", "smtp-in.libero.it", 7},
    {"gmx.de", "mx00.gmx.net", 6},
    {"orange.fr", "smtp-in.orange.fr", 6},
    {"icloud.com", "mx01.mail.icloud.com", 5},
    {"web.de", "mx-ha02.web.de", 4},
    {"example.com", "mx.example.com", 6},
    {"example.org", "mail.example.org", 5},
};
#define PROVIDER_COUNT ((int)(sizeof(providers) / sizeof(providers[0])))

/* The state of one recipient, as the worker will see it. */
struct entry {
    int64_t number; /* of the recipient, -1: free */
    char address[64];
    bool known;
    struct recipient state;
};

/* A command that a sender will answer when it is due. */
struct pending {
    int64_t due_ms;
    int64_t number;
    char message_id[24];
    char retry_of[UUID_TEXT_SIZE + 1];
    int32_t message_attempt;
};

struct sample {
    struct sample_options options;
    struct codec *codec;
    uint64_t random;
    int64_t made;
    int64_t now_ms;
    struct entry *table;
    struct pending *heap; /* least due first */
    size_t heap_count;
    int outage_provider; /* -1: none */
    int64_t outage_until_ms;
    struct buf value, key;
    struct buf recent_values[RECENT_COUNT], recent_keys[RECENT_COUNT];
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9; /* splitmix64 */
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t draw(struct sample *sample, uint64_t below)
{
    return mix(sample->random += 0x9e3779b97f4a7c15) % below;
}

static bool chance(struct sample *sample, double share)
{
    return (double)draw(sample, 1u << 30) < share * (double)(1u << 30);
}

static enum trait trait_of(const struct sample *sample, int64_t number)
{
    uint64_t dice = mix(sample->options.seed ^ (uint64_t)number * 0x9e3779b97f4a7c15) % 1000;
    return dice < 30    ? TRAIT_DISABLED
           : dice < 70  ? TRAIT_RECOVERS
           : dice < 90  ? TRAIT_FULL
           : dice < 110 ? TRAIT_GONE
                        : TRAIT_HEALTHY;
}

static const struct provider *provider_of(int64_t number)
{
    int dice = (int)(mix((uint64_t)number + 1) % 100);
    for (int i = 0; i < PROVIDER_COUNT; i++)
        if ((dice -= providers[i].share) < 0)
            return &providers[i];
    return &providers[0];
}

/* --- the heap of pending answers --- */

static void swap(struct pending *a, struct pending *b)
{
    struct pending c = *a;
    *a = *b;
    *b = c;
}

static void push(struct sample *sample, const struct pending *pending)
{
    if (sample->heap_count == PENDING_MAX)
        return; /* that sender forgets its retry */
    size_t i = sample->heap_count++;
    for (sample->heap[i] = *pending; i && sample->heap[i].due_ms < sample->heap[(i - 1) / 2].due_ms;
         i = (i - 1) / 2)
        swap(&sample->heap[i], &sample->heap[(i - 1) / 2]);
}

static struct pending pop(struct sample *sample)
{
    struct pending first = sample->heap[0];
    sample->heap[0] = sample->heap[--sample->heap_count];
    for (size_t i = 0, child; (child = 2 * i + 1) < sample->heap_count; i = child) {
        if (child + 1 < sample->heap_count &&
            sample->heap[child + 1].due_ms < sample->heap[child].due_ms)
            child++;
        if (sample->heap[i].due_ms <= sample->heap[child].due_ms)
            break;
        swap(&sample->heap[i], &sample->heap[child]);
    }
    return first;
}

/* --- recipients --- */

static struct entry *entry_of(struct sample *sample, int64_t number)
{
    struct entry *entry = &sample->table[mix((uint64_t)number) % TABLE_SIZE];
    if (entry->number != number) {
        *entry = (struct entry){.number = number};
        snprintf(entry->address, sizeof(entry->address), "user%lld@%s", (long long)number,
                 provider_of(number)->domain);
    }
    return entry;
}

/* Keeps our copy of the state, and plans the answer to the command that follows. `refusal` is that
 * of a bounce. */
static void follow(struct sample *sample, struct entry *entry, const struct input_record *record,
                   enum refusal refusal)
{
    struct event event = {.kind = record->kind == RECORD_BOUNCE ? EVENT_BOUNCE : EVENT_DELIVERY,
                          .who = {STR(""), str_of(entry->address)},
                          .event_id = record->event_id,
                          .time_ms = record->occurred_at_ms,
                          .offset = sample->made,
                          .message_id = record->message_id,
                          .retry_of = record->retry_of,
                          .message_attempt = record->message_attempt};
    struct recipient before = entry->state;
    struct effects effects;
    if (record->kind == RECORD_BOUNCE) {
        event.bounce_class = refusal_texts[refusal].bounce_class;
        event.reason = refusal_texts[refusal].reason;
    }
    before.source_offset = -1; /* offsets differ between partitions: never a duplicate by offset */
    recipient_step(sample->options.policies, entry->known ? &before : NULL, &event, sample->now_ms,
                   &entry->state, &effects);
    if (effects.change == STATE_UNCHANGED) {
        entry->state = before;
        return;
    }
    entry->known = true;
    entry->state.who = event.who;
    entry->state.last_status = STR_NULL; /* spans of this record end with it */
    entry->state.last_rule = STR_NULL;
    for (int i = 0; i < effects.command_count; i++) {
        const struct retry_command *command = &effects.commands[i];
        if (command->action != COMMAND_SCHEDULE)
            continue;
        struct pending pending = {.due_ms = command->due_at_ms + (int64_t)draw(sample, 600000),
                                  .number = entry->number,
                                  .message_attempt = command->message_attempt};
        snprintf(pending.message_id, sizeof(pending.message_id), "%.*s",
                 STR_ARG(record->message_id));
        memcpy(pending.retry_of, command->command_id.text, UUID_TEXT_SIZE);
        push(sample, &pending);
    }
}

/* --- records --- */

static enum refusal refusal_of(struct sample *sample, enum trait trait,
                               const struct provider *provider)
{
    if (sample->outage_provider >= 0 && provider == &providers[sample->outage_provider])
        return REFUSAL_OUTAGE;
    switch (trait) {
    case TRAIT_DISABLED:
    case TRAIT_RECOVERS:
        return REFUSAL_DISABLED;
    case TRAIT_FULL:
        return REFUSAL_FULL;
    case TRAIT_GONE:
        return REFUSAL_GONE;
    case TRAIT_HEALTHY:
    case TRAIT_COUNT:
        break;
    }
    return draw(sample, 3) ? REFUSAL_RATE : REFUSAL_POLICY;
}

static bool bounces(struct sample *sample, enum trait trait, bool answer)
{
    switch (trait) {
    case TRAIT_DISABLED:
    case TRAIT_GONE:
        return true;
    case TRAIT_RECOVERS:
        return !answer || draw(sample, 2);
    case TRAIT_FULL:
        return draw(sample, 3) > 0;
    case TRAIT_HEALTHY:
    case TRAIT_COUNT:
        break;
    }
    return draw(sample, 12) == 0;
}

static void make_record(struct sample *sample, int64_t number, const struct pending *answered)
{
    char event_id[UUID_TEXT_SIZE + 1] = {0}, message_id[24];
    struct entry *entry = entry_of(sample, number);
    const struct provider *provider = provider_of(number);
    enum trait trait = trait_of(sample, number);
    struct str who = str_of(entry->address);
    struct uuid_text id = id_output("sample", (struct identity){STR(""), who},
                                    (int64_t)sample->options.seed, sample->made, STR("event"));
    memcpy(event_id, id.text, UUID_TEXT_SIZE);
    snprintf(message_id, sizeof(message_id), "m%llx", (unsigned long long)draw(sample, 1ull << 40));
    int64_t late_ms = chance(sample, sample->options.late) ? (int64_t)draw(sample, 6 * 3600000) : 0;
    struct input_record record = {
        .kind = RECORD_DELIVERY,
        .event_id = str_of(event_id),
        .tenant = STR(""),
        .recipient = who,
        .message_id = str_of(answered ? answered->message_id : message_id),
        .occurred_at_ms = sample->now_ms - late_ms,
        .retry_of = answered ? str_of(answered->retry_of) : STR_NULL,
        .source = STR("produce-sample"),
    };
    enum refusal refusal = REFUSAL_COUNT;
    if (bounces(sample, trait, answered != NULL)) {
        refusal = refusal_of(sample, trait, provider);
        refusal_fill(refusal, &record);
        record.remote_mta = str_of(provider->mx);
        record.message_attempt = answered ? answered->message_attempt : 0;
    }
    follow(sample, entry, &record, refusal);
    buf_clear(&sample->value);
    buf_clear(&sample->key);
    codec_encode_input(sample->codec, &record, &sample->value);
    buf_str(&sample->key, who);
}

/* What no worker can use: each kind of poison in turn. */
static void make_poison(struct sample *sample, struct sample_record *ret_record)
{
    uint64_t kind = draw(sample, 5);
    make_record(sample, (int64_t)draw(sample, (uint64_t)sample->options.recipients), NULL);
    struct buf *value = &sample->value;
    switch (kind) {
    case 0: /* truncated */
        value->len /= 2;
        break;
    case 1: /* trailing octets */
        buf_append(value, "tail", 4);
        break;
    case 2: /* a schema nobody knows */
        value->data[5] = (char)(value->data[5] ^ 0x55);
        break;
    case 3: /* not Avro at all */
        buf_clear(value);
        buf_str(value, STR("{\"recipient\":\"not@avro.example\"}"));
        break;
    default: /* a null value */
        ret_record->value = STR_NULL;
        return;
    }
    ret_record->value = buf_view(value);
}

static void tick(struct sample *sample)
{
    sample->now_ms =
        sample->options.start_ms + (int64_t)((double)sample->options.span_ms *
                                             (double)sample->made / (double)sample->options.count);
    if (sample->outage_provider >= 0 && sample->now_ms >= sample->outage_until_ms)
        sample->outage_provider = -1;
    if (sample->outage_provider < 0 && draw(sample, 20000) == 0) {
        sample->outage_provider = (int)draw(sample, (uint64_t)PROVIDER_COUNT);
        sample->outage_until_ms = sample->now_ms + OUTAGE_MS;
    }
}

bool sample_next(struct sample *sample, struct sample_record *ret_record)
{
    const struct sample_options *options = &sample->options;
    if (sample->made >= options->count)
        return false;
    tick(sample);
    int64_t index = sample->made++;
    struct buf *recent_value = &sample->recent_values[index % RECENT_COUNT];
    struct buf *recent_key = &sample->recent_keys[index % RECENT_COUNT];
    *ret_record = (struct sample_record){0};
    if (index > RECENT_COUNT && chance(sample, options->duplicates)) {
        size_t again = draw(sample, RECENT_COUNT);
        if (sample->recent_values[again].len) {
            ret_record->key = buf_view(&sample->recent_keys[again]);
            ret_record->value = buf_view(&sample->recent_values[again]);
            return true;
        }
    }
    if (chance(sample, options->poison)) {
        ret_record->poison = true;
        make_poison(sample, ret_record);
        ret_record->key = buf_view(&sample->key);
        return true;
    }
    bool due = sample->heap_count && sample->heap[0].due_ms <= sample->now_ms;
    if (due) {
        struct pending answered = pop(sample);
        make_record(sample, answered.number, &answered);
    } else {
        make_record(sample, (int64_t)draw(sample, (uint64_t)options->recipients), NULL);
    }
    ret_record->key = buf_view(&sample->key);
    ret_record->value = buf_view(&sample->value);
    buf_clear(recent_value);
    buf_clear(recent_key);
    buf_str(recent_value, ret_record->value);
    buf_str(recent_key, ret_record->key);
    return true;
}

struct sample *sample_new(const struct sample_options *options, struct codec *codec)
{
    struct sample *sample = mem_zalloc(sizeof(*sample));
    sample->options = *options;
    sample->codec = codec;
    sample->random = options->seed;
    sample->outage_provider = -1;
    sample->table = mem_zalloc(TABLE_SIZE * sizeof(*sample->table));
    for (int i = 0; i < TABLE_SIZE; i++)
        sample->table[i].number = -1;
    sample->heap = mem_alloc(PENDING_MAX * sizeof(*sample->heap));
    return sample;
}

void sample_free(struct sample *sample)
{
    if (!sample)
        return;
    for (int i = 0; i < RECENT_COUNT; i++) {
        buf_deinit(&sample->recent_values[i]);
        buf_deinit(&sample->recent_keys[i]);
    }
    buf_deinit(&sample->value);
    buf_deinit(&sample->key);
    mem_free(sample->table);
    mem_free(sample->heap);
    mem_free(sample);
}
