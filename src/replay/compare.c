#include "replay/compare.h"

#include "base/clock.h"

const char *const difference_kind_names[DIFFERENCE_KIND_COUNT] = {
#define X(constant, string) [constant] = string,
    DIFFERENCE_KINDS(X)
#undef X
};

/* --- fields --- */

static void put_text(struct buf *out, struct str text)
{
    buf_str(out, text.data ? text : STR(""));
}

static void put_time(struct buf *out, int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NULL)
        return;
    clock_format(time_ms, text);
    buf_str(out, str_of(text));
}

static void put_number(struct buf *out, int64_t number)
{
    buf_printf(out, "%lld", (long long)number);
}

static void put_times(struct buf *out, const int64_t *times, int count)
{
    for (int i = 0; i < count; i++) {
        buf_str(out, i ? STR(" ") : STR(""));
        put_time(out, times[i]);
    }
}

static void put_hashes(struct buf *out, const uint64_t *hashes, int count)
{
    for (int i = 0; i < count; i++)
        buf_printf(out, "%s%016llx", i ? " " : "", (unsigned long long)hashes[i]);
}

/*    name, kind of difference, how it is shown */
#define FIELDS(X)                                                                                  \
    X(status, STATUS, put_text(out, str_of(recipient_status_names[s->status])))                    \
    X(suppressed_by, STATUS, put_text(out, str_of(suppression_reason_names[s->suppressed_by])))    \
    X(reason, SCHEDULE, put_text(out, s->in_episode ? str_of(reason_names[s->reason]) : STR("")))  \
    X(policy, SCHEDULE, put_text(out, s->policy))                                                  \
    X(attempt, SCHEDULE, put_number(out, s->attempt))                                              \
    X(episode, SCHEDULE, put_number(out, s->episode))                                              \
    X(episode_opened_at, SCHEDULE, put_time(out, s->episode_opened_at_ms))                         \
    X(due_at, SCHEDULE, put_time(out, s->due_at_ms))                                               \
    X(soft, COUNTERS, put_number(out, s->soft))                                                    \
    X(hard, COUNTERS, put_number(out, s->hard))                                                    \
    X(transient, COUNTERS, put_number(out, s->transient))                                          \
    X(policy_bounces, COUNTERS, put_number(out, s->policy_bounces))                                \
    X(unknown, COUNTERS, put_number(out, s->unknown))                                              \
    X(deliveries, COUNTERS, put_number(out, s->deliveries))                                        \
    X(overrides, COUNTERS, put_number(out, s->overrides))                                          \
    X(suppressions, COUNTERS, put_number(out, s->suppressions))                                    \
    X(last_bounce_at, DETAILS, put_time(out, s->last_bounce_at_ms))                                \
    X(last_delivery_at, DETAILS, put_time(out, s->last_delivery_at_ms))                            \
    X(reinstated_at, DETAILS, put_time(out, s->reinstated_at_ms))                                  \
    X(last_event_at, DETAILS, put_time(out, s->last_event_at_ms))                                  \
    X(last_status, DETAILS, put_text(out, s->last_status))                                         \
    X(last_rule, DETAILS, put_text(out, s->last_rule))                                             \
    X(openings, DETAILS, put_times(out, s->openings_ms, s->opening_count))                         \
    X(recent_events, DETAILS, put_hashes(out, s->recent_events, s->recent_event_count))            \
    X(recent_commands, DETAILS, put_hashes(out, s->recent_commands, s->recent_command_count))      \
    X(frequency, DETAILS, put_text(out, str_of(frequency_names[s->frequency])))                    \
    X(source_offset, DETAILS, put_number(out, s->source_offset))

#define X(name, kind, show) FIELD_##name,
enum field { FIELDS(X) FIELD_COUNT };
#undef X
const int recipient_field_count = FIELD_COUNT;

const char *const recipient_field_names[FIELD_COUNT] = {
#define X(name, kind, show) #name,
    FIELDS(X)
#undef X
};

static const enum difference_kind field_kinds[FIELD_COUNT] = {
#define X(name, kind, show) DIFFERENCE_##kind,
    FIELDS(X)
#undef X
};

void recipient_field(const struct recipient *s, int field, struct buf *out)
{
    if (!s)
        return;
    switch ((enum field)field) {
#define X(name, kind, show)                                                                        \
    case FIELD_##name:                                                                             \
        show;                                                                                      \
        return;
        FIELDS(X)
#undef X
    case FIELD_COUNT:
        break;
    }
}

