/*
 * Overrides of an operator (suppress, reinstate, forget) as records of the input topic: from
 * addresses, line by line, without I/O. An event id follows from action, recipient and batch: a
 * batch that is given again makes the same ids and counts once (semantics §6, Duplicate), another
 * batch is another will of the operator and counts again.
 */
#pragma once
#include "codec/record.h"

struct override_options {
    enum override_action action;
    struct str tenant;        /* valid */
    struct str reason, actor; /* nullable */
    struct str batch;
    int64_t now_ms;
    bool local_part_preserve;
};

/* A record and what its spans point to. */
struct override {
    struct input_record record;
    struct identity who;
    struct uuid_text event_id;
    char canonical[RECIPIENT_MAX + 1];
};

/* Whether a line holds nothing but blanks. Nothing else is passed over: a local part may start with
 * any sign that could mark a comment. */
bool override_is_blank(struct str line);

/* `address` as somebody wrote it. E_INVALID_RECIPIENT. The options must outlive the result, which
 * must not be copied. */
enum rcode override_make(const struct override_options *options, struct str address,
                         struct override *ret_override, struct err *err) WARN_UNUSED;
