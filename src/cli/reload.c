#include "cli/reload.h"

#include "base/log.h"
#include "cli/service_internal.h"
#include "worker/worker.h"

void reload_init(struct reload *reload, const struct settings *settings)
{
    *reload = (struct reload){.file = settings->config->rules.file,
                              .current = settings->rules,
                              .of_settings = settings->rules};
}

void reload_deinit(struct reload *reload)
{
    for (int i = 0; i < reload->retired_count; i++)
        rule_set_free(reload->retired[i]);
    if (reload->current != reload->of_settings)
        rule_set_free((struct rule_set *)(uintptr_t)reload->current);
    *reload = (struct reload){0};
}

static bool in_use(const struct rule_set *rules, const struct service_thread *threads, int count)
{
    for (int i = 0; i < count; i++)
        if (threads[i].role == ROLE_WORKER && worker_rules(threads[i].processor) == rules)
            return true;
    return false;
}

void reload_settle(struct reload *reload, const struct service_thread *threads, int count)
{
    int kept = 0;
    for (int i = 0; i < reload->retired_count; i++) {
        if (in_use(reload->retired[i], threads, count))
            reload->retired[kept++] = reload->retired[i];
        else
            rule_set_free(reload->retired[i]);
    }
    reload->retired_count = kept;
}

void reload_rules(struct reload *reload, struct service_thread *threads, int count)
{
    struct rule_set *rules;
    struct err err = {0};
    reload_settle(reload, threads, count);
    if (reload->retired_count == RELOAD_RETIRED_MAX) {
        log_warn("reload", "the rules before are still in use; send the signal again later");
        return;
    }
    enum rcode rc = settings_rules(reload->file, &rules, &err);
    if (rc != OK) {
        log_error(rcode_name(rc), err.text);
        return;
    }
    for (int i = 0; i < count; i++)
        if (threads[i].role == ROLE_WORKER)
            worker_use_rules(threads[i].processor, rules);
    if (reload->current != reload->of_settings)
        reload->retired[reload->retired_count++] = (struct rule_set *)(uintptr_t)reload->current;
    reload->current = rules;
    log_info("reload", "the rules were read again",
             LOG_S("file", reload->file ? reload->file : "compiled in"));
}
