#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_xxh3(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

uint64_t hash_record(struct str key, struct str value)
{
    /* One run over a copy is faster than the streaming interface, as long as the copy is small. */
    char copy[1024];
    if (key.len + value.len <= sizeof(copy)) {
        if (key.len)
            memcpy(copy, key.data, key.len);
        if (value.len)
            memcpy(copy + key.len, value.data, value.len);
        return XXH3_64bits(copy, key.len + value.len);
    }
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, key.data, key.len);
    XXH3_64bits_update(&state, value.data, value.len);
    return XXH3_64bits_digest(&state);
}

static uint32_t load_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* org.apache.kafka.common.utils.Utils.murmur2 */
uint32_t hash_murmur2(const void *data, size_t len)
{
    const unsigned char *p = data;
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)len;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t k = load_le32(p) * m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (len >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (len >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (len >= 1)
        h = (h ^ p[0]) * m;
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

int32_t hash_partition(struct str key, int32_t partition_count)
{
    return (int32_t)(hash_murmur2(key.data, key.len) & 0x7fffffff) % partition_count;
}

/* SHA-1, FIPS 180-4. Only for UUIDv5 (RFC 9562 5.5), where no secrecy is at stake. */
static uint32_t rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

/* Word `i` of the message schedule, which lives in a ring of 16. */
static inline uint32_t sha1_word(uint32_t w[16], int i)
{
    uint32_t word = w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15];
    return w[i & 15] = rotl(word, 1);
}

#define CHOOSE(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define PARITY(b, c, d) ((b) ^ (c) ^ (d))
#define MAJORITY(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))

/* One round; the roles of the five variables go round instead of their values. */
#define ROUND(a, b, c, d, e, f, k, word)                                                           \
    do {                                                                                           \
        (e) += rotl((a), 5) + f((b), (c), (d)) + (k) + (word);                                     \
        (b) = rotl((b), 30);                                                                       \
    } while (0)
#define FIVE_ROUNDS(f, k, word, i)                                                                 \
    do {                                                                                           \
        ROUND(a, b, c, d, e, f, k, word(i));                                                       \
        ROUND(e, a, b, c, d, f, k, word((i) + 1));                                                 \
        ROUND(d, e, a, b, c, f, k, word((i) + 2));                                                 \
        ROUND(c, d, e, a, b, f, k, word((i) + 3));                                                 \
        ROUND(b, c, d, e, a, f, k, word((i) + 4));                                                 \
    } while (0)
#define LOADED(i) w[i]
#define EXPANDED(i) sha1_word(w, i)

static void sha1_block(uint32_t state[5], const unsigned char *block)
{
    uint32_t w[16];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 0; i < 15; i += 5)
        FIVE_ROUNDS(CHOOSE, 0x5a827999, LOADED, i);
    ROUND(a, b, c, d, e, CHOOSE, 0x5a827999, LOADED(15));
    ROUND(e, a, b, c, d, CHOOSE, 0x5a827999, EXPANDED(16));
    ROUND(d, e, a, b, c, CHOOSE, 0x5a827999, EXPANDED(17));
    ROUND(c, d, e, a, b, CHOOSE, 0x5a827999, EXPANDED(18));
    ROUND(b, c, d, e, a, CHOOSE, 0x5a827999, EXPANDED(19));
    for (int i = 20; i < 40; i += 5)
        FIVE_ROUNDS(PARITY, 0x6ed9eba1, EXPANDED, i);
    for (int i = 40; i < 60; i += 5)
        FIVE_ROUNDS(MAJORITY, 0x8f1bbcdc, EXPANDED, i);
    for (int i = 60; i < 80; i += 5)
        FIVE_ROUNDS(PARITY, 0xca62c1d6, EXPANDED, i);
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_init(struct sha1 *sha1)
{
    *sha1 = (struct sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void sha1_update(struct sha1 *sha1, const void *data, size_t len)
{
    const unsigned char *p = data;
    size_t fill = sha1->length % 64;
    sha1->length += len;
    while (len) {
        size_t take = 64 - fill < len ? 64 - fill : len;
        memcpy(sha1->block + fill, p, take);
        p += take;
        len -= take;
        fill += take;
        if (fill == 64) {
            sha1_block(sha1->state, sha1->block);
            fill = 0;
        }
    }
}

void sha1_final(struct sha1 *sha1, unsigned char ret_digest[SHA1_SIZE])
{
    uint64_t bits = sha1->length * 8;
    static const unsigned char padding[64] = {0x80};
    size_t fill = sha1->length % 64;
    sha1_update(sha1, padding, fill < 56 ? 56 - fill : 120 - fill);
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha1_update(sha1, length, 8);
    for (int i = 0; i < SHA1_SIZE; i++)
        ret_digest[i] = (unsigned char)(sha1->state[i / 4] >> (24 - 8 * (i % 4)));
}

static void hmac_pass(const unsigned char key[64], unsigned char pad, struct str text,
                      unsigned char ret_digest[SHA1_SIZE])
{
    struct sha1 sha1;
    unsigned char padded[64];
    for (int i = 0; i < 64; i++)
        padded[i] = key[i] ^ pad;
    sha1_init(&sha1);
    sha1_update(&sha1, padded, sizeof(padded));
    sha1_update(&sha1, text.data, text.len);
    sha1_final(&sha1, ret_digest);
}

void hash_hmac_sha1(struct str key, struct str text, unsigned char ret_digest[SHA1_SIZE])
{
    unsigned char block[64] = {0}, inner[SHA1_SIZE];
    if (key.len > sizeof(block)) {
        struct sha1 sha1;
        sha1_init(&sha1);
        sha1_update(&sha1, key.data, key.len);
        sha1_final(&sha1, block);
    } else if (key.len) {
        memcpy(block, key.data, key.len);
    }
    hmac_pass(block, 0x36, text, inner);
    hmac_pass(block, 0x5c, (struct str){(const char *)inner, sizeof(inner)}, ret_digest);
}
