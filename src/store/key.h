/*
 * Keys of entries: tenant NUL domain NUL local, so that a tenant and a domain are ranges. Canonical
 * parts hold no NUL (domain/address.h), hence octet order of keys is the order of (tenant, domain,
 * local).
 */
#pragma once
#include "domain/types.h"

#define STORE_KEY_MAX (TENANT_MAX + 1 + DOMAIN_MAX + 1 + LOCAL_PART_MAX)

/* Returns the length, or 0 when `who` is not canonical (no '@', a NUL, a part too long). */
size_t store_key_encode(struct identity who, char ret_key[STORE_KEY_MAX]);

/* The inverse. The tenant points into `key`, the recipient into `ret_recipient`. False: not such a
 * key. */
bool store_key_decode(struct str key, char ret_recipient[RECIPIENT_MAX], struct identity *ret_who);
