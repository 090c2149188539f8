/*
 * Where `rimbalzo ingest` writes to: the input topic, or stdout as JSON lines or as an Avro file
 * (object container, schema: a union of BounceRecord and DeliveryRecord), or nowhere.
 */
#pragma once
#include "cli/settings.h"
#include "domain/classify.h"
#include "ingest/ingest.h"

enum ingest_sink_kind { INGEST_SINK_TOPIC, INGEST_SINK_JSONL, INGEST_SINK_AVRO, INGEST_SINK_NONE };

struct ingest_sink;

/* E_CONFIG, and what reaching the broker may give. */
enum rcode ingest_sink_open(enum ingest_sink_kind kind, const struct config *config,
                            struct ingest_sink **ret_sink, struct err *err) WARN_UNUSED;

/* Where an entry is from. */
struct ingest_place {
    const char *file;
    int64_t line;
};

/* A bounce (with its verdict) or a delivery. JSON lines also show skipped recipients; then and for
 * deliveries `verdict` is NULL. */
enum rcode ingest_sink_put(struct ingest_sink *sink, const struct ingest_entry *entry,
                           const struct verdict *verdict, struct ingest_place place,
                           struct err *err) WARN_UNUSED;

/* Waits until all is written; what was not is an error. */
enum rcode ingest_sink_flush(struct ingest_sink *sink, struct err *err) WARN_UNUSED;
void ingest_sink_close(struct ingest_sink *sink); /* NULL is allowed */
