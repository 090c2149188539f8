/* Default verdicts of enhanced codes and reply codes (src/domain/semantics.md §3);
 * private to the classifier. */
#pragma once
#include "domain/classify.h"

/* RFC 3463, RFC 3886, RFC 5248 and what IANA registered since. An unregistered detail falls back to
 * X.subject.0, an unregistered subject to X.0.0. False for 2.x.x. The rule is of static life. */
bool code_verdict(const struct status_code *code, struct verdict *ret_verdict);

/* RFC 5321 4.2.3; false for a code without a meaning of its own. */
bool reply_verdict(int reply, struct verdict *ret_verdict);
