/* The text of an HTML document, for reports that have no other: tags become blanks or line ends,
 * scripts and styles vanish, the common entities are resolved. */
#pragma once
#include "base/arena.h"

struct str html_text(struct arena *arena, struct str html);
