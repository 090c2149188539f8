/* What kind of mail it is, by who sent it and what it is called; private to dsn.c. */
#pragma once
#include "ingest/mail.h"
#include "ingest/notice.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED };

/* RFC 3464 2.3.3; an action that is none goes by the status. */
enum dsn_action dsn_action(struct str action, struct str status);

/* Sent by a mail system (mailer-daemon, postmaster …), or with a subject that only those write. */
bool dsn_is_mail_system(const struct mail *mail);
bool dsn_is_auto_reply(const struct mail *mail);
/* Complaints that are no feedback reports: Hotmail's, and requests to unsubscribe. */
bool dsn_is_feedback(const struct mail *mail);
/* It says that a message could not be delivered. */
bool dsn_says_failed(const struct mail *mail, const struct notice *notice);
/* A transcript that a server sends to its own postmaster: where it said "later", the client will
 * come again. */
bool dsn_is_session(const char *structure, int32_t reply_code);
