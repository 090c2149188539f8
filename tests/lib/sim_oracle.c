/*
 * The oracle: a worker fed one record at a time, in order, from offset zero, with a fresh store and
 * a port that only writes down what is sent. Then everything a read_committed reader sees must be
 * the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "domain/address.h"
#include "sim_support.h"
#include "tmpdir.h"

/* Something sent: one line of text, so that multisets compare by sorting. */
struct lines {
    char **items;
    size_t count, cap;
};

static void add_line(struct lines *lines, struct buf *text)
{
    if (lines->count == lines->cap) {
        lines->cap = lines->cap ? lines->cap * 2 : 256;
        lines->items = mem_realloc(lines->items, lines->cap * sizeof(char *));
    }
    buf_append(text, "", 1);
    lines->items[lines->count++] = mem_strdup(text->data);
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        mem_free(lines->items[i]);
    mem_free(lines->items);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void append_escaped(struct buf *out, struct str text)
{
    if (!text.data)
        buf_str(out, STR("null"));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c > 0x20 && c < 0x7f)
            buf_append(out, &c, 1);
        else
            buf_printf(out, "\\x%02x", c);
    }
}

static void describe(struct buf *out, struct codec *codec, enum topic topic, int32_t partition,
                     struct str key, struct str value, const struct port_header *headers, int count)
{
    static const char *const names[] = {
#define X(constant, key_, name) [constant] = name,
        TOPICS(X)
#undef X
    };
    struct err err;
    buf_printf(out, "%s/%d ", names[topic], partition);
    append_escaped(out, key);
    buf_append(out, " ", 1);
    bool ours = topic != TOPIC_DEAD_LETTERS && topic != TOPIC_BOUNCES && value.data;
    if (!ours || codec_to_json(codec, value, out, &err) != OK)
        append_escaped(out, value);
    for (int i = 0; i < count; i++) {
        buf_append(out, " ", 1);
        append_escaped(out, headers[i].name);
        buf_append(out, "=", 1);
        append_escaped(out, headers[i].value);
    }
}

/* The last record of every key of the recipients topic. */
struct state {
    int32_t partition;
    struct buf key, value; /* value.data NULL: tombstone */
};

struct states {
    struct state *items;
    size_t count, cap;
};

static void put_state(struct states *states, int32_t partition, struct str key, struct str value)
{
    struct state *state = NULL;
    for (size_t i = 0; i < states->count; i++)
        if (str_equal(buf_view(&states->items[i].key), key))
            state = &states->items[i];
    if (!state) {
        if (states->count == states->cap) {
            states->cap = states->cap ? states->cap * 2 : 64;
            states->items = mem_realloc(states->items, states->cap * sizeof(struct state));
        }
        state = &states->items[states->count++];
        *state = (struct state){.partition = partition};
        buf_str(&state->key, key);
    }
    buf_deinit(&state->value);
    if (value.data)
        buf_str(&state->value, value);
}

/* A state as it counts at the partition's final stream time, whether or not the idle scan came by.
 */
static void add_state_line(struct sim *sim, struct lines *lines, const struct state *state,
                           int64_t stream_time_ms)
{
    struct recipient now, after;
    struct err err;
    struct buf line, value;
    if (!state->value.len)
        return;
    buf_init(&line);
    buf_init(&value);
    if (codec_decode_recipient(sim->codec, buf_view(&state->value), &now, &err) != OK)
        fail_msg("seed %llu: a state cannot be decoded: %s", (unsigned long long)sim->options.seed,
                 err.text);
    enum idle_action action = recipient_idle(&sim->policies, &now, stream_time_ms, &after);
    if (action == IDLE_LAPSE) {
        now = after;
        action = recipient_idle(&sim->policies, &now, stream_time_ms, &after);
    }
    if (action == IDLE_NONE) {
        codec_encode_recipient(sim->codec, &now, &value);
        describe(&line, sim->codec, TOPIC_RECIPIENTS, state->partition, buf_view(&state->key),
                 buf_view(&value), NULL, 0);
        add_line(lines, &line);
    }
    buf_deinit(&line);
    buf_deinit(&value);
}

static void free_states(struct states *states)
{
    for (size_t i = 0; i < states->count; i++) {
        buf_deinit(&states->items[i].key);
        buf_deinit(&states->items[i].value);
    }
    mem_free(states->items);
}

