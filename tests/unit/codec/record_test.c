#include "codec_support.h"

static const struct input_record bounce = {
    .kind = RECORD_BOUNCE,
    .event_id = STR("e-1"),
    .tenant = STR("t"),
    .recipient = STR("Ann@Example.ORG"),
    .message_id = STR("m-1"),
    .occurred_at_ms = 1769860800000,
    .retry_of = STR("c-1"),
    .source = STR("kumomta"),
    .status = STR("4.2.1"),
    .diagnostic = STR("450 4.2.1 disabled"),
    .remote_mta = STR("mx.example.org"),
    .stage = STR("RCPT"),
    .reply_code = 450,
    .message_attempt = 2,
    .attributes = STR("\x02\x06key\x0avalue\x00"),
};

static const struct input_record delivery = {
    .kind = RECORD_DELIVERY,
    .event_id = STR("e-2"),
    .tenant = STR(""),
    .recipient = STR("ann@example.org"),
    .message_id = STR(""),
    .occurred_at_ms = -1,
    .source = STR("ses"),
};

static const struct input_record override = {
    .kind = RECORD_OVERRIDE,
    .event_id = STR("e-3"),
    .tenant = STR(""),
    .recipient = STR("ann@example.org"),
    .occurred_at_ms = 3,
    .action = OVERRIDE_FORGET,
    .reason = STR("asked"),
    .actor = STR("crm"),
};

static const struct retry_command command = {
    .command_id = {"0f8fad5b-d9cb-569f-a165-70867728950e"},
    .action = COMMAND_RELEASE,
    .who = {STR("t"), STR("ann@example.org")},
    .message_id = STR("m-1"),
    .episode = 1,
    .attempt = 2,
    .max_attempts = 3,
    .message_attempt = 4,
    .due_at_ms = 5,
    .issued_at_ms = 6,
    .status = STR("4.2.2"),
    .reason = REASON_MAILBOX_FULL,
    .source_partition = 7,
    .source_offset = 8,
};

static const struct suppression_event suppression = {
    .suppression_id = {"0f8fad5b-d9cb-569f-a165-70867728950f"},
    .action = SUPPRESSION_REINSTATE,
    .who = {STR("t"), STR("ann@example.org")},
    .reason = SUPPRESSION_DELIVERED,
    .status = STR("5.1.1"),
    .rule = STR("r"),
    .attempts = 1,
    .episode = 2,
    .first_bounced_at_ms = 3,
    .last_bounced_at_ms = TIME_NULL,
    .occurred_at_ms = 4,
    .source_partition = 5,
    .source_offset = 6,
};

static const struct recipient_notice notice = {
    .notice_id = {"0f8fad5b-d9cb-569f-a165-708677289510"},
    .kind = NOTICE_REDUCE_FREQUENCY,
    .who = {STR("t"), STR("ann@example.org")},
    .episode = 1,
    .attempt = 2,
    .frequency = FREQUENCY_QUARTER,
    .occurred_at_ms = 3,
    .source_partition = 4,
    .source_offset = 5,
};

static const struct recipient recipient = {
    .who = {STR("t"), STR("ann@example.org")},
    .status = STATUS_SUPPRESSED,
    .suppressed_by = SUPPRESSION_MANUAL,
    .in_episode = true,
    .reason = REASON_OTHER,
    .policy = STR("default"),
    .attempt = 1,
    .episode = 2,
    .episode_opened_at_ms = 3,
    .due_at_ms = 4,
    .last_bounce_at_ms = 5,
    .last_delivery_at_ms = 6,
    .reinstated_at_ms = 7,
    .last_event_at_ms = 8,
    .last_status = STR("4.2.1"),
    .last_rule = STR("r"),
    .soft = 9,
    .hard = 10,
    .transient = 11,
    .policy_bounces = 12,
    .unknown = 13,
    .deliveries = 14,
    .overrides = 15,
    .suppressions = 16,
    .openings_ms = {17, 18},
    .opening_count = 2,
    .recent_events = {UINT64_MAX, 19},
    .recent_event_count = 2,
    .recent_commands = {UINT64_C(1) << 63},
    .recent_command_count = 1,
    .frequency = FREQUENCY_HALF,
    .source_offset = 20,
};

