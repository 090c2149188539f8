/* What the tests of the store share: a store in a temporary directory and short forms of its calls.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "store/store.h"
#include "tmpdir.h"

#define NOW_MS INT64_C(1767225600000)

struct fixture {
    char parent[TMPDIR_PATH_MAX];
    char path[TMPDIR_PATH_MAX + 16];
    struct store_options options;
    struct store *store;
    const char *discarded; /* of the last open */
    struct err err;
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    tmpdir_make(f->parent);
    snprintf(f->path, sizeof(f->path), "%s/state/in-0", f->parent);
    f->options = (struct store_options){
        .path = f->path,
        .identity = "cluster rimbalzo.bounces 0 of 12 format 1",
        .map_size_initial = 1 << 20,
        .offline_ms_max = 3600000,
        .now_ms = NOW_MS,
        .boot_id = "boot-a",
    };
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_abandon(f->store);
    tmpdir_remove(f->parent);
    mem_free(f);
    return 0;
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* Fails the test with the error's text. */
#define assert_ok(f, call)                                                                         \
    do {                                                                                           \
        if ((call) != OK)                                                                          \
            fail_msg("%s: %s", rcode_name((f)->err.code), (f)->err.text);                          \
    } while (0)

static inline enum rcode try_open(struct fixture *f)
{
    f->discarded = "untouched";
    return store_open(&f->options, &f->store, &f->discarded, &f->err);
}

static inline void open_store(struct fixture *f)
{
    assert_ok(f, try_open(f));
}

static inline void close_store(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
}

static inline void abandon_store(struct fixture *f)
{
    store_abandon(f->store);
    f->store = NULL;
}

static inline struct identity who_of(const char *recipient)
{
    return (struct identity){STR(""), str_of(recipient)};
}

static inline void put(struct fixture *f, const char *recipient, const char *value)
{
    assert_ok(f, store_put(f->store, who_of(recipient), str_of(value), 0, &f->err));
}

static inline void commit(struct fixture *f, int64_t position)
{
    assert_ok(f, store_commit(f->store, position, position * 2, position * 3, &f->err));
}

/* One transaction that puts one entry. */
static inline void put_and_commit(struct fixture *f, const char *recipient, const char *value,
                                  int64_t position)
{
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, recipient, value);
    commit(f, position);
}

/* NULL: no entry. */
static inline void assert_value(struct fixture *f, const char *recipient, const char *value)
{
    struct str found;
    assert_ok(f, store_begin(f->store, &f->err));
    assert_ok(f, store_get(f->store, who_of(recipient), &found, &f->err));
    if (!str_equal(found, str_of(value)))
        fail_msg("%s: found '%.*s'", recipient, STR_ARG(found));
}

static inline void path_in(const struct fixture *f, const char *name, char *ret_path, size_t size)
{
    snprintf(ret_path, size, "%s/%s", f->path, name);
}
