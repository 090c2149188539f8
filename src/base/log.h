/*
 * Log lines on stderr, logfmt or JSON: `ts=… level=info thread=0 code=restored msg="…" partition=3
 * …`. One line per call, written with a single write(2), so that threads and processes do not mix.
 * base, domain, codec and store never log; they return errors.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_INT, LOG_STR } kind;
    int64_t number;
    struct str text;
};

#define LOG_I(key_, value_) ((struct log_field){.key = (key_), .kind = LOG_INT, .number = (value_)})
#define LOG_S(key_, value_)                                                                        \
    ((struct log_field){.key = (key_), .kind = LOG_STR, .text = str_of(value_)})
#define LOG_T(key_, value_) ((struct log_field){.key = (key_), .kind = LOG_STR, .text = (value_)})

/* Once, before threads start. */
void log_configure(enum log_level level, enum log_format format);

/* `code` is stable (an rcode_name or an event name); `message` is for people. */
void log_write(enum log_level level, const char *code, const char *message,
               const struct log_field *fields);

#define log_line(level, code, message, ...)                                                        \
    log_write((level), (code), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_debug(code, message, ...) log_line(LOG_DEBUG, code, message __VA_OPT__(, ) __VA_ARGS__)
#define log_info(code, message, ...) log_line(LOG_INFO, code, message __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(code, message, ...) log_line(LOG_WARN, code, message __VA_OPT__(, ) __VA_ARGS__)
#define log_error(code, message, ...) log_line(LOG_ERROR, code, message __VA_OPT__(, ) __VA_ARGS__)
