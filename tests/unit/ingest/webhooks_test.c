/* SendGrid, Postmark, Mailgun and Sisimai. */
#include "ingest_support.h"

/* --- SendGrid --- */

#define SENDGRID(event, more)                                                                      \
    "{\"email\":\"a@example.org\",\"timestamp\":1513299569,\"smtp-id\":\"<s-1@shop.example>\","    \
    "\"event\":\"" event                                                                           \
    "\",\"sg_event_id\":\"aBcD==\",\"sg_message_id\":\"14c5.filter1.2.3\"" more "}"

static void sendgrid_bounces_are_bounced_or_blocked(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_SENDGRID,
        "[" SENDGRID("bounce", ",\"type\":\"bounce\",\"status\":\"5.0.0\",\"reason\":"
                               "\"550 5.1.1 "
                               "unknown\",\"bounce_classification\":\"Invalid "
                               "Address\"") ",\n" SENDGRID("bounce", ",\"type\":\"blocked\","
                                                                     "\"status\":\"4.7.1\","
                                                                     "\"reason\":\"451 4.7.1 "
                                                                     "try later\"") "]");
    assert_int_equal(reading.result.count, 2);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->message_id, "14c5");
    assert_time(record->occurred_at_ms, "2017-12-15T00:59:29.000Z");
    assert_attribute(record, "type", "bounce");
    assert_attribute(record, "classification", "Invalid Address");
    assert_bounce(&reading, 1, "a@example.org", "4.7.1", 451);
    reading_deinit(&reading);
}

static void sendgrid_deliveries(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SENDGRID, SENDGRID("delivered", ",\"response\":\"250 OK\""));
    assert_int_equal(assert_delivery(&reading, 0, "a@example.org")->reply_code, 250);
    reading_deinit(&reading);
}

static void sendgrid_skips_the_rest(void **unused)
{
    (void)unused;
    assert_only_skipped(INGEST_SENDGRID, SENDGRID("deferred", ",\"attempt\":\"5\""),
                        INGEST_DELAYED);
    assert_only_skipped(INGEST_SENDGRID, SENDGRID("dropped", ",\"reason\":\"Bounced Address\""),
                        INGEST_SUPPRESSED);
    assert_only_skipped(INGEST_SENDGRID, SENDGRID("spamreport", ""), INGEST_FEEDBACK);
    assert_only_skipped(INGEST_SENDGRID, SENDGRID("processed", ""), INGEST_OTHER_EVENT);
    assert_only_skipped(INGEST_SENDGRID, SENDGRID("open", ""), INGEST_OTHER_EVENT);
    assert_only_skipped(INGEST_SENDGRID, "[]", INGEST_EMPTY);
    assert_only_rejected(INGEST_SENDGRID, "{\"email\":\"a@example.org\"}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_SENDGRID, "{\"event\":\"bounce\"}", E_INVALID_RECIPIENT);
}

static void sendgrid_hints_are_custom_arguments(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SENDGRID, SENDGRID("bounce", ",\"rimbalzo_retry_of\":\"r-1\","
                                                      "\"rimbalzo_message_id\":\"mine\","
                                                      "\"rimbalzo_attempt\":\"3\""));
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", NULL, 0);
    assert_str(record->retry_of, "r-1");
    assert_str(record->message_id, "mine");
    assert_int_equal(record->message_attempt, 3);
    reading_deinit(&reading);
}

static void sendgrid_without_ids_is_known_by_its_octets(void **unused)
{
    (void)unused;
    static const char text[] =
        "{\"event\":\"bounce\",\"email\":\"a@example.org\",\"timestamp\":1}\n"
        "{\"event\":\"bounce\",\"email\":\"a@example.org\",\"timestamp\":2}";
    struct reading one = read_text(INGEST_SENDGRID, text), other = read_text(INGEST_SENDGRID, text);
    struct str first = assert_bounce(&one, 0, "a@example.org", NULL, 0)->event_id;
    assert_false(str_equal(first, assert_bounce(&one, 1, "a@example.org", NULL, 0)->event_id));
    assert_true(str_equal(first, assert_bounce(&other, 0, "a@example.org", NULL, 0)->event_id));
    reading_deinit(&one);
    reading_deinit(&other);
}

/* --- Postmark --- */

#define POSTMARK_BOUNCE(type, code)                                                                \
    "{\"RecordType\":\"Bounce\",\"ID\":692560173,\"Type\":\"" type "\",\"TypeCode\":" code ","     \
    "\"MessageID\":\"2c1b63fe\",\"Details\":\"smtp;550 5.1.1 no such user\",\"Email\":"            \
    "\"a@example.org\",\"BouncedAt\":\"2026-01-15T16:09:19.6421112-05:00\",\"MessageStream\":"     \
    "\"outbound\",\"Metadata\":{\"rimbalzo_retry_of\":\"r-1\"}}"

