#include "domain/policy.h"

#include <string.h>

#define MINUTE_MS (60 * 1000LL)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* Keeps every sum of an event time and durations far inside 64 bits. */
#define DURATION_MAX_MS (100 * 365 * DAY_MS)

void policy_set_defaults(struct policy_set *set)
{
    *set = (struct policy_set){
        .policies =
            {
                {.name = "default",
                 .delays_ms = {24 * HOUR_MS, 48 * HOUR_MS, 72 * HOUR_MS, 168 * HOUR_MS},
                 .delay_count = 4,
                 .max_attempts = 4,
                 .contact_after = 2},
                {.name = "disabled-permanent",
                 .reasons = 1u << REASON_MAILBOX_DISABLED_PERMANENT,
                 .delays_ms = {168 * HOUR_MS, 336 * HOUR_MS},
                 .delay_count = 2,
                 .max_attempts = 2,
                 .contact_after = 1},
            },
        .policy_count = 2,
        .transient_delays_ms = {1 * HOUR_MS, 4 * HOUR_MS, 12 * HOUR_MS},
        .transient_delay_count = 3,
        .stale_after_ms = 30 * DAY_MS,
        .answer_tolerance_ms = 5 * MINUTE_MS,
        .frequent_window_ms = 180 * DAY_MS,
        .retention_ms = 400 * DAY_MS,
        .event_max_ahead_ms = 5 * MINUTE_MS,
        .lift_on_delivery = true,
        .local_part_preserve = false,
        .unknown_as = CLASS_UNKNOWN,
    };
}

const struct policy *policy_for_reason(const struct policy_set *set, enum reason reason)
{
    for (int i = 1; i < set->policy_count; i++)
        if (set->policies[i].reasons & 1u << reason)
            return &set->policies[i];
    return &set->policies[0];
}

const struct policy *policy_by_name(const struct policy_set *set, struct str name)
{
    if (name.data)
        for (int i = 1; i < set->policy_count; i++)
            if (str_equal(str_of(set->policies[i].name), name))
                return &set->policies[i];
    return &set->policies[0];
}

int64_t policy_delay_ms(const struct policy *policy, int32_t attempt)
{
    int index = attempt < policy->delay_count ? attempt : policy->delay_count;
    return policy->delays_ms[index - 1];
}

static int64_t longest(const int64_t *delays_ms, int count, int64_t least_ms)
{
    for (int i = 0; i < count; i++)
        if (delays_ms[i] > least_ms)
            least_ms = delays_ms[i];
    return least_ms;
}

int64_t policy_set_longest_delay_ms(const struct policy_set *set)
{
    int64_t delay_ms = longest(set->transient_delays_ms, set->transient_delay_count, 0);
    for (int i = 0; i < set->policy_count; i++)
        delay_ms = longest(set->policies[i].delays_ms, set->policies[i].delay_count, delay_ms);
    return delay_ms;
}

static enum rcode check_duration(const char *key, int64_t value_ms, int64_t least_ms,
                                 struct err *err)
{
    if (value_ms < least_ms || value_ms > DURATION_MAX_MS)
        return err_set(err, E_CONFIG, "%s: must be between %lld ms and 36500 d", key,
                       (long long)least_ms);
    return OK;
}

static enum rcode check_delays(const char *owner, const int64_t *delays_ms, int count,
                               struct err *err)
{
    if (count < 0 || count > DELAYS_MAX)
        return err_set(err, E_CONFIG, "%s.delays: at most %d", owner, DELAYS_MAX);
    for (int i = 0; i < count; i++)
        if (delays_ms[i] < 1 || delays_ms[i] > DURATION_MAX_MS)
            return err_set(err, E_CONFIG, "%s.delays: delay %d must be between 1 ms and 36500 d",
                           owner, i + 1);
    return OK;
}

static enum rcode check_policy(const struct policy *policy, struct err *err)
{
    char owner[16 + POLICY_NAME_MAX];
    size_t len = strnlen(policy->name, sizeof(policy->name));
    if (len == 0 || len > POLICY_NAME_MAX)
        return err_set(err, E_CONFIG, "policies: a name has 1 to %d octets", POLICY_NAME_MAX);
    memcpy(owner, "policies.", 9);
    memcpy(owner + 9, policy->name, len + 1);
    enum rcode rc = check_delays(owner, policy->delays_ms, policy->delay_count, err);
    if (rc != OK)
        return rc;
    if (policy->delay_count < 1)
        return err_set(err, E_CONFIG, "%s.delays: at least one delay is needed", owner);
    if (policy->max_attempts < 1)
        return err_set(err, E_CONFIG, "%s.max_attempts: must be at least 1", owner);
    if (policy->contact_after < 0)
        return err_set(err, E_CONFIG, "%s.contact_after: must not be negative (0: never)", owner);
    return OK;
}

/* Names and reasons belong to one policy each; `default` comes first and names no reasons. */
static enum rcode check_shares(const struct policy_set *set, struct err *err)
{
    if (!str_equal(str_of(set->policies[0].name), STR("default")) || set->policies[0].reasons)
        return err_set(err, E_CONFIG,
                       "policies.default: must exist and takes the reasons no other policy names");
    for (int i = 1; i < set->policy_count; i++) {
        const struct policy *policy = &set->policies[i];
        if (!policy->reasons)
            return err_set(err, E_CONFIG, "policies.%s.reasons: at least one reason is needed",
                           policy->name);
        for (int j = 0; j < i; j++) {
            const struct policy *other = &set->policies[j];
            if (str_equal(str_of(policy->name), str_of(other->name)))
                return err_set(err, E_CONFIG, "policies.%s: named twice", policy->name);
            for (int reason = 0; reason < REASON_COUNT; reason++)
                if (policy->reasons & other->reasons & 1u << reason)
                    return err_set(err, E_CONFIG,
                                   "policies.%s.reasons: %s belongs to policies.%s already",
                                   policy->name, reason_names[reason], other->name);
        }
    }
    return OK;
}

enum rcode policy_set_check(const struct policy_set *set, struct err *err)
{
    if (set->policy_count < 1 || set->policy_count > POLICIES_MAX)
        return err_set(err, E_CONFIG, "policies: between 1 and %d, `default` among them",
                       POLICIES_MAX);
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < set->policy_count; i++)
        rc = check_policy(&set->policies[i], err);
    if (rc == OK)
        rc = check_shares(set, err);
    if (rc == OK)
        rc = check_delays("transient", set->transient_delays_ms, set->transient_delay_count, err);
    if (rc == OK)
        rc = check_duration("stale_after", set->stale_after_ms, 1, err);
    if (rc == OK)
        rc = check_duration("answer.tolerance", set->answer_tolerance_ms, 0, err);
    if (rc == OK)
        rc = check_duration("frequent.window", set->frequent_window_ms, 1, err);
    if (rc == OK)
        rc = check_duration("recipient.retention", set->retention_ms, 1, err);
    if (rc == OK)
        rc = check_duration("event.max_ahead", set->event_max_ahead_ms, 0, err);
    if (rc != OK)
        return rc;
    if ((int)set->unknown_as < 0 || (int)set->unknown_as >= BOUNCE_CLASS_COUNT)
        return err_set(err, E_CONFIG, "unknown.as: no such bounce class");
    if (set->stale_after_ms <= policy_set_longest_delay_ms(set))
        return err_set(err, E_CONFIG,
                       "stale_after: must be longer than the longest delay of policies.*.delays "
                       "and transient.delays");
    return OK;
}
