/* The text of a reply in the one form that rules are matched against; private to the classifier. */
#pragma once
#include "base/str.h"

#define RAW_MAX 16384       /* octets of a diagnostic that are looked at */
#define NORMALISED_MAX 4096 /* octets of its normalised form; the rest is left out */

/*
 * What the remote said, without what others put in front of it: "smtp;" (RFC 3464 2.3.6), "host
 * NAME[ADDRESS] said: ", "SMTP error from remote mail server after RCPT TO:<…>: host …: ", and
 * such. Trimmed; encodings undone (domain/encoded.h) into `scratch` if there are any.
 */
struct str reply_text(struct str diagnostic, char scratch[RAW_MAX]);

/*
 * Multi-line replies joined, their repeated "550-5.2.1 " prefixes removed (the first one stays),
 * white space folded to single blanks, letters folded (domain/letters.h), what varies replaced
 * (domain/reduce.h). The result is valid UTF-8. Returns its length.
 */
size_t reply_normalise(struct str text, char ret_text[NORMALISED_MAX]);
