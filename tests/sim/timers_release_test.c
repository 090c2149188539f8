/*
 * What leaves, and when: at its time however long others wait, in order and in bounded transactions
 * when much is overdue, at once when it is released, not at all when it is cancelled before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_commands.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define A "a@example.org"

static void init(struct sim *sim, uint64_t seed, int32_t partitions, size_t batch_max)
{
    struct sim_options options = {.seed = seed,
                                  .role = SIM_DISPATCHER,
                                  .partitions = partitions,
                                  .recipients = 30,
                                  .batch_records_max = batch_max,
                                  .delay_ms_max = 400 * DAY};
    sim_init(sim, &options);
    sim->options.nodes = 1;
}

static void schedule_one(struct sim *sim, int number, int64_t due_ms)
{
    char recipient[32], message[32];
    snprintf(recipient, sizeof(recipient), "p%d@example.org", number);
    snprintf(message, sizeof(message), "m%d", number);
    sim_schedule(sim, recipient, message, due_ms);
}

/* --- in time --- */

/* Nobody stands in the queue of those that wait for a year. */
static void short_delays_do_not_wait_for_long_ones(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_due due;
    init(&sim, 1, 2, 100);
    sim_start(&sim, 0);
    for (int i = 0; i < 1500; i++) {
        bool short_one = i % 3 == 0;
        schedule_one(&sim, i,
                     sim_wall(&sim) + (short_one ? (int64_t)sim_random(&sim, 20) * SECOND
                                                 : (int64_t)(400 - sim_random(&sim, 100)) * DAY));
        if (i % 10 == 0)
            sim_pass(&sim, 100);
    }
    sim_pass(&sim, 21 * SECOND);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), 500);
    for (int32_t p = 0; p < 2; p++)
        for (int64_t offset = 0; sim_read_due(&sim, p, &offset, &due);) {
            int64_t written_ms = due.command.issued_at_ms;
            int64_t wanted_ms =
                due.command.due_at_ms > written_ms ? due.command.due_at_ms : written_ms;
            assert_in_range(due.record.timestamp_ms - wanted_ms, 0, 500);
        }
    memory_cluster_advance(sim.cluster, 299 * DAY);
    sim_pass(&sim, SECOND);
    assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), 500);
    for (int day = 299; day < 401; day++) {
        memory_cluster_advance(sim.cluster, DAY);
        sim_pass(&sim, 2 * SECOND);
    }
    assert_int_equal(sim_count(&sim, TOPIC_DUE, -1), 1500);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* --- overload --- */

struct watch {
    int64_t now_ms; /* of the last begin */
    size_t sent, most;
    size_t transactions;
};

static struct memory_fault count_sends(void *context, struct port *port, enum memory_op op,
                                       uint64_t call)
{
    struct watch *watch = context;
    (void)port;
    (void)call;
    if (op == MEMORY_BEGIN) {
        watch->sent = 0;
        watch->transactions++;
    }
    if (op == MEMORY_SEND && ++watch->sent > watch->most)
        watch->most = watch->sent;
    return (struct memory_fault){0};
}

static void assert_in_order(const struct sim *sim, int32_t partition)
{
    struct sim_due due;
    int64_t last_ms = 0;
    for (int64_t offset = 0; sim_read_due(sim, partition, &offset, &due);) {
        assert_true(due.command.due_at_ms >= last_ms);
        last_ms = due.command.due_at_ms;
    }
}