bool recipient_field_differs(const struct recipient *left, const struct recipient *right, int field)
{
    struct buf a, b;
    buf_init(&a);
    buf_init(&b);
    recipient_field(left, field, &a);
    recipient_field(right, field, &b);
    bool differs = !str_equal(buf_view(&a), buf_view(&b));
    buf_deinit(&a);
    buf_deinit(&b);
    return differs;
}

int64_t recipient_events(const struct recipient *state)
{
    return state->soft + state->hard + state->transient + state->policy_bounces + state->unknown +
           state->deliveries + state->overrides;
}

/* --- comparing --- */

/* A side's view of one recipient. */
struct view {
    struct str value;         /* null: nothing is stored */
    struct recipient stored;  /* of a value */
    struct recipient counted; /* with lapse and expiry applied */
    bool known;               /* it counts at all */
};

static enum rcode look(const struct compare *compare, const struct compare_side *side,
                       struct str value, struct view *view, struct err *err)
{
    *view = (struct view){.value = value};
    if (!value.data)
        return OK;
    enum rcode rc = codec_decode_recipient(compare->codec, value, &view->stored, err);
    if (rc != OK)
        return rc;
    view->known = recipient_idle(side->policies, &view->stored, side->stream_time_ms,
                                 &view->counted) != IDLE_EXPIRE;
    return OK;
}

/* DIFFERENCE_KIND_COUNT: they are the same. */
static enum difference_kind kind_of(const struct view *live, const struct view *wanted)
{
    if (live->known != wanted->known)
        return wanted->known ? DIFFERENCE_ADDED : DIFFERENCE_REMOVED;
    enum difference_kind kind = DIFFERENCE_KIND_COUNT;
    for (int i = 0; live->known && i < FIELD_COUNT; i++)
        if (field_kinds[i] < kind && recipient_field_differs(&live->counted, &wanted->counted, i))
            kind = field_kinds[i];
    return kind;
}

static enum rcode judge(const struct compare *compare, struct identity who, struct str live_value,
                        struct str wanted_value, struct err *err)
{
    struct view live, wanted;
    if (live_value.data && wanted_value.data && str_equal(live_value, wanted_value))
        return OK;
    enum rcode rc = look(compare, &compare->live, live_value, &live, err);
    if (rc == OK)
        rc = look(compare, &compare->wanted, wanted_value, &wanted, err);
    if (rc != OK)
        return rc;
    struct difference difference = {.kind = kind_of(&live, &wanted),
                                    .who = who,
                                    .live = live.known ? &live.counted : NULL,
                                    .wanted = wanted.known ? &wanted.counted : NULL,
                                    .stored_live = live_value.data ? &live.stored : NULL,
                                    .live_value = live_value,
                                    .wanted_value = wanted_value};
    return difference.kind == DIFFERENCE_KIND_COUNT
               ? OK
               : compare->visit(compare->context, &difference, err);
}

struct walk {
    const struct compare *compare;
    uint64_t recipients;
};

static enum rcode visit_live(void *context, struct identity who, struct str value, struct err *err)
{
    struct walk *walk = context;
    struct str wanted;
    walk->recipients++;
    enum rcode rc = store_get(walk->compare->wanted.store, who, &wanted, err);
    return rc == OK ? judge(walk->compare, who, value, wanted, err) : rc;
}

static enum rcode visit_wanted(void *context, struct identity who, struct str value,
                               struct err *err)
{
    struct walk *walk = context;
    struct str live;
    enum rcode rc = store_get(walk->compare->live.store, who, &live, err);
    if (rc != OK || live.data)
        return rc; /* one with a live state has been looked at */
    walk->recipients++;
    return judge(walk->compare, who, STR_NULL, value, err);
}

enum rcode compare_states(const struct compare *compare, uint64_t *ret_recipients, struct err *err)
{
    struct walk walk = {.compare = compare};
    struct store_cursor cursor = {0};
    struct store *live = compare->live.store, *wanted = compare->wanted.store;
    enum rcode rc = store_begin(live, err);
    if (rc != OK)
        return rc;
    rc = store_begin(wanted, err);
    if (rc == OK)
        rc = store_scan(live, &cursor, SIZE_MAX, visit_live, &walk, err);
    cursor.len = 0;
    if (rc == OK)
        rc = store_scan(wanted, &cursor, SIZE_MAX, visit_wanted, &walk, err);
    store_abort(live);
    store_abort(wanted);
    if (rc == OK)
        *ret_recipients = walk.recipients;
    return rc;
}
