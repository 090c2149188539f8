/* The topics of the pipeline (schemas/README.md). Their names come from the configuration; this is
 * their role. */
#pragma once

/*    role               configuration key (topics.<key>), default name after the prefix */
#define TOPICS(X)                                                                                  \
    X(TOPIC_BOUNCES, "bounces", "bounces")                                                         \
    X(TOPIC_RECIPIENTS, "recipients", "recipients")                                                \
    X(TOPIC_DELAYED, "delayed", "retries.delayed")                                                 \
    X(TOPIC_DUE, "due", "retries.due")                                                             \
    X(TOPIC_SUPPRESSIONS, "suppressions", "suppressions")                                          \
    X(TOPIC_NOTICES, "notices", "notices")                                                         \
    X(TOPIC_DEAD_LETTERS, "dead_letters", "dead-letters")

#define X(constant, key, name) constant,
enum topic { TOPICS(X) TOPIC_COUNT };
#undef X

/* A foreign topic that a job reads (rimbalzo ingest): a port knows it beside those of the pipeline.
 */
#define TOPIC_SOURCE ((enum topic)TOPIC_COUNT)
#define TOPIC_SLOTS (TOPIC_COUNT + 1)
