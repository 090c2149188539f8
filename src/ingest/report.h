/*
 * The fields of delivery status notifications (RFC 3464, international: RFC 6533), as they should
 * be and as they are: other order, blanks before the colon, a missing type of address, no empty
 * line between recipients, no MIME around them. So free text may be searched for them as well.
 */
#pragma once
#include "base/arena.h"

#define REPORT_RECIPIENTS_MAX 4096 /* one more is given, for "there are more" */

/* One recipient; spans in the arena, null where there is no such field. */
struct report_recipient {
    struct str original, final, actual; /* addresses; null if they are not of the internet */
    struct str action;                  /* lower case */
    struct str status;                  /* as it is */
    struct str diagnostic;              /* without its type, unfolded */
    struct str remote_mta;              /* a host's name */
    struct str last_attempt;            /* a date */
};

/* Groups that have a recipient, and an action or status. */
size_t report_read(struct arena *arena, struct str text, struct report_recipient **ret_recipients);
