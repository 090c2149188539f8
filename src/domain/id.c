#include "domain/id.h"

#include "base/hash.h"

/* UUIDv5 of the DNS namespace and the name "rimbalzo". */
static const unsigned char namespace[16] = {0x3a, 0x47, 0x0a, 0x40, 0x95, 0xa4, 0x5c, 0x48,
                                            0xb6, 0x54, 0x69, 0x8e, 0xf4, 0xc2, 0x17, 0xee};

#define DIGITS_MAX 20 /* of a signed 64-bit number */

/* Decimal digits of `number`, without a NUL; returns how many. */
static size_t decimal(int64_t number, char ret_text[DIGITS_MAX])
{
    char reversed[DIGITS_MAX];
    size_t len = 0, used = 0;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        reversed[used++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        ret_text[len++] = '-';
    while (used)
        ret_text[len++] = reversed[--used];
    return len;
}

static void add_str(struct sha1 *sha1, struct str text)
{
    char prefix[DIGITS_MAX + 1];
    size_t len = decimal((int64_t)text.len, prefix);
    prefix[len++] = ':';
    sha1_update(sha1, prefix, len);
    sha1_update(sha1, text.data, text.len);
    sha1_update(sha1, ",", 1);
}

static void add_number(struct sha1 *sha1, int64_t number)
{
    char text[DIGITS_MAX];
    size_t len = decimal(number, text);
    add_str(sha1, (struct str){text, len});
}

static void begin(struct sha1 *sha1, struct str kind, struct identity who)
{
    sha1_init(sha1);
    sha1_update(sha1, namespace, sizeof(namespace));
    add_str(sha1, kind);
    add_str(sha1, who.tenant);
    add_str(sha1, who.recipient);
}

/* RFC 9562 5.5: the first 128 bits of the digest, with version 5 and the variant set. */
static struct uuid_text finish(struct sha1 *sha1)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[SHA1_SIZE];
    struct uuid_text uuid;
    size_t len = 0;
    sha1_final(sha1, digest);
    digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x50);
    digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            uuid.text[len++] = '-';
        uuid.text[len++] = hex[digest[i] >> 4];
        uuid.text[len++] = hex[digest[i] & 0x0f];
    }
    return uuid;
}

struct uuid_text id_schedule(const struct schedule_id *parts)
{
    struct sha1 sha1;
    begin(&sha1, STR("command"), parts->who);
    add_number(&sha1, parts->episode);
    add_number(&sha1, parts->episode_opened_at_ms == TIME_NULL ? 0 : parts->episode_opened_at_ms);
    add_number(&sha1, parts->attempt);
    add_str(&sha1, parts->message_id);
    add_number(&sha1, parts->message_attempt);
    return finish(&sha1);
}

struct uuid_text id_output(const char *kind, struct identity who, int64_t episode, int64_t attempt,
                           struct str event_id)
{
    struct sha1 sha1;
    begin(&sha1, str_of(kind), who);
    add_number(&sha1, episode);
    add_number(&sha1, attempt);
    add_str(&sha1, event_id);
    return finish(&sha1);
}
