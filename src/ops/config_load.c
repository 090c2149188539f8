#include <stdio.h>
#include <unistd.h>

#include "ops/config_private.h"
#include "ops/text_file.h"

#define FILE_SIZE_MAX (1u << 20)

static void load_document(struct loader *loader, struct config_place layer, struct str text)
{
    yaml_document_t document;
    struct err err;
    if (yaml_text_load(text, &document, &layer.line, &layer.column, &err) != OK) {
        err_prefix(&err, "%s:%d:%d", layer.name, layer.line, layer.column);
        fault_record(&loader->faults, &err);
        return;
    }
    apply_root(loader, layer, &document);
    yaml_document_delete(&document);
}

static void load_file(struct loader *loader, const char *path)
{
    struct buf text = {0};
    struct err err;
    if (text_file_read(path, FILE_SIZE_MAX, &text, &err) != OK) {
        err_prefix(&err, "%s", path);
        err.code = E_CONFIG;
        fault_record(&loader->faults, &err);
    } else {
        const char *name = arena_str(&loader->config->private->arena, str_of(path)).data;
        load_document(loader, (struct config_place){.origin = CONFIG_FILE, .name = name},
                      buf_view(&text));
    }
    buf_deinit(&text);
}

/* Lists and maps are given as YAML, everything else as it is. */
static bool wants_yaml(const char *path)
{
    int index = key_index(path);
    if (strncmp(path, "policies.", 9) == 0) {
        const char *dot = strchr(path + 9, '.');
        index = dot ? key_policy_index(dot + 1) : -1;
        return index < 0 || config_policy_keys[index].type == KEY_DELAYS ||
               config_policy_keys[index].type == KEY_REASONS;
    }
    if (index >= 0)
        return config_keys[index].type == KEY_DELAYS || config_keys[index].type == KEY_KAFKA ||
               config_keys[index].type == KEY_POLICIES;
    return key_is_section(path);
}

void load_single(struct loader *loader, struct config_place layer, const char *path,
                 const char *value)
{
    yaml_document_t document;
    struct err err;
    int line, column;
    if (wants_yaml(path)) {
        if (yaml_text_load(str_of(value), &document, &line, &column, &err) != OK) {
            fault_add(&loader->faults, layer, path, "%s", err.text);
            return;
        }
    } else {
        yaml_document_initialize(&document, NULL, NULL, NULL, 1, 1);
        if (!yaml_document_add_scalar(&document, NULL, (const yaml_char_t *)value, -1,
                                      YAML_SINGLE_QUOTED_SCALAR_STYLE)) {
            fault_add(&loader->faults, layer, path, "is not UTF-8");
            yaml_document_delete(&document);
            return;
        }
    }
    apply_single(loader, layer, &document, path);
    yaml_document_delete(&document);
}

static void load_set(struct loader *loader, const char *set)
{
    const struct config_place layer = {.origin = CONFIG_FLAG, .name = "--set"};
    const char *equals = strchr(set, '=');
    char path[CONFIG_PATH_MAX];
    size_t len = equals ? (size_t)(equals - set) : 0;
    if (len == 0 || len >= sizeof(path)) {
        fault_add(&loader->faults, layer, set, "has no value; write --set KEY=VALUE");
        return;
    }
    memcpy(path, set, len);
    path[len] = '\0';
    load_single(loader, layer, path, equals + 1);
}

/* Defaults that depend on other keys or on the host. */
static void derive(struct config *config)
{
    struct {
        const char **name;
        const char *suffix;
    } topics[] = {
        {&config->topics.bounces, "bounces"},           {&config->topics.recipients, "recipients"},
        {&config->topics.delayed, "retries.delayed"},   {&config->topics.due, "retries.due"},
        {&config->topics.suppressions, "suppressions"}, {&config->topics.notices, "notices"},
        {&config->topics.dead_letters, "dead-letters"},
    };
    struct arena *arena = &config->private->arena;
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        if (!*topics[i].name)
            *topics[i].name =
                arena_printf(arena, "%s%s", config->topics.prefix, topics[i].suffix).data;
    if (!config->instance) {
        char host[256] = "";
        if (gethostname(host, sizeof(host) - 1) != 0 || !*host)
            snprintf(host, sizeof(host), "localhost");
        config->instance = arena_str(arena, str_of(host)).data;
    }
}

static struct config *config_new(void)
{
    struct config *config = mem_zalloc(sizeof(*config));
    config->private = mem_zalloc(sizeof(*config->private));
    arena_init(&config->private->arena);
    return config;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    mem_free(config->kafka.properties);
    mem_free(config->policies);
    arena_deinit(&config->private->arena);
    mem_free(config->private);
    mem_free(config);
}

enum rcode config_load(const struct config_options *options, struct config **ret_config,
                       struct err *err)
{
    struct loader loader = {.config = config_new(), .faults.all = options->faults};
    load_document(&loader, (struct config_place){.origin = CONFIG_DEFAULT, .name = ""},
                  str_of(config_defaults_yaml));
    if (options->file)
        load_file(&loader, options->file);
    for (int i = 0; options->environment && options->environment[i]; i++)
        load_variable(&loader, options->environment[i]);
    for (int i = 0; i < options->set_count; i++)
        load_set(&loader, options->sets[i]);
    if (options->overlay)
        load_file(&loader, options->overlay);
    if (loader.faults.count == 0) {
        derive(loader.config);
        config_check(loader.config, &loader.faults);
    }
    mem_free(loader.waiting);
    if (loader.faults.count) {
        config_free(loader.config);
        if (err)
            *err = loader.faults.first;
        return E_CONFIG;
    }
    *ret_config = loader.config;
    return OK;
}
