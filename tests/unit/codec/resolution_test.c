/* Values written with other versions of the schemas. */
#include "codec_support.h"

/* Begins a value of a record of ours whose fields are given as "name type", in JSON with ' for ".
 */
static void begin_fields(struct fixture *f, const char *record, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text);
    buf_printf(&text, "{'type':'record','name':'rimbalzo.%s','fields':[", record);
    va_start(args, record);
    for (const char *field; (field = va_arg(args, const char *));) {
        const char *type = strchr(field, ' ');
        buf_printf(&text, "{'name':'%.*s','type':%s},", (int)(type - field), field, type + 1);
    }
    va_end(args);
    text.len--;
    buf_str(&text, STR("]}"));
    for (size_t i = 0; i < text.len; i++)
        text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
    buf_append(&text, "", 1);
    begin_value(f, text.data);
    buf_deinit(&text);
}

#define REQUIRED                                                                                   \
    "event_id 'string'", "recipient 'string'", "message_id 'string'", "occurred_at 'long'"

static enum rcode decode(struct fixture *f, struct input_record *ret_record)
{
    return codec_decode_input(f->codec, buf_view(&f->value), ret_record, &f->err);
}

static void put_required(struct buf *out)
{
    put_text(out, "e");
    put_text(out, "ann@example.org");
    put_text(out, "m");
    put_long(out, 1234567890123);
}

static void assert_required(const struct input_record *record)
{
    assert_text(record->event_id, "e");
    assert_text(record->recipient, "ann@example.org");
    assert_text(record->message_id, "m");
    assert_true(record->occurred_at_ms == 1234567890123);
}

static void what_the_writer_lacks_has_the_readers_default(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord", REQUIRED, NULL);
    put_required(&f->value);
    assert_code(OK, decode(f, &record));
    assert_required(&record);
    assert_text(record.tenant, "");
    assert_text(record.source, "");
    assert_non_null(record.source.data);
    assert_null(record.retry_of.data);

    begin_fields(f, "BounceRecord", REQUIRED, NULL);
    put_required(&f->value);
    assert_code(OK, decode(f, &record));
    assert_required(&record);
    assert_int_equal(record.message_attempt, 0);
    assert_int_equal(record.reply_code, 0);
    assert_null(record.status.data);
    assert_null(record.stage.data);
    assert_true(str_equal(record.attributes, STR("\0"))); /* an empty map */
}

static void a_required_field_that_the_writer_lacks_is_invalid(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord", "event_id 'string'", "recipient 'string'",
                 "message_id 'string'", NULL);
    put_text(&f->value, "e");
    put_text(&f->value, "r");
    put_text(&f->value, "m");
    assert_code(E_INVALID_FIELD, decode(f, &record));
    assert_non_null(strstr(f->err.text, "occurred_at"));
    f->value.len--; /* malformed goes before invalid */
    assert_code(E_MALFORMED, decode(f, &record));
}

static void fields_may_come_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord", "source 'string'", "occurred_at 'long'",
                 "message_id 'string'", "tenant 'string'", "recipient 'string'",
                 "event_id 'string'", NULL);
    put_text(&f->value, "s");
    put_long(&f->value, 1234567890123);
    put_text(&f->value, "m");
    put_text(&f->value, "t");
    put_text(&f->value, "ann@example.org");
    put_text(&f->value, "e");
    assert_code(OK, decode(f, &record));
    assert_required(&record);
    assert_text(record.source, "s");
    assert_text(record.tenant, "t");
}

