/*
 * Random operations on timers against a model: an array in the order of offsets. RIMBALZO_SEED
 * chooses the sequence; a failure prints it. The map starts small, so that transactions are redone.
 */
#include "timers_support.h"

#include "base/clock.h"
#include "base/hash.h"

#define ITEMS_MAX 60000
#define LIVE_MAX 600
#define RECIPIENTS 12
#define IDS 4
#define CONTENT_MAX 20000

struct item {
    int64_t offset, due_ms, log_time_ms;
    struct timer_place until;
    int who, id;
    enum { PENDING, RELEASED, GONE } state;
    uint64_t contribution; /* to the digest */
};

struct model {
    struct fixture *f;
    uint64_t seed, random;
    struct item *items; /* as the open transaction has them; the first `gone` are all GONE */
    size_t count, gone;
    struct item *committed;
    size_t committed_count;
    int64_t next_offset;
    uint64_t digest; /* of the pending ones */
    size_t redone;
    char content[CONTENT_MAX];
};

static uint64_t next_random(struct model *m, uint64_t below)
{
    m->random += 0x9e3779b97f4a7c15ULL;
    return hash_xxh3(&m->random, sizeof(m->random)) % below;
}

static void check(const struct model *m, bool claim, const char *text)
{
    if (!claim)
        fail_msg("%s; seed %llu, offset %lld: %s", text, (unsigned long long)m->seed,
                 (long long)m->next_offset, m->f->err.text);
}

/* E_STORE_MAP_FULL is for the caller; anything else is a failure. */
static enum rcode may_be_full(const struct model *m, enum rcode rc, const char *text)
{
    check(m, rc == OK || rc == E_STORE_MAP_FULL, text);
    return rc;
}

static struct identity person(int number)
{
    static const struct identity people[RECIPIENTS] = {
        {STR(""), STR("a@x")},    {STR(""), STR("a@x.y")}, {STR("t"), STR("a@x")},
        {STR("t"), STR("a@x.y")}, {STR(""), STR("t")},     {STR(""), STR("b@example.org")},
        {STR(""), STR("c@b")},    {STR(""), STR("c@ba")},  {STR(""), STR("c@bb")},
        {STR("c"), STR("c")},     {STR("c"), STR("b")},    {STR(""), STR("\xff")}};
    return people[number];
}

/* Everything but place and state follows from the offset. */
static struct timer timer_of_item(const struct model *m, const struct item *item)
{
    size_t number = (size_t)item->offset;
    struct timer timer = {.offset = item->offset,
                          .due_ms = item->due_ms,
                          .log_time_ms = item->log_time_ms,
                          .until = item->until,
                          .id = {{(unsigned char)item->id}},
                          .who = person(item->who)};
    if (item->state == RELEASED) {
        timer.state = TIMER_RELEASED;
        return timer;
    }
    timer.key = number % 7 == 0 ? STR_NULL : number % 5 == 0 ? STR("other") : timer.who.recipient;
    timer.value = (struct str){m->content + number % 100,
                               number % 41 == 0 ? CONTENT_MAX - 100 : 100 + number % 150};
    timer.headers = (struct str){m->content, number % 3 ? 0 : number % 60};
    return timer;
}

static bool same_timer(const struct timer *a, const struct timer *b)
{
    return a->due_ms == b->due_ms && a->log_time_ms == b->log_time_ms && a->state == b->state &&
           timer_place_compare(a->until, b->until) == 0 && a->id.octets[0] == b->id.octets[0] &&
           str_equal(a->who.tenant, b->who.tenant) &&
           str_equal(a->who.recipient, b->who.recipient) && str_equal(a->key, b->key) &&
           str_equal(a->value, b->value) && a->headers.len == b->headers.len &&
           (!a->headers.len || memcmp(a->headers.data, b->headers.data, a->headers.len) == 0);
}

static struct timer_place place_of(const struct item *item)
{
    return PLACE(item->due_ms, item->offset);
}

/* A random one that is not gone; NULL: none. */
static struct item *choose(struct model *m)
{
    size_t live = m->count - m->gone;
    for (int i = 0; live && i < 20; i++) {
        struct item *item = &m->items[m->gone + next_random(m, live)];
        if (item->state != GONE)
            return item;
    }
    return NULL;
}

static void leave(struct model *m, struct item *item, int state)
{
    if (item->state == PENDING)
        m->digest ^= item->contribution;
    item->state = state;
}

/* --- operations --- */

