/* Texts with values put in: ops/template.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ops/template.h"

static void assert_filled(const char *values, const char *text, const char *expected)
{
    struct err err = {0};
    struct buf out;
    json_t *json = json_loads(values, 0, NULL);
    assert_non_null(json);
    buf_init(&out);
    assert_int_equal(template_fill(str_of(text), json, &out, &err), OK);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_deinit(&out);
    json_decref(json);
}

static void assert_broken(const char *text)
{
    struct err err = {0};
    struct buf out;
    json_t *json = json_pack("{s:[i]}", "a", 1);
    buf_init(&out);
    assert_int_equal(template_fill(str_of(text), json, &out, &err), E_BUG);
    assert_int_equal(out.len, 0);
    buf_deinit(&out);
    json_decref(json);
}

static void values_are_put_in_and_escaped(void **unused)
{
    (void)unused;
    assert_filled("{}", "plain { } text", "plain { } text");
    assert_filled("{\"a\":\"x\",\"b\":{\"c\":7}}", "{{a}}-{{b.c}}-{{b.c}}", "x-7-7");
    assert_filled("{\"a\":\"<b a='\\\"1\\\"'>&\"}", "{{a}}",
                  "&lt;b a=&#39;&quot;1&quot;&#39;&gt;&amp;");
    assert_filled("{\"a\":\"{{b}}\",\"b\":1}", "{{a}}", "{{b}}");
}

static void what_is_not_known_says_so(void **unused)
{
    (void)unused;
    assert_filled("{\"a\":null,\"b\":1}", "{{a}} {{a|number}} {{z|seconds}} {{b.c}}",
                  "unknown unknown unknown unknown");
}

static void numbers_have_forms(void **unused)
{
    (void)unused;
    assert_filled("{\"a\":0,\"b\":999,\"c\":1234567,\"d\":-1234}",
                  "{{a|number}} {{b|number}} {{c|number}} {{d|number}} {{c}}",
                  "0 999 1,234,567 -1,234 1234567");
    assert_filled("{\"a\":0,\"b\":0.26,\"c\":99.94,\"d\":12345.6}",
                  "{{a|rate}} {{b|rate}} {{c|rate}} {{d|rate}}", "0 0.3 99.9 12,346");
    assert_filled("{\"a\":0,\"b\":0.0001,\"c\":0.5,\"d\":1.99,\"e\":61,\"f\":7199,\"g\":86400,"
                  "\"h\":8640000}",
                  "{{a|seconds}} {{b|seconds}} {{c|seconds}} {{d|seconds}} {{e|seconds}} "
                  "{{f|seconds}} {{g|seconds}} {{h|seconds}}",
                  "0 s 1 ms 500 ms 2 s 1.0 min 1.9 h 1.0 d 100 d");
    assert_filled("{\"a\":0.4234,\"b\":true,\"c\":\"AB c\"}",
                  "{{a|percent}} {{a|width}} {{b}} {{c|lower}}", "42.3 % 42.34% yes ab c");
}

static void sections_repeat_and_depend(void **unused)
{
    (void)unused;
    assert_filled("{\"a\":[{\"b\":1},{\"b\":2},{}],\"b\":9}", "{{#a}}<{{b}}>{{/a}}", "<1><2><9>");
    assert_filled("{\"a\":[1,2]}", "{{#a}}{{.}},{{/a}}", "1,2,");
    assert_filled("{\"a\":{\"b\":{\"c\":3}}}", "{{#a}}{{#b}}{{c}}{{/b}}{{/a}}", "3");
    assert_filled("{\"y\":true,\"n\":false,\"z\":0,\"o\":1,\"s\":\"\",\"e\":[],\"u\":null}",
                  "{{#y}}y{{/y}}{{#n}}n{{/n}}{{#z}}z{{/z}}{{#o}}o{{/o}}{{#s}}s{{/s}}{{#e}}e{{/e}}"
                  "{{#u}}u{{/u}}{{#m}}m{{/m}}",
                  "yo");
    assert_filled("{\"y\":true,\"e\":[],\"u\":null}",
                  "{{^y}}y{{/y}}{{^e}}e{{/e}}{{^u}}u{{/u}}{{^m}}m{{/m}}", "eum");
    assert_filled("{\"n\":false,\"a\":1}", "{{#n}}{{#a}}x{{/a}}{{#n}}y{{/n}}{{/n}}{{#a}}z{{/a}}",
                  "z");
}

static void a_broken_text_is_refused(void **unused)
{
    (void)unused;
    static const char *const broken[] = {"x{{a",         "{{}}",    "{{#a}}",
                                         "{{/a}}",       "{{#z}}x", "{{#a}}{{#b}}{{/a}}{{/b}}",
                                         "{{#a}}{{/b}}", "{{a}}",   "{{#a}}x{{/a}}{{/a}}"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_broken(broken[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_put_in_and_escaped),
        cmocka_unit_test(what_is_not_known_says_so),
        cmocka_unit_test(numbers_have_forms),
        cmocka_unit_test(sections_repeat_and_depend),
        cmocka_unit_test(a_broken_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
