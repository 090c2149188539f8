#include "replay/standing.h"

#include <stdlib.h>

#include "domain/address.h"

#define ARENA_KEEP ((size_t)16 << 20)
#define FORMAT 1

/* One message that was sent, or is kept. */
struct kept {
    struct identity who;
    size_t order;
    struct port_message message;
};

struct standing {
    struct slots slots;
    struct codec *codec;
    struct arena arena; /* of the messages not yet stored */
    struct kept *sent;
    size_t sent_count, sent_cap;
    struct arena reading; /* of the recipient in hand */
    struct buf value;
    int64_t dropped;
};

enum rcode standing_new(const struct state_options *state, const char *topic,
                        const struct codec_options *codec, struct standing **ret_standing,
                        struct err *err)
{
    struct standing *standing = mem_zalloc(sizeof(*standing));
    slots_init(&standing->slots, &(struct slots_options){.state = *state,
                                                         .kind = STORE_RECIPIENTS,
                                                         .slot_size = sizeof(struct slot),
                                                         .topic = topic,
                                                         .belongs_to = "outputs",
                                                         .format = FORMAT});
    arena_init(&standing->arena);
    arena_init(&standing->reading);
    buf_init(&standing->value);
    enum rcode rc = codec_new(codec, &standing->codec, err);
    if (rc == OK)
        *ret_standing = standing;
    else
        standing_free(standing);
    return rc;
}

void standing_free(struct standing *standing)
{
    if (!standing)
        return;
    while (standing->slots.count) {
        struct err ignored;
        int32_t partition = standing->slots.items[0]->partition;
        if (slots_remove(&standing->slots, partition, &ignored) != OK)
            slots_close(&standing->slots, partition, false); /* left on disk */
    }
    slots_deinit(&standing->slots);
    codec_free(standing->codec);
    arena_deinit(&standing->arena);
    arena_deinit(&standing->reading);
    buf_deinit(&standing->value);
    mem_free(standing->sent);
    mem_free(standing);
}

enum rcode standing_open(struct standing *standing, int32_t partition, struct err *err)
{
    struct local_state local = {0};
    enum rcode rc = slots_open(&standing->slots, partition, &local, err);
    return rc == OK && !local.empty ? slots_discard(&standing->slots, partition, err) : rc;
}

/* --- collecting --- */

void standing_sent(struct standing *standing, const struct port_message *message)
{
    struct arena *arena = &standing->arena;
    struct kept kept = {.order = standing->sent_count, .message = *message};
    if (message->topic != TOPIC_DELAYED && message->topic != TOPIC_SUPPRESSIONS)
        return;
    kept.message.key = arena_str(arena, message->key);
    kept.message.value = arena_str(arena, message->value);
    if (!identity_of_key(kept.message.key, &kept.who))
        return; /* the worker's keys are recipients */
    struct port_header *headers =
        arena_alloc(arena, (size_t)message->header_count * sizeof(*headers) + 1);
    for (int i = 0; i < message->header_count; i++)
        headers[i] = (struct port_header){arena_str(arena, message->headers[i].name),
                                          arena_str(arena, message->headers[i].value)};
    kept.message.headers = headers;
    if (standing->sent_count == standing->sent_cap) {
        standing->sent_cap = standing->sent_cap ? standing->sent_cap * 2 : 1024;
        standing->sent =
            mem_realloc(standing->sent, standing->sent_cap * sizeof(standing->sent[0]));
    }
    standing->sent[standing->sent_count++] = kept;
}

void standing_again(struct standing *standing)
{
    standing->sent_count = 0;
    arena_reset(&standing->arena, ARENA_KEEP);
}

/* --- one recipient's as octets: topic, partition, key, value, headers --- */

static void put_text(struct buf *out, struct str text)
{
    int64_t len = text.data ? (int64_t)text.len : -1;
    buf_append(out, &len, sizeof(len));
    buf_str(out, text.data ? text : STR(""));
}

static void put_message(struct buf *out, const struct port_message *message)
{
    int32_t numbers[] = {(int32_t)message->topic, message->partition, message->header_count};
    buf_append(out, numbers, sizeof(numbers));
    put_text(out, message->key);
    put_text(out, message->value);
    for (int i = 0; i < message->header_count; i++) {
        put_text(out, message->headers[i].name);
        put_text(out, message->headers[i].value);
    }
}

static struct str take_octets(struct str *rest, size_t len)
{
    struct str octets = {rest->data, len};
    rest->data += len;
    rest->len -= len;
    return octets;
}

static struct str take_text(struct str *rest)
{
    int64_t len;
    memcpy(&len, take_octets(rest, sizeof(len)).data, sizeof(len));
    return len < 0 ? STR_NULL : take_octets(rest, (size_t)len);
}