/* Claims in any order, then puts in the order of offsets, as a batch is. */
static enum rcode add_some(struct model *m)
{
    size_t first = m->count, many = 1 + next_random(m, 20);
    enum rcode rc = OK;
    for (size_t i = 0; i < many; i++) {
        m->next_offset += 1 + (int64_t)next_random(m, 3);
        struct item item = {.offset = m->next_offset,
                            .due_ms = (int64_t)next_random(m, 5000),
                            .log_time_ms = m->next_offset / 2,
                            .who = (int)next_random(m, RECIPIENTS),
                            .id = (int)next_random(m, IDS),
                            .state = next_random(m, 5) ? PENDING : RELEASED};
        item.until = place_of(&item);
        if (next_random(m, 4) == 0)
            item.until = PLACE(item.due_ms + (int64_t)next_random(m, 500), item.offset + 9);
        check(m, m->count < ITEMS_MAX, "room");
        m->items[m->count++] = item;
    }
    size_t stride = many % 7 ? 7 : 1; /* visits each once */
    for (size_t i = 0; rc == OK && i < many; i++) {
        struct timer timer = timer_of_item(m, &m->items[first + i * stride % many]);
        rc = may_be_full(m, timers_claim(m->f->store, &timer, &m->f->err), "claim");
    }
    for (size_t i = first; rc == OK && i < m->count; i++) {
        struct timer timer = timer_of_item(m, &m->items[i]);
        uint64_t before = digest_of(m->f);
        rc = may_be_full(m, timers_put(m->f->store, &timer, &m->f->err), "put");
        if (rc != OK)
            break;
        m->items[i].contribution = before ^ digest_of(m->f);
        check(m, !m->items[i].contribution == (m->items[i].state == RELEASED), "contribution");
        m->digest ^= m->items[i].contribution;
    }
    return rc;
}

struct taking {
    struct model *m;
    int who;
    int64_t offsets[LIVE_MAX * 2];
    size_t count;
};

static void take(void *context, struct timer_place place, enum timer_state state)
{
    struct taking *taking = context;
    struct model *m = taking->m;
    for (size_t i = m->gone; i < m->count; i++) {
        struct item *item = &m->items[i];
        if (item->offset != place.offset)
            continue;
        check(m, item->state == (state == TIMER_PENDING ? PENDING : RELEASED), "unclaim: state");
        check(m, item->due_ms == place.due_ms && item->who == taking->who, "unclaim: whose");
        leave(m, item, GONE);
        taking->offsets[taking->count++] = place.offset;
        return;
    }
    check(m, false, "unclaim: not there");
}

static enum rcode take_out(struct model *m)
{
    struct taking taking = {.m = m, .who = (int)next_random(m, RECIPIENTS)};
    int wanted = (int)next_random(m, 2 * IDS); /* beyond the ids: all of them */
    struct timer_id id = {{(unsigned char)wanted}};
    enum rcode rc =
        may_be_full(m,
                    timers_unclaim(m->f->store, person(taking.who), wanted < IDS ? &id : NULL, take,
                                   &taking, &m->f->err),
                    "unclaim");
    for (size_t i = 0; rc == OK && i < taking.count; i++)
        rc = may_be_full(m, timers_drop(m->f->store, taking.offsets[i], &m->f->err), "drop");
    for (size_t i = m->gone; rc == OK && i < m->count; i++)
        check(m,
              m->items[i].who != taking.who || m->items[i].state == GONE ||
                  (wanted < IDS && m->items[i].id != wanted),
              "unclaim: too few");
    return rc;
}

static int compare_places(const void *a, const void *b)
{
    return timer_place_compare(*(const struct timer_place *)a, *(const struct timer_place *)b);
}

/* Lets the due leave, in order, as a batch does. */
static enum rcode let_leave(struct model *m)
{
    struct timer_place expected[LIVE_MAX * 2], places[64], after = TIMER_PLACE_FIRST;
    struct timer_place over = PLACE((int64_t)next_random(m, 5000), INT64_MAX);
    int64_t due_ms = (int64_t)next_random(m, 5000);
    size_t pending = 0, max = 1 + next_random(m, 64), found = 0;
    if (next_random(m, 3) == 0)
        after = PLACE((int64_t)next_random(m, 5000), (int64_t)next_random(m, 1000));
    for (size_t i = m->gone; i < m->count; i++) {
        struct timer_place place = place_of(&m->items[i]);
        if (m->items[i].state == PENDING && place.due_ms <= due_ms &&
            timer_place_compare(place, after) > 0)
            expected[pending++] = place;
    }
    if (pending)
        qsort(expected, pending, sizeof(expected[0]), compare_places);
    enum rcode rc = may_be_full(
        m, timers_due(m->f->store, after, due_ms, max, places, &found, &m->f->err), "due");
    check(m, found == (pending < max ? pending : max), "due: how many");
    for (size_t i = 0; rc == OK && i < found; i++) {
        check(m, timer_place_compare(places[i], expected[i]) == 0, "due: which");
        struct item *item = &m->items[m->gone];
        while (item->offset != places[i].offset)
            item++;
        leave(m, item, timer_place_compare(item->until, over) <= 0 ? GONE : RELEASED);
        rc = may_be_full(m, release(m->f, item->offset, over), "release");
    }
    return rc;
}

