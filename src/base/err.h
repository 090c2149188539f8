/*
 * Errors: every fallible function returns an `enum rcode` and fills a `struct err`. Callers branch
 * on the disposition (what to do), never on the text. The list below is the only one: string,
 * metric label and runbook anchor all come from it. Names are stable.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>

enum disposition {
    DISPOSITION_RETRY,   /* call the same function again */
    DISPOSITION_ABORT,   /* abort the transaction, seek back, do the batch again */
    DISPOSITION_HOLD,    /* one partition's records wait a moment; the rest goes on */
    DISPOSITION_REJECT,  /* the record is at fault: dead letter; the rest goes on */
    DISPOSITION_REBUILD, /* drop the producer, make a new one, prove every partition again */
    DISPOSITION_RESTORE, /* one partition's local state is in doubt: restore it again */
    DISPOSITION_STOP,    /* one partition cannot be proven or processed: it stops with this code */
    DISPOSITION_FATAL,   /* the process cannot go on */
};

/*      constant                  stable string              disposition */
#define RCODES(X)                                                                                  \
    X(OK, "ok", DISPOSITION_RETRY)                                                                 \
    /* records (the reasons of dead letters) */                                                    \
    X(E_MALFORMED, "malformed", DISPOSITION_REJECT)                                                \
    X(E_UNKNOWN_SCHEMA, "unknown_schema", DISPOSITION_REJECT)                                      \
    X(E_UNEXPECTED_SCHEMA, "unexpected_schema", DISPOSITION_REJECT)                                \
    X(E_INVALID_FIELD, "invalid_field", DISPOSITION_REJECT)                                        \
    X(E_INVALID_TENANT, "invalid_tenant", DISPOSITION_REJECT)                                      \
    X(E_INVALID_RECIPIENT, "invalid_recipient", DISPOSITION_REJECT)                                \
    X(E_MISROUTED, "misrouted", DISPOSITION_REJECT)                                                \
    X(E_DELAY_TOO_LONG, "delay_too_long", DISPOSITION_REJECT)                                      \
    /* process */                                                                                  \
    X(E_USAGE, "usage", DISPOSITION_FATAL)                                                         \
    X(E_CONFIG, "config", DISPOSITION_FATAL)                                                       \
    X(E_MEMORY, "out_of_memory", DISPOSITION_FATAL)                                                \
    X(E_IO, "io", DISPOSITION_FATAL)                                                               \
    X(E_BUG, "bug", DISPOSITION_FATAL)                                                             \
    X(E_RULES, "rules", DISPOSITION_FATAL)                                                         \
    X(E_SCHEMA, "schema", DISPOSITION_FATAL)                                                       \
    X(E_TOPICS, "topics", DISPOSITION_FATAL)                                                       \
    X(E_AUTH, "auth", DISPOSITION_FATAL)                                                           \
    X(E_INSTANCE_FENCED, "instance_fenced", DISPOSITION_FATAL)                                     \
    X(E_REBUILD_LIMIT, "rebuild_limit", DISPOSITION_FATAL)                                         \
    X(E_BROKER_UNREACHABLE, "broker_unreachable", DISPOSITION_RETRY)                               \
    X(E_GROUP_IN_USE, "group_in_use", DISPOSITION_FATAL)                                           \
    /* transactions */                                                                             \
    X(E_TIMEOUT, "timeout", DISPOSITION_RETRY)                                                     \
    X(E_LOG_RETRIABLE, "log_retriable", DISPOSITION_RETRY)                                         \
    X(E_UNSTABLE_OFFSETS, "unstable_offsets", DISPOSITION_RETRY)                                   \
    X(E_LOG_ABORTABLE, "log_abortable", DISPOSITION_ABORT)                                         \
    X(E_LOG_UNKNOWN_OUTCOME, "log_unknown_outcome", DISPOSITION_REBUILD)                           \
    X(E_LOG_FATAL, "log_fatal", DISPOSITION_REBUILD)                                               \
    X(E_PRODUCER_FENCED, "producer_fenced", DISPOSITION_REBUILD)                                   \
    /* partitions */                                                                               \
    X(E_CERTIFICATE_LOST, "certificate_lost", DISPOSITION_STOP)                                    \
    X(E_CERTIFICATE_INVALID, "certificate_invalid", DISPOSITION_STOP)                              \
    X(E_STATE_MISMATCH, "state_mismatch", DISPOSITION_STOP)                                        \
    X(E_CHANGELOG_TRUNCATED, "changelog_truncated", DISPOSITION_STOP)                              \
    X(E_INPUT_TRUNCATED, "input_truncated", DISPOSITION_STOP)                                      \
    X(E_TOPIC_RECREATED, "topic_recreated", DISPOSITION_STOP)                                      \
    X(E_PARTITION_COUNT_CHANGED, "partition_count_changed", DISPOSITION_STOP)                      \
    X(E_STORE, "store", DISPOSITION_RESTORE)                                                       \
    X(E_STORE_CORRUPT, "store_corrupt", DISPOSITION_RESTORE)                                       \
    X(E_STORE_FULL, "store_full", DISPOSITION_STOP)                                                \
    X(E_STORE_LOCKED, "store_locked", DISPOSITION_RETRY)                                           \
    X(E_CLOCK, "clock", DISPOSITION_HOLD)                                                          \
    X(E_REGISTRY_UNAVAILABLE, "registry_unavailable", DISPOSITION_HOLD)                            \
    X(E_STORE_MAP_FULL, "store_map_full", DISPOSITION_ABORT)

enum rcode {
#define X(constant, string, disposition) constant,
    RCODES(X)
#undef X
        RCODE_COUNT
};

#define ERR_TEXT_MAX 1024

struct err {
    enum rcode code;
    char text[ERR_TEXT_MAX]; /* what, where, and what to do; no trailing full stop or newline */
};

#define WARN_UNUSED __attribute__((warn_unused_result))

/* The stable string of a code, e.g. "certificate_lost". */
const char *rcode_name(enum rcode code);
enum disposition rcode_disposition(enum rcode code);

/* Fills `err` (NULL allowed) and returns `code`, so that `return err_set(err, E_IO, "…")` reads
 * well. */
enum rcode err_set(struct err *err, enum rcode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text and keeps the code. */
enum rcode err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* E_IO (or `code`) with "what: strerror(errno)". */
enum rcode err_errno(struct err *err, enum rcode code, const char *what);
