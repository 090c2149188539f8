/* Records of the dead-letter topic, read back: the inverse of outbox_dead_letter (stream/outbox.h).
 */
#pragma once
#include "base/arena.h"
#include "stream/port.h"

struct dead_letter {
    struct str reason, text;
    struct str topic; /* where the record was read */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* of the record there */
    int64_t redriven;     /* how often it has been sent back */
    int header_count;     /* of the record's own headers, which stand before ours */
};

/* False: no dead letter of ours. Spans point into the record. */
bool dead_letter_read(const struct port_record *record, struct dead_letter *ret_letter);

/* The headers with which it goes back: those it came with, and how often it has been sent back by
 * then. Returns how many. A reroute that led nowhere is forgotten, or the worker would refuse the
 * next one. */
int dead_letter_headers(const struct port_record *record, const struct dead_letter *letter,
                        struct arena *arena, const struct port_header **ret_headers);
