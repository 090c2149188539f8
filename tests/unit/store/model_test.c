/*
 * Random operations against a model: an array of recipients in key order with the number of the
 * value each has. RIMBALZO_SEED chooses the sequence; a failure prints it.
 */
#include "store_support.h"

#include "base/clock.h"
#include "base/hash.h"
#include "domain/address.h"

#define UNIVERSE 3000
#define OPERATIONS_MAX 4000
#define VALUE_MAX 3000

struct person {
    char tenant[8], recipient[48];
    unsigned committed, pending; /* number of the value, 0: none */
};

struct operation {
    enum { GET, PUT, DELETE } kind;
    size_t person;
    unsigned value;
};

struct model {
    struct fixture *f;
    uint64_t seed, random;
    struct person people[UNIVERSE]; /* in key order */
    struct operation operations[OPERATIONS_MAX];
    unsigned values; /* numbers given so far */
    int64_t position;
    size_t growths;
    size_t refusals; /* commits that found the map full */
};

static uint64_t next_random(struct model *m, uint64_t below)
{
    m->random += 0x9e3779b97f4a7c15ULL;
    return hash_xxh3(&m->random, sizeof(m->random)) % below;
}

static struct identity who(const struct person *person)
{
    return (struct identity){str_of(person->tenant), str_of(person->recipient)};
}

static int compare_people(const void *a, const void *b)
{
    return store_key_compare(who(a), who(b));
}

static void make_people(struct model *m)
{
    for (size_t i = 0; i < UNIVERSE; i++) {
        struct person *person = &m->people[i];
        snprintf(person->tenant, sizeof(person->tenant), "%s", i % 5 == 0 ? "acme" : "");
        snprintf(person->recipient, sizeof(person->recipient), "p%zu@d%zu.example", i, i % 37);
    }
    qsort(m->people, UNIVERSE, sizeof(m->people[0]), compare_people);
}

/* What value number `number` looks like: mostly some 250 octets, sometimes empty or several pages.
 */
static struct str value_of(unsigned number, char buffer[VALUE_MAX * 4])
{
    size_t len = number % 97 == 0   ? VALUE_MAX * 4
                 : number % 31 == 0 ? VALUE_MAX
                 : number % 13 == 0 ? 0
                                    : 240 + number % 20;
    memset(buffer, (int)(number % 251), len);
    memcpy(buffer, &number, len < sizeof(number) ? len : sizeof(number));
    return (struct str){buffer, len};
}

static unsigned char kind_of(unsigned number)
{
    return (unsigned char)(number % STORE_KINDS);
}

static void check(const struct model *m, bool claim, const char *text)
{
    if (!claim)
        fail_msg("%s; seed %llu, position %lld: %s", text, (unsigned long long)m->seed,
                 (long long)m->position, m->f->err.text);
}

static void check_value(const struct model *m, struct str found, unsigned number)
{
    char buffer[VALUE_MAX * 4];
    check(m, str_equal(found, number ? value_of(number, buffer) : STR_NULL), "wrong value");
}

static enum rcode apply(struct model *m, const struct operation *operation)
{
    struct fixture *f = m->f;
    struct person *person = &m->people[operation->person];
    char buffer[VALUE_MAX * 4];
    struct str found;
    enum rcode rc = OK;
    switch (operation->kind) {
    case GET:
        rc = store_get(f->store, who(person), &found, &f->err);
        if (rc == OK)
            check_value(m, found, person->pending);
        break;
    case PUT:
        rc = store_put(f->store, who(person), value_of(operation->value, buffer),
                       kind_of(operation->value), &f->err);
        person->pending = operation->value;
        break;
    case DELETE:
        rc = store_delete(f->store, who(person), &f->err);
        person->pending = 0;
        break;
    }
    return rc;
}

static void forget_pending(struct model *m)
{
    for (size_t i = 0; i < UNIVERSE; i++)
        m->people[i].pending = m->people[i].committed;
}

/* Applies all in one transaction, growing the map and starting again when it is full. */
static void apply_all(struct model *m, size_t count)
{
    enum rcode rc;
    do {
        forget_pending(m);
        rc = store_begin(m->f->store, &m->f->err);
        for (size_t i = 0; rc == OK && i < count; i++)
            rc = apply(m, &m->operations[i]);
        if (rc == E_STORE_MAP_FULL) {
            store_abort(m->f->store);
            check(m, store_grow(m->f->store, &m->f->err) == OK, "cannot grow");
            m->growths++;
        }
    } while (rc == E_STORE_MAP_FULL);
    check(m, rc == OK, "an operation failed");
}

/* How many of each kind the store says there are, as of the last commit. */
static void check_kinds(const struct model *m)
{
    uint64_t kinds[STORE_KINDS] = {0};
    for (size_t i = 0; i < UNIVERSE; i++)
        if (m->people[i].committed)
            kinds[kind_of(m->people[i].committed)]++;
    check(m, memcmp(kinds, store_meta(m->f->store)->kinds, sizeof(kinds)) == 0, "kinds");
}

static size_t choose_operations(struct model *m)
{
    size_t count = next_random(m, 10) ? next_random(m, 200) : next_random(m, OPERATIONS_MAX);
    bool ascending = next_random(m, 2);
    size_t person = 0;
    for (size_t i = 0; i < count; i++) {
        person = ascending ? (person + next_random(m, 4)) % UNIVERSE : next_random(m, UNIVERSE);
        uint64_t kind = next_random(m, 10);
        m->operations[i] = (struct operation){
            .kind = kind < 4   ? GET
                    : kind < 8 ? PUT
                               : DELETE,
            .person = person,
            .value = ++m->values,
        };
    }
    return count;
}

