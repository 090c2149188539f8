/* Hashes. XXH3-64 (seed 0) for state and digests, murmur2 for Kafka's default partitioner, SHA-1
 * for UUIDv5 and, keyed, for addresses in log lines. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

uint64_t hash_xxh3(const void *data, size_t len);

/* XXH3-64 over key octets then value octets: the contribution of one changelog record to a digest.
 */
uint64_t hash_record(struct str key, struct str value);

/* Java's Utils.murmur2 over the key, as an unsigned 32-bit number. */
uint32_t hash_murmur2(const void *data, size_t len);

/* Kafka's default partition of a key: (murmur2 & 0x7fffffff) mod count. */
int32_t hash_partition(struct str key, int32_t partition_count);

#define SHA1_SIZE 20
struct sha1 {
    uint32_t state[5];
    uint64_t length;
    unsigned char block[64];
};
void sha1_init(struct sha1 *sha1);
void sha1_update(struct sha1 *sha1, const void *data, size_t len);
void sha1_final(struct sha1 *sha1, unsigned char ret_digest[SHA1_SIZE]);

/* RFC 2104. */
void hash_hmac_sha1(struct str key, struct str text, unsigned char ret_digest[SHA1_SIZE]);
