/*
 * What the octets of a store of timers mean (store/timers.h). Keys are big-endian; numbers in
 * values are little-endian. A change of any of this needs another STORE_FORMAT (store/layout.h).
 */
#pragma once
#include "base/buf.h"
#include "store/internal.h"
#include "store/timers.h"

enum { TIMERS, DUE, RECIPIENTS, RELEASED }; /* indexes of store.dbis and store.cursors */

#define TIMER_VERSION 1
#define OFFSET_KEY_SIZE 8
#define PLACE_KEY_SIZE 16
#define CLAIM_KEY_MAX (TENANT_MAX + 1 + RECIPIENT_MAX + 1 + TIMER_ID_SIZE + OFFSET_KEY_SIZE)
_Static_assert(CLAIM_KEY_MAX <= 511, "LMDB's limit");

/* In front of tenant, address, key (unless it is the recipient's), value and headers. */
struct timer_header {
    unsigned char version;
    unsigned char state;
    unsigned char log_time_ms[8];
    unsigned char until_due_ms[8];
    unsigned char until_offset[8];
    unsigned char hash[8];  /* over the offset and all octets from due_ms on: what is digested */
    unsigned char check[8]; /* over all octets before it */
    unsigned char due_ms[8];
    unsigned char id[TIMER_ID_SIZE];
    unsigned char key_kind; /* enum timer_key_kind */
    unsigned char tenant_len;
    unsigned char recipient_len[2];
    unsigned char key_len[4];
    unsigned char value_len[4];
};
_Static_assert(sizeof(struct timer_header) == 78, "layout of data.mdb");
_Static_assert(offsetof(struct timer_header, due_ms) == 42, "layout of data.mdb");

enum timer_key_kind {
    TIMER_KEY_NULL,
    TIMER_KEY_OF_RECIPIENT, /* domain/address.h identity_key(): not stored twice */
    TIMER_KEY_OTHER,
};

struct claim_value {
    unsigned char due_ms[8];
    unsigned char state;
    unsigned char check[4]; /* over the key and all octets before it */
};
_Static_assert(sizeof(struct claim_value) == 13, "layout of data.mdb");

static inline void put_be64(unsigned char ret_octets[8], int64_t number)
{
    for (int i = 0; i < 8; i++)
        ret_octets[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
}

static inline int64_t get_be64(const unsigned char octets[8])
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | octets[i];
    return (int64_t)number;
}

static inline void place_key(struct timer_place place, unsigned char ret_key[PLACE_KEY_SIZE])
{
    put_be64(ret_key, place.due_ms);
    put_be64(ret_key + 8, place.offset);
}

/* Appends the value of a timer. */
void timer_encode(const struct timer *timer, struct buf *out);

/* Spans into `data`, except a key that is the recipient's, which is written to `key_text`. False:
 * damaged. `ret_hash`: the contribution to the digest. */
bool timer_decode(int64_t offset, MDB_val data, char key_text[RECORD_KEY_MAX],
                  struct timer *ret_timer, uint64_t *ret_hash);

/* The same of two fields alone, without reading the record. */
bool timer_peek(MDB_val data, int64_t *ret_log_time_ms, enum timer_state *ret_state);

/* The prefix of all of a recipient's keys in `recipients`; 0: not a recipient we can keep. */
size_t claim_prefix(struct identity who, unsigned char ret_key[CLAIM_KEY_MAX]);
/* The whole key: behind the prefix id and offset. */
size_t claim_key(size_t prefix_len, const struct timer_id *id, int64_t offset,
                 unsigned char inout_key[CLAIM_KEY_MAX]);

void claim_encode(MDB_val key, int64_t due_ms, enum timer_state state,
                  struct claim_value *ret_value);
/* False: damaged. */
bool claim_decode(MDB_val key, MDB_val data, struct timer_place *ret_place,
                  enum timer_state *ret_state);
