/* What is told of a pattern before it is matched must hold when it is: its steps and its literals.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "world.h"

#include "domain/literals.h"
#include "domain/pattern.h"

static uint32_t seed;

static uint32_t next_random(uint32_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
}

static struct pattern *split(struct arena *arena, const char *text, int *ret_count)
{
    struct pattern *patterns = NULL;
    struct err err;
    size_t at;
    if (pattern_split(arena, str_of(text), &patterns, ret_count, &at, &err) != OK)
        fail_msg("%s: %s at %zu", text, err.text, at);
    return patterns;
}

static void assert_literals(const char *text, const char *expected)
{
    struct arena arena;
    int count;
    char found[512] = "";
    arena_init(&arena);
    struct pattern *pattern = split(&arena, text, &count);
    assert_int_equal(count, 1);
    for (int i = 0; i < pattern->literal_count; i++)
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%.*s", i ? "," : "",
                 STR_ARG(pattern->literals[i]));
    if (strcmp(found, expected) != 0)
        fail_msg("%s: %s, not %s", text, found, expected);
    arena_deinit(&arena);
}

static void a_pattern_needs_the_rarest_literals_of_its_parts(void **unused)
{
    (void)unused;
    assert_literals("mailbox full", "mailbox full");
    assert_literals("Mail ?Box", "mailbox,mail box");
    assert_literals("(user|account) unknown", "user unknown,account unknown");
    assert_literals("\\buser\\b.{0,60}\\bunknown", "unknown");
    assert_literals("ab.{3}(de|fg)?.cde", "cde");
    assert_literals("(abc|d.*)x{3}", "xxx");
    assert_literals("[xy]z(no)+", "no");
    assert_literals("(foo|ba[rz]|q\\.u)", "foo,bar,baz,q.u");
    assert_literals("a(?=bcd)e", "ae");
    assert_literals("(abc)?", "");
    assert_literals("([^a]b|c.d)", "");
    assert_literals("\\d+ \\w", "");
}

static void alternatives_are_split_outside_of_groups(void **unused)
{
    (void)unused;
    struct arena arena;
    int count;
    arena_init(&arena);
    struct pattern *patterns = split(&arena, "a(b|c)|[|]d\nx\\|y", &count);
    assert_int_equal(count, 3);
    assert_str(patterns[0].text, "a(b|c)");
    assert_str(patterns[1].text, "[|]d");
    assert_str(patterns[2].text, "x\\|y");
    arena_deinit(&arena);
}

static double steps_of(const char *text)
{
    struct arena arena;
    int count;
    arena_init(&arena);
    double steps = split(&arena, text, &count)->steps;
    arena_deinit(&arena);
    return steps;
}

static void steps_grow_with_what_quantifiers_leave_open(void **unused)
{
    (void)unused;
    assert_true(steps_of("mailbox full") < 5);
    assert_in_range(steps_of("(user|account|mailbox).{0,60}(unknown|unused)"), 60, 500);
    assert_in_range(steps_of("a.*b"), 4000, 10000);
    assert_true(steps_of("a.*b.*c") > 1e7);
    assert_true(steps_of("(a+)+b") > PATTERN_STEPS_MAX);
    /* \w+ ends where the blank is, in one way. */
    assert_true(steps_of("(\\w+ ){0,3}x") < 50000);
    assert_true(steps_of("(\\w+ ?){0,3}x") > PATTERN_STEPS_MAX);
}

static void ranges_of_characters_are_not_taken_for_less(void **unused)
{
    (void)unused;
    /* What follows the repetition overlaps it, so that nothing closes what it leaves open. */
    assert_true(steps_of("[a-c]+[b-d]+[a-d]+x") > PATTERN_STEPS_MAX);
    assert_true(steps_of("[^a-x]+[yz]+ +x") > PATTERN_STEPS_MAX);
    assert_true(steps_of("[\xd1\x8f]+\xd0\xb0+z") > PATTERN_STEPS_MAX);
    assert_true(steps_of("[\xd1\x8f]+[abc]+z") < PATTERN_STEPS_MAX);
}

/* --- against PCRE2 --- */