/* Nobody ran for days, and a lot is overdue. */
static void what_is_overdue_leaves_in_order_and_in_pieces(void **state)
{
    (void)state;
    for (uint64_t seed = sim_seed_first(); seed <= sim_seed_last(3); seed++) {
        struct sim sim;
        struct watch watch = {.most = 0};
        const int32_t partitions = 3;
        const int64_t many = 900;
        init(&sim, seed, partitions, 70);
        sim_start(&sim, 0);
        for (int i = 0; i < many; i++)
            schedule_one(&sim, i, sim_wall(&sim) + HOUR + (int64_t)sim_random(&sim, 3 * DAY));
        sim_pass(&sim, 5 * SECOND);
        sim_kill_all(&sim);
        if (seed % 2)
            sim_wipe_all(&sim);
        memory_cluster_advance(sim.cluster, 4 * DAY);
        sim.faults = (struct memory_faults){.context = &watch, .decide = count_sends};
        sim_start(&sim, 0);
        const struct dispatcher_stats *stats = dispatcher_stats(sim.nodes[0].worker);
        int64_t left = 0, first_left[8] = {0};
        for (int step = 0; left < many && step < 2000; step++) {
            sim_step(&sim, 0);
            left = sim_count(&sim, TOPIC_DUE, -1);
            if (left == 0)
                continue;
            for (int32_t p = 0; p < partitions; p++)
                if (!first_left[p] && sim_count(&sim, TOPIC_DUE, p))
                    first_left[p] = left;
            assert_int_equal(atomic_load(&stats->pending), many - left);
            if (left < many)
                assert_true(atomic_load(&stats->next_due_ms) < sim_wall(&sim) - HOUR);
        }
        assert_int_equal(left, many);
        assert_true(atomic_load(&stats->next_due_ms) == INT64_MAX);
        assert_int_equal(watch.most, 70);
        assert_int_equal(watch.transactions, (many + 69) / 70);
        for (int32_t p = 0; p < partitions; p++) {
            assert_in_order(&sim, p);
            /* None waits until another is through. */
            assert_true(first_left[p] <= 70);
        }
        sim_must_drain(&sim);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

/* Fewer in a transaction than there are partitions. */
static void every_partition_gets_its_turn(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 1, 5, 2);
    for (int i = 0; i < 200; i++)
        schedule_one(&sim, i, sim_wall(&sim) + HOUR);
    sim_start(&sim, 0);
    sim_pass(&sim, 60 * SECOND);
    memory_cluster_advance(sim.cluster, 2 * HOUR);
    for (int step = 0; step < 40; step++)
        sim_step(&sim, 0);
    assert_in_range(sim_count(&sim, TOPIC_DUE, -1), 20, 100);
    for (int32_t p = 0; p < 5; p++)
        assert_true(sim_count(&sim, TOPIC_DUE, p) >= 4);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* New commands come while old ones are overdue: neither waits for the other to be through. */
static void new_commands_are_taken_in_while_much_is_overdue(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 2, 1, 50);
    sim_start(&sim, 0);
    for (int i = 0; i < 1000; i++)
        schedule_one(&sim, i, sim_wall(&sim) + HOUR);
    sim_pass(&sim, 10 * SECOND);
    memory_cluster_advance(sim.cluster, 2 * HOUR);
    for (int i = 0; i < 10; i++) {
        schedule_one(&sim, 2000 + i, sim_wall(&sim) + SECOND);
        sim_step(&sim, 0);
    }
    int64_t left = sim_count(&sim, TOPIC_DUE, 0);
    assert_in_range(left, 50, 900);
    assert_int_equal(memory_committed(sim.cluster, sim_group(&sim), TOPIC_DELAYED, 0, NULL),
                     memory_watermarks(sim.cluster, TOPIC_DELAYED, 0).high);
    sim_must_drain(&sim);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* --- CANCEL and RELEASE --- */

static void what_has_left_cannot_be_cancelled(void **state)
{
    (void)state;
    struct sim sim;
    init(&sim, 3, 1, 50);
    sim_start(&sim, 0);
    sim_schedule(&sim, A, "m", sim_wall(&sim) + SECOND);
    sim_pass(&sim, 3 * SECOND);
    sim_cancel(&sim, A);
    sim_release(&sim, A);
    sim_cancel(&sim, "b@example.org");
    sim_pass(&sim, SECOND);
    assert_string_equal(sim_due_messages(&sim, 0), "m");
    assert_int_equal(sim_outcomes(&sim, COMMAND_RELEASED), 1);
    assert_int_equal(sim_outcomes(&sim, COMMAND_CANCELLED), 0);
    assert_int_equal(sim_outcomes(&sim, COMMAND_FREED), 0);
    assert_int_equal(sim_outcomes(&sim, COMMAND_VOID), 3);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void everything_of_a_recipient_is_released_at_once(void **state)
{
    (void)state;
    struct sim sim;
    struct sim_due due;
    init(&sim, 4, 1, 50);
    sim_start(&sim, 0);
    sim_schedule(&sim, A, "m3", sim_wall(&sim) + 300 * DAY);
    sim_schedule(&sim, A, "m1", sim_wall(&sim) + 30 * SECOND);
    sim_schedule(&sim, A, "m2", sim_wall(&sim) + HOUR);
    sim_schedule(&sim, "b@example.org", "n", sim_wall(&sim) + 60 * SECOND);
    sim_pass(&sim, SECOND);
    assert_string_equal(sim_due_messages(&sim, 0), "");
    sim_schedule(&sim, A, "m4", sim_wall(&sim) + 301 * DAY); /* in the same transaction */
    sim_release(&sim, A);
    sim_pass(&sim, 300);
    assert_string_equal(sim_due_messages(&sim, 0), "m1 m2 m3 m4");
    assert_int_equal(sim_outcomes(&sim, COMMAND_FREED), 4);
    for (int64_t offset = 0; sim_read_due(&sim, 0, &offset, &due);)
        assert_in_range(sim_wall(&sim) - due.record.timestamp_ms, 0, 300);
    assert_string_equal(sim_certificate_field(&sim, 0, "n"), "1");
    sim_must_drain(&sim);
    assert_string_equal(sim_due_messages(&sim, 0), "m1 m2 m3 m4 n");
    sim_check(&sim, false);
    sim_deinit(&sim);
}

/* One transaction takes all of them in. Due later, due already, and due already by a frontier that
 * is beyond: then it could leave the moment it comes. */
struct plot {
    const char *actions; /* S, C, R */
    const char *sent;
};

static void in_one_transaction(const struct plot *plot, int64_t due_in_ms, bool frontier_beyond)
{
    struct sim sim;
    struct watch watch = {.most = 0};
    char name[2] = "0";
    init(&sim, 5, 1, 50);
    if (frontier_beyond) {
        sim_start(&sim, 0);
        sim_schedule(&sim, "b@example.org", "b", sim_wall(&sim));
        sim_pass(&sim, SECOND);
        sim_kill_all(&sim);
    }
    sim.faults = (struct memory_faults){.context = &watch, .decide = count_sends};
    int64_t due_ms = sim_wall(&sim) + due_in_ms;
    for (const char *action = plot->actions; *action; action++) {
        if (*action == 'C')
            sim_cancel(&sim, A);
        else if (*action == 'R')
            sim_release(&sim, A);
        else
            sim_schedule(&sim, A, name, due_ms);
        name[0]++;
    }
    sim_start(&sim, 0);
    sim_step_all(&sim, 4);
    size_t transactions = watch.transactions;
    sim_must_drain(&sim);
    const char *sent = sim_due_messages(&sim, 0);
    sent += frontier_beyond ? strcspn(sent, " ") : 0;
    sent += *sent == ' ';
    if (strcmp(sent, plot->sent) != 0)
        fail_msg("%s, due in %lld ms: sent is '%s', not '%s'", plot->actions, (long long)due_in_ms,
                 sent, plot->sent);
    assert_true(transactions <= 2); /* the certificate of the start, and the records */
    sim_check(&sim, false);
    sim_deinit(&sim);
}

static void within_a_transaction_the_order_of_records_counts(void **state)
{
    (void)state;
    static const struct plot plots[] = {
        {"SC", ""},     {"SRC", "0"},    {"SCR", ""},      {"SSC", ""},       {"CS", "1"},
        {"RS", "1"},    {"SCS", "2"},    {"SRS", "0 2"},   {"SRSC", "0"},     {"SRCSR", "0 3"},
        {"SCSRC", "2"}, {"SSRC", "0 1"}, {"SRSRC", "0 2"}, {"SRCSRC", "0 3"}, {"SRR", "0"},
    };
    for (size_t i = 0; i < sizeof(plots) / sizeof(plots[0]); i++)
        for (int beyond = 0; beyond < 2; beyond++) {
            in_one_transaction(&plots[i], HOUR / 60, beyond);
            in_one_transaction(&plots[i], 0, beyond);
            in_one_transaction(&plots[i], -DAY, beyond);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_delays_do_not_wait_for_long_ones),
        cmocka_unit_test(what_is_overdue_leaves_in_order_and_in_pieces),
        cmocka_unit_test(every_partition_gets_its_turn),
        cmocka_unit_test(new_commands_are_taken_in_while_much_is_overdue),
        cmocka_unit_test(what_has_left_cannot_be_cancelled),
        cmocka_unit_test(everything_of_a_recipient_is_released_at_once),
        cmocka_unit_test(within_a_transaction_the_order_of_records_counts),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
