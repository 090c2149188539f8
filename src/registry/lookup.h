/*
 * Schemas by their ids for threads that must not wait: a cache of bounded size, filled by a thread
 * of its own that asks the registry. Who asks for an id that is not there yet is told to come again
 * (E_REGISTRY_UNAVAILABLE), after a short wait that mostly suffices; and never waits for more than
 * a small share of its time, whatever it is asked for. An id never changes its meaning, so what is
 * known stays, with the registry down too; that there is none is believed for a while only.
 */
#pragma once
#include "registry/registry.h"

#define LOOKUP_IDS_MAX 1024
#define LOOKUP_OCTETS_MAX ((size_t)32 * 1024 * 1024)

struct lookup;

/* Starts the thread. Signals are to be blocked before. E_CONFIG as of registry_open, E_IO. */
enum rcode lookup_open(const struct registry_options *options, struct registry_stats *stats,
                       struct lookup **ret_lookup, struct err *err) WARN_UNUSED;
/* When nobody asks any more. NULL is allowed. Waits for a request under way, so for as long as one
 * may take. */
void lookup_close(struct lookup *lookup);

/* Makes an id known, for good: those of our own schemas. */
void lookup_put(struct lookup *lookup, int32_t id, struct str text);

/* Who asks: one for each thread. */
struct lookup_asker {
    struct lookup *lookup;
    int64_t credit_ms;  /* how long it may wait for now */
    int64_t counted_ms; /* monotonic, when that was told */
};

/* For codec_options.resolve; `asker` is a struct lookup_asker, zeroed but for its lookup.
 * E_UNKNOWN_SCHEMA: the registry has no Avro schema of this id; E_REGISTRY_UNAVAILABLE: not known
 * yet. */
enum rcode lookup_resolve(void *asker, int32_t id, struct arena *arena, struct str *ret_text,
                          struct err *err) WARN_UNUSED;

/* What the cache holds, for metrics. */
struct lookup_usage {
    int known, absent, wanted;
};
void lookup_usage(struct lookup *lookup, struct lookup_usage *ret_usage);
