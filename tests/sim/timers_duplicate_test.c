/*
 * A SCHEDULE of an id that is known is ignored: the first one's record is what leaves, at the first
 * one's time. Known it is from its record until log time has reached its due time, or until a
 * CANCEL or RELEASE of its recipient. Each story is told three times: as it is, with a restart
 * after every line, and with everything local lost after every line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/dispatcher_internal.h"
#include "sim_commands.h"

#define SECOND INT64_C(1000)
#define A "a@example.org"

struct line {
    enum { SCHEDULE, CANCEL, RELEASE, PASS } what;
    const char *message; /* of SCHEDULE */
    int64_t seconds;     /* SCHEDULE: due, from the beginning of the story; PASS: until then */
    const char *sent;    /* what is in the due topic afterwards: numbers of lines */
};

#define LINES_MAX 12
struct story {
    const char *name;
    struct line lines[LINES_MAX]; /* the last one has nothing sent */
};

/* The clock of the log goes on with any record of the partition, say a CANCEL of somebody else; so
 * PASS lets time pass and writes one. */
static const struct story stories[] = {
    {"pending: ignored",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 600, ""},
      {PASS, NULL, 580, ""},
      {PASS, NULL, 601, "0"},
      {PASS, NULL, 700, "0"}}},
    {"due earlier: ignored, and leaves with the first",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 300, ""},
      {PASS, NULL, 400, ""},
      {PASS, NULL, 601, "0"},
      {PASS, NULL, 700, "0"}}},
    {"due in the past: ignored",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", -5, ""},
      {PASS, NULL, 300, ""},
      {PASS, NULL, 601, "0"}}},
    {"due later: ignored, and nothing comes of it",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 900, ""},
      {PASS, NULL, 601, "0"},
      {PASS, NULL, 1000, "0"},
      {SCHEDULE, "m", 1300, "0"},
      {PASS, NULL, 1400, "0 4"}}},
    {"after it left: accepted again",
     {{SCHEDULE, "m", 600, ""},
      {PASS, NULL, 601, "0"},
      {SCHEDULE, "m", 900, "0"},
      {PASS, NULL, 880, "0"},
      {PASS, NULL, 901, "0 2"}}},
    {"another id, or another recipient: accepted",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "n", 500, ""},
      {PASS, NULL, 501, "1"},
      {PASS, NULL, 601, "1 0"}}},
    {"at once, and again at once: twice",
     {{SCHEDULE, "m", 0, "0"}, {SCHEDULE, "m", 0, "0 1"}, {PASS, NULL, 100, "0 1"}}},
    {"a chain: each is known because of the one before",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 900, ""},
      {PASS, NULL, 700, "0"},
      {SCHEDULE, "m", 1200, "0"}, /* the second is known until 900 */
      {PASS, NULL, 1000, "0"},
      {SCHEDULE, "m", 1100, "0"}, /* and the third until 1200 */
      {PASS, NULL, 1300, "0"},
      {SCHEDULE, "m", 1500, "0"},
      {PASS, NULL, 1600, "0 7"}}},
    {"a chain that goes backwards",
     {{SCHEDULE, "m", 900, ""},
      {SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 300, ""},
      {PASS, NULL, 650, ""},
      {SCHEDULE, "m", 700, ""},
      {PASS, NULL, 901, "0"},
      {SCHEDULE, "m", 950, "0"},
      {PASS, NULL, 1000, "0 6"}}},
    {"after CANCEL: accepted",
     {{SCHEDULE, "m", 600, ""},
      {CANCEL, NULL, 0, ""},
      {SCHEDULE, "m", 600, ""},
      {PASS, NULL, 601, "2"}}},
    {"after RELEASE: accepted",
     {{SCHEDULE, "m", 600, ""},
      {RELEASE, NULL, 0, "0"},
      {SCHEDULE, "m", 600, "0"},
      {PASS, NULL, 601, "0 2"}}},
    {"cancelled with its duplicates, it is all over",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 900, ""},
      {CANCEL, NULL, 0, ""},
      {SCHEDULE, "m", 500, ""},
      {PASS, NULL, 501, "3"},
      {PASS, NULL, 1000, "3"}}},
    {"released with its duplicates, once",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 900, ""},
      {RELEASE, NULL, 0, "0"},
      {RELEASE, NULL, 0, "0"},
      {PASS, NULL, 1000, "0"}}},
    {"what was released by its time cannot be cancelled, but is forgotten by that",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 900, ""},
      {PASS, NULL, 601, "0"},
      {CANCEL, NULL, 0, "0"},
      {SCHEDULE, "m", 700, "0"},
      {PASS, NULL, 701, "0 4"},
      {PASS, NULL, 1000, "0 4"}}},
    {"a duplicate due later keeps others away until its time",
     {{SCHEDULE, "m", 600, ""},
      {SCHEDULE, "m", 900, ""},
      {PASS, NULL, 800, "0"},
      {SCHEDULE, "m", 850, "0"},
      {PASS, NULL, 880, "0"},
      {SCHEDULE, "m", 950, "0"},
      {PASS, NULL, 951, "0"},
      {PASS, NULL, 1000, "0"},
      {SCHEDULE, "m", 1050, "0"},
      {PASS, NULL, 1051, "0 8"}}},
};

