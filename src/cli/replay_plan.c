/* rimbalzo replay plan: what there is to read again, and what retention has taken of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/replay_command.h"
#include "cli/replay_job.h"
#include "ingest/when.h"

#define TAIL 1000 /* offsets before the end among which the last record is looked for */

/*    column          what it shows */
#define COLUMNS(X)                                                                                 \
    X(partition, cell_number(range->partition))                                                    \
    X(from, cell_number(range->from))                                                              \
    X(to, cell_number(range->to))                                                                  \
    X(offsets, cell_number(range->to - range->from))                                               \
    X(first_at, cell_time(range->first_ms, times[0]))                                              \
    X(last_at, cell_time(range->last_ms, times[1]))                                                \
    X(log_start, cell_number(range->marks.log_start))                                              \
    X(states, lost(range, range->states))                                                          \
    X(states_cut, lost(range, range->states_cut))                                                  \
    X(committed, range->committed < 0 ? cell_text(STR_NULL) : cell_number(range->committed))       \
    X(end, cell_number(range->marks.stable))

#define X(column, value) #column,
static const char *const column_names[] = {COLUMNS(X)};
#undef X
#define COLUMN_COUNT ((int)(sizeof(column_names) / sizeof(column_names[0])))

/* One partition. */
struct range {
    int32_t partition;
    struct port_watermarks marks;
    int64_t committed; /* -1: nothing */
    int64_t from, to;
    int64_t first_ms, last_ms; /* timestamps; TIME_NULL: no record, or none has one */
    int64_t states;            /* live ones */
    int64_t states_cut;        /* of them, such as go back before the first record that is left */
    int64_t begins_ms;         /* time of that record */
};

struct session {
    const struct replay_command *command;
    struct replay_job job;
    struct replay_worker *worker; /* whose tools are used */
};

static struct cell cell_time(int64_t time_ms, char text[32])
{
    if (time_ms == TIME_NULL)
        return cell_text(STR_NULL);
    clock_format(time_ms, text);
    return cell_text(str_of(text));
}

/* States are counted only where input is lost. */
static struct cell lost(const struct range *range, int64_t number)
{
    return range->marks.log_start ? cell_number(number) : cell_text(STR_NULL);
}

/* --- where it begins and ends --- */

/* An offset, a time, or one of two words. */
static enum rcode place(const struct session *session, const struct range *range,
                        const char *option, const char *text, int64_t *ret_offset, struct err *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    int64_t time_ms = when_rfc3339(str_of(text));
    *ret_offset = range->marks.log_start;
    if (strcmp(text, "earliest") == 0)
        return OK;
    *ret_offset = range->marks.stable;
    if (strcmp(text, "end") == 0)
        return OK;
    *ret_offset = range->committed >= 0 ? range->committed : range->marks.log_start;
    if (strcmp(text, "committed") == 0)
        return OK;
    *ret_offset = number;
    if (!errno && *text && !*end && number >= 0)
        return OK;
    if (time_ms == TIME_NULL)
        return err_set(err, E_USAGE,
                       "%s takes earliest, committed, end, an offset, or a time as in "
                       "2026-01-31T12:00:00Z, not \"%.80s\"",
                       option, text);
    enum rcode rc = kafka_reader_offset_at(session->worker->reader,
                                           session->job.deployment.topics[TOPIC_BOUNCES],
                                           range->partition, time_ms, ret_offset, err);
    if (rc == OK && *ret_offset < 0)
        *ret_offset = range->marks.stable; /* nothing is as late */
    return rc;
}

static int64_t within(int64_t offset, const struct port_watermarks *marks)
{
    return offset < marks->log_start ? marks->log_start
           : offset > marks->stable  ? marks->stable
                                     : offset;
}

static enum rcode find_range(struct session *session, struct range *range, struct err *err)
{
    const struct replay_command *command = session->command;
    enum rcode rc = place(session, range, "--from", command->from ? command->from : "earliest",
                          &range->from, err);
    if (rc == OK)
        rc =
            place(session, range, "--to", command->to ? command->to : "committed", &range->to, err);
    range->from = within(range->from, &range->marks);
    range->to = within(range->to, &range->marks);
    if (range->to < range->from)
        range->to = range->from;
    return rc;
}

/* --- times --- */

static enum rcode take_first(void *context, const struct port_record *record, struct err *err)
{
    (void)err;
    *(int64_t *)context = record->timestamp_ms < 0 ? TIME_NULL : record->timestamp_ms;
    return E_TIMEOUT; /* enough */
}

static enum rcode take_last(void *context, const struct port_record *record, struct err *err)
{
    (void)err;
    *(int64_t *)context = record->timestamp_ms < 0 ? TIME_NULL : record->timestamp_ms;
    return OK;
}

static enum rcode time_at(struct session *session, const struct range *range, int64_t from,
                          int64_t until, bool last, int64_t *ret_time_ms, struct err *err)
{
    struct kafka_reading reading = {.topic = session->job.deployment.topics[TOPIC_BOUNCES],
                                    .partition = range->partition,
                                    .from = from,
                                    .until = until,
                                    .context = ret_time_ms,
                                    .record = last ? take_last : take_first};
    *ret_time_ms = TIME_NULL;
    if (from >= until)
        return OK;
    enum rcode rc = kafka_reader_read(session->worker->reader, &reading, err);
    return !last && *ret_time_ms != TIME_NULL ? OK : rc;
}

