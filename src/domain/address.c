#include "domain/address.h"

#include <idn2.h>

#include "base/utf8.h"

/*
 * The rules of a recipient, a subset of RFC 5321 4.1.2 that leaves every accepted address
 * deliverable:
 * - no blank (space, tab) and no ASCII control character anywhere, quoted or not; valid UTF-8
 * throughout;
 * - unquoted local parts hold none of @<>()[]\,;:" (dots are not judged: receivers are lenient);
 * - a quoted local part holds `"` and `\` only as `\"` and `\\`;
 * - labels are 1-63 octets of [a-z0-9_-] without a hyphen at either end; those with "xn--" are
 * valid A-labels (RFC 5890 2.3.2.1); no address literal, no final dot.
 */

#define LABEL_MAX 63
/* Octets of one label before IDNA: 63 code points of four octets, and as many that map to nothing.
 */
#define RAW_LABEL_MAX 512

static const char specials[] = "@<>()[]\\,;:\"";

static enum rcode reject(struct err *err, const char *why)
{
    return err_set(err, E_INVALID_RECIPIENT, "%s", why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Blanks and the control characters of Unicode (category Cc): C0, DEL, C1. */
static bool has_blank_or_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < text.len && ((unsigned char)text.data[i + 1] & 0xe0) == 0x80)
            return true;
    }
    return false;
}

static bool is_ascii(struct str text)
{
    unsigned char any = 0;
    for (size_t i = 0; i < text.len; i++)
        any |= (unsigned char)text.data[i];
    return any < 0x80;
}

static bool is_utf8(struct str text)
{
    for (size_t i = 0, len; i < text.len; i += len) {
        len = utf8_len(text, i);
        if (!len)
            return false;
    }
    return true;
}

static struct str trim(struct str text)
{
    while (text.len && is_blank(text.data[0]))
        text.data++, text.len--;
    while (text.len && is_blank(text.data[text.len - 1]))
        text.len--;
    if (text.len >= 2 && text.data[0] == '<' && text.data[text.len - 1] == '>')
        text.data++, text.len -= 2;
    return text;
}

/* `"…"` with `"` and `\` inside only as `\"` and `\\`. */
static bool is_quoted(struct str local)
{
    if (local.len < 2 || local.data[0] != '"' || local.data[local.len - 1] != '"')
        return false;
    size_t end = local.len - 1;
    for (size_t i = 1; i < end; i++) {
        if (local.data[i] == '"')
            return false;
        if (local.data[i] == '\\') {
            i++;
            if (i >= end || (local.data[i] != '"' && local.data[i] != '\\'))
                return false;
        }
    }
    return true;
}

static enum rcode check_local(struct str local, struct err *err)
{
    if (!is_quoted(local))
        for (size_t i = 0; i < local.len; i++)
            if (memchr(specials, local.data[i], sizeof(specials) - 1))
                return reject(err, "special character outside quotes");
    if (local.len > LOCAL_PART_MAX)
        return reject(err, "local part above 64 octets");
    return OK;
}

