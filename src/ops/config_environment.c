#include <stdio.h>

#include "ops/config_private.h"

static void to_variable(const char *key, char variable[CONFIG_PATH_MAX])
{
    size_t i = 0;
    for (; key[i] && i + 1 < CONFIG_PATH_MAX; i++) {
        char c = key[i];
        variable[i] = c == '.' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    variable[i] = '\0';
}

static bool is_ours(const char *name)
{
    return strcmp(name, "FAILPOINT") != 0 && strcmp(name, "CORPUS") != 0 &&
           strncmp(name, "TEST_", 5) != 0 && strncmp(name, "SERVICE_", 8) != 0 &&
           strcmp(name, "PORT") != 0 && strncmp(name, "PORT_", 5) != 0;
}

/* KAFKA_SASL_PASSWORD_FILE is kafka.sasl.password_file. */
static void kafka_variable(const char *name, char path[CONFIG_PATH_MAX])
{
    size_t len = (size_t)snprintf(path, CONFIG_PATH_MAX, "kafka.%s", name + strlen("KAFKA_"));
    if (len >= CONFIG_PATH_MAX)
        len = CONFIG_PATH_MAX - 1;
    for (size_t i = 0; i < len; i++)
        path[i] = path[i] == '_' ? '.' : ascii_lower(path[i]);
    if (len > strlen("kafka..file") && strcmp(path + len - 5, ".file") == 0)
        path[len - 5] = '_';
}

/* POLICIES_DISABLED_PERMANENT_DELAYS: a policy there is already, else one with '-' for '_'. */
static bool policy_variable(const struct config *config, const char *name,
                            char path[CONFIG_PATH_MAX])
{
    const char *rest = name + strlen("POLICIES_");
    for (int i = 0; i < POLICY_KEY_COUNT; i++) {
        char key[CONFIG_PATH_MAX], policy[CONFIG_PATH_MAX];
        to_variable(config_policy_keys[i].name, key);
        size_t key_len = strlen(key), len = strlen(rest);
        if (len < key_len + 2 || strcmp(rest + len - key_len, key) != 0 ||
            rest[len - key_len - 1] != '_')
            continue;
        len -= key_len + 1;
        if (len > POLICY_NAME_MAX)
            return false;
        snprintf(policy, sizeof(policy), "%.*s", (int)len, rest);
        for (int j = 0; j < config->policy_count; j++) {
            char variable[CONFIG_PATH_MAX];
            to_variable(config->policies[j].name, variable);
            if (strcmp(variable, policy) == 0) {
                snprintf(path, CONFIG_PATH_MAX, "policies.%.63s.%s", config->policies[j].name,
                         config_policy_keys[i].name);
                return true;
            }
        }
        for (char *c = policy; *c; c++)
            *c = *c == '_' ? '-' : ascii_lower(*c);
        snprintf(path, CONFIG_PATH_MAX, "policies.%.63s.%s", policy, config_policy_keys[i].name);
        return true;
    }
    return false;
}

static bool find_variable(const struct config *config, const char *name, char path[CONFIG_PATH_MAX])
{
    for (int i = 0; config_keys[i].name; i++) {
        char variable[CONFIG_PATH_MAX];
        to_variable(config_keys[i].name, variable);
        if (strcmp(variable, name) == 0) {
            snprintf(path, CONFIG_PATH_MAX, "%s", config_keys[i].name);
            return true;
        }
    }
    if (strncmp(name, "POLICIES_", 9) == 0)
        return policy_variable(config, name, path);
    if (strncmp(name, "KAFKA_", 6) == 0) {
        kafka_variable(name, path);
        return true;
    }
    return false;
}

void load_variable(struct loader *loader, const char *variable)
{
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, "RIMBALZO_", 9) != 0)
        return;
    struct str whole = arena_str(&loader->config->private->arena,
                                 (struct str){variable, (size_t)(equals - variable)});
    const char *name = whole.data + 9;
    if (!is_ours(name))
        return;
    struct config_place layer = {.origin = CONFIG_ENVIRONMENT, .name = whole.data};
    char path[CONFIG_PATH_MAX], nearest[CONFIG_PATH_MAX], lower[CONFIG_PATH_MAX];
    if (find_variable(loader->config, name, path)) {
        load_single(loader, layer, path, equals + 1);
        return;
    }
    size_t i = 0;
    for (; name[i] && i + 1 < sizeof(lower); i++)
        lower[i] = ascii_lower(name[i]);
    lower[i] = '\0';
    if (key_nearest(lower, nearest)) {
        to_variable(nearest, path);
        fault_add(&loader->faults, layer, lower, "no such key; did you mean RIMBALZO_%s?", path);
    } else {
        fault_add(&loader->faults, layer, lower,
                  "no such key; unset the variable, or see `rimbalzo config defaults`");
    }
}
