/* UTF-8 (RFC 3629 4): no overlong form, no surrogate, nothing above U+10FFFF. */
#pragma once
#include "base/str.h"

/* Octets of the code point at `at` (< text.len), or 0 if what stands there is broken. */
static inline size_t utf8_len(struct str text, size_t at)
{
    const unsigned char *p = (const unsigned char *)text.data + at;
    size_t left = text.len - at, len;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}
