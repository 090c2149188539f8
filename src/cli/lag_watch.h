/*
 * A thread that asks the brokers every two seconds how far behind the partitions are that this
 * process has now, and tells it to observe.h. It has a librdkafka handle of its own, so that it
 * neither slows an engine down nor waits for one; and it asks also while nothing is assigned, which
 * shows that a broker answers.
 */
#pragma once
#include "cli/deployment.h"
#include "cli/observe.h"

struct lag_watch;

/* `roles`: which of them run. `deployment` and `observe` must outlive it. */
enum rcode lag_watch_start(const struct deployment *deployment, const int roles[ROLE_COUNT],
                           struct observe *observe, struct lag_watch **ret_watch,
                           struct err *err) WARN_UNUSED;

/* Within about a second. NULL allowed. */
void lag_watch_stop(struct lag_watch *watch);