enum telling { STRAIGHT, RESTARTED, WIPED, TELLINGS };

static void tell_line(struct sim *sim, const struct line *line, int64_t start_ms)
{
    switch (line->what) {
    case SCHEDULE:
        sim_schedule(sim, A, line->message, start_ms + line->seconds * SECOND);
        break;
    case CANCEL:
        sim_cancel(sim, A);
        break;
    case RELEASE:
        sim_release(sim, A);
        break;
    case PASS:
        memory_cluster_advance(sim->cluster, start_ms + line->seconds * SECOND - sim_wall(sim));
        sim_pass(sim, 500);
        sim_cancel(sim, "nobody@example.org");
        break;
    }
    sim_pass(sim, 500);
}

/* The lines whose records are in the due topic, in order: `numbers` are those of the lines'
 * records. */
static void what_was_sent(const struct sim *sim, const int64_t *numbers, int lines, char *ret_text,
                          size_t size)
{
    struct sim_due due;
    size_t len = 0;
    ret_text[0] = '\0';
    for (int64_t next = 0; sim_read_due(sim, 0, &next, &due);)
        for (int i = 0; i < lines; i++)
            if (numbers[i] == due.command.source_offset)
                len += (size_t)snprintf(ret_text + len, size - len, "%s%d", len ? " " : "", i);
}

static void tell(const struct story *story, enum telling telling)
{
    struct sim sim;
    int64_t numbers[LINES_MAX];
    char sent[100];
    struct sim_options options = {
        .seed = 1, .role = SIM_DISPATCHER, .partitions = 1, .nodes = 1, .recipients = 1};
    sim_init(&sim, &options);
    sim_pass(&sim, SECOND);
    int64_t start_ms = sim_wall(&sim);
    for (int i = 0; i < LINES_MAX && story->lines[i].sent; i++) {
        numbers[i] = sim.produced;
        tell_line(&sim, &story->lines[i], start_ms);
        if (telling != STRAIGHT)
            sim_kill(&sim, 0);
        if (telling == WIPED)
            sim_wipe(&sim, 0);
        sim_start(&sim, 0);
        if (telling != STRAIGHT)
            sim_pass(&sim, 500);
        assert_string_equal(rcode_name(sim_failure(&sim, 0)), "ok");
        what_was_sent(&sim, numbers, i + 1, sent, sizeof(sent));
        if (strcmp(sent, story->lines[i].sent) != 0)
            fail_msg("%s (%d), line %d: sent is '%s', not '%s'", story->name, (int)telling, i, sent,
                     story->lines[i].sent);
    }
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void every_story_ends_as_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
        for (int telling = 0; telling < TELLINGS; telling++)
            tell(&stories[i], (enum telling)telling);
}

/* Again and again the same: it is looked for among one, not among all, and takes no room. */
static void a_command_repeated_for_ever_is_known_once(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_options options = {.seed = 1,
                                  .role = SIM_DISPATCHER,
                                  .partitions = 1,
                                  .recipients = 1,
                                  .batch_records_max = 1000};
    sim_init(&sim, &options);
    sim.options.nodes = 1;
    int64_t due_ms = sim_wall(&sim) + 600 * SECOND;
    for (int i = 0; i < 20000; i++)
        sim_schedule(&sim, A, "m", due_ms - i % 7);
    sim_start(&sim, 0);
    sim_pass(&sim, 5 * SECOND);
    assert_int_equal(sim_outcomes(&sim, COMMAND_DUPLICATE), 19999);
    const struct dispatcher_slot *slot =
        dispatcher_slot((struct dispatcher *)sim.nodes[0].worker, 0);
    assert_true(store_usage(slot->slot.store).used < 200000);
    sim_must_drain(&sim);
    assert_string_equal(sim_due_messages(&sim, 0), "m");
    sim_deinit(&sim);
}

