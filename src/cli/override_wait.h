/* Waits until worker and dispatcher have come past what was written for some recipients. */
#pragma once
#include "cli/deployment.h"
#include "domain/types.h"

struct override_wait;

/* `dispatcher`: wait for it as well, once the worker is done. The deployment must outlive it. */
enum rcode override_wait_open(const struct deployment *deployment, bool dispatcher,
                              struct override_wait **ret_wait, struct err *err) WARN_UNUSED;
void override_wait_close(struct override_wait *wait); /* NULL is allowed */

void override_wait_note(struct override_wait *wait, struct identity who);

/* After all is written. E_TIMEOUT: who is not there yet, and how far it has come. */
enum rcode override_wait_done(struct override_wait *wait, int64_t timeout_ms,
                              struct err *err) WARN_UNUSED;
