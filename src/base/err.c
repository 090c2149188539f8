#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum disposition disposition;
} rcodes[RCODE_COUNT] = {
#define X(constant, string, disposition) [constant] = {string, disposition},
    RCODES(X)
#undef X
};

const char *rcode_name(enum rcode code)
{
    return (unsigned)code < RCODE_COUNT ? rcodes[code].name : "bug";
}

enum disposition rcode_disposition(enum rcode code)
{
    return (unsigned)code < RCODE_COUNT ? rcodes[code].disposition : DISPOSITION_FATAL;
}

enum rcode err_set(struct err *err, enum rcode code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return code;
}

enum rcode err_prefix(struct err *err, const char *format, ...)
{
    if (!err)
        return E_BUG;
    char old[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    memcpy(old, err->text, sizeof(old));
    int used = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(err->text))
        snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %.960s", old);
    return err->code;
}

enum rcode err_errno(struct err *err, enum rcode code, const char *what)
{
    char text[128];
    /* GNU strerror_r returns the text, which need not be in the buffer. */
    const char *reason = strerror_r(errno, text, sizeof(text));
    return err_set(err, code, "%s: %s", what, reason);
}
