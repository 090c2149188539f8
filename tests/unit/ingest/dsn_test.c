/* Delivery status notifications as RFC 3464 wants them, and as they come. */
#include "ingest_support.h"

#define HEAD                                                                                       \
    "From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\n"                                    \
    "Date: Tue, 3 Mar 2026 10:00:00 +0100\r\nSubject: Undelivered Mail Returned to Sender\r\n"     \
    "Message-ID: <report-1@mx.example>\r\nMIME-Version: 1.0\r\n"
#define REPORT                                                                                     \
    HEAD "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n"
#define TEXT(text) "--b\r\nContent-Type: text/plain\r\n\r\n" text "\r\n"
#define STATUS(fields)                                                                             \
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "                     \
    "mx.example\r\n\r\n" fields "\r\n"
#define RETURNED                                                                                   \
    "--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <orig-1@shop.example>\r\n"             \
    "X-Rimbalzo-Retry-Of: 11111111-2222-5333-8444-555555555555\r\nX-Rimbalzo-Attempt: 2\r\n"       \
    "Subject: hello\r\n\r\nhello\r\n"
#define END "--b--\r\n"

#define FAILED(recipient, status, diagnostic)                                                      \
    "Final-Recipient: rfc822; " recipient "\r\nAction: failed\r\nStatus: " status                  \
    "\r\nDiagnostic-Code: " diagnostic "\r\n\r\n"

static void every_field_of_a_report_is_used(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT TEXT("<a@example.org>: host mx.example.org[192.0.2.1] said: 550 5.1.1 unknown (in "
                    "reply to\r\n    RCPT TO command)\r\n")
            STATUS("Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
                   "Remote-MTA: dns; mx.example.org\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n"
                   "    unknown\r\nLast-Attempt-Date: Tue, 3 Mar 2026 09:59:59 +0100\r\n")
                RETURNED END);
    assert_int_equal(reading.result.count, 1);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->diagnostic, "550 5.1.1 unknown");
    assert_str(record->remote_mta, "mx.example.org");
    assert_str(record->stage, "rcpt");
    assert_str(record->message_id, "orig-1@shop.example");
    assert_str(record->retry_of, "11111111-2222-5333-8444-555555555555");
    assert_int_equal(record->message_attempt, 2);
    assert_str(record->source, "dsn");
    assert_time(record->occurred_at_ms, "2026-03-03T08:59:59.000Z");
    reading_deinit(&reading);
}

static void only_what_failed_is_a_bounce(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT STATUS(
            "Final-Recipient: rfc822; a@example.org\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n"
            "Final-Recipient: rfc822; b@example.org\r\nAction: delivered (to mailbox)\r\nStatus: "
            "2.0.0\r\n\r\n"
            "Final-Recipient: rfc822; c@example.org\r\nAction: relayed\r\nStatus: 2.0.0\r\n\r\n"
            "Final-Recipient: rfc822; d@example.org\r\nAction: expanded\r\nStatus: 2.0.0\r\n\r\n"
            "Final-Recipient: rfc822; e@example.org\r\nAction: FAILED\r\nStatus: 5.2.2\r\n\r\n")
            END);
    assert_int_equal(reading.result.count, 5);
    assert_skipped(&reading, 0, INGEST_DELAYED);
    assert_str(entry_at(&reading, 0)->record.recipient, "a@example.org");
    assert_str(entry_at(&reading, 0)->record.status, "4.4.1");
    assert_delivery(&reading, 1, "b@example.org");
    assert_delivery(&reading, 2, "c@example.org");
    assert_delivery(&reading, 3, "d@example.org");
    /* Neither it nor the report has another time than the report's own. */
    assert_time(assert_bounce(&reading, 4, "e@example.org", "5.2.2", 0)->occurred_at_ms,
                "2026-03-03T09:00:00.000Z");
    reading_deinit(&reading);
}

static void the_recipient_is_the_one_that_the_sender_knows(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT STATUS("Original-Recipient: rfc822;list@example.org\r\nFinal-Recipient: rfc822; "
                      "a@inner.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
                      /* only quoted differently */
                      "Original-Recipient: rfc822;a..b@example.org\r\nFinal-Recipient: rfc822; "
                      "\"a..b\"@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
                      /* no address */
                      "Original-Recipient: X400;/S=a/O=b/\r\nFinal-Recipient: rfc822; "
                      "@relay.example:c@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n")
            END);
    assert_int_equal(reading.result.count, 3);
    assert_attribute(assert_bounce(&reading, 0, "list@example.org", "5.1.1", 0), "final_recipient",
                     "a@inner.example");
    assert_bounce(&reading, 1, "\"a..b\"@example.org", "5.1.1", 0);
    assert_bounce(&reading, 2, "c@example.org", "5.1.1", 0);
    reading_deinit(&reading);
}

