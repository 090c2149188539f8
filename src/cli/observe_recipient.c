/*
 * /api/v1/recipients/ADDRESS: what the store of the partition says, if that runs here.
 *
 *   200  the state, with the columns of `rimbalzo state get -o jsonl`
 *   400  no address, or no tenant
 *   404  the partition runs here, and nothing is known of the recipient
 *   421  the partition is another process's, whose number is told
 *   503  try again: the partition is not proven yet, or has stopped, or its thread is busy
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/observe_internal.h"
#include "cli/recipient_view.h"
#include "domain/address.h"

#define ANSWER_MS_MAX 2000 /* a turn takes commit_interval and a transaction */

enum { STATUS_OK = 200, BAD_REQUEST = 400, NOT_FOUND = 404, MISDIRECTED = 421, UNAVAILABLE = 503 };

/* What the engine's thread is asked, and its answer. */
struct sought {
    const struct observed_thread *thread;
    int32_t partition;
    struct identity who;
    bool runs, found;
    struct buf value;
    enum rcode rc;
    struct err err;
};

static bool find_entry(struct board *board, int32_t partition, struct board_entry *ret_entry)
{
    struct board_entry *entries;
    int count = board_read(board, &entries), at = 0;
    while (at < count && entries[at].partition != partition)
        at++;
    bool found = at < count;
    if (found)
        *ret_entry = entries[at];
    mem_free(entries);
    return found;
}

/* By the engine's thread, whose board is up to date then. */
static void look(void *context)
{
    struct sought *sought = context;
    struct board_entry entry;
    sought->runs = find_entry(sought->thread->board, sought->partition, &entry) &&
                   entry.state == PARTITION_RUNNING;
    if (sought->runs)
        sought->rc = worker_look(sought->thread->processor, sought->partition, sought->who,
                                 &sought->value, &sought->found, &sought->err);
}

static unsigned refuse(struct http_exchange *exchange, unsigned status, const char *error,
                       int32_t partition, const char *text)
{
    buf_printf(&exchange->body, "{\"error\":\"%s\",\"partition\":", error);
    buf_printf(&exchange->body, partition >= 0 ? "%d" : "null", partition);
    buf_str(&exchange->body, STR(",\"text\":"));
    output_json_string(&exchange->body, str_of(text));
    buf_str(&exchange->body, STR("}\n"));
    return status;
}

static unsigned show(const struct observe *observe, struct http_exchange *exchange,
                     const struct sought *sought)
{
    struct recipient state;
    struct recipient_view view;
    struct err err = {0};
    struct output output;
    char *text = NULL;
    size_t len = 0;
    if (codec_decode_recipient(observe->codec, buf_view(&sought->value), &state, &err) != OK)
        return refuse(exchange, UNAVAILABLE, "not_ready", sought->partition, err.text);
    bool lapsed = recipient_has_lapsed(&state, observe->about.stale_after_ms, clock_wall_ms());
    recipient_view(&state, sought->partition, lapsed, &view);
    FILE *stream = open_memstream(&text, &len);
    if (!stream)
        return refuse(exchange, UNAVAILABLE, "not_ready", sought->partition, "out of memory");
    output_begin(&output, OUTPUT_JSONL, stream, recipient_columns, RECIPIENT_COLUMN_COUNT);
    output_row(&output, view.cells);
    output_end(&output);
    fclose(stream);
    buf_append(&exchange->body, text, len);
    free(text);
    return STATUS_OK;
}

/* The thread that has a partition now. */
static const struct observed_thread *owner_of(struct observe *observe, int32_t partition)
{
    const struct observed_thread *owner = NULL;
    struct board_entry entry;
    pthread_mutex_lock(&observe->lock);
    for (int i = 0; i < observe->count && !owner; i++)
        if (observe->threads[i].role == ROLE_WORKER && observe->threads[i].ask &&
            find_entry(observe->threads[i].board, partition, &entry))
            owner = &observe->threads[i];
    pthread_mutex_unlock(&observe->lock);
    return owner; /* threads are handed over once and stay until the server has ended */
}

static unsigned answer(struct observe *observe, struct http_exchange *exchange,
                       struct sought *sought)
{
    int32_t partition = sought->partition;
    sought->thread = owner_of(observe, partition);
    if (!sought->thread)
        return refuse(exchange, MISDIRECTED, "elsewhere", partition,
                      "this process does not have the recipient's partition: ask another");
    if (!ask_put(sought->thread->ask, look, sought, ANSWER_MS_MAX))
        return refuse(exchange, UNAVAILABLE, "not_ready", partition,
                      "the partition's thread is busy: try again");
    if (!sought->runs)
        return refuse(exchange, UNAVAILABLE, "not_ready", partition,
                      "the partition's state is not proven yet, or it has stopped");
    if (sought->rc != OK)
        return refuse(exchange, UNAVAILABLE, rcode_name(sought->rc), partition, sought->err.text);
    if (!sought->found)
        return refuse(exchange, NOT_FOUND, "not_found", partition,
                      "nothing is known of this recipient");
    return show(observe, exchange, sought);
}

unsigned observe_recipient(void *context, struct http_exchange *exchange)
{
    struct observe *observe = context;
    struct recipient_name name;
    struct err err = {0};
    char key[RECORD_KEY_MAX];
    const char *tenant = http_argument(exchange, "tenant");
    pthread_mutex_lock(&observe->lock);
    bool told = observe->codec != NULL;
    const struct observe_about about = observe->about;
    pthread_mutex_unlock(&observe->lock);
    if (!told)
        return refuse(exchange, UNAVAILABLE, "not_ready", -1, "the process starts: try again");
    if (!about.partitions)
        return refuse(exchange, MISDIRECTED, "elsewhere", -1, "this process has no worker");
    if (recipient_name(exchange->rest, tenant ? tenant : "", about.preserve_local_part, &name,
                       &err) != OK)
        return refuse(exchange, BAD_REQUEST, rcode_name(err.code), -1, err.text);
    struct str text = {key, identity_key(name.who, key)};
    struct sought sought = {.partition = hash_partition(text, about.partitions), .who = name.who};
    buf_init(&sought.value);
    unsigned status = answer(observe, exchange, &sought);
    buf_deinit(&sought.value);
    return status;
}
