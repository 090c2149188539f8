#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#include "ops/config_private.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Ascending; shown with the greatest that divides the value. */
static const struct unit durations[] = {{"ms", 1},          {"s", 1000},         {"m", 60 * 1000},
                                        {"h", 3600 * 1000}, {"d", 86400 * 1000}, {NULL, 0}};
static const struct unit sizes[] = {{"B", 1},           {"KiB", 1LL << 10}, {"MiB", 1LL << 20},
                                    {"GiB", 1LL << 30}, {"TiB", 1LL << 40}, {NULL, 0}};

struct config_place place_of(struct config_place layer, const yaml_node_t *node)
{
    if (layer.origin == CONFIG_FILE) {
        layer.line = yaml_text_line(node);
        layer.column = yaml_text_column(node);
    }
    return layer;
}

static void show_units(const struct unit *units, int64_t value, struct buf *out)
{
    int best = 0;
    for (int i = 1; units[i].name; i++)
        if (value && value % units[i].factor == 0)
            best = i;
    buf_printf(out, "%" PRId64 "%s", value / units[best].factor, units[best].name);
}

/* Digits, then the rest; false if there is no digit or the number is beyond 64 bits. */
static bool split_number(const char *text, int64_t *ret_number, const char **ret_rest)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number))
            return false;
    *ret_number = number;
    *ret_rest = at;
    return at > text;
}

static bool store_number(const struct key *key, const struct given *given, const char *text,
                         void *target, struct faults *faults)
{
    int64_t number;
    const char *rest;
    bool negative = text[0] == '-';
    if (!split_number(text + negative, &number, &rest) || *rest) {
        fault_add(faults, given->place, given->path, "'%s' is not a whole number", text);
        return false;
    }
    if (negative || number < key->min || number > key->max) {
        fault_add(faults, given->place, given->path,
                  "%s is out of range; from %" PRId64 " to %" PRId64, text, key->min, key->max);
        return false;
    }
    *(int32_t *)target = (int32_t)number;
    return true;
}

static bool store_units(const struct unit *units, const struct key *key, const struct given *given,
                        const char *text, int64_t *target, struct faults *faults)
{
    const bool is_size = units == sizes;
    const char *const what = is_size ? "size" : "duration";
    const char *const example = is_size ? "B, KiB, MiB, GiB or TiB, as in 64MiB"
                                        : "ms, s, m, h or d, as in 250ms, 5m, 24h or 30d";
    int64_t number;
    const char *rest;
    if (!split_number(text, &number, &rest)) {
        fault_add(faults, given->place, given->path,
                  "'%s' is not a %s; give a whole number and a unit: %s", text, what, example);
        return false;
    }
    int unit = 0;
    while (units[unit].name && strcmp(units[unit].name, rest) != 0)
        unit++;
    if (!units[unit].name) {
        fault_add(faults, given->place, given->path, "'%s' has %s unit; units are %s", text,
                  *rest ? "a wrong" : "no", example);
        return false;
    }
    if (__builtin_mul_overflow(number, units[unit].factor, &number) || number < key->min ||
        number > key->max) {
        struct buf range = {0};
        show_units(units, key->min, &range);
        buf_printf(&range, " to ");
        show_units(units, key->max, &range);
        fault_add(faults, given->place, given->path, "%s is out of range; from %.*s", text,
                  STR_ARG(buf_view(&range)));
        buf_deinit(&range);
        return false;
    }
    *target = number;
    return true;
}

bool config_duration(const char *text, int64_t *ret_ms)
{
    int64_t number;
    const char *rest;
    if (!split_number(text, &number, &rest))
        return false;
    for (const struct unit *unit = durations; unit->name; unit++)
        if (strcmp(unit->name, rest) == 0)
            return !__builtin_mul_overflow(number, unit->factor, ret_ms);
    return false;
}

static bool store_bool(const struct given *given, const char *text, bool *target,
                       struct faults *faults)
{
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0) {
        fault_add(faults, given->place, given->path, "'%s' is neither true nor false", text);
        return false;
    }
    *target = is_true;
    return true;
}

static bool store_choice(const struct key *key, const struct given *given, const char *text,
                         void *target, struct faults *faults)
{
    struct buf list = {0};
    for (unsigned i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            memcpy(target, &i, sizeof(i));
            buf_deinit(&list);
            return true;
        }
        buf_printf(&list, "%s%s",
                   i == 0                ? ""
                   : key->choices[i + 1] ? ", "
                                         : " or ",
                   key->choices[i]);
    }
    fault_add(faults, given->place, given->path, "'%s' is none of %.*s", text,
              STR_ARG(buf_view(&list)));
    buf_deinit(&list);
    return false;
}

