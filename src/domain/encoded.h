/* Encodings that were meant for the mail and not for its text; private to the classifier. */
#pragma once
#include "base/str.h"

/*
 * Undoes what gateways leave encoded in a reply: MIME encoded words (RFC 2047) in the charsets that
 * letters.h reads, and quoted-printable leftovers: soft line breaks, "=E9", "=3D", "=20" at the end
 * of a word. Other text is copied. `ret_text` takes text.len octets; returns how many it got.
 */
size_t encoded_undo(struct str text, char *ret_text);
