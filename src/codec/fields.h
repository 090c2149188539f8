/*
 * Where each field of the seven records lives in its C struct: the one table that decoding,
 * encoding and the reference codec on avro-c go by. The order is that of schemas/<Record>.avsc;
 * codec_new checks the table against the compiled-in files, so that they cannot drift apart unseen.
 */
#pragma once
#include "codec/record.h"
#include "codec/schema.h"

#define RECORD_FIELDS_MAX 32

/* What a field is in C, and how it is written (null is the first branch of every nullable field).
 */
enum target {
    TARGET_STR,   /* struct str; string */
    TARGET_UUID,  /* struct uuid_text; string */
    TARGET_INT,   /* int32_t; int; nullable: 0 is null */
    TARGET_LONG,  /* int64_t; long; nullable: TIME_NULL is null */
    TARGET_ENUM,  /* an enum of domain/types.h; enum */
    TARGET_LONGS, /* int64_t or uint64_t [LONGS_MAX] and an int count; array of long */
    TARGET_MAP,   /* struct str: the raw octets of a map of strings */
    TARGET_COUNT
};

#define LONGS_MAX 8
_Static_assert(OPENINGS_MAX == LONGS_MAX && RECENT_MAX == LONGS_MAX, "one bound for all arrays");

/* Symbol = value + shift. Symbols below `symbol_min` have no value: UNKNOWN, "a symbol this reader
 * lacks". */
struct enum_spec {
    const char *const *names;
    int shift;
    int symbol_count;
    int symbol_min;
    bool unknown_allowed; /* -1 stands for it; else such a record is refused */
};

struct field_spec {
    const char *name;
    enum target target;
    bool nullable;
    uint16_t offset;
    /* TARGET_LONGS: of the count. Nullable TARGET_ENUM: of a bool that says the value is there, or
     * 0: value 0 is null. */
    uint16_t companion;
    const struct enum_spec *enumeration;
};

struct record_spec {
    const struct field_spec *fields;
    uint32_t field_count;
    size_t size; /* of the C struct */
};

extern const struct record_spec record_specs[RECORD_KIND_COUNT];
