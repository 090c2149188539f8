/* Differences between the live state and a recomputed one as rows, and their account on stderr. */
#pragma once
#include "cli/cli.h"
#include "cli/replay_job.h"

#define STATUS_KINDS (RECIPIENT_STATUS_COUNT + 1) /* the last: nothing is known */

struct replay_show {
    struct output output;
    int64_t limit; /* recipients that are shown; -1: all */
    int64_t shown;
    int64_t moves[STATUS_KINDS][STATUS_KINDS]; /* from live to wanted */
};

void replay_show_begin(struct replay_show *show, enum output_format format, int64_t limit);
/* As replay_job_options.differs, with a struct replay_show * as context. */
enum rcode replay_show_difference(void *context, const struct replay_partition *partition,
                                  const struct difference *difference, bool explained,
                                  struct err *err);
/* The rest of the output, and what there was in all. Returns how many recipients differ. */
int64_t replay_show_end(struct replay_show *show, const struct replay_job *job);
