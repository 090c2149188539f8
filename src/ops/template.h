/*
 * Fills a text with values of a JSON object, for pages. Everything that is put in is escaped for
 * HTML text and double-quoted attributes.
 *
 *     {{name}}           the value; null, or no such member: "unknown". Looked up from the
 * innermost section outwards; a.b is a member of a member; . the element itself
 *     {{name|form}}      the value in a form: number 12,345; rate 12.3; seconds "4 min"; percent
 *                        "42.3 %" and width "42.30%" of a share of 1; lower, in small letters
 *     {{#name}}…{{/name}}   for each element of an array; once within an object; once if the value
 * is neither absent, null, false, 0, "" nor empty
 *     {{^name}}…{{/name}}   if it is one of these
 */
#pragma once
#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* E_BUG: the text is not of this form; what was appended until then is cut off. */
enum rcode template_fill(struct str text, json_t *values, struct buf *out,
                         struct err *err) WARN_UNUSED;