static void digest_of_model(const struct model *m, uint64_t *ret_entries, uint64_t *ret_digest)
{
    *ret_entries = *ret_digest = 0;
    for (size_t i = 0; i < UNIVERSE; i++) {
        const struct person *person = &m->people[i];
        if (!person->pending)
            continue;
        char key[RECORD_KEY_MAX], buffer[VALUE_MAX * 4];
        struct str octets = {key, identity_key(who(person), key)};
        *ret_digest ^= hash_record(octets, value_of(person->pending, buffer));
        ++*ret_entries;
    }
}

struct expectation {
    const struct model *m;
    size_t next;
};

static enum rcode expect_next(void *context, struct identity found, struct str value,
                              struct err *err)
{
    struct expectation *expected = context;
    const struct model *m = expected->m;
    (void)err;
    while (expected->next < UNIVERSE && !m->people[expected->next].pending)
        expected->next++;
    check(m, expected->next < UNIVERSE, "scan finds too much");
    const struct person *person = &m->people[expected->next++];
    check(m, store_key_compare(found, who(person)) == 0, "scan finds another");
    check_value(m, value, person->pending);
    return OK;
}

static void check_scan(struct model *m)
{
    struct expectation expected = {m, 0};
    struct store_cursor cursor = {0};
    do {
        size_t max = 1 + next_random(m, 500);
        check(m, store_scan(m->f->store, &cursor, max, expect_next, &expected, &m->f->err) == OK,
              "scan");
    } while (cursor.len);
    while (expected.next < UNIVERSE && !m->people[expected.next].pending)
        expected.next++;
    check(m, expected.next == UNIVERSE, "scan finds too little");
}

static void end_transaction(struct model *m)
{
    struct fixture *f = m->f;
    if (next_random(m, 4) == 0) {
        store_abort(f->store);
        forget_pending(m);
        return;
    }
    uint64_t map_size = store_usage(f->store).map_size;
    m->position++;
    enum rcode rc = store_commit(f->store, m->position, m->position, m->position, &f->err);
    if (rc ==
        E_STORE) { /* no room for the list of free pages: nothing of it is kept, the file grew */
        check(m, store_usage(f->store).map_size > map_size, "commit");
        m->position--;
        m->refusals++;
        forget_pending(m);
        return;
    }
    check(m, rc == OK, "commit");
    for (size_t i = 0; i < UNIVERSE; i++)
        m->people[i].committed = m->people[i].pending;
}

/* A clean close or a crash, perhaps within a transaction. */
static void reopen(struct model *m)
{
    struct fixture *f = m->f;
    if (next_random(m, 2)) {
        apply_all(m, choose_operations(m));
        forget_pending(m);
    }
    if (next_random(m, 2))
        close_store(f);
    else
        abandon_store(f);
    check(m, try_open(f) == OK, "cannot open");
    check(m, !f->discarded || strcmp(f->discarded, "restart loop") == 0, "discarded");
    if (f->discarded) {
        for (size_t i = 0; i < UNIVERSE; i++)
            m->people[i].committed = 0;
        m->position = 0;
    }
    forget_pending(m);
    check(m, store_verify(f->store, &f->err) == OK, "verify");
    check(m, store_meta(f->store)->input_next == m->position, "position");
}

/* How many commits found the map full. */
static size_t run_model(struct fixture *f, uint64_t seed, enum store_durability durability)
{
    struct model *m = mem_zalloc(sizeof(*m));
    m->f = f;
    m->seed = m->random = seed;
    f->options.durability = durability;
    f->options.map_size_initial = 1 << 18;
    make_people(m);
    open_store(f);
    for (int round = 0; round < 300; round++) {
        uint64_t entries, digest, entries_expected, digest_expected;
        apply_all(m, choose_operations(m));
        store_pending(f->store, &entries, &digest);
        digest_of_model(m, &entries_expected, &digest_expected);
        check(m, entries == entries_expected && digest == digest_expected, "digest");
        if (round % 10 == 0)
            check_scan(m);
        end_transaction(m);
        check_kinds(m);
        if (next_random(m, 12) == 0)
            reopen(m);
        check_kinds(m);
    }
    check(m, store_verify(f->store, &f->err) == OK, "verify");
    assert_true(m->growths + m->refusals > 0);
    size_t refusals = m->refusals;
    mem_free(m);
    return refusals;
}

static uint64_t seed_of_run(void)
{
    const char *given = getenv("RIMBALZO_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_ms();
    printf("RIMBALZO_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void random_operations_agree_with_a_model(void **state)
{
    run_model(*state, 1, STORE_REBUILD);
}

static void random_operations_of_another_seed_agree_with_a_model(void **state)
{
    run_model(*state, seed_of_run(), STORE_REBUILD);
}

static void a_commit_that_finds_the_map_full_changes_nothing(void **state)
{
    assert_true(run_model(*state, 1795647295592, STORE_REBUILD) > 0);
}

static void random_operations_on_disk_agree_with_a_model(void **state)
{
    run_model(*state, 2, STORE_DISK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(random_operations_agree_with_a_model),
        store_test(random_operations_of_another_seed_agree_with_a_model),
        store_test(a_commit_that_finds_the_map_full_changes_nothing),
        store_test(random_operations_on_disk_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
