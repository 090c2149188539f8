/*
 * Layers: each is a YAML document (the defaults, the file) or single keys with a value
 * (environment, --set). Either way a pair of key and node goes through apply(): a leaf is stored, a
 * section's or a map's entries wait, with their full keys, until their turn comes: before what
 * stands behind the section, so that faults come in the order of the file.
 */
#include <stdarg.h>
#include <stdio.h>

#include "ops/config_private.h"
#include "ops/text_file.h"

#define SECRET_SIZE_MAX (1u << 16)

/* --- faults --------------------------------------------------------------------------------------
 */

static enum rcode fault_text(struct err *err, struct config_place place, const char *key,
                             const char *text)
{
    switch (place.origin) {
    case CONFIG_FILE:
        return err_set(err, E_CONFIG, "%s:%d:%d: %s: %s", place.name, place.line, place.column, key,
                       text);
    case CONFIG_FLAG:
    case CONFIG_ENVIRONMENT:
        return err_set(err, E_CONFIG, place.origin == CONFIG_FLAG ? "%s %s: %s" : "%s: %s: %s",
                       place.name, key, text);
    case CONFIG_DEFAULT:
        break;
    }
    return err_set(err, E_CONFIG, "%s: %s", key, text);
}

enum rcode config_fault(struct err *err, struct config_place place, const char *key,
                        const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return fault_text(err, place, key, text);
}

void fault_record(struct faults *faults, const struct err *err)
{
    if (faults->count++ == 0)
        faults->first = *err;
    if (faults->all)
        buf_printf(faults->all, "%s\n", err->text);
}

void fault_add(struct faults *faults, struct config_place place, const char *key,
               const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    struct err err;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fault_text(&err, place, key, text);
    fault_record(faults, &err);
}

/* --- kafka ---------------------------------------------------------------------------------------
 */

static bool is_secret(const char *name)
{
    return strstr(name, "password") || strstr(name, "secret") || strstr(name, "passphrase") ||
           strstr(name, "key.pem") || strcmp(name, "ssl_key") == 0;
}

/* The value of NAME_file: the file's text without its last line break. NULL: a fault was added. */
static const char *secret_read(struct loader *loader, const struct given *given, const char *path)
{
    struct buf text = {0};
    struct err err;
    const char *value = NULL;
    if (text_file_read(path, SECRET_SIZE_MAX, &text, &err) != OK) {
        fault_add(&loader->faults, given->place, given->path, "%s %s", path, err.text);
    } else if (text.len && memchr(text.data, '\0', text.len)) {
        fault_add(&loader->faults, given->place, given->path, "%s holds a NUL character", path);
    } else {
        if (text.len && text.data[text.len - 1] == '\n')
            text.len--;
        if (text.len && text.data[text.len - 1] == '\r')
            text.len--;
        value = arena_str(&loader->config->private->arena, buf_view(&text)).data;
    }
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
    return value;
}

static struct config_property *property_slot(struct config *config, const char *name)
{
    for (int i = 0; i < config->kafka.property_count; i++)
        if (strcmp(config->kafka.properties[i].name, name) == 0)
            return &config->kafka.properties[i];
    struct config_private *private = config->private;
    if (config->kafka.property_count == private->property_cap) {
        private->property_cap = private->property_cap ? private->property_cap * 2 : 16;
        config->kafka.properties =
            mem_realloc(config->kafka.properties,
                        (size_t) private->property_cap * sizeof(*config->kafka.properties));
    }
    struct config_property *property = &config->kafka.properties[config->kafka.property_count++];
    *property = (struct config_property){.name = arena_str(&private->arena, str_of(name)).data};
    return property;
}

static void property_store(struct loader *loader, const struct given *given)
{
    static const struct key key = {"kafka", KEY_TEXT, .max = SECRET_SIZE_MAX};
    char name[CONFIG_PATH_MAX];
    size_t len = (size_t)snprintf(name, sizeof(name), "%s", given->path + strlen("kafka."));
    bool in_file = len > 5 && strcmp(name + len - 5, "_file") == 0;
    if (in_file)
        name[len - 5] = '\0';
    if (!*name ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")]) {
        fault_add(&loader->faults, given->place, given->path, "no name of a librdkafka property");
        return;
    }
    if (!in_file && is_secret(name)) {
        fault_add(
            &loader->faults, given->place, given->path,
            "secrets are only read from files; put it into one and set kafka.%s_file to its path",
            name);
        return;
    }
    const char *text = NULL;
    if (!value_store(&key, given, &loader->config->private->arena, &text, &loader->faults))
        return;
    const char *value = in_file ? secret_read(loader, given, text) : text;
    if (!value)
        return;
    struct config_property *property = property_slot(loader->config, name);
    property->value = value;
    property->file = in_file ? text : NULL;
    property->place = given->place;
}

