#include "ingest/dsn_kind.h"

#include "ingest/ingest_internal.h"

#define LOOK_MAX 4096 /* octets of a text that are looked at for words */

/* Parts of a From field. */
static const char *const senders[] = {"mailer-daemon",
                                      "mailerdaemon",
                                      "mailer daemon",
                                      "mdaemon",
                                      "postmaster",
                                      "post_master",
                                      "mail delivery",
                                      "mail.delivery",
                                      "maildelivery",
                                      "mail system",
                                      "mail administrator",
                                      "delivery subsystem",
                                      "system administrator",
                                      "mailer@",
                                      NULL};

/* Parts of a subject that only mail systems write. */
static const char *const subjects[] = {
    "undeliver", "returned mail", "failure notice", "delivery fail", "delivery status",
    "mail delivery", "delivery notification", "delivery report", "could not be delivered",
    "mail system error", "mail failure", "message delivery has failed", "non-delivery",
    "returning message to sender", "returning to sender", "returned to sender", "could not send",
    "message you sent blocked", "permanent delivery failure", "failed delivery",
    /* German, French, Italian, Spanish */
    "unzustellbar", "nicht zugestellt", "unzustellbarkeit", "non remis", "non-remis",
    "échec de la remise", "mancata consegna", "non recapitabile", "no se puede entregar",
    "no se ha podido entregar", NULL};

/* In the words of a mail system. */
static const char *const failures[] = {
    "could not be delivered", "couldn't be delivered", "could not be sent", "cannot send",
    "cannot be delivered", "delivery failed", "failed to deliver", "failed permanently",
    "undeliver", "unable to deliver", "not delivered", "wasn't delivered", "not be delivered",
    "has failed", "unknown user", "user unknown", "host unknown", "no such user",
    "deferred:", "rejected", "mailbox is full", "mailbox full", "over quota", "returned mail",
    "permanent error",
    /* German, French, Italian, Spanish */
    "nicht zugestellt", "konnte nicht", "n'a pas pu être", "non è stato possibile",
    "no se pudo entregar", "no se ha podido", NULL};

static bool has_any(struct str text, const char *const *words)
{
    text.len = text.len < LOOK_MAX ? text.len : LOOK_MAX;
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

bool dsn_reports_failure(const struct mail *mail)
{
    if (mail->report || has_any(mail->subject, subjects))
        return true;
    if (!has_any(mail->from, senders))
        return false;
    if (mail->failed_recipients.len || has_any(mail->subject, failures))
        return true;
    for (int i = 0; i < mail->text_count; i++)
        if (has_any(mail->texts[i], failures))
            return true;
    return false;
}

bool dsn_is_auto_reply(const struct mail *mail)
{
    static const char *const replies[] = {"automatic reply",
                                          "auto reply",
                                          "autoreply",
                                          "auto-reply",
                                          "out of office",
                                          "out of the office",
                                          "autorespon",
                                          "vacation",
                                          "away from",
                                          "abwesenheit",
                                          "absence",
                                          "assente",
                                          "risposta automatica",
                                          "réponse automatique",
                                          "fuera de la oficina",
                                          NULL};
    return mail->disposition || ingest_starts_caseless(mail->auto_submitted, "auto-") ||
           has_any(mail->subject, replies);
}

bool dsn_is_feedback(const struct mail *mail)
{
    return ingest_starts_caseless(mail->subject, "complaint about message from") ||
           ingest_equal_caseless(ingest_trim(mail->subject), STR("unsubscribe"));
}

bool dsn_is_session(const char *structure, int32_t reply_code)
{
    return structure && str_equal(str_of(structure), STR("transcript")) && reply_code >= 400 &&
           reply_code < 500;
}
