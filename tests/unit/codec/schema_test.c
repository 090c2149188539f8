#include "codec_support.h"

/* Fingerprints that the Avro project publishes for its implementations to agree on. */
static const struct {
    const char *text;
    const char *canonical;
    int64_t fingerprint;
} published[] = {
    {"\"null\"", "\"null\"", 7195948357588979594},
    {"{\"type\":\"boolean\"}", "\"boolean\"", -6970731678124411036},
    {"\"int\"", "\"int\"", 8247732601305521295},
    {"\"long\"", "\"long\"", -3434872931120570953},
    {"\"float\"", "\"float\"", 5583340709985441680},
    {"\"double\"", "\"double\"", -8181574048448539266},
    {"\"bytes\"", "\"bytes\"", 5746618253357095269},
    {"\"string\"", "\"string\"", -8142146995180207161},
    {"[ ]", "[]", -1241056759729112623},
    {"[ \"int\" , {\"type\": \"boolean\"} ]", "[\"int\",\"boolean\"]", 5392556393470105090},
    {"{\"fields\": [], \"doc\": \"d\", \"type\": \"record\", \"name\": \"foo\", \"namespace\": "
     "\"x.y\"}",
     "{\"name\":\"x.y.foo\",\"type\":\"record\",\"fields\":[]}", 5916914534497305771},
    {"{\"fields\": [], \"type\": \"record\", \"name\": \"a.b.foo\", \"namespace\": \"x.y\"}",
     "{\"name\":\"a.b.foo\",\"type\":\"record\",\"fields\":[]}", -4616218487480524110},
    {"{\"namespace\": \"x.y.z\", \"type\": \"enum\", \"name\": \"foo\", \"symbols\": [\"A1\", "
     "\"A2\"]}",
     "{\"name\":\"x.y.z.foo\",\"type\":\"enum\",\"symbols\":[\"A1\",\"A2\"]}",
     -4448647247586288245},
    {"{\"size\": 15, \"name\": \"foo\", \"type\": \"fixed\"}",
     "{\"name\":\"foo\",\"type\":\"fixed\",\"size\":15}", 1756455273707447556},
    {"{\"items\": {\"type\": \"null\"}, \"type\": \"array\"}",
     "{\"type\":\"array\",\"items\":\"null\"}", -589620603366471059},
    {"{\"values\": \"string\", \"type\": \"map\"}", "{\"type\":\"map\",\"values\":\"string\"}",
     -8732877298790414990},
    {"{\"name\": \"PigValue\", \"type\": \"record\", \"fields\":"
     " [{\"type\": [\"null\", \"int\", \"long\", \"PigValue\"], \"name\": \"value\"}]}",
     "{\"name\":\"PigValue\",\"type\":\"record\",\"fields\":[{\"name\":\"value\",\"type\":"
     "[\"null\",\"int\",\"long\",\"PigValue\"]}]}",
     -1759257747318642341},
};

static void fingerprints_are_those_that_avro_publishes(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(published) / sizeof(*published); i++) {
        struct schema schema;
        assert_code(OK, schema_parse(str_of(published[i].text), &f->arena, &schema, &f->err));
        assert_text(schema.canonical, published[i].canonical);
        assert_int_equal(schema.fingerprint, (uint64_t)published[i].fingerprint);
    }
}

static void a_type_met_again_is_its_name_and_inherits_the_namespace(void **state)
{
    struct fixture *f = *state;
    struct schema schema;
    const char *text =
        "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":["
        "{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\"]}},"
        "{\"name\":\"b\",\"type\":\"E\"},{\"name\":\"c\",\"type\":{\"type\":\"n.E\"}},"
        "{\"name\":\"d\",\"type\":{\"type\":{\"type\":\"string\"},\"logicalType\":\"uuid\"}}]}";
    assert_code(OK, schema_parse(str_of(text), &f->arena, &schema, &f->err));
    assert_text(
        schema.canonical,
        "{\"name\":\"n.R\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":"
        "{\"name\":\"n.E\",\"type\":\"enum\",\"symbols\":[\"X\"]}},{\"name\":\"b\",\"type\":"
        "\"n.E\"},{\"name\":\"c\",\"type\":\"n.E\"},{\"name\":\"d\",\"type\":\"string\"}]}");
}

static const char *const hostile[] = {
    "",
    " ",
    "nothing",
    "\"nothing\"",
    "{}",
    "1",
    "null",
    "true",
    "[null]",
    "[[\"int\"]]",
    "[\"int\",\"int\"]",
    "[\"int\",{\"type\":\"int\",\"logicalType\":\"date\"}]",
    "\"int\" \"int\"",
    "{\"type\":1}",
    "{\"type\":{}}",
    "{\"type\":\"record\"}",
    "{\"type\":\"record\",\"name\":\"R\"}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":{}}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[1]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\"}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":1,\"type\":\"int\"}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a.b\",\"type\":\"int\"}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":\"S\"}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":\"R\"}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":\"record\","
    "\"name\":\"S\",\"fields\":[{\"name\":\"g\",\"type\":\"R\"}]}}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":\"int\"},"
    "{\"name\":\"f\",\"type\":\"int\"}]}",
    "{\"type\":\"record\",\"name\":\"R\",\"name\":\"S\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\".R\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"a..R\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"R.\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"1R\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"R\\u0000\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"string\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"R\",\"namespace\":1,\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a b\",\"fields\":[]}",
    "{\"type\":\"enum\",\"name\":\"E\"}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[1]}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a-b\"]}",
    "{\"type\":\"fixed\",\"name\":\"F\"}",
    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":9223372036854775807}",
    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":92233720368547758070}",
    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":\"1\"}",
    "{\"type\":\"array\"}",
    "{\"type\":\"map\",\"items\":\"int\"}",
    "[{\"type\":\"fixed\",\"name\":\"F\",\"size\":1},{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}"
    "]",
};

