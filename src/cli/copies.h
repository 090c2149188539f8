/* Where the topics hold copies of what was once said of a recipient, and for how long: what
 * `forget --report` shows. */
#pragma once
#include "cli/cli.h"
#include "cli/settings.h"

enum rcode copies_show(const struct settings *settings, enum output_format format,
                       struct err *err) WARN_UNUSED;
