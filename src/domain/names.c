#include "domain/names.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

void names_make(struct str *items, int count, struct names *ret_names)
{
    int kept = 0;
    qsort(items, (size_t)count, sizeof(*items), compare);
    for (int i = 0; i < count; i++)
        if (kept == 0 || !str_equal(items[kept - 1], items[i]))
            items[kept++] = items[i];
    *ret_names = (struct names){items, kept};
}

int names_find(const struct names *names, struct str text)
{
    char lower[256];
    if (text.len == 0 || text.len > sizeof(lower) || names->count == 0)
        return NAME_NONE;
    for (size_t i = 0; i < text.len; i++)
        lower[i] = ascii_lower(text.data[i]);
    struct str key = {lower, text.len};
    const struct str *found =
        bsearch(&key, names->items, (size_t)names->count, sizeof(*names->items), compare);
    return found ? (int)(found - names->items) : NAME_NONE;
}

int names_find_suffix(const struct names *names, struct str host)
{
    while (host.len && host.data[host.len - 1] == '.')
        host.len--;
    for (;;) {
        int found = names_find(names, host);
        const char *dot = host.len ? memchr(host.data, '.', host.len) : NULL;
        if (found != NAME_NONE || !dot)
            return found;
        host.len -= (size_t)(dot + 1 - host.data);
        host.data = dot + 1;
    }
}

bool names_ends_in(struct str host, struct str suffix)
{
    size_t at = host.len - suffix.len;
    return suffix.len <= host.len && memcmp(host.data + at, suffix.data, suffix.len) == 0 &&
           (at == 0 || host.data[at - 1] == '.');
}