static void a_pipe_is_no_recipient_but_its_owner_is(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_DSN, "X-Failed-Recipients: a@example.org\r\n" REPORT STATUS(FAILED(
                                  "|/usr/bin/filter a@example.org", "5.0.0", "x-unix; 127")) END);
    assert_bounce(&reading, 0, "a@example.org", "5.0.0", 0);
    reading_deinit(&reading);
    reading = read_text(
        INGEST_DSN,
        REPORT STATUS(FAILED("a", "5.1.1",
                             "smtp; 550 no")) "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nTo: "
                                              "Ann <a@example.org>\r\n\r\n" END);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
    reading = read_text(INGEST_DSN, REPORT STATUS(FAILED("|/bin/x", "5.0.0", "x-unix; 127")) END);
    assert_rejected(&reading, 0, E_INVALID_RECIPIENT);
    reading_deinit(&reading);
}

static void internationalized_addresses_are_decoded(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        HEAD "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n"
             "--b\r\nContent-Type: message/global-delivery-status\r\n\r\nReporting-MTA: dns; "
             "mx.example\r\n\r\nFinal-Recipient: utf-8; \\x{E9}l\\x{1F600}a@example.org\r\nAction: "
             "failed\r\nStatus: 5.1.1\r\n\r\nFinal-Recipient: utf-8; ren\xc3\xa9@example.org\r\n"
             "Action: failed\r\nStatus: 5.1.1\r\n" END);
    assert_int_equal(reading.result.count, 2);
    assert_bounce(&reading, 0,
                  "\xc3\xa9l\xf0\x9f\x98\x80"
                  "a@example.org",
                  "5.1.1", 0);
    assert_bounce(&reading, 1, "ren\xc3\xa9@example.org", "5.1.1", 0);
    reading_deinit(&reading);
}

static void a_status_that_says_nothing_gives_way_to_the_reply(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT STATUS(FAILED("a@example.org", "5.0.0", "smtp; 550-5.2.1 disabled") FAILED(
            "b@example.org", "4.4.7", "smtp; 554 4.4.7 expired <421 4.4.2 timed out>")
                          FAILED("c@example.org", "5.2.2 (full)", "smtp; 550 5.1.1 other")) END);
    assert_bounce(&reading, 0, "a@example.org", "5.2.1", 550);
    assert_bounce(&reading, 1, "b@example.org", "4.4.2", 421);
    assert_bounce(&reading, 2, "c@example.org", "5.2.2", 550);
    reading_deinit(&reading);
}

static void what_the_fields_lack_is_taken_from_the_text(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT TEXT("<a@example.org>: host mx.example.org[192.0.2.1] said: 552 5.2.2 full\r\n\r\n"
                    "<b@example.org>: unknown user\r\n")
            STATUS(
                "Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n"
                "Final-Recipient: rfc822; b@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n")
                END);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.2.2", 552);
    assert_str(record->diagnostic, "552 5.2.2 full");
    assert_str(record->remote_mta, "mx.example.org");
    assert_str(assert_bounce(&reading, 1, "b@example.org", "5.1.1", 0)->diagnostic, "unknown user");
    reading_deinit(&reading);
}

static void a_recipient_counts_once_in_a_report(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_DSN, REPORT STATUS(FAILED("a@example.org", "5.1.1", "smtp; 550 no") FAILED(
                                  "A@example.org", "5.2.2", "smtp; 552 full")) END);
    assert_int_equal(reading.result.count, 2);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_skipped(&reading, 1, INGEST_SAME_RECIPIENT);
    reading_deinit(&reading);
}

static void fields_may_have_lost_their_order_and_form(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN, REPORT STATUS("Action : failed\nStatus : 5.1.1\nDiagnostic-Code : smtp;550 no\n"
                                  "Original-Recipient : rfc/822;a@example.org\n"
                                  "ACTION: failed\nFINAL-RECIPIENT: <b@example.org>\n"
                                  "STATUS: 5.2.2\n") END);
    assert_int_equal(reading.result.count, 2);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_bounce(&reading, 1, "b@example.org", "5.2.2", 0);
    reading_deinit(&reading);
}

static void a_report_without_its_boundaries_is_still_one(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_DSN,
                  HEAD "Content-Type: multipart/report; boundary=\"another\"\r\n\r\n" STATUS(FAILED(
                      "a@example.org", "5.1.1", "smtp; 550 no")) "--b\r\n\r\nReturn-Path: "
                                                                 "<s@shop.example>\r\nMessage-ID: "
                                                                 "<orig-2@shop.example>\r\n");
    assert_str(assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550)->message_id,
               "orig-2@shop.example");
    reading_deinit(&reading);
}

