/* SES's notifications also come by mail: SNS sends them to subscribers of the protocol "email". */
#pragma once
#include "ingest/ingest_internal.h"

/* The adapter's reader, for a mail's body. */
void ses_read(struct ingest *ingest, const json_t *value);
