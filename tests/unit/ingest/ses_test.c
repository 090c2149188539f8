/* Amazon SES, bare and in envelopes. */
#include "ingest_support.h"

#define MAIL                                                                                       \
    "\"mail\":{\"timestamp\":\"2026-01-02T03:04:00.000Z\",\"messageId\":\"m-1\",\"destination\":[" \
    "\"a@example.org\",\"b@example.org\",\"c@example.org\"]}"

#define BOUNCE(recipients, type, sub_type)                                                         \
    "\"bounce\":{\"feedbackId\":\"f-1\",\"bounceType\":\"" type "\",\"bounceSubType\":\"" sub_type \
    "\",\"bouncedRecipients\":[" recipients "],\"timestamp\":\"2026-01-02T03:04:05.678Z\","        \
    "\"reportingMTA\":\"dns; out.example\"}"

#define RECIPIENT_A                                                                                \
    "{\"emailAddress\":\"a@example.org\",\"action\":\"failed\",\"status\":\"5.1.1\","              \
    "\"diagnosticCode\":\"smtp; 550 5.1.1 user unknown\"}"

static void only_bounced_recipients_count(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SES, "{\"notificationType\":\"Bounce\"," BOUNCE(
                                  RECIPIENT_A ",{\"emailAddress\":\"Bob <b@example.org>\"}",
                                  "Permanent", "General") "," MAIL "}");
    assert_int_equal(reading.result.count, 2);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->diagnostic, "550 5.1.1 user unknown");
    assert_str(record->message_id, "m-1");
    assert_str(record->source, "ses");
    assert_time(record->occurred_at_ms, "2026-01-02T03:04:05.678Z");
    assert_attribute(record, "feedback_id", "f-1");
    assert_attribute(record, "sub_type", "General");
    assert_bounce(&reading, 1, "b@example.org", NULL, 0);
    reading_deinit(&reading);
}

static void published_events_have_another_name_for_the_type(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SES, "{\"eventType\":\"Bounce\"," BOUNCE(RECIPIENT_A, "Permanent",
                                                                  "General") "," MAIL "}");
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
}

static void the_envelope_of_sns_is_opened(void **unused)
{
    (void)unused;
    static const char bare[] =
        "{\"notificationType\":\"Bounce\",\"bounce\":{\"feedbackId\":\"f\",\"timestamp\":"
        "\"2026-01-02T03:04:05Z\",\"bouncedRecipients\":[{\"emailAddress\":\"a@example.org\"}]}}";
    static const char enveloped[] =
        "{\"Type\":\"Notification\",\"MessageId\":\"x\",\"Message\":"
        "\"{\\\"notificationType\\\":\\\"Bounce\\\",\\\"bounce\\\":{\\\"feedbackId\\\":\\\"f\\\","
        "\\\"timestamp\\\":\\\"2026-01-02T03:04:05Z\\\",\\\"bouncedRecipients\\\":[{"
        "\\\"emailAddress\\\":\\\"a@example.org\\\"}]}}\"}";
    struct reading one = read_text(INGEST_SES, bare), other = read_text(INGEST_SES, enveloped);
    const struct input_record *record = assert_bounce(&one, 0, "a@example.org", NULL, 0);
    assert_true(
        str_equal(record->event_id, assert_bounce(&other, 0, "a@example.org", NULL, 0)->event_id));
    reading_deinit(&one);
    reading_deinit(&other);
}

static void other_envelopes_are_opened(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SES, "{\"detail-type\":\"Email Bounced\",\"detail\":{\"eventType\":"
                              "\"Bounce\"," BOUNCE(RECIPIENT_A, "Permanent", "General") "}}");
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
    reading = read_text(INGEST_SES,
                        "{\"Records\":[{\"Sns\":{\"Message\":\"{\\\"notificationType\\\":"
                        "\\\"Complaint\\\"}\"}},{\"Sns\":{\"Message\":\"{\\\"notificationType\\\":"
                        "\\\"DeliveryDelay\\\"}\"}}]}");
    assert_int_equal(reading.result.count, 2);
    assert_skipped(&reading, 0, INGEST_FEEDBACK);
    assert_skipped(&reading, 1, INGEST_DELAYED);
    reading_deinit(&reading);
}

static void letters_of_sns_itself_are_skipped(void **unused)
{
    (void)unused;
    assert_only_skipped(INGEST_SES,
                        "{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"You have chosen\"}",
                        INGEST_OTHER_EVENT);
    assert_only_skipped(INGEST_SES,
                        "{\"Type\":\"Notification\",\"Message\":\"Successfully validated SNS "
                        "topic for Amazon SES event publishing.\"}",
                        INGEST_OTHER_EVENT);
    assert_only_rejected(INGEST_SES, "{\"Type\":\"Notification\",\"Message\":\"{\\\"notif\"}",
                         E_MALFORMED);
}

static void suppressed_addresses_are_no_new_bounces(void **unused)
{
    (void)unused;
    assert_only_skipped(
        INGEST_SES,
        "{\"notificationType\":\"Bounce\"," BOUNCE(RECIPIENT_A, "Permanent", "Suppressed") "}",
        INGEST_SUPPRESSED);
    assert_only_skipped(INGEST_SES,
                        "{\"eventType\":\"Bounce\"," BOUNCE(RECIPIENT_A, "Permanent",
                                                            "OnAccountSuppressionList") "}",
                        INGEST_SUPPRESSED);
}

