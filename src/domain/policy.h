/* What the configuration decides: schedules by reason, and the times of semantics §6. Immutable
 * once made. */
#pragma once
#include "base/err.h"
#include "domain/types.h"

struct policy {
    char name[POLICY_NAME_MAX + 1];
    uint32_t reasons; /* bit set of enum reason; 0 for `default`, which takes the rest */
    int64_t delays_ms[DELAYS_MAX]; /* [0] is the delay before attempt 1; the last repeats */
    int delay_count;               /* >= 1 */
    int32_t max_attempts;          /* >= 1 */
    int32_t contact_after;         /* 0: never */
};

struct policy_set {
    struct policy policies[POLICIES_MAX]; /* in configuration order; policies[0] is `default` */
    int policy_count;                     /* >= 1 */
    int64_t transient_delays_ms[DELAYS_MAX];
    int transient_delay_count;
    int64_t stale_after_ms;
    int64_t answer_tolerance_ms;
    int64_t frequent_window_ms;
    int64_t retention_ms;
    int64_t event_max_ahead_ms;
    bool lift_on_delivery;
    bool local_part_preserve;
    enum bounce_class unknown_as; /* CLASS_UNKNOWN, or the class unknown bounces are taken for */
};

/* The source text's schedule and the defaults of the configuration. */
void policy_set_defaults(struct policy_set *set);

/* First policy (after `default`) that names the reason, else `default`. */
const struct policy *policy_for_reason(const struct policy_set *set, enum reason reason);

/* By name; a name the configuration no longer has gives `default`. Null name gives `default`. */
const struct policy *policy_by_name(const struct policy_set *set, struct str name);

/* Delay before `attempt` (>= 1); the last one repeats. */
int64_t policy_delay_ms(const struct policy *policy, int32_t attempt);

/* The longest delay any SCHEDULE can have, transient ones included. */
int64_t policy_set_longest_delay_ms(const struct policy_set *set);

/* E_CONFIG with a text that names the keys when values contradict each other (stale_after not
 * longer than the longest delay, no delays, max_attempts < 1, a reason in two policies, …). */
enum rcode policy_set_check(const struct policy_set *set, struct err *err) WARN_UNUSED;
