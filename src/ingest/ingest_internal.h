/*
 * What adapters are made of. An adapter is one function that looks at one value or mail and calls
 * `ingest_event`, `ingest_skip` or `ingest_reject` for what it finds; ids, validation and bounds
 * are done there.
 */
#pragma once
#include <jansson.h>

#include "ingest/ingest.h"

#define INGEST_ID_PARTS 8
#define INGEST_ATTRIBUTES 6

struct ingest {
    struct ingest_options options;
    const struct adapter *adapter;
    struct arena arena; /* of one item */
    int64_t received_ms;
    struct str octets;    /* what is being read: the entries' */
    struct str octets_id; /* made of them on demand */
    struct ingest_entry *entries;
    size_t count, capacity;
};

struct adapter {
    /* One of the two. */
    void (*read_json)(struct ingest *ingest, const json_t *value);
    void (*read_mail)(struct ingest *ingest, struct str octets);
};
extern const struct adapter adapter_dsn, adapter_kumomta, adapter_ses, adapter_sendgrid,
    adapter_postmark, adapter_mailgun, adapter_sisimai;

struct ingest_attribute {
    const char *name;
    struct str value; /* null: left out */
};

/*
 * An event as an adapter finds it. The record: kind, recipient, message_id, occurred_at_ms
 * (TIME_NULL or out of range: that of the item), status, reply_code, diagnostic, remote_mta, stage,
 * retry_of, message_attempt; the rest is filled in. Spans need not be UTF-8.
 */
struct found {
    struct input_record record;
    /* What tells this event from others, the source's own id first; without that the octets do. */
    struct str id_parts[INGEST_ID_PARTS];
    struct ingest_attribute attributes[INGEST_ATTRIBUTES]; /* of a bounce */
};

/* Adds a bounce or delivery; or a rejected entry, if the recipient is no address. */
void ingest_event(struct ingest *ingest, const struct found *found);
/* `record` may be NULL; `why`, the source's own word, null. */
void ingest_skip(struct ingest *ingest, enum ingest_skip skip, const struct input_record *record,
                 struct str why);
void ingest_reject(struct ingest *ingest, enum rcode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An id of the octets that are being read. */
struct str ingest_octets_id(struct ingest *ingest);

/* --- text, arena-allocated where it has to change --- */

/* Without blanks and line ends around. */
struct str ingest_trim(struct str text);
/* Valid UTF-8, U+FFFD for broken octets, at most `max` octets. Null stays null. */
struct str ingest_utf8(struct arena *arena, struct str text, size_t max);
/* The address of "Name <a@b>", or the text itself, trimmed. */
struct str ingest_mailbox(struct str text);
bool ingest_equal_caseless(struct str a, struct str b); /* ASCII */
/* First place of `needle`, lower case, in `text`, any case; or NULL. */
const char *ingest_find_caseless(struct str text, const char *needle);
bool ingest_starts_caseless(struct str text, const char *prefix);

/* A whole number of at most nine digits; false if it is none. */
bool ingest_number(struct str text, int32_t *ret_number);

/* A stage of the classifier for an SMTP command as the source writes it: rcpt for "RCPT TO:<a@b>";
 * null if it is of none. */
struct str ingest_stage(struct str command);

/* The status that `text` begins with ("5.1.1 (bad mailbox)"), in its plain form; null if it is
 * none.
 */
struct str ingest_status(struct arena *arena, struct str text);
