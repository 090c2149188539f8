/* Spans of octets that somebody else owns. A NULL data pointer is "null", which differs from "". */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *data;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NULL ((struct str){NULL, 0})
#define STR_ARG(s) (int)(s).len, (s).data ? (s).data : "" /* for "%.*s" */

static inline struct str str_of(const char *text)
{
    return text ? (struct str){text, strlen(text)} : STR_NULL;
}

static inline bool str_equal(struct str a, struct str b)
{
    if (!a.data || !b.data)
        return a.data == b.data;
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Octet order, shorter first on a common prefix; null before "". */
static inline int str_compare(struct str a, struct str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.data, b.data, len) : 0;
    if (order)
        return order;
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return (a.data != NULL) - (b.data != NULL);
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
