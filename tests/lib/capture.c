#include "capture.h"

#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include "base/log.h"
#include "sim.h"

static FILE *file;
static int kept = -1;

void capture_begin(void)
{
    log_flush(); /* no line is left out because it came before */
    fflush(stderr);
    file = tmpfile();
    kept = dup(STDERR_FILENO);
    if (!file || kept < 0 || dup2(fileno(file), STDERR_FILENO) < 0)
        abort();
    log_configure(LOG_WARN, LOG_LOGFMT);
}

void capture_end(struct buf *out)
{
    char piece[4096];
    size_t len;
    log_flush();
    fflush(stderr);
    if (dup2(kept, STDERR_FILENO) < 0)
        abort();
    close(kept);
    rewind(file);
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_append(out, piece, len);
    fclose(file);
    sim_log();
}
