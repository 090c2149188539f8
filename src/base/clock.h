/* The only place that reads a clock. Decisions never do: they go by event time (domain/). */
#pragma once
#include <stdint.h>

int64_t clock_wall_ms(void);      /* milliseconds since 1970, may jump */
int64_t clock_monotonic_ms(void); /* for deadlines and intervals */
int64_t clock_monotonic_us(void); /* for durations in metrics and benches */

/* RFC 3339 in UTC with milliseconds, "2026-01-31T12:00:00.000Z"; `ret_text` holds at least 32
 * octets. */
void clock_format(int64_t wall_ms, char ret_text[32]);
