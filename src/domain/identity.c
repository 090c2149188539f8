/* Tenants and the Kafka keys of recipients (semantics §2). */
#include "domain/address.h"

bool tenant_valid(struct str tenant)
{
    if (!tenant.data || tenant.len > TENANT_MAX)
        return false;
    for (size_t i = 0; i < tenant.len; i++) {
        char c = tenant.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

size_t identity_key(struct identity who, char ret_key[RECORD_KEY_MAX])
{
    size_t len = 0;
    if (who.tenant.len) {
        memcpy(ret_key, who.tenant.data, who.tenant.len);
        len = who.tenant.len;
        ret_key[len++] = ':';
    }
    memcpy(ret_key + len, who.recipient.data, who.recipient.len);
    return len + who.recipient.len;
}

bool identity_of_key(struct str key, struct identity *ret_who)
{
    struct str tenant = {"", 0}, recipient = key;
    if (!key.len)
        return false;
    /* A colon within quotes belongs to the local part; a tenant holds no quote. */
    const char *colon = memchr(key.data, ':', key.len);
    const char *quote = memchr(key.data, '"', key.len);
    if (colon && (!quote || colon < quote)) {
        tenant = (struct str){key.data, (size_t)(colon - key.data)};
        recipient = (struct str){colon + 1, key.len - tenant.len - 1};
        if (!tenant.len || !tenant_valid(tenant) || !recipient.len)
            return false;
    }
    const char *at = recipient.data ? memrchr(recipient.data, '@', recipient.len) : NULL;
    if (!at || at == recipient.data || at == recipient.data + recipient.len - 1)
        return false;
    size_t local_len = (size_t)(at - recipient.data);
    if (local_len > LOCAL_PART_MAX || recipient.len - local_len - 1 > DOMAIN_MAX)
        return false;
    if (recipient.data[0] != '"' && memchr(recipient.data, ':', recipient.len))
        return false;
    *ret_who = (struct identity){tenant, recipient};
    return true;
}
