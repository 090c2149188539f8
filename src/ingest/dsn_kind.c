#include "ingest/dsn_kind.h"

#include "ingest/ingest_internal.h"

static bool has_any(struct str text, const char *const *words)
{
    for (; *words; words++)
        if (ingest_find_caseless(text, *words))
            return true;
    return false;
}

enum dsn_action dsn_action(struct str action, struct str status)
{
    if (ingest_starts_caseless(action, "deliver") || ingest_starts_caseless(action, "relay") ||
        ingest_starts_caseless(action, "expand"))
        return DSN_DELIVERED;
    if (ingest_starts_caseless(action, "delay"))
        return DSN_DELAYED;
    if (!action.len && ingest_starts_caseless(status, "2."))
        return DSN_DELIVERED;
    return DSN_FAILED;
}

bool dsn_is_mail_system(const struct mail *mail)
{
    static const char *const senders[] = {
        "mailer-daemon", "mailerdaemon", "postmaster", "post_master", "poostmaster",
        "mail delivery", "mail.delivery", "mail administrator", "mdaemon", "maildelivery",
        "delivery subsystem", "mail system", "mailer daemon", "bounce-notification", NULL};
    static const char *const subjects[] = {
        "undeliver",      "returned mail",    "failure notice",   "delivery fail",
        "delivery status", "mail delivery",   "delivery notification", "delivery report",
        "could not be delivered", "mail system error", "non remis", "unzustellbar",
        "returning message to sender", "returning to sender", "nicht zugestellt", "mancata consegna",
        "no se puede entregar", "mail failure", "non-delivery", "returned to sender",
        "could not send", "message you sent blocked", NULL};
    return has_any(mail->from, senders) || has_any(mail->subject, subjects);
}

bool dsn_is_auto_reply(const struct mail *mail)
{
    static const char *const subjects[] = {"automatic reply", "auto reply",   "autoreply",
                                           "auto-reply",      "out of office", "out of the office",
                                           "autorespon",      "vacation",      "away from",
                                           "abwesenheit",     "absence",       "assente",
                                           "fuera de la oficina", NULL};
    return ingest_starts_caseless(mail->auto_submitted, "auto-") ||
           has_any(mail->subject, subjects);
}

bool dsn_is_feedback(const struct mail *mail)
{
    return ingest_starts_caseless(mail->subject, "complaint about message from") ||
           ingest_equal_caseless(ingest_trim(mail->subject), STR("unsubscribe"));
}

bool dsn_says_failed(const struct mail *mail, const struct notice *notice)
{
    static const char *const words[] = {"could not be delivered", "could not be sent", "cannot send",
                                        "could not\nbe delivered", "not be\nbe delivered",
                                        "delivery failed",  "failed to deliver", "undeliver",
                                        "unable to deliver", "not delivered", "has failed",
                                        "returned mail", "host unknown", "deferred:",
                                        "unavailable", "rejected", "failed", NULL};
    return (mail->report || dsn_is_mail_system(mail)) &&
           (has_any(notice->said, words) || has_any(mail->subject, words));
}

bool dsn_is_session(const char *structure, int32_t reply_code)
{
    return structure && str_equal(str_of(structure), STR("transcript")) && reply_code >= 400 &&
           reply_code < 500;
}