static void hostile_schemas_are_refused(void **state)
{
    struct fixture *f = *state;
    struct schema schema;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        if (schema_parse(str_of(hostile[i]), &f->arena, &schema, &f->err) != E_SCHEMA)
            fail_msg("accepted: %s", hostile[i]);
    }
    assert_code(E_SCHEMA, schema_parse(STR_NULL, &f->arena, &schema, &f->err));
}

/* `before` `count` times, the middle, `after` `count` times. */
static void nested(struct buf *out, int count, const char *before, const char *middle,
                   const char *after)
{
    buf_clear(out);
    for (int i = 0; i < count; i++)
        buf_str(out, str_of(before));
    buf_str(out, str_of(middle));
    for (int i = 0; i < count; i++)
        buf_str(out, str_of(after));
}

static void nesting_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct schema schema;
    const char *array = "{\"type\":\"array\",\"items\":", *wrap = "{\"type\":";
    nested(&f->value, SCHEMA_DEPTH_MAX, array, "\"int\"", "}");
    assert_code(OK, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));
    nested(&f->value, SCHEMA_DEPTH_MAX + 1, array, "\"int\"", "}");
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));
    nested(&f->value, 1000, array, "\"int\"", "}");
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));
    nested(&f->value, 1000, wrap, "\"int\"", "}");
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));
    nested(&f->value, 60000, "[", "\"int\"", "]");
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));
}

static void numbers_of_types_fields_and_symbols_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct schema schema;
    buf_clear(&f->value);
    buf_str(&f->value, STR("{\"type\":\"record\",\"name\":\"R\",\"fields\":["));
    for (int i = 0; i <= SCHEMA_MEMBERS_MAX; i++)
        buf_printf(&f->value, "%s{\"name\":\"f%d\",\"type\":\"int\"}", i ? "," : "", i);
    buf_str(&f->value, STR("]}"));
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));

    buf_clear(&f->value);
    buf_str(&f->value, STR("["));
    for (int i = 0; i <= SCHEMA_NODES_MAX; i++)
        buf_printf(&f->value, "%s{\"name\":\"f%d\",\"type\":\"fixed\",\"size\":1}", i ? "," : "",
                   i);
    buf_str(&f->value, STR("]"));
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));

    buf_clear(&f->value);
    buf_str(&f->value, STR("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":["));
    for (int i = 0; i <= SCHEMA_SYMBOLS_MAX; i++)
        buf_printf(&f->value, "%s\"s%d\"", i ? "," : "", i);
    buf_str(&f->value, STR("]}"));
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));

    buf_clear(&f->value);
    buf_printf(&f->value, "\"int\"%*s", SCHEMA_TEXT_MAX, "");
    assert_code(E_SCHEMA, schema_parse(buf_view(&f->value), &f->arena, &schema, &f->err));
}

/* Octets of the shortest value decide how many items a block may claim. */
static void shortest_values_are_known(void **state)
{
    static const struct {
        const char *text;
        uint32_t size_min;
    } cases[] = {
        {"\"null\"", 0},
        {"\"double\"", 8},
        {"[\"null\"]", 1},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":7}", 7},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"null\"}]}", 0},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"float\"},"
         "{\"name\":\"b\",\"type\":[\"null\",\"R\"]}]}",
         5},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
         "\"array\",\"items\":{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"b\","
         "\"type\":\"R\"}]}}}]}",
         1},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct schema schema;
        assert_code(OK, schema_parse(str_of(cases[i].text), &f->arena, &schema, &f->err));
        assert_int_equal(schema.nodes[schema.root].size_min, cases[i].size_min);
    }
}

/* Damaged texts of real schemas: refused or understood, never more. */
static void damaged_schemas_do_no_harm(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 20260131;
    for (int round = 0; round < 4000; round++) {
        struct schema schema;
        struct str text = record_text((enum record_kind)(round % RECORD_KIND_COUNT));
        char *copy = (char *)(uintptr_t)arena_str(&f->arena, text).data;
        for (uint32_t i = 0; i < 1 + random_below(&seed, 4); i++)
            copy[random_below(&seed, (uint32_t)text.len)] = "\"{}[]:,nR0"[random_below(&seed, 10)];
        enum rcode rc = schema_parse((struct str){copy, text.len}, &f->arena, &schema, &f->err);
        assert_true(rc == OK || rc == E_SCHEMA);
        arena_reset(&f->arena, 1 << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(fingerprints_are_those_that_avro_publishes),
        codec_test(a_type_met_again_is_its_name_and_inherits_the_namespace),
        codec_test(hostile_schemas_are_refused),
        codec_test(nesting_is_bounded),
        codec_test(numbers_of_types_fields_and_symbols_are_bounded),
        codec_test(shortest_values_are_known),
        codec_test(damaged_schemas_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