static bool is_label(struct str label)
{
    if (label.len < 1 || label.len > LABEL_MAX)
        return false;
    if (label.data[0] == '-' || label.data[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

static bool has_ace_prefix(struct str label)
{
    return label.len >= 4 && memcmp(label.data, "xn--", 4) == 0;
}

/*
 * UTS 46 non-transitional mapping, then IDNA 2008 lookup, of one label (which may already be an
 * A-label). Writes the lower-case result and its length; false if IDNA refuses it or it is too long
 * for a label.
 */
static bool idna_label(struct str label, char ret_label[LABEL_MAX + 1], size_t *ret_len)
{
    uint8_t raw[RAW_LABEL_MAX + 1];
    uint8_t *mapped = NULL;
    if (label.len > RAW_LABEL_MAX)
        return false;
    memcpy(raw, label.data, label.len);
    raw[label.len] = '\0';
    if (idn2_lookup_u8(raw, &mapped, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
        return false;
    size_t len = strlen((char *)mapped);
    bool fits = len <= LABEL_MAX;
    if (fits) {
        for (size_t i = 0; i < len; i++)
            ret_label[i] = ascii_lower((char)mapped[i]);
        *ret_len = len;
    }
    idn2_free(mapped);
    return fits;
}

/*
 * Valid as IDNA 2008 has it for registration (RFC 5891 4.2): decodes, encodes to the same octets,
 * and passes every rule of context, which lookup leaves out.
 */
static bool is_a_label(const char *label)
{
    uint8_t *registered = NULL;
    if (idn2_register_u8(NULL, (const uint8_t *)label, &registered, 0) != IDN2_OK)
        return false;
    bool same = strcmp((char *)registered, label) == 0;
    idn2_free(registered);
    return same;
}

/* Octets of the full stop at the start of `text`: "." or what UTS 46 maps to it (U+3002, U+FF0E,
 * U+FF61); 0: none. */
static size_t dot_at(struct str text)
{
    if (text.len >= 1 && text.data[0] == '.')
        return 1;
    if (text.len >= 3 &&
        (memcmp(text.data, "\xe3\x80\x82", 3) == 0 || memcmp(text.data, "\xef\xbc\x8e", 3) == 0 ||
         memcmp(text.data, "\xef\xbd\xa1", 3) == 0))
        return 3;
    return 0;
}

/* Writes one label in canonical form to `ret_label`. */
static enum rcode add_label(struct str label, char ret_label[LABEL_MAX + 1], size_t *ret_len,
                            struct err *err)
{
    if (label.len == 0)
        return reject(err, "domain label");
    if (is_ascii(label)) {
        if (label.len > LABEL_MAX)
            return reject(err, "domain label");
        for (size_t i = 0; i < label.len; i++)
            ret_label[i] = ascii_lower(label.data[i]);
        *ret_len = label.len;
    } else if (!idna_label(label, ret_label, ret_len)) {
        return reject(err, "domain label");
    }
    struct str canonical = {ret_label, *ret_len};
    if (!is_label(canonical))
        return reject(err, "domain label");
    ret_label[*ret_len] = '\0';
    if (has_ace_prefix(canonical) && !is_a_label(ret_label))
        return reject(err, "domain label");
    return OK;
}

/* Writes the canonical domain to `ret_domain`, which has room for DOMAIN_MAX octets. */
static enum rcode add_domain(struct str domain, char *ret_domain, size_t *ret_len, struct err *err)
{
    size_t used = 0, start = 0;
    for (size_t i = 0; i <= domain.len;) {
        size_t dot = dot_at((struct str){domain.data + i, domain.len - i});
        if (i < domain.len && !dot) {
            i++;
            continue;
        }
        char label[LABEL_MAX + 1];
        size_t len = 0;
        enum rcode rc = add_label((struct str){domain.data + start, i - start}, label, &len, err);
        if (rc != OK)
            return rc;
        if (used + len + (used > 0) > DOMAIN_MAX)
            return reject(err, "domain above 255 octets");
        if (used)
            ret_domain[used++] = '.';
        memcpy(ret_domain + used, label, len);
        used += len;
        if (i == domain.len)
            break;
        i += dot;
        start = i;
    }
    *ret_len = used;
    return OK;
}

enum rcode address_canonical(struct str text, bool preserve_local_part,
                             char ret_text[RECIPIENT_MAX + 1], size_t *ret_len, struct err *err)
{
    text = trim(text);
    if (has_blank_or_control(text))
        return reject(err, "blank or control character");
    const char *at = text.data ? memrchr(text.data, '@', text.len) : NULL;
    if (!at || at == text.data || at == text.data + text.len - 1)
        return reject(err, "no local part or no domain");
    if (!is_ascii(text) && !is_utf8(text))
        return reject(err, "broken UTF-8");
    struct str local = {text.data, (size_t)(at - text.data)};
    struct str domain = {at + 1, text.len - local.len - 1};
    enum rcode rc = check_local(local, err);
    if (rc != OK)
        return rc;
    char canonical[DOMAIN_MAX];
    size_t domain_len = 0;
    rc = add_domain(domain, canonical, &domain_len, err);
    if (rc != OK)
        return rc;
    for (size_t i = 0; i < local.len; i++)
        ret_text[i] = preserve_local_part ? local.data[i] : ascii_lower(local.data[i]);
    ret_text[local.len] = '@';
    memcpy(ret_text + local.len + 1, canonical, domain_len);
    *ret_len = local.len + 1 + domain_len;
    ret_text[*ret_len] = '\0';
    return OK;
}

struct str recipient_domain(struct str recipient)
{
    const char *at = recipient.data ? memrchr(recipient.data, '@', recipient.len) : NULL;
    if (!at)
        return (struct str){"", 0};
    return (struct str){at + 1, (size_t)(recipient.data + recipient.len - at - 1)};
}
