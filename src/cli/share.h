/* How much a share that was counted tells: Wilson's score interval, which keeps its promise for
 * small counts and shares near 0 and 1 (E. B. Wilson, 1927). */
#pragma once
#include <stdint.h>

struct share {
    double value, lower, upper; /* without any case 0, 0 and 1: nothing is known */
};

/* `hits` of `cases`, the interval `z` standard deviations wide to either side. */
struct share share_of(int64_t hits, int64_t cases, double z);

/* The z beyond which a standard normal variable lies with the probability `tail` (one side),
 * 1e-12 to 0.5. */
double share_z(double tail);
