#include "store_support.h"

#include "base/hash.h"

static void new_store_is_empty(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    const struct store_meta *meta = store_meta(f->store);
    assert_null(f->discarded);
    assert_int_equal(meta->entries, 0);
    assert_int_equal(meta->digest, 0);
    assert_int_equal(meta->sequence, 0);
    assert_int_equal(meta->input_next, 0);
    assert_int_equal(meta->changelog_next, 0);
    assert_true(meta->stream_time_ms == TIME_NULL);
    assert_value(f, "a@example.org", NULL);
}

static void entries_are_found_replaced_and_deleted(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    put_and_commit(f, "a@example.org", "one", 1);
    assert_value(f, "a@example.org", "one");
    put(f, "a@example.org", "two");
    assert_value(f, "a@example.org", "two");
    put(f, "a@example.org", "another size");
    put(f, "b@example.org", "");
    assert_value(f, "a@example.org", "another size");
    assert_value(f, "b@example.org", "");
    commit(f, 2);
    assert_int_equal(store_meta(f->store)->entries, 2);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, store_delete(f->store, who_of("a@example.org"), &f->err));
    assert_ok(f, store_delete(f->store, who_of("a@example.org"), &f->err));
    assert_ok(f, store_delete(f->store, who_of("nobody@example.org"), &f->err));
    assert_value(f, "a@example.org", NULL);
    commit(f, 3);
    assert_int_equal(store_meta(f->store)->entries, 1);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void tenants_do_not_share_entries(void **state)
{
    struct fixture *f = *state;
    struct identity other = {STR("acme"), STR("a@example.org")};
    struct str found;
    open_store(f);
    put_and_commit(f, "a@example.org", "mine", 1);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, store_get(f->store, other, &found, &f->err));
    assert_null(found.data);
    assert_ok(f, store_put(f->store, other, STR("theirs"), 1, &f->err));
    commit(f, 2);
    assert_value(f, "a@example.org", "mine");
    store_abort(f->store);
    assert_int_equal(store_meta(f->store)->digest,
                     hash_record(STR("a@example.org"), STR("mine")) ^
                         hash_record(STR("acme:a@example.org"), STR("theirs")));
    assert_ok(f, store_verify(f->store, &f->err));
}

static void digest_is_of_changelog_records(void **state)
{
    struct fixture *f = *state;
    uint64_t entries, digest;
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "a@example.org", "old");
    put(f, "a@example.org", "new");
    put(f, "b@example.org", "b");
    store_pending(f->store, &entries, &digest);
    assert_int_equal(entries, 2);
    assert_int_equal(digest, hash_record(STR("a@example.org"), STR("new")) ^
                                 hash_record(STR("b@example.org"), STR("b")));
    assert_int_equal(store_meta(f->store)->entries, 0);
    commit(f, 1);
    assert_int_equal(store_meta(f->store)->entries, entries);
    assert_int_equal(store_meta(f->store)->digest, digest);
}

static void aborting_leaves_the_last_commit(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    put_and_commit(f, "a@example.org", "kept", 1);
    struct store_meta before = *store_meta(f->store);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "a@example.org", "dropped");
    put(f, "b@example.org", "dropped");
    store_abort(f->store);
    store_abort(f->store); /* no transaction: nothing happens */
    assert_memory_equal(store_meta(f->store), &before, sizeof(before));
    assert_value(f, "a@example.org", "kept");
    assert_value(f, "b@example.org", NULL);
    store_abort(f->store);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void a_look_up_is_forgotten_with_its_transaction(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    put_and_commit(f, "a@example.org", "one", 1);
    assert_value(f, "a@example.org", "one");
    store_abort(f->store);
    put_and_commit(f, "a@example.org", "two", 2);
    assert_value(f, "b@example.org", NULL);
    commit(f, 3);
    put_and_commit(f, "b@example.org", "b", 4);
    assert_value(f, "a@example.org", "two");
    store_abort(f->store);
    assert_int_equal(store_meta(f->store)->entries, 2);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void positions_alone_can_be_committed(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    put_and_commit(f, "a@example.org", "a", 1);
    uint64_t digest = store_meta(f->store)->digest;
    assert_ok(f, store_begin(f->store, &f->err));
    commit(f, 50);
    close_store(f);
    open_store(f);
    const struct store_meta *meta = store_meta(f->store);
    assert_null(f->discarded);
    assert_int_equal(meta->input_next, 50);
    assert_int_equal(meta->changelog_next, 100);
    assert_int_equal(meta->stream_time_ms, 150);
    assert_int_equal(meta->sequence, 2);
    assert_int_equal(meta->entries, 1);
    assert_int_equal(meta->digest, digest);
}

static void a_value_may_come_from_the_store_itself(void **state)
{
    struct fixture *f = *state;
    struct str found;
    open_store(f);
    put_and_commit(f, "a@example.org", "a value of some length", 1);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, store_get(f->store, who_of("a@example.org"), &found, &f->err));
    found.len -= 7;
    assert_ok(f, store_put(f->store, who_of("a@example.org"), found, 0, &f->err));
    assert_value(f, "a@example.org", "a value of some");
    commit(f, 2);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void a_recipient_without_domain_is_a_bug(void **state)
{
    struct fixture *f = *state;
    struct str found;
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_int_equal(store_get(f->store, who_of("nonsense"), &found, &f->err), E_BUG);
}

static void large_values_are_kept(void **state)
{
    struct fixture *f = *state;
    size_t len = 100000;
    char *value = mem_alloc(len + 1);
    memset(value, 'v', len);
    value[len] = '\0';
    open_store(f);
    put_and_commit(f, "a@example.org", value, 1);
    value[0] = 'w';
    put_and_commit(f, "a@example.org", value, 2);
    assert_value(f, "a@example.org", value);
    store_abort(f->store);
    assert_ok(f, store_verify(f->store, &f->err));
    mem_free(value);
}

static void looking_finds_what_was_committed_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    bool found = true;
    buf_init(&out);
    open_store(f);
    assert_ok(f, store_look(f->store, who_of("a@example.org"), &out, &found, &f->err));
    assert_false(found);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "a@example.org", "1");
    commit(f, 1);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "a@example.org", "2");
    store_abort(f->store);
    assert_ok(f, store_look(f->store, who_of("a@example.org"), &out, &found, &f->err));
    assert_true(found);
    assert_true(str_equal(buf_view(&out), STR("1")));
    assert_ok(f, store_look(f->store, who_of("b@example.org"), &out, &found, &f->err));
    assert_false(found);
    assert_ok(f, store_begin(f->store, &f->err)); /* no reader is in its way */
    put(f, "b@example.org", "3");
    commit(f, 2);
    buf_deinit(&out);
}

