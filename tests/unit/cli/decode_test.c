/* rimbalzo decode: one message, in octets or in hexadecimal digits. */
#include "command.h"

#include <sys/stat.h>

#include "codec/record.h"
#include "codec/schema.h"

#define ARGS(...) .run = cmd_decode, .args = {__VA_ARGS__}

static struct buf message;

/* A delivery, and what it is as JSON. */
static const char json[] =
    "{\"event_id\":\"7d5e5d2c-0d5c-5f4e-8d4f-1c1f1d2a3b4c\",\"tenant\":\"\",\"recipient\":"
    "\"a@example.org\",\"message_id\":\"m\",\"occurred_at\":1700000000000,\"retry_of\":null,"
    "\"source\":\"test\"}\n";

static int make_message(void **state)
{
    struct codec_options options = {0};
    struct codec *codec;
    struct err err;
    struct input_record record = {.kind = RECORD_DELIVERY,
                                  .event_id = STR("7d5e5d2c-0d5c-5f4e-8d4f-1c1f1d2a3b4c"),
                                  .tenant = STR(""),
                                  .recipient = STR("a@example.org"),
                                  .message_id = STR("m"),
                                  .occurred_at_ms = 1700000000000,
                                  .source = STR("test")};
    if (codec_new(&options, &codec, &err) != OK)
        fail_msg("%s", err.text);
    codec_encode_input(codec, &record, &message);
    codec_free(codec);
    return enter_dir(state);
}

static int drop_message(void **state)
{
    buf_deinit(&message);
    return leave_dir(state);
}

static void a_single_object_is_printed_from_stdin_and_from_a_file(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS(NULL), .input = buf_view(&message)}, EXIT_CODE_OK, json,
                   "");
    assert_command((struct command){ARGS("-"), .input = buf_view(&message)}, EXIT_CODE_OK, json,
                   "");
    write_file("message", buf_view(&message));
    assert_command((struct command){ARGS("message")}, EXIT_CODE_OK, json, "");
}

static void hexadecimal_digits_may_be_spaced_and_of_either_case(void **unused)
{
    (void)unused;
    static const struct {
        const char *digits, *gap;
    } forms[] = {{"0123456789abcdef", ""},
                 {"0123456789ABCDEF", " "},
                 {"0123456789abcdef", ":"},
                 {"0123456789abcdef", "\r\n\t"}};
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        struct buf hex = {0};
        for (size_t i = 0; i < message.len; i++) {
            unsigned char octet = (unsigned char)message.data[i];
            buf_printf(&hex, "%c%c%s", forms[f].digits[octet >> 4], forms[f].digits[octet & 15],
                       forms[f].gap);
        }
        assert_command((struct command){ARGS("--hex"), .input = buf_view(&hex)}, EXIT_CODE_OK, json,
                       "");
        buf_deinit(&hex);
    }
}

static void what_is_no_hexadecimal_is_refused(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS("--hex"), .input = STR("c3 0g")}, EXIT_CODE_DATA, "",
                   "rimbalzo: malformed: octet 5 of the input is no hexadecimal digit\n");
    assert_command((struct command){ARGS("--hex"), .input = STR("c3 0")}, EXIT_CODE_DATA, "",
                   "rimbalzo: malformed: an odd number of hexadecimal digits\n");
}

/* The error's name, then its text. */
static void assert_refused(struct str input, const char *name)
{
    struct result result = run_command((struct command){ARGS(NULL), .input = input});
    char expected[64];
    snprintf(expected, sizeof(expected), "rimbalzo: %s: ", name);
    if (strncmp(result.err.data, expected, strlen(expected)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", result.err.data, expected);
    assert_int_equal(result.out.len, 0);
    assert_int_equal(result.code, EXIT_CODE_DATA);
    result_deinit(&result);
}

static void a_message_that_cannot_be_decoded_is_refused_by_name(void **unused)
{
    (void)unused;
    struct buf longer = {0};
    buf_str(&longer, buf_view(&message));
    buf_append(&longer, "x", 1);
    assert_refused(STR(""), "malformed");
    assert_refused(STR("{\"json\":1}"), "malformed");
    assert_refused((struct str){message.data, message.len - 1}, "malformed");
    assert_refused(buf_view(&longer), "malformed");
    assert_refused(STR("\xc3\x01\0\0\0\0\0\0\0\0"), "unknown_schema");
    assert_refused(STR("\0\0\0\0\7abc"), "unknown_schema");
    buf_deinit(&longer);
}

static void schemas_of_the_configuration_are_known(void **unused)
{
    (void)unused;
    static const char text[] = "{\"type\": \"record\", \"name\": \"other.Thing\", \"fields\": "
                               "[{\"name\": \"size\", \"type\": \"long\"}]}";
    struct arena arena;
    struct schema schema;
    struct buf value = {0};
    struct err err;
    arena_init(&arena);
    if (schema_parse(STR(text), &arena, &schema, &err) != OK)
        fail_msg("%s", err.text);
    buf_append(&value, "\xc3\x01", 2);
    for (int i = 0; i < 8; i++)
        buf_printf(&value, "%c", (int)(schema.fingerprint >> (8 * i) & 0xff));
    buf_append(&value, "\x0e", 1);
    assert_refused(buf_view(&value), "unknown_schema");
    assert_int_equal(mkdir("schemas", 0700), 0);
    write_file("schemas/Thing.avsc", STR(text));
    assert_command(
        (struct command){ARGS("--set", "schemas.dir=schemas"), .input = buf_view(&value)},
        EXIT_CODE_OK, "{\"size\":7}\n", "");
    buf_deinit(&value);
    arena_deinit(&arena);
}

static void a_file_that_is_missing_is_an_input_error(void **unused)
{
    (void)unused;
    assert_command((struct command){ARGS("missing")}, EXIT_CODE_IO, "",
                   "rimbalzo: io: missing: cannot be read: No such file or directory\n");
    assert_usage((struct command){ARGS("a", "b")}, "\"b\" is one file too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_object_is_printed_from_stdin_and_from_a_file),
        cmocka_unit_test(hexadecimal_digits_may_be_spaced_and_of_either_case),
        cmocka_unit_test(what_is_no_hexadecimal_is_refused),
        cmocka_unit_test(a_message_that_cannot_be_decoded_is_refused_by_name),
        cmocka_unit_test(schemas_of_the_configuration_are_known),
        cmocka_unit_test(a_file_that_is_missing_is_an_input_error),
    };
    return cmocka_run_group_tests(tests, make_message, drop_message);
}
