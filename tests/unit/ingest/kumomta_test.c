/* KumoMTA's log records. */
#include "ingest_support.h"

#define RECORD(type, more)                                                                         \
    "{\"type\":\"" type "\",\"id\":\"d7ef132b5d7711eea8c8000c29c33806\",\"nodeid\":\"n-1\","       \
    "\"sender\":\"s@shop.example\",\"recipient\":\"a@example.org\",\"queue\":\"c:t@example.org\"," \
    "\"timestamp\":1757498475,\"num_attempts\":0,\"bounce_classification\":"                       \
    "\"InvalidRecipient\"," more "}"

#define RESPONSE                                                                                   \
    "\"response\":{\"code\":550,\"enhanced_code\":{\"class\":5,\"subject\":1,\"detail\":1},"       \
    "\"content\":\"no such user\",\"command\":\"RCPT TO:<a@example.org>\"},"                       \
    "\"peer_address\":{\"name\":\"mx.example.org.\",\"addr\":\"192.0.2.1\"}"

static void a_bounce_has_all_that_the_log_says(void **unused)
{
    (void)unused;
    struct reading reading = read_text(INGEST_KUMOMTA, RECORD("Bounce", RESPONSE));
    assert_int_equal(reading.result.count, 1);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->diagnostic, "550 5.1.1 no such user");
    assert_str(record->remote_mta, "mx.example.org");
    assert_str(record->stage, "rcpt");
    assert_str(record->message_id, "d7ef132b5d7711eea8c8000c29c33806");
    assert_str(record->source, "kumomta");
    assert_str(record->retry_of, NULL);
    assert_int_equal(record->message_attempt, 0);
    assert_time(record->occurred_at_ms, "2025-09-10T10:01:15.000Z");
    assert_attribute(record, "classification", "InvalidRecipient");
    reading_deinit(&reading);
}

static void the_exact_time_is_preferred(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_KUMOMTA,
                  RECORD("Bounce", "\"event_time\":\"2025-09-10T10:01:15.123456Z\"," RESPONSE));
    assert_time(assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550)->occurred_at_ms,
                "2025-09-10T10:01:15.123Z");
    reading_deinit(&reading);
}

static void expirations_and_reports_by_mail_are_bounces(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_KUMOMTA,
                  RECORD("Expiration",
                         "\"response\":{\"code\":551,\"enhanced_code\":{\"class\":5,\"subject\":4,"
                         "\"detail\":7},\"content\":\"expired\",\"command\":null}"));
    assert_bounce(&reading, 0, "a@example.org", "5.4.7", 551);
    reading_deinit(&reading);
    reading = read_text(INGEST_KUMOMTA, RECORD("OOB", RESPONSE));
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
}

static void a_delivery_is_one(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_KUMOMTA, RECORD("Delivery", "\"response\":{\"code\":250,\"enhanced_code\":null,"
                                           "\"content\":\"OK\",\"command\":\".\"}"));
    assert_int_equal(reading.result.count, 1);
    assert_time(assert_delivery(&reading, 0, "a@example.org")->occurred_at_ms,
                "2025-09-10T10:01:15.000Z");
    reading_deinit(&reading);
}

static void what_is_no_end_of_a_delivery_is_skipped(void **unused)
{
    (void)unused;
    assert_only_skipped(INGEST_KUMOMTA, RECORD("TransientFailure", RESPONSE), INGEST_DELAYED);
    assert_only_skipped(INGEST_KUMOMTA, RECORD("Delayed", RESPONSE), INGEST_DELAYED);
    assert_only_skipped(INGEST_KUMOMTA, RECORD("AdminBounce", RESPONSE), INGEST_ADMINISTRATIVE);
    assert_only_skipped(INGEST_KUMOMTA, RECORD("Feedback", "\"x\":1"), INGEST_FEEDBACK);
    assert_only_skipped(INGEST_KUMOMTA, RECORD("Reception", RESPONSE), INGEST_OTHER_EVENT);
    assert_only_skipped(INGEST_KUMOMTA, RECORD("Rejection", RESPONSE), INGEST_OTHER_EVENT);
    assert_only_skipped(INGEST_KUMOMTA, RECORD("Something new", RESPONSE), INGEST_OTHER_EVENT);
}

static void recipients_may_come_as_a_list(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_KUMOMTA,
        "{\"type\":\"Bounce\",\"id\":\"x\",\"recipient\":[\"a@example.org\",\"b@example.org\",7],"
        "\"timestamp\":1757498475," RESPONSE "}");
    assert_int_equal(reading.result.count, 3);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_bounce(&reading, 1, "b@example.org", "5.1.1", 550);
    assert_rejected(&reading, 2, E_INVALID_FIELD);
    assert_false(
        str_equal(entry_at(&reading, 0)->record.event_id, entry_at(&reading, 1)->record.event_id));
    reading_deinit(&reading);
    assert_only_rejected(INGEST_KUMOMTA, "{\"type\":\"Bounce\",\"recipient\":[]}", E_INVALID_FIELD);
}

