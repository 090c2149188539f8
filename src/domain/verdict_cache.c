#include "domain/verdict_cache.h"

#define SETS 1024 /* a power of two */
#define WAYS 4
#define RING_SIZE ((size_t)1 << 20) /* octets of keys; the oldest ones give way */

struct entry {
    uint64_t hash;
    uint64_t position; /* of the key among all octets ever put into the ring */
    size_t len;        /* 0: empty */
    struct verdict verdict;
};

struct entry_set {
    struct entry entries[WAYS];
    unsigned next; /* to be replaced */
};

struct verdict_cache {
    uint64_t position; /* where the next key goes */
    struct entry_set sets[SETS];
    char ring[RING_SIZE];
};

struct verdict_cache *verdict_cache_new(void)
{
    return mem_zalloc(sizeof(struct verdict_cache));
}

void verdict_cache_free(struct verdict_cache *cache)
{
    mem_free(cache);
}

void verdict_cache_clear(struct verdict_cache *cache)
{
    memset(cache->sets, 0, sizeof(cache->sets));
}

static bool is_entry_of(const struct verdict_cache *cache, const struct entry *entry,
                        struct str key, uint64_t hash)
{
    return entry->hash == hash && entry->len == key.len &&
           cache->position - entry->position <= RING_SIZE &&
           memcmp(cache->ring + entry->position % RING_SIZE, key.data, key.len) == 0;
}

bool verdict_cache_find(const struct verdict_cache *cache, struct str key, uint64_t hash,
                        struct verdict *ret_verdict)
{
    const struct entry_set *set = &cache->sets[hash & (SETS - 1)];
    for (int i = 0; i < WAYS; i++) {
        if (!is_entry_of(cache, &set->entries[i], key, hash))
            continue;
        *ret_verdict = set->entries[i].verdict;
        return true;
    }
    return false;
}

void verdict_cache_put(struct verdict_cache *cache, struct str key, uint64_t hash,
                       const struct verdict *verdict)
{
    struct entry_set *set = &cache->sets[hash & (SETS - 1)];
    struct entry *entry = &set->entries[set->next++ % WAYS];
    if (cache->position % RING_SIZE + key.len > RING_SIZE) /* a key is never split */
        cache->position += RING_SIZE - cache->position % RING_SIZE;
    *entry = (struct entry){hash, cache->position, key.len, *verdict};
    memcpy(cache->ring + cache->position % RING_SIZE, key.data, key.len);
    cache->position += key.len;
}
