/* Bounces in prose: one of each structure, written for this test. */
#include "ingest_support.h"

#define DAEMON                                                                                     \
    "From: Mail Delivery System <MAILER-DAEMON@mx.example>\nSubject: Undelivered Mail\n\n"
#define RETURNED                                                                                   \
    "\nReceived: from shop.example\n\tby mx.example; Tue, 3 Mar 2026 10:00:00 +0000\nMessage-ID: " \
    "<orig-1@shop.example>\nX-Rimbalzo-Retry-Of: r-1\nTo: x@example.net\n\nhello a@b.example\n"

struct sample {
    const char *mail;
    struct {
        const char *recipient, *status;
        int reply;
        const char *diagnostic; /* its beginning; NULL: not compared */
        const char *stage, *remote_mta;
    } expected[3];
};

static void assert_sample(const struct sample *sample)
{
    struct reading reading = read_text(INGEST_DSN, sample->mail);
    size_t count = 0;
    for (; count < 3 && sample->expected[count].recipient; count++) {
        const struct input_record *record =
            assert_bounce(&reading, count, sample->expected[count].recipient,
                          sample->expected[count].status, sample->expected[count].reply);
        const char *diagnostic = sample->expected[count].diagnostic;
        if (diagnostic && (record->diagnostic.len < strlen(diagnostic) ||
                           memcmp(record->diagnostic.data, diagnostic, strlen(diagnostic)) != 0))
            fail_msg("\"%.*s\" does not begin with \"%s\"", STR_ARG(record->diagnostic),
                     diagnostic);
        if (sample->expected[count].stage)
            assert_str(record->stage, sample->expected[count].stage);
        if (sample->expected[count].remote_mta)
            assert_str(record->remote_mta, sample->expected[count].remote_mta);
    }
    assert_int_equal(reading.result.count, count);
    reading_deinit(&reading);
}

