#include <stdio.h>

#include "ops/config_private.h"

const char *config_kafka(const struct config *config, const char *name)
{
    for (int i = 0; i < config->kafka.property_count; i++)
        if (strcmp(config->kafka.properties[i].name, name) == 0)
            return config->kafka.properties[i].value;
    return NULL;
}

static struct config_place policy_place(const struct config *config, const char *path)
{
    size_t len = strcspn(path, ".");
    for (int i = 0; i < config->policy_count; i++) {
        const struct config_policy *policy = &config->policies[i];
        if (strlen(policy->name) != len || memcmp(policy->name, path, len) != 0)
            continue;
        int index = path[len] ? key_policy_index(path + len + 1) : -1;
        return index >= 0 && policy->given[index] ? policy->places[index] : policy->place;
    }
    return (struct config_place){.name = ""};
}

struct config_place config_place(const struct config *config, const char *key)
{
    int index = key_index(key);
    if (index >= 0)
        return config->private->places[index];
    if (strncmp(key, "policies.", 9) == 0)
        return policy_place(config, key + 9);
    for (int i = 0; strncmp(key, "kafka.", 6) == 0 && i < config->kafka.property_count; i++)
        if (strcmp(config->kafka.properties[i].name, key + 6) == 0)
            return config->kafka.properties[i].place;
    return (struct config_place){.name = ""};
}

static void row_begin(struct config_row *row, struct config_place place)
{
    *row = (struct config_row){.place = place};
}

static void row_part(struct config_row *row, const char *part, size_t len)
{
    size_t used = strlen(row->key);
    snprintf(row->parts[row->levels], sizeof(row->parts[0]), "%.*s", (int)len, part);
    snprintf(row->key + used, sizeof(row->key) - used, "%s%.*s", used ? "." : "", (int)len, part);
    row->levels++;
}

static void kafka_row(const struct config_property *property, struct config_row *row,
                      struct buf *value)
{
    char name[CONFIG_PATH_MAX];
    row_begin(row, property->place);
    row_part(row, "kafka", 5);
    snprintf(name, sizeof(name), "%.180s%s", property->name, property->file ? "_file" : "");
    row_part(row, name, strlen(name));
    value_show_text(property->file ? property->file : property->value, value);
}

/* Row `index` of the policies; false with `*index` lowered by their number. */
static bool policy_row(const struct config *config, int *index, struct config_row *row,
                       struct buf *value)
{
    for (int i = 0; i < config->policy_count; i++) {
        const struct config_policy *policy = &config->policies[i];
        for (int j = 0; j < POLICY_KEY_COUNT; j++) {
            if (!policy->given[j] || (*index)-- > 0)
                continue;
            row_begin(row, policy->places[j]);
            row_part(row, "policies", 8);
            row_part(row, policy->name, strlen(policy->name));
            row_part(row, config_policy_keys[j].name, strlen(config_policy_keys[j].name));
            value_show(&config_policy_keys[j], policy, value);
            return true;
        }
    }
    return false;
}

static bool is_given(const struct config *config, const struct key *key)
{
    if (key->type != KEY_TEXT && key->type != KEY_NAME && key->type != KEY_LISTEN)
        return true;
    return *(const char *const *)(const void *)((const char *)config + key->offset) != NULL;
}

bool config_row(const struct config *config, int index, struct config_row *ret_row,
                struct buf *value)
{
    for (int i = 0; config_keys[i].name; i++) {
        const struct key *key = &config_keys[i];
        if (key->type == KEY_KAFKA) {
            if (index < config->kafka.property_count) {
                kafka_row(&config->kafka.properties[index], ret_row, value);
                return true;
            }
            index -= config->kafka.property_count;
        } else if (key->type == KEY_POLICIES) {
            if (policy_row(config, &index, ret_row, value))
                return true;
        } else if (is_given(config, key) && index-- == 0) {
            row_begin(ret_row, config->private->places[i]);
            const char *part = key->name;
            for (const char *dot; (dot = strchr(part, '.')); part = dot + 1)
                row_part(ret_row, part, (size_t)(dot - part));
            row_part(ret_row, part, strlen(part));
            value_show(key, config, value);
            return true;
        }
    }
    return false;
}

static void show_place(struct config_place place, struct buf *out)
{
    switch (place.origin) {
    case CONFIG_DEFAULT:
        buf_printf(out, "  # default");
        return;
    case CONFIG_FILE:
        buf_printf(out, "  # %s:%d", place.name, place.line);
        return;
    case CONFIG_ENVIRONMENT:
    case CONFIG_FLAG:
        buf_printf(out, "  # %s", place.name);
        return;
    }
}

void config_show(const struct config *config, bool places, struct buf *out)
{
    struct config_row row, before = {0};
    struct buf value = {0};
    for (int i = 0; config_row(config, i, &row, &value); i++) {
        bool same = i > 0;
        for (int level = 0; level < row.levels; level++) {
            bool leaf = level == row.levels - 1;
            same = same && level < before.levels - 1 &&
                   strcmp(row.parts[level], before.parts[level]) == 0;
            if (same && !leaf)
                continue;
            same = false;
            buf_printf(out, "%*s%s:", level * 2, "", row.parts[level]);
            if (leaf)
                buf_printf(out, " %.*s", STR_ARG(buf_view(&value)));
            if (leaf && places)
                show_place(row.place, out);
            buf_printf(out, "\n");
        }
        before = row;
        buf_clear(&value);
    }
    buf_deinit(&value);
}
