/* The store of timers: what each function promises (store/timers.h). */
#include "timers_support.h"

#include "domain/address.h"

#define FIRST TIMER_PLACE_FIRST

static void nothing_is_known_of_a_new_store(void **state)
{
    struct fixture *f = *state;
    struct timer_place place;
    size_t count = 7;
    begin_new(f);
    assert_place(find(f, "a@example.org", 1), -1, -1);
    assert_ok(f, timers_due(f->store, FIRST, INT64_MAX, 1, &place, &count, &f->err));
    assert_int_equal(count, 0);
    struct timers_bounds bounds = bounds_of(f, 0);
    assert_int_equal(bounds.next_due_ms, INT64_MAX);
    assert_int_equal(bounds.pending_offset, INT64_MAX);
    assert_int_equal(bounds.needed_offset, INT64_MAX);
    assert_int_equal(unclaim(f, who_of("a@example.org")).count, 0);
    assert_ok(f, forget(f, 10, PLACE(INT64_MAX, INT64_MAX)));
    assert_verified(f);
}

/* --- records --- */

static void assert_same(struct str found, struct str expected)
{
    assert_true(str_equal(found, expected));
}

/* Puts the timer, commits, and wants it back as it was. */
static void comes_back(struct fixture *f, const struct timer *timer)
{
    char key_text[RECORD_KEY_MAX];
    struct timer found;
    assert_ok(f, store_begin(f->store, &f->err));
    add(f, *timer);
    assert_verified(f);
    commit(f, 1);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, timers_get(f->store, timer->offset, key_text, &found, &f->err));
    assert_int_equal(found.offset, timer->offset);
    assert_int_equal(found.due_ms, timer->due_ms);
    assert_int_equal(found.log_time_ms, timer->log_time_ms);
    assert_place(found.until, timer->until.due_ms, timer->until.offset);
    assert_int_equal(found.state, timer->state);
    assert_memory_equal(&found.id, &timer->id, sizeof(found.id));
    assert_same(found.who.tenant, timer->who.tenant);
    assert_same(found.who.recipient, timer->who.recipient);
    assert_same(found.key, timer->key);
    assert_same(found.value, timer->value);
    assert_same(found.headers, timer->headers);
    store_abort(f->store);
}

static void a_timer_comes_back_as_it_was_put(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(0, 0, "a@example.org", 1);
    struct identity acme = {STR("acme"), STR("a@example.org")};
    static const struct str keys[] = {STR_NULL,
                                      STR(""),
                                      STR("a@example.org"),
                                      STR("acme:a@example.org"),
                                      STR("acme:a@example.or"),
                                      STR("nobody\0\xff")};
    open_store(f);
    for (size_t i = 0; i < 2 * sizeof(keys) / sizeof(keys[0]); i++) {
        timer.offset++;
        timer.who = i % 2 ? acme : who_of("a@example.org");
        timer.key = keys[i / 2];
        timer.value = i % 3 ? STR("\0value") : STR("");
        timer.headers = i % 5 ? STR("") : STR("\1\2headers\0");
        comes_back(f, &timer);
    }
    /* The greatest numbers there are. */
    timer.offset = INT64_MAX;
    timer.due_ms = TIME_MAX_MS;
    timer.log_time_ms = INT64_MAX;
    timer.until = PLACE(INT64_MAX, INT64_MAX);
    comes_back(f, &timer);
}

/* Overflow pages: written, rewritten smaller when it leaves, and freed. */
static void a_record_may_be_many_pages(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(1, 100, "a@example.org", 1);
    size_t size = 150000;
    char *octets = mem_alloc(size), key_text[RECORD_KEY_MAX];
    f->options.map_size_initial = 4 << 20;
    for (size_t i = 0; i < size; i++)
        octets[i] = (char)(i * 7 % 251);
    timer.value = (struct str){octets, size};
    timer.headers = (struct str){octets + 1, size - 1};
    timer.key = (struct str){octets + 2, size - 2};
    open_store(f);
    comes_back(f, &timer);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, timers_keep(f->store, 1, PLACE(200, 9), &f->err));
    assert_verified(f);
    struct timer found;
    assert_ok(f, timers_get(f->store, 1, key_text, &found, &f->err));
    assert_same(found.headers, timer.headers);
    assert_ok(f, release(f, 1, FIRST));
    assert_ok(f, timers_get(f->store, 1, key_text, &found, &f->err));
    assert_null(found.value.data);
    assert_verified(f);
    assert_ok(f, forget(f, 1, PLACE(200, 9)));
    assert_verified(f);
    commit(f, 2);
    mem_free(octets);
}

