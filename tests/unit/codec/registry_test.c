/* Writer schemas from outside: a registry, a directory. */
#include <sys/stat.h>

#include "codec_support.h"
#include "tmpdir.h"

struct registry {
    int calls;
    enum rcode rc;
    const char *text; /* NULL: DeliveryRecord */
};

static enum rcode resolve(void *context, int32_t id, struct arena *arena, struct str *ret_json,
                          struct err *err)
{
    struct registry *registry = context;
    registry->calls++;
    if (registry->rc != OK)
        return err_set(err, registry->rc, "id %d", id);
    *ret_json =
        arena_str(arena, registry->text ? str_of(registry->text) : record_text(RECORD_DELIVERY));
    return OK;
}

static const struct input_record delivery = {
    .kind = RECORD_DELIVERY,
    .event_id = STR("e"),
    .tenant = STR(""),
    .recipient = STR("ann@example.org"),
    .message_id = STR("m"),
    .source = STR("s"),
};

static void new_codec(struct fixture *f, const struct codec_options *options)
{
    codec_free(f->codec);
    f->codec = NULL;
    assert_code(OK, codec_new(options, &f->codec, &f->err));
}

static void confluent_frames_are_written_and_read(void **state)
{
    static const int32_t ids[RECORD_KIND_COUNT] = {1, 0x01020304, 3, 4, 5, 6, 7};
    struct fixture *f = *state;
    struct registry registry = {0};
    struct input_record record;
    new_codec(f, &(struct codec_options){
                     .registered_ids = ids, .resolve = resolve, .resolve_context = &registry});
    codec_encode_input(f->codec, &delivery, &f->value);
    assert_memory_equal(f->value.data, "\x00\x01\x02\x03\x04", 5);
    for (int i = 0; i < 3; i++)
        assert_code(OK, codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
    assert_text(record.source, "s");
    assert_int_equal(registry.calls, 1); /* an id never changes its meaning */
}

static void single_objects_are_read_beside_a_registry(void **state)
{
    static const int32_t ids[RECORD_KIND_COUNT] = {1, 2, 3, 4, 5, 6, 7};
    struct fixture *f = *state;
    struct registry registry = {0};
    struct input_record record;
    codec_encode_input(f->codec, &delivery, &f->value);
    new_codec(f, &(struct codec_options){
                     .registered_ids = ids, .resolve = resolve, .resolve_context = &registry});
    assert_code(OK, codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
    assert_int_equal(registry.calls, 0);
}

static void a_registry_that_is_down_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct registry registry = {.rc = E_REGISTRY_UNAVAILABLE};
    struct input_record record;
    enum record_kind kind;
    new_codec(f, &(struct codec_options){.resolve = resolve, .resolve_context = &registry});
    put_confluent(&f->value, 9);
    struct str value = buf_view(&f->value);
    assert_code(E_REGISTRY_UNAVAILABLE, codec_decode_input(f->codec, value, &record, &f->err));
    assert_int_equal(rcode_disposition(E_REGISTRY_UNAVAILABLE), DISPOSITION_HOLD);
    assert_code(E_REGISTRY_UNAVAILABLE, codec_kind(f->codec, value, &kind, &f->err));
    registry.rc = E_UNKNOWN_SCHEMA;
    assert_code(E_UNKNOWN_SCHEMA, codec_kind(f->codec, value, &kind, &f->err));
    registry.rc = OK;
    assert_code(OK, codec_kind(f->codec, value, &kind, &f->err));
    assert_int_equal(kind, RECORD_DELIVERY);
    assert_int_equal(registry.calls, 4);
}

/* A broken schema in the registry is the record's fault, not the process's. */
static void a_broken_schema_of_the_registry_is_unknown_and_remembered(void **state)
{
    struct fixture *f = *state;
    struct registry registry = {.text = "{\"type\":\"record\"}"};
    struct input_record record;
    new_codec(f, &(struct codec_options){.resolve = resolve, .resolve_context = &registry});
    put_confluent(&f->value, -2);
    for (int i = 0; i < 3; i++) {
        assert_code(E_UNKNOWN_SCHEMA,
                    codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
        assert_non_null(strstr(f->err.text, "no fields"));
    }
    assert_int_equal(registry.calls, 1);
}

static void any_number_of_ids_takes_bounded_memory(void **state)
{
    struct fixture *f = *state;
    struct registry registry = {0};
    enum record_kind kind;
    new_codec(f, &(struct codec_options){.resolve = resolve, .resolve_context = &registry});
    for (int32_t id = 0; id < 20 * CODEC_IDS_MAX; id++) {
        buf_clear(&f->value);
        put_confluent(&f->value, id * 7919);
        assert_code(OK, codec_kind(f->codec, buf_view(&f->value), &kind, &f->err));
        assert_true(f->codec->id_count <= CODEC_IDS_MAX);
        assert_true(f->codec->registry_arena.retained < 2 * CODEC_REGISTRY_BYTES_MAX);
    }
    assert_int_equal(registry.calls, 20 * CODEC_IDS_MAX);
}

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[TMPDIR_PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *const delivery_without_source =
    "{\"type\":\"record\",\"name\":\"DeliveryRecord\",\"namespace\":\"rimbalzo\",\"fields\":["
    "{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"recipient\",\"type\":\"string\"},"
    "{\"name\":\"message_id\",\"type\":\"string\"},{\"name\":\"occurred_at\",\"type\":\"long\"}]}";

static void schemas_of_a_directory_are_known(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    enum record_kind kind;
    char path[TMPDIR_PATH_MAX];
    tmpdir_make(path);
    write_file(path, "old.avsc", delivery_without_source);
    write_file(path, "orders.avsc", "{\"type\":\"fixed\",\"name\":\"shop.Order\",\"size\":2}");
    write_file(path, "again.avsc", delivery_without_source);
    write_file(path, "README.md", "no schema");
    write_file(path, ".hidden.avsc", "no schema");
    begin_value(f, delivery_without_source);
    new_codec(f, &(struct codec_options){.schemas_dir = path});
    tmpdir_remove(path);
    for (int i = 0; i < 3; i++)
        put_text(&f->value, "x");
    put_long(&f->value, 1);
    assert_code(OK, codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
    assert_text(record.source, "");

    struct schema schema;
    struct str order = STR("{\"type\":\"fixed\",\"name\":\"shop.Order\",\"size\":2}");
    assert_code(OK, schema_parse(order, &f->arena, &schema, &f->err));
    buf_clear(&f->value);
    put_frame(&f->value, schema.fingerprint);
    buf_str(&f->value, STR("\x01\xff"));
    assert_code(E_UNEXPECTED_SCHEMA, codec_kind(f->codec, buf_view(&f->value), &kind, &f->err));
    assert_code(OK, codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    assert_text(buf_view(&f->json), "\"\\u0001\\u00ff\"");
}

static void a_broken_file_is_named(void **state)
{
    struct fixture *f = *state;
    struct codec *codec = NULL;
    char path[TMPDIR_PATH_MAX];
    tmpdir_make(path);
    write_file(path, "broken.avsc", "{\"type\":\"record\",\n}");
    struct codec_options options = {.schemas_dir = path};
    assert_code(E_SCHEMA, codec_new(&options, &codec, &f->err));
    assert_non_null(strstr(f->err.text, "broken.avsc"));
    assert_non_null(strstr(f->err.text, "line 2"));
    assert_null(codec);
    tmpdir_remove(path);
    assert_code(E_IO, codec_new(&options, &codec, &f->err));
    assert_non_null(strstr(f->err.text, path));

    tmpdir_make(path);
    char folder[TMPDIR_PATH_MAX + 64];
    snprintf(folder, sizeof(folder), "%s/folder.avsc", path);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_code(E_SCHEMA, codec_new(&options, &codec, &f->err));
    assert_non_null(strstr(f->err.text, "folder.avsc"));
    tmpdir_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(confluent_frames_are_written_and_read),
        codec_test(single_objects_are_read_beside_a_registry),
        codec_test(a_registry_that_is_down_is_asked_again),
        codec_test(a_broken_schema_of_the_registry_is_unknown_and_remembered),
        codec_test(any_number_of_ids_takes_bounded_memory),
        codec_test(schemas_of_a_directory_are_known),
        codec_test(a_broken_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
