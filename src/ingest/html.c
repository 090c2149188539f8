#include "ingest/html.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name, *text;
} entities[] = {
    {"lt;", "<"},   {"gt;", ">"},  {"amp;", "&"},  {"quot;", "\""},
    {"apos;", "'"}, {"#39;", "'"}, {"nbsp;", " "}, {"#64;", "@"},
};

/* Tags that end a line. */
static const char *const breaks[] = {"br", "p",  "div", "tr",    "li",
                                     "h1", "h2", "h3",  "table", "pre"};

static bool is_letter(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

/* Is `at` behind the name of the tag `name`, with or without a slash? */
static bool is_tag(struct str html, size_t at, const char *name)
{
    size_t len = strlen(name);
    at += at < html.len && html.data[at] == '/';
    return html.len - at >= len && strncasecmp(html.data + at, name, len) == 0 &&
           (html.len - at == len || !is_letter(html.data[at + len]));
}

/* Behind the end of what begins at `at`, which `closing` ends. */
static size_t behind(struct str html, size_t at, const char *closing)
{
    size_t len = strlen(closing);
    for (; at + len <= html.len; at++)
        if (strncasecmp(html.data + at, closing, len) == 0)
            return at + len;
    return html.len;
}

/* A tag that begins at `at` ('<'): what stands for it goes to `out`; returns behind its end. */
static size_t skip_tag(struct str html, size_t at, char *out, size_t *len)
{
    if (is_tag(html, at + 1, "script") && html.data[at + 1] != '/')
        return behind(html, at, "</script>");
    if (is_tag(html, at + 1, "style") && html.data[at + 1] != '/')
        return behind(html, at, "</style>");
    char instead = ' ';
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++)
        if (is_tag(html, at + 1, breaks[i]))
            instead = '\n';
    if (instead == '\n' || (*len && out[*len - 1] != ' ' && out[*len - 1] != '\n'))
        out[(*len)++] = instead;
    return behind(html, at, ">");
}

struct str html_text(struct arena *arena, struct str html)
{
    char *out = arena_alloc(arena, html.len + 1);
    size_t len = 0;
    for (size_t at = 0; at < html.len;) {
        char c = html.data[at];
        if (c == '<' && at + 1 < html.len &&
            (is_letter(html.data[at + 1]) || strchr("/!?", html.data[at + 1]))) {
            at = skip_tag(html, at, out, &len);
            continue;
        }
        at++;
        for (size_t i = 0; c == '&' && i < sizeof(entities) / sizeof(entities[0]); i++) {
            size_t size = strlen(entities[i].name);
            if (html.len - at >= size && memcmp(html.data + at, entities[i].name, size) == 0) {
                at += size;
                c = entities[i].text[0];
                break;
            }
        }
        out[len++] = c;
    }
    return (struct str){out, len};
}
