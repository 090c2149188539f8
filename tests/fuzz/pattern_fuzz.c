/*
 * Patterns of rules from anywhere: the first line is a pattern, the rest a reply. What is told of a
 * pattern before it is matched must hold when it is: its steps, and its literals.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <assert.h>
#include <pcre2.h>
#include <stdlib.h>

#include "domain/normalise.h"
#include "domain/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool holds_any(const struct pattern *pattern, struct str text)
{
    for (int i = 0; i < pattern->literal_count; i++)
        if (memmem(text.data, text.len, pattern->literals[i].data, pattern->literals[i].len))
            return true;
    return pattern->literal_count == 0;
}

static void check(const struct pattern *pattern, struct str text)
{
    int error;
    size_t at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern->text.data, pattern->text.len,
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS |
                                         PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C,
                                     &error, &at, NULL);
    if (!code) /* it may ask more of a pattern, as of what is looked at behind */
        return;
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(context, (uint32_t)pattern->steps + 1);
    int rc = pcre2_match(code, (PCRE2_SPTR)text.data, text.len, 0, PCRE2_NO_JIT, match, context);
    assert(rc >= 0 || rc == PCRE2_ERROR_NOMATCH);
    assert(rc < 0 || holds_any(pattern, text));
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char normalised[NORMALISED_MAX];
    const uint8_t *feed = size ? memchr(data, '\n', size) : NULL;
    struct pattern *patterns;
    struct arena arena;
    struct err err;
    int count;
    size_t at;
    if (!feed)
        return 0;
    struct str pattern = {(const char *)data, (size_t)(feed - data)};
    struct str text = {(const char *)feed + 1, size - pattern.len - 1};
    text = (struct str){normalised, reply_normalise(text, normalised)};
    arena_init(&arena);
    if (pattern_split(&arena, pattern, &patterns, &count, &at, &err) == OK)
        for (int i = 0; i < count; i++)
            if (patterns[i].steps <= PATTERN_STEPS_MAX)
                check(&patterns[i], text);
    arena_deinit(&arena);
    return 0;
}
