/* `rimbalzo state verify`: the live state is what the input makes of it. */
#pragma once
#include "cli/cli.h"
#include "cli/settings.h"

struct state_verify_options {
    int threads;      /* 0: as many as processors */
    const char *dir;  /* of temporary stores; NULL: state_dir */
    const char *keep; /* where what was recomputed stays; NULL: nowhere */
    int64_t examples; /* recipients that a table shows */
};

/* Its options; input: struct state_verify_options *. A child parser, see cli/cli.h. */
extern const struct argp state_verify_argp;

/* The exit code. */
int state_verify(const struct state_verify_options *options, const struct settings *settings,
                 enum output_format output);