static void postmark_bounces(void **unused)
{
    (void)unused;
    struct reading reading = read_text(INGEST_POSTMARK, POSTMARK_BOUNCE("HardBounce", "1"));
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->diagnostic, "550 5.1.1 no such user");
    assert_str(record->message_id, "2c1b63fe");
    assert_str(record->retry_of, "r-1");
    assert_time(record->occurred_at_ms, "2026-01-15T21:09:19.642Z");
    assert_attribute(record, "id", "692560173");
    assert_attribute(record, "type", "HardBounce");
    reading_deinit(&reading);
}

static void postmark_types_that_are_no_failure_are_skipped(void **unused)
{
    (void)unused;
    assert_only_skipped(INGEST_POSTMARK, POSTMARK_BOUNCE("Transient", "2"), INGEST_DELAYED);
    assert_only_skipped(INGEST_POSTMARK, POSTMARK_BOUNCE("AutoResponder", "64"), INGEST_AUTO_REPLY);
    assert_only_skipped(INGEST_POSTMARK, POSTMARK_BOUNCE("SpamComplaint", "100001"),
                        INGEST_FEEDBACK);
    assert_only_skipped(INGEST_POSTMARK, POSTMARK_BOUNCE("ManuallyDeactivated", "100002"),
                        INGEST_SUPPRESSED);
    assert_only_skipped(INGEST_POSTMARK,
                        "{\"RecordType\":\"Bounce\",\"TypeCode\":2,\"Email\":\"a@example.org\"}",
                        INGEST_DELAYED);
    assert_only_skipped(INGEST_POSTMARK, "{\"RecordType\":\"SpamComplaint\"}", INGEST_FEEDBACK);
    assert_only_skipped(INGEST_POSTMARK, "{\"RecordType\":\"Open\"}", INGEST_OTHER_EVENT);
    assert_only_rejected(INGEST_POSTMARK, "{\"ID\":1}", E_INVALID_FIELD);
}

static void postmark_api_lists_bounces(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_POSTMARK,
        "{\"TotalCount\":2,\"Bounces\":[{\"ID\":1,\"Type\":\"SoftBounce\",\"Email\":"
        "\"a@example.org\",\"BouncedAt\":\"2026-01-15T16:09:19Z\",\"Details\":\"mailbox full\"},{"
        "\"ID\":2,\"Type\":\"Blocked\",\"Email\":\"b@example.org\"}]}");
    assert_int_equal(reading.result.count, 2);
    assert_bounce(&reading, 0, "a@example.org", NULL, 0);
    assert_bounce(&reading, 1, "b@example.org", NULL, 0);
    reading_deinit(&reading);
}

static void postmark_deliveries(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_POSTMARK, "{\"RecordType\":\"Delivery\",\"MessageID\":\"m\",\"Recipient\":"
                         "\"a@example.org\",\"DeliveredAt\":\"2026-02-05T16:33:54Z\",\"Details\":"
                         "\"smtp;250 2.0.0 OK\"}");
    const struct input_record *record = assert_delivery(&reading, 0, "a@example.org");
    assert_str(record->message_id, "m");
    assert_str(record->status, "2.0.0");
    reading_deinit(&reading);
}

/* --- Mailgun --- */

#define MAILGUN(event, more)                                                                       \
    "{\"signature\":{\"token\":\"t\"},\"event-data\":{\"event\":\"" event "\",\"id\":\"G9Bn5\","   \
    "\"timestamp\":1521472262.908181,\"recipient\":\"a@example.org\",\"message\":{\"headers\":{"   \
    "\"message-id\":\"m-1@shop.example\"}},\"user-variables\":{\"rimbalzo_retry_of\":\"r-"         \
    "1\"}" more "}}"

static void mailgun_permanent_failures_are_bounces(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_MAILGUN,
        MAILGUN("failed", ",\"severity\":\"permanent\",\"reason\":\"generic\",\"delivery-status\":{"
                          "\"code\":550,\"enhanced-code\":\"5.1.1\",\"message\":\"no such user\","
                          "\"mx-host\":\"mx.example.org\"}"));
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->diagnostic, "no such user");
    assert_str(record->remote_mta, "mx.example.org");
    assert_str(record->message_id, "m-1@shop.example");
    assert_str(record->retry_of, "r-1");
    assert_time(record->occurred_at_ms, "2018-03-19T15:11:02.908Z");
    reading_deinit(&reading);
}

