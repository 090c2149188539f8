#include "cli/settings.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "embedded.h"
#include "ops/text_file.h"

#define RULES_SIZE_MAX ((size_t)16 << 20)

/* --- options --- */

enum { KEY_SET = 0x1000 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct settings_options *options = state->input;
    switch (key) {
    case 'c':
        options->file = arg;
        return 0;
    case KEY_SET:
        if (options->set_count == SETTINGS_SETS_MAX)
            argp_error(state, "--set was given more than %d times", SETTINGS_SETS_MAX);
        options->sets[options->set_count++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option argp_options[] = {
    {"config", 'c', "FILE", 0, "configuration in YAML", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "override one key, e.g. --set topics.partitions=4", 0},
    {0}};

const struct argp settings_argp = {argp_options, parse, NULL, NULL, NULL, NULL, NULL};

/* --- policies --- */

static void copy_delays(const struct config_delays *from, int64_t to[DELAYS_MAX], int *ret_count)
{
    memcpy(to, from->delay_ms, (size_t)from->count * sizeof(to[0]));
    *ret_count = from->count;
}

static enum rcode convert_policy(const struct config_policy *from, struct policy *to,
                                 struct err *err)
{
    *to = (struct policy){.max_attempts = from->max_attempts, .contact_after = from->contact_after};
    if (strlen(from->name) > POLICY_NAME_MAX)
        return config_fault(err, from->place, "policies", "%s: the name is longer than %d octets",
                            from->name, POLICY_NAME_MAX);
    memcpy(to->name, from->name, strlen(from->name));
    copy_delays(&from->delays, to->delays_ms, &to->delay_count);
    for (int i = 0; i < from->reasons.count; i++) {
        const struct config_reason *reason = &from->reasons.reasons[i];
        int index = name_index(reason_names, REASON_COUNT, str_of(reason->name));
        if (index < 0)
            return config_fault(err, reason->place, "policies", "%s: there is no reason \"%s\"",
                                from->name, reason->name);
        to->reasons |= 1u << index;
    }
    return OK;
}

/* `default` first, the others in their order. */
static enum rcode convert_policies(const struct config *config, struct policy_set *set,
                                   struct err *err)
{
    set->policy_count = 1;
    if (config->policy_count > POLICIES_MAX)
        return config_fault(err, config_place(config, "policies"), "policies",
                            "at most %d policies are possible", POLICIES_MAX);
    for (int i = 0; i < config->policy_count; i++) {
        const struct config_policy *from = &config->policies[i];
        bool is_default = strcmp(from->name, "default") == 0;
        struct policy *to = &set->policies[is_default ? 0 : set->policy_count];
        enum rcode rc = convert_policy(from, to, err);
        if (rc != OK)
            return rc;
        set->policy_count += !is_default;
    }
    return OK;
}

enum rcode settings_policies(const struct config *config, struct policy_set *ret_policies,
                             struct err *err)
{
    static const enum bounce_class unknown_as[] = {[UNKNOWN_AS_UNKNOWN] = CLASS_UNKNOWN,
                                                   [UNKNOWN_AS_SOFT] = CLASS_SOFT,
                                                   [UNKNOWN_AS_TRANSIENT] = CLASS_TRANSIENT,
                                                   [UNKNOWN_AS_POLICY] = CLASS_POLICY};
    struct policy_set set = {0};
    enum rcode rc = convert_policies(config, &set, err);
    if (rc != OK)
        return rc;
    copy_delays(&config->transient.delays, set.transient_delays_ms, &set.transient_delay_count);
    set.stale_after_ms = config->stale_after_ms;
    set.answer_tolerance_ms = config->answer.tolerance_ms;
    set.frequent_window_ms = config->frequent.window_ms;
    set.retention_ms = config->recipient.retention_ms;
    set.event_max_ahead_ms = config->event.max_ahead_ms;
    set.lift_on_delivery = config->suppression.lift_on_delivery;
    set.local_part_preserve = config->recipient.local_part == LOCAL_PART_PRESERVE;
    set.unknown_as = unknown_as[config->unknown.as];
    rc = policy_set_check(&set, err);
    if (rc == OK)
        *ret_policies = set;
    return rc;
}

/* --- rules --- */

static struct rule_sample *convert_samples(struct arena *arena, const struct rule_text_sample *from,
                                           uint32_t count)
{
    struct rule_sample *to = arena_alloc(arena, (count + 1) * sizeof(*to));
    for (uint32_t i = 0; i < count; i++)
        to[i] = (struct rule_sample){.facts = {.status = str_of(from[i].status),
                                               .reply_code = from[i].reply,
                                               .diagnostic = str_of(from[i].text),
                                               .remote_mta = str_of(from[i].mx),
                                               .stage = str_of(from[i].stage)},
                                     .line = from[i].line};
    return to;
}

static void convert_rule(struct arena *arena, const struct rule_text *from, struct rule_source *to)
{
    *to = (struct rule_source){
        .id = str_of(from->id),
        .mx = str_of(from->mx),
        .stage = str_of(from->stage),
        .status = str_of(from->status),
        .reply = str_of(from->reply),
        .text = str_of(from->text),
        .class_name = str_of(from->class_name),
        .reason_name = str_of(from->reason_name),
        .positive = convert_samples(arena, from->positive, from->positive_count),
        .positive_count = (int)from->positive_count,
        .negative = convert_samples(arena, from->negative, from->negative_count),
        .negative_count = (int)from->negative_count,
        .line = from->line,
        .text_line = from->text_line,
    };
}

enum rcode settings_compile_rules(const char *name, const struct rules_text *text,
                                  struct rule_set **ret_rules, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct rule_source *sources = arena_alloc(&arena, (text->rule_count + 1) * sizeof(*sources));
    for (uint32_t i = 0; i < text->rule_count; i++)
        convert_rule(&arena, &text->rules[i], &sources[i]);
    enum rcode rc = rule_set_new(name, sources, (int)text->rule_count, ret_rules, err);
    arena_deinit(&arena);
    return rc;
}

enum rcode settings_rules(const char *file, struct rule_set **ret_rules, struct err *err)
{
    struct rules_text text;
    enum rcode rc = rules_text_load(file, &text, err);
    if (rc != OK)
        return rc;
    rc = settings_compile_rules(file ? file : RULES_TEXT_DEFAULT, &text, ret_rules, err);
    rules_text_deinit(&text);
    return rc;
}

/* --- all --- */

/* Whether what a recipient's state becomes depends on the key, and nothing else does: where records
 * and states are, and whose they are, is not for an overlay to change. */
static bool decides(const char *key)
{
    static const char *const keys[] = {"policies.",           "unknown.as",
                                       "transient.delays",    "stale_after",
                                       "answer.tolerance",    "frequent.window",
                                       "recipient.retention", "suppression.lift_on_delivery",
                                       "event.max_ahead",     "rules.file"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strncmp(key, keys[i], strlen(keys[i])) == 0)
            return true;
    return false;
}

/* Appends the value of a key; false: it is not given. */
static bool find_row(const struct config *config, const char *key, struct buf *value)
{
    struct config_row row;
    for (int i = 0; buf_clear(value), config_row(config, i, &row, value); i++)
        if (strcmp(row.key, key) == 0)
            return true;
    return false;
}

enum rcode settings_check_overlay(const struct settings *base, const struct settings *overlaid,
                                  struct err *err)
{
    struct config_row row;
    struct buf value, before;
    enum rcode rc = OK;
    buf_init(&value);
    buf_init(&before);
    for (int i = 0; buf_clear(&value), config_row(overlaid->config, i, &row, &value); i++) {
        bool same = decides(row.key) || (find_row(base->config, row.key, &before) &&
                                         str_equal(buf_view(&value), buf_view(&before)));
        if (!same) {
            rc = config_fault(err, row.place, row.key,
                              "cannot be another for a replay: only policies, rules and what else "
                              "decides about recipients can");
            break;
        }
    }
    buf_deinit(&value);
    buf_deinit(&before);
    return rc;
}

uint64_t settings_fingerprint(const struct settings *settings)
{
    const struct config *config = settings->config;
    struct config_row row;
    struct buf all, value;
    struct err ignored;
    buf_init(&all);
    buf_init(&value);
    buf_printf(&all, "%s %d", RIMBALZO_VERSION, (int)config->recipient.local_part);
    for (int i = 0; buf_clear(&value), config_row(config, i, &row, &value); i++)
        if (decides(row.key))
            buf_printf(&all, "\n%s %.*s", row.key, STR_ARG(buf_view(&value)));
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (!config->rules.file && strcmp(file->name, RULES_TEXT_DEFAULT) == 0)
            buf_append(&all, file->data, file->size);
    if (config->rules.file)
        (void)!text_file_read(config->rules.file, RULES_SIZE_MAX, &all, &ignored);
    uint64_t fingerprint = hash_xxh3(all.data, all.len);
    buf_deinit(&all);
    buf_deinit(&value);
    return fingerprint;
}

enum rcode settings_load(const struct settings_options *options, struct settings *ret_settings,
                         struct err *err)
{
    struct settings settings = {0};
    struct config_options config_options = {.file = options->file,
                                            .sets = options->sets,
                                            .set_count = options->set_count,
                                            .environment = (const char *const *)environ,
                                            .overlay = options->overlay};
    enum rcode rc = config_load(&config_options, &settings.config, err);
    if (rc == OK)
        rc = settings_policies(settings.config, &settings.policies, err);
    if (rc == OK)
        rc = settings_rules(settings.config->rules.file, &settings.rules, err);
    if (rc == OK)
        *ret_settings = settings;
    else
        settings_deinit(&settings);
    return rc;
}

void settings_deinit(struct settings *settings)
{
    if (settings->config)
        config_free(settings->config);
    if (settings->rules)
        rule_set_free(settings->rules);
    *settings = (struct settings){0};
}

void settings_log(const struct settings *settings)
{
    log_configure(settings->config->log.level, settings->config->log.format);
}