/* --- policies ------------------------------------------------------------------------------------
 */

static struct config_policy *policy_find(struct config *config, const char *name, size_t len)
{
    for (int i = 0; i < config->policy_count; i++)
        if (strlen(config->policies[i].name) == len &&
            memcmp(config->policies[i].name, name, len) == 0)
            return &config->policies[i];
    return NULL;
}

#define HOUR_MS (3600 * 1000LL)

/* What a policy is as long as its keys do not say otherwise: the schedule of `default`. */
static const struct config_policy policy_template = {
    .delays = {.delay_ms = {24 * HOUR_MS, 48 * HOUR_MS, 72 * HOUR_MS, 168 * HOUR_MS}, .count = 4},
    .max_attempts = 4,
    .contact_after = 2,
    .given = {[POLICY_KEY_DELAYS] = true,
              [POLICY_KEY_MAX_ATTEMPTS] = true,
              [POLICY_KEY_CONTACT_AFTER] = true},
};

/* Finds or adds; NULL: a fault was added. */
static struct config_policy *policy_slot(struct loader *loader, struct config_place place,
                                         const char *path, struct str name)
{
    struct config *config = loader->config;
    struct config_policy *policy = policy_find(config, name.data, name.len);
    if (policy)
        return policy;
    if (name.len == 0 || name.len > POLICY_NAME_MAX ||
        strspn(name.data, "abcdefghijklmnopqrstuvwxyz0123456789_-") < name.len) {
        fault_add(&loader->faults, place, path,
                  "'%.*s' is no name of a policy; use 1 to %d of a-z, 0-9, '_' and '-'",
                  STR_ARG(name), POLICY_NAME_MAX);
        return NULL;
    }
    if (config->policy_count == POLICIES_MAX) {
        fault_add(&loader->faults, place, path, "one policy too many; at most %d", POLICIES_MAX);
        return NULL;
    }
    if (!config->policies)
        config->policies = mem_zalloc(POLICIES_MAX * sizeof(*config->policies));
    policy = &config->policies[config->policy_count++];
    *policy = policy_template;
    policy->name = arena_str(&config->private->arena, name).data;
    policy->place = place;
    for (int i = 0; i < POLICY_KEY_COUNT; i++)
        policy->places[i] = place;
    return policy;
}

static void policy_store(struct loader *loader, const struct given *given,
                         struct config_policy *policy, const char *name)
{
    int index = key_policy_index(name);
    if (value_store(&config_policy_keys[index], given, &loader->config->private->arena, policy,
                    &loader->faults)) {
        policy->places[index] = given->place;
        policy->given[index] = true;
    }
}

/* --- one key -------------------------------------------------------------------------------------
 */

static void await(struct loader *loader, const char *path, struct config_place key_place,
                  const yaml_node_t *node)
{
    if (loader->waiting_len == loader->waiting_cap) {
        loader->waiting_cap = loader->waiting_cap ? loader->waiting_cap * 2 : 64;
        loader->waiting =
            mem_realloc(loader->waiting, (size_t)loader->waiting_cap * sizeof(*loader->waiting));
    }
    struct entry *entry = &loader->waiting[loader->waiting_len++];
    snprintf(entry->path, sizeof(entry->path), "%s", path);
    entry->key_place = key_place;
    entry->node = node;
}

/* The line of an earlier pair with the same key, or 0. */
static int duplicate_line(struct loader *loader, const yaml_node_t *map,
                          const yaml_node_pair_t *pair)
{
    struct str name = yaml_text_scalar(yaml_document_get_node(loader->document, pair->key));
    for (const yaml_node_pair_t *other = map->data.mapping.pairs.start; other < pair; other++) {
        const yaml_node_t *key = yaml_document_get_node(loader->document, other->key);
        if (str_equal(yaml_text_scalar(key), name))
            return yaml_text_line(key);
    }
    return 0;
}

/* Has a map's entries wait as `path`.key; path "" for the root. */
static void await_map(struct loader *loader, const char *path, const yaml_node_t *map)
{
    const yaml_node_pair_t *end = map->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < end; pair++) {
        const yaml_node_t *key = yaml_document_get_node(loader->document, pair->key);
        struct config_place place = place_of(loader->layer, key);
        struct str name = yaml_text_scalar(key);
        char full[CONFIG_PATH_MAX];
        int len = snprintf(full, sizeof(full), "%s%s%.*s", path, *path ? "." : "", STR_ARG(name));
        if (!name.data || !name.len || len < 0 || (size_t)len >= sizeof(full)) {
            fault_add(&loader->faults, place, *path ? path : "configuration",
                      "holds something that is no key");
            continue;
        }
        int line = duplicate_line(loader, map, pair);
        if (line && loader->layer.origin == CONFIG_FILE)
            fault_add(&loader->faults, place, full, "is given twice, first in line %d; keep one",
                      line);
        else if (line)
            fault_add(&loader->faults, place, full, "is given twice; keep one");
        else
            await(loader, full, place, yaml_document_get_node(loader->document, pair->value));
    }
}

