/* What a registry answers, and what only looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registry/answer.h"

struct sample {
    const char *body;
    enum rcode rc;
    const char *wanted; /* the text, or what the error says */
};

static void a_schema_is_the_text_and_nothing_but_avro_in_one_piece(void **state)
{
    static const struct sample samples[] = {
        {"{\"schema\":\"\\\"string\\\"\"}", OK, "\"string\""},
        {"{\"schema\":\"{}\",\"schemaType\":\"AVRO\",\"references\":[],\"id\":3}", OK, "{}"},
        {"{\"schema\":\"x\",\"schemaType\":\"PROTOBUF\"}", E_UNKNOWN_SCHEMA, "PROTOBUF"},
        {"{\"schema\":\"x\",\"references\":[{\"name\":\"a\"}]}", E_UNKNOWN_SCHEMA, "one piece"},
        {"{\"schema\":7}", E_REGISTRY_UNAVAILABLE, "without \"schema\""},
        {"{\"schema\":null}", E_REGISTRY_UNAVAILABLE, "without \"schema\""},
        {"{}", E_REGISTRY_UNAVAILABLE, "without \"schema\""},
        {"[]", E_REGISTRY_UNAVAILABLE, "no JSON object"},
        {"{\"schema\":\"{\\\"ty", E_REGISTRY_UNAVAILABLE, "no JSON"},
        {"{\"schema\":\"a\",\"schema\":\"b\"}", E_REGISTRY_UNAVAILABLE, "no JSON"},
        {"{\"schema\":\"a\\u0000b\"}", E_REGISTRY_UNAVAILABLE, "no JSON"},
        {"<html></html>", E_REGISTRY_UNAVAILABLE, "no JSON"},
        {"", E_REGISTRY_UNAVAILABLE, "no JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct arena arena;
        struct str text = STR_NULL;
        struct err err = {0};
        arena_init(&arena);
        assert_int_equal(answer_schema(str_of(samples[i].body), &arena, &text, &err),
                         samples[i].rc);
        if (samples[i].rc == OK)
            assert_true(str_equal(text, str_of(samples[i].wanted)));
        else
            assert_non_null(strstr(err.text, samples[i].wanted));
        arena_deinit(&arena);
    }
}

static void an_id_is_a_number_that_fits(void **state)
{
    static const struct {
        const char *body;
        enum rcode rc;
        int32_t id;
        int version;
    } samples[] = {
        {"{\"id\":0}", OK, 0, 0},
        {"{\"id\":2147483647,\"version\":3}", OK, INT32_MAX, 3},
        {"{\"id\":1,\"version\":-3}", OK, 1, 0},
        {"{\"id\":2147483648}", E_REGISTRY_UNAVAILABLE, 0, 0},
        {"{\"id\":-1}", E_REGISTRY_UNAVAILABLE, 0, 0},
        {"{\"id\":\"1\"}", E_REGISTRY_UNAVAILABLE, 0, 0},
        {"{\"id\":1.0}", E_REGISTRY_UNAVAILABLE, 0, 0},
        {"{\"id\":99999999999999999999}", E_REGISTRY_UNAVAILABLE, 0, 0},
        {"{\"status\":\"UP\"}", E_REGISTRY_UNAVAILABLE, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct err err;
        int32_t id = 0;
        int version = 0;
        assert_int_equal(answer_id(str_of(samples[i].body), &id, &version, &err), samples[i].rc);
        assert_int_equal(id, samples[i].id);
        assert_int_equal(version, samples[i].version);
    }
}

static void what_is_incompatible_comes_with_reasons(void **state)
{
    static const struct {
        const char *body;
        enum rcode rc;
        bool compatible;
        const char *reasons;
    } samples[] = {
        {"{\"is_compatible\":true}", OK, true, ""},
        {"{\"is_compatible\":false,\"messages\":[\"a\",7,\"b\"]}", OK, false, "a; b"},
        {"{\"is_compatible\":false,\"reason\":\"c\"}", OK, false, "c"},
        {"{\"is_compatible\":\"no\"}", E_REGISTRY_UNAVAILABLE, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf reasons = {0};
        struct err err;
        bool compatible = false;
        assert_int_equal(answer_compatible(str_of(samples[i].body), &compatible, &reasons, &err),
                         samples[i].rc);
        assert_int_equal(compatible, samples[i].compatible);
        assert_true(str_equal(buf_view(&reasons), str_of(samples[i].reasons)));
        buf_deinit(&reasons);
    }
}

static void an_error_has_a_code_only_if_a_registry_gave_it(void **state)
{
    struct arena arena;
    struct str message;
    (void)state;
    arena_init(&arena);
    assert_int_equal(
        answer_error(STR("{\"error_code\":40403,\"message\":\"none\"}"), &arena, &message), 40403);
    assert_true(str_equal(message, STR("none")));
    assert_int_equal(answer_error(STR("{\"error_code\":\"40403\"}"), &arena, &message), 0);
    assert_null(message.data);
    assert_int_equal(answer_error(STR("{\"error_code\":1e99}"), &arena, &message), 0);
    assert_int_equal(answer_error(STR("<html>404</html>"), &arena, &message), 0);
    assert_int_equal(answer_error(STR_NULL, &arena, &message), 0);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schema_is_the_text_and_nothing_but_avro_in_one_piece),
        cmocka_unit_test(an_id_is_a_number_that_fits),
        cmocka_unit_test(what_is_incompatible_comes_with_reasons),
        cmocka_unit_test(an_error_has_a_code_only_if_a_registry_gave_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
