#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

static struct {
    enum log_level level;
    enum log_format format;
} settings = {LOG_INFO, LOG_LOGFMT};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level level, enum log_format format)
{
    settings.level = level;
    settings.format = format;
}

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
    if (buf->len > (json ? 1u : 0u))
        buf_append(buf, json ? "," : " ", 1);
    buf_printf(buf, json ? "\"%s\":" : "%s=", key);
    if (!json && plain(text))
        buf_str(buf, text);
    else
        append_quoted(buf, text);
}

void log_write(enum log_level level, const char *code, const char *message,
               const struct log_field *fields)
{
    if (level < settings.level)
        return;
    struct buf buf;
    char now[32];
    bool json = settings.format == LOG_JSON;
    buf_init(&buf);
    clock_format(clock_wall_ms(), now);
    if (json)
        buf_append(&buf, "{", 1);
    append_pair(&buf, "ts", str_of(now));
    append_pair(&buf, "level", str_of(level_names[level]));
    append_pair(&buf, "code", str_of(code));
    append_pair(&buf, "msg", str_of(message));
    for (; fields->key; fields++) {
        if (fields->kind == LOG_INT && json)
            buf_printf(&buf, ",\"%s\":%lld", fields->key, (long long)fields->number);
        else if (fields->kind == LOG_INT)
            buf_printf(&buf, " %s=%lld", fields->key, (long long)fields->number);
        else
            append_pair(&buf, fields->key, fields->text);
    }
    buf_append(&buf, json ? "}\n" : "\n", json ? 2 : 1);
    ssize_t written = write(STDERR_FILENO, buf.data, buf.len);
    (void)written; /* stderr is gone: nothing left to tell it to */
    buf_deinit(&buf);
}