struct visited {
    char text[256];
    size_t stop_after; /* 0: never */
    size_t count;
};

static enum rcode visit(void *context, struct identity who, struct str value, struct err *err)
{
    struct visited *visited = context;
    size_t len = strlen(visited->text);
    snprintf(visited->text + len, sizeof(visited->text) - len, "%.*s/%.*s=%.*s ",
             STR_ARG(who.tenant), STR_ARG(who.recipient), STR_ARG(value));
    if (++visited->count == visited->stop_after)
        return err_set(err, E_USAGE, "stop");
    return OK;
}

static void fill_for_scan(struct fixture *f)
{
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "b@z.example", "1");
    put(f, "z@a.example", "2");
    put(f, "a@z.example", "3");
    struct identity tenant = {STR("t"), STR("a@a.example")};
    assert_ok(f, store_put(f->store, tenant, STR("4"), 0, &f->err));
}

static void scan_walks_domain_by_domain(void **state)
{
    struct fixture *f = *state;
    fill_for_scan(f);
    struct visited visited = {0};
    struct store_cursor cursor = {0};
    assert_ok(f, store_scan(f->store, &cursor, 100, visit, &visited, &f->err));
    assert_string_equal(visited.text,
                        "/z@a.example=2 /a@z.example=3 /b@z.example=1 t/a@a.example=4 ");
    assert_int_equal(cursor.len, 0);
}

static void scan_goes_on_after_its_cursor(void **state)
{
    struct fixture *f = *state;
    fill_for_scan(f);
    struct visited visited = {0};
    struct store_cursor cursor = {0};
    assert_ok(f, store_scan(f->store, &cursor, 2, visit, &visited, &f->err));
    assert_string_equal(visited.text, "/z@a.example=2 /a@z.example=3 ");
    /* Even when the entry where it stopped is gone in the next transaction. */
    commit(f, 1);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, store_delete(f->store, who_of("a@z.example"), &f->err));
    visited.text[0] = '\0';
    assert_ok(f, store_scan(f->store, &cursor, 2, visit, &visited, &f->err));
    assert_string_equal(visited.text, "/b@z.example=1 t/a@a.example=4 ");
    while (cursor.len)
        assert_ok(f, store_scan(f->store, &cursor, 2, visit, &visited, &f->err));
    assert_int_equal(visited.count, 4);
}

static void scan_of_nothing_visits_nothing(void **state)
{
    struct fixture *f = *state;
    struct visited visited = {0};
    struct store_cursor cursor = {0};
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, store_scan(f->store, &cursor, 10, visit, &visited, &f->err));
    assert_int_equal(visited.count, 0);
    assert_int_equal(cursor.len, 0);
}

static void scan_ends_with_the_error_of_its_callback(void **state)
{
    struct fixture *f = *state;
    fill_for_scan(f);
    struct visited visited = {.stop_after = 2};
    struct store_cursor cursor = {0};
    assert_int_equal(store_scan(f->store, &cursor, 100, visit, &visited, &f->err), E_USAGE);
    assert_int_equal(visited.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(new_store_is_empty),
        store_test(entries_are_found_replaced_and_deleted),
        store_test(tenants_do_not_share_entries),
        store_test(digest_is_of_changelog_records),
        store_test(aborting_leaves_the_last_commit),
        store_test(a_look_up_is_forgotten_with_its_transaction),
        store_test(positions_alone_can_be_committed),
        store_test(looking_finds_what_was_committed_and_nothing_else),
        store_test(a_value_may_come_from_the_store_itself),
        store_test(a_recipient_without_domain_is_a_bug),
        store_test(large_values_are_kept),
        store_test(scan_walks_domain_by_domain),
        store_test(scan_goes_on_after_its_cursor),
        store_test(scan_of_nothing_visits_nothing),
        store_test(scan_ends_with_the_error_of_its_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
