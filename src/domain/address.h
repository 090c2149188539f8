/*
 * Canonical recipients (semantics §2): trimmed, split at the last '@', domain by UTS 46
 * non-transitional and IDNA 2008 to lower-case A-labels, A-Z of the local part lower-cased unless
 * preserved. RFC 5321 4.1.2 (syntax, a subset: see the rules below), 4.5.3.1 (sizes), RFC 5890
 * (A-labels), RFC 6531 (UTF-8).
 */
#pragma once
#include "base/err.h"
#include "domain/types.h"

/* Writes the canonical form (NUL-terminated) to `ret_text` and its length to `ret_len`.
 * E_INVALID_RECIPIENT with the reason as text. The common case (ASCII) allocates nothing. */
enum rcode address_canonical(struct str text, bool preserve_local_part,
                             char ret_text[RECIPIENT_MAX + 1], size_t *ret_len,
                             struct err *err) WARN_UNUSED;

bool tenant_valid(struct str tenant); /* [a-z0-9._-]{0,64} */

/* The Kafka key: `recipient`, or `tenant:recipient`. Returns its length (<= RECORD_KEY_MAX). */
size_t identity_key(struct identity who, char ret_key[RECORD_KEY_MAX]);

/* The inverse, for keys we wrote ourselves; false if `key` cannot be one. Spans point into `key`.
 */
bool identity_of_key(struct str key, struct identity *ret_who);

/* Domain part of a canonical recipient (after the last '@'). */
struct str recipient_domain(struct str recipient);
