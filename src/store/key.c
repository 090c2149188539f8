#include "store/key.h"

#include "store/store.h"

/* At the last '@': a quoted local part may hold others. */
static bool split(struct str recipient, struct str *ret_local, struct str *ret_domain)
{
    const char *at = recipient.len ? memrchr(recipient.data, '@', recipient.len) : NULL;
    if (!at)
        return false;
    size_t local_len = (size_t)(at - recipient.data);
    *ret_local = (struct str){recipient.data, local_len};
    *ret_domain = (struct str){at + 1, recipient.len - local_len - 1};
    return true;
}

static bool part_valid(struct str part, size_t max)
{
    return part.len <= max && !(part.len && memchr(part.data, '\0', part.len));
}

static size_t append(char *key, size_t len, struct str part)
{
    if (part.len)
        memcpy(key + len, part.data, part.len);
    return len + part.len;
}

size_t store_key_encode(struct identity who, char ret_key[STORE_KEY_MAX])
{
    struct str local, domain;
    if (!split(who.recipient, &local, &domain) || !part_valid(who.tenant, TENANT_MAX) ||
        !part_valid(domain, DOMAIN_MAX) || !part_valid(local, LOCAL_PART_MAX))
        return 0;
    size_t len = append(ret_key, 0, who.tenant);
    ret_key[len++] = '\0';
    len = append(ret_key, len, domain);
    ret_key[len++] = '\0';
    return append(ret_key, len, local);
}

bool store_key_decode(struct str key, char ret_recipient[RECIPIENT_MAX], struct identity *ret_who)
{
    const char *end = key.data + key.len;
    const char *domain = key.len ? memchr(key.data, '\0', key.len) : NULL;
    if (!domain++)
        return false;
    const char *local = memchr(domain, '\0', (size_t)(end - domain));
    if (!local++)
        return false;
    size_t tenant_len = (size_t)(domain - key.data) - 1;
    size_t domain_len = (size_t)(local - domain) - 1, local_len = (size_t)(end - local);
    if (tenant_len > TENANT_MAX || domain_len > DOMAIN_MAX || local_len > LOCAL_PART_MAX)
        return false;
    size_t len = append(ret_recipient, 0, (struct str){local, local_len});
    ret_recipient[len++] = '@';
    len = append(ret_recipient, len, (struct str){domain, domain_len});
    *ret_who = (struct identity){{key.data, tenant_len}, {ret_recipient, len}};
    return true;
}

static int part_compare(struct str a, struct str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.data, b.data, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

int store_key_compare(struct identity a, struct identity b)
{
    struct str local_a = a.recipient, local_b = b.recipient, domain_a = STR_NULL,
               domain_b = STR_NULL;
    (void)split(a.recipient, &local_a, &domain_a);
    (void)split(b.recipient, &local_b, &domain_b);
    int order = part_compare(a.tenant, b.tenant);
    if (!order)
        order = part_compare(domain_a, domain_b);
    return order ? order : part_compare(local_a, local_b);
}