static void a_sub_type_speaks_where_there_is_no_reply(void **unused)
{
    (void)unused;
    static const struct {
        const char *type, *sub_type, *status;
    } cases[] = {{"Permanent", "NoEmail", "5.1.1"},
                 {"Transient", "MailboxFull", "4.2.2"},
                 {"Permanent", "General", NULL},
                 {"Undetermined", "Undetermined", NULL},
                 {"Transient", "ContentRejected", "4.6.0"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(
            text, sizeof(text),
            "{\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"%s\","
            "\"bounceSubType\":\"%s\",\"bouncedRecipients\":[{\"emailAddress\":\"a@b.example\"}"
            "]}}",
            cases[i].type, cases[i].sub_type);
        struct reading reading = read_text(INGEST_SES, text);
        /* It has no time of its own either. */
        assert_int_equal(
            assert_bounce(&reading, 0, "a@b.example", cases[i].status, 0)->occurred_at_ms,
            RECEIVED_MS);
        reading_deinit(&reading);
    }
}

static void the_reply_is_more_exact_than_an_undefined_status(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_SES,
        "{\"notificationType\":\"Bounce\",\"bounce\":{\"feedbackId\":\"f\",\"bouncedRecipients\":[{"
        "\"emailAddress\":\"a@b.example\",\"status\":\"5.0.0\",\"diagnosticCode\":"
        "\"smtp; 5.1.0 - Unknown address error 550-'5.7.1 access denied'\"}]}}");
    assert_bounce(&reading, 0, "a@b.example", "5.7.1", 550);
    reading_deinit(&reading);
}

static void deliveries_name_their_recipients(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_SES, "{\"notificationType\":\"Delivery\",\"delivery\":{\"timestamp\":"
                    "\"2026-01-02T03:04:05Z\",\"recipients\":[\"a@example.org\",\"b@example.org\"],"
                    "\"smtpResponse\":\"250 2.6.0 Message received\"}," MAIL "}");
    assert_int_equal(reading.result.count, 2);
    assert_str(assert_delivery(&reading, 0, "a@example.org")->message_id, "m-1");
    assert_str(assert_delivery(&reading, 1, "b@example.org")->status, "2.6.0");
    reading_deinit(&reading);
}

static void hints_come_from_headers_or_tags(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SES, "{\"eventType\":\"Bounce\"," BOUNCE(
                                  RECIPIENT_A, "Permanent",
                                  "General") ",\"mail\":{"
                                             "\"messageId\":\"m\",\"headers\":[{\"name\":\"X-"
                                             "Rimbalzo-Retry-Of\",\"value\":\"r-1\"},{"
                                             "\"name\":\"X-Rimbalzo-Message-Id\",\"value\":"
                                             "\"mine\"},{\"name\":\"X-Rimbalzo-Attempt\","
                                             "\"value\":\"1\"}]}}");
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->retry_of, "r-1");
    assert_str(record->message_id, "mine");
    assert_int_equal(record->message_attempt, 1);
    reading_deinit(&reading);
    reading = read_text(
        INGEST_SES,
        "{\"eventType\":\"Bounce\"," BOUNCE(
            RECIPIENT_A, "Permanent",
            "General") ","
                       "\"mail\":{\"tags\":{\"ses:source-ip\":[\"1\"],\"rimbalzo_retry_of\":["
                       "\"r-2\"]}}}");
    assert_str(assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550)->retry_of, "r-2");
    reading_deinit(&reading);
}

static void what_is_no_notification_is_rejected(void **unused)
{
    (void)unused;
    assert_only_rejected(INGEST_SES, "{}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_SES, "{\"notificationType\":\"Bounce\"}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_SES, "{\"notificationType\":\"Delivery\",\"delivery\":{}}",
                         E_INVALID_FIELD);
    assert_only_rejected(INGEST_SES,
                         "{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[7]}}",
                         E_INVALID_RECIPIENT);
    assert_only_rejected(INGEST_SES,
                         "{\"detail\":{\"detail\":{\"detail\":{\"detail\":{\"detail\":{}}}}}}",
                         E_INVALID_FIELD);
    assert_only_skipped(INGEST_SES, "{\"eventType\":\"Open\"}", INGEST_OTHER_EVENT);
    assert_only_skipped(INGEST_SES, "{\"Records\":[]}", INGEST_EMPTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_bounced_recipients_count),
        cmocka_unit_test(published_events_have_another_name_for_the_type),
        cmocka_unit_test(the_envelope_of_sns_is_opened),
        cmocka_unit_test(other_envelopes_are_opened),
        cmocka_unit_test(letters_of_sns_itself_are_skipped),
        cmocka_unit_test(suppressed_addresses_are_no_new_bounces),
        cmocka_unit_test(a_sub_type_speaks_where_there_is_no_reply),
        cmocka_unit_test(the_reply_is_more_exact_than_an_undefined_status),
        cmocka_unit_test(deliveries_name_their_recipients),
        cmocka_unit_test(hints_come_from_headers_or_tags),
        cmocka_unit_test(what_is_no_notification_is_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
