/* The scenarios of port_probe; each starts on topics of its own that are empty. */
#pragma once

#define SCENARIOS(X)                                                                               \
    X(records_keep_what_was_sent)                                                                  \
    X(aborted_records_are_not_read)

#define X(name) void name(void);
SCENARIOS(X)
#undef X