static bool check_name(const struct key *key, const struct given *given, const char *text,
                       struct faults *faults)
{
    size_t len = strlen(text);
    size_t fine = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (len == 0 || fine < len || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
        len > (size_t)key->max) {
        fault_add(faults, given->place, given->path,
                  "'%s' is no name; use 1 to %" PRId64 " of A-Z, a-z, 0-9, '.', '_' and '-'", text,
                  key->max);
        return false;
    }
    return true;
}

static bool is_address(const char *text)
{
    char host[256];
    struct in6_addr storage;
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host))
        return false;
    int64_t port;
    const char *rest;
    if (!split_number(colon + 1, &port, &rest) || *rest || port > 65535)
        return false;
    size_t len = (size_t)(colon - text);
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[') {
        if (host[len - 1] != ']')
            return false;
        host[len - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, &storage) == 1;
    }
    if (strspn(host, "0123456789.") == len)
        return inet_pton(AF_INET, host, &storage) == 1;
    return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == len;
}

static bool store_text(const struct key *key, const struct given *given, const char *text,
                       struct arena *arena, const char **target, struct faults *faults)
{
    if (key->type == KEY_NAME && !check_name(key, given, text, faults))
        return false;
    if (key->type == KEY_LISTEN && *text && !is_address(text)) {
        fault_add(faults, given->place, given->path,
                  "'%s' is no address to listen on; give host:port, as in 127.0.0.1:9464 or "
                  "[::1]:9464, or \"\" for none",
                  text);
        return false;
    }
    if (key->type == KEY_TEXT &&
        (strlen(text) < (size_t)key->min || strlen(text) > (size_t)key->max)) {
        fault_add(faults, given->place, given->path,
                  "must have from %" PRId64 " to %" PRId64 " octets", key->min, key->max);
        return false;
    }
    *target = arena_str(arena, str_of(text)).data;
    return true;
}

/* --- lists ---------------------------------------------------------------------------------------
 */

static bool list_entry(const struct given *list, int index, const char *what,
                       struct given *ret_entry, struct faults *faults)
{
    const yaml_node_t *node =
        yaml_document_get_node(list->document, list->node->data.sequence.items.start[index]);
    *ret_entry = (struct given){place_of(list->place, node), list->path, list->document, node};
    if (node->type != YAML_SCALAR_NODE || yaml_text_is_null(node)) {
        fault_add(faults, ret_entry->place, list->path, "entry %d is not a %s", index + 1, what);
        return false;
    }
    return true;
}

static bool store_delays(const struct key *key, const struct given *given, int count,
                         struct config_delays *target, struct faults *faults)
{
    const struct key entry_key = {.min = 1, .max = 36500LL * 86400 * 1000};
    struct config_delays delays = {.count = count};
    if (count < key->min || count > DELAYS_MAX) {
        fault_add(faults, given->place, given->path,
                  "has %d entries; give from %" PRId64 " to %d durations, as in [24h, 48h]", count,
                  key->min, DELAYS_MAX);
        return false;
    }
    for (int i = 0; i < count; i++) {
        struct given entry;
        if (!list_entry(given, i, "duration", &entry, faults) ||
            !store_units(durations, &entry_key, &entry, yaml_text_scalar(entry.node).data,
                         &delays.delay_ms[i], faults))
            return false;
    }
    *target = delays;
    return true;
}

static bool store_reasons(const struct given *given, int count, struct arena *arena,
                          struct config_reasons *target, struct faults *faults)
{
    struct config_reasons reasons = {.count = count};
    if (count > CONFIG_REASONS_MAX) {
        fault_add(faults, given->place, given->path, "has %d entries; at most %d", count,
                  CONFIG_REASONS_MAX);
        return false;
    }
    for (int i = 0; i < count; i++) {
        struct given entry;
        if (!list_entry(given, i, "reason", &entry, faults))
            return false;
        const char *name = arena_str(arena, yaml_text_scalar(entry.node)).data;
        for (int j = 0; j < i; j++)
            if (strcmp(reasons.reasons[j].name, name) == 0) {
                fault_add(faults, entry.place, given->path, "%s is listed twice", name);
                return false;
            }
        reasons.reasons[i] = (struct config_reason){name, entry.place};
    }
    *target = reasons;
    return true;
}

