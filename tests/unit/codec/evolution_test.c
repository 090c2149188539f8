/*
 * Every version of a schema reads every other (FULL_TRANSITIVE). Released versions are in
 * schemas/released/<Record>/<n>.avsc and never change; the newest equals schemas/<Record>.avsc.
 */
#include "codec/evolution.h"
#include "codec_support.h"

#define VERSIONS_MAX 100

struct versions {
    struct schema schemas[VERSIONS_MAX];
    struct str texts[VERSIONS_MAX];
    int count;
};

static bool read_file(const char *path, struct arena *arena, struct str *ret_text)
{
    struct buf text;
    char chunk[4096];
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    buf_init(&text);
    for (size_t len; (len = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buf_append(&text, chunk, len);
    fclose(file);
    *ret_text = arena_str(arena, buf_view(&text));
    buf_deinit(&text);
    return true;
}

/* Versions 1, 2, … of a record, as many as there are. */
static void read_versions(struct fixture *f, enum record_kind kind, struct versions *ret_versions)
{
    char path[512];
    ret_versions->count = 0;
    for (int i = 0; i < VERSIONS_MAX; i++) {
        snprintf(path, sizeof(path), SOURCE_DIR "/schemas/released/%s/%d.avsc",
                 record_kind_names[kind], i + 1);
        if (!read_file(path, &f->arena, &ret_versions->texts[i]))
            break;
        if (schema_parse(ret_versions->texts[i], &f->arena, &ret_versions->schemas[i], &f->err) !=
            OK)
            fail_msg("%s: %s", path, f->err.text);
        ret_versions->count++;
    }
}

static void current_schemas_are_released(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        const char *name = record_kind_names[kind];
        struct versions versions;
        read_versions(f, (enum record_kind)kind, &versions);
        assert_true(versions.count > 0);
        if (!str_equal(versions.texts[versions.count - 1], record_text((enum record_kind)kind)))
            fail_msg("schemas/%s.avsc is not its released version %d. Released versions never "
                     "change: undo the change, or release the file as it is with\n"
                     "  cp schemas/%s.avsc schemas/released/%s/%d.avsc",
                     name, versions.count, name, name, versions.count + 1);
    }
}

static void all_versions_read_each_other(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        struct versions versions;
        read_versions(f, (enum record_kind)kind, &versions);
        for (int i = 0; i < versions.count; i++)
            for (int j = 0; j < versions.count; j++)
                if (schema_can_read(&versions.schemas[i], &versions.schemas[j], &f->err) != OK)
                    fail_msg("%s: version %d cannot read version %d: %s", record_kind_names[kind],
                             i + 1, j + 1, f->err.text);
    }
}

/* A worker decodes what any released version wrote, without registry or schemas.dir. */
static void all_versions_are_compiled_in(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        struct versions versions;
        read_versions(f, (enum record_kind)kind, &versions);
        for (int i = 0; i < versions.count; i++) {
            const struct writer *writer;
            struct str body;
            buf_clear(&f->value);
            put_frame(&f->value, versions.schemas[i].fingerprint);
            assert_code(OK, codec_unframe(f->codec, buf_view(&f->value), &writer, &body, &f->err));
            assert_int_equal(writer->kind, kind);
            assert_null(writer->plan.missing);
        }
    }
}

/* Replaces one run of octets of a text by another. */
static struct str edited(struct fixture *f, struct str text, const char *from, const char *to)
{
    const char *at = memmem(text.data, text.len, from, strlen(from));
    if (!at)
        fail_msg("the schema does not hold %s", from);
    const char *rest = at + strlen(from);
    return arena_printf(&f->arena, "%.*s%s%.*s", (int)(at - text.data), text.data, to,
                        (int)(text.data + text.len - rest), rest);
}

/* Whether a changed schema and the released one read each other. */
static bool stays_compatible(struct fixture *f, enum record_kind kind, const char *from,
                             const char *to)
{
    struct schema before, after;
    struct str text = record_text(kind);
    assert_code(OK, schema_parse(text, &f->arena, &before, &f->err));
    if (schema_parse(edited(f, text, from, to), &f->arena, &after, &f->err) != OK)
        fail_msg("%s", f->err.text);
    return schema_can_read(&after, &before, &f->err) == OK &&
           schema_can_read(&before, &after, &f->err) == OK;
}