static void qmail_and_what_descends_from_it(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {"From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n"
         "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver "
         "your message to the following addresses.\nThis is a permanent error; I've given up.\n\n"
         "<a@example.org>:\n192.0.2.5 does not like recipient.\nRemote host said: 550 5.1.1 no "
         "such user\nGiving up on 192.0.2.5.\n\n<b@example.org>:\nUser is over quota. (#5.2.2)\n\n"
         "--- Below this line is a copy of the message.\n" RETURNED,
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 no such user", "rcpt", NULL},
          {"b@example.org", "5.2.2", 0, "User is over quota. (#5.2.2)", NULL, NULL}}},
        {"From: MAILER-DAEMON@yahoo.example\nSubject: Failure Notice\n\nSorry, we were unable to "
         "deliver your message to the following address.\n\n<a@example.org>:\n554: 5.7.1 not "
         "accepted\n\n--- Below this line is a copy of the message.\n" RETURNED,
         {{"a@example.org", "5.7.1", 554, NULL, NULL, NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void postfix_in_any_language(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {DAEMON
         "This is the mail system at host mx.example.\n\nFor further assistance, please "
         "send mail to <postmaster@mx.example>\n\n<a@example.org>: host "
         "mx.example.org[192.0.2.1] said: 550\n    5.1.1 <a@example.org>: unknown (in reply "
         "to RCPT TO\n    command)\n\n<b@example.org> (expanded from <c@example.org>): host "
         "mx.example.org[192.0.2.1] refused to\n    talk to me: 421 4.7.0 try later\n" RETURNED,
         {{"a@example.org", "5.1.1", 550, "550\n5.1.1", "rcpt", "mx.example.org"},
          {"b@example.org", "4.7.0", 421, "421 4.7.0", "connect", "mx.example.org"}}},
        {DAEMON "Ihre Nachricht konnte nicht zugestellt werden.\n\n<a@example.org>: host "
                "mx.example.org[192.0.2.1] said: 552 5.2.2 voll\n",
         {{"a@example.org", "5.2.2", 552, "552 5.2.2 voll", NULL, "mx.example.org"}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void exim_and_its_relatives(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {DAEMON "This message was created automatically by mail delivery software.\n\nA message "
                "that you sent could not be delivered to one or more of its\nrecipients. This is a "
                "permanent error. The following address(es) failed:\n\n  a@example.org\n    host "
                "mx.example.org [192.0.2.1]\n    SMTP error from remote mail server after RCPT "
                "TO:<a@example.org>:\n    550-5.1.1 first line\n    550 5.1.1 second line\n  "
                "b@example.org\n    (ultimately generated from c@example.org)\n    retry timeout "
                "exceeded\n\n------ This is a copy of the message, including all the headers. "
                "------\n" RETURNED,
         {{"a@example.org", "5.1.1", 550, "550-5.1.1 first line\n550 5.1.1 second line", "rcpt",
           "mx.example.org"},
          {"b@example.org", NULL, 0, NULL, NULL, NULL}}},
        /* only the local part in the text */
        {"X-Failed-Recipients: a@example.org\n" DAEMON
         "A message that you sent could not be delivered. The following address(es) failed:\n\n  "
         "a\n    SMTP error from remote mail server after end of data:\n    host mx.example.org "
         "[192.0.2.1]: 554 5.7.0 no\n",
         {{"a@example.org", "5.7.0", 554, "554 5.7.0 no", "data", "mx.example.org"}}},
        {DAEMON "A message that you sent could not be delivered to one or more of\nits recipients. "
                "The following address\nfailed:\n\n\"a@example.org\":\nSMTP error from remote "
                "server after RCPT command:\nhost: mx.example.org\n5.2.2 Mailbox Full\n\n--- The "
                "header of the original message is following. ---\n" RETURNED,
         {{"a@example.org", "5.2.2", 0, NULL, "rcpt", "mx.example.org"}}},
        {DAEMON "A message that you sent contained one or more recipient addresses that were\n"
                "incorrectly constructed:\n\n  Ann <a@example.org>: malformed address\n",
         {{"a@example.org", NULL, 0, NULL, NULL, NULL}}},
        {DAEMON "Message 1abc-de has been frozen (delivery error message).\nThe following "
                "address(es) have yet to be delivered:\n\n  a@example.org: retry time not reached "
                "for any host after a long failure period\n",
         {{"a@example.org", NULL, 0, "retry time not reached", NULL, NULL}}},
        {DAEMON "A message that you sent could not be delivered to one or more of its recipients. "
                "The following address(es) failed:\n\n  a@example.org\n    550 5.1.1 unknown\n  "
                "pipe to |/usr/bin/sorter\n    generated by b@example.org\n    local delivery "
                "failed\n",
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 unknown", NULL, NULL},
          {"b@example.org", NULL, 0, "local delivery failed", NULL, NULL}}},
        {DAEMON "The following address(es) failed:\n\n  pipe to |/usr/bin/sorter\n    generated by "
                "a@example.org\n\nThe following text was generated during the delivery "
                "attempt:\n\n------ pipe to |/usr/bin/sorter\n       generated by a@example.org "
                "------\n\nno such file\n",
         {{"a@example.org", NULL, 0, "no such file", NULL, NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void sendmail_of_all_ages(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {DAEMON "The original message was received at Tue, 3 Mar 2026 10:00:00 +0000\nfrom shop\n\n"
                "   ----- The following addresses had permanent fatal errors -----\n"
                "<a@example.org>\n    (reason: 550 5.1.1 <a@example.org>... User unknown)\n\n   "
                "----- Transcript of session follows -----\n... while talking to "
                "mx.example.org.:\n>>> DATA\n<<< 550 5.1.1 <a@example.org>... User unknown\n"
                "550 5.1.1 <a@example.org>... User unknown\n" RETURNED,
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 <a@example.org>... User unknown", NULL,
           NULL}}},
        {DAEMON "   ----- The following addresses had permanent fatal errors -----\n"
                "<a@example.org>\n\n   ----- Transcript of session follows -----\n"
                "<a@example.org>... Deferred: Connection refused by mx.example.org.\nMessage could "
                "not be delivered for 5 days\n",
         {{"a@example.org", NULL, 0, "Deferred: Connection refused", NULL, NULL}}},
        {DAEMON "   ----- Transcript of session follows -----\nWhile talking to mx.example.org:\n"
                ">>> MAIL From:<s@shop.example>\n<<< 550 Insecure Mail Relay\n554 "
                "<a@example.org>... Remote protocol error\n554 <b@example.org>... 550 Host "
                "unknown\n\n   ----- Unsent message follows -----\n" RETURNED,
         {{"a@example.org", NULL, 550, "550 Insecure Mail Relay", NULL, NULL},
          {"b@example.org", NULL, 550, "550 Host unknown", NULL, NULL}}},
        {DAEMON
         "---The following addresses had delivery errors---\n\na@example.org [User unknown]\n",
         {{"a@example.org", NULL, 0, "User unknown", NULL, NULL}}},
        {DAEMON "   ----- The following addresses had delivery problems -----\na@example.org\n\n   "
                "----- Non-delivered information -----\nThe mailbox exceeded its limit.\n",
         {{"a@example.org", NULL, 0, "The mailbox exceeded its limit.", NULL, NULL}}},
        {DAEMON "  ----- The following addresses had permanent fatal errors -----\n\n>>> "
                "a@example.org <a@example.org>\n\n  ----- Transcript of session follows -----\n\n "
                "550 sorry, no mailbox here by that name (#5.1.1)\n",
         {{"a@example.org", "5.1.1", 550, "550 sorry", NULL, NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void transcripts_tell_whom_a_refusal_concerns(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {DAEMON "Transcript of session follows.\n\n Out: 220 mx.example ESMTP\n In:  MAIL "
                "FROM:<s@shop.example>\n Out: 250 2.1.0 Ok\n In:  RCPT TO:<a@example.org>\n Out: "
                "250 2.1.5 Ok\n In:  RCPT TO:<b@example.org>\n Out: 550-5.1.1 unknown\n Out: 550 "
                "5.1.1 really\n In:  DATA\n Out: 354 go on\n Out: 552 5.3.4 too big\n In:  QUIT\n",
         {{"b@example.org", "5.1.1", 550, "550-5.1.1 unknown\n550 5.1.1 really", NULL, NULL},
          {"a@example.org", "5.3.4", 552, "552 5.3.4 too big", NULL, NULL}}},
        {DAEMON "Sent >>> RCPT TO:<a@example.org>\nReceived <<< 550 5.1.1 unknown\n\n",
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 unknown", NULL, NULL}}},
        {DAEMON "--- Session Transcript ---\n Tue 2026-03-03 10:00:00: [1:2] --> RCPT "
                "To:<a@example.org>\n Tue 2026-03-03 10:00:01: [1:2] <-- 550 5.1.1 no\n--- End "
                "Transcript ---\n",
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 no", NULL, NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
    /* "Later" is said to a client that will come again. */
    struct reading reading = read_text(
        INGEST_DSN, DAEMON "Transcript of session follows.\n\n In:  RCPT TO:<a@example.org>\n Out: "
                           "451 4.3.0 queue file write error\n In:  QUIT\n");
    assert_skipped(&reading, 0, INGEST_DELAYED);
    reading_deinit(&reading);
}

static void microsoft_exchange(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {DAEMON "Delivery has failed to these recipients or groups:\n\nAnn<mailto:a@example.org>\n"
                "The address could not be found; see code 5.1.0.\n\nDiagnostic information for "
                "administrators:\n\nGenerating server: ex.example\n\na@example.org\nRemote Server "
                "returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'\n\nOriginal message "
                "headers:\n" RETURNED,
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 RESOLVER", NULL, NULL}}},
        {"From: System Administrator <postmaster@example.org>\nSubject: Undeliverable: hello\n\n"
         "Your message\n\n  To:      a@example.org\n  Subject: hello\n\ndid not reach the "
         "following "
         "recipient(s):\n\na@example.org on Tue, 3 Mar 2026 09:59:10 -0000\n    The recipient name "
         "is not recognized\n    MSEXCH:IMS:ORG:SITE:EX 0 (000C05A6) Unknown Recipient\n",
         {{"a@example.org", NULL, 0, "The recipient name is not recognized", NULL, NULL}}},
        {"From: postmaster@example.org\nSubject: Undeliverable: hello\n\nThe following "
         "recipient(s) "
         "could not be reached:\n\n      a@example.org on 3/3/2026 9:59 AM\n            No such "
         "account.\n            <mx.example.org #5.1.1>\n",
         {{"a@example.org", "5.1.1", 0, "No such account.", NULL, NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void providers_and_filters(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {DAEMON "Delivery to the following recipient failed permanently:\n\n     a@example.org\n\n"
                "Technical details of permanent failure: \nWe tried mx.example.org. "
                "[192.0.2.1].\n\nThe error that the other server returned was:\n550 5.1.1 no such "
                "user\n\n----- Original message -----\n" RETURNED,
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 no such user", NULL, NULL}}},
        {DAEMON "    Hi!\n\n    An error has occurred while attempting to deliver a message for\n"
                "    the following list of recipients:\n\na@example.org: 550 5.2.2 full\n"
                "b@example.org: Domain does not exist\n\n    Below is a copy of the original "
                "message:\n" RETURNED,
         {{"a@example.org", "5.2.2", 550, "550 5.2.2 full", NULL, NULL},
          {"b@example.org", NULL, 0, "Domain does not exist", NULL, NULL}}},
        {DAEMON "This is the DragonFly Mail Agent v0.13 at df.example.\n\nThere was an error "
                "delivering your mail to <postmaster@example.org>.\n\nmx.example.org [192.0.2.1] "
                "did not like our RCPT TO:\n550 5.1.1 <postmaster@example.org>: User unknown\n\n"
                "Message headers follow.\n" RETURNED,
         {{"postmaster@example.org", "5.1.1", 550, "550 5.1.1", "rcpt", NULL}}},
        {DAEMON "This message was created automatically by mail delivery software.\nA message that "
                "you sent could not be delivered to one or more of its recipients.\n\n"
                "a@example.org Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 User unknown\n"
                "\nReceived:from shop.example\n",
         {{"a@example.org", "5.1.1", 550, NULL, NULL, NULL}}},
        {DAEMON
         "An email could not be delivered:\n-- a@example.org\n\nThe problem appears to be :\n"
         "-- Recipient possibly incorrect\n\nAdditional information follows :\n-- 5.4.1 "
         "Access denied.\n",
         {{"a@example.org", "5.4.1", 0, "5.4.1 Access denied.", NULL, NULL}}},
        {DAEMON "Your message\n  Subject: hello\n\nwas not delivered to:\n  a@example.org\n\n"
                "because:\n  User a not listed in directory\n",
         {{"a@example.org", NULL, 0, "User a not listed", NULL, NULL}}},
        {DAEMON "------- Failure Reasons  --------\n\nUser not listed in public Name & Address "
                "Book\na@example.org\nRouter: maximum hop count exceeded\nb@example.org\n"
                "c@example.org\n\n------- Returned Message --------\n" RETURNED,
         {{"a@example.org", NULL, 0, "User not listed in public", NULL, NULL},
          {"b@example.org", NULL, 0, "Router: maximum hop", NULL, NULL},
          {"c@example.org", NULL, 0, "Router: maximum hop", NULL, NULL}}},
        {DAEMON "|------------------------- Failed addresses follow: ---------------------|\n "
                "a@example.org ... unknown host\n|---- Message text follows: ----|\n" RETURNED,
         {{"a@example.org", NULL, 0, "unknown host", NULL, NULL}}},
        {DAEMON "Your message:\n   From:    s@shop.example\n\nCould not be delivered because of\n\n"
                "550 5.1.1 User unknown\n\nThe following recipients were affected:\n    "
                "a@example.org\n",
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 User unknown", NULL, NULL}}},
        {"From: postmaster@example.org\nX-Mailer: <SMTP32 v8.22>\nSubject: Undeliverable Mail\n\n"
         "User mailbox exceeds allowed size: a@example.org\n\nOriginal message follows.\n" RETURNED,
         {{"a@example.org", NULL, 0, "User mailbox exceeds allowed size", NULL, NULL}}},
        {DAEMON "Unable to deliver message to: <a@example.org>\nDelivery failed for the following "
                "reason:\nServer mx.example.org[192.0.2.1] failed with: 552 5.2.2 over quota\n",
         {{"a@example.org", "5.2.2", 552, "552 5.2.2 over quota", NULL, "mx.example.org"}}},
        {DAEMON "1 error(s):\n\nSMTP Server <mx.example.org> rejected recipient <a@example.org>\n  "
                "(Error following RCPT command). It responded as follows: [550 5.1.1 unknown]\n",
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 unknown", "rcpt", NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void unknown_structures_are_read_if_they_report_a_failure(void **unused)
{
    (void)unused;
    static const struct sample samples[] = {
        {"From: Postmaster <postmaster@mx.example>\nSubject: Delivery failure\n\nSorry. We tried "
         "to deliver your mail to a@example.org but in vain.\n\nThe answer was: 550 5.2.1 "
         "disabled\n",
         {{"a@example.org", "5.2.1", 550, "550 5.2.1 disabled", NULL, NULL}}},
        {"From: Postmaster <postmaster@mx.example>\nSubject: Unzustellbar: Hallo\n\nIhre Nachricht "
         "konnte nicht zugestellt werden an:\n\n  a@example.org\n\nGrund: 550 5.1.1 unbekannt\n",
         {{"a@example.org", "5.1.1", 550, "550 5.1.1 unbekannt", NULL, NULL}}},
        {"From: sysadmin@mobile.example\nSubject: Undeliverable Message\n\nError: No valid "
         "recipients for this message\n\nTo: a@example.org\nSubject: hello\n",
         {{"a@example.org", NULL, 0, "Error: No valid recipients", NULL, NULL}}},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_sample(&samples[i]);
}

static void warnings_are_delays(void **unused)
{
    (void)unused;
    static const char *const mails[] = {
        DAEMON "This message was created automatically by mail delivery software.\nA message that "
               "you sent has not yet been delivered to one or more of its\nrecipients after more "
               "than 24 hours.\n\n  a@example.org\n    Delay reason: 450 later\n\nNo action is "
               "required.\n",
        DAEMON "THIS IS A WARNING MESSAGE ONLY.\n\nDelivery to the following recipient has been "
               "delayed:\n\n     a@example.org\n\nMessage will be retried for 2 more day(s)\n",
        DAEMON "    A message is delayed for more than 10 minutes for the following\n    list of "
               "recipients:\n\na@example.org: Network error\n\n    Please note that this is only a "
               "temporary failure report.\n",
    };
    for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
        struct reading reading = read_text(INGEST_DSN, mails[i]);
        assert_int_equal(reading.result.count, 1);
        assert_skipped(&reading, 0, INGEST_DELAYED);
        assert_str(entry_at(&reading, 0)->record.recipient, "a@example.org");
        reading_deinit(&reading);
    }
}

static void a_reply_that_speaks_of_delay_is_none(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN, DAEMON "This is the mail system at host mx.example.\n\n<a@example.org>: host "
                           "mx.example.org[192.0.2.1] said: 450 4.2.0 Greylisted, your message "
                           "has been delayed (in reply to RCPT TO command)\n");
    assert_bounce(&reading, 0, "a@example.org", "4.2.0", 450);
    reading_deinit(&reading);
}

static void the_returned_header_gives_message_and_hints(void **unused)
{
    (void)unused;
    struct reading reading = read_text(
        INGEST_DSN, DAEMON "This is the mail system at host mx.example.\n\n<a@example.org>: 550 "
                           "5.1.1 no\n" RETURNED);
    const struct input_record *record = assert_bounce(&reading, 0, "a@example.org", "5.1.1", 550);
    assert_str(record->message_id, "orig-1@shop.example");
    assert_str(record->retry_of, "r-1");
    assert_attribute(record, "structure", "postfix");
    reading_deinit(&reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qmail_and_what_descends_from_it),
        cmocka_unit_test(postfix_in_any_language),
        cmocka_unit_test(exim_and_its_relatives),
        cmocka_unit_test(sendmail_of_all_ages),
        cmocka_unit_test(transcripts_tell_whom_a_refusal_concerns),
        cmocka_unit_test(microsoft_exchange),
        cmocka_unit_test(providers_and_filters),
        cmocka_unit_test(unknown_structures_are_read_if_they_report_a_failure),
        cmocka_unit_test(warnings_are_delays),
        cmocka_unit_test(a_reply_that_speaks_of_delay_is_none),
        cmocka_unit_test(the_returned_header_gives_message_and_hints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
