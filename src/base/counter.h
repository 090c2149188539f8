/*
 * Counters and histograms for metrics: one thread writes them, any other may read them at any time.
 * Plain stores, no lock and no locked instruction: a reader sees each value whole, though not all
 * of them as of one moment.
 *
 * What belongs to a transaction is counted in a second set while the batch is processed and moved
 * to the first when it has committed, so that a batch that is done again counts once.
 */
#pragma once
#include <stdatomic.h>
#include <stddef.h>

static inline void counter_add(atomic_llong *counter, long long by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static inline long long counter_get(const atomic_llong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Adds each of `from` to its like in `to` and sets it to 0. */
void counters_move(atomic_llong *to, atomic_llong *from, size_t count);
void counters_clear(atomic_llong *counters, size_t count);

#define HISTOGRAM_BOUNDS_MAX 15

/* Where the buckets of a histogram end, each bound within its bucket. */
struct histogram_layout {
    int count;
    double bounds[HISTOGRAM_BOUNDS_MAX]; /* ascending */
};

struct histogram {
    atomic_llong buckets[HISTOGRAM_BOUNDS_MAX + 1]; /* the one after the last bound: all above */
    _Atomic double sum;
};

void histogram_add(struct histogram *histogram, const struct histogram_layout *layout,
                   double value);
void histogram_sum(struct histogram *to, const struct histogram *from); /* adds all of `from` */
void histogram_move(struct histogram *to, struct histogram *from);
void histogram_clear(struct histogram *histogram);