static void planted_changes_that_break_are_found(void **state)
{
    static const struct {
        enum record_kind kind;
        const char *from, *to;
    } cases[] = {
        /* a required field more; a required field less */
        {RECORD_DELIVERY, "\"fields\": [", "\"fields\": [{\"name\": \"x\", \"type\": \"int\"},"},
        {RECORD_DELIVERY, "\"name\": \"event_id\"", "\"name\": \"id\""},
        /* a field of its own name in place of another */
        {RECORD_BOUNCE, "\"name\": \"message_id\"", "\"name\": \"message\""},
        /* types narrow or widen */
        {RECORD_BOUNCE, "[\"null\", \"int\"]", "[\"null\", \"long\"]"},
        {RECORD_BOUNCE, "{\"type\": \"long\", \"logicalType\": \"timestamp-millis\"}", "\"int\""},
        {RECORD_RECIPIENT_STATE, "\"items\": \"long\"", "\"items\": \"double\""},
        {RECORD_DELIVERY, "\"type\": [\"null\", \"string\"]", "\"type\": [\"null\", \"int\"]"},
        /* the record or an enum gets another name */
        {RECORD_DELIVERY, "\"namespace\": \"rimbalzo\"", "\"namespace\": \"rimbalzo2\""},
        {RECORD_OVERRIDE, "\"OverrideAction\"", "\"Action\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (stays_compatible(f, cases[i].kind, cases[i].from, cases[i].to))
            fail_msg("case %zu went unnoticed: %s", i, cases[i].to);
}

static void planted_changes_that_are_allowed_pass(void **state)
{
    static const struct {
        enum record_kind kind;
        const char *from, *to;
    } cases[] = {
        {RECORD_DELIVERY, "\"fields\": [",
         "\"fields\": [{\"name\": \"x\", \"type\": [\"null\", \"int\"], \"default\": null},"},
        {RECORD_BOUNCE, "\"doc\": \"", "\"doc\": \"More about it. "},
        {RECORD_OVERRIDE, "\"FORGET\"", "\"FORGET\", \"PAUSE\""},
        {RECORD_RETRY_COMMAND, "\"mailbox_full\", ", ""},
        {RECORD_DELIVERY, "\"type\": \"string\"", "\"type\": \"bytes\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (!stays_compatible(f, cases[i].kind, cases[i].from, cases[i].to))
            fail_msg("case %zu: %s", i, f->err.text);
}

/* Symbols may come and go only because every enum has a default. */
static void an_enum_without_default_may_not_change(void **state)
{
    struct fixture *f = *state;
    struct schema two, three;
    struct str text = STR("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}");
    assert_code(OK, schema_parse(text, &f->arena, &two, &f->err));
    assert_code(OK,
                schema_parse(edited(f, text, "\"B\"", "\"B\",\"C\""), &f->arena, &three, &f->err));
    assert_code(OK, schema_can_read(&three, &two, &f->err));
    assert_code(E_SCHEMA, schema_can_read(&two, &three, &f->err));
    assert_non_null(strstr(f->err.text, "C"));
}

/* Recursive types are compared once. */
static void recursive_schemas_are_compared(void **state)
{
    struct fixture *f = *state;
    struct schema list, other;
    struct str text = STR("{\"type\":\"record\",\"name\":\"L\",\"fields\":["
                          "{\"name\":\"v\",\"type\":\"int\"},"
                          "{\"name\":\"n\",\"type\":[\"null\",\"L\"]}]}");
    assert_code(OK, schema_parse(text, &f->arena, &list, &f->err));
    assert_code(OK, schema_can_read(&list, &list, &f->err));
    assert_code(OK,
                schema_parse(edited(f, text, "\"int\"", "\"long\""), &f->arena, &other, &f->err));
    assert_code(OK, schema_can_read(&other, &list, &f->err));
    assert_code(E_SCHEMA, schema_can_read(&list, &other, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(current_schemas_are_released),
        codec_test(all_versions_read_each_other),
        codec_test(all_versions_are_compiled_in),
        codec_test(planted_changes_that_break_are_found),
        codec_test(planted_changes_that_are_allowed_pass),
        codec_test(an_enum_without_default_may_not_change),
        codec_test(recursive_schemas_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
