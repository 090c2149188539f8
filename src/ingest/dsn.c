/*
 * Mails that report deliveries: delivery status notifications (RFC 3464 in RFC 6522, international
 * RFC 6533), and bounces in prose. In this order:
 *
 *   1. complaints, and notices of SES that SNS sent by mail, are what they are
 *   2. the fields of a report, in parts of their own or anywhere in the text
 *   3. a structure that notice.h knows
 *   4. the recipient of the returned message, if the mail says that it could not be delivered
 *   5. the same for the mails that this one carries, if it is no report itself
 *
 * A field that is missing or says nothing (no diagnostic, status 5.0.0) is looked for in the text.
 * The recipient is the one that the sender wrote to (Original-Recipient) rather than what an alias
 * made of it: the sender's list knows only the former.
 */
#include "domain/address.h"
#include "ingest/address.h"
#include "ingest/dsn_kind.h"
#include "ingest/json.h"
#include "ingest/mail.h"
#include "ingest/notice.h"
#include "ingest/reply.h"
#include "ingest/report.h"
#include "ingest/ses.h"

struct reading {
    struct ingest *ingest;
    struct mail mail;
    struct notice notice; /* of the text that says most */
    struct str returned;  /* header of the returned message */
    struct str mail_id;   /* what tells this mail from others */
    size_t first;         /* entries of this mail begin here */
};

/* --- the event --- */

static void fill_message(struct reading *reading, struct input_record *record)
{
    struct arena *arena = &reading->ingest->arena;
    struct str block = reading->returned,
               attempt = mail_header(arena, block, INGEST_ATTEMPT_HEADER);
    struct str id = mail_header(arena, block, INGEST_MESSAGE_ID_HEADER);
    if (!id.len)
        id = ingest_mailbox(mail_header(arena, block, "Message-ID"));
    record->message_id = id;
    record->retry_of = mail_header(arena, block, INGEST_RETRY_OF_HEADER);
    (void)ingest_number(attempt, &record->message_attempt);
}

static bool known_already(const struct reading *reading, struct str recipient)
{
    const struct ingest *ingest = reading->ingest;
    for (size_t i = reading->first; i < ingest->count; i++)
        if (ingest->entries[i].outcome != INGEST_REJECTED &&
            ingest_equal_caseless(ingest->entries[i].record.recipient, recipient))
            return true;
    return false;
}

static void add_event(struct reading *reading, struct found *found, enum dsn_action action)
{
    struct ingest *ingest = reading->ingest;
    struct input_record *record = &found->record;
    record->kind = action == DSN_DELIVERED ? RECORD_DELIVERY : RECORD_BOUNCE;
    if (action == DSN_DELAYED) {
        ingest_skip(ingest, INGEST_DELAYED, record, STR_NULL);
        return;
    }
    if (known_already(reading, record->recipient)) {
        ingest_skip(ingest, INGEST_SAME_RECIPIENT, NULL, record->recipient);
        return;
    }
    fill_message(reading, record);
    if (record->occurred_at_ms == TIME_NULL)
        record->occurred_at_ms = reading->mail.date_ms;
    found->id_parts[0] = reading->mail_id;
    ingest_event(ingest, found);
}

/* False, with a rejected entry, for those beyond the bound. */
static bool within_bound(struct reading *reading, size_t index, size_t max)
{
    if (index == max)
        ingest_reject(reading->ingest, E_INVALID_FIELD,
                      "more than %zu recipients: those beyond are not read", max);
    return index < max;
}

/* --- reports --- */

static bool usable(const struct reading *reading, struct str address)
{
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    return address.len && address_canonical(address, reading->ingest->options.local_part_preserve,
                                            canonical, &len, NULL) == OK;
}

/* `"a..b"@c` is written as a..b@c by some in Original-Recipient. */
static bool same_unquoted(struct str original, struct str final)
{
    size_t at = 0;
    for (size_t i = 0; i < final.len; i++) {
        if (final.data[i] == '"')
            continue;
        if (at == original.len || original.data[at++] != final.data[i])
            return false;
    }
    return at == original.len;
}

/* The one address in a text; false if there are none or more. */
static bool only_address(struct str text, struct str *ret_address)
{
    struct str other;
    size_t begin, end;
    return address_in_text(text, ret_address, &begin, &end) &&
           !address_in_text((struct str){text.data + end, text.len - end}, &other, &begin, &end);
}

static struct str recipient_of(const struct reading *reading, const struct report_recipient *report)
{
    if (usable(reading, report->original) &&
        !(usable(reading, report->final) && same_unquoted(report->original, report->final)))
        return report->original;
    if (usable(reading, report->final))
        return report->final;
    if (usable(reading, report->actual))
        return report->actual;
    /* A pipe, a name without a domain: others may know whom it was for. */
    struct str address;
    if (only_address(reading->mail.failed_recipients, &address))
        return address;
    if (reading->notice.count == 1)
        return reading->notice.recipients[0].address;
    if (only_address(mail_header(&reading->ingest->arena, reading->returned, "To"), &address))
        return address;
    return report->final.len ? report->final : report->original;
}

