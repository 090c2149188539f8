/*
 * Log lines on stderr, logfmt or JSON: `ts=… level=info thread=0 code=restored msg="…" partition=3
 * …`. One line per call, written with a single write(2), so that threads and processes do not mix.
 * base, domain, codec and store never log; they return errors.
 *
 * What holds for every line, whoever writes it: an address in a text is hidden (log_address.h), and
 * a line that comes again and again from one place is counted instead of written (log_limit.h).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_INT, LOG_STR, LOG_ADDRESS } kind;
    int64_t number;
    struct str text;
};

#define LOG_I(key_, value_) ((struct log_field){.key = (key_), .kind = LOG_INT, .number = (value_)})
#define LOG_S(key_, value_)                                                                        \
    ((struct log_field){.key = (key_), .kind = LOG_STR, .text = str_of(value_)})
#define LOG_T(key_, value_) ((struct log_field){.key = (key_), .kind = LOG_STR, .text = (value_)})

/* The key of a record, or another text that is an address and nothing else. */
#define LOG_A(key_, value_)                                                                        \
    ((struct log_field){.key = (key_), .kind = LOG_ADDRESS, .text = (value_)})

/* Once, before threads start. */
void log_configure(enum log_level level, enum log_format format);

/* Likewise. Until then every address is hidden; also if the key is empty. At most
 * LOG_ADDRESS_KEY_MAX octets of it count. */
void log_configure_addresses(bool shown, struct str key);

/* Instead of clock_monotonic_ms, for tests. */
void log_configure_clock(int64_t (*monotonic_ms)(void));

/*
 * `code` is stable (an rcode_name or an event name); `message` is for people. `place` is where in
 * the source; lines of the same place and code are the same line if their fields partition, thread,
 * role, topic, client and facility are.
 */
void log_write(const char *place, enum log_level level, const char *code, const char *message,
               const struct log_field *fields);

/* Tells of lines that were not written, if their window is over; for whoever waits in a loop. */
void log_tick(void);

/* The same for all of them: before the end. */
void log_flush(void);

#define LOG_TEXT_OF(number) #number
#define LOG_LINE_OF(number) LOG_TEXT_OF(number)
#define log_line(level, code, message, ...)                                                        \
    log_write(__FILE__ ":" LOG_LINE_OF(__LINE__), (level), (code), (message),                      \
              (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_debug(code, message, ...) log_line(LOG_DEBUG, code, message __VA_OPT__(, ) __VA_ARGS__)
#define log_info(code, message, ...) log_line(LOG_INFO, code, message __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(code, message, ...) log_line(LOG_WARN, code, message __VA_OPT__(, ) __VA_ARGS__)
#define log_error(code, message, ...) log_line(LOG_ERROR, code, message __VA_OPT__(, ) __VA_ARGS__)
