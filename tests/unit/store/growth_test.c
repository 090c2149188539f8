/* The map grows: before a transaction, and when one fills it. */
#include "store_support.h"

#include <sys/stat.h>

#define MANY 200000

static void name_and_value(int i, char recipient[64], char value[256])
{
    snprintf(recipient, 64, "user%06d@domain%02d.example", i, i % 50);
    memset(value, 'a' + i % 26, 250);
    snprintf(value + 240, 16, "%d", i);
}

static enum rcode put_range(struct fixture *f, int from, int to)
{
    char recipient[64], value[256];
    enum rcode rc = OK;
    for (int i = from; rc == OK && i < to; i++) {
        name_and_value(i, recipient, value);
        rc = store_put(f->store, who_of(recipient), str_of(value), 0, &f->err);
    }
    return rc;
}

static void a_full_map_is_an_error_and_growing_redoes_the_batch(void **state)
{
    struct fixture *f = *state;
    int redone = 0;
    open_store(f);
    put_and_commit(f, "first@example.org", "kept", 1);
    assert_ok(f, store_begin(f->store, &f->err));
    enum rcode rc;
    while ((rc = put_range(f, 0, 20000)) == E_STORE_MAP_FULL) {
        store_abort(f->store);
        assert_int_equal(store_meta(f->store)->entries, 1);
        assert_ok(f, store_verify(f->store, &f->err));
        assert_ok(f, store_grow(f->store, &f->err));
        assert_ok(f, store_begin(f->store, &f->err));
        redone++;
    }
    assert_ok(f, rc);
    commit(f, 2);
    assert_true(redone >= 3);
    assert_int_equal(store_meta(f->store)->entries, 20001);
    assert_value(f, "first@example.org", "kept");
    store_abort(f->store);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void the_map_grows_before_it_is_full(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    uint64_t before = store_usage(f->store).map_size;
    for (int i = 0; i < 100; i++) {
        assert_ok(f, store_begin(f->store, &f->err));
        struct store_usage usage = store_usage(f->store);
        assert_true(usage.used * 4 <= usage.map_size * 3);
        assert_ok(f, put_range(f, i * 100, i * 100 + 100));
        commit(f, i);
    }
    assert_true(store_usage(f->store).map_size >= before * 4);
    assert_int_equal(store_meta(f->store)->entries, 10000);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void a_grown_map_stays_grown(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    char path[512];
    open_store(f);
    assert_ok(f, store_grow(f->store, &f->err));
    assert_ok(f, store_grow(f->store, &f->err));
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, put_range(f, 0, 3000));
    commit(f, 1);
    uint64_t size = store_usage(f->store).map_size;
    assert_int_equal(size, 4 << 20);
    close_store(f);
    open_store(f);
    assert_int_equal(store_usage(f->store).map_size, size);
    path_in(f, "data.mdb", path, sizeof(path));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, size);
    assert_true(status.st_blocks * 512 >= status.st_size);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void many_entries(struct fixture *f)
{
    open_store(f);
    enum rcode rc;
    for (int from = 0; from < MANY; from += 50000) {
        assert_ok(f, store_begin(f->store, &f->err));
        while ((rc = put_range(f, from, from + 50000)) == E_STORE_MAP_FULL) {
            store_abort(f->store);
            assert_ok(f, store_grow(f->store, &f->err));
            assert_ok(f, store_begin(f->store, &f->err));
        }
        assert_ok(f, rc);
        commit(f, from);
    }
    close_store(f);
    open_store(f);
    assert_null(f->discarded);
    assert_int_equal(store_meta(f->store)->entries, MANY);
    assert_ok(f, store_verify(f->store, &f->err));
    for (int i = 0; i < MANY; i += 997) {
        char recipient[64], value[256];
        name_and_value(i, recipient, value);
        assert_value(f, recipient, value);
    }
    store_abort(f->store);
}

static void two_hundred_thousand_entries_are_kept(void **state)
{
    many_entries(*state);
}

static void two_hundred_thousand_entries_are_kept_on_disk(void **state)
{
    struct fixture *f = *state;
    f->options.durability = STORE_DISK;
    many_entries(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_full_map_is_an_error_and_growing_redoes_the_batch),
        store_test(the_map_grows_before_it_is_full),
        store_test(a_grown_map_stays_grown),
        store_test(two_hundred_thousand_entries_are_kept),
        store_test(two_hundred_thousand_entries_are_kept_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