/* --- the recording port --- */

struct recorder {
    struct port port;
    struct codec *codec;
    struct lines lines;
    struct states states;
};

static enum rcode record_send(struct port *port, const struct port_message *message,
                              struct err *err)
{
    struct recorder *recorder = (struct recorder *)port;
    struct buf line;
    (void)err;
    if (message->topic == TOPIC_RECIPIENTS) {
        put_state(&recorder->states, message->partition, message->key, message->value);
        return OK;
    }
    buf_init(&line);
    describe(&line, recorder->codec, message->topic, message->partition, message->key,
             message->value, message->headers, message->header_count);
    add_line(&recorder->lines, &line);
    buf_deinit(&line);
    return OK;
}

static const struct port_ops recorder_ops = {.send = record_send};

/* One record. When the store's map is full, what was sent is forgotten and it is done again. */
static enum rcode fold_record(struct recorder *recorder, struct processor *worker,
                              const struct port_record *record, struct err *err)
{
    struct batch batch = {.port = &recorder->port, .records = record, .count = 1};
    size_t before = recorder->lines.count;
    for (;;) {
        enum rcode rc = worker->ops->process(worker, &batch, err);
        if (rc != E_STORE_MAP_FULL)
            return rc;
        worker->ops->abort(worker);
        while (recorder->lines.count > before)
            mem_free(recorder->lines.items[--recorder->lines.count]);
    }
}

/* Folds one partition; returns its final stream time. */
static int64_t fold_partition(struct sim *sim, struct recorder *recorder, struct processor *worker,
                              int32_t partition)
{
    struct local_state local;
    struct port_record record;
    struct err err = {0};
    int64_t offset = 0;
    char text[PORT_METADATA_MAX + 1];
    struct certificate certificate;
    enum rcode rc = worker->ops->open(worker, partition, &local, &err);
    while (rc == OK && memory_read(sim->cluster, TOPIC_BOUNCES, partition, &offset, &record)) {
        rc = fold_record(recorder, worker, &record, &err);
        if (rc == OK)
            rc = worker->ops->commit(worker, partition, offset, 0, &err);
    }
    size_t len = worker->ops->certificate_write(worker, partition, offset, text);
    if (rc == OK)
        rc = worker->ops->certificate_parse(worker, 0, (struct str){text, len}, &certificate, &err);
    if (rc != OK)
        fail_msg("the oracle: %s", err.text);
    return certificate.stream_time_ms;
}

/* --- comparing --- */

/* A record of the input that a worker sent on: its last header says so. */
static bool is_rerouted(const struct port_record *record)
{
    if (!record->header_count)
        return false;
    const struct port_header *last = &record->headers[record->header_count - 1];
    return str_equal(last->name, STR("rimbalzo-rerouted")) &&
           memchr(last->value.data, ':', last->value.len);
}

static void read_outputs(struct sim *sim, int32_t without, struct lines *lines,
                         struct states *states)
{
    struct port_record record;
    struct buf line;
    buf_init(&line);
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        for (int32_t p = 0; p < sim->options.partitions; p++) {
            for (int64_t offset = p == without ? INT64_MAX : 0;
                 memory_read(sim->cluster, (enum topic)topic, p, &offset, &record);) {
                if (topic == TOPIC_RECIPIENTS) {
                    put_state(states, p, record.key, record.value);
                    continue;
                }
                if (topic == TOPIC_BOUNCES && !is_rerouted(&record))
                    continue; /* fed from outside */
                buf_clear(&line);
                describe(&line, sim->codec, (enum topic)topic, p, record.key, record.value,
                         record.headers, record.header_count);
                add_line(lines, &line);
            }
        }
    }
    buf_deinit(&line);
}

/* Prints the first difference; true when equal. */
static bool equal_lines(const struct sim *sim, const char *what, struct lines *expected,
                        struct lines *actual, bool quiet)
{
    qsort(expected->items, expected->count, sizeof(char *), compare_lines);
    qsort(actual->items, actual->count, sizeof(char *), compare_lines);
    for (size_t i = 0; i < expected->count || i < actual->count; i++) {
        const char *left = i < expected->count ? expected->items[i] : "(nothing)";
        const char *right = i < actual->count ? actual->items[i] : "(nothing)";
        if (!strcmp(left, right))
            continue;
        if (!quiet)
            fprintf(
                stderr,
                "seed %llu: %s differ (%zu expected, %zu found)\n  expected: %s\n  found:    %s\n",
                (unsigned long long)sim->options.seed, what, expected->count, actual->count, left,
                right);
        return false;
    }
    return true;
}