/* What the text for people says of the recipient; NULL if it says nothing, or only of others. */
static const struct notice_recipient *
notice_of(const struct reading *reading, const struct report_recipient *report, size_t report_count)
{
    const struct notice *notice = &reading->notice;
    for (size_t i = 0; i < notice->count; i++)
        if (ingest_equal_caseless(notice->recipients[i].address, report->final) ||
            ingest_equal_caseless(notice->recipients[i].address, report->original))
            return &notice->recipients[i];
    return notice->count == 1 && report_count == 1 ? &notice->recipients[0] : NULL;
}

static bool is_expired(struct str status)
{
    struct status_code code;
    return status.data && status_parse(status, &code) && code.subject == 4 && code.detail == 7;
}

/* From where the remote's reply begins, without the words that say who answered. */
static struct str bare_reply(struct str text)
{
    struct reply reply = reply_read(text);
    if (reply.code && reply.introduced)
        return (struct str){text.data + reply.at, text.len - reply.at};
    return text;
}

/* A number that a local delivery program ended with is no text. */
static bool has_words(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.data[i] & 0x80) ||
            (ascii_lower(text.data[i]) >= 'a' && ascii_lower(text.data[i]) <= 'z'))
            return true;
    return false;
}

/* The text for people has the stage, which fields have no place for; and more than that where the
 * fields have no diagnostic, or only that time ran out. `said` NULL: all there is to say. */
static void use_notice(struct reading *reading, const struct notice_recipient *said,
                       struct input_record *record)
{
    struct str reply = said ? said->reply : reading->notice.said;
    bool expired = is_expired(record->status) && reply_read(reply).code;
    if (!record->stage.data)
        record->stage = reply_stage(reply);
    if (said && !record->remote_mta.data)
        record->remote_mta = reply_host(reply);
    if (!reply.len || (has_words(record->diagnostic) && !expired))
        return;
    record->diagnostic = !said || reading->notice.whole || expired ? reply : bare_reply(reply);
}

static void read_report_recipient(struct reading *reading, const struct report_recipient *report,
                                  size_t report_count)
{
    struct arena *arena = &reading->ingest->arena;
    enum dsn_action action = dsn_action(report->action, report->status);
    struct found found = {.record = {.recipient = recipient_of(reading, report),
                                     .status = ingest_status(arena, report->status),
                                     .diagnostic = report->diagnostic,
                                     .remote_mta = report->remote_mta}};
    struct input_record *record = &found.record;
    record->occurred_at_ms = mail_date(arena, report->last_attempt);
    const struct notice_recipient *said = notice_of(reading, report, report_count);
    if (said || (report_count == 1 && !reading->notice.count))
        use_notice(reading, said, record);
    if (action == DSN_DELIVERED)
        reply_accepted(arena, record);
    else
        reply_complete(arena, record);
    if (action == DSN_FAILED && !ingest_equal_caseless(record->recipient, report->final))
        found.attributes[0] = (struct ingest_attribute){"final_recipient", report->final};
    add_event(reading, &found, action);
}

static bool read_report(struct reading *reading, struct str text)
{
    struct report_recipient *recipients;
    size_t count = report_read(&reading->ingest->arena, text, &recipients);
    for (size_t i = 0; i < count && within_bound(reading, i, REPORT_RECIPIENTS_MAX); i++)
        read_report_recipient(reading, &recipients[i], count);
    return count > 0;
}

/* --- notices --- */

static bool read_notice(struct reading *reading)
{
    const struct notice *notice = &reading->notice;
    for (size_t i = 0; i < notice->count && within_bound(reading, i, NOTICE_RECIPIENTS_MAX); i++) {
        const struct notice_recipient *said = &notice->recipients[i];
        struct found found = {.record = {.recipient = said->address, .occurred_at_ms = TIME_NULL}};
        struct input_record *record = &found.record;
        use_notice(reading, said, record);
        reply_complete(&reading->ingest->arena, record);
        bool delayed = notice->delayed || dsn_is_session(notice->structure, record->reply_code);
        found.attributes[0] = (struct ingest_attribute){"structure", str_of(notice->structure)};
        add_event(reading, &found, delayed ? DSN_DELAYED : DSN_FAILED);
    }
    return notice->count > 0;
}

/* "Delivery report unavailable": all that is known is whom the returned message was for. */
static bool read_returned(struct reading *reading)
{
    struct arena *arena = &reading->ingest->arena;
    struct str address;
    if (!only_address(mail_header(arena, reading->returned, "To"), &address))
        return false;
    struct found found = {.record = {.recipient = address, .occurred_at_ms = TIME_NULL}};
    struct notice_recipient said = {address, reading->notice.said};
    use_notice(reading, &said, &found.record);
    reply_complete(arena, &found.record);
    found.attributes[0] = (struct ingest_attribute){"structure", STR("returned message")};
    add_event(reading, &found, reading->notice.delayed ? DSN_DELAYED : DSN_FAILED);
    return true;
}

