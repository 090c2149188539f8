/* The text of a reply in the one form that rules are matched against; private to the classifier. */
#pragma once
#include "base/str.h"

#define NORMALISED_MAX 4096 /* octets; what is beyond is not looked at */

/* Without what others put in front of a reply: "smtp;" (RFC 3464 2.3.6), "host NAME[ADDRESS] said:
 * "; trimmed. */
struct str reply_text(struct str diagnostic);

/*
 * Multi-line replies joined, their repeated "550-5.2.1 " prefixes removed (the first one stays),
 * white space folded to single spaces, A-Z in lower case, typographic apostrophes made plain,
 * broken UTF-8 replaced by U+FFFD. The result is valid UTF-8. Returns its length.
 */
size_t reply_normalise(struct str text, char ret_text[NORMALISED_MAX]);
