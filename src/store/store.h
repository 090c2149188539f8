/*
 * One input partition's recipients in one LMDB environment under
 * `<state_dir>/<topic>-<partition>/`.
 *
 * Entries map an ordered key (tenant NUL domain NUL local, store/key.h) to the recipient's
 * changelog record: its Avro octets as published, prefixed by {version byte, XXH3-64 over the
 * record's Kafka key and value octets}. That hash is checksum and contribution to the digest at
 * once: digest = XOR of hash_record(kafka key, value) over all entries.
 *
 * With each entry goes its kind, a small number of the caller's (the worker's is status and
 * attempt). How many entries there are of each is kept as exactly as the digest: with every change,
 * committed with it.
 *
 * A write transaction stays open from staging until the log's transaction has committed; then it is
 * committed together with the meta record {input_next, changelog_next, stream_time, entries,
 * digest, sequence}. So the store can be behind the log and never ahead of it. One thread uses one
 * store; a process may have many. Other processes cannot read the environment beside its owner (no
 * reader table: MDB_NOLOCK); they ask the worker or read the topic.
 *
 * Files: data.mdb, lock (flock, holds the owner's pid), open (the marker: store/marker.h).
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "domain/types.h"

#define BOOT_ID_MAX 63
#define STORE_KINDS 48 /* kinds of entries: below this number */

struct store;

enum store_durability {
    STORE_REBUILD, /* NOSYNC | WRITEMAP, preallocated; a machine crash is detected by boot id and
                      rebuilt */
    STORE_DISK,    /* fsync at every commit */
};

/* What is in a store, beside its positions. */
enum store_kind {
    STORE_RECIPIENTS, /* entries: the functions below */
    STORE_TIMERS,     /* store/timers.h */
};

struct store_options {
    const char *path;     /* directory; made with mode 0700 when missing (parents too) */
    const char *identity; /* cluster id, topic, partition, partition count, format: any text */
    enum store_kind kind;
    enum store_durability durability;
    size_t map_size_initial; /* octets; rounded up to a page; grows by doubling */
    int64_t offline_ms_max;  /* discard when unused for longer than this; 0: never */
    int64_t now_ms;          /* wall clock at open; later times are this plus monotonic time */
    const char *boot_id; /* NULL: the kernel's; else at most BOOT_ID_MAX octets without blanks */
};

/* A new store: positions, entries, digest and sequence 0, stream time TIME_NULL. */
struct store_meta {
    int64_t input_next;     /* next input offset the state reflects */
    int64_t changelog_next; /* position in the changelog the state reflects */
    int64_t stream_time_ms; /* TIME_NULL: none yet */
    uint64_t entries;
    uint64_t digest;
    uint64_t sequence;           /* commits since creation */
    uint64_t kinds[STORE_KINDS]; /* entries of each kind */
};

/* Opens or creates. Local state that must not be trusted (identity differs, unclean shutdown under
 * another boot id, offline too long, format unknown, file damaged or truncated, restart loop) is
 * discarded: then `ret_discarded` points to a static text that says why, else NULL. E_STORE_LOCKED
 * when somebody else has it (the text names the pid), E_STORE_FULL when the disk has no room for
 * the preallocation, E_IO when the directory cannot be used. */
enum rcode store_open(const struct store_options *options, struct store **ret_store,
                      const char **ret_discarded, struct err *err) WARN_UNUSED;

/* Syncs, marks clean and closes; NULL allowed. An open transaction is aborted. After a commit that
 * failed, or when syncing fails, it does not mark clean. */
void store_close(struct store *store);

/* Closes as a crash would: aborts, no sync, no clean mark. For fatal paths and tests. */
void store_abandon(struct store *store);

/* Deletes everything (digest mismatch, certificate says otherwise) and starts empty. No transaction
 * open. When it fails the store stays closed inside: every later call returns E_STORE. */
enum rcode store_reset(struct store *store, struct err *err) WARN_UNUSED;

/* Deletes the directory of a closed store. One that is not there is no error. E_IO, and
 * E_STORE_LOCKED while somebody has it open. */
enum rcode store_remove(const char *path, struct err *err) WARN_UNUSED;

/* As of the last commit. */
const struct store_meta *store_meta(const struct store *store);

struct store_usage {
    uint64_t map_size; /* octets */
    uint64_t used;     /* octets up to the last page in use; freed pages before it count as used */
};
struct store_usage store_usage(const struct store *store);

/* The store's key order; batches sorted by it are staged fastest. */
int store_key_compare(struct identity a, struct identity b);

/* Opens the write transaction unless it is open. Grows the map first when it is more than 75 %
 * full: E_STORE_FULL when the disk has no room for that. */
enum rcode store_begin(struct store *store, struct err *err) WARN_UNUSED;

/* The record of a recipient, within the open transaction (begin first). `ret_value` points into the
 * map and is valid until the next write or the end of the transaction; null data: no entry.
 * E_STORE_CORRUPT when the checksum fails. Fast on ascending keys (one cursor is kept). */
enum rcode store_get(struct store *store, struct identity who, struct str *ret_value,
                     struct err *err) WARN_UNUSED;

/* Inserts or replaces; `value` is the framed Avro record, not null. Updates entries, digest and
 * kinds of the open transaction. E_STORE_MAP_FULL: abort, store_grow, redo the whole transaction.
 * After any error the transaction can only be aborted. */
enum rcode store_put(struct store *store, struct identity who, struct str value, unsigned char kind,
                     struct err *err) WARN_UNUSED;

/* Removes; a missing entry is no error. */
enum rcode store_delete(struct store *store, struct identity who, struct err *err) WARN_UNUSED;

/* Entries and digest as they will be when the open transaction commits. */
void store_pending(const struct store *store, uint64_t *ret_entries, uint64_t *ret_digest);

/* Commits with the given positions (entries, digest and sequence are the store's own), with or
 * without changed entries. On failure the transaction is gone and the state is that of the last
 * commit: the caller closes and restores. E_STORE, or E_STORE_FULL when the disk is the reason. */
enum rcode store_commit(struct store *store, int64_t input_next, int64_t changelog_next,
                        int64_t stream_time_ms, struct err *err) WARN_UNUSED;
void store_abort(struct store *store);

/* Doubles the map (preallocating). No transaction may be open. E_STORE_FULL: the old map still
 * works. */
enum rcode store_grow(struct store *store, struct err *err) WARN_UNUSED;

/* The committed record of a recipient, copied to `out`; `ret_found` false: there is none. By the
 * store's thread, no transaction open. */
enum rcode store_look(struct store *store, struct identity who, struct buf *out, bool *ret_found,
                      struct err *err) WARN_UNUSED;

/* Walks entries in key order within the open transaction, starting after the cursor's key; at most
 * `max` entries; stops at the end with the cursor cleared. The callback must not write to the
 * store. Spans are valid only during the callback. Non-OK from the callback ends the walk and is
 * returned. */
struct store_cursor {
    char key[RECORD_KEY_MAX + 8];
    size_t len; /* 0: from the start */
};
typedef enum rcode store_visit(void *context, struct identity who, struct str value,
                               struct err *err);
enum rcode store_scan(struct store *store, struct store_cursor *cursor, size_t max,
                      store_visit *visit, void *context, struct err *err) WARN_UNUSED;

/* Recomputes entries, digest and kinds from all entries, checking every checksum (no transaction
 * open). E_STORE_CORRUPT when they differ from the meta record. */
enum rcode store_verify(struct store *store, struct err *err) WARN_UNUSED;
