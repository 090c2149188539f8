/* What an engine counts and tells of itself. */
#include "base/log.h"
#include "stream/engine_internal.h"

const char *const transaction_outcome_names[TRANSACTION_OUTCOME_COUNT] = {
#define X(constant, string) [constant] = string,
    TRANSACTION_OUTCOMES(X)
#undef X
};

const char *const engine_stage_names[ENGINE_STAGE_COUNT] = {
#define X(constant, string) [constant] = string,
    ENGINE_STAGES(X)
#undef X
};

/* In seconds. A transaction waits for brokers, a local commit for the page cache or the disk. */
const struct histogram_layout engine_transaction_layout = {
    13, {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}};
const struct histogram_layout engine_store_layout = {
    13, {0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5}};

const struct engine_stats *engine_stats(const struct engine *engine)
{
    return &engine->stats;
}

struct board *engine_board(struct engine *engine)
{
    return &engine->board;
}

struct ask *engine_ask(struct engine *engine)
{
    return &engine->ask;
}

void engine_count_error(struct engine *engine, enum engine_stage stage, enum rcode rc)
{
    counter_add(&engine->stats.errors[stage][rc], 1);
    atomic_store(&engine->stats.error_ms[stage][rc], engine->port->ops->wall_ms(engine->port));
}

void engine_warn(struct engine *engine, enum rcode rc, const struct err *err)
{
    log_warn(rcode_name(rc), err->text, LOG_I("thread", engine->options.thread));
}

static bool is_located(const struct partition *partition)
{
    return partition->state == PARTITION_RESTORING && partition->stage != RESTORE_LOCATE;
}

static int64_t not_below_zero(int64_t offsets)
{
    return offsets > 0 ? offsets : 0;
}

/* Offsets that restoring has yet to read. */
static int64_t restore_left(const struct partition *partition)
{
    if (partition->state == PARTITION_RUNNING)
        return 0;
    if (!is_located(partition))
        return -1;
    return not_below_zero(partition->range.to - partition->restore_next);
}

static int64_t restore_all(const struct partition *partition)
{
    return is_located(partition) ? not_below_zero(partition->range.to - partition->restore_began)
                                 : 0;
}

void engine_publish_board(struct engine *engine)
{
    for (int i = 0; i < engine->partition_count; i++) {
        const struct partition *partition = &engine->partitions[i];
        struct board_entry *entry = &engine->board_entries[i];
        *entry = (struct board_entry){.partition = partition->id,
                                      .state = partition->state,
                                      .failure = partition->failure,
                                      .held = partition->held,
                                      .progress_ms = partition->progress_ms,
                                      .restore_left = restore_left(partition),
                                      .restore_all = restore_all(partition)};
        if (partition->open)
            engine->processor->ops->usage(engine->processor, partition->id, &entry->usage);
    }
    board_write(&engine->board, engine->board_entries, engine->partition_count);
}

void engine_publish(struct engine *engine)
{
    int counts[PARTITION_STATE_COUNT] = {0};
    for (int i = 0; i < engine->partition_count; i++)
        counts[engine->partitions[i].state]++;
    atomic_store(&engine->stats.partitions_running, counts[PARTITION_RUNNING]);
    atomic_store(&engine->stats.partitions_restoring,
                 counts[PARTITION_ASSIGNED] + counts[PARTITION_RESTORING]);
    atomic_store(&engine->stats.partitions_failed, counts[PARTITION_FAILED]);
    if (engine->idle)
        atomic_store(&engine->stats.trouble, OK);
    engine_publish_board(engine);
    atomic_store(&engine->stats.last_turn_ms, engine_now(engine));
}
