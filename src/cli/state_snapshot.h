/*
 * The worker's local state in a folder of its own, and back.
 *
 * A snapshot is not copied from a worker's files, which cannot be read beside their owner
 * (store/store.h). It is restored from the recipients topic as a worker restores, up to the
 * certificates of the moment, and proven like that. So it is consistent whether workers run or not,
 * and they notice nothing. A snapshot that is there already is brought up to date.
 *
 * A snapshot that is put in place is checked octet by octet; what has come since it was taken a
 * worker reads from the topic when it starts, and proves all of it against its certificate.
 */
#pragma once
#include "cli/cli.h"
#include "cli/settings.h"

/* The exit codes. */
int state_snapshot(const char *dir, const struct settings *settings, enum output_format output);
int state_restore(const char *dir, const struct settings *settings, enum output_format output);
