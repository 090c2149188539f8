/*
 * Addresses in log lines: hidden unless the operator wants them. What stands for one is
 * `hash:` and the first 8 octets of HMAC-SHA-1 over the address in lower case (A-Z), in
 * hexadecimal: the same address gives the same hash as long as the key is the same, and without the
 * key nobody can try addresses. `rimbalzo log-hash ADDRESS` tells what to look for, and so does
 * `printf %s ADDRESS | openssl dgst -sha1 -hmac KEY`.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define LOG_ADDRESS_KEY_MAX 256 /* octets */

/* How they are shown. Zero-initialised: `hash:hidden` for each, for there is no key. */
struct log_addresses {
    bool shown; /* as they are */
    char key[LOG_ADDRESS_KEY_MAX];
    size_t key_len;
};

/* Appends what stands for `address`, the whole of it, whether it looks like one or not. */
void log_address_append(const struct log_addresses *addresses, struct str address, struct buf *out);

/* True if something in the text looks like an address (`local@domain`). */
bool log_address_within(struct str text);

/* Appends the text, with every address in it replaced. */
void log_address_mask(const struct log_addresses *addresses, struct str text, struct buf *out);