static void a_report_forwarded_inline_is_unquoted(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_DSN,
                  "From: me@shop.example\nSubject: Fwd: Undelivered\n\nlook:\n\n"
                  "> Reporting-MTA: dns; mx.example\n>\n> Final-Recipient: rfc822; a@example.org\n"
                  "> Action: failed\n> Status: 5.1.1\n> Diagnostic-Code: smtp; 550 5.1.1 no\n>\n"
                  "> Return-Path: <s@shop.example>\n");
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
}

static void reports_forwarded_as_attachments_are_found(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        "From: me@shop.example\r\nSubject: Fwd: two of them\r\nMIME-Version: 1.0\r\nContent-Type: "
        "multipart/mixed; boundary=\"m\"\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nlook\r\n"
        "--m\r\nContent-Type: message/rfc822\r\n\r\n" REPORT STATUS(
            FAILED("a@example.org", "5.1.1", "smtp; 550 no")) END
        "--m\r\nContent-Type: message/rfc822\r\n\r\n" REPORT STATUS(
            FAILED("b@example.org", "5.2.2", "smtp; 552 full")) RETURNED END "--m--\r\n");
    assert_int_equal(reading.result.count, 2);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_bounce(&reading, 1, "b@example.org", "5.2.2", 552);
    reading_deinit(&reading);
}

static void a_returned_report_is_not_counted_again(void **unused)
{
    (void)unused;
    /* A bounce of a bounce: only the outer one is about our message. */
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT STATUS(FAILED(
            "a@example.org", "5.1.1",
            "smtp; 550 no")) "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: "
                             "multipart/report; "
                             "report-type=delivery-status; "
                             "boundary=\"i\"\r\n\r\n--i\r\nContent-Type: "
                             "message/delivery-status\r\n\r\n" FAILED("z@example.net", "5.2.2",
                                                                      "smtp; 552 "
                                                                      "x") "--i--\r\n" END);
    assert_int_equal(reading.result.count, 1);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
}

static void the_message_that_prose_returns_is_not_read(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN, HEAD "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n" TEXT(
                        "This is the mail system at host mx.example.\r\n\r\n<a@example.org>: 550 "
                        "5.1.1 no\r\n") "--b\r\nContent-Type: message/rfc822\r\n\r\n" REPORT
                        STATUS(FAILED("z@example.net", "5.2.2", "smtp; 552 x")) END);
    assert_int_equal(reading.result.count, 1);
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
}

static void texts_are_decoded(void **unused)
{
    (void)unused;
    static const char *const mails[] = {
        /* quoted-printable, ISO 8859-1 */
        HEAD "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
             "quoted-printable\r\n\r\nThis is the mail system at host mx.example.\r\n\r\n"
             "<a@exam=\r\nple.org>: 550 5.1.1 Empf=E4nger unbekannt\r\n",
        /* base64, UTF-8 */
        HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
             "VGhpcyBpcyB0aGUgbWFpbCBzeXN0ZW0gYXQgaG9zdCBteC5leGFtcGxlLgoKPGFAZXhhbXBsZS5vcmc+\r\n"
             "OiA1NTAgNS4xLjEgRW1wZsOkbmdlciB1bmJla2FubnQK\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        struct reading reading = read_text(INGEST_DSN, mails[i]);
        assert_str(assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550)->diagnostic,
                   "550 5.1.1 Empf\xc3\xa4nger unbekannt");
        reading_deinit(&reading);
    }
    struct reading reading = read_text(
        INGEST_DSN, HEAD "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\nThis is the mail "
                         "system at host mx.example.\r\n\r\n<a@example.org>: "
                         "550 \x1b$B$\"$F@h\x1b(B\r\n");
    assert_str(assert_bounce(&reading, 0, "a@example.org", NULL, 550)->diagnostic,
               "550 \xe3\x81\x82\xe3\x81\xa6\xe5\x85\x88");
    reading_deinit(&reading);
}

static void a_text_in_html_is_read(void **unused)
{
    (void)unused;
    struct reading reading =
        read_text(INGEST_DSN, HEAD
                  "Content-Type: text/html; charset=utf-8\r\n\r\n<html><style>p { a@b.example }"
                  "</style><p>could not be delivered:<br>&lt;a@example.org&gt;</p><p>550 "
                  "5.1.1 no&nbsp;such user</p></html>\r\n");
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    reading_deinit(&reading);
}

