/*
 * Items a second on one core, for each adapter: mails and JSON values to records, without
 * classification and without writing them.
 *
 * usage: bench_ingest [SECONDS-PER-FIGURE [FOLDER-OF-MAILS]]
 *
 * The built-in mails: a report of RFC 3464 with a returned header, and one in qmail's prose.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "ingest/ingest.h"

#define ITEMS_MAX 4096

struct items {
    struct str octets[ITEMS_MAX];
    size_t count, size;
};

static const char report[] =
    "From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\nDate: Tue, 3 Mar 2026 10:00:00 "
    "+0100\r\n"
    "Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <report-1@mx.example>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; "
    "boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at host "
    "mx.example.\r\n\r\nI'm sorry to have to inform you that your message could not\r\nbe "
    "delivered "
    "to one or more recipients. It's attached below.\r\n\r\n<a@example.org>: host "
    "mx.example.org[192.0.2.1] said: 550 5.1.1\r\n    <a@example.org>: User unknown (in reply to "
    "RCPT TO command)\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: "
    "dns; mx.example\r\nArrival-Date: Tue, 3 Mar 2026 09:59:58 +0100\r\n\r\nFinal-Recipient: "
    "rfc822; "
    "a@example.org\r\nOriginal-Recipient: rfc822;a@example.org\r\nAction: failed\r\nStatus: "
    "5.1.1\r\nRemote-MTA: dns; mx.example.org\r\nDiagnostic-Code: smtp; 550 5.1.1 "
    "<a@example.org>: User unknown\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    "Return-Path: <s@shop.example>\r\nReceived: from shop.example (shop.example "
    "[192.0.2.9])\r\n\tby "
    "mx.example (Postfix) with ESMTP id 4XYZ\r\n\tfor <a@example.org>; Tue, 3 Mar 2026 09:59:58 "
    "+0100 (CET)\r\nMessage-ID: <orig-1@shop.example>\r\nSubject: hello\r\nTo: "
    "a@example.org\r\n\r\n--b--\r\n";
static const char prose[] =
    "From: MAILER-DAEMON@mx.example\nDate: 3 Mar 2026 10:00:00 -0000\nSubject: failure "
    "notice\n\nHi. "
    "This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your "
    "message "
    "to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work "
    "out.\n\n<a@example.org>:\n192.0.2.5 does not like recipient.\nRemote host said: 550 5.1.1 no "
    "such user\nGiving up on 192.0.2.5.\n\n--- Below this line is a copy of the message.\n\n"
    "Return-Path: <s@shop.example>\nReceived: (qmail 1 invoked by uid 0); 3 Mar 2026 09:59:59 "
    "-0000\nMessage-ID: <orig-1@shop.example>\nSubject: hello\nTo: a@example.org\n\nhello\n";

static const struct {
    enum ingest_format format;
    const char *text;
} values[] = {
    {INGEST_KUMOMTA,
     "{\"type\":\"Bounce\",\"id\":\"d7ef132b5d7711eea8c8000c29c33806\",\"sender\":\"s@shop."
     "example\","
     "\"recipient\":\"a@example.org\",\"queue\":\"c:t@example.org\",\"site\":\"s->mx.example.org\","
     "\"size\":1047,\"response\":{\"code\":550,\"enhanced_code\":{\"class\":5,\"subject\":1,"
     "\"detail\":1},\"content\":\"user unknown\",\"command\":\"RCPT "
     "TO\"},\"peer_address\":{\"name\":"
     "\"mx.example.org.\",\"addr\":\"192.0.2.1\"},\"timestamp\":1757498475,\"created\":1757498470,"
     "\"num_attempts\":0,\"bounce_classification\":\"InvalidRecipient\",\"egress_pool\":\"p\","
     "\"egress_source\":\"s\",\"feedback_report\":null,\"meta\":{},\"headers\":{},"
     "\"delivery_protocol\":\"ESMTP\",\"reception_protocol\":\"ESMTP\",\"nodeid\":\"n-1\"}"},
    {INGEST_SES,
     "{\"Type\":\"Notification\",\"MessageId\":\"x\",\"TopicArn\":\"arn:aws:sns:eu-west-1:1:t\","
     "\"Message\":\"{\\\"notificationType\\\":\\\"Bounce\\\",\\\"bounce\\\":{\\\"feedbackId\\\":"
     "\\\"0100-f\\\",\\\"bounceType\\\":\\\"Permanent\\\",\\\"bounceSubType\\\":\\\"General\\\","
     "\\\"bouncedRecipients\\\":[{\\\"emailAddress\\\":\\\"a@example.org\\\",\\\"action\\\":"
     "\\\"failed\\\",\\\"status\\\":\\\"5.1.1\\\",\\\"diagnosticCode\\\":\\\"smtp; 550 5.1.1 user "
     "unknown\\\"}],\\\"timestamp\\\":\\\"2026-01-02T03:04:05.678Z\\\"},\\\"mail\\\":{\\\"timestamp"
     "\\\":\\\"2026-01-02T03:04:00.000Z\\\",\\\"messageId\\\":\\\"m-1\\\",\\\"destination\\\":["
     "\\\"a@example.org\\\"]}}\"}"},
    {INGEST_SENDGRID,
     "{\"email\":\"a@example.org\",\"timestamp\":1513299569,\"smtp-id\":\"<s-1@shop.example>\","
     "\"event\":\"bounce\",\"category\":\"cat\",\"sg_event_id\":\"aBcD==\",\"sg_message_id\":"
     "\"14c5.filter1.2.3\",\"reason\":\"550 5.1.1 "
     "unknown\",\"status\":\"5.1.1\",\"type\":\"bounce\"}"},
    {INGEST_POSTMARK,
     "{\"RecordType\":\"Bounce\",\"ID\":692560173,\"Type\":\"HardBounce\",\"TypeCode\":1,\"Name\":"
     "\"Hard "
     "bounce\",\"Tag\":\"t\",\"MessageID\":\"2c1b63fe\",\"ServerID\":23,\"Description\":\"The "
     "server was unable to deliver your message\",\"Details\":\"smtp;550 5.1.1 no such user\","
     "\"Email\":\"a@example.org\",\"From\":\"s@shop.example\",\"BouncedAt\":"
     "\"2026-01-15T16:09:19.6421112-05:00\",\"DumpAvailable\":true,\"Inactive\":true}"},
    {INGEST_MAILGUN,
     "{\"signature\":{\"token\":\"t\",\"timestamp\":\"1\",\"signature\":\"s\"},\"event-data\":{"
     "\"event\":\"failed\",\"id\":\"G9Bn5\",\"timestamp\":1521472262.908181,\"severity\":"
     "\"permanent\","
     "\"reason\":\"generic\",\"recipient\":\"a@example.org\",\"recipient-domain\":\"example.org\","
     "\"delivery-status\":{\"code\":550,\"enhanced-code\":\"5.1.1\",\"message\":\"no such user\","
     "\"mx-host\":\"mx.example.org\"},\"message\":{\"headers\":{\"message-id\":\"m-1@shop."
     "example\"}},"
     "\"user-variables\":{},\"tags\":[]}}"},
    {INGEST_SISIMAI,
     "{\"token\":\"ce999\",\"recipient\":\"a@example.org\",\"addresser\":\"s@shop.example\","
     "\"timestamp\":1291954879,\"deliverystatus\":\"5.1.1\",\"replycode\":\"550\","
     "\"diagnosticcode\":"
     "\"550 5.1.1 no\",\"reason\":\"userunknown\",\"hardbounce\":true,\"decodedby\":\"Postfix\","
     "\"command\":\"RCPT\",\"rhost\":\"mx.example.org\",\"messageid\":\"m\",\"action\":"
     "\"failed\"}"},
};

static void measure(const char *name, enum ingest_format format, const struct items *items,
                    double seconds)
{
    struct ingest *ingest = ingest_new(&(struct ingest_options){.format = format});
    int64_t started_us = clock_monotonic_us(), until_us = started_us + (int64_t)(seconds * 1e6);
    int64_t count = 0, events = 0;
    while (clock_monotonic_us() < until_us) {
        for (size_t i = 0; i < items->count; i++) {
            struct ingest_result result;
            ingest_read(ingest, &(struct ingest_item){items->octets[i], 0}, &result);
            for (size_t j = 0; j < result.count; j++)
                events += result.entries[j].outcome == INGEST_BOUNCE;
        }
        count += (int64_t)items->count;
    }
    double took = (double)(clock_monotonic_us() - started_us) / 1e6;
    double octets = (double)items->size / (double)items->count * (double)count;
    printf("%-16s %10.0f a second %8.1f MiB a second  (%zu octets each, %.2f bounces)\n", name,
           (double)count / took, octets / took / (1 << 20), items->size / items->count,
           (double)events / (double)count);
    ingest_free(ingest);
}

static void add(struct items *items, struct str octets)
{
    if (items->count == ITEMS_MAX)
        return;
    items->octets[items->count++] = octets;
    items->size += octets.len;
}

static void add_file(struct items *items, const char *folder, const char *name)
{
    char path[4096];
    struct buf text;
    size_t len;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    buf_init(&text);
    do {
        buf_reserve(&text, 65536);
        len = fread(text.data + text.len, 1, 65536, file);
        text.len += len;
    } while (len);
    fclose(file);
    add(items, buf_view(&text)); /* to the end of the program */
}

int main(int argc, char **argv)
{
    static struct items items;
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    add(&items, str_of(report));
    measure("dsn, report", INGEST_DSN, &items, seconds);
    items = (struct items){0};
    add(&items, str_of(prose));
    measure("dsn, prose", INGEST_DSN, &items, seconds);
    DIR *folder = argc > 2 ? opendir(argv[2]) : NULL;
    if (folder) {
        items = (struct items){0};
        for (struct dirent *entry; (entry = readdir(folder));)
            if (entry->d_name[0] != '.')
                add_file(&items, argv[2], entry->d_name);
        closedir(folder);
        measure("dsn, folder", INGEST_DSN, &items, seconds);
    }
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        items = (struct items){0};
        add(&items, str_of(values[i].text));
        measure(ingest_format_names[values[i].format], values[i].format, &items, seconds);
    }
    return 0;
}
