/*
 * SIGHUP: the rule file is read again. Workers take the new rules at their next batch; what is
 * wrong with them is logged, and the rules before stay. Those are freed once no worker uses them.
 */
#pragma once
#include "cli/settings.h"

struct service_thread;

#define RELOAD_RETIRED_MAX 8

struct reload {
    const char *file;                   /* rules.file; NULL: the rules compiled in */
    const struct rule_set *current;     /* the settings' at first */
    const struct rule_set *of_settings; /* not to be freed here */
    struct rule_set *retired[RELOAD_RETIRED_MAX];
    int retired_count;
};

void reload_init(struct reload *reload, const struct settings *settings);
void reload_deinit(struct reload *reload); /* after the workers have ended */

void reload_rules(struct reload *reload, struct service_thread *threads, int count);
/* Frees what nobody uses any more; from time to time. */
void reload_settle(struct reload *reload, const struct service_thread *threads, int count);