static void complaints_replies_and_letters_are_no_bounces(void **unused)
{
    (void)unused;
    assert_only_skipped(INGEST_DSN,
                        "From: fbl@example.net\r\nContent-Type: multipart/report; report-type="
                        "feedback-report; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: "
                        "message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n" END,
                        INGEST_FEEDBACK);
    assert_only_skipped(INGEST_DSN, "From: a@example.org\nSubject: unsubscribe\n\nplease\n",
                        INGEST_FEEDBACK);
    assert_only_skipped(INGEST_DSN,
                        "From: a@example.org\nSubject: Automatic reply: hello\n\nb@example.org "
                        "takes care\n",
                        INGEST_AUTO_REPLY);
    assert_only_skipped(INGEST_DSN,
                        "From: a@example.org\nContent-Type: multipart/report; report-type="
                        "disposition-notification; boundary=\"b\"\n\n--b\nContent-Type: text/plain"
                        "\n\nYour message to a@example.org was displayed; none failed\n--b--\n",
                        INGEST_AUTO_REPLY);
    assert_only_skipped(INGEST_DSN,
                        "From: a@example.org\nContent-Type: multipart/report; report-type=tlsrpt; "
                        "boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nOf TLS\n--b--\n",
                        INGEST_NO_REPORT);
    assert_only_skipped(INGEST_DSN, "From: a@example.org\nSubject: lunch?\n\nb@example.org\n",
                        INGEST_NO_REPORT);
    assert_only_skipped(
        INGEST_DSN, "From: postmaster@example.org\nSubject: weekly report\n\nb@example.org 17\n",
        INGEST_NO_REPORT);
    assert_only_skipped(INGEST_DSN, "", INGEST_EMPTY);
    assert_only_skipped(INGEST_DSN, "\r\n\r\n", INGEST_EMPTY);
}

static void a_failure_without_a_recipient_is_rejected(void **unused)
{
    (void)unused;
    assert_only_rejected(INGEST_DSN,
                         "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail\n\nSorry.\n",
                         E_INVALID_FIELD);
    assert_only_rejected(INGEST_DSN, REPORT TEXT("could not be delivered") END, E_INVALID_FIELD);
}

static void the_returned_message_may_be_all_that_tells(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        REPORT TEXT(
            "--- Delivery report unavailable ---") "--b\r\nContent-Type: message/rfc822\r\n\r\nTo: "
                                                   "Ann <a@example.org>\r\n\r\n" END);
    assert_bounce(&reading, 0, "a@example.org", NULL, 0);
    reading_deinit(&reading);
    /* Of two, nobody knows which. */
    assert_only_rejected(
        INGEST_DSN,
        REPORT TEXT(
            "--- Delivery report unavailable ---") "--b\r\nContent-Type: message/rfc822\r\n\r\nTo: "
                                                   "a@example.org, "
                                                   "b@example.org\r\n\r\n" END,
        E_INVALID_FIELD);
}

static void notices_of_ses_come_by_mail_too(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN,
        "From: AWS <no-reply@sns.amazonaws.com>\nSubject: AWS Notification Message\n\n"
        "{\"notificationType\":\"Bounce\",\"bounce\":{\"feedbackId\":\"f\",\"bouncedRecipi\n"
        " ents\":[{\"emailAddress\":\"a@example.org\",\"status\":\"5.1.1\"}]}}\n\n--\nIf you "
        "wish\n");
    assert_bounce(&reading, 0, "a@example.org", "5.1.1", 0);
    reading_deinit(&reading);
    assert_only_rejected(INGEST_DSN,
                         "From: AWS <no-reply@sns.amazonaws.com>\n\n{\"notificationType\":\"Bou",
                         E_MALFORMED);
}

static void the_id_is_that_of_the_report(void **unused)
{
    (void)unused;
    static const char one[] = REPORT STATUS(FAILED("a@example.org", "5.1.1", "smtp; 550 no")) END;
    static const char two[] = "Received: from somewhere else\r\n" REPORT STATUS(
        FAILED("a@example.org", "5.1.1", "smtp; 550 no")) END;
    static const char anonymous[] =
        "From: MAILER-DAEMON@mx.example\n\nHi. This is the qmail-send program at mx.example.\n\n"
        "<a@example.org>:\nno mailbox here (#5.1.1)\n";
    struct reading first = read_text(INGEST_DSN, one), second = read_text(INGEST_DSN, two);
    struct str id = assert_bounce(&first, 0, "a@example.org", "5.1.1", 550)->event_id;
    assert_true(str_equal(id, assert_bounce(&second, 0, "a@example.org", "5.1.1", 550)->event_id));
    reading_deinit(&second);
    second = read_text(INGEST_DSN, anonymous);
    struct reading again = read_text(INGEST_DSN, anonymous);
    assert_true(str_equal(assert_bounce(&second, 0, "a@example.org", "5.1.1", 0)->event_id,
                          assert_bounce(&again, 0, "a@example.org", "5.1.1", 0)->event_id));
    assert_false(str_equal(id, assert_bounce(&again, 0, "a@example.org", "5.1.1", 0)->event_id));
    reading_deinit(&first);
    reading_deinit(&second);
    reading_deinit(&again);
}