static enum rcode find_times(struct session *session, struct range *range, struct err *err)
{
    int64_t tail = range->to - TAIL > range->from ? range->to - TAIL : range->from;
    enum rcode rc = time_at(session, range, range->from, range->to, false, &range->first_ms, err);
    if (rc == OK)
        rc = time_at(session, range, tail, range->to, true, &range->last_ms, err);
    if (rc == OK)
        rc = time_at(session, range, range->marks.log_start, range->marks.stable, false,
                     &range->begins_ms, err);
    return rc;
}

/* --- does it matter what is lost? --- */

struct counting {
    const struct session *session;
    struct range *range;
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a == TIME_NULL ? b : b == TIME_NULL || a < b ? a : b;
}

/* The state tells little of its past, but some: whatever it knows to lie before the log's first
 * record was folded from what is gone. */
static bool is_cut(const struct range *range, const struct recipient *state)
{
    int64_t first = state->last_event_at_ms;
    if (state->source_offset < range->marks.log_start)
        return true;
    first = earlier(first, state->last_bounce_at_ms);
    first = earlier(first, state->last_delivery_at_ms);
    first = earlier(first, state->reinstated_at_ms);
    first = earlier(first, state->episode_opened_at_ms);
    if (state->opening_count)
        first = earlier(first, state->openings_ms[0]);
    return range->begins_ms == TIME_NULL || (first != TIME_NULL && first < range->begins_ms);
}

static enum rcode count_state(void *context, struct identity who, struct str value, struct err *err)
{
    const struct session *session = ((struct counting *)context)->session;
    struct range *range = ((struct counting *)context)->range;
    struct recipient state;
    (void)who;
    enum rcode rc = codec_decode_recipient(session->worker->codec, value, &state, err);
    if (rc != OK)
        return err_prefix(err, "a state of partition %d", range->partition);
    range->states++;
    range->states_cut += is_cut(range, &state);
    return OK;
}

/* Only where something is lost is it worth reading all states. */
static enum rcode count_states(struct session *session, struct range *range, struct err *err)
{
    struct replay_partition *partition = &session->job.partitions[range->partition];
    struct counting counting = {session, range};
    struct store_cursor cursor = {0};
    if (!range->marks.log_start)
        return OK;
    enum rcode rc = replay_part_load(session->worker, partition, err);
    if (rc != OK)
        return rc;
    struct store *store = replay_store(session->worker->live, range->partition);
    rc = store_begin(store, err);
    if (rc == OK)
        rc = store_scan(store, &cursor, SIZE_MAX, count_state, &counting, err);
    store_abort(store);
    if (rc == OK)
        rc = replay_close(session->worker->live, range->partition, false, err);
    return rc;
}

/* --- the command --- */

struct totals {
    int64_t offsets, lost, states, cut;
    bool carried;
};

static void show(const struct range *range, struct output *output, struct totals *totals)
{
    char times[2][32];
    const struct cell cells[] = {
#define X(column, value) value,
        COLUMNS(X)
#undef X
    };
    output_row(output, cells);
    totals->offsets += range->to - range->from;
    totals->lost += range->marks.log_start;
    totals->states += range->states;
    totals->cut += range->states_cut;
}

static enum rcode look(struct session *session, int32_t p, struct range *range, struct err *err)
{
    const struct replay_partition *partition = &session->job.partitions[p];
    *range = (struct range){
        .partition = p, .committed = partition->certified ? partition->certificate.input_next : -1};
    enum rcode rc = kafka_reader_watermarks(session->worker->reader,
                                            session->job.deployment.topics[TOPIC_BOUNCES], p,
                                            &range->marks, err);
    if (rc == OK)
        rc = find_range(session, range, err);
    if (rc == OK)
        rc = find_times(session, range, err);
    return rc == OK ? count_states(session, range, err) : rc;
}

static void tell(const struct totals *totals)
{
    fprintf(stderr, "rimbalzo: %lld offset%s to read\n", (long long)totals->offsets,
            totals->offsets == 1 ? "" : "s");
    if (totals->carried)
        fputs(
            "rimbalzo: recipients were carried over to more partitions; of those that moved, what "
            "came before cannot be recomputed\n",
            stderr);
    if (!totals->lost && totals->carried)
        return;
    if (!totals->lost)
        fputs("rimbalzo: retention has taken nothing: every state can be recomputed\n", stderr);
    else if (!totals->cut)
        fprintf(stderr,
                "rimbalzo: retention has taken %lld offsets; by what the %lld states of these "
                "partitions tell, none of them goes back to what is gone\n",
                (long long)totals->lost, (long long)totals->states);
    else
        fprintf(stderr,
                "rimbalzo: retention has taken %lld offsets, and it matters: %lld of the %lld "
                "states of these partitions go back to what is gone and cannot be recomputed\n",
                (long long)totals->lost, (long long)totals->cut, (long long)totals->states);
}

int replay_plan(const struct replay_command *command)
{
    struct err err = {0};
    struct session session = {.command = command};
    struct totals totals = {0};
    struct output output;
    struct range range;
    struct replay_job_options options = {
        .live = &command->live, .wanted = &command->wanted, .threads = 1, .dir = command->dir};
    enum rcode rc = replay_job_open(&session.job, &options, &err);
    session.worker = session.job.workers;
    output_begin(&output, command->output, stdout, column_names, COLUMN_COUNT);
    for (int32_t p = 0; rc == OK && p < session.job.count; p++) {
        rc = look(&session, p, &range, &err);
        if (rc == OK)
            show(&range, &output, &totals);
        totals.carried |= session.job.partitions[p].certificate.carried != 0;
    }
    if (rc == OK) {
        output_end(&output);
        tell(&totals);
    }
    replay_job_close(&session.job);
    return cli_finish(rc == OK ? EXIT_CODE_OK : cli_fail(&err));
}
