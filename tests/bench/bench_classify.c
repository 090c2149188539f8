/*
 * How fast bounces are classified on one thread, by the rules compiled in. The bounces are made of
 * tests/data/replies.tsv: each reply many times, with other addresses, hosts, queue ids, numbers
 * and times in it each time, in random order. Prints figures with and without the memory of
 * verdicts, by the time of this thread, so that others on the machine count for little.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "cli/settings.h"
#include "replies.h"

#define BOUNCES 200000
#define ROUNDS 10

static uint64_t seed = 88172645463325252;

static uint32_t next_random(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % limit);
}

static void append_random(struct buf *out, const char *alphabet, size_t len)
{
    size_t count = strlen(alphabet);
    for (size_t i = 0; i < len; i++)
        buf_append(out, &alphabet[next_random((uint32_t)count)], 1);
}

/* The text with another local part, other documentation addresses, and other long runs of digits.
 */
static struct str vary(struct arena *arena, struct str text)
{
    struct buf out = {0};
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = {text.data + i, text.len - i};
        size_t digits = 0;
        while (digits < rest.len && rest.data[digits] >= '0' && rest.data[digits] <= '9')
            digits++;
        if (rest.len > 4 && memcmp(rest.data, "ada@", 4) == 0) {
            append_random(&out, "abcdefghijklmnopqrstuvwxyz0123456789._", 4 + next_random(14));
            i += 2;
        } else if (rest.len > 9 && memcmp(rest.data, "192.0.2.1", 9) == 0) {
            buf_printf(&out, "%u.%u.%u.%u", 1 + next_random(223), next_random(256),
                       next_random(256), next_random(256));
            i += 8;
        } else if (digits > 4) {
            append_random(&out, "0123456789", digits);
            i += digits - 1;
        } else {
            buf_append(&out, rest.data, 1);
        }
    }
    buf_printf(&out, " %08X%04X", next_random(UINT32_MAX), next_random(65536));
    struct str varied = arena_str(arena, buf_view(&out));
    buf_deinit(&out);
    return varied;
}

static double thread_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void report(const char *what, double started, const struct classifier *classifier)
{
    double seconds = thread_seconds() - started;
    struct classifier_stats stats = classifier_stats(classifier);
    double count = (double)BOUNCES * ROUNDS;
    printf("%-34s %10.0f /s %8.0f ns", what, count / seconds, seconds * 1e9 / count);
    if (stats.calls)
        printf("   %.2f %% remembered", 100 * (double)stats.hits / (double)stats.calls);
    printf("\n");
}

static void run(const struct rule_set *rules, const struct bounce_facts *facts, bool cached)
{
    struct classifier *classifier = classifier_new(rules);
    struct verdict verdict;
    double started = thread_seconds();
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < BOUNCES; i++)
            (cached ? classify : classify_afresh)(classifier, &facts[i], &verdict);
    report(cached ? "classify" : "classify, nothing remembered", started, classifier);
    classifier_free(classifier);
}

int main(void)
{
    struct rule_set *rules;
    struct replies replies;
    struct err err;
    double started = thread_seconds();
    if (settings_rules(NULL, &rules, &err) != OK || replies_load(&replies, &err) != OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%-34s %21.1f ms\n", "loading the rules", (thread_seconds() - started) * 1e3);
    struct bounce_facts *facts = mem_alloc(BOUNCES * sizeof(*facts));
    for (int i = 0; i < BOUNCES; i++) {
        facts[i] = replies.replies[next_random((uint32_t)replies.count)].facts;
        facts[i].diagnostic = vary(&replies.arena, facts[i].diagnostic);
    }
    run(rules, facts, false);
    run(rules, facts, true);
    mem_free(facts);
    replies_free(&replies);
    rule_set_free(rules);
    return 0;
}
