/* Files of stores, copied and put in the place of others. */
#include "store/snapshot.h"
#include "store_support.h"

#include <unistd.h>

static void path_of(const struct fixture *f, const char *name, char ret_path[512])
{
    snprintf(ret_path, 512, "%s/%s", f->parent, name);
}

/* A store at f->path with one entry, closed cleanly. */
static void leave(struct fixture *f, const char *value, int64_t input_next)
{
    open_store(f);
    put_and_commit(f, "a@example.org", value, input_next);
    close_store(f);
}

static void assert_state(struct fixture *f, const char *path, const char *value, int64_t input_next)
{
    const char *before = f->options.path;
    f->options.path = path;
    open_store(f);
    assert_null(f->discarded);
    assert_value(f, "a@example.org", value);
    store_abort(f->store);
    assert_int_equal(store_meta(f->store)->input_next, input_next);
    assert_ok(f, store_verify(f->store, &f->err));
    close_store(f);
    f->options.path = before;
}

static void a_copy_has_the_same_state(void **state)
{
    struct fixture *f = *state;
    char copy[512];
    path_of(f, "deep/copy", copy);
    leave(f, "first", 7);
    assert_ok(f, store_copy(f->path, copy, &f->err));
    assert_state(f, copy, "first", 7);
    leave(f, "second", 8);
    assert_ok(f, store_copy(f->path, copy, &f->err)); /* over what is there */
    assert_state(f, copy, "second", 8);
    assert_state(f, f->path, "second", 8);
}

/* What another machine's crash left beside it must not make the copy distrusted. */
static void a_marker_of_the_replaced_store_goes(void **state)
{
    struct fixture *f = *state;
    char copy[512];
    path_of(f, "copy", copy);
    leave(f, "first", 7);
    assert_ok(f, store_copy(f->path, copy, &f->err));
    open_store(f);
    put_and_commit(f, "a@example.org", "second", 8);
    abandon_store(f);
    assert_ok(f, store_install(copy, f->path, &f->err));
    f->options.boot_id = "boot-b";
    assert_state(f, f->path, "first", 7);
    assert_int_not_equal(access(copy, F_OK), 0);
}

static void an_installed_store_is_the_only_one(void **state)
{
    struct fixture *f = *state;
    char copy[512], target[512];
    path_of(f, "copy", copy);
    path_of(f, "new/place", target);
    leave(f, "first", 7);
    assert_ok(f, store_copy(f->path, copy, &f->err));
    assert_ok(f, store_install(copy, target, &f->err));
    assert_int_not_equal(access(copy, F_OK), 0);
    assert_state(f, target, "first", 7);
}

static void an_open_store_is_neither_copied_nor_replaced(void **state)
{
    struct fixture *f = *state;
    char copy[512], pid[32];
    path_of(f, "copy", copy);
    leave(f, "first", 7);
    assert_ok(f, store_copy(f->path, copy, &f->err));
    assert_ok(f, store_unused(f->path, &f->err));
    open_store(f);
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_int_equal(store_unused(f->path, &f->err), E_STORE_LOCKED);
    assert_non_null(strstr(f->err.text, pid));
    assert_int_equal(store_copy(f->path, copy, &f->err), E_STORE_LOCKED);
    assert_int_equal(store_install(copy, f->path, &f->err), E_STORE_LOCKED);
    close_store(f);
    assert_state(f, f->path, "first", 7);
    assert_state(f, copy, "first", 7);
}

static void what_is_not_there_cannot_be_copied(void **state)
{
    struct fixture *f = *state;
    char copy[512];
    path_of(f, "copy", copy);
    assert_int_equal(store_copy(f->path, copy, &f->err), E_IO);
    assert_int_not_equal(access(f->path, F_OK), 0);
    assert_ok(f, store_unused(f->path, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_copy_has_the_same_state),
        store_test(a_marker_of_the_replaced_store_goes),
        store_test(an_installed_store_is_the_only_one),
        store_test(an_open_store_is_neither_copied_nor_replaced),
        store_test(what_is_not_there_cannot_be_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
