/*
 * The seven records as C structs, and their Avro codec (schemas/README.md). Input records decode
 * into struct input_record; the others into the structs of domain/recipient.h. Decoded spans point
 * into the message's octets: no copy, no allocation, except arrays' fixed fields.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "domain/recipient.h"

#define RECORD_KINDS(X)                                                                            \
    X(RECORD_BOUNCE, "BounceRecord")                                                               \
    X(RECORD_DELIVERY, "DeliveryRecord")                                                           \
    X(RECORD_OVERRIDE, "RecipientOverride")                                                        \
    X(RECORD_RETRY_COMMAND, "RetryCommand")                                                        \
    X(RECORD_SUPPRESSION_EVENT, "SuppressionEvent")                                                \
    X(RECORD_RECIPIENT_NOTICE, "RecipientNotice")                                                  \
    X(RECORD_RECIPIENT_STATE, "RecipientState")
#define X(constant, string) constant,
enum record_kind { RECORD_KINDS(X) RECORD_KIND_COUNT };
#undef X
extern const char *const record_kind_names[RECORD_KIND_COUNT]; /* without namespace */

/* BounceRecord, DeliveryRecord and RecipientOverride as they are on the wire, unvalidated. */
struct input_record {
    enum record_kind kind;
    struct str event_id, tenant, recipient, message_id;
    int64_t occurred_at_ms;
    struct str retry_of; /* nullable */
    struct str source;
    /* bounce */
    struct str status, diagnostic, remote_mta, stage; /* nullable */
    int32_t reply_code;                               /* 0: null */
    int32_t message_attempt;
    /* `attributes` of a bounce: the raw Avro map body, for tools that show it; decoding skips it */
    struct str attributes;
    /* override */
    int action;               /* enum override_action, or -1: a symbol this version does not know */
    struct str reason, actor; /* nullable */
};

/* Either framing is always readable: Confluent (0x00, 4-byte big-endian id) and single-object
 * (C3 01, 8-byte little-endian CRC-64-AVRO fingerprint of the writer schema). */
enum framing { FRAMING_SINGLE_OBJECT, FRAMING_CONFLUENT };

/*
 * A codec belongs to one thread; codecs share nothing, so any number may be made and used at once.
 * It holds the writer schemas it knows (compiled in, released versions, schemas_dir, and a bounded
 * number of registry ids) and one compiled decoding plan for each that is one of the seven records:
 * field order of the writer, defaults for what the writer lacks, skips for what it adds.
 */
struct codec;

struct codec_options {
    const char *schemas_dir; /* extra writer schemas (*.avsc), NULL: only those compiled in */
    /* Confluent framing when set: id under which each record kind is registered, for encoding. */
    const int32_t *registered_ids; /* NULL: single-object framing is written; -1: never encoded */
    /* Looks an id up in the registry: JSON text of the schema into `ret_json` (arena).
     * E_UNKNOWN_SCHEMA: the registry says it has none; E_REGISTRY_UNAVAILABLE: nobody knows yet,
     * ask again later. NULL: no registry. */
    enum rcode (*resolve)(void *context, int32_t id, struct arena *arena, struct str *ret_json,
                          struct err *err);
    void *resolve_context;
};

enum rcode codec_new(const struct codec_options *options, struct codec **ret_codec,
                     struct err *err) WARN_UNUSED;
void codec_free(struct codec *codec);

/* The current schema of a record, as its file has it, compiled in. */
struct str record_schema_text(enum record_kind kind);

/* Which record kind the value holds, by its schema's full name. E_MALFORMED (null, too short, bad
 * frame), E_UNKNOWN_SCHEMA, E_UNEXPECTED_SCHEMA (a schema we know, no record of ours). */
enum rcode codec_kind(struct codec *codec, struct str value, enum record_kind *ret_kind,
                      struct err *err) WARN_UNUSED;

/* Decodes one of the three input records. E_MALFORMED also for trailing octets; E_UNEXPECTED_SCHEMA
 * for one of our own outputs; E_INVALID_FIELD when the writer's schema lacks a required field.
 * Bounded: never allocates by a declared length; a 10-octet message costs nothing but its own
 * octets. */
enum rcode codec_decode_input(struct codec *codec, struct str value,
                              struct input_record *ret_record, struct err *err) WARN_UNUSED;

enum rcode codec_decode_command(struct codec *codec, struct str value,
                                struct retry_command *ret_command, struct err *err) WARN_UNUSED;
enum rcode codec_decode_suppression(struct codec *codec, struct str value,
                                    struct suppression_event *ret_event,
                                    struct err *err) WARN_UNUSED;
enum rcode codec_decode_notice(struct codec *codec, struct str value,
                               struct recipient_notice *ret_notice, struct err *err) WARN_UNUSED;
enum rcode codec_decode_recipient(struct codec *codec, struct str value,
                                  struct recipient *ret_state, struct err *err) WARN_UNUSED;

/* Appends the framed record to `out`. Cannot fail on valid structs (asserts on broken ones). A null
 * string where the schema has no null is written as "", null `attributes` as the empty map. */
void codec_encode_input(struct codec *codec, const struct input_record *record, struct buf *out);
void codec_encode_command(struct codec *codec, const struct retry_command *command,
                          struct buf *out);
void codec_encode_suppression(struct codec *codec, const struct suppression_event *event,
                              struct buf *out);
void codec_encode_notice(struct codec *codec, const struct recipient_notice *notice,
                         struct buf *out);
void codec_encode_recipient(struct codec *codec, const struct recipient *state, struct buf *out);

/* Any Avro value of a known schema as one line of JSON, without line feed (for `rimbalzo decode`
 * and error reports). Times are numbers, a union shows its branch's value alone; see codec/walk.h.
 */
enum rcode codec_to_json(struct codec *codec, struct str value, struct buf *out,
                         struct err *err) WARN_UNUSED;