static void assert_json(struct fixture *f, const char *expected)
{
    buf_clear(&f->json);
    assert_code(OK, codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    assert_text(buf_view(&f->json), expected);
    buf_clear(&f->value);
}

/* Every member under the name its schema gives it. */
static void every_field_stands_under_its_own_name(void **state)
{
    struct fixture *f = *state;
    codec_encode_input(f->codec, &bounce, &f->value);
    assert_json(f, "{\"event_id\":\"e-1\",\"tenant\":\"t\",\"recipient\":\"Ann@Example.ORG\","
                   "\"message_id\":\"m-1\",\"occurred_at\":1769860800000,\"status\":\"4.2.1\","
                   "\"reply_code\":450,\"diagnostic\":\"450 4.2.1 disabled\","
                   "\"remote_mta\":\"mx.example.org\",\"stage\":\"RCPT\",\"retry_of\":\"c-1\","
                   "\"message_attempt\":2,\"source\":\"kumomta\","
                   "\"attributes\":{\"key\":\"value\"}}");
    codec_encode_input(f->codec, &delivery, &f->value);
    assert_json(f, "{\"event_id\":\"e-2\",\"tenant\":\"\",\"recipient\":\"ann@example.org\","
                   "\"message_id\":\"\",\"occurred_at\":-1,\"retry_of\":null,\"source\":\"ses\"}");
    codec_encode_input(f->codec, &override, &f->value);
    assert_json(f, "{\"event_id\":\"e-3\",\"tenant\":\"\",\"recipient\":\"ann@example.org\","
                   "\"occurred_at\":3,\"action\":\"FORGET\",\"reason\":\"asked\","
                   "\"actor\":\"crm\"}");
    codec_encode_command(f->codec, &command, &f->value);
    assert_json(f, "{\"command_id\":\"0f8fad5b-d9cb-569f-a165-70867728950e\","
                   "\"action\":\"RELEASE\",\"tenant\":\"t\",\"recipient\":\"ann@example.org\","
                   "\"message_id\":\"m-1\",\"episode\":1,\"attempt\":2,\"max_attempts\":3,"
                   "\"message_attempt\":4,\"due_at\":5,\"issued_at\":6,\"status\":\"4.2.2\","
                   "\"reason\":\"mailbox_full\",\"source_partition\":7,\"source_offset\":8}");
    codec_encode_suppression(f->codec, &suppression, &f->value);
    assert_json(f, "{\"suppression_id\":\"0f8fad5b-d9cb-569f-a165-70867728950f\","
                   "\"action\":\"REINSTATE\",\"tenant\":\"t\",\"recipient\":\"ann@example.org\","
                   "\"reason\":\"DELIVERED\",\"status\":\"5.1.1\",\"rule\":\"r\",\"attempts\":1,"
                   "\"episode\":2,\"first_bounced_at\":3,\"last_bounced_at\":null,"
                   "\"occurred_at\":4,\"source_partition\":5,\"source_offset\":6}");
    codec_encode_notice(f->codec, &notice, &f->value);
    assert_json(f, "{\"notice_id\":\"0f8fad5b-d9cb-569f-a165-708677289510\","
                   "\"kind\":\"REDUCE_FREQUENCY\",\"tenant\":\"t\","
                   "\"recipient\":\"ann@example.org\",\"episode\":1,\"attempt\":2,"
                   "\"frequency\":\"QUARTER\",\"occurred_at\":3,\"source_partition\":4,"
                   "\"source_offset\":5}");
    codec_encode_recipient(f->codec, &recipient, &f->value);
    assert_json(f, "{\"tenant\":\"t\",\"recipient\":\"ann@example.org\",\"status\":\"SUPPRESSED\","
                   "\"suppressed_by\":\"MANUAL\",\"reason\":\"other\",\"policy\":\"default\","
                   "\"attempt\":1,\"episode\":2,\"episode_opened_at\":3,\"due_at\":4,"
                   "\"last_bounce_at\":5,\"last_delivery_at\":6,\"reinstated_at\":7,"
                   "\"last_event_at\":8,\"last_status\":\"4.2.1\",\"last_rule\":\"r\",\"soft\":9,"
                   "\"hard\":10,\"transient\":11,\"policy_bounces\":12,\"unknown\":13,"
                   "\"deliveries\":14,\"overrides\":15,\"suppressions\":16,\"openings\":[17,18],"
                   "\"recent_events\":[-1,19],\"recent_commands\":[-9223372036854775808],"
                   "\"frequency\":\"HALF\",\"source_offset\":20}");
}

static void a_bounce_is_decoded_without_a_copy(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    codec_encode_input(f->codec, &bounce, &f->value);
    struct str value = buf_view(&f->value);
    assert_code(OK, codec_decode_input(f->codec, value, &record, &f->err));
    assert_int_equal(record.kind, RECORD_BOUNCE);
    assert_text(record.event_id, "e-1");
    assert_text(record.recipient, "Ann@Example.ORG");
    assert_text(record.retry_of, "c-1");
    assert_text(record.diagnostic, "450 4.2.1 disabled");
    assert_int_equal(record.reply_code, 450);
    assert_int_equal(record.message_attempt, 2);
    assert_true(record.occurred_at_ms == 1769860800000);
    assert_true(str_equal(record.attributes, bounce.attributes));
    assert_true(record.stage.data > value.data && record.stage.data < value.data + value.len);
    assert_null(record.actor.data);
}

static void a_state_is_decoded_member_by_member(void **state)
{
    struct fixture *f = *state;
    struct recipient got;
    codec_encode_recipient(f->codec, &recipient, &f->value);
    assert_code(OK, codec_decode_recipient(f->codec, buf_view(&f->value), &got, &f->err));
    assert_text(got.who.tenant, "t");
    assert_int_equal(got.status, STATUS_SUPPRESSED);
    assert_int_equal(got.suppressed_by, SUPPRESSION_MANUAL);
    assert_true(got.in_episode);
    assert_int_equal(got.reason, REASON_OTHER);
    assert_text(got.policy, "default");
    assert_true(got.reinstated_at_ms == 7 && got.suppressions == 16 && got.source_offset == 20);
    assert_int_equal(got.opening_count, 2);
    assert_true(got.openings_ms[1] == 18);
    assert_true(got.recent_events[0] == UINT64_MAX && got.recent_commands[0] == UINT64_C(1) << 63);
    assert_int_equal(got.recent_command_count, 1);
    assert_int_equal(got.frequency, FREQUENCY_HALF);
}

static void nulls_come_back_as_nulls(void **state)
{
    struct fixture *f = *state;
    struct recipient got, empty = {
                              .who = {STR(""), STR("ann@example.org")},
                              .status = STATUS_ACTIVE,
                              .episode_opened_at_ms = TIME_NULL,
                              .due_at_ms = TIME_NULL,
                              .last_bounce_at_ms = TIME_NULL,
                              .last_delivery_at_ms = TIME_NULL,
                              .reinstated_at_ms = TIME_NULL,
                          };
    codec_encode_recipient(f->codec, &empty, &f->value);
    assert_code(OK, codec_decode_recipient(f->codec, buf_view(&f->value), &got, &f->err));
    assert_non_null(got.who.tenant.data);
    assert_int_equal(got.suppressed_by, SUPPRESSION_NONE);
    assert_false(got.in_episode);
    assert_null(got.policy.data);
    assert_null(got.last_status.data);
    assert_true(got.due_at_ms == TIME_NULL && got.reinstated_at_ms == TIME_NULL);
    assert_int_equal(got.opening_count + got.recent_event_count + got.recent_command_count, 0);
}

/* What was decoded is encoded to the same octets, for every kind and random contents. */
static void random_records_survive_the_round_trip(void **state)
{
    struct fixture *f = *state;
    struct buf again;
    uint64_t seed = 7;
    buf_init(&again);
    for (int i = 0; i < 7 * 3000; i++) {
        enum record_kind kind = (enum record_kind)(i % RECORD_KIND_COUNT), got_kind;
        union any_record record, got;
        random_record(kind, &seed, &f->arena, &record);
        buf_clear(&f->value);
        buf_clear(&again);
        encode_any(f->codec, kind, &record, &f->value);
        struct str value = buf_view(&f->value);
        assert_code(OK, codec_kind(f->codec, value, &got_kind, &f->err));
        assert_int_equal(got_kind, kind);
        if (decode_any(f->codec, kind, value, &got, &f->err) != OK)
            fail_msg("%s: %s", record_kind_names[kind], f->err.text);
        encode_any(f->codec, kind, &got, &again);
        assert_true(str_equal(value, buf_view(&again)));
        arena_reset(&f->arena, 1 << 20);
    }
    buf_deinit(&again);
}

static void every_truncation_and_every_extra_octet_is_malformed(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 11;
    for (int i = 0; i < 7 * 5; i++) {
        enum record_kind kind = (enum record_kind)(i % RECORD_KIND_COUNT);
        union any_record record, got;
        random_record(kind, &seed, &f->arena, &record);
        buf_clear(&f->value);
        encode_any(f->codec, kind, &record, &f->value);
        for (size_t len = 0; len < f->value.len; len++) {
            /* a copy of exact size, so that a sanitizer sees one octet too far */
            char *copy = mem_alloc(len);
            memcpy(copy, f->value.data, len);
            struct str value = {copy, len};
            assert_code(E_MALFORMED, decode_any(f->codec, kind, value, &got, &f->err));
            assert_code(E_MALFORMED, codec_to_json(f->codec, value, &f->json, &f->err));
            assert_int_equal(f->json.len, 0);
            mem_free(copy);
        }
        buf_append(&f->value, "", 1);
        assert_code(E_MALFORMED, decode_any(f->codec, kind, buf_view(&f->value), &got, &f->err));
        assert_code(E_MALFORMED, codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    }
}

static void results_are_untouched_on_failure(void **state)
{
    struct fixture *f = *state;
    struct recipient got, before;
    codec_encode_recipient(f->codec, &recipient, &f->value);
    memset(&got, 0x5a, sizeof(got));
    before = got;
    struct str cut = {f->value.data, f->value.len - 1};
    assert_code(E_MALFORMED, codec_decode_recipient(f->codec, cut, &got, &f->err));
    assert_memory_equal(&got, &before, sizeof(got));
}

static void values_without_a_frame_are_malformed(void **state)
{
    static const struct str values[] = {
        {NULL, 0},
        STR(""),
        STR("\x00"),
        STR("\x00\x00\x00\x00"),
        STR("\xc3"),
        STR("\xc3\x01"),
        STR("\xc3\x01"
            "1234567"),
        STR("\xc3\x02"
            "12345678"),
        STR("{\"event_id\""),
        STR("Obj\x01 an Avro file is no record"),
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        enum record_kind kind;
        struct input_record record;
        assert_code(E_MALFORMED, codec_kind(f->codec, values[i], &kind, &f->err));
        assert_code(E_MALFORMED, codec_decode_input(f->codec, values[i], &record, &f->err));
        assert_code(E_MALFORMED, codec_to_json(f->codec, values[i], &f->json, &f->err));
    }
}

static void unknown_schemas_are_told_apart_from_unexpected_ones(void **state)
{
    struct fixture *f = *state;
    struct input_record record;
    struct recipient got;
    enum record_kind kind;
    struct str unknown = STR("\xc3\x01"
                             "12345678");
    assert_code(E_UNKNOWN_SCHEMA, codec_kind(f->codec, unknown, &kind, &f->err));
    assert_code(E_UNKNOWN_SCHEMA, codec_decode_input(f->codec, unknown, &record, &f->err));
    assert_code(E_UNKNOWN_SCHEMA,
                codec_kind(f->codec, STR("\x00\x00\x00\x00\x07"), &kind, &f->err));

    codec_encode_recipient(f->codec, &recipient, &f->value);
    assert_code(E_UNEXPECTED_SCHEMA,
                codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
    buf_clear(&f->value);
    codec_encode_input(f->codec, &bounce, &f->value);
    assert_code(E_UNEXPECTED_SCHEMA,
                codec_decode_recipient(f->codec, buf_view(&f->value), &got, &f->err));

    begin_value(f, "{\"type\":\"record\",\"name\":\"else.BounceRecord\",\"fields\":[]}");
    assert_code(E_UNEXPECTED_SCHEMA, codec_kind(f->codec, buf_view(&f->value), &kind, &f->err));
    assert_code(E_UNEXPECTED_SCHEMA,
                codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
    begin_value(f, "{\"type\":\"fixed\",\"name\":\"rimbalzo.BounceRecord\",\"size\":1}");
    assert_code(E_UNEXPECTED_SCHEMA, codec_kind(f->codec, buf_view(&f->value), &kind, &f->err));
    begin_value(f, "\"long\"");
    put_long(&f->value, -5);
    assert_code(E_UNEXPECTED_SCHEMA, codec_kind(f->codec, buf_view(&f->value), &kind, &f->err));
    assert_json(f, "-5");
}

/* In whatever field it stands, one that is only skipped included. */
static void a_string_that_is_not_utf8_is_malformed(void **state)
{
    static const char *const broken[] = {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf",
                                         "eight octets of ASCII and then \x80"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        struct str text = str_of(broken[i]);
        struct input_record records[4] = {bounce, bounce, delivery, override}, got;
        struct buf raw;
        buf_init(&raw);
        put_long(&raw, 1);
        put_text(&raw, broken[i]);
        put_text(&raw, "value");
        put_long(&raw, 0);
        records[0].diagnostic = text;
        records[1].attributes = buf_view(&raw);
        records[2].event_id = text;
        records[3].actor = text;
        for (int j = 0; j < 4; j++) {
            buf_clear(&f->value);
            codec_encode_input(f->codec, &records[j], &f->value);
            assert_code(E_MALFORMED,
                        codec_decode_input(f->codec, buf_view(&f->value), &got, &f->err));
        }
        buf_deinit(&raw);
    }
    struct input_record record = bounce;
    record.diagnostic = STR("Nutzer gel\xc3\xb6scht \xe2\x80\x93 \xf0\x9f\x93\xad.");
    buf_clear(&f->value);
    codec_encode_input(f->codec, &record, &f->value);
    assert_code(OK, codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
}

/* For people who look into dead letters. */
static void json_shows_strings_that_are_not_utf8(void **state)
{
    struct fixture *f = *state;
    struct input_record record = delivery;
    record.source = STR("a\xff"
                        "b");
    codec_encode_input(f->codec, &record, &f->value);
    assert_code(OK, codec_to_json(f->codec, buf_view(&f->value), &f->json, &f->err));
    assert_non_null(memmem(f->json.data, f->json.len,
                           "\"a\xef\xbf\xbd"
                           "b\"",
                           7));
}

static void an_unknown_action_is_minus_one(void **state)
{
    struct fixture *f = *state;
    struct input_record record = override;
    record.action = -1;
    codec_encode_input(f->codec, &record, &f->value);
    assert_code(OK, codec_decode_input(f->codec, buf_view(&f->value), &record, &f->err));
    assert_int_equal(record.action, -1);
    assert_text(record.actor, "crm");
}

/* Symbol 0, UNKNOWN, in a record of ours: no value of the C enum. */
static void an_unknown_action_of_a_command_is_an_invalid_field(void **state)
{
    struct fixture *f = *state;
    struct retry_command got;
    codec_encode_command(f->codec, &command, &f->value);
    f->value.data[10 + 1 + UUID_TEXT_SIZE] = 0;
    assert_code(E_INVALID_FIELD,
                codec_decode_command(f->codec, buf_view(&f->value), &got, &f->err));
    assert_non_null(strstr(f->err.text, "action"));
    f->value.data[10 + 1 + UUID_TEXT_SIZE] = 8; /* beyond the last symbol */
    assert_code(E_MALFORMED, codec_decode_command(f->codec, buf_view(&f->value), &got, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(every_field_stands_under_its_own_name),
        codec_test(a_bounce_is_decoded_without_a_copy),
        codec_test(a_state_is_decoded_member_by_member),
        codec_test(nulls_come_back_as_nulls),
        codec_test(random_records_survive_the_round_trip),
        codec_test(every_truncation_and_every_extra_octet_is_malformed),
        codec_test(results_are_untouched_on_failure),
        codec_test(values_without_a_frame_are_malformed),
        codec_test(unknown_schemas_are_told_apart_from_unexpected_ones),
        codec_test(a_string_that_is_not_utf8_is_malformed),
        codec_test(json_shows_strings_that_are_not_utf8),
        codec_test(an_unknown_action_is_minus_one),
        codec_test(an_unknown_action_of_a_command_is_an_invalid_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