static bool store_list(const struct key *key, const struct given *given, struct arena *arena,
                       void *target, struct faults *faults)
{
    if (given->node->type != YAML_SEQUENCE_NODE) {
        fault_add(faults, given->place, given->path, "must be a list, as in %s",
                  key->type == KEY_DELAYS ? "[24h, 48h]" : "[mailbox_full]");
        return false;
    }
    int count =
        (int)(given->node->data.sequence.items.top - given->node->data.sequence.items.start);
    if (key->type == KEY_DELAYS)
        return store_delays(key, given, count, target, faults);
    return store_reasons(given, count, arena, target, faults);
}

/* --- one value -----------------------------------------------------------------------------------
 */

bool value_store(const struct key *key, const struct given *given, struct arena *arena, void *base,
                 struct faults *faults)
{
    void *target = (char *)base + key->offset;
    if (key->type == KEY_DELAYS || key->type == KEY_REASONS)
        return store_list(key, given, arena, target, faults);
    struct str scalar = yaml_text_scalar(given->node);
    if (!scalar.data || yaml_text_is_null(given->node)) {
        fault_add(faults, given->place, given->path, "%s",
                  scalar.data ? "has no value; give one or remove the key"
                              : "must be a single value, not a list or a map");
        return false;
    }
    if (memchr(scalar.data, '\0', scalar.len)) {
        fault_add(faults, given->place, given->path, "holds a NUL character");
        return false;
    }
    switch (key->type) {
    case KEY_NUMBER:
        return store_number(key, given, scalar.data, target, faults);
    case KEY_DURATION:
        return store_units(durations, key, given, scalar.data, target, faults);
    case KEY_SIZE:
        return store_units(sizes, key, given, scalar.data, target, faults);
    case KEY_BOOL:
        return store_bool(given, scalar.data, target, faults);
    case KEY_CHOICE:
        return store_choice(key, given, scalar.data, target, faults);
    case KEY_TEXT:
    case KEY_NAME:
    case KEY_LISTEN:
        return store_text(key, given, scalar.data, arena, target, faults);
    case KEY_KAFKA:
    case KEY_POLICIES:
    case KEY_DELAYS:
    case KEY_REASONS:
        break;
    }
    abort();
}

void value_show_text(const char *text, struct buf *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    bool is_plain = *text && *text != '-' && text[strspn(text, plain)] == '\0';
    if (is_plain && strcmp(text, "null") != 0) {
        buf_str(out, str_of(text));
        return;
    }
    buf_append(out, "\"", 1);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_printf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            buf_printf(out, "\\x%02x", (unsigned char)*text);
        else
            buf_append(out, text, 1);
    }
    buf_append(out, "\"", 1);
}

static void show_delays(const struct config_delays *delays, struct buf *out)
{
    buf_append(out, "[", 1);
    for (int i = 0; i < delays->count; i++) {
        buf_str(out, i ? STR(", ") : STR(""));
        show_units(durations, delays->delay_ms[i], out);
    }
    buf_append(out, "]", 1);
}

static void show_reasons(const struct config_reasons *reasons, struct buf *out)
{
    buf_append(out, "[", 1);
    for (int i = 0; i < reasons->count; i++) {
        buf_str(out, i ? STR(", ") : STR(""));
        value_show_text(reasons->reasons[i].name, out);
    }
    buf_append(out, "]", 1);
}

void value_show(const struct key *key, const void *base, struct buf *out)
{
    const void *value = (const char *)base + key->offset;
    unsigned choice;
    switch (key->type) {
    case KEY_NUMBER:
        buf_printf(out, "%" PRId32, *(const int32_t *)value);
        return;
    case KEY_DURATION:
        show_units(durations, *(const int64_t *)value, out);
        return;
    case KEY_SIZE:
        show_units(sizes, *(const int64_t *)value, out);
        return;
    case KEY_BOOL:
        buf_str(out, *(const bool *)value ? STR("true") : STR("false"));
        return;
    case KEY_CHOICE:
        memcpy(&choice, value, sizeof(choice));
        buf_str(out, str_of(key->choices[choice]));
        return;
    case KEY_TEXT:
    case KEY_NAME:
    case KEY_LISTEN:
        value_show_text(*(const char *const *)value, out);
        return;
    case KEY_DELAYS:
        show_delays(value, out);
        return;
    case KEY_REASONS:
        show_reasons(value, out);
        return;
    case KEY_KAFKA:
    case KEY_POLICIES:
        break;
    }
    abort();
}
