/* Headers of a command that waits, as one run of octets (dispatcher/release.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/dispatcher_internal.h"

static struct buf encoded(const struct port_header *headers, int count)
{
    struct port_record record = {.headers = headers, .header_count = count};
    struct buf out;
    buf_init(&out);
    headers_encode(&record, &out);
    return out;
}

static void comes_back(const struct port_header *headers, int count)
{
    struct buf octets = encoded(headers, count);
    struct port_message message = {.header_count = 77};
    struct arena arena;
    arena_init(&arena);
    assert_true(headers_decode(buf_view(&octets), &arena, &message));
    assert_int_equal(message.header_count, count);
    for (int i = 0; i < count; i++) {
        assert_true(str_equal(message.headers[i].name, headers[i].name));
        assert_true(str_equal(message.headers[i].value, headers[i].value));
    }
    arena_deinit(&arena);
    buf_deinit(&octets);
}

static const struct port_header several[] = {
    {STR("traceparent"), STR("00-1-2-01")}, {STR("none"), STR_NULL},
    {STR("traceparent"), STR("")},          {STR(""), STR("without a name")},
    {STR("traceparent"), STR("00-1-2-01")}, {STR("octets"), STR("\0\1\xff\0")},
};

static void headers_come_back_in_their_order(void **state)
{
    (void)state;
    struct port_header many[300];
    comes_back(NULL, 0);
    comes_back(several, 1);
    comes_back(several, 6);
    for (int i = 0; i < 300; i++)
        many[i] = several[i % 6];
    comes_back(many, 300);
}

static void no_headers_are_no_octets(void **state)
{
    (void)state;
    struct buf octets = encoded(NULL, 0);
    struct port_message message = {.header_count = 77};
    struct arena arena;
    arena_init(&arena);
    assert_int_equal(octets.len, 0);
    assert_true(headers_decode(STR_NULL, &arena, &message));
    assert_int_equal(message.header_count, 0);
    arena_deinit(&arena);
    buf_deinit(&octets);
}

/* Cut anywhere but behind a whole header, or with a length beyond the end. */
static void damaged_headers_are_refused(void **state)
{
    (void)state;
    struct buf octets = encoded(several, 6);
    size_t ends[7] = {0};
    struct port_message message;
    struct arena arena;
    arena_init(&arena);
    for (int i = 1; i <= 6; i++) {
        struct buf part = encoded(several, i);
        ends[i] = part.len;
        buf_deinit(&part);
    }
    for (size_t len = 0, whole = 0; len <= octets.len; len++) {
        bool expected = len == ends[whole];
        whole += expected;
        /* In memory of its own, so that reading beyond the end is seen. */
        char *copy = mem_alloc(len + 1);
        memcpy(copy, octets.data, len);
        copy = mem_realloc(copy, len ? len : 1);
        assert_int_equal(headers_decode((struct str){copy, len}, &arena, &message), expected);
        mem_free(copy);
    }
    for (int i = 0; i < 4; i++) {
        char *octet = &octets.data[i], before = *octet;
        *octet = 0x7f; /* of the first name's length */
        assert_false(headers_decode(buf_view(&octets), &arena, &message));
        *octet = before;
    }
    arena_deinit(&arena);
    buf_deinit(&octets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_come_back_in_their_order),
        cmocka_unit_test(no_headers_are_no_octets),
        cmocka_unit_test(damaged_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