static void unknown_key(struct loader *loader, struct config_place place, const char *path)
{
    char storage[CONFIG_PATH_MAX];
    const char *nearest = key_nearest(path, storage);
    if (nearest)
        fault_add(&loader->faults, place, path, "unknown key; did you mean %s?", nearest);
    else
        fault_add(&loader->faults, place, path,
                  "unknown key; `rimbalzo config defaults` shows all of them");
}

static void apply_section(struct loader *loader, const struct given *given)
{
    if (given->node->type == YAML_MAPPING_NODE)
        await_map(loader, given->path, given->node);
    else if (!yaml_text_is_null(
                 given->node)) /* a section whose keys are all commented out is fine */
        fault_add(&loader->faults, given->place, given->path, "must be a map of keys");
}

/* "policies.NAME" or "policies.NAME.KEY". */
static void apply_policy(struct loader *loader, const struct given *given,
                         struct config_place key_place)
{
    const char *name = given->path + strlen("policies.");
    size_t len = strcspn(name, ".");
    const char *key = name[len] ? name + len + 1 : NULL;
    if (key && key_policy_index(key) < 0) {
        unknown_key(loader, key_place, given->path);
        return;
    }
    struct config_policy *policy =
        policy_slot(loader, key_place, given->path, (struct str){name, len});
    if (policy && key)
        policy_store(loader, given, policy, key);
    else if (policy)
        apply_section(loader, given);
}

static void apply(struct loader *loader, const struct entry *entry)
{
    const char *path = entry->path;
    struct given given = {place_of(loader->layer, entry->node), path, loader->document,
                          entry->node};
    if (strncmp(path, "kafka.", 6) == 0) {
        property_store(loader, &given);
        return;
    }
    if (strncmp(path, "policies.", 9) == 0) {
        apply_policy(loader, &given, entry->key_place);
        return;
    }
    int index = key_index(path);
    if (index < 0) {
        if (key_is_section(path))
            apply_section(loader, &given);
        else
            unknown_key(loader, entry->key_place, path);
        return;
    }
    const struct key *key = &config_keys[index];
    if (key->type == KEY_POLICIES && entry->node->type == YAML_MAPPING_NODE)
        loader->config->policy_count = 0;
    if (key->type == KEY_POLICIES || key->type == KEY_KAFKA)
        apply_section(loader, &given);
    else if (!value_store(key, &given, &loader->config->private->arena, loader->config,
                          &loader->faults))
        return;
    loader->config->private->places[index] = given.place;
}

/* The entries from `first` on, so that the first one of them is taken next. */
static void turn(struct loader *loader, int first)
{
    for (int last = loader->waiting_len - 1; first < last; first++, last--) {
        struct entry entry = loader->waiting[first];
        loader->waiting[first] = loader->waiting[last];
        loader->waiting[last] = entry;
    }
}

static void drain(struct loader *loader)
{
    turn(loader, 0);
    while (loader->waiting_len && loader->faults.count < CONFIG_FAULTS_MAX) {
        struct entry entry = loader->waiting[--loader->waiting_len];
        int first = loader->waiting_len;
        apply(loader, &entry);
        turn(loader, first);
    }
    if (loader->waiting_len && loader->faults.all)
        buf_printf(loader->faults.all, "%s: further errors are not shown\n", loader->layer.name);
    loader->waiting_len = 0;
}

void apply_root(struct loader *loader, struct config_place layer, yaml_document_t *document)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    loader->layer = layer;
    loader->document = document;
    if (root && root->type == YAML_MAPPING_NODE)
        await_map(loader, "", root);
    else if (root && !yaml_text_is_null(root))
        fault_add(&loader->faults, place_of(layer, root), "configuration", "must be a map of keys");
    drain(loader);
}

void apply_single(struct loader *loader, struct config_place layer, yaml_document_t *document,
                  const char *path)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    loader->layer = layer;
    loader->document = document;
    if (!root) {
        fault_add(&loader->faults, layer, path, "has no value; give one or remove the key");
        return;
    }
    await(loader, path, layer, root);
    drain(loader);
}
