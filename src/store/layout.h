/*
 * What the octets of data.mdb mean. Two named databases:
 *     "meta"     "identity" -> {STORE_FORMAT, identity text},  "positions" -> struct
 * positions_record "entries"  key (store/key.h) -> struct entry_header, then the framed Avro record
 * Numbers are little-endian. A change of any of this needs another version, which discards old
 * state: it is rebuilt from the changelog.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define STORE_FORMAT 2
#define ENTRY_VERSION 2
#define POSITIONS_VERSION 2

struct entry_header {
    unsigned char version;
    unsigned char kind;
    unsigned char hash[8]; /* hash_record(kafka key, value) */
};
_Static_assert(sizeof(struct entry_header) == 10, "layout of data.mdb");
_Static_assert(offsetof(struct entry_header, hash) == 2, "layout of data.mdb");

struct positions_record {
    unsigned char version;
    unsigned char reserved[7]; /* zero */
    unsigned char sequence[8];
    unsigned char entries[8];
    unsigned char digest[8];
    unsigned char input_next[8];
    unsigned char changelog_next[8];
    unsigned char stream_time_ms[8];
    unsigned char used_ms[8]; /* wall clock of the last commit or clean close */
    unsigned char kinds[STORE_KINDS][8];
    unsigned char checksum[8]; /* XXH3-64 over all octets before it */
};
_Static_assert(STORE_KINDS == 48, "layout of data.mdb");
_Static_assert(sizeof(struct positions_record) == 456, "layout of data.mdb");
_Static_assert(offsetof(struct positions_record, sequence) == 8, "layout of data.mdb");
_Static_assert(offsetof(struct positions_record, input_next) == 32, "layout of data.mdb");
_Static_assert(offsetof(struct positions_record, used_ms) == 56, "layout of data.mdb");
_Static_assert(offsetof(struct positions_record, kinds) == 64, "layout of data.mdb");
_Static_assert(offsetof(struct positions_record, checksum) == 448, "layout of data.mdb");

static inline void put_le64(unsigned char ret_octets[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        ret_octets[i] = (unsigned char)(number >> (8 * i));
}

static inline uint64_t get_le64(const unsigned char octets[8])
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number |= (uint64_t)octets[i] << (8 * i);
    return number;
}

void positions_encode(const struct store_meta *meta, int64_t used_ms,
                      struct positions_record *ret_record);

/* False when size, version or checksum are wrong. */
bool positions_decode(const void *data, size_t size, struct store_meta *ret_meta,
                      int64_t *ret_used_ms);
