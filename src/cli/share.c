#include "cli/share.h"

#include <math.h>

struct share share_of(int64_t hits, int64_t cases, double z)
{
    if (cases <= 0)
        return (struct share){.upper = 1};
    double n = (double)cases, p = (double)hits / n, zz = z * z;
    double middle = (p + zz / (2 * n)) / (1 + zz / n);
    double half = z / (1 + zz / n) * sqrt(p * (1 - p) / n + zz / (4 * n * n));
    return (struct share){.value = p,
                          .lower = hits == 0 ? 0 : fmax(0, middle - half),
                          .upper = hits == cases ? 1 : fmin(1, middle + half)};
}

double share_z(double tail)
{
    double low = 0, high = 8;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (erfc(middle / sqrt(2)) / 2 > tail)
            low = middle;
        else
            high = middle;
    }
    return low;
}
