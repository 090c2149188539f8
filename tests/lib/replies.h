/* tests/data/replies.tsv: what mail servers answer, and what it means. */
#pragma once
#include "base/arena.h"
#include "domain/classify.h"

struct reply {
    struct str provider, language;
    struct bounce_facts facts;
    enum bounce_class bounce_class;
    int line;
};

struct replies {
    struct arena arena; /* of all strings */
    struct reply *replies;
    int count;
};

/* E_IO; E_MALFORMED: "…/replies.tsv:LINE: …". */
enum rcode replies_load(struct replies *ret_replies, struct err *err) WARN_UNUSED;
void replies_free(struct replies *replies);
