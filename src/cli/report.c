#include "cli/report.h"

#define DAY_MS 86400000LL
#define WEEK_MS (7 * DAY_MS)

const char *const report_finding_names[REPORT_FINDING_COUNT] = {
#define X(constant, string) string,
    REPORT_FINDINGS(X)
#undef X
};

const char *const report_age_names[REPORT_AGES] = {"to 1 day",   "to 3 days",  "to 7 days",
                                                   "to 14 days", "to 28 days", "longer"};
static const int64_t age_days[REPORT_AGES] = {1, 3, 7, 14, 28, INT64_MAX};

static int64_t days_since(int64_t now_ms, int64_t time_ms)
{
    if (time_ms == TIME_NULL)
        return -1;
    return now_ms > time_ms ? (now_ms - time_ms) / DAY_MS : 0;
}

/* How many whole weeks before now; what a fast clock has stamped ahead counts as now. */
static int64_t week_of(int64_t now_ms, int64_t time_ms)
{
    return time_ms >= now_ms ? 0 : (now_ms - time_ms) / WEEK_MS;
}

static bool is_disabled(const struct recipient *state, enum recipient_status status)
{
    if (status == STATUS_SUPPRESSED)
        return state->suppressed_by == SUPPRESSION_ATTEMPTS_EXHAUSTED;
    return status == STATUS_SUSPENDED && (state->reason == REASON_MAILBOX_DISABLED ||
                                          state->reason == REASON_MAILBOX_DISABLED_PERMANENT);
}

static enum report_finding finding_of(const struct report_options *options,
                                      const struct report_person *person)
{
    if (person->status == STATUS_SUPPRESSED)
        return FINDING_SUPPRESSED;
    if (person->status == STATUS_SUSPENDED && person->days >= options->suspended_days)
        return FINDING_SUSPENDED_LONG;
    return person->episodes >= options->min_episodes ? FINDING_OFTEN_DISABLED : FINDING_NONE;
}

void report_person(const struct report_options *options, const struct recipient *state,
                   struct report_person *ret_person)
{
    const struct policy_set *policies = options->policies;
    int64_t now_ms = options->now_ms;
    struct report_person person = {
        .status = state->status, .since_ms = TIME_NULL, .opened_ms = TIME_NULL};
    person.lapsed = state->status == STATUS_SUSPENDED && state->due_at_ms != TIME_NULL &&
                    now_ms - state->due_at_ms >= policies->stale_after_ms;
    person.status = person.lapsed ? STATUS_ACTIVE : state->status;
    person.absent = person.status == STATUS_ACTIVE &&
                    now_ms - state->last_event_at_ms >= policies->retention_ms;
    if (person.status == STATUS_SUSPENDED)
        person.since_ms = state->episode_opened_at_ms;
    if (person.status == STATUS_SUPPRESSED)
        person.since_ms = state->last_bounce_at_ms;
    person.days = days_since(now_ms, person.since_ms);
    for (int i = 0; i < state->opening_count; i++) {
        int64_t opened_ms = state->openings_ms[i], week = week_of(now_ms, opened_ms);
        person.opened_ms = opened_ms > person.opened_ms ? opened_ms : person.opened_ms;
        person.episodes += opened_ms > now_ms - policies->frequent_window_ms;
        person.recent |= week < REPORT_WINDOW_WEEKS;
        person.previous |= week >= REPORT_WINDOW_WEEKS && week < 2 * REPORT_WINDOW_WEEKS;
    }
    person.disabled = is_disabled(state, person.status);
    person.finding = finding_of(options, &person);
    *ret_person = person;
}

void report_add(struct report_totals *totals, const struct report_options *options,
                const struct recipient *state, const struct report_person *person)
{
    if (person->absent) {
        totals->expired++;
        return;
    }
    totals->known++;
    totals->lapsed += person->lapsed;
    totals->by_status[person->status]++;
    totals->by_finding[person->finding]++;
    totals->by_episodes[person->episodes]++;
    totals->disabled += person->disabled;
    totals->recent += person->recent;
    totals->previous += person->previous;
    if (person->status == STATUS_SUPPRESSED)
        totals->by_suppression[state->suppressed_by]++;
    if (person->status == STATUS_SUSPENDED) {
        int age = 0;
        while (person->days >= age_days[age])
            age++;
        totals->by_age[age]++;
        totals->by_reason[state->reason]++;
    }
    for (int i = 0; i < state->opening_count; i++) {
        int64_t week = week_of(options->now_ms, state->openings_ms[i]);
        if (week < REPORT_WEEKS)
            totals->weeks[week]++;
    }
}
