/*
 * Bounces in prose: what mail systems wrote before RFC 3464, and what many write still. Each known
 * structure is a row of a table (notice_table.c): how it is recognised, where recipients stand,
 * where the reply stands. What no row recognises is read by the last one, which trusts less.
 *
 * All structures have this in common: words for people, one or more blocks that begin with a
 * recipient, and then, maybe, the message that is returned.
 */
#pragma once
#include "base/arena.h"

enum notice_form {
    NOTICE_ANGLED,  /* the line begins with <a@b>, and that is how recipients are marked */
    NOTICE_LEADING, /* the line begins with an address, in any decoration */
    NOTICE_WITHIN,  /* the address stands in a sentence, behind one of the words for it */
    NOTICE_FIELD,   /* "To: a@b", among the fields of the message in question */
    NOTICE_CODED,   /* "554 <a@b>... text", or a@b..., in a transcript */
    NOTICE_DIALOGUE /* what client and server said, line by line */
};

#define NOTICE_CUES_MAX 6
#define NOTICE_RECIPIENTS_MAX 4096 /* one more is given, for "there are more" */

struct notice_structure {
    const char *name;
    /* Words of the text, the subject or the mailer that tell this structure, in lower case and with
     * single blanks; any of them will do. None: for any mail that reports a failure. */
    const char *cues[NOTICE_CUES_MAX];
    /* Recipients are looked for behind the first line with this; NULL, or not there: anywhere. */
    const char *list;
    enum notice_form form;
    /* Lines behind which the reply stands when it does not follow the recipient. */
    const char *replies[NOTICE_CUES_MAX];
    bool whole;  /* all that is said tells why, not only what the remote said */
    bool behind; /* recipients stand behind what is said about them, each on its line */
};

/* Those without cues come last. */
extern const struct notice_structure notice_structures[];
extern const size_t notice_structure_count;

/* Words that begin the returned message, that tell a delay, and that stand before a recipient. Each
 * list ends with NULL. */
extern const char *const notice_returned_cues[];
extern const char *const notice_delay_cues[];
extern const char *const notice_recipient_words[];

struct notice_input {
    struct str text, subject, mailer;
    struct str failed_recipients; /* X-Failed-Recipients; null if absent */
    bool trusted;                 /* the mail reports a failure: the last row may be used */
};

struct notice_recipient {
    struct str address;
    struct str reply; /* what is said about it; may be empty */
};

struct notice {
    const char *structure; /* NULL: none recognised it */
    bool whole;            /* the structure's */
    bool delayed;          /* whoever wrote it still tries */
    struct notice_recipient *recipients;
    size_t count;
    struct str said;     /* all of it, without recipients and returned message */
    struct str returned; /* the header of the returned message, or its beginning; null if absent */
};

void notice_read(struct arena *arena, const struct notice_input *input, struct notice *ret_notice);

/* The header of a message that is returned somewhere in `text`; null if there is none. */
struct str notice_returned(struct arena *arena, struct str text);

/* Without the "> " of a mail that was forwarded inline. */
struct str notice_unquote(struct arena *arena, struct str text);
