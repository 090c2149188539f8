/* What the tests of timers share beside store_support.h. */
#pragma once
#include "store/timers.h"
#include "store_support.h"

#define PLACE(due_ms_, offset_) ((struct timer_place){(due_ms_), (offset_)})

static inline int timers_setup(void **state)
{
    fixture_setup(state);
    ((struct fixture *)*state)->options.kind = STORE_TIMERS;
    return 0;
}

#define timers_test(name) cmocka_unit_test_setup_teardown(name, timers_setup, fixture_teardown)

/* A pending timer, to be kept until its own place. */
static inline struct timer timer_of(int64_t offset, int64_t due_ms, const char *recipient, int id)
{
    return (struct timer){.offset = offset,
                          .due_ms = due_ms,
                          .log_time_ms = 5,
                          .until = PLACE(due_ms, offset),
                          .id = {{(unsigned char)id, (unsigned char)(id >> 8), 0xff, 0}},
                          .who = who_of(recipient),
                          .key = str_of(recipient),
                          .value = STR("the record"),
                          .headers = STR("")};
}

static inline void add(struct fixture *f, struct timer timer)
{
    assert_ok(f, timers_claim(f->store, &timer, &f->err));
    assert_ok(f, timers_put(f->store, &timer, &f->err));
}

/* Begins a transaction on a new store. */
static inline void begin_new(struct fixture *f)
{
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
}

static inline void assert_place(struct timer_place place, int64_t due_ms, int64_t offset)
{
    assert_int_equal(place.due_ms, due_ms);
    assert_int_equal(place.offset, offset);
}

static inline struct timer_place find(struct fixture *f, const char *recipient, int id)
{
    struct timer timer = timer_of(0, 0, recipient, id);
    struct timer_place last = {-7, -7};
    assert_ok(f, timers_find(f->store, timer.who, &timer.id, &last, &f->err));
    return last;
}

/* timers_over: the places up to the one that `context` points to are over. */
static inline bool over_up_to(const void *context, struct timer_place until)
{
    return timer_place_compare(until, *(const struct timer_place *)context) <= 0;
}

static inline enum rcode release(struct fixture *f, int64_t offset, struct timer_place over)
{
    return timers_release(f->store, offset, over_up_to, &over, &f->err);
}

static inline enum rcode forget(struct fixture *f, size_t max, struct timer_place over)
{
    return timers_forget(f->store, max, over_up_to, &over, &f->err);
}

static inline struct timers_bounds bounds_of(struct fixture *f, int64_t pending_hint)
{
    struct timers_bounds bounds;
    assert_ok(f, timers_bounds(f->store, pending_hint, &bounds, &f->err));
    return bounds;
}

static inline uint64_t entries_of(const struct fixture *f)
{
    uint64_t entries, digest;
    store_pending(f->store, &entries, &digest);
    return entries;
}

static inline uint64_t digest_of(const struct fixture *f)
{
    uint64_t entries, digest;
    store_pending(f->store, &entries, &digest);
    return digest;
}

/* What timers_unclaim told, as text: "due,offset,state " each; kept until the next call. */
struct visits {
    char text[4096];
    int count;
};

static inline void note_visit(void *context, struct timer_place place, enum timer_state state)
{
    struct visits *visits = context;
    size_t len = strlen(visits->text);
    snprintf(visits->text + len, sizeof(visits->text) - len, "%lld,%lld%s ",
             (long long)place.due_ms, (long long)place.offset,
             state == TIMER_PENDING ? "" : " released");
    visits->count++;
}

static inline struct visits unclaim(struct fixture *f, struct identity who)
{
    struct visits visits = {.count = 0};
    assert_ok(f, timers_unclaim(f->store, who, NULL, note_visit, &visits, &f->err));
    return visits;
}

static inline void assert_verified(struct fixture *f)
{
    assert_ok(f, timers_verify(f->store, &f->err));
}