static void entries_and_digest_are_those_of_the_pending(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    add(f, timer_of(1, 100, "a@example.org", 1));
    uint64_t one = digest_of(f);
    assert_true(one != 0);
    add(f, timer_of(2, 100, "a@example.org", 1));
    assert_true(digest_of(f) != 0 && digest_of(f) != one); /* the offset counts */
    struct timer gone = timer_of(3, 100, "a@example.org", 1);
    uint64_t two = digest_of(f);
    gone.state = TIMER_RELEASED;
    gone.key = gone.value = STR_NULL;
    add(f, gone);
    assert_int_equal(entries_of(f), 2);
    assert_true(digest_of(f) == two);
    assert_ok(f, release(f, 2, FIRST));
    assert_int_equal(entries_of(f), 1);
    assert_true(digest_of(f) == one);
    assert_ok(f, release(f, 1, PLACE(INT64_MAX, 0)));
    assert_int_equal(entries_of(f), 0);
    assert_true(digest_of(f) == 0);
    assert_verified(f);
}

static uint64_t digest_with(struct fixture *f, struct timer timer)
{
    assert_ok(f, store_begin(f->store, &f->err));
    add(f, timer);
    uint64_t digest = digest_of(f);
    store_abort(f->store);
    return digest;
}

static void the_digest_tells_contents_apart(void **state)
{
    struct fixture *f = *state;
    struct timer base = timer_of(7, 100, "a@example.org", 1), other[8];
    open_store(f);
    uint64_t digest = digest_with(f, base);
    for (int i = 0; i < 8; i++)
        other[i] = base;
    other[0].offset = 8;
    other[1].due_ms = 101;
    other[2].id.octets[15] = 1;
    other[3].who.tenant = STR("t");
    other[4].who.recipient = STR("a@example.or");
    other[5].key = STR_NULL;
    other[6].value = STR("another record");
    other[7].headers = STR("h");
    for (int i = 0; i < 8; i++)
        assert_true(digest_with(f, other[i]) != digest);
    /* What depends on when it was read, and with what, is no part of it. */
    base.log_time_ms = 77;
    base.until = PLACE(1000, 1000);
    assert_true(digest_with(f, base) == digest);
}

static void offsets_ascend(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(9, 100, "a@example.org", 1);
    static const int64_t offsets[] = {0, 8, 9};
    open_store(f);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(f, store_begin(f->store, &f->err));
        add(f, timer);
        struct timer late = timer_of(offsets[i], 200, "b@example.org", 2);
        assert_ok(f, timers_claim(f->store, &late, &f->err));
        assert_int_equal(timers_put(f->store, &late, &f->err), E_STORE_CORRUPT);
        assert_non_null(strstr(f->err.text, f->path));
        store_abort(f->store);
    }
}

/* --- whose --- */

static void find_tells_the_last_due_of_an_id(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    add(f, timer_of(1, 300, "a@example.org", 1));
    add(f, timer_of(2, 100, "a@example.org", 1));
    add(f, timer_of(3, 300, "a@example.org", 1));
    add(f, timer_of(4, 900, "a@example.org", 2));
    add(f, timer_of(5, 900, "b@example.org", 1));
    assert_place(find(f, "a@example.org", 1), 300, 3);
    assert_place(find(f, "a@example.org", 2), 900, 4);
    assert_place(find(f, "a@example.org", 3), -1, -1);
    /* The remembered count as well. */
    assert_ok(f, release(f, 3, FIRST));
    assert_place(find(f, "a@example.org", 1), 300, 3);
    assert_ok(f, forget(f, 10, PLACE(300, 3)));
    assert_place(find(f, "a@example.org", 1), 300, 1);
}

