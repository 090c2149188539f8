#include "domain/codes.h"

struct code_class {
    const char *rule;
    enum bounce_class bounce_class;
    enum reason reason;
};

struct code_row {
    int subject;
    int detail;
    struct code_class persistent; /* 4.x.x */
    struct code_class permanent;  /* 5.x.x */
};

#define ROW(subject, detail, class4, reason4, class5, reason5)                                     \
    {                                                                                              \
        subject, detail, {"code.4." #subject "." #detail, CLASS_##class4, REASON_##reason4},       \
        {                                                                                          \
            "code.5." #subject "." #detail, CLASS_##class5, REASON_##reason5                       \
        }                                                                                          \
    }

/* By subject and detail; the first row of a subject is its fallback. */
/* clang-format off */
static const struct code_row code_rows[] = {
    ROW(0, 0, UNKNOWN, OTHER, UNKNOWN, OTHER),
    ROW(1, 0, UNKNOWN, OTHER, UNKNOWN, OTHER),
    ROW(1, 1, SOFT, USER_UNKNOWN, HARD, USER_UNKNOWN),
    ROW(1, 2, TRANSIENT, DOMAIN_UNKNOWN, HARD, DOMAIN_UNKNOWN),
    ROW(1, 3, UNKNOWN, ADDRESS_SYNTAX, HARD, ADDRESS_SYNTAX),
    ROW(1, 4, UNKNOWN, OTHER, UNKNOWN, OTHER),
    ROW(1, 6, SOFT, MOVED, HARD, MOVED),
    ROW(1, 7, POLICY, SENDER, POLICY, SENDER),
    ROW(1, 8, POLICY, SENDER, POLICY, SENDER),
    ROW(1, 9, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(1, 10, TRANSIENT, NULL_MX, HARD, NULL_MX),
    ROW(2, 0, UNKNOWN, OTHER, UNKNOWN, OTHER),
    ROW(2, 1, SOFT, MAILBOX_DISABLED, SOFT, MAILBOX_DISABLED_PERMANENT),
    ROW(2, 2, SOFT, MAILBOX_FULL, SOFT, MAILBOX_FULL),
    ROW(2, 3, POLICY, MESSAGE_TOO_BIG, POLICY, MESSAGE_TOO_BIG),
    ROW(2, 4, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(3, 0, TRANSIENT, OTHER, TRANSIENT, OTHER),
    ROW(3, 1, TRANSIENT, SYSTEM_FULL, TRANSIENT, SYSTEM_FULL),
    ROW(3, 2, TRANSIENT, OTHER, TRANSIENT, OTHER),
    ROW(3, 3, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(3, 4, POLICY, MESSAGE_TOO_BIG, POLICY, MESSAGE_TOO_BIG),
    ROW(3, 5, TRANSIENT, OTHER, TRANSIENT, OTHER),
    ROW(4, 0, TRANSIENT, NETWORK, TRANSIENT, NETWORK),
    ROW(4, 1, TRANSIENT, CONNECT_REFUSED, TRANSIENT, CONNECT_REFUSED),
    ROW(4, 2, TRANSIENT, NETWORK, TRANSIENT, NETWORK),
    ROW(4, 3, TRANSIENT, NETWORK, TRANSIENT, NETWORK),
    ROW(4, 4, TRANSIENT, NETWORK, SOFT, DOMAIN_UNKNOWN),
    ROW(4, 5, TRANSIENT, NETWORK, TRANSIENT, NETWORK),
    ROW(4, 6, TRANSIENT, LOOP, POLICY, LOOP),
    ROW(4, 7, TRANSIENT, EXPIRED, TRANSIENT, EXPIRED),
    ROW(5, 0, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(5, 1, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(5, 2, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(5, 3, TRANSIENT, OTHER, TRANSIENT, OTHER),
    ROW(5, 4, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(5, 5, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(5, 6, TRANSIENT, OTHER, POLICY, OTHER),
    ROW(6, 0, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 1, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 2, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 3, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 4, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 5, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 6, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 7, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 8, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 9, POLICY, CONTENT, POLICY, CONTENT),
    ROW(6, 10, POLICY, CONTENT, POLICY, CONTENT),
    ROW(7, 0, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 1, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 2, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 3, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 4, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 5, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 6, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 7, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 8, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 9, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 10, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 11, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 12, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 13, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 14, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 15, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 16, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 17, HARD, MOVED, HARD, MOVED),
    ROW(7, 18, HARD, MOVED, HARD, MOVED),
    ROW(7, 19, POLICY, POLICY, POLICY, POLICY),
    ROW(7, 20, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 21, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 22, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 23, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 24, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 25, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 26, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 27, POLICY, SENDER, POLICY, SENDER),
    ROW(7, 28, TRANSIENT, RATE_LIMITED, POLICY, RATE_LIMITED),
    ROW(7, 29, POLICY, AUTHENTICATION, POLICY, AUTHENTICATION),
    ROW(7, 30, POLICY, POLICY, POLICY, POLICY),
};
/* clang-format on */

struct reply_row {
    int reply;
    const char *rule;
    enum bounce_class bounce_class;
    enum reason reason;
};

/* 550, 551 and 553 say that the mailbox, the user or its name is at fault, or a policy: only text
 * can tell. */
static const struct reply_row reply_rows[] = {
    {421, "reply.421", CLASS_TRANSIENT, REASON_OTHER},
    {450, "reply.450", CLASS_TRANSIENT, REASON_OTHER},
    {451, "reply.451", CLASS_TRANSIENT, REASON_OTHER},
    {452, "reply.452", CLASS_TRANSIENT, REASON_OTHER},
    {550, "reply.550", CLASS_UNKNOWN, REASON_OTHER},
    {551, "reply.551", CLASS_UNKNOWN, REASON_OTHER},
    {552, "reply.552", CLASS_SOFT, REASON_MAILBOX_FULL},
    {553, "reply.553", CLASS_UNKNOWN, REASON_OTHER},
    {554, "reply.554", CLASS_POLICY, REASON_POLICY},
    {556, "reply.556", CLASS_HARD, REASON_NULL_MX}, /* RFC 7504 */
};

static const struct code_row *find_row(int subject, int detail)
{
    const struct code_row *fallback = &code_rows[0];
    for (size_t i = 0; i < sizeof(code_rows) / sizeof(code_rows[0]); i++) {
        const struct code_row *row = &code_rows[i];
        if (row->subject != subject)
            continue;
        if (row->detail == detail)
            return row;
        if (row->detail == 0)
            fallback = row;
    }
    return fallback;
}

bool code_verdict(const struct status_code *code, struct verdict *ret_verdict)
{
    if (code->cls != 4 && code->cls != 5)
        return false;
    const struct code_row *row = find_row(code->subject, code->detail);
    const struct code_class *class = code->cls == 4 ? &row->persistent : &row->permanent;
    *ret_verdict = (struct verdict){class->bounce_class, class->reason, str_of(class->rule)};
    return true;
}

bool reply_verdict(int reply, struct verdict *ret_verdict)
{
    for (size_t i = 0; i < sizeof(reply_rows) / sizeof(reply_rows[0]); i++) {
        const struct reply_row *row = &reply_rows[i];
        if (row->reply != reply)
            continue;
        *ret_verdict = (struct verdict){row->bounce_class, row->reason, str_of(row->rule)};
        return true;
    }
    return false;
}
