#include "ops/template.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8
#define NAME_MAX_LEN 64

/* A section that is open: its values, and for an array where it goes on. */
struct section {
    struct str name;
    json_t *values;
    json_t *array; /* NULL: once */
    size_t index;  /* of the element in `values` */
    const char *body;
};

struct filling {
    struct str text;
    const char *at;
    struct section sections[DEPTH_MAX];
    int depth;
    struct buf *out;
};

/* {{ kind name | form }} */
struct tag {
    char kind; /* '#', '^', '/', or 0: a value */
    struct str name, form;
};

/* --- values --- */

static json_t *member(json_t *values, struct str path)
{
    while (values && path.len) {
        const char *dot = memchr(path.data, '.', path.len);
        size_t len = dot ? (size_t)(dot - path.data) : path.len;
        char name[NAME_MAX_LEN];
        snprintf(name, sizeof(name), "%.*s", (int)len, path.data);
        values = json_object_get(values, name);
        len += dot != NULL;
        path = (struct str){path.data + len, path.len - len};
    }
    return values;
}

static json_t *find(const struct filling *filling, struct str path)
{
    if (str_equal(path, STR(".")))
        return filling->sections[filling->depth].values;
    for (int i = filling->depth; i >= 0; i--) {
        json_t *found = member(filling->sections[i].values, path);
        if (found)
            return found;
    }
    return NULL;
}

static bool is_something(json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        return json_object_size(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(value) != 0;
    case JSON_TRUE:
        return true;
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return false;
}

static void put_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&':
            buf_str(out, STR("&amp;"));
            break;
        case '<':
            buf_str(out, STR("&lt;"));
            break;
        case '>':
            buf_str(out, STR("&gt;"));
            break;
        case '"':
            buf_str(out, STR("&quot;"));
            break;
        case '\'':
            buf_str(out, STR("&#39;"));
            break;
        default:
            buf_append(out, text.data + i, 1);
        }
    }
}

static void put_number(struct buf *out, double value)
{
    char digits[64];
    int len = snprintf(digits, sizeof(digits), "%.0f", value);
    for (int i = 0; i < len && i < (int)sizeof(digits); i++) {
        buf_append(out, &digits[i], 1);
        int left = len - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-')
            buf_append(out, ",", 1);
    }
}

/* In the largest unit that leaves at least one; two digits say enough. */
static void put_seconds(struct buf *out, double value)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    if (value < 1) {
        buf_printf(out, value <= 0 ? "0 s" : "%.0f ms", ceil(value * 1000));
        return;
    }
    size_t i = 0;
    while (value < units[i].seconds)
        i++;
    double amount = value / units[i].seconds;
    buf_printf(out, amount < 10 && i < 3 ? "%.1f %s" : "%.0f %s", floor(amount * 10) / 10,
               units[i].name);
}

static bool put_value(struct buf *out, json_t *value, struct str form)
{
    char plain[64];
    double number = json_number_value(value);
    if (!value || json_is_null(value)) {
        buf_str(out, STR("unknown"));
    } else if (json_is_string(value)) {
        size_t from = out->len;
        put_escaped(out, (struct str){json_string_value(value), json_string_length(value)});
        for (; str_equal(form, STR("lower")) && from < out->len; from++)
            if (out->data[from] >= 'A' && out->data[from] <= 'Z')
                out->data[from] = (char)(out->data[from] + ('a' - 'A'));
    } else if (json_is_boolean(value)) {
        buf_str(out, json_is_true(value) ? STR("yes") : STR("no"));
    } else if (!json_is_number(value)) {
        return false;
    } else if (str_equal(form, STR("number"))) {
        put_number(out, number);
    } else if (str_equal(form, STR("rate"))) {
        if (number < 100 && number > 0)
            buf_printf(out, "%.1f", number);
        else
            put_number(out, number);
    } else if (str_equal(form, STR("seconds"))) {
        put_seconds(out, number);
    } else if (str_equal(form, STR("percent"))) {
        buf_printf(out, "%.1f %%", number * 100);
    } else if (str_equal(form, STR("width"))) {
        buf_printf(out, "%.2f%%", number * 100);
    } else {
        snprintf(plain, sizeof(plain), "%.15g", number);
        buf_str(out, str_of(plain));
    }
    return true;
}

