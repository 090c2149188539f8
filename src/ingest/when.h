/* Times as texts. None of these reads a clock. */
#pragma once
#include "domain/types.h"

/* "2026-01-31T12:00:00.123+01:00" (RFC 3339; also without a zone, which is UTC, without seconds'
 * fraction, and with a blank for the T); TIME_NULL if it is none. */
int64_t when_rfc3339(struct str text);

/* "1521472262.908181": seconds since 1970, or milliseconds where seconds would lie beyond the year
 * 5138; TIME_NULL if it is no number. */
int64_t when_epoch(struct str text);
int64_t when_epoch_number(double number);
