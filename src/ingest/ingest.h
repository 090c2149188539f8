/*
 * From what mail systems emit to the records of the input topic. One adapter per format turns the
 * octets of an item (a mail, a JSON value, the value of a Kafka record) into entries: one for each
 * recipient it tells about, or one for the whole item. Nothing is dropped in silence: what is no
 * event is an entry too, with the reason.
 *
 *     bounce     a final failure; the record is complete, only the classification is missing
 *     delivery   the receiving server accepted
 *     skipped    no event for us: a delay, a complaint, an opened mail … (INGEST_SKIPS)
 *     rejected   cannot be used; `why` says what is wrong
 *
 * An adapter does no I/O and reads no clock. The same item gives the same entries and the same
 * event ids (UUIDv5 of what identifies the event at its source, and the recipient), so an item may
 * be read again. Memory is bounded by the limits below. A `struct ingest` belongs to one thread;
 * any number may be used at once.
 *
 * Which message an event is about. A sender that obeys retry commands hands three values of the
 * RetryCommand on with the message (command_id, message_id, message_attempt), and the adapter finds
 * them again in the event: see the names below. Without them `message_id` is what the source calls
 * the message, `retry_of` is null, `message_attempt` is 0.
 *
 * How to add a format: a file with its `struct adapter` (ingest_internal.h), a line in
 * INGEST_FORMATS and in the table of ingest.c.
 */
#pragma once
#include "codec/record.h"

#define INGEST_FORMATS(X)                                                                          \
    X(INGEST_DSN, "dsn")           /* mails: RFC 3464, and what older systems write */             \
    X(INGEST_KUMOMTA, "kumomta")   /* log records */                                               \
    X(INGEST_SES, "ses")           /* notifications and events, bare or in SNS's envelope */       \
    X(INGEST_SENDGRID, "sendgrid") /* event webhook */                                             \
    X(INGEST_POSTMARK, "postmark") /* webhooks, bounce API */                                      \
    X(INGEST_MAILGUN, "mailgun")   /* webhooks, events API */                                      \
    X(INGEST_SISIMAI, "sisimai")   /* JSON of both generations */

#define INGEST_SKIPS(X)                                                                            \
    X(INGEST_SKIP_NONE, "")                                                                        \
    X(INGEST_DELAYED, "delayed")       /* whoever reports it still tries */                        \
    X(INGEST_SUPPRESSED, "suppressed") /* not tried: the provider has it on a list of its own */   \
    X(INGEST_ADMINISTRATIVE, "administrative") /* removed from a queue by an operator */           \
    X(INGEST_FEEDBACK, "feedback")             /* a complaint, an unsubscription */                \
    X(INGEST_AUTO_REPLY, "auto_reply")         /* a vacation notice and the like */                \
    X(INGEST_NO_REPORT, "no_report")           /* a mail about no delivery */                      \
    X(INGEST_OTHER_EVENT, "other_event")       /* received, opened, clicked … */                 \
    X(INGEST_SAME_RECIPIENT,                                                                       \
      "same_recipient")      /* a second failure of one recipient in one report */                 \
    X(INGEST_EMPTY, "empty") /* an item without anything in it */

/* What a sender hands on of a RetryCommand: its name in JSON (metadata, custom arguments, user
 * variables, tags) and as a header of the mail. */
#define INGEST_RETRY_OF_NAME "rimbalzo_retry_of"
#define INGEST_RETRY_OF_HEADER "X-Rimbalzo-Retry-Of"
#define INGEST_MESSAGE_ID_NAME "rimbalzo_message_id"
#define INGEST_MESSAGE_ID_HEADER "X-Rimbalzo-Message-Id"
#define INGEST_ATTEMPT_NAME "rimbalzo_attempt"
#define INGEST_ATTEMPT_HEADER "X-Rimbalzo-Attempt"

#define X(constant, string) constant,
enum ingest_format { INGEST_FORMATS(X) INGEST_FORMAT_COUNT };
enum ingest_skip { INGEST_SKIPS(X) INGEST_SKIP_COUNT };
#undef X
extern const char *const ingest_format_names[INGEST_FORMAT_COUNT];
extern const char *const ingest_skip_names[INGEST_SKIP_COUNT];

#define INGEST_OUTCOMES(X)                                                                         \
    X(INGEST_BOUNCE, "bounce")                                                                     \
    X(INGEST_DELIVERY, "delivery")                                                                 \
    X(INGEST_SKIPPED, "skipped")                                                                   \
    X(INGEST_REJECTED, "rejected")
#define X(constant, string) constant,
enum ingest_outcome { INGEST_OUTCOMES(X) INGEST_OUTCOME_COUNT };
#undef X
extern const char *const ingest_outcome_names[INGEST_OUTCOME_COUNT];

struct ingest_entry {
    enum ingest_outcome outcome;
    /* Complete for a bounce; of a delivery also what its record has no place for. Skipped: what is
     * known, for people; recipient may be null. */
    struct input_record record;
    struct str canonical;  /* the canonical recipient of a bounce or delivery */
    enum ingest_skip skip; /* skipped */
    enum rcode code;       /* rejected: reason of a dead letter */
    struct str why;        /* rejected: for people; skipped: the source's own word, or null */
    struct str octets; /* the part of the item the entry is from: one value of several, or all */
};

/* All spans live until the next ingest_read or ingest_free, and as long as the item. */
struct ingest_result {
    const struct ingest_entry *entries;
    size_t count; /* at least 1 */
};

struct ingest_options {
    enum ingest_format format;
    struct str tenant;        /* of all records; checked by the caller (tenant_valid) */
    bool local_part_preserve; /* see address_canonical */
};

struct ingest_item {
    struct str octets;
    int64_t received_ms; /* the time of events that name none, or an impossible one */
};

struct ingest;

struct ingest *ingest_new(const struct ingest_options *options);
void ingest_free(struct ingest *ingest); /* NULL is allowed */

/* Never fails: what cannot be read is a rejected entry. An item may hold several JSON values, or
 * arrays of them. */
void ingest_read(struct ingest *ingest, const struct ingest_item *item,
                 struct ingest_result *ret_result);

/* True if the format is JSON; else an item is a mail (see split.h). */
bool ingest_is_json(enum ingest_format format);