/* All lines of a story before the first that lets time pass, in one transaction. */
static void duplicates_within_one_transaction_are_ignored(void **state)
{
    (void)state;
    for (int wiped = 0; wiped < 2; wiped++) {
        struct sim sim;
        struct sim_options options = {
            .seed = 1, .role = SIM_DISPATCHER, .partitions = 1, .recipients = 1};
        sim_init(&sim, &options);
        sim.options.nodes = 1;
        int64_t due_ms = sim_wall(&sim) + 600 * SECOND;
        sim_schedule(&sim, A, "m", due_ms);
        sim_schedule(&sim, A, "m", due_ms + 300 * SECOND);
        sim_schedule(&sim, A, "m", due_ms - 300 * SECOND);
        sim_schedule(&sim, A, "n", due_ms);
        sim_schedule(&sim, "b@example.org", "m", due_ms);
        sim_start(&sim, 0);
        sim_pass(&sim, SECOND);
        assert_int_equal(sim_outcomes(&sim, COMMAND_SCHEDULED), 3);
        assert_int_equal(sim_outcomes(&sim, COMMAND_DUPLICATE), 2);
        assert_string_equal(sim_certificate_field(&sim, 0, "n"), "3");
        if (wiped) {
            sim_kill_all(&sim);
            sim_wipe_all(&sim);
            sim_start(&sim, 0);
        }
        memory_cluster_advance(sim.cluster, 700 * SECOND);
        sim_pass(&sim, SECOND);
        assert_string_equal(sim_due_messages(&sim, 0), "m n m");
        sim_schedule(&sim, A, "m", sim_wall(&sim) + 600 * SECOND);
        sim_pass(&sim, SECOND);
        assert_string_equal(sim_certificate_field(&sim, 0, "n"), "0"); /* of the one due last */
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* Nobody let it leave when its time came, and it is scheduled again: the new one takes its place,
 * also in what has yet to be taken in. */
static void late(bool taken_in, int64_t again_s, bool wiped)
{
    struct sim sim;
    struct sim_due due;
    struct sim_options options = {
        .seed = 1, .role = SIM_DISPATCHER, .partitions = 1, .recipients = 1};
    sim_init(&sim, &options);
    sim.options.nodes = 1;
    int64_t start_ms = sim_wall(&sim);
    sim_schedule(&sim, A, "m", start_ms + 600 * SECOND);
    sim_schedule(&sim, A, "m", start_ms + 650 * SECOND); /* a duplicate */
    sim_schedule(&sim, A, "n", start_ms + 600 * SECOND);
    if (taken_in) {
        sim_start(&sim, 0);
        sim_pass(&sim, SECOND);
        sim_kill_all(&sim);
    }
    memory_cluster_advance(sim.cluster, start_ms + 700 * SECOND - sim_wall(&sim));
    int64_t number = sim.produced;
    sim_schedule(&sim, A, "m", start_ms + again_s * SECOND);
    /* By this clock nothing is late, and the new one is read before the old one leaves. */
    sim_set_clock(&sim, 0, -600 * SECOND);
    sim_start(&sim, 0);
    sim_pass(&sim, SECOND);
    sim_set_clock(&sim, 0, 0);
    sim_pass(&sim, SECOND);
    assert_int_equal(sim_outcomes(&sim, COMMAND_REPLACED), 1);
    assert_string_equal(sim_due_messages(&sim, 0), again_s > 700 ? "n" : "n m");
    if (wiped) {
        sim_kill_all(&sim);
        sim_wipe_all(&sim);
        sim_start(&sim, 0);
        sim_pass(&sim, SECOND);
        assert_string_equal(rcode_name(sim_failure(&sim, 0)), "ok");
    }
    sim_must_drain(&sim);
    int64_t offset = 0;
    assert_true(sim_read_due(&sim, 0, &offset, &due) && sim_read_due(&sim, 0, &offset, &due));
    assert_int_equal(due.command.source_offset, number);
    assert_false(sim_read_due(&sim, 0, &offset, &due));
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void what_is_late_gives_way_to_a_new_one(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        late(i & 1, i & 2 ? 900 : 690, i & 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_story_ends_as_it_should),
        cmocka_unit_test(what_is_late_gives_way_to_a_new_one),
        cmocka_unit_test(a_command_repeated_for_ever_is_known_once),
        cmocka_unit_test(duplicates_within_one_transaction_are_ignored),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
