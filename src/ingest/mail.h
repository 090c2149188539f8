/*
 * A mail as the dsn adapter wants it: decoded by GMime, whatever its charsets and encodings, with
 * its parts told apart. Nothing here judges what it means.
 *
 * A mail may carry others: the one it returns, or bounces that somebody forwards. The caller knows
 * which; if they are to be looked at, it calls `mail_descend`.
 */
#pragma once
#include "base/arena.h"

#define MAIL_TEXTS_MAX 8
#define MAIL_PARTS_MAX 20000  /* lines that may begin a part: GMime takes a kilobyte for each */
#define MAIL_FIELDS_MAX 20000 /* lines of the header */

/* Spans live in the arena; null: there is none. Texts are UTF-8 as far as the mail is. */
struct mail {
    struct str from, subject, message_id, auto_submitted, mailer, failed_recipients;
    int64_t date_ms;  /* TIME_NULL: none, or not to be read */
    bool report;      /* multipart/report about deliveries */
    bool disposition; /* multipart/report of another kind: "your message was displayed" */
    bool feedback;    /* with a feedback report, or a type that says so */
    struct str
        texts[MAIL_TEXTS_MAX]; /* for people, in their order; HTML only if there is no other */
    int text_count;
    struct str status;   /* fields of its delivery-status parts, an empty line between parts */
    struct str returned; /* header of the message it returns */
};

struct mail_reader;

/* False for mails that would take more memory than any mail should. */
bool mail_is_bounded(struct str octets);

/* The octets must outlive the reader. Never fails: anything is a mail of sorts. */
struct mail_reader *mail_open(struct str octets);
void mail_close(struct mail_reader *reader);
/* The outer mail first, then those that were descended to; false: there are no more. */
bool mail_next(struct mail_reader *reader, struct arena *arena, struct mail *ret_mail);
/* The mails within the last one will be given too. */
void mail_descend(struct mail_reader *reader);

/* A date of RFC 5322, in any of the forms that are seen; TIME_NULL if it is none. */
int64_t mail_date(struct arena *arena, struct str text);

/* The unfolded value of a header field in `block`, which is header lines; null if it has none. */
struct str mail_header(struct arena *arena, struct str block, const char *name);