static void mailgun_codes_of_its_own_are_no_replies(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_MAILGUN,
                  MAILGUN("failed", ",\"severity\":\"permanent\",\"delivery-status\":{\"code\":498,"
                                    "\"message\":\"\",\"description\":\"No MX for example.org\"}"));
    assert_str(assert_bounce(&reading, 0, "a@example.org", NULL, 0)->diagnostic,
               "No MX for example.org");
    reading_deinit(&reading);
    reading =
        read_text(INGEST_MAILGUN,
                  MAILGUN("failed", ",\"severity\":\"permanent\",\"reason\":\"old\","
                                    "\"delivery-status\":{\"code\":602,\"message\":\"Too old\"}"));
    assert_bounce(&reading, 0, "a@example.org", NULL, 0);
    reading_deinit(&reading);
}

static void mailgun_skips_the_rest(void **unused)
{
    (void)unused;
    assert_only_skipped(INGEST_MAILGUN, MAILGUN("failed", ",\"severity\":\"temporary\""),
                        INGEST_DELAYED);
    assert_only_skipped(
        INGEST_MAILGUN,
        MAILGUN("failed", ",\"severity\":\"permanent\",\"reason\":\"suppress-bounce\""),
        INGEST_SUPPRESSED);
    assert_only_skipped(
        INGEST_MAILGUN,
        MAILGUN("failed", ",\"severity\":\"permanent\",\"delivery-status\":{\"code\":605}"),
        INGEST_SUPPRESSED);
    assert_only_skipped(INGEST_MAILGUN, MAILGUN("complained", ""), INGEST_FEEDBACK);
    assert_only_skipped(INGEST_MAILGUN, MAILGUN("accepted", ""), INGEST_OTHER_EVENT);
    assert_only_rejected(INGEST_MAILGUN, "{\"event-data\":{}}", E_INVALID_FIELD);
}

static void mailgun_api_lists_items(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_MAILGUN,
        "{\"items\":[{\"event\":\"delivered\",\"id\":\"1\",\"recipient\":\"a@example.org\","
        "\"timestamp\":1521472262},{\"event\":\"failed\",\"severity\":\"permanent\",\"id\":\"2\","
        "\"recipient\":\"b@example.org\",\"delivery-status\":{\"code\":550,\"message\":"
        "\"5.2.2 over quota\"}}],\"paging\":{}}");
    assert_int_equal(reading.result.count, 2);
    assert_delivery(&reading, 0, "a@example.org");
    assert_bounce(&reading, 1, "b@example.org", "5.2.2", 550);
    reading_deinit(&reading);
}

/* --- Sisimai --- */

static void sisimai_of_the_older_generation(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_SISIMAI,
        "[{\"token\":\"ce999\",\"recipient\":\"a@example.org\",\"timestamp\":1291954879,"
        "\"deliverystatus\":\"5.1.1\",\"replycode\":\"550\",\"diagnosticcode\":\"550 5.1.1 no\","
        "\"reason\":\"userunknown\",\"softbounce\":0,\"smtpagent\":\"Email::Postfix\","
        "\"smtpcommand\":\"RCPT\",\"rhost\":\"mx.example.org\",\"messageid\":\"m\",\"action\":"
        "\"failed\"}, {\"token\":\"d\",\"recipient\":\"b@example.org\",\"reason\":\"feedback\"}]");
    assert_int_equal(reading.result.count, 2);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->stage, "rcpt");
    assert_str(record->remote_mta, "mx.example.org");
    assert_time(record->occurred_at_ms, "2010-12-10T04:21:19.000Z");
    assert_attribute(record, "softbounce", "0");
    assert_attribute(record, "decodedby", "Email::Postfix");
    assert_skipped(&reading, 1, INGEST_FEEDBACK);
    reading_deinit(&reading);
}

static void sisimai_of_the_newer_generation(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_SISIMAI,
        "{\"token\":\"ce999\",\"recipient\":\"a@example.org\",\"timestamp\":1291954879,"
        "\"deliverystatus\":\"5.0.911\",\"replycode\":\"\",\"diagnosticcode\":\"user unknown\","
        "\"reason\":\"userunknown\",\"hardbounce\":true,\"decodedby\":\"Exim\",\"command\":"
        "\"DATA\","
        "\"catch\":{\"rimbalzo_retry_of\":\"r-1\"}}");
    /* 5.0.911 is made up. */
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", NULL, 0);
    assert_str(record->stage, "data");
    assert_str(record->retry_of, "r-1");
    assert_attribute(record, "hardbounce", "true");
    reading_deinit(&reading);
}

