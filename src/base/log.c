#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log_address.h"
#include "base/log_limit.h"
#include "base/utf8.h"

static struct {
    enum log_level level;
    enum log_format format;
    struct log_addresses addresses;
    int64_t (*monotonic_ms)(void);
} settings = {.level = LOG_INFO, .format = LOG_LOGFMT, .monotonic_ms = clock_monotonic_ms};

static struct {
    pthread_mutex_t lock;
    struct log_limit limit;
} repeats = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level level, enum log_format format)
{
    settings.level = level;
    settings.format = format;
}

void log_configure_addresses(bool shown, struct str key)
{
    struct log_addresses *addresses = &settings.addresses;
    *addresses = (struct log_addresses){.shown = shown, .key_len = key.len};
    if (key.len > sizeof(addresses->key))
        addresses->key_len = sizeof(addresses->key);
    if (key.len)
        memcpy(addresses->key, key.data, addresses->key_len);
}

void log_configure_clock(int64_t (*monotonic_ms)(void))
{
    settings.monotonic_ms = monotonic_ms;
}

/* --- a line --- */

/* Valid UTF-8 and no control characters, whatever the text: one line stays one line, and JSON stays
 * JSON. */
static void append_quoted(struct buf *buf, struct str text)
{
    buf_append(buf, "\"", 1);
    for (size_t i = 0, len; i < text.len; i += len ? len : 1) {
        unsigned char c = (unsigned char)text.data[i];
        len = utf8_len(text, i);
        if (len == 0)
            buf_append(buf, "\\ufffd", 6);
        else if (c == '"' || c == '\\')
            buf_printf(buf, "\\%c", c);
        else if (c == '\n')
            buf_append(buf, "\\n", 2);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(buf, "\\u%04x", c);
        else if (c == 0xc2 && (unsigned char)text.data[i + 1] < 0xa0) /* U+0080 to U+009F */
            buf_printf(buf, "\\u%04x", (unsigned char)text.data[i + 1]);
        else
            buf_append(buf, text.data + i, len);
    }
    buf_append(buf, "\"", 1);
}

static bool plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || !strchr("._:/@+-", c)))
            return false;
    }
    return text.len > 0;
}

static void append_pair(struct buf *buf, const char *key, struct str text)
{
    bool json = settings.format == LOG_JSON;
    if (buf->len)
        buf_append(buf, json ? "," : " ", 1);
    buf_printf(buf, json ? "\"%s\":" : "%s=", key);
    if (!json && plain(text))
        buf_str(buf, text);
    else
        append_quoted(buf, text);
}

static void append_number(struct buf *buf, const char *key, int64_t number)
{
    bool json = settings.format == LOG_JSON;
    buf_printf(buf, json ? ",\"%s\":%lld" : " %s=%lld", key, (long long)number);
}

/* Whatever the text is about, no address passes. */
static void append_text(struct buf *buf, const char *key, struct str text)
{
    struct buf masked;
    if (settings.addresses.shown || !log_address_within(text)) {
        append_pair(buf, key, text);
        return;
    }
    buf_init(&masked);
    log_address_mask(&settings.addresses, text, &masked);
    append_pair(buf, key, buf_view(&masked));
    buf_deinit(&masked);
}

/* A key is `tenant:recipient` or the recipient; only the recipient is hidden. */
static size_t tenant_len(struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.data[i];
        if (c == ':')
            return i + 1;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return 0;
    }
    return 0;
}

static void append_address(struct buf *buf, const char *key, struct str text)
{
    struct buf shown;
    size_t front = tenant_len(text);
    buf_init(&shown);
    buf_append(&shown, text.data, front);
    log_address_append(&settings.addresses, (struct str){text.data + front, text.len - front},
                       &shown);
    append_pair(buf, key, buf_view(&shown));
    buf_deinit(&shown);
}