static void append_piece(char *out, int depth)
{
    static const char *const atoms[] = {"a",    "b",    "ab",  "c",   ".",
                                        "[ab]", "[^c]", "\\w", "\\b", "bc"};
    static const char *const repeats[] = {"", "", "", "?", "{0,3}", "+", "*", "{2}", "+?"};
    uint32_t choice = next_random(depth > 2 ? 10 : 14);
    if (choice < 10) {
        strcat(out, atoms[choice]);
        if (choice == 8)
            return;
    } else {
        static const char *const opens[] = {"(", "(", "(?:", "(?!"};
        uint32_t open = choice - 10;
        int alternatives = 1 + (int)next_random(3);
        strcat(out, opens[open]);
        for (int i = 0; i < alternatives; i++) {
            strcat(out, i ? "|" : "");
            for (uint32_t pieces = 1 + next_random(2); pieces > 0; pieces--)
                append_piece(out, depth + 1); /* at most three deep */
        }
        strcat(out, ")");
        if (open == 3)
            return;
    }
    strcat(out, repeats[next_random(9)]);
}

static bool holds_any(const struct pattern *pattern, struct str text)
{
    for (int i = 0; i < pattern->literal_count; i++)
        if (memmem(text.data, text.len, pattern->literals[i].data, pattern->literals[i].len))
            return true;
    return pattern->literal_count == 0;
}

static void check_pattern(const struct pattern *pattern)
{
    int error;
    size_t at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern->text.data, pattern->text.len,
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS, &error, &at, NULL);
    assert_non_null(code);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(context, (uint32_t)pattern->steps + 1);
    for (int i = 0; i < 20; i++) {
        char octets[40];
        struct str text = {octets, next_random(sizeof(octets))};
        uint32_t alphabet = 1 + next_random(5);
        for (size_t j = 0; j < text.len; j++)
            octets[j] = "abc x"[next_random(alphabet)];
        int rc = pcre2_match(code, (PCRE2_SPTR)text.data, text.len, 0, PCRE2_NO_JIT, data, context);
        if (rc == PCRE2_ERROR_MATCHLIMIT)
            fail_msg("\"%.*s\" costs more than %.0f steps in \"%.*s\"", STR_ARG(pattern->text),
                     pattern->steps, STR_ARG(text));
        if (rc >= 0 && !holds_any(pattern, text))
            fail_msg("\"%.*s\" matches \"%.*s\", which holds none of its literals",
                     STR_ARG(pattern->text), STR_ARG(text));
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
}

static void what_is_told_of_any_pattern_holds(void **unused)
{
    (void)unused;
    int checked = 0;
    for (seed = 1; seed < 200000000; seed += 9973) {
        uint32_t kept = seed;
        char text[4096] = "";
        struct arena arena;
        int count;
        for (uint32_t pieces = 1 + next_random(4); pieces > 0; pieces--)
            append_piece(text, 0);
        arena_init(&arena);
        struct pattern *patterns = split(&arena, text, &count);
        for (int i = 0; i < count; i++)
            if (patterns[i].steps <= PATTERN_STEPS_MAX) {
                check_pattern(&patterns[i]);
                checked++;
            }
        arena_deinit(&arena);
        seed = kept;
    }
    assert_in_range(checked, 5000, 30000);
}

/* --- literals --- */

static void all_literals_of_a_text_are_found(void **unused)
{
    (void)unused;
    for (seed = 1; seed < 100000000; seed += 99991) {
        uint32_t kept = seed;
        static char octets[60][6], text[200];
        struct literal literals[60];
        struct literals found;
        struct arena arena;
        uint32_t alphabet = 1 + next_random(4);
        int count = (int)next_random(60);
        size_t len = next_random(sizeof(text));
        uint64_t bits[1] = {0}, expected = 0;
        for (size_t i = 0; i < len; i++)
            text[i] = "abcd"[next_random(alphabet)];
        for (int i = 0; i < count; i++) {
            size_t size = 1 + next_random(6);
            for (size_t j = 0; j < size; j++)
                octets[i][j] = "abcd"[next_random(alphabet)];
            literals[i] = (struct literal){{octets[i], size}, i};
            if (memmem(text, len, octets[i], size))
                expected |= (uint64_t)1 << i;
        }
        arena_init(&arena);
        literals_build(&arena, literals, count, &found);
        literals_find(&found, (struct str){text, len}, bits);
        assert_true(bits[0] == expected);
        arena_deinit(&arena);
        seed = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_needs_the_rarest_literals_of_its_parts),
        cmocka_unit_test(alternatives_are_split_outside_of_groups),
        cmocka_unit_test(ranges_of_characters_are_not_taken_for_less),
        cmocka_unit_test(steps_grow_with_what_quantifiers_leave_open),
        cmocka_unit_test(what_is_told_of_any_pattern_holds),
        cmocka_unit_test(all_literals_of_a_text_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
