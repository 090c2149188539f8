/* What kind of mail it is, by who sent it and what it is called; private to dsn.c. */
#pragma once
#include "ingest/mail.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED };

/* RFC 3464 2.3.3; an action that is none goes by the status. */
enum dsn_action dsn_action(struct str action, struct str status);

/* It is a delivery report, or a subject says so that only mail systems write, or a mail system
 * (mailer-daemon, postmaster …) sent it and its words tell of a failure. */
bool dsn_reports_failure(const struct mail *mail);
bool dsn_is_auto_reply(const struct mail *mail);
/* Complaints that are no feedback reports: Hotmail's, and requests to unsubscribe. */
bool dsn_is_feedback(const struct mail *mail);
/* A transcript that a server sends to its own postmaster: where it said "later", the client will
 * come again. */
bool dsn_is_session(const char *structure, int32_t reply_code);
