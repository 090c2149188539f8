#include "replies.h"

#include <stdio.h>
#include <stdlib.h>

#include "ops/text_file.h"

#define FILE_NAME SOURCE_DIR "/tests/data/replies.tsv"
#define FILE_MAX (1u << 20)

/* Columns, in the order of the file. */
enum { PROVIDER, LANGUAGE, STAGE, STATUS, REPLY, MX, CLASS, TEXT, COLUMNS };

/* Up to `end`, which it moves behind. */
static struct str take(struct str *rest, char end)
{
    const char *found = memchr(rest->data, end, rest->len);
    struct str field = {rest->data, found ? (size_t)(found - rest->data) : rest->len};
    size_t skip = field.len + (found != NULL);
    *rest = (struct str){rest->data + skip, rest->len - skip};
    return field;
}

/* With "\n" for a line feed. */
static struct str unescape(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool feed = text.data[i] == '\\' && i + 1 < text.len && text.data[i + 1] == 'n';
        copy[len++] = feed ? '\n' : text.data[i];
        i += feed;
    }
    return (struct str){copy, len};
}

static struct str or_null(struct str field)
{
    return field.len ? field : STR_NULL;
}

static enum rcode parse_line(struct replies *replies, struct str line, int number, struct err *err)
{
    struct str fields[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        fields[i] = arena_str(&replies->arena, take(&line, i == TEXT ? '\n' : '\t'));
    int class = name_index(bounce_class_names, BOUNCE_CLASS_COUNT, fields[CLASS]);
    if (class < 0 || !fields[TEXT].len)
        return err_set(err, E_MALFORMED, FILE_NAME ":%d: no reply with a class", number);
    replies->replies[replies->count++] = (struct reply){
        .provider = fields[PROVIDER],
        .language = fields[LANGUAGE],
        .facts = {.status = or_null(fields[STATUS]),
                  .reply_code = (int32_t)strtol(fields[REPLY].data, NULL, 10),
                  .diagnostic = unescape(&replies->arena, fields[TEXT]),
                  .remote_mta = or_null(fields[MX]),
                  .stage = or_null(fields[STAGE])},
        .bounce_class = (enum bounce_class) class,
        .line = number,
    };
    return OK;
}

enum rcode replies_load(struct replies *ret_replies, struct err *err)
{
    struct replies replies = {0};
    struct buf text = {0};
    enum rcode rc = text_file_read(FILE_NAME, FILE_MAX, &text, err);
    if (rc != OK) {
        err_prefix(err, FILE_NAME);
        return rc;
    }
    arena_init(&replies.arena);
    struct str rest = buf_view(&text);
    size_t lines = 1;
    for (size_t i = 0; i < rest.len; i++)
        lines += rest.data[i] == '\n';
    replies.replies = arena_alloc(&replies.arena, lines * sizeof(*replies.replies));
    for (int number = 1; rc == OK && rest.len; number++) {
        struct str line = take(&rest, '\n');
        if (line.len && line.data[0] != '#')
            rc = parse_line(&replies, line, number, err);
    }
    buf_deinit(&text);
    if (rc == OK)
        *ret_replies = replies;
    else
        replies_free(&replies);
    return rc;
}

void replies_free(struct replies *replies)
{
    arena_deinit(&replies->arena);
}
