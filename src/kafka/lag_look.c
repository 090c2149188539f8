/*
 * The first record that is not committed, and since when it waits. It is read once: as long as the
 * group has not committed it, what was seen holds.
 *
 * A broker answers a fetch with little of each partition; a batch that is larger than that it gives
 * for the first of them only. So a partition whose record has been seen is not asked for again,
 * and the others move up.
 */
#include "base/clock.h"
#include "kafka/lag_parts.h"

#define LOOK_MS_MAX 2000
#define POLL_MS 50

/* One look at a topic's partitions. */
struct look {
    struct kafka_lag *lag;
    struct lag_input *input;
    const atomic_bool *stop;
    int64_t deadline_ms;
    struct kafka_lag_partition **left; /* those whose first record has yet to be seen */
    int left_count;
};

static int64_t start_of(const struct kafka_lag_partition *partition)
{
    return partition->committed > partition->log_start ? partition->committed
                                                       : partition->log_start;
}

int64_t kafka_lag_records(const struct kafka_lag_partition *partition)
{
    int64_t records = partition->end - start_of(partition);
    return records > 0 ? records : 0;
}

/* --- what has been seen --- */

static bool seen(const struct lag_looks *looks, const struct kafka_lag_partition *partition)
{
    int64_t start = start_of(partition), at = offsets_get(&looks->at, partition->partition);
    return at >= start && offsets_get(&looks->from, partition->partition) <= start;
}

static void note(struct lag_looks *looks, const struct kafka_lag_partition *partition,
                 const struct port_record *record)
{
    offsets_set(&looks->from, partition->partition, start_of(partition));
    offsets_set(&looks->at, partition->partition, record->offset);
    offsets_set(&looks->timestamp_ms, partition->partition, record->timestamp_ms);
}

static void tell_seen(const struct lag_looks *looks, struct kafka_lag_partition *partition)
{
    int64_t since_ms = offsets_get(&looks->timestamp_ms, partition->partition);
    int64_t age_ms = clock_wall_ms() - since_ms;
    partition->waiting_known = since_ms >= 0; /* else it has no timestamp */
    partition->waiting_ms = age_ms > 0 ? age_ms : 0;
}

static void tell_none(struct kafka_lag_partition *partition)
{
    partition->waiting_known = true;
    partition->waiting_ms = 0;
}

/* --- looking --- */

static bool over(const struct look *look)
{
    return clock_monotonic_ms() >= look->deadline_ms || (look->stop && atomic_load(look->stop));
}

/* Removes those that are seen, and those where nothing but marks of transactions and aborted
 * records lies between. Returns how many. */
static int settle(struct look *look)
{
    const struct lag_looks *looks = &look->input->looks;
    int left = 0, before = look->left_count;
    for (int i = 0; i < before; i++) {
        struct kafka_lag_partition *partition = look->left[i];
        if (seen(looks, partition))
            tell_seen(looks, partition);
        else if (scan_position(&look->lag->scan, partition->partition) >= partition->end)
            tell_none(partition);
        else
            look->left[left++] = partition;
    }
    look->left_count = left;
    return before - left;
}

static size_t poll_once(struct look *look, int timeout_ms)
{
    struct kafka_lag *lag = look->lag;
    size_t got = 0;
    enum rcode rc = scan_poll(&lag->scan, timeout_ms, LAG_RECORDS_MAX, lag->records, &got, NULL);
    (void)rc; /* what cannot be read is not known this time */
    for (size_t k = 0; k < got; k++)
        for (int i = 0; i < look->left_count; i++)
            if (look->left[i]->partition == lag->records[k].partition &&
                !seen(&look->input->looks, look->left[i]))
                note(&look->input->looks, look->left[i], &lag->records[k]);
    return got;
}

static enum rcode assign(struct look *look)
{
    struct port_position *positions = mem_alloc((size_t)look->left_count * sizeof(*positions));
    for (int i = 0; i < look->left_count; i++)
        positions[i] = (struct port_position){look->left[i]->partition, start_of(look->left[i])};
    enum rcode rc =
        scan_assign(&look->lag->scan, look->input->topic, positions, look->left_count, NULL);
    mem_free(positions);
    return rc;
}

/* Reads until at least one more is settled and what has come with it is taken. */
static void read_some(struct look *look)
{
    int settled = 0;
    size_t got;
    do {
        got = poll_once(look, settled ? 0 : POLL_MS);
        settled += settle(look);
    } while ((got || !settled) && look->left_count && !over(look));
}

void lag_look(struct kafka_lag *lag, const struct kafka_lag_question *question,
              struct kafka_lag_partition *partitions, int count, int64_t deadline_ms)
{
    int64_t look_until_ms = clock_monotonic_ms() + LOOK_MS_MAX;
    struct look look = {.lag = lag,
                        .input = &lag->inputs[question->input],
                        .stop = question->stop,
                        .deadline_ms = look_until_ms < deadline_ms ? look_until_ms : deadline_ms,
                        .left = mem_alloc((size_t)count * sizeof(struct kafka_lag_partition *))};
    for (int i = 0; i < count; i++) {
        if (!partitions[i].known)
            continue;
        if (!kafka_lag_records(&partitions[i]))
            tell_none(&partitions[i]);
        else if (seen(&look.input->looks, &partitions[i]))
            tell_seen(&look.input->looks, &partitions[i]);
        else
            look.left[look.left_count++] = &partitions[i];
    }
    enum rcode rc = OK;
    while (rc == OK && look.left_count && !over(&look)) {
        rc = assign(&look);
        if (rc == OK)
            read_some(&look);
    }
    look.left_count = 0;
    rc = assign(&look); /* reads nothing until the next look */
    (void)rc;
    poll_once(&look, 0); /* serves the handle, also when there was nothing to read */
    mem_free(look.left);
}
