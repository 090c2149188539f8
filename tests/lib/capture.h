/* What is logged meanwhile. */
#pragma once
#include "base/buf.h"

/* Log lines from now on, warnings and worse. */
void capture_begin(void);

/* Appends what was logged since, and logs as before. */
void capture_end(struct buf *out);