static enum rcode keep_one(struct model *m)
{
    struct item *item = choose(m);
    struct timer_place until =
        PLACE((int64_t)next_random(m, 6000), (int64_t)next_random(m, 1 + (uint64_t)m->next_offset));
    if (!item)
        return OK;
    if (until.due_ms > item->until.due_ms)
        item->until.due_ms = until.due_ms;
    if (until.offset > item->until.offset)
        item->until.offset = until.offset;
    return may_be_full(m, timers_keep(m->f->store, item->offset, until, &m->f->err), "keep");
}

/* The released one that is to be forgotten first; NULL: none. */
static struct item *first_released(struct model *m)
{
    struct item *first = NULL;
    for (size_t i = m->gone; i < m->count; i++) {
        struct item *item = &m->items[i];
        if (item->state == RELEASED && (!first || item->until.due_ms < first->until.due_ms))
            first = item;
    }
    return first;
}

static enum rcode forget_some(struct model *m)
{
    struct timer_place over = PLACE((int64_t)next_random(m, 5000), (int64_t)next_random(m, 9000));
    size_t max = next_random(m, 40);
    for (size_t i = 0; i < max; i++) {
        struct item *item = first_released(m);
        if (!item || timer_place_compare(item->until, over) > 0)
            break;
        item->state = GONE;
    }
    return may_be_full(m, forget(m->f, max, over), "forget");
}

static enum rcode look(struct model *m)
{
    char key_text[RECORD_KEY_MAX];
    struct timer found;
    struct item *item = choose(m);
    if (!item)
        return OK;
    struct timer expected = timer_of_item(m, item);
    check(m, timers_get(m->f->store, item->offset, key_text, &found, &m->f->err) == OK, "get");
    check(m, same_timer(&found, &expected), "get: another");
    struct timer_place last = TIMER_PLACE_FIRST, told;
    for (size_t i = m->gone; i < m->count; i++) {
        const struct item *other = &m->items[i];
        if (other->state != GONE && other->who == item->who && other->id == item->id &&
            timer_place_compare(place_of(other), last) > 0)
            last = place_of(other);
    }
    check(m, timers_find(m->f->store, expected.who, &expected.id, &told, &m->f->err) == OK, "find");
    check(m, timer_place_compare(told, last) == 0, "find: another");
    return OK;
}

/* --- transactions --- */

static void check_bounds(struct model *m)
{
    struct timers_bounds expected = {INT64_MAX, INT64_MAX, INT64_MAX, 0};
    for (size_t i = m->count; i-- > m->gone;) {
        const struct item *item = &m->items[i];
        if (item->state == GONE)
            continue;
        expected.needed_offset = item->offset;
        expected.needed_log_time_ms = item->log_time_ms;
        if (item->state != PENDING)
            continue;
        expected.pending_offset = item->offset;
        if (item->due_ms < expected.next_due_ms)
            expected.next_due_ms = item->due_ms;
    }
    int64_t hint =
        expected.pending_offset == INT64_MAX
            ? 0
            : expected.pending_offset - (int64_t)next_random(m, 1 + (uint64_t)m->items[0].offset);
    struct timers_bounds bounds = bounds_of(m->f, hint > 0 ? hint : 0);
    check(m,
          bounds.next_due_ms == expected.next_due_ms &&
              bounds.pending_offset == expected.pending_offset &&
              bounds.needed_offset == expected.needed_offset &&
              bounds.needed_log_time_ms == expected.needed_log_time_ms,
          "bounds");
}

static void forget_pending(struct model *m)
{
    m->count = m->committed_count;
    memcpy(m->items, m->committed, m->count * sizeof(struct item));
    m->digest = 0;
    for (m->gone = 0; m->gone < m->count && m->items[m->gone].state == GONE;)
        m->gone++;
    for (size_t i = m->gone; i < m->count; i++)
        if (m->items[i].state == PENDING)
            m->digest ^= m->items[i].contribution;
}

