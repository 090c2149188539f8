#include "ops/config_private.h"

static struct config_place place(const struct config *config, const char *key)
{
    return config->private->places[key_index(key)];
}

static const char *policy_path(const char *name, const char *key, char path[CONFIG_PATH_MAX])
{
    struct buf buf = {.data = path, .cap = CONFIG_PATH_MAX}; /* names are bounded: it never grows */
    buf_printf(&buf, key ? "policies.%s.%s" : "policies.%s", name, key);
    return path;
}

static void check_policy(const struct config_policy *policy, struct faults *faults)
{
    char path[CONFIG_PATH_MAX];
    bool is_default = strcmp(policy->name, "default") == 0;
    policy_path(policy->name, "reasons", path);
    if (!is_default && !policy->given[POLICY_KEY_REASONS])
        fault_add(faults, policy->place, path,
                  "missing; list the reasons the policy is for, as in [mailbox_full]");
    if (is_default && policy->reasons.count)
        fault_add(
            faults, policy->places[POLICY_KEY_REASONS], path,
            "the default policy takes the reasons that no other policy names; remove the list");
    if (!is_default && policy->given[POLICY_KEY_REASONS] && !policy->reasons.count)
        fault_add(
            faults, policy->places[POLICY_KEY_REASONS], path,
            "is empty, so the policy would never be used; list a reason or remove the policy");
}

static const struct config_policy *owner_of(const struct config *config, int before,
                                            const char *reason)
{
    for (int i = 0; i < before; i++)
        for (int j = 0; j < config->policies[i].reasons.count; j++)
            if (strcmp(config->policies[i].reasons.reasons[j].name, reason) == 0)
                return &config->policies[i];
    return NULL;
}

static void check_policies(const struct config *config, struct faults *faults)
{
    bool has_default = false;
    for (int i = 0; i < config->policy_count; i++) {
        const struct config_policy *policy = &config->policies[i];
        has_default |= strcmp(policy->name, "default") == 0;
        check_policy(policy, faults);
        for (int j = 0; j < policy->reasons.count; j++) {
            const struct config_reason *reason = &policy->reasons.reasons[j];
            const struct config_policy *owner = owner_of(config, i, reason->name);
            char path[CONFIG_PATH_MAX];
            if (owner)
                fault_add(faults, reason->place, policy_path(policy->name, "reasons", path),
                          "%s belongs to policies.%s already; keep it in one of them", reason->name,
                          owner->name);
        }
    }
    if (!has_default)
        fault_add(faults, place(config, "policies"), "policies",
                  "no policy is named default; add one, it takes every reason that no other policy "
                  "names");
}

struct longest {
    int64_t delay_ms;
    struct config_place place;
    char path[CONFIG_PATH_MAX];
};

static void longest_of(const struct config_delays *delays, struct config_place from,
                       const char *path, struct longest *longest)
{
    for (int i = 0; i < delays->count; i++)
        if (delays->delay_ms[i] > longest->delay_ms) {
            longest->delay_ms = delays->delay_ms[i];
            longest->place = from;
            memcpy(longest->path, path, strlen(path) + 1);
        }
}

/* Names the limit's place, or, where that is a default, the delay's. */
static void check_limit(const struct config *config, const char *key, bool may_equal,
                        const struct longest *longest, struct faults *faults)
{
    static const struct key duration = {.type = KEY_DURATION};
    const struct key *limit = &config_keys[key_index(key)];
    int64_t limit_ms = *(const int64_t *)(const void *)((const char *)config + limit->offset);
    if (longest->delay_ms < limit_ms || (may_equal && longest->delay_ms == limit_ms))
        return;
    struct buf delay = {0}, value = {0};
    value_show(&duration, &longest->delay_ms, &delay);
    value_show(limit, config, &value);
    const char *needed = may_equal ? "at least as long as" : "longer than";
    if (place(config, key).origin == CONFIG_DEFAULT)
        fault_add(faults, longest->place, longest->path,
                  "%s (%.*s) must be %s the longest delay, %.*s; raise it or shorten the delay",
                  key, STR_ARG(buf_view(&value)), needed, STR_ARG(buf_view(&delay)));
    else
        fault_add(faults, place(config, key), key,
                  "must be %s the longest delay, %.*s of %s; raise it or shorten the delay", needed,
                  STR_ARG(buf_view(&delay)), longest->path);
    buf_deinit(&delay);
    buf_deinit(&value);
}

static void check_delays(const struct config *config, struct faults *faults)
{
    struct longest longest = {0};
    longest_of(&config->transient.delays, place(config, "transient.delays"), "transient.delays",
               &longest);
    for (int i = 0; i < config->policy_count; i++) {
        const struct config_policy *policy = &config->policies[i];
        char path[CONFIG_PATH_MAX];
        longest_of(&policy->delays, policy->places[POLICY_KEY_DELAYS],
                   policy_path(policy->name, "delays", path), &longest);
    }
    check_limit(config, "stale_after", false, &longest, faults);
    check_limit(config, "dispatcher.delay_max", true, &longest, faults);
}

/* Names the one that was given. */
static void same_topic(const struct config *config, const char *a, const char *b, const char *name,
                       struct faults *faults)
{
    bool is_a = place(config, a).origin != CONFIG_DEFAULT;
    fault_add(faults, place(config, is_a ? a : b), is_a ? a : b,
              "is the same topic as %s, %s; give each a name of its own", is_a ? b : a, name);
}

static void check_topics(const struct config *config, struct faults *faults)
{
    static const char *const keys[] = {
        "topics.bounces",      "topics.recipients", "topics.delayed",     "topics.due",
        "topics.suppressions", "topics.notices",    "topics.dead_letters"};
    const char *prefix = config->topics.prefix;
    if (prefix[strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
        fault_add(faults, place(config, "topics.prefix"), "topics.prefix",
                  "'%s' cannot begin a topic's name; use A-Z, a-z, 0-9, '.', '_' and '-'", prefix);
    const char *names[sizeof(keys) / sizeof(keys[0])];
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct key *key = &config_keys[key_index(keys[i])];
        names[i] = *(const char *const *)(const void *)((const char *)config + key->offset);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                same_topic(config, keys[i], keys[j], names[i], faults);
    }
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void check_registry(const struct config *config, struct faults *faults)
{
    const char *url = config->schemas.registry.url;
    struct config_place at = place(config, "schemas.registry.url");
    if (!url)
        return;
    if (!begins(url, "http://") && !begins(url, "https://"))
        fault_add(faults, at, "schemas.registry.url",
                  "'%s' begins with neither http:// nor https://", url);
    else if (strchr(url, '@'))
        fault_add(faults, at, "schemas.registry.url",
                  "a user does not belong here; use schemas.registry.user and password_file");
    else if (strpbrk(url, "?# \t\r\n") || strlen(strstr(url, "://")) == strlen("://"))
        fault_add(faults, at, "schemas.registry.url",
                  "'%s' is not host, port and path alone, without query, fragment or blanks", url);
    if (config->schemas.registry.password_file && !config->schemas.registry.user)
        fault_add(faults, place(config, "schemas.registry.password_file"),
                  "schemas.registry.password_file", "is of no use without schemas.registry.user");
    if (config->schemas.registry.key_file && !config->schemas.registry.cert_file)
        fault_add(faults, place(config, "schemas.registry.key_file"), "schemas.registry.key_file",
                  "is of no use without schemas.registry.cert_file");
}

void config_check(const struct config *config, struct faults *faults)
{
    check_policies(config, faults);
    check_delays(config, faults);
    check_topics(config, faults);
    check_registry(config, faults);
}