static void sisimai_reports_more_than_bounces(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SISIMAI, "{\"recipient\":\"a@example.org\",\"reason\":\"delivered\","
                                  "\"deliverystatus\":\"2.1.5\",\"timestamp\":1}");
    assert_delivery(&reading, 0, "a@example.org");
    reading_deinit(&reading);
    assert_only_skipped(INGEST_SISIMAI, "{\"recipient\":\"a@b.example\",\"reason\":\"vacation\"}",
                        INGEST_AUTO_REPLY);
    assert_only_skipped(
        INGEST_SISIMAI,
        "{\"recipient\":\"a@b.example\",\"reason\":\"expired\",\"action\":\"delayed\"}",
        INGEST_DELAYED);
    assert_only_rejected(INGEST_SISIMAI, "{\"recipient\":\"a@b.example\"}", E_INVALID_FIELD);
    assert_only_rejected(INGEST_SISIMAI, "{\"reason\":\"userunknown\"}", E_INVALID_RECIPIENT);
}

/* --- all of them --- */

static void broken_octets_do_not_reach_the_record(void **unused)
{
    (void)unused;
    /* Not UTF-8: jansson refuses the value. */
    assert_only_rejected(INGEST_SENDGRID,
                         "{\"event\":\"bounce\",\"email\":\"a@example.org\",\"reason\":\"\xff\"}",
                         E_MALFORMED);
    struct reading reading = read_text(
        INGEST_SENDGRID,
        "{\"event\":\"bounce\",\"email\":\"a@example.org\",\"reason\":\"550 no\\u0000where\"}");
    assert_str(assert_bounce(&reading, 0, "a@example.org", NULL, 550)->diagnostic,
               "550 no\xef\xbf\xbdwhere");
    reading_deinit(&reading);
}

static void one_bad_value_does_not_cost_the_others(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_SENDGRID,
                  SENDGRID("bounce", "") "\n{\"event\":\"bou\n" SENDGRID("delivered", "") "\n");
    assert_int_equal(reading.result.count, 3);
    assert_bounce(&reading, 0, "a@example.org", NULL, 0);
    assert_rejected(&reading, 1, E_MALFORMED);
    assert_str(entry_at(&reading, 1)->octets, "{\"event\":\"bou");
    assert_delivery(&reading, 2, "a@example.org");
    reading_deinit(&reading);
}

static void values_of_nothing_but_objects_are_rejected(void **unused)
{
    (void)unused;
    struct buf text;
    buf_init(&text);
    buf_str(&text, STR("{\"items\":["));
    for (int i = 0; i < 70000; i++)
        buf_str(&text, STR("{},"));
    buf_str(&text, STR("{}]}"));
    struct reading reading = read_octets(INGEST_MAILGUN, buf_view(&text));
    assert_int_equal(reading.result.count, 1);
    assert_rejected(&reading, 0, E_MALFORMED);
    reading_deinit(&reading);
    buf_deinit(&text);
}

static void tenants_have_ids_of_their_own(void **unused)
{
    (void)unused;
    static const char text[] = SENDGRID("bounce", "");
    struct ingest *ingest =
        ingest_new(&(struct ingest_options){.format = INGEST_SENDGRID, .tenant = STR("shop")});
    struct ingest_result result;
    ingest_read(ingest, &(struct ingest_item){str_of(text), RECEIVED_MS}, &result);
    struct reading other = read_text(INGEST_SENDGRID, text);
    assert_str(result.entries[0].record.tenant, "shop");
    assert_false(str_equal(result.entries[0].record.event_id,
                           assert_bounce(&other, 0, "a@example.org", NULL, 0)->event_id));
    reading_deinit(&other);
    ingest_free(ingest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sendgrid_bounces_are_bounced_or_blocked),
        cmocka_unit_test(sendgrid_deliveries),
        cmocka_unit_test(sendgrid_skips_the_rest),
        cmocka_unit_test(sendgrid_hints_are_custom_arguments),
        cmocka_unit_test(sendgrid_without_ids_is_known_by_its_octets),
        cmocka_unit_test(postmark_bounces),
        cmocka_unit_test(postmark_types_that_are_no_failure_are_skipped),
        cmocka_unit_test(postmark_api_lists_bounces),
        cmocka_unit_test(postmark_deliveries),
        cmocka_unit_test(mailgun_permanent_failures_are_bounces),
        cmocka_unit_test(mailgun_codes_of_its_own_are_no_replies),
        cmocka_unit_test(mailgun_skips_the_rest),
        cmocka_unit_test(mailgun_api_lists_items),
        cmocka_unit_test(sisimai_of_the_older_generation),
        cmocka_unit_test(sisimai_of_the_newer_generation),
        cmocka_unit_test(sisimai_reports_more_than_bounces),
        cmocka_unit_test(broken_octets_do_not_reach_the_record),
        cmocka_unit_test(one_bad_value_does_not_cost_the_others),
        cmocka_unit_test(values_of_nothing_but_objects_are_rejected),
        cmocka_unit_test(tenants_have_ids_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
