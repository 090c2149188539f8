/*
 * Avro's binary encoding, octet by octet, within bounds. Nothing here allocates or believes a
 * length: every read returns false at the end of the octets, leaving `next` anywhere.
 *
 * As Avro asks, a string is UTF-8. Stricter than it asks: a varint has at most 10 octets and fits
 * 64 bits; a boolean is 0 or 1; a block that gives its size in octets has exactly that size.
 */
#pragma once
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define WIRE_LONG_MAX 10 /* octets of the longest varint */

struct wire {
    const unsigned char *next, *end;
};

static inline size_t wire_left(const struct wire *in)
{
    return (size_t)(in->end - in->next);
}

/* Eight groups of seven bits, the lowest octet first, to 56 bits. */
static inline uint64_t wire_groups(uint64_t word)
{
    word &= 0x7f7f7f7f7f7f7f7fULL;
    word = (word & 0x007f007f007f007fULL) | (word & 0x7f007f007f007f00ULL) >> 1;
    word = (word & 0x00003fff00003fffULL) | (word & 0x3fff00003fff0000ULL) >> 2;
    return (word & 0x000000000fffffffULL) | (word & 0x0fffffff00000000ULL) >> 4;
}

/* The zigzag bits of a varint, octet by octet. */
static inline bool wire_bits_slow(struct wire *in, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64 && in->next < in->end; shift += 7) {
        unsigned char octet = *in->next++;
        if (shift == 63 && octet > 1)
            return false;
        bits |= (uint64_t)(octet & 0x7f) << shift;
        if (octet < 0x80) {
            *ret_bits = bits;
            return true;
        }
    }
    return false;
}

/* The same, eight octets at once where there are ten: hashes and times are long. */
static inline bool wire_bits(struct wire *in, uint64_t *ret_bits)
{
    uint64_t word;
    if (wire_left(in) < WIRE_LONG_MAX)
        return wire_bits_slow(in, ret_bits);
    memcpy(&word, in->next, sizeof(word));
    word = le64toh(word);
    uint64_t last = ~word & 0x8080808080808080ULL; /* octets that end a varint */
    if (last) {
        *ret_bits = wire_groups(word & (last ^ (last - 1)));
        in->next += __builtin_ctzll(last) / 8 + 1;
        return true;
    }
    uint64_t ninth = in->next[8], tenth = in->next[9];
    *ret_bits = wire_groups(word) | (ninth & 0x7f) << 56;
    in->next += 9;
    if (ninth < 0x80)
        return true;
    in->next++;
    *ret_bits |= tenth << 63;
    return tenth <= 1;
}

static inline bool wire_long(struct wire *in, int64_t *ret_value)
{
    if (in->next < in->end && *in->next < 0x80) {
        unsigned octet = *in->next++;
        *ret_value = (int64_t)(octet >> 1) ^ -(int64_t)(octet & 1);
        return true;
    }
    uint64_t bits;
    if (!wire_bits(in, &bits))
        return false;
    *ret_value = (int64_t)((bits >> 1) ^ (0 - (bits & 1)));
    return true;
}

static inline bool wire_int(struct wire *in, int32_t *ret_value)
{
    int64_t value;
    if (!wire_long(in, &value) || value < INT32_MIN || value > INT32_MAX)
        return false;
    *ret_value = (int32_t)value;
    return true;
}

/* Index of a branch or symbol, below `count`. */
static inline bool wire_index(struct wire *in, uint32_t count, uint32_t *ret_index)
{
    int64_t value;
    if (!wire_long(in, &value) || value < 0 || value >= (int64_t)count)
        return false;
    *ret_index = (uint32_t)value;
    return true;
}

static inline bool wire_skip(struct wire *in, size_t len)
{
    if (len > wire_left(in))
        return false;
    in->next += len;
    return true;
}

/* Bytes, or a string taken as such; the span points into the octets. */
static inline bool wire_str(struct wire *in, struct str *ret_text)
{
    int64_t len;
    if (!wire_long(in, &len) || len < 0 || (uint64_t)len > wire_left(in))
        return false;
    *ret_text = (struct str){(const char *)in->next, (size_t)len};
    in->next += len;
    return true;
}

static inline bool wire_is_utf8(struct str text)
{
    size_t i = 0, len = 1;
    for (uint64_t word; text.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, text.data + i, sizeof(word));
        if (word & 0x8080808080808080ULL)
            break;
    }
    for (; i < text.len && len > 0; i += len)
        len = utf8_len(text, i);
    return len > 0;
}

/* A string: bytes that are UTF-8. */
static inline bool wire_text(struct wire *in, struct str *ret_text)
{
    return wire_str(in, ret_text) && wire_is_utf8(*ret_text);
}

/* Head of a block of an array or map: 0 items end it. `ret_end`: where the block must end, or NULL.
 */
static inline bool wire_block(struct wire *in, uint64_t *ret_items, const unsigned char **ret_end)
{
    int64_t count, size;
    *ret_end = NULL;
    if (!wire_long(in, &count) || count == INT64_MIN)
        return false;
    if (count < 0) {
        if (!wire_long(in, &size) || size < 0 || (uint64_t)size > wire_left(in))
            return false;
        *ret_end = in->next + size;
        count = -count;
    }
    *ret_items = (uint64_t)count;
    return true;
}

static inline unsigned char *wire_put_long(unsigned char *out, int64_t value)
{
    uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (bits >= 0x80) {
        *out++ = (unsigned char)(bits | 0x80);
        bits >>= 7;
    }
    *out++ = (unsigned char)bits;
    return out;
}

static inline unsigned char *wire_put_str(unsigned char *out, struct str text)
{
    out = wire_put_long(out, (int64_t)text.len);
    if (text.len)
        memcpy(out, text.data, text.len);
    return out + text.len;
}
