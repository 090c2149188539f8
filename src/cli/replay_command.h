/* What the actions of `rimbalzo replay` are given (cmd_replay.c), and where they are. */
#pragma once
#include "cli/cli.h"
#include "cli/settings.h"

struct replay_command {
    enum output_format output;
    struct settings live;   /* the configuration */
    struct settings wanted; /* with --policy over it; else the same once more */
    const char *policy;     /* its file, NULL: none */
    int threads;            /* 0: as many as processors */
    const char *dir;        /* of temporary stores; NULL: state_dir */
    int64_t examples;       /* recipients that a table shows */
    const char *from, *to;  /* plan; NULL: earliest, committed */
    bool yes, dry_run;      /* apply */
};

/* Exit codes. */
int replay_plan(const struct replay_command *command);
int replay_diff(const struct replay_command *command);
int replay_apply(const struct replay_command *command);