static enum rcode operate(struct model *m)
{
    static enum rcode (*const operations[])(struct model * m) = {
        add_some,  add_some, take_out,    let_leave, let_leave,
        let_leave, keep_one, forget_some, look,      look};
    size_t live = m->count - m->gone;
    return operations[live > LIVE_MAX ? 2 + next_random(m, 8) : next_random(m, 10)](m);
}

/* Some operations in one transaction, with more room and again when the map is full. */
static void transact(struct model *m)
{
    uint64_t dice = m->random;
    int64_t offset = m->next_offset;
    enum rcode rc;
    do {
        m->random = dice;
        m->next_offset = offset;
        forget_pending(m);
        rc = store_begin(m->f->store, &m->f->err);
        check(m, rc == OK, "begin");
        /* Now and then so many that a small map cannot hold them. */
        for (uint64_t i = next_random(m, 20) ? 1 + next_random(m, 12) : 100; rc == OK && i > 0; i--)
            rc = operate(m);
        if (rc == E_STORE_MAP_FULL) {
            store_abort(m->f->store);
            check(m, store_grow(m->f->store, &m->f->err) == OK, "cannot grow");
            m->redone++;
        }
    } while (rc == E_STORE_MAP_FULL);
    check(m, rc == OK, "an operation failed");
    uint64_t entries = 0;
    for (size_t i = m->gone; i < m->count; i++)
        entries += m->items[i].state == PENDING;
    check(m, entries == entries_of(m->f) && m->digest == digest_of(m->f), "entries or digest");
    check_bounds(m);
    if (next_random(m, 3) == 0)
        check(m, timers_verify(m->f->store, &m->f->err) == OK, "verify");
}

static void end_transaction(struct model *m)
{
    if (next_random(m, 4) == 0) {
        store_abort(m->f->store);
        return;
    }
    size_t map_size = store_usage(m->f->store).map_size;
    if (store_commit(m->f->store, m->next_offset + 1, 0, 7, &m->f->err) != OK) {
        /* No room for the list of free pages: the transaction is lost, the map has grown. */
        check(m, store_usage(m->f->store).map_size > map_size, "commit");
        return;
    }
    m->committed_count = m->count - m->gone;
    memcpy(m->committed, m->items + m->gone, m->committed_count * sizeof(struct item));
}

/* A crash within a transaction, or a clean close. */
static void reopen(struct model *m)
{
    transact(m);
    if (next_random(m, 3))
        abandon_store(m->f);
    else
        close_store(m->f);
    check(m, try_open(m->f) == OK, "cannot open");
    check(m, !m->f->discarded || strcmp(m->f->discarded, "restart loop") == 0, "discarded");
    if (m->f->discarded)
        m->committed_count = 0;
}

/* Returns how many transactions were redone. */
static size_t run_model(struct fixture *f, uint64_t seed, int rounds)
{
    struct model *m = mem_zalloc(sizeof(*m));
    m->f = f;
    m->seed = m->random = seed;
    m->items = mem_alloc(ITEMS_MAX * sizeof(struct item));
    m->committed = mem_alloc(ITEMS_MAX * sizeof(struct item));
    for (size_t i = 0; i < CONTENT_MAX; i++)
        m->content[i] = (char)(i * 31 % 253);
    f->options.map_size_initial = 1 << 16;
    open_store(f);
    for (int round = 0; round < rounds; round++) {
        transact(m);
        end_transaction(m);
        if (next_random(m, 40) == 0)
            reopen(m);
    }
    size_t redone = m->redone;
    mem_free(m->items);
    mem_free(m->committed);
    mem_free(m);
    return redone;
}

static void random_operations_agree_with_a_model(void **state)
{
    assert_true(run_model(*state, 1, 3000) > 0);
}

static void random_operations_of_another_seed_agree_with_a_model(void **state)
{
    const char *given = getenv("RIMBALZO_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_ms();
    printf("RIMBALZO_SEED=%llu\n", (unsigned long long)seed);
    run_model(*state, seed, 3000);
}

static void random_operations_on_disk_agree_with_a_model(void **state)
{
    ((struct fixture *)*state)->options.durability = STORE_DISK;
    run_model(*state, 2, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        timers_test(random_operations_agree_with_a_model),
        timers_test(random_operations_of_another_seed_agree_with_a_model),
        timers_test(random_operations_on_disk_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