/* A claim counts before its timer is put: jobs of one batch find each other. */
static void a_claim_is_found_before_it_is_put(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(1, 300, "a@example.org", 1);
    begin_new(f);
    assert_ok(f, timers_claim(f->store, &timer, &f->err));
    assert_place(find(f, "a@example.org", 1), 300, 1);
    assert_int_equal(timers_verify(f->store, &f->err), E_STORE_CORRUPT);
    assert_ok(f, timers_put(f->store, &timer, &f->err));
    assert_verified(f);
}

static void unclaim_takes_all_of_one_recipient(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    add(f, timer_of(1, 300, "a@example.org", 2));
    add(f, timer_of(2, 200, "a@example.org", 1));
    add(f, timer_of(3, 100, "b@example.org", 1));
    add(f, timer_of(4, 200, "a@example.org", 2));
    assert_ok(f, release(f, 2, FIRST));
    struct visits visits = unclaim(f, who_of("a@example.org"));
    assert_string_equal(visits.text, "200,2 released 300,1 200,4 ");
    assert_int_equal(unclaim(f, who_of("a@example.org")).count, 0);
    assert_place(find(f, "a@example.org", 1), -1, -1);
    assert_place(find(f, "b@example.org", 1), 100, 3);
    assert_int_equal(timers_verify(f->store, &f->err), E_STORE_CORRUPT);
    for (int64_t offset = 1; offset <= 4; offset++)
        if (offset != 3)
            assert_ok(f, timers_drop(f->store, offset, &f->err));
    assert_verified(f);
    assert_int_equal(entries_of(f), 1);
}

static void unclaim_takes_all_of_one_id(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(1, 300, "a@example.org", 1);
    struct visits visits = {.count = 0};
    begin_new(f);
    add(f, timer);
    add(f, timer_of(2, 200, "a@example.org", 2));
    add(f, timer_of(3, 100, "b@example.org", 1));
    add(f, timer_of(4, 200, "a@example.org", 1));
    assert_ok(f, timers_unclaim(f->store, timer.who, &timer.id, note_visit, &visits, &f->err));
    assert_string_equal(visits.text, "300,1 200,4 ");
    assert_place(find(f, "a@example.org", 1), -1, -1);
    assert_place(find(f, "a@example.org", 2), 200, 2);
    assert_place(find(f, "b@example.org", 1), 100, 3);
    assert_ok(f, timers_drop(f->store, 1, &f->err));
    assert_ok(f, timers_drop(f->store, 4, &f->err));
    assert_verified(f);
}

/* Recipients whose keys are prefixes of others', tenants that look like addresses. */
static void similar_recipients_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    static const struct identity people[] = {
        {STR(""), STR("a@x")},    {STR(""), STR("a@x.y")},   {STR(""), STR("a@")},
        {STR("a"), STR("a@x")},   {STR("a"), STR("a@x.y")},  {STR("a@x"), STR("a")},
        {STR(""), STR("a")},      {STR("a"), STR("a")},      {STR("a"), STR("b")},
        {STR("aa"), STR("a")},    {STR(""), STR("a:a@x")},   {STR(""), STR("\xff")},
        {STR(""), STR("\xff\1")}, {STR("\xff"), STR("\xff")}};
    const int count = sizeof(people) / sizeof(people[0]);
    begin_new(f);
    for (int i = 0; i < 2 * count; i++) {
        struct timer timer = timer_of(i, 1000 + i, "", 0);
        /* Ids whose octets look like what may follow an address. */
        memset(timer.id.octets, i / count ? 0xff : 0, TIMER_ID_SIZE);
        timer.who = people[i % count];
        add(f, timer);
    }
    assert_verified(f);
    for (int i = 0; i < count; i++) {
        char expected[64];
        struct timer_place last;
        struct timer_id id = {{0}};
        assert_ok(f, timers_find(f->store, people[i], &id, &last, &f->err));
        assert_place(last, 1000 + i, i);
        snprintf(expected, sizeof(expected), "%d,%d %d,%d ", 1000 + i, i, 1000 + count + i,
                 count + i);
        assert_string_equal(unclaim(f, people[i]).text, expected);
    }
}

