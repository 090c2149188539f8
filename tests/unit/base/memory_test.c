/* Arenas, buffers and spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

static void allocations_are_aligned_and_apart(void **unused)
{
    (void)unused;
    struct arena arena;
    char *former = NULL;
    size_t former_size = 0;
    arena_init(&arena);
    for (size_t size = 0; size < 3000; size += 7) {
        char *memory = arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        memset(memory, 0xaa, size);
        if (former)
            assert_true(memory >= former + former_size || memory + size <= former);
        former = memory;
        former_size = size;
    }
    arena_deinit(&arena);
    assert_int_equal(arena.retained, 0);
}

static void large_allocations_get_chunks_of_their_own(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < 4; i++) {
        memset(arena_alloc(&arena, 3 << 20), 1, 3 << 20);
        memset(arena_alloc(&arena, 100), 2, 100);
    }
    assert_true(arena.used >= 4 * (3 << 20));
    arena_reset(&arena, SIZE_MAX);
    assert_int_equal(arena.used, 0);
    assert_true(arena.retained < 3 << 20); /* large chunks are not kept */
    arena_deinit(&arena);
}

static void a_reset_keeps_chunks_up_to_the_limit(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena);
    for (int batch = 0; batch < 5; batch++) {
        for (int i = 0; i < 4096; i++)
            memset(arena_alloc(&arena, 1024), batch, 1024);
        assert_true(arena.used == (size_t)4096 * 1024);
        size_t before = arena.retained;
        arena_reset(&arena, 1 << 20);
        assert_true(arena.retained <= 1 << 20);
        assert_true(arena.retained < before);
    }
    arena_reset(&arena, 0);
    assert_int_equal(arena.retained, 0);
    arena_deinit(&arena);
}

static void kept_chunks_are_used_again(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < 1000; i++)
        (void)arena_alloc(&arena, 1024);
    arena_reset(&arena, SIZE_MAX);
    size_t retained = arena.retained;
    for (int i = 0; i < 1000; i++)
        (void)arena_alloc(&arena, 1024);
    assert_int_equal(arena.retained, retained);
    arena_deinit(&arena);
}

static void strings_are_copied_with_a_nul_and_null_stays_null(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena);
    struct str copy = arena_str(&arena, (struct str){"abcdef", 3});
    assert_int_equal(copy.len, 3);
    assert_string_equal(copy.data, "abc");
    assert_null(arena_str(&arena, STR_NULL).data);
    assert_string_equal(arena_str(&arena, STR("")).data, "");
    struct str printed = arena_printf(&arena, "%s-%05d", "x", 42);
    assert_string_equal(printed.data, "x-00042");
    assert_int_equal(printed.len, 7);
    arena_deinit(&arena);
}

static void a_buffer_grows_and_keeps_its_content(void **unused)
{
    (void)unused;
    struct buf buf;
    buf_init(&buf);
    assert_int_equal(buf_view(&buf).len, 0);
    assert_non_null(buf_view(&buf).data);
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%04d,", i);
    buf_append(&buf, "end", 3);
    buf_append(&buf, NULL, 0);
    buf_str(&buf, STR("!"));
    buf_str(&buf, STR_NULL);
    assert_int_equal(buf.len, 5004);
    assert_memory_equal(buf.data + 4995, "0999,end!", 9);
    size_t cap = buf.cap;
    buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, cap);
    buf_reserve(&buf, 1 << 20);
    assert_true(buf.cap >= 1 << 20);
    buf_deinit(&buf);
    assert_null(buf.data);
}

static void spans_tell_null_from_empty(void **unused)
{
    (void)unused;
    assert_false(str_equal(STR_NULL, STR("")));
    assert_true(str_equal(STR_NULL, STR_NULL));
    assert_true(str_equal(str_of("ab"), STR("ab")));
    assert_false(str_equal(STR("ab"), STR("abc")));
    assert_true(str_compare(STR_NULL, STR("")) < 0);
    assert_true(str_compare(STR("ab"), STR("abc")) < 0);
    assert_true(str_compare(STR("b"), STR("abc")) > 0);
    assert_true(str_compare(STR("a\xff"), STR("ab")) > 0);
    assert_int_equal(str_compare(STR("ab"), STR("ab")), 0);
    assert_int_equal(ascii_lower('Z'), 'z');
    assert_int_equal(ascii_lower('['), '[');
    assert_int_equal(ascii_lower('\xc9'), '\xc9');
}

static void zeroed_memory_is_zero_and_copies_are_equal(void **unused)
{
    (void)unused;
    char *zeroed = mem_zalloc(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeroed[i], 0);
    zeroed = mem_realloc(zeroed, 200);
    assert_int_equal(zeroed[99], 0);
    mem_free(zeroed);
    char *copy = mem_strdup("text");
    assert_string_equal(copy, "text");
    mem_free(copy);
    mem_free(NULL);
    void *nothing = mem_alloc(0);
    assert_non_null(nothing);
    mem_free(nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(large_allocations_get_chunks_of_their_own),
        cmocka_unit_test(a_reset_keeps_chunks_up_to_the_limit),
        cmocka_unit_test(kept_chunks_are_used_again),
        cmocka_unit_test(strings_are_copied_with_a_nul_and_null_stays_null),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_content),
        cmocka_unit_test(spans_tell_null_from_empty),
        cmocka_unit_test(zeroed_memory_is_zero_and_copies_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
