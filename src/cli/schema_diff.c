#include "cli/schema_diff.h"

#include <jansson.h>
#include <stdlib.h>

struct place {
    struct str path;
    const json_t *value;
};

struct places {
    struct place *items;
    int count, cap;
};

static void push(struct places *places, struct str path, const json_t *value)
{
    if (places->count == places->cap) {
        places->cap = 2 * places->cap + 64;
        places->items = mem_realloc(places->items, (size_t)places->cap * sizeof(*places->items));
    }
    places->items[places->count++] = (struct place){path, value};
}

static struct str join(struct arena *arena, struct str path, const char *name)
{
    return path.len ? arena_printf(arena, "%.*s.%s", STR_ARG(path), name)
                    : arena_printf(arena, "%s", name);
}

/* What stands in an object or array, onto the stack. */
static void open_up(struct places *stack, struct place place, struct arena *arena)
{
    const char *key;
    json_t *child;
    size_t index;
    json_object_foreach((json_t *)place.value, key, child)
    {
        push(stack, join(arena, place.path, key), child);
    }
    json_array_foreach(place.value, index, child)
    {
        const char *name = json_string_value(json_object_get(child, "name"));
        push(stack,
             name ? join(arena, place.path, name)
                  : arena_printf(arena, "%.*s[%zu]", STR_ARG(place.path), index),
             child);
    }
}

static int compare(const void *a, const void *b)
{
    return str_compare(((const struct place *)a)->path, ((const struct place *)b)->path);
}

/* All values that hold no others, by place. */
static void flatten(const json_t *root, struct arena *arena, struct places *leaves)
{
    struct places stack = {0};
    push(&stack, STR(""), root);
    while (stack.count) {
        struct place place = stack.items[--stack.count];
        if (json_object_size(place.value) || json_array_size(place.value))
            open_up(&stack, place, arena);
        else if (place.path.len || !json_is_object(place.value)) /* {} is no schema at all */
            push(leaves, place.path, place.value);
    }
    mem_free(stack.items);
    if (leaves->count)
        qsort(leaves->items, (size_t)leaves->count, sizeof(*leaves->items), compare);
}

static struct str json_of(const json_t *value, struct arena *arena)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    struct str copy = arena_str(arena, str_of(text));
    free(text); /* jansson's */
    return copy;
}

/* Both lists are sorted. */
static void merge(const struct places *left, const struct places *right, struct arena *arena,
                  struct schema_difference *out, int *ret_count)
{
    int l = 0, r = 0, count = 0;
    while (l < left->count || r < right->count) {
        const struct place *a = l < left->count ? &left->items[l] : NULL;
        const struct place *b = r < right->count ? &right->items[r] : NULL;
        int order = !b ? -1 : !a ? 1 : compare(a, b);
        a = order <= 0 ? a : NULL;
        b = order >= 0 ? b : NULL;
        l += a != NULL;
        r += b != NULL;
        if (a && b && json_equal(a->value, b->value))
            continue;
        out[count++] = (struct schema_difference){.place = a ? a->path : b->path,
                                                  .left = a ? json_of(a->value, arena) : STR_NULL,
                                                  .right = b ? json_of(b->value, arena) : STR_NULL};
    }
    *ret_count = count;
}

static json_t *parse(struct str text, const char *which, struct err *err)
{
    json_error_t error;
    json_t *root = json_loadb(text.data, text.len, JSON_DECODE_ANY, &error);
    if (!root)
        err_set(err, E_SCHEMA, "the %s schema is no JSON: line %d: %s", which, error.line,
                error.text);
    return root;
}

enum rcode schema_diff(struct str left, struct str right, struct arena *arena,
                       struct schema_difference **ret_differences, int *ret_count, struct err *err)
{
    struct places lefts = {0}, rights = {0};
    json_t *a = parse(left, "first", err), *b = a ? parse(right, "second", err) : NULL;
    if (a && b) {
        flatten(a, arena, &lefts);
        flatten(b, arena, &rights);
        size_t most = (size_t)lefts.count + (size_t)rights.count;
        *ret_differences = arena_alloc(arena, most * sizeof(**ret_differences));
        merge(&lefts, &rights, arena, *ret_differences, ret_count);
    }
    enum rcode rc = a && b ? OK : err->code;
    json_decref(a);
    json_decref(b);
    mem_free(lefts.items);
    mem_free(rights.items);
    return rc;
}
