/* What the commands on dead letters share. */
#pragma once
#include "cli/cli.h"
#include "cli/dead_letter.h"
#include "cli/settings.h"

struct dlq_filter {
    const char *reason, *topic; /* NULL: any */
    int64_t since_ms, until_ms; /* when it became a dead letter, both included */
};

struct dlq_options {
    struct settings_options settings;
    enum output_format output;
    struct dlq_filter filter;
    /* show */
    int32_t partition;
    int64_t offset;
    bool raw;
    /* redrive */
    int64_t attempts_max;
    bool dry_run, yes;
};

bool dlq_matches(const struct dlq_filter *filter, const struct dead_letter *letter);

/* `rimbalzo dlq redrive`; the exit code. */
int dlq_redrive(const struct dlq_options *options, const struct settings *settings);