static void the_longest_recipient_has_room(void **state)
{
    struct fixture *f = *state;
    char tenant[TENANT_MAX + 1], recipient[RECIPIENT_MAX + 1], key_text[RECORD_KEY_MAX];
    memset(tenant, 't', sizeof(tenant));
    memset(recipient, 'r', sizeof(recipient));
    struct timer timer = timer_of(1, 100, "", 1);
    timer.who = (struct identity){{tenant, TENANT_MAX}, {recipient, RECIPIENT_MAX}};
    timer.key = (struct str){key_text, identity_key(timer.who, key_text)};
    assert_int_equal(timer.key.len, RECORD_KEY_MAX);
    open_store(f);
    comes_back(f, &timer);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, release(f, 1, FIRST));
    assert_verified(f);
    assert_ok(f, forget(f, 1, PLACE(100, 1)));
    assert_verified(f);
    add(f, timer);
    assert_int_equal(unclaim(f, timer.who).count, 1);
}

static void what_is_no_recipient_is_refused(void **state)
{
    struct fixture *f = *state;
    char tenant[TENANT_MAX + 1], recipient[RECIPIENT_MAX + 1];
    memset(tenant, 't', sizeof(tenant));
    memset(recipient, 'r', sizeof(recipient));
    const struct identity people[] = {
        {STR(""), STR("")},     {STR("t"), STR("")},
        {STR(""), STR("a\0b")}, {STR("t\0t"), STR("a")},
        {STR("\0"), STR("a")},  {{tenant, sizeof(tenant)}, STR("a")},
        {STR(""), STR("\0")},   {STR(""), {recipient, sizeof(recipient)}}};
    begin_new(f);
    for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
        struct timer timer = timer_of(1, 100, "", 1);
        struct timer_place last;
        struct visits visits = {.count = 0};
        timer.who = people[i];
        assert_int_equal(timers_claim(f->store, &timer, &f->err), E_BUG);
        assert_int_equal(timers_find(f->store, timer.who, &timer.id, &last, &f->err), E_BUG);
        assert_int_equal(timers_unclaim(f->store, timer.who, NULL, note_visit, &visits, &f->err),
                         E_BUG);
    }
}

/* --- leaving --- */

static void assert_due(struct fixture *f, struct timer_place after, int64_t due_ms, size_t max,
                       const char *expected)
{
    struct timer_place places[16];
    char text[400] = "";
    size_t count = 99;
    assert_true(max <= 16);
    assert_ok(f, timers_due(f->store, after, due_ms, max, places, &count, &f->err));
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%lld,%lld ",
                 (long long)places[i].due_ms, (long long)places[i].offset);
    assert_string_equal(text, expected);
}

static void the_due_come_in_the_order_of_places(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    add(f, timer_of(0, 300, "a@example.org", 1));
    add(f, timer_of(1, 0, "b@example.org", 1));
    add(f, timer_of(2, 300, "c@example.org", 1));
    add(f, timer_of(3, 70000, "d@example.org", 1));
    add(f, timer_of(4, 299, "e@example.org", 1));
    add(f, timer_of(256, 300, "f@example.org", 1));
    assert_due(f, FIRST, INT64_MAX, 16, "0,1 299,4 300,0 300,2 300,256 70000,3 ");
    assert_due(f, FIRST, 300, 16, "0,1 299,4 300,0 300,2 300,256 ");
    assert_due(f, FIRST, 299, 16, "0,1 299,4 ");
    assert_due(f, FIRST, 300, 3, "0,1 299,4 300,0 ");
    assert_due(f, FIRST, 300, 0, "");
    assert_due(f, FIRST, -1, 16, "");
    assert_due(f, PLACE(0, 1), 300, 2, "299,4 300,0 ");
    assert_due(f, PLACE(300, 0), 300, 16, "300,2 300,256 ");
    assert_due(f, PLACE(300, 1), 300, 16, "300,2 300,256 "); /* a place that nobody has */
    assert_due(f, PLACE(300, 256), 300, 16, "");
    assert_due(f, PLACE(70000, 3), INT64_MAX, 16, "");
    assert_ok(f, release(f, 4, FIRST));
    assert_due(f, FIRST, 300, 16, "0,1 300,0 300,2 300,256 ");
}