/* The notice of the first text that has recipients, else of the first text. */
static void find_notice(struct reading *reading)
{
    const struct mail *mail = &reading->mail;
    struct notice_input input = {.subject = mail->subject,
                                 .mailer = mail->mailer,
                                 .failed_recipients = mail->failed_recipients,
                                 .trusted = dsn_reports_failure(mail)};
    for (int i = 0; i < mail->text_count || i == 0; i++) {
        struct notice notice;
        input.text = mail->text_count ? mail->texts[i] : STR("");
        notice_read(&reading->ingest->arena, &input, &notice);
        if (i == 0 || notice.count)
            reading->notice = notice;
        if (notice.count)
            break;
    }
    reading->returned = mail->returned.len ? mail->returned : reading->notice.returned;
    if (!reading->returned.len) /* its part is there, but not told apart */
        reading->returned = notice_returned(&reading->ingest->arena, mail->status);
}

/* --- mails --- */

/* SNS's mails have JSON as their text, lines broken where they were too long, and words behind. */
static bool read_sns(struct reading *reading)
{
    struct arena *arena = &reading->ingest->arena;
    struct str text = reading->mail.text_count ? ingest_trim(reading->mail.texts[0]) : STR("");
    json_error_t error;
    if (text.len < 2 || text.data[0] != '{' || !memmem(text.data, text.len, "ationType\"", 10))
        return false;
    char *joined = arena_alloc(arena, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool folded = text.data[i] == '\n' && i + 1 < text.len && text.data[i + 1] == ' ';
        if (folded && len && joined[len - 1] == '\r')
            len--;
        if (!folded)
            joined[len++] = text.data[i];
        else
            i++;
    }
    json_t *value = json_loadb(joined, len, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
    if (json_is_object(value))
        ses_read(reading->ingest, value);
    else
        ingest_reject(reading->ingest, E_MALFORMED, "a notification that is not JSON: %s",
                      error.text);
    json_decref(value);
    return true;
}

static bool read_mail(struct reading *reading)
{
    const struct mail *mail = &reading->mail;
    if (mail->feedback || dsn_is_feedback(mail)) {
        ingest_skip(reading->ingest, INGEST_FEEDBACK, NULL, STR_NULL);
        return true;
    }
    if (mail->disposition)
        return false;
    if (read_sns(reading))
        return true;
    find_notice(reading);
    if (read_report(reading, mail->status))
        return true;
    for (int i = 0; i < mail->text_count; i++)
        if (read_report(reading, notice_unquote(&reading->ingest->arena, mail->texts[i])))
            return true;
    if (read_notice(reading))
        return true;
    return dsn_reports_failure(mail) && read_returned(reading);
}

/* Message-ID, else the octets themselves: some systems give their reports no id. */
static struct str id_of(struct ingest *ingest, const struct mail *mail)
{
    struct str id = ingest_mailbox(mail->message_id);
    return id.len ? id : ingest_octets_id(ingest);
}

/* What a mail carries is the message it returns, or else, maybe, bounces that somebody forwards. */
static void read_mails(struct ingest *ingest, struct str octets)
{
    struct mail_reader *reader = mail_open(octets);
    struct reading reading = {.ingest = ingest};
    struct mail outer = {0};
    size_t before = ingest->count;
    for (bool first = true; mail_next(reader, &ingest->arena, &reading.mail); first = false) {
        reading.first = ingest->count;
        reading.mail_id = id_of(ingest, &reading.mail);
        if (!read_mail(&reading) && !reading.mail.report)
            mail_descend(reader);
        if (first)
            outer = reading.mail;
    }
    mail_close(reader);
    if (ingest->count > before)
        return;
    if (dsn_reports_failure(&outer))
        ingest_reject(ingest, E_INVALID_FIELD,
                      "reports a failure, but no recipient can be found in it");
    else
        ingest_skip(ingest, dsn_is_auto_reply(&outer) ? INGEST_AUTO_REPLY : INGEST_NO_REPORT, NULL,
                    outer.subject);
}

static void read_octets(struct ingest *ingest, struct str octets)
{
    /* The line that begins a mail in an mbox is no field. */
    const char *end = octets.len > 5 && memcmp(octets.data, "From ", 5) == 0
                          ? memchr(octets.data, '\n', octets.len)
                          : NULL;
    size_t skip = end ? (size_t)(end - octets.data) + 1 : 0;
    octets = (struct str){octets.data + skip, octets.len - skip};
    if (!mail_is_bounded(octets))
        ingest_reject(ingest, E_MALFORMED,
                      "more than %d parts, or %d lines of header: that is no mail", MAIL_PARTS_MAX,
                      MAIL_FIELDS_MAX);
    else if (ingest_trim(octets).len)
        read_mails(ingest, octets);
}

const struct adapter adapter_dsn = {.read_mail = read_octets};
