/* Where two schemas differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/schema_diff.h"

static int diff(struct arena *arena, const char *left, const char *right,
                struct schema_difference **ret_differences)
{
    struct err err;
    int count = -1;
    assert_int_equal(schema_diff(str_of(left), str_of(right), arena, ret_differences, &count, &err),
                     OK);
    return count;
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

static void order_of_fields_and_white_space_make_no_difference(void **state)
{
    struct arena arena;
    struct schema_difference *found;
    (void)state;
    arena_init(&arena);
    assert_int_equal(diff(&arena, RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"long\"")),
                          RECORD(FIELD("b", " \"long\"") ",\n" FIELD("a", "\"int\"")), &found),
                     0);
    arena_deinit(&arena);
}

static void differences_are_placed(void **state)
{
    struct arena arena;
    struct schema_difference *found;
    (void)state;
    arena_init(&arena);
    int count = diff(
        &arena, RECORD(FIELD("a", "\"int\"") "," FIELD("b", "[\"null\",\"long\"]")),
        RECORD(FIELD("b", "[\"null\",\"string\"]") "," FIELD("c", "{\"type\":\"map\"}")), &found);
    static const struct {
        const char *place, *left, *right;
    } wanted[] = {
        {"fields.a.name", "\"a\"", NULL},
        {"fields.a.type", "\"int\"", NULL},
        {"fields.b.type[1]", "\"long\"", "\"string\""},
        {"fields.c.name", NULL, "\"c\""},
        {"fields.c.type.type", NULL, "\"map\""},
    };
    assert_int_equal(count, sizeof(wanted) / sizeof(wanted[0]));
    for (int i = 0; i < count; i++) {
        assert_true(str_equal(found[i].place, str_of(wanted[i].place)));
        assert_true(str_equal(found[i].left, str_of(wanted[i].left)));
        assert_true(str_equal(found[i].right, str_of(wanted[i].right)));
    }
    arena_deinit(&arena);
}

static void what_is_no_json_is_told(void **state)
{
    struct arena arena;
    struct schema_difference *found;
    struct err err;
    int count;
    (void)state;
    arena_init(&arena);
    assert_int_equal(schema_diff(STR("{"), STR("{}"), &arena, &found, &count, &err), E_SCHEMA);
    assert_non_null(strstr(err.text, "first"));
    assert_int_equal(schema_diff(STR("{}"), STR("x"), &arena, &found, &count, &err), E_SCHEMA);
    assert_non_null(strstr(err.text, "second"));
    assert_int_equal(diff(&arena, "{}", "{}", &found), 0);
    assert_int_equal(diff(&arena, "{}", "{\"type\":\"int\"}", &found), 1);
    assert_null(found[0].left.data);
    assert_int_equal(diff(&arena, "\"int\"", "\"int\"", &found), 0);
    assert_int_equal(diff(&arena, "\"int\"", "\"long\"", &found), 1);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_fields_and_white_space_make_no_difference),
        cmocka_unit_test(differences_are_placed),
        cmocka_unit_test(what_is_no_json_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