/* --- tags --- */

/* The text up to the next tag to `ret_before`, and the tag; false: no further tag, or a broken one
 * (`filling->at` not at the end). */
static bool next_tag(struct filling *filling, struct str *ret_before, struct tag *ret_tag)
{
    const char *end = filling->text.data + filling->text.len;
    const char *open = memmem(filling->at, (size_t)(end - filling->at), "{{", 2);
    *ret_before = (struct str){filling->at, (size_t)((open ? open : end) - filling->at)};
    const char *close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;
    if (!close) {
        if (!open)
            filling->at = end;
        return false;
    }
    const char *next = close + 2;
    open += 2;
    *ret_tag = (struct tag){0};
    if (open < close && strchr("#^/", *open))
        ret_tag->kind = *open++;
    ret_tag->name = (struct str){open, (size_t)(close - open)};
    const char *bar = memchr(open, '|', ret_tag->name.len);
    if (bar) {
        ret_tag->name.len = (size_t)(bar - open);
        ret_tag->form = (struct str){bar + 1, (size_t)(close - bar - 1)};
    }
    if (!ret_tag->name.len || ret_tag->name.len >= NAME_MAX_LEN)
        return false;
    filling->at = next;
    return true;
}

/* Behind the end of the section just opened. */
static bool skip_section(struct filling *filling, struct str name)
{
    struct str before;
    struct tag tag;
    int depth = 1;
    while (next_tag(filling, &before, &tag)) {
        if (!str_equal(tag.name, name))
            continue;
        depth += tag.kind == '/' ? -1 : tag.kind != 0;
        if (!depth)
            return true;
    }
    return false;
}

static bool open_section(struct filling *filling, const struct tag *tag)
{
    json_t *value = find(filling, tag->name);
    bool wanted = is_something(value) == (tag->kind == '#');
    if (!wanted)
        return skip_section(filling, tag->name);
    if (filling->depth + 1 == DEPTH_MAX)
        return false;
    struct section section = {.name = tag->name, .body = filling->at};
    section.values = filling->sections[filling->depth].values;
    if (tag->kind == '#' && json_is_array(value)) {
        section.array = value;
        section.values = json_array_get(value, 0);
    } else if (tag->kind == '#' && json_is_object(value)) {
        section.values = value;
    }
    filling->sections[++filling->depth] = section;
    return true;
}

static bool close_section(struct filling *filling, const struct tag *tag)
{
    struct section *section = &filling->sections[filling->depth];
    if (!filling->depth || !str_equal(section->name, tag->name))
        return false;
    if (section->array && ++section->index < json_array_size(section->array)) {
        section->values = json_array_get(section->array, section->index);
        filling->at = section->body;
        return true;
    }
    filling->depth--;
    return true;
}

static bool take_tag(struct filling *filling, const struct tag *tag)
{
    switch (tag->kind) {
    case '#':
    case '^':
        return open_section(filling, tag);
    case '/':
        return close_section(filling, tag);
    default:
        return put_value(filling->out, find(filling, tag->name), tag->form);
    }
}

enum rcode template_fill(struct str text, json_t *values, struct buf *out, struct err *err)
{
    struct filling filling = {.text = text, .at = text.data, .out = out};
    size_t start = out->len;
    struct str before;
    struct tag tag;
    bool sound = true;
    filling.sections[0].values = values;
    while (sound && next_tag(&filling, &before, &tag)) {
        buf_str(out, before);
        sound = take_tag(&filling, &tag);
    }
    if (sound && !filling.depth && filling.at == text.data + text.len) {
        buf_str(out, before);
        return OK;
    }
    out->len = start;
    return err_set(err, E_BUG, "the template is broken before octet %zu",
                   (size_t)(filling.at - text.data));
}