static void a_reply_without_codes_is_read_all_the_same(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_KUMOMTA,
                  RECORD("Bounce", "\"response\":{\"code\":0,\"enhanced_code\":null,\"content\":"
                                   "\"552 5.2.2 over quota\"},\"peer_address\":null"));
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.2.2", 552);
    assert_str(record->diagnostic, "552 5.2.2 over quota");
    assert_str(record->stage, NULL);
    assert_str(record->remote_mta, NULL);
    reading_deinit(&reading);
}

static void commands_are_stages(void **unused)
{
    (void)unused;
    static const char *const stages[][2] = {{"MAIL FROM:<s@shop.example>", "mail"},
                                            {"RCPT TO", "rcpt"},
                                            {"DATA", "data"},
                                            {".", "data"},
                                            {"EHLO mx", "ehlo"},
                                            {"Connect", "connect"}};
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"type\":\"Bounce\",\"id\":\"x\",\"recipient\":\"a@example.org\",\"response\":{"
                 "\"code\":550,\"content\":\"no\",\"command\":\"%s\"}}",
                 stages[i][0]);
        struct reading reading = read_text(INGEST_KUMOMTA, text);
        assert_str(assert_bounce(&reading, 0, "a@example.org", NULL, 550)->stage, stages[i][1]);
        reading_deinit(&reading);
    }
}

static void hints_come_from_meta_or_headers(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_KUMOMTA,
        RECORD("Bounce",
               "\"meta\":{\"rimbalzo_retry_of\":\"r-1\",\"rimbalzo_attempt\":2}," RESPONSE));
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->retry_of, "r-1");
    assert_int_equal(record->message_attempt, 2);
    reading_deinit(&reading);
    reading =
        read_text(INGEST_KUMOMTA, RECORD("Delivery", "\"headers\":{\"X-Rimbalzo-Retry-Of\":\"r-2\","
                                                     "\"x-rimbalzo-message-id\":\"m-2\"}"));
    record = assert_delivery(&reading, 0, "a@example.org");
    assert_str(record->retry_of, "r-2");
    assert_str(record->message_id, "m-2");
    reading_deinit(&reading);
}

static void the_id_tells_attempts_and_nodes_apart(void **unused)
{
    (void)unused;
    static const char *const others[] = {
        "{\"type\":\"Bounce\",\"id\":\"x\",\"nodeid\":\"1\",\"recipient\":\"a@b.example\","
        "\"timestamp\":1}",
        "{\"type\":\"Bounce\",\"id\":\"x\",\"nodeid\":\"2\",\"recipient\":\"a@b.example\","
        "\"timestamp\":1}",
        "{\"type\":\"Bounce\",\"id\":\"x\",\"nodeid\":\"1\",\"recipient\":\"a@b.example\","
        "\"timestamp\":2}",
        "{\"type\":\"Bounce\",\"id\":\"y\",\"nodeid\":\"1\",\"recipient\":\"a@b.example\","
        "\"timestamp\":1}",
        "{\"type\":\"Bounce\",\"recipient\":\"a@b.example\",\"timestamp\":1}",
        "{\"type\":\"Bounce\",\"recipient\":\"a@b.example\",\"timestamp\":2}",
    };
    enum { COUNT = sizeof(others) / sizeof(others[0]) };
    char ids[COUNT][UUID_TEXT_SIZE];
    for (int again = 0; again < 2; again++)
        for (int i = 0; i < COUNT; i++) {
            struct reading reading = read_text(INGEST_KUMOMTA, others[i]);
            struct str id = assert_bounce(&reading, 0, "a@b.example", NULL, 0)->event_id;
            if (again)
                assert_memory_equal(id.data, ids[i], UUID_TEXT_SIZE);
            memcpy(ids[i], id.data, UUID_TEXT_SIZE);
            for (int j = 0; j < i; j++)
                assert_memory_not_equal(ids[i], ids[j], UUID_TEXT_SIZE);
            reading_deinit(&reading);
        }
}

static void what_is_no_record_is_rejected(void **unused)
{
    (void)unused;
    assert_only_rejected(INGEST_KUMOMTA, "{}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_KUMOMTA, "{\"type\":7}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_KUMOMTA, "{\"type\":\"Bounce\"}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_KUMOMTA, "{\"type\":\"Bounce\",\"recipient\":\"nobody\"}",
                         E_INVALID_RECIPIENT);
    assert_only_rejected(INGEST_KUMOMTA, "7", E_MALFORMED);
    assert_only_rejected(INGEST_KUMOMTA, "{\"type\":", E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bounce_has_all_that_the_log_says),
        cmocka_unit_test(the_exact_time_is_preferred),
        cmocka_unit_test(expirations_and_reports_by_mail_are_bounces),
        cmocka_unit_test(a_delivery_is_one),
        cmocka_unit_test(what_is_no_end_of_a_delivery_is_skipped),
        cmocka_unit_test(recipients_may_come_as_a_list),
        cmocka_unit_test(a_reply_without_codes_is_read_all_the_same),
        cmocka_unit_test(commands_are_stages),
        cmocka_unit_test(hints_come_from_meta_or_headers),
        cmocka_unit_test(the_id_tells_attempts_and_nodes_apart),
        cmocka_unit_test(what_is_no_record_is_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