static void fields_of_any_type_are_skipped(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord",
                 "a {'type':'record','name':'A','fields':[{'name':'x','type':'null'},"
                 "{'name':'y','type':'boolean'},{'name':'z','type':'float'}]}",
                 "b {'type':'array','items':'A'}",
                 "c {'type':'map','values':['null','double','bytes']}",
                 "d {'type':'fixed','name':'F','size':3}",
                 "e {'type':'enum','name':'E','symbols':['P','Q']}", REQUIRED, NULL);
    buf_str(&f->value, STR("\001abcd")); /* a: true and a float */
    put_long(&f->value, -2);             /* b: a block of 2 items */
    put_long(&f->value, 10);             /* in 10 octets */
    buf_str(&f->value, STR("\0001234\0015678"));
    put_long(&f->value, 1); /* and one of 1 */
    buf_str(&f->value, STR("\0009abc"));
    put_long(&f->value, 0);
    put_long(&f->value, 3); /* c: three pairs */
    put_text(&f->value, "k1");
    put_long(&f->value, 0);
    put_text(&f->value, "k2");
    put_long(&f->value, 1);
    buf_str(&f->value, STR("12345678"));
    put_text(&f->value, "k3");
    put_long(&f->value, 2);
    put_text(&f->value, "octets");
    put_long(&f->value, 0);
    buf_str(&f->value, STR("fff")); /* d */
    put_long(&f->value, 1);         /* e: Q */
    put_required(&f->value);
    assert_code(OK, decode(f, &record));
    assert_required(&record);
}

static void types_that_widen_are_read(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord", "event_id 'bytes'", "recipient ['null','string']",
                 "message_id ['bytes','null']", "occurred_at 'int'", "retry_of 'string'", NULL);
    put_text(&f->value, "e");
    put_long(&f->value, 1);
    put_text(&f->value, "r");
    put_long(&f->value, 0);
    put_text(&f->value, "m");
    put_long(&f->value, -5);
    put_text(&f->value, "c");
    assert_code(OK, decode(f, &record));
    assert_text(record.event_id, "e");
    assert_text(record.recipient, "r");
    assert_text(record.message_id, "m");
    assert_text(record.retry_of, "c");
    assert_true(record.occurred_at_ms == -5);
}

/* Bytes may hold anything, a string may not: the octets are well-formed, the field is not. */
static void bytes_that_are_no_text_are_invalid(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord", "event_id 'bytes'", "recipient 'string'",
                 "message_id 'string'", "occurred_at 'long'", "extra 'bytes'", NULL);
    put_text(&f->value, "\xff");
    put_text(&f->value, "r");
    put_text(&f->value, "m");
    put_long(&f->value, 1);
    put_text(&f->value, "\xfe");
    assert_code(E_INVALID_FIELD, decode(f, &record));
    assert_non_null(strstr(f->err.text, "event_id"));
}

static void null_in_a_required_field_is_invalid(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    begin_fields(f, "DeliveryRecord", "event_id 'string'", "recipient ['null','string']",
                 "message_id 'string'", "occurred_at 'long'", NULL);
    put_text(&f->value, "e");
    put_long(&f->value, 0);
    put_text(&f->value, "m");
    put_long(&f->value, 1);
    assert_code(E_INVALID_FIELD, decode(f, &record));
    assert_non_null(strstr(f->err.text, "recipient"));
}

static void a_type_that_does_not_fit_is_invalid(void **state)
{
    static const char *const fields[] = {"occurred_at 'double'", "occurred_at 'string'",
                                         "occurred_at 'boolean'",
                                         "occurred_at {'type':'array','items':'long'}"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        struct input_record record;
        begin_fields(f, "DeliveryRecord", fields[i], "event_id 'string'", "recipient 'string'",
                     "message_id 'string'", NULL);
        buf_append(&f->value, "\0\0\0\0\0\0\0", i == 0 ? 8 : 1);
        for (int j = 0; j < 3; j++)
            put_text(&f->value, "x");
        assert_code(E_INVALID_FIELD, decode(f, &record));
        assert_non_null(strstr(f->err.text, "occurred_at"));
    }
}