/* All of a line but its time. */
static void append_body(struct buf *buf, enum log_level level, const char *code,
                        const char *message, const struct log_field *fields)
{
    append_pair(buf, "level", str_of(level_names[level]));
    append_pair(buf, "code", str_of(code));
    append_text(buf, "msg", str_of(message));
    for (; fields->key; fields++) {
        if (fields->kind == LOG_INT)
            append_number(buf, fields->key, fields->number);
        else if (fields->kind == LOG_ADDRESS && fields->text.data)
            append_address(buf, fields->key, fields->text);
        else
            append_text(buf, fields->key, fields->text);
    }
}

static void append_line(struct buf *out, struct str body, int64_t repeated)
{
    bool json = settings.format == LOG_JSON;
    char now[32];
    clock_format(clock_wall_ms(), now);
    buf_printf(out, json ? "{\"ts\":\"%s\"," : "ts=%s ", now);
    buf_str(out, body);
    if (repeated)
        append_number(out, "repeated", repeated);
    buf_append(out, json ? "}\n" : "\n", json ? 2 : 1);
}

/* --- repeats --- */

static uint64_t place_id(const char *place, const char *code, const struct log_field *fields)
{
    static const char *const names[] = {"partition", "thread", "role",
                                        "topic",     "client", "facility"};
    uint64_t id = hash_record(str_of(place), str_of(code));
    for (; fields->key; fields++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (strcmp(fields->key, names[i]) == 0) {
                uint64_t value = fields->kind == LOG_INT
                                     ? (uint64_t)fields->number
                                     : hash_xxh3(fields->text.data, fields->text.len);
                uint64_t pair[] = {id, i, value};
                id = hash_xxh3(pair, sizeof(pair));
            }
    return id;
}

static void tell(void *context, const struct log_place *place)
{
    append_line(context, buf_view(&place->body), place->repeated);
}

/* Puts the line into `out`, unless it has come too often; and those that are to be told now. */
static void take(struct buf *out, uint64_t id, enum log_level level, const char *code,
                 const char *message, const struct log_field *fields)
{
    int64_t now_ms = settings.monotonic_ms();
    log_limit_expire(&repeats.limit, now_ms, tell, out);
    struct log_place *place = log_limit_place(&repeats.limit, id, now_ms, tell, out);
    bool written = place->written < LOG_REPEATS_MAX;
    if (!written && place->repeated++)
        return;
    struct buf body;
    buf_init(&body);
    append_body(&body, level, code, message, fields);
    if (written) {
        place->written++;
        append_line(out, buf_view(&body), 0);
        buf_deinit(&body);
    } else {
        place->body = body;
    }
}

static void put(struct buf *out)
{
    if (out->len) {
        ssize_t written = write(STDERR_FILENO, out->data, out->len);
        (void)written; /* stderr is gone: nothing left to tell it to */
    }
    buf_deinit(out);
}

void log_write(const char *place, enum log_level level, const char *code, const char *message,
               const struct log_field *fields)
{
    struct buf out;
    if (level < settings.level)
        return;
    buf_init(&out);
    if (level == LOG_DEBUG) { /* who asks for these wants them all */
        struct buf body;
        buf_init(&body);
        append_body(&body, level, code, message, fields);
        append_line(&out, buf_view(&body), 0);
        buf_deinit(&body);
    } else {
        uint64_t id = place_id(place, code, fields);
        pthread_mutex_lock(&repeats.lock);
        take(&out, id, level, code, message, fields);
        pthread_mutex_unlock(&repeats.lock);
    }
    put(&out);
}

static void expire(int64_t now_ms)
{
    struct buf out;
    buf_init(&out);
    pthread_mutex_lock(&repeats.lock);
    log_limit_expire(&repeats.limit, now_ms, tell, &out);
    pthread_mutex_unlock(&repeats.lock);
    put(&out);
}

void log_tick(void)
{
    expire(settings.monotonic_ms());
}

void log_flush(void)
{
    expire(INT64_MAX);
}