/* How many recipients of each kind a reader of the topic finds, against what the partitions that
 * run tell without counting. */
static void check_kinds(struct sim *sim, int32_t without, const struct states *states)
{
    uint64_t(*kinds)[STORE_KINDS] = mem_zalloc((size_t)sim->options.partitions * sizeof(kinds[0]));
    struct recipient state;
    struct err err;
    for (size_t i = 0; i < states->count; i++)
        if (states->items[i].value.len &&
            codec_decode_recipient(sim->codec, buf_view(&states->items[i].value), &state, &err) ==
                OK)
            kinds[states->items[i].partition][worker_kind(&state)]++;
    for (int node = 0; node < SIM_NODES_MAX; node++) {
        struct board_entry *entries = NULL;
        int count =
            sim->nodes[node].port ? board_read(engine_board(sim->nodes[node].engine), &entries) : 0;
        for (int i = 0; i < count; i++)
            if (entries[i].state == PARTITION_RUNNING && entries[i].partition != without &&
                memcmp(entries[i].usage.kinds, kinds[entries[i].partition], sizeof(kinds[0])) != 0)
                fail_msg("seed %llu: partition %d of node %d counts other kinds of recipients than "
                         "the recipients topic has",
                         (unsigned long long)sim->options.seed, entries[i].partition, node);
        mem_free(entries);
    }
    mem_free(kinds);
}

static int64_t check(struct sim *sim, int32_t without, bool expect_failure)
{
    struct recorder recorder = {.port = {.ops = &recorder_ops}, .codec = sim->codec};
    struct lines outputs = {0}, expected_states = {0}, actual_states = {0};
    struct states states = {0};
    struct processor *worker;
    struct err err;
    char dir[256];
    tmpdir_make(dir);
    struct worker_options options = sim_worker_options(sim, dir);
    options.state.map_size_initial = 256 << 10;
    assert_int_equal(worker_new(&options, &worker, &err), OK);
    int64_t *stream_times = mem_zalloc((size_t)sim->options.partitions * sizeof(int64_t));
    for (int32_t p = 0; p < sim->options.partitions; p++)
        stream_times[p] = p == without ? 0 : fold_partition(sim, &recorder, worker, p);
    worker_free(worker);
    tmpdir_remove(dir);

    read_outputs(sim, without, &outputs, &states);
    for (size_t i = 0; i < recorder.states.count; i++)
        add_state_line(sim, &expected_states, &recorder.states.items[i],
                       stream_times[recorder.states.items[i].partition]);
    for (size_t i = 0; i < states.count; i++)
        add_state_line(sim, &actual_states, &states.items[i],
                       stream_times[states.items[i].partition]);
    bool equal = equal_lines(sim, "outputs", &recorder.lines, &outputs, expect_failure) &&
                 equal_lines(sim, "states", &expected_states, &actual_states, expect_failure);
    if (!expect_failure)
        check_kinds(sim, without, &states);
    int64_t count = (int64_t)outputs.count;
    mem_free(stream_times);
    free_lines(&recorder.lines);
    free_lines(&outputs);
    free_lines(&expected_states);
    free_lines(&actual_states);
    free_states(&recorder.states);
    free_states(&states);
    if (!equal && !expect_failure)
        fail_msg("seed %llu: the run differs from the fold of its input",
                 (unsigned long long)sim->options.seed);
    return equal ? count : -1;
}

int64_t sim_check(struct sim *sim, bool expect_failure)
{
    if (sim->options.role == SIM_INGEST)
        return sim_ingest_check(sim, expect_failure);
    if (sim->options.role == SIM_DISPATCHER)
        return sim_timers_check(sim, -1, expect_failure);
    return check(sim, -1, expect_failure);
}

int64_t sim_check_without(struct sim *sim, int32_t partition)
{
    assert_true(sim->options.clean);
    if (sim->options.role == SIM_DISPATCHER)
        return sim_timers_check(sim, partition, false);
    return check(sim, partition, false);
}