/* One branch of a union fits, another does not: the value decides. */
static void a_union_is_judged_by_its_value(void **state)
{
    static const enum rcode expected[] = {E_INVALID_FIELD, E_INVALID_FIELD, OK, OK, E_MALFORMED};
    struct fixture *f = *state;
    struct input_record record;
    for (int branch = 0; branch < 5; branch++) {
        begin_fields(f, "DeliveryRecord", "event_id 'string'", "recipient 'string'",
                     "message_id 'string'", "occurred_at ['null','string','int','long']", NULL);
        for (int i = 0; i < 3; i++)
            put_text(&f->value, "x");
        put_long(&f->value, branch);
        if (branch == 1)
            put_text(&f->value, "yesterday");
        else if (branch > 1)
            put_long(&f->value, 77);
        assert_code(expected[branch], decode(f, &record));
        if (expected[branch] == OK)
            assert_true(record.occurred_at_ms == 77);
    }
}

static void symbols_go_by_name_and_unknown_ones_by_default(void **state)
{
    static const int expected[] = {OVERRIDE_FORGET, -1, OVERRIDE_REINSTATE, -1};
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        struct input_record record;
        begin_fields(f, "RecipientOverride", "event_id 'string'", "recipient 'string'",
                     "occurred_at 'long'",
                     "action {'type':'enum','name':'X','symbols':"
                     "['FORGET','PAUSE','REINSTATE','UNKNOWN']}",
                     NULL);
        put_text(&f->value, "e");
        put_text(&f->value, "r");
        put_long(&f->value, 1);
        put_long(&f->value, i);
        assert_code(OK, decode(f, &record));
        assert_int_equal(record.action, expected[i]);
    }
}

/* A command of a version that knows another reason. */
static void new_symbols_of_our_own_records_fall_back(void **state)
{
    struct fixture *f = *state;
    struct retry_command got;
    begin_fields(f, "RetryCommand", "command_id 'string'",
                 "action {'type':'enum','name':'A','symbols':['UNKNOWN','CANCEL']}",
                 "tenant 'string'", "recipient 'string'", "episode 'int'", "attempt 'int'",
                 "max_attempts 'int'", "message_attempt 'int'", "due_at 'long'", "issued_at 'long'",
                 "reason {'type':'enum','name':'B','symbols':['quota']}", "source_partition 'int'",
                 "source_offset 'long'", NULL);
    put_text(&f->value, "0f8fad5b-d9cb-569f-a165-70867728950e");
    put_long(&f->value, 1);
    put_text(&f->value, "");
    put_text(&f->value, "r");
    for (int i = 0; i < 6; i++)
        put_long(&f->value, i);
    put_long(&f->value, 0);
    put_long(&f->value, 8);
    put_long(&f->value, 9);
    assert_code(OK, codec_decode_command(f->codec, buf_view(&f->value), &got, &f->err));
    assert_int_equal(got.action, COMMAND_CANCEL);
    assert_int_equal(got.reason, REASON_OTHER);
    assert_null(got.message_id.data);
    assert_null(got.status.data);
    assert_int_equal(got.source_partition, 8);
}

static void an_int_out_of_range_is_malformed(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    for (int i = 0; i < 2; i++) {
        begin_fields(f, "DeliveryRecord", "occurred_at 'int'", "event_id 'string'",
                     "recipient 'string'", "message_id 'string'", NULL);
        put_long(&f->value, i ? (int64_t)INT32_MAX + 1 : INT32_MAX);
        for (int j = 0; j < 3; j++)
            put_text(&f->value, "x");
        assert_code(i ? E_MALFORMED : OK, decode(f, &record));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(what_the_writer_lacks_has_the_readers_default),
        codec_test(a_required_field_that_the_writer_lacks_is_invalid),
        codec_test(fields_may_come_in_any_order),
        codec_test(fields_of_any_type_are_skipped),
        codec_test(types_that_widen_are_read),
        codec_test(bytes_that_are_no_text_are_invalid),
        codec_test(null_in_a_required_field_is_invalid),
        codec_test(a_type_that_does_not_fit_is_invalid),
        codec_test(a_union_is_judged_by_its_value),
        codec_test(symbols_go_by_name_and_unknown_ones_by_default),
        codec_test(new_symbols_of_our_own_records_fall_back),
        codec_test(an_int_out_of_range_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