static void more_recipients_than_anybody_has_are_told(void **unused)
{
    (void)unused;
    struct buf mail;
    buf_init(&mail);
    buf_str(&mail, STR(REPORT "--b\r\nContent-Type: message/delivery-status\r\n\r\n"));
    for (int i = 0; i < 5000; i++)
        buf_printf(&mail, "Final-Recipient: rfc822; a%d@example.org\r\nAction: failed\r\n\r\n", i);
    struct reading reading = read_octets(INGEST_DSN, buf_view(&mail));
    assert_int_equal(reading.result.count, 4097);
    assert_bounce(&reading, 4095, "a4095@example.org", NULL, 0);
    assert_rejected(&reading, 4096, E_INVALID_FIELD);
    reading_deinit(&reading);
    buf_deinit(&mail);
}

static void nesting_has_an_end(void **unused)
{
    (void)unused;
    struct buf mail;
    buf_init(&mail);
    buf_str(&mail, STR("From: a@example.org\n"));
    for (int i = 0; i < 5000; i++)
        buf_printf(&mail, "Content-Type: multipart/mixed; boundary=\"b%d\"\n\n--b%d\n", i, i);
    struct reading reading = read_octets(INGEST_DSN, buf_view(&mail));
    assert_skipped(&reading, 0, INGEST_NO_REPORT);
    reading_deinit(&reading);
    buf_clear(&mail);
    for (int i = 0; i < 5000; i++)
        buf_str(&mail, STR("Content-Type: message/rfc822\n\n"));
    reading = read_octets(INGEST_DSN, buf_view(&mail));
    assert_skipped(&reading, 0, INGEST_NO_REPORT);
    reading_deinit(&reading);
    buf_deinit(&mail);
}

static void mails_of_nothing_but_parts_or_fields_are_rejected(void **unused)
{
    (void)unused;
    static const char *const lines[] = {"--b\n\nx\n", "Subject: x\n"};
    for (size_t i = 0; i < 2; i++) {
        struct buf mail;
        buf_init(&mail);
        buf_str(&mail, STR("Content-Type: multipart/mixed; boundary=b\n"));
        for (int n = 0; n < 30000; n++)
            buf_str(&mail, str_of(lines[i]));
        struct reading reading = read_octets(INGEST_DSN, buf_view(&mail));
        assert_rejected(&reading, 0, E_MALFORMED);
        reading_deinit(&reading);
        buf_deinit(&mail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_report_is_used),
        cmocka_unit_test(only_what_failed_is_a_bounce),
        cmocka_unit_test(the_recipient_is_the_one_that_the_sender_knows),
        cmocka_unit_test(a_pipe_is_no_recipient_but_its_owner_is),
        cmocka_unit_test(internationalized_addresses_are_decoded),
        cmocka_unit_test(a_status_that_says_nothing_gives_way_to_the_reply),
        cmocka_unit_test(what_the_fields_lack_is_taken_from_the_text),
        cmocka_unit_test(a_recipient_counts_once_in_a_report),
        cmocka_unit_test(fields_may_have_lost_their_order_and_form),
        cmocka_unit_test(a_report_without_its_boundaries_is_still_one),
        cmocka_unit_test(a_report_forwarded_inline_is_unquoted),
        cmocka_unit_test(reports_forwarded_as_attachments_are_found),
        cmocka_unit_test(a_returned_report_is_not_counted_again),
        cmocka_unit_test(the_message_that_prose_returns_is_not_read),
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(a_text_in_html_is_read),
        cmocka_unit_test(complaints_replies_and_letters_are_no_bounces),
        cmocka_unit_test(a_failure_without_a_recipient_is_rejected),
        cmocka_unit_test(the_returned_message_may_be_all_that_tells),
        cmocka_unit_test(notices_of_ses_come_by_mail_too),
        cmocka_unit_test(the_id_is_that_of_the_report),
        cmocka_unit_test(more_recipients_than_anybody_has_are_told),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(mails_of_nothing_but_parts_or_fields_are_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