static void what_has_left_is_remembered_until_it_is_over(void **state)
{
    struct fixture *f = *state;
    char key_text[RECORD_KEY_MAX];
    struct timer found;
    begin_new(f);
    add(f, timer_of(1, 100, "a@example.org", 1));
    assert_ok(f, release(f, 1, PLACE(100, 0)));
    assert_place(find(f, "a@example.org", 1), 100, 1);
    assert_ok(f, timers_get(f->store, 1, key_text, &found, &f->err));
    assert_int_equal(found.state, TIMER_RELEASED);
    assert_int_equal(found.log_time_ms, 5);
    assert_null(found.key.data);
    assert_null(found.value.data);
    assert_null(found.headers.data);
    assert_verified(f);
    assert_int_equal(release(f, 1, PLACE(100, 0)), E_STORE_CORRUPT); /* it has left */
    store_abort(f->store);
    assert_ok(f, store_begin(f->store, &f->err));
    add(f, timer_of(1, 100, "a@example.org", 1));
    assert_ok(f, release(f, 1, PLACE(100, 1)));
    assert_place(find(f, "a@example.org", 1), -1, -1);
    assert_int_equal(timers_get(f->store, 1, key_text, &found, &f->err), E_STORE_CORRUPT);
    assert_verified(f);
}

static void what_is_not_there_cannot_leave(void **state)
{
    struct fixture *f = *state;
    char key_text[RECORD_KEY_MAX];
    struct timer found;
    begin_new(f);
    add(f, timer_of(1, 100, "a@example.org", 1));
    assert_int_equal(release(f, 2, FIRST), E_STORE_CORRUPT);
    assert_int_equal(timers_drop(f->store, 0, &f->err), E_STORE_CORRUPT);
    assert_int_equal(timers_keep(f->store, 2, PLACE(1, 1), &f->err), E_STORE_CORRUPT);
    assert_int_equal(timers_get(f->store, 2, key_text, &found, &f->err), E_STORE_CORRUPT);
    assert_verified(f);
}

static void forgetting_goes_by_due_times_and_stops_where_it_must(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    for (int i = 0; i < 6; i++) {
        add(f, timer_of(i, 600 - 100 * i, "a@example.org", i));
        assert_ok(f, release(f, i, FIRST));
    }
    assert_ok(f, forget(f, 0, PLACE(INT64_MAX, 0)));
    assert_place(find(f, "a@example.org", 5), 100, 5);
    assert_ok(f, forget(f, 10, PLACE(200, 3)));
    assert_place(find(f, "a@example.org", 5), -1, -1);
    assert_place(find(f, "a@example.org", 4), 200, 4); /* beyond the place by its offset */
    assert_ok(f, forget(f, 2, PLACE(INT64_MAX, 0)));
    assert_place(find(f, "a@example.org", 3), -1, -1);
    assert_place(find(f, "a@example.org", 2), 400, 2);
    assert_verified(f);
    assert_ok(f, forget(f, 100, PLACE(INT64_MAX, 0)));
    assert_int_equal(bounds_of(f, 0).needed_offset, INT64_MAX);
    assert_verified(f);
}

/* `until` is beyond all of them, it only rises, pending or released, and the record is as it was.
 */
static void keep_puts_forgetting_off(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(1, 100, "a@example.org", 1);
    begin_new(f);
    timer.headers = STR("headers");
    timer.key = STR("other");
    add(f, timer);
    uint64_t digest = digest_of(f);
    assert_ok(f, timers_keep(f->store, 1, PLACE(300, 2), &f->err));
    assert_ok(f, timers_keep(f->store, 1, PLACE(200, 9), &f->err));
    assert_ok(f, timers_keep(f->store, 1, PLACE(300, 8), &f->err));
    assert_ok(f, timers_keep(f->store, 1, PLACE(100, 1), &f->err));
    assert_true(digest_of(f) == digest && entries_of(f) == 1);
    assert_verified(f);
    char key_text[RECORD_KEY_MAX];
    struct timer found;
    assert_ok(f, timers_get(f->store, 1, key_text, &found, &f->err));
    assert_place(found.until, 300, 9);
    assert_same(found.key, timer.key);
    assert_same(found.value, timer.value);
    assert_same(found.headers, timer.headers);
    assert_ok(f, release(f, 1, PLACE(300, 8)));
    assert_ok(f, timers_keep(f->store, 1, PLACE(500, 7), &f->err));
    assert_verified(f);
    add(f, timer_of(2, 400, "a@example.org", 2));
    assert_ok(f, release(f, 2, FIRST));
    assert_ok(f, forget(f, 10, PLACE(500, 8)));
    assert_place(find(f, "a@example.org", 2), -1, -1);
    assert_place(find(f, "a@example.org", 1), 100, 1);
    assert_ok(f, forget(f, 10, PLACE(500, 9)));
    assert_place(find(f, "a@example.org", 1), -1, -1);
    assert_verified(f);
}

