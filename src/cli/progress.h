/* How far a long command has come: a bar with the time left on a terminal, otherwise a line every
 * ten seconds; on stderr. Belongs to one thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "records" */
    bool terminal;
    bool shown; /* a bar stands on the terminal's line */
    int64_t began_ms, told_ms;
};

void progress_begin(struct progress *progress, const char *what);
/* To be called often. `total` 0: not known yet. */
void progress_show(struct progress *progress, int64_t done, int64_t total);
/* Takes the bar away, before anything else is written to stderr. */
void progress_clear(struct progress *progress);
int64_t progress_ms(const struct progress *progress); /* since it began; at least 1 */
