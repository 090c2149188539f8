#include "base/counter.h"

static void sum_set(struct histogram *histogram, double value)
{
    atomic_store_explicit(&histogram->sum, value, memory_order_relaxed);
}

static double sum_get(const struct histogram *histogram)
{
    return atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}

void counters_move(atomic_llong *to, atomic_llong *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (counter_get(&from[i]))
            counter_add(&to[i], counter_get(&from[i]));
    counters_clear(from, count);
}

void counters_clear(atomic_llong *counters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&counters[i], 0, memory_order_relaxed);
}

void histogram_add(struct histogram *histogram, const struct histogram_layout *layout, double value)
{
    int bucket = 0;
    while (bucket < layout->count && value > layout->bounds[bucket])
        bucket++;
    counter_add(&histogram->buckets[bucket], 1);
    sum_set(histogram, sum_get(histogram) + value);
}

void histogram_sum(struct histogram *to, const struct histogram *from)
{
    for (int i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        counter_add(&to->buckets[i], counter_get(&from->buckets[i]));
    sum_set(to, sum_get(to) + sum_get(from));
}

void histogram_move(struct histogram *to, struct histogram *from)
{
    histogram_sum(to, from);
    histogram_clear(from);
}

void histogram_clear(struct histogram *histogram)
{
    counters_clear(histogram->buckets, HISTOGRAM_BOUNDS_MAX + 1);
    sum_set(histogram, 0);
}
