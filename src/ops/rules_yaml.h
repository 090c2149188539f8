/*
 * A rule file as it is written: a list of
 *   {id, mx, stage, status, reply, text, class, reason, positive: [SAMPLE …], negative: [SAMPLE …]}
 * with SAMPLE = {text, status, reply, mx, stage}. What the values mean is for the domain to check.
 */
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Strings are NULL where the key is absent. */
struct rule_text_sample {
    char *text, *status, *mx, *stage;
    int32_t reply; /* 0: absent */
    int line;
};

struct rule_text {
    char *id; /* never NULL, nor are class_name and reason_name */
    char *mx, *stage, *status, *reply, *text, *class_name, *reason_name;
    struct rule_text_sample *positive;
    uint32_t positive_count;
    struct rule_text_sample *negative;
    uint32_t negative_count;
    int line;
    int text_line; /* of the first line of `text` */
};

struct rules_text {
    struct rule_text *rules;
    uint32_t rule_count;
};

/* Loads `path`, NULL: the file compiled in. E_RULES: "FILE:LINE:COLUMN: …"; E_IO: "FILE: cannot be
 * read: …". */
enum rcode rules_text_load(const char *path, struct rules_text *ret_rules,
                           struct err *err) WARN_UNUSED;
void rules_text_deinit(struct rules_text *rules);

/* The same for a text; `name` stands for the file in messages. */
enum rcode rules_text_parse(const char *name, struct str text, struct rules_text *ret_rules,
                            struct err *err) WARN_UNUSED;

/* What messages call the rules compiled in. */
#define RULES_TEXT_DEFAULT "default.yaml"
