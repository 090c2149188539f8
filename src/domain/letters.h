/* Letters in the one form that rules are written in; private to the classifier. */
#pragma once
#include "base/str.h"

struct letter {
    size_t used; /* octets of the text that it stands for, at least 1 */
    size_t len;  /* octets of its form; 0: it is left out */
    char octets[4];
};

/*
 * What stands at `at` (< text.len), folded: A-Z in lower case; Latin letters without their accents
 * (é and É are e, ß is ss, œ is oe); typographic quotes, dashes and blanks made plain; fullwidth
 * forms made ASCII; marks and what has no width left out. Octets that are no UTF-8 are taken for
 * Windows-1252, and UTF-8 that was taken for it and encoded again is put right. What is no letter
 * of this kind (other scripts) stays as it is; what cannot be read is "?". The form is valid UTF-8.
 */
struct letter letter_fold(struct str text, size_t at);
