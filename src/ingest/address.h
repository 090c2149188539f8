/* Addresses that stand somewhere in a text. */
#pragma once
#include "base/str.h"

/* The first address in `text`: "local@domain", also in angle brackets or behind "mailto:". False if
 * there is none; `ret_begin` and `ret_end`: the octets it takes, brackets included. */
bool address_in_text(struct str text, struct str *ret_address, size_t *ret_begin, size_t *ret_end);
