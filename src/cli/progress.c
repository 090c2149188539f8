#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_MS 200
#define LINE_MS 10000
#define BAR_WIDTH 30

void progress_begin(struct progress *progress, const char *what)
{
    int64_t now_ms = clock_monotonic_ms();
    *progress = (struct progress){
        .what = what, .terminal = isatty(STDERR_FILENO), .began_ms = now_ms, .told_ms = now_ms};
}

int64_t progress_ms(const struct progress *progress)
{
    int64_t ms = clock_monotonic_ms() - progress->began_ms;
    return ms > 0 ? ms : 1;
}

void progress_show(struct progress *progress, int64_t done, int64_t total)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - progress->told_ms < (progress->terminal ? BAR_MS : LINE_MS))
        return;
    progress->told_ms = now_ms;
    int64_t ms = progress_ms(progress), rate = done * 1000 / ms;
    int64_t left_s = done > 0 && total > done ? (total - done) * ms / done / 1000 : 0;
    if (!progress->terminal) {
        fprintf(stderr, "rimbalzo: %lld of %lld %s, %lld/s, %lld s left\n", (long long)done,
                (long long)total, progress->what, (long long)rate, (long long)left_s);
        return;
    }
    int filled = total > 0 ? (int)(done * BAR_WIDTH / total) : 0;
    fprintf(stderr, "\r\033[K[%.*s%*s] %3lld %%  %lld %s/s  %lld:%02d left", filled,
            "##############################", BAR_WIDTH - filled, "",
            (long long)(total > 0 ? done * 100 / total : 0), (long long)rate, progress->what,
            (long long)left_s / 60, (int)(left_s % 60));
    progress->shown = true;
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
