/* What the mail servers of `produce-sample` say when they refuse a message, and the class and
 * reason that it gets. */
#pragma once
#include "codec/record.h"

enum refusal {
    REFUSAL_DISABLED,
    REFUSAL_FULL,
    REFUSAL_GONE,
    REFUSAL_OUTAGE,
    REFUSAL_RATE,
    REFUSAL_POLICY,
    REFUSAL_COUNT
};

struct refusal_text {
    const char *status, *diagnostic;
    int32_t reply_code;
    enum bounce_class bounce_class;
    enum reason reason;
};

extern const struct refusal_text refusal_texts[REFUSAL_COUNT];

/* Makes the record a bounce. */
void refusal_fill(enum refusal refusal, struct input_record *record);
