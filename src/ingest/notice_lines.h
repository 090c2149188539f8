/* The lines of a notice, and the forms in which a recipient stands in one; private to notice.c. */
#pragma once
#include "base/arena.h"

struct lines {
    struct str *items; /* without line ends and blanks at their ends */
    size_t count;
};

void lines_split(struct arena *arena, struct str text, size_t max, struct lines *ret_lines);
/* Ends the lines where the returned message begins; returns its header, or null. */
struct str lines_cut(struct arena *arena, struct lines *lines);
/* The first line from `at` on that holds `words` (lower case); `count` if there is none. */
size_t lines_find(const struct lines *lines, size_t at, const char *words);
/* `head` and the lines from `first` to before `end`, trimmed, with line feeds between. */
struct str lines_join(struct arena *arena, const struct lines *lines, struct str head, size_t first,
                      size_t end, size_t max);
/* All of it, and two texts more, in lower case with single blanks: for finding words that go over
 * lines. */
struct str lines_fold(struct arena *arena, const struct lines *lines, struct str first,
                      struct str second);
/* All lines that are words and no recipients. */
struct str lines_said(struct arena *arena, const struct lines *lines, size_t max);

bool line_is_empty(struct str line);
bool line_is_rule(struct str line); /* empty, or made of "-=_*|" */
/* Without blanks, bullets and colons in front. */
struct str line_undecorated(struct str line);
/* Without the "-- " that makes it an item of a list. */
struct str line_unbulleted(struct str line);

/* Does the line have a recipient in this form? `ret_rest`: what is said behind it. */
bool line_angled(struct str line, struct str *ret_address, struct str *ret_rest);
bool line_leading(struct str line, struct str *ret_address, struct str *ret_rest);
bool line_within(struct str line, struct str *ret_address, struct str *ret_rest);
bool line_field(struct str line, struct str *ret_address, struct str *ret_rest);
bool line_coded(struct str line, struct str *ret_address, struct str *ret_rest);

enum line_speaker { LINE_NOBODY, LINE_CLIENT, LINE_SERVER };
/* Who says what in a transcript: ">>> ", "In: ", "<<< ", "Out: " … */
enum line_speaker line_speaker(struct str line, struct str *ret_said);
