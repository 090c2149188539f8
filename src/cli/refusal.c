#include "cli/refusal.h"

const struct refusal_text refusal_texts[REFUSAL_COUNT] = {
    [REFUSAL_DISABLED] = {"4.2.1",
                          "450 4.2.1 The email account that you tried to reach is temporarily "
                          "disabled",
                          450, CLASS_SOFT, REASON_MAILBOX_DISABLED},
    [REFUSAL_FULL] = {"4.2.2", "452 4.2.2 The recipient's mailbox is over quota", 452, CLASS_SOFT,
                      REASON_MAILBOX_FULL},
    [REFUSAL_GONE] = {"5.1.1", "550 5.1.1 User unknown in virtual mailbox table", 550, CLASS_HARD,
                      REASON_USER_UNKNOWN},
    [REFUSAL_OUTAGE] = {"4.4.2", "connect to mx: Connection timed out", 421, CLASS_TRANSIENT,
                        REASON_NETWORK},
    [REFUSAL_RATE] = {"4.7.28",
                      "421 4.7.28 Our system has detected an unusual rate of unsolicited mail", 421,
                      CLASS_TRANSIENT, REASON_RATE_LIMITED},
    [REFUSAL_POLICY] = {"5.7.1", "550 5.7.1 Message rejected due to content restrictions", 550,
                        CLASS_POLICY, REASON_CONTENT},
};

void refusal_fill(enum refusal refusal, struct input_record *record)
{
    const struct refusal_text *text = &refusal_texts[refusal];
    record->kind = RECORD_BOUNCE;
    record->status = str_of(text->status);
    record->diagnostic = str_of(text->diagnostic);
    record->reply_code = text->reply_code;
    record->stage = STR("rcpt");
}
