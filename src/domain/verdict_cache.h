/* Verdicts of subjects that were met lately; private to the classifier. */
#pragma once
#include "domain/classify.h"

struct verdict_cache;

struct verdict_cache *verdict_cache_new(void);
void verdict_cache_free(struct verdict_cache *cache);
void verdict_cache_clear(struct verdict_cache *cache);

/* `key` is compared octet by octet: a verdict that is found is that of the same key. */
bool verdict_cache_find(const struct verdict_cache *cache, struct str key, uint64_t hash,
                        struct verdict *ret_verdict);
void verdict_cache_put(struct verdict_cache *cache, struct str key, uint64_t hash,
                       const struct verdict *verdict);
