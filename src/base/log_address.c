#include "base/log_address.h"

#include "base/hash.h"

#define HASH_OCTETS 8

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

static bool is_local(char c)
{
    return is_word(c) || (c != '\0' && strchr(".!#$%&'*+/=?^_`{|}~-", c));
}

static bool is_domain(char c)
{
    return is_word(c) || c == '.' || c == '-' || c == '_';
}

void log_address_append(const struct log_addresses *addresses, struct str address, struct buf *out)
{
    unsigned char digest[SHA1_SIZE];
    struct buf lower;
    if (addresses->shown) {
        buf_str(out, address);
        return;
    }
    if (!addresses->key_len) {
        buf_str(out, STR("hash:hidden"));
        return;
    }
    buf_init(&lower);
    buf_str(&lower, address);
    for (size_t i = 0; i < lower.len; i++)
        if (lower.data[i] >= 'A' && lower.data[i] <= 'Z')
            lower.data[i] = (char)(lower.data[i] + 'a' - 'A');
    hash_hmac_sha1((struct str){addresses->key, addresses->key_len}, buf_view(&lower), digest);
    buf_deinit(&lower);
    buf_str(out, STR("hash:"));
    for (int i = 0; i < HASH_OCTETS; i++)
        buf_printf(out, "%02x", digest[i]);
}

/* Where the address around the `@` at `at` begins; `at` if there is no local part. A quoted one
 * reaches to the quote before it. */
static size_t address_begin(struct str text, size_t from, size_t at)
{
    size_t begin = at;
    if (at > from + 1 && text.data[at - 1] == '"')
        for (begin = at - 1; begin > from;)
            if (text.data[--begin] == '"')
                return begin;
    for (begin = at; begin > from && is_local(text.data[begin - 1]);)
        begin--;
    return begin;
}

/* Where it ends; at + 1 if there is no domain. */
static size_t address_end(struct str text, size_t at)
{
    size_t end = at + 1;
    if (end < text.len && text.data[end] == '[') {
        const char *close = memchr(text.data + end, ']', text.len - end);
        return close ? (size_t)(close - text.data) + 1 : text.len;
    }
    while (end < text.len && is_domain(text.data[end]))
        end++;
    while (end > at + 1 && text.data[end - 1] == '.') /* of a sentence */
        end--;
    return end;
}

/* Where an `@` follows at once, or after a quote; 0: none does. */
static size_t sign_after(struct str text, size_t end)
{
    if (end < text.len && text.data[end] == '@')
        return end;
    return end + 1 < text.len && text.data[end] == '"' && text.data[end + 1] == '@' ? end + 1 : 0;
}

/* The first one at or after `from`. */
static bool address_next(struct str text, size_t from, size_t *ret_begin, size_t *ret_end)
{
    for (size_t search = from; search < text.len;) {
        const char *sign = memchr(text.data + search, '@', text.len - search);
        if (!sign)
            return false;
        size_t at = (size_t)(sign - text.data);
        size_t begin = address_begin(text, from, at), end = address_end(text, at);
        if (begin < at && end > at + 1) {
            /* Of a second `@`, the first may stand in a quoted local part. */
            for (size_t next; (next = sign_after(text, end)) != 0;)
                end = address_end(text, next);
            *ret_begin = begin;
            *ret_end = end;
            return true;
        }
        search = at + 1;
    }
    return false;
}

bool log_address_within(struct str text)
{
    size_t begin, end;
    return address_next(text, 0, &begin, &end);
}

void log_address_mask(const struct log_addresses *addresses, struct str text, struct buf *out)
{
    size_t from = 0, begin, end;
    while (address_next(text, from, &begin, &end)) {
        buf_append(out, text.data + from, begin - from);
        log_address_append(addresses, (struct str){text.data + begin, end - begin}, out);
        from = end;
    }
    buf_append(out, text.data + from, text.len - from);
}