/* The store has a checksum over what it gives back. */
static void take_message(struct standing *standing, struct str *rest,
                         struct port_message *ret_message)
{
    int32_t numbers[3];
    memcpy(numbers, take_octets(rest, sizeof(numbers)).data, sizeof(numbers));
    *ret_message = (struct port_message){
        .topic = (enum topic)numbers[0], .partition = numbers[1], .header_count = numbers[2]};
    ret_message->key = take_text(rest);
    ret_message->value = take_text(rest);
    struct port_header *headers =
        arena_alloc(&standing->reading, (size_t)numbers[2] * sizeof(*headers) + 1);
    for (int i = 0; i < numbers[2]; i++) {
        headers[i].name = take_text(rest);
        headers[i].value = take_text(rest);
    }
    ret_message->headers = headers;
}

/* --- folding --- */

/* What stands of one recipient. */
struct pile {
    struct port_message messages[STANDING_COMMANDS_MAX + 1];
    int count;
};

static void drop_topic(struct pile *pile, enum topic topic, int max)
{
    int kept = 0, dropped = 0;
    for (int i = 0; i < pile->count; i++)
        if (pile->messages[i].topic == topic && dropped < max)
            dropped++;
        else
            pile->messages[kept++] = pile->messages[i];
    pile->count = kept;
}

static int count_topic(const struct pile *pile, enum topic topic)
{
    int count = 0;
    for (int i = 0; i < pile->count; i++)
        count += pile->messages[i].topic == topic;
    return count;
}

static enum rcode fold(struct standing *standing, struct pile *pile,
                       const struct port_message *message, struct err *err)
{
    struct retry_command command;
    if (message->topic == TOPIC_SUPPRESSIONS) {
        drop_topic(pile, TOPIC_SUPPRESSIONS, 1);
    } else {
        enum rcode rc = codec_decode_command(standing->codec, message->value, &command, err);
        if (rc != OK)
            return rc;
        if (command.action != COMMAND_SCHEDULE) {
            drop_topic(pile, TOPIC_DELAYED, STANDING_COMMANDS_MAX);
            return OK;
        }
        if (count_topic(pile, TOPIC_DELAYED) == STANDING_COMMANDS_MAX) {
            drop_topic(pile, TOPIC_DELAYED, 1);
            standing->dropped++;
        }
    }
    pile->messages[pile->count++] = *message;
    return OK;
}

static enum rcode load(struct standing *standing, struct store *store, struct identity who,
                       struct pile *pile, struct err *err)
{
    struct str rest;
    pile->count = 0;
    arena_reset(&standing->reading, ARENA_KEEP);
    enum rcode rc = store_get(store, who, &rest, err);
    if (rc != OK || !rest.data)
        return rc;
    rest = arena_str(&standing->reading, rest);
    while (rest.len)
        take_message(standing, &rest, &pile->messages[pile->count++]);
    return OK;
}

static enum rcode save(struct standing *standing, struct store *store, struct identity who,
                       const struct pile *pile, struct err *err)
{
    buf_clear(&standing->value);
    for (int i = 0; i < pile->count; i++)
        put_message(&standing->value, &pile->messages[i]);
    return pile->count ? store_put(store, who, buf_view(&standing->value), 0, err)
                       : store_delete(store, who, err);
}

static int compare_kept(const void *a, const void *b)
{
    const struct kept *left = a, *right = b;
    int order = store_key_compare(left->who, right->who);
    return order ? order : (left->order > right->order) - (left->order < right->order);
}

static enum rcode write_all(void *context, struct slot *slot, struct err *err)
{
    struct standing *standing = context;
    struct pile pile;
    enum rcode rc = OK;
    for (size_t i = 0; rc == OK && i < standing->sent_count;) {
        struct identity who = standing->sent[i].who;
        rc = load(standing, slot->store, who, &pile, err);
        for (; rc == OK && i < standing->sent_count &&
               store_key_compare(standing->sent[i].who, who) == 0;
             i++)
            rc = fold(standing, &pile, &standing->sent[i].message, err);
        if (rc == OK)
            rc = save(standing, slot->store, who, &pile, err);
    }
    return rc;
}

enum rcode standing_store(struct standing *standing, int32_t partition, struct err *err)
{
    if (!standing->sent_count)
        return OK;
    qsort(standing->sent, standing->sent_count, sizeof(standing->sent[0]), compare_kept);
    enum rcode rc = slots_write(&standing->slots, partition, 0, 0, write_all, standing, err);
    standing_again(standing);
    return rc;
}

enum rcode standing_read(struct standing *standing, int32_t partition, struct identity who,
                         const struct port_message **ret_messages, int *ret_count, struct err *err)
{
    struct store *store = slots_find(&standing->slots, partition)->store;
    struct pile pile;
    enum rcode rc = store_begin(store, err);
    if (rc != OK)
        return rc;
    rc = load(standing, store, who, &pile, err);
    store_abort(store);
    if (rc != OK)
        return rc;
    size_t size = (size_t)pile.count * sizeof(struct port_message);
    struct port_message *messages = arena_alloc(&standing->reading, size + 1);
    memcpy(messages, pile.messages, size);
    *ret_messages = messages;
    *ret_count = pile.count;
    return OK;
}

int64_t standing_dropped(const struct standing *standing)
{
    return standing->dropped;
}
