/*
 * Cuts a stream into the items that adapters take, without I/O: JSON values one by one, be they
 * lines, an array, or several lines long each; or the mails of an mbox.
 *
 * The caller owns a window of the stream's octets and calls `split_next` until it returns false;
 * then it drops the first `done` octets of the window, tells so by `split_shift`, and adds more:
 *
 *     split_init(&split, SPLIT_JSON);
 *     for (;;) {
 *         while (split_next(&split, window, last, &piece))
 *             use(&piece);
 *         if (last)
 *             break;
 *         drop split.done octets; split_shift(&split); read more; last = end of the stream
 *     }
 *
 * A value that does not end (a line cut off by a crash) costs itself, not what follows: where a
 * line begins with `{` and the lines before were whole objects, a new value begins.
 */
#pragma once
#include <stdint.h>

#include "base/str.h"

#define SPLIT_PIECE_MAX ((size_t)32 * 1024 * 1024) /* octets of a mail, or of a window at least */
#define SPLIT_JSON_MAX ((size_t)4 * 1024 * 1024)   /* octets of one JSON value */

enum split_kind { SPLIT_JSON, SPLIT_MAIL };

struct split_piece {
    struct str octets; /* in the window */
    int64_t line;      /* where it begins, from 1 */
    int64_t offset;    /* likewise, from 0 */
    const char *fault; /* the piece cannot be used, or NULL; static */
};

struct split {
    enum split_kind kind;
    size_t done;    /* octets of the window that are not needed any more */
    int64_t offset; /* of the window */
    int64_t line;   /* at `at` */
    size_t at;      /* looked at so far */
    int64_t piece_line;
    int state;
    /* JSON */
    int64_t arrays; /* open ones around the values */
    int64_t depth;
    bool string, escape, one_line;
    char before; /* the last octet that is no blank */
    /* mail */
    bool mbox;
};

void split_init(struct split *split, enum split_kind kind);

/* The next piece of the window; false: there is none in it (any more). `last`: the stream ends with
 * the window. */
bool split_next(struct split *split, struct str window, bool last, struct split_piece *ret_piece);

/* The first `done` octets have been dropped from the window. */
void split_shift(struct split *split);
