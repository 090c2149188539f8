/* Enhanced status codes `class.subject.detail` (RFC 3463 2) and SMTP reply codes (RFC 5321 4.2). */
#pragma once
#include "domain/types.h"

struct status_code {
    int cls;     /* 2, 4 or 5; 0: none */
    int subject; /* 0..999 */
    int detail;  /* 0..999 */
};

/* The subjects that are registered (RFC 3463 3, RFC 5248): a version number such as 4.94.2 is no
 * status. */
#define STATUS_SUBJECT_MAX 7

/* The whole of `text`, blanks around it allowed; false if it is not a status code. */
bool status_parse(struct str text, struct status_code *ret_code);

/* The first status code that stands as a word of its own within `text` ("550 5.1.1 <a@b>: …",
 * "550-5.2.1 …"), of a registered subject (0 to 7): version numbers and addresses are none. */
bool status_find(struct str text, struct status_code *ret_code);

/* Reply code at the very start of `text` (three digits, 2-5 first), or 0. */
int reply_find(struct str text);