static void bounds_are_those_of_pending_and_of_all(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    for (int i = 0; i < 5; i++) {
        struct timer timer = timer_of(10 + i, 500 - i, "a@example.org", i);
        timer.log_time_ms = 1000 + i;
        add(f, timer);
    }
    struct timers_bounds bounds = bounds_of(f, 0);
    assert_int_equal(bounds.next_due_ms, 496);
    assert_int_equal(bounds.pending_offset, 10);
    assert_int_equal(bounds.needed_offset, 10);
    assert_int_equal(bounds.needed_log_time_ms, 1000);
    assert_ok(f, release(f, 14, FIRST));
    assert_ok(f, release(f, 10, FIRST));
    assert_ok(f, release(f, 11, PLACE(INT64_MAX, 0)));
    for (int64_t hint = 0; hint <= 12; hint++) {
        bounds = bounds_of(f, hint);
        assert_int_equal(bounds.next_due_ms, 497);
        assert_int_equal(bounds.pending_offset, 12);
        assert_int_equal(bounds.needed_offset, 10);
        assert_int_equal(bounds.needed_log_time_ms, 1000);
    }
    assert_ok(f, forget(f, 10, PLACE(INT64_MAX, 0)));
    bounds = bounds_of(f, 12);
    assert_int_equal(bounds.needed_offset, 12);
    assert_int_equal(bounds.needed_log_time_ms, 1002);
}

/* --- a store of the other kind --- */

static void timers_survive_a_close_and_a_crash(void **state)
{
    struct fixture *f = *state;
    begin_new(f);
    add(f, timer_of(1, 100, "a@example.org", 1));
    add(f, timer_of(2, 200, "a@example.org", 2));
    assert_ok(f, release(f, 1, FIRST));
    commit(f, 3);
    uint64_t digest = store_meta(f->store)->digest;
    for (int i = 0; i < 2; i++) {
        if (i)
            close_store(f);
        else
            abandon_store(f);
        open_store(f);
        assert_null(f->discarded);
        assert_int_equal(store_meta(f->store)->entries, 1);
        assert_true(store_meta(f->store)->digest == digest);
        assert_ok(f, store_begin(f->store, &f->err));
        assert_verified(f);
        assert_place(find(f, "a@example.org", 1), 100, 1);
        store_abort(f->store);
    }
    assert_ok(f, store_reset(f->store, &f->err));
    assert_ok(f, store_begin(f->store, &f->err));
    assert_int_equal(bounds_of(f, 0).needed_offset, INT64_MAX);
    assert_verified(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        timers_test(nothing_is_known_of_a_new_store),
        timers_test(a_timer_comes_back_as_it_was_put),
        timers_test(a_record_may_be_many_pages),
        timers_test(entries_and_digest_are_those_of_the_pending),
        timers_test(the_digest_tells_contents_apart),
        timers_test(offsets_ascend),
        timers_test(find_tells_the_last_due_of_an_id),
        timers_test(a_claim_is_found_before_it_is_put),
        timers_test(unclaim_takes_all_of_one_recipient),
        timers_test(unclaim_takes_all_of_one_id),
        timers_test(similar_recipients_are_kept_apart),
        timers_test(the_longest_recipient_has_room),
        timers_test(what_is_no_recipient_is_refused),
        timers_test(the_due_come_in_the_order_of_places),
        timers_test(what_has_left_is_remembered_until_it_is_over),
        timers_test(what_is_not_there_cannot_leave),
        timers_test(forgetting_goes_by_due_times_and_stops_where_it_must),
        timers_test(keep_puts_forgetting_off),
        timers_test(bounds_are_those_of_pending_and_of_all),
        timers_test(timers_survive_a_close_and_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
