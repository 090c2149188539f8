/*
 * Addresses from anywhere: what is accepted is within its bounds, canonical already when it is read
 * again, and has a key that leads back to it; what is not has a reason.
 */
#include <assert.h>
#include <stdlib.h>

#include "domain/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(struct str tenant, struct str recipient)
{
    char key[RECORD_KEY_MAX];
    struct identity who = {tenant, recipient}, again;
    size_t len = identity_key(who, key);
    assert(len <= RECORD_KEY_MAX);
    assert(identity_of_key((struct str){key, len}, &again));
    assert(str_equal(again.tenant, tenant) && str_equal(again.recipient, recipient));
}

static void check(struct str text, bool preserve_local_part)
{
    char canonical[RECIPIENT_MAX + 1], again[RECIPIENT_MAX + 1];
    size_t len, again_len;
    struct err err = {0};
    if (address_canonical(text, preserve_local_part, canonical, &len, &err) != OK) {
        assert(err.code == E_INVALID_RECIPIENT && err.text[0]);
        return;
    }
    struct str recipient = {canonical, len};
    assert(len <= RECIPIENT_MAX && canonical[len] == '\0' && strlen(canonical) == len);
    assert(address_canonical(recipient, preserve_local_part, again, &again_len, &err) == OK);
    assert(str_equal(recipient, (struct str){again, again_len}));
    struct str domain = recipient_domain(recipient);
    assert(domain.len > 0 && domain.len < len);
    for (size_t i = 0; i < domain.len; i++)
        assert((domain.data[i] >= 'a' && domain.data[i] <= 'z') ||
               (domain.data[i] >= '0' && domain.data[i] <= '9') ||
               memchr("-_.", domain.data[i], 3));
    check_key(STR(""), recipient);
    check_key(STR("tenant-1"), recipient);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct identity who;
    check(text, false);
    check(text, true);
    if (identity_of_key(text, &who)) {
        assert(who.tenant.len + who.recipient.len <= size);
        (void)tenant_valid(who.tenant);
    }
    return 0;
}
