/* The log and its transactions. */
#include "memory_fixture.h"

struct world {
    struct memory_cluster *cluster;
    struct node a;
    struct node b;
};

static void start(struct world *world, int64_t marker_delay_max_ms)
{
    world->cluster = memory_cluster_new(
        &(struct memory_cluster_options){.seed = 1, .marker_delay_max_ms = marker_delay_max_ms});
    memory_topic_create(world->cluster, TOPIC_BOUNCES, 2);
    memory_topic_create(world->cluster, TOPIC_RECIPIENTS, 2);
    memory_topic_create(world->cluster, TOPIC_NOTICES, 2);
    node_start(&world->a, world->cluster, "a");
    node_start(&world->b, world->cluster, "b");
    node_open(&world->a);
    node_open(&world->b);
}

static int setup(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    start(world, 0);
    *state = world;
    return 0;
}

static int setup_delayed(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    start(world, 1000);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    memory_cluster_free(world->cluster);
    mem_free(world);
    return 0;
}

/* A second process with the transactional id of `a`. */
static void start_successor(struct world *world, struct node *successor)
{
    node_start(successor, world->cluster, "a");
    node_open(successor);
}

/* --- log --- */

static void markers_occupy_offsets(void **state)
{
    struct world *w = *state;
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 1, "k", "y"), OK);
    assert_int_equal(node_commit(&w->a), OK);
    node_waste(&w->a, TOPIC_NOTICES, "k", "no");
    node_write(&w->a, TOPIC_NOTICES, "k", "z");
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:x 4:z ");
    expect_log(w->cluster, TOPIC_NOTICES, 1, "0:y ");
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_NOTICES, 0).high, 6);
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_NOTICES, 1).high, 2);
}

static void open_transaction_holds_the_stable_offset(void **state)
{
    struct world *w = *state;
    produce(w->cluster, TOPIC_NOTICES, 0, "k", "0");
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "1"), OK);
    node_write(&w->b, TOPIC_NOTICES, "k", "2");
    struct port_watermarks marks;
    struct port *port = w->b.port;
    assert_int_equal(port->ops->watermarks(port, TOPIC_NOTICES, 0, &marks, NULL), OK);
    assert_int_equal(marks.stable, 1);
    assert_int_equal(marks.high, 4);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:0 ");
    assert_int_equal(node_commit(&w->a), OK);
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_NOTICES, 0).stable, 5);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:0 1:1 2:2 ");
}

static void records_keep_nulls_and_headers(void **state)
{
    struct world *w = *state;
    struct port_header headers[] = {{STR("source"), STR("7")}, {STR("none"), STR_NULL}};
    struct port_message message = {TOPIC_NOTICES, 0, STR("k"), STR_NULL, headers, 2, 0};
    node_begin(&w->a);
    assert_int_equal(w->a.port->ops->send(w->a.port, &message, NULL), OK);
    assert_int_equal(node_commit(&w->a), OK);
    message = (struct port_message){TOPIC_NOTICES, 0, STR_NULL, STR(""), NULL, 0, 0};
    memory_produce(w->cluster, &message, 5);

    struct port_record r[2];
    size_t count = 0;
    struct port_position from = {0, 0};
    struct port *port = w->b.port;
    assert_int_equal(port->ops->restore_assign(port, TOPIC_NOTICES, &from, 1, NULL), OK);
    assert_int_equal(port->ops->restore_poll(port, 0, 2, r, &count, NULL), OK);
    assert_int_equal(count, 2);
    assert_true(str_equal(r[0].key, STR("k")) && !r[0].value.data);
    assert_int_equal(r[0].header_count, 2);
    assert_true(str_equal(r[0].headers[0].name, STR("source")));
    assert_true(str_equal(r[0].headers[0].value, STR("7")) && !r[0].headers[1].value.data);
    assert_int_equal(r[0].timestamp_ms, port->ops->wall_ms(port));
    assert_true(!r[1].key.data && r[1].value.data && r[1].value.len == 0);
    assert_int_equal(r[1].timestamp_ms, 5);
}

/* Reads all that can be read from `offset` on. */
static size_t restore(struct node *node, int64_t offset)
{
    struct port_record records[RECORDS_MAX];
    size_t count = 0;
    struct port_position from = {0, offset};
    struct port *port = node->port;
    assert_int_equal(port->ops->restore_assign(port, TOPIC_RECIPIENTS, &from, 1, NULL), OK);
    assert_int_equal(port->ops->restore_position(port, 0), -1);
    assert_int_equal(port->ops->restore_poll(port, 0, RECORDS_MAX, records, &count, NULL), OK);
    return count;
}

static void restore_position_passes_aborted_tails(void **state)
{
    struct world *w = *state;
    node_write(&w->a, TOPIC_RECIPIENTS, "k", "x");
    node_waste(&w->a, TOPIC_RECIPIENTS, "k", "no");
    assert_int_equal(restore(&w->b, 0), 1);
    assert_int_equal(w->b.port->ops->restore_position(w->b.port, 0), 4);
    assert_int_equal(restore(&w->b, 1), 0);
    assert_int_equal(w->b.port->ops->restore_position(w->b.port, 0), 4);
    assert_int_equal(restore(&w->b, 4), 0); /* nothing to pass: not known */
    assert_int_equal(w->b.port->ops->restore_position(w->b.port, 0), -1);
}

static void restore_position_stops_at_the_stable_offset(void **state)
{
    struct world *w = *state;
    node_write(&w->a, TOPIC_RECIPIENTS, "k", "x");
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_RECIPIENTS, 0, "k", "y"), OK);
    assert_int_equal(restore(&w->b, 0), 1);
    assert_int_equal(w->b.port->ops->restore_position(w->b.port, 0), 2);
}

static void compaction_leaves_gaps_that_readers_pass(void **state)
{
    struct world *w = *state;
    node_write(&w->a, TOPIC_RECIPIENTS, "k", "0");
    node_write(&w->a, TOPIC_RECIPIENTS, "l", "2");
    node_waste(&w->a, TOPIC_RECIPIENTS, "k", "4");
    node_write(&w->a, TOPIC_RECIPIENTS, "k", "6");
    node_write(&w->a, TOPIC_RECIPIENTS, "l", NULL);
    node_begin(&w->b);
    assert_int_equal(node_send(&w->b, TOPIC_RECIPIENTS, 0, "k", "10"), OK);
    memory_topic_compact(w->cluster, TOPIC_RECIPIENTS, 0, false);
    expect_log(w->cluster, TOPIC_RECIPIENTS, 0, "6:6 8: ");
    memory_topic_compact(w->cluster, TOPIC_RECIPIENTS, 0, true);
    expect_log(w->cluster, TOPIC_RECIPIENTS, 0, "6:6 ");
    assert_int_equal(restore(&w->b, 0), 1);
    assert_int_equal(w->b.port->ops->restore_position(w->b.port, 0), 10);
    assert_int_equal(node_commit(&w->b), OK);
    memory_topic_compact(w->cluster, TOPIC_RECIPIENTS, 0, true);
    expect_log(w->cluster, TOPIC_RECIPIENTS, 0, "10:10 ");
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_RECIPIENTS, 0).high, 12);
}

static void truncated_changelog_is_an_error(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 5; i++)
        produce(w->cluster, TOPIC_RECIPIENTS, 0, "k", "v");
    memory_topic_truncate(w->cluster, TOPIC_RECIPIENTS, 0, 3);
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_RECIPIENTS, 0).log_start, 3);
    assert_int_equal(restore(&w->b, 3), 2);
    struct port_record record;
    size_t count = 0;
    struct port *port = w->b.port;
    for (int64_t offset = 2; offset <= 6; offset += 4) {
        struct port_position from = {0, offset};
        assert_int_equal(port->ops->restore_assign(port, TOPIC_RECIPIENTS, &from, 1, NULL), OK);
        assert_int_equal(port->ops->restore_poll(port, 0, 1, &record, &count, NULL),
                         E_CHANGELOG_TRUNCATED);
    }
}

/* --- transactions --- */

static void sent_next_is_behind_the_last_record(void **state)
{
    struct world *w = *state;
    const struct port_ops *ops = w->a.port->ops;
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_RECIPIENTS, 0, "k", "x"), OK);
    assert_int_equal(node_send(&w->a, TOPIC_RECIPIENTS, 0, "k", "y"), OK);
    assert_int_equal(ops->flush(w->a.port, NULL), OK);
    assert_int_equal(ops->sent_next(w->a.port, TOPIC_RECIPIENTS, 0), 2);
    assert_int_equal(ops->sent_next(w->a.port, TOPIC_RECIPIENTS, 1), -1);
    assert_null(memory_port_misuse(w->a.port));
    assert_int_equal(node_send(&w->a, TOPIC_RECIPIENTS, 0, "k", "z"), OK);
    assert_int_equal(ops->sent_next(w->a.port, TOPIC_RECIPIENTS, 0), -1);
    assert_non_null(memory_port_misuse(w->a.port));
}

static void fenced_producer_cannot_commit(void **state)
{
    struct world *w = *state;
    struct node successor;
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "zombie"), OK);
    start_successor(w, &successor);
    assert_int_equal(memory_cluster_open_transactions(w->cluster), 0);
    assert_int_equal(node_commit(&w->a), E_PRODUCER_FENCED);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "zombie"), E_PRODUCER_FENCED);
    node_write(&successor, TOPIC_NOTICES, "k", "new");
    expect_log(w->cluster, TOPIC_NOTICES, 0, "2:new ");
}

static void lost_commit_answer_is_committed(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_COMMIT, {MEMORY_FAULT_LOSE, E_LOG_UNKNOWN_OUTCOME}};
    node_plan(&w->a, &planned);
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_commit(&w->a), E_LOG_UNKNOWN_OUTCOME);
    w->a.port->ops->producer_close(w->a.port);
    node_open(&w->a);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:x ");
}

static void unknown_outcome_of_a_commit_that_never_arrived_is_aborted(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_COMMIT, {MEMORY_FAULT_REFUSE, E_LOG_UNKNOWN_OUTCOME}};
    node_plan(&w->a, &planned);
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_commit(&w->a), E_LOG_UNKNOWN_OUTCOME);
    assert_int_equal(memory_cluster_open_transactions(w->cluster), 1);
    w->a.port->ops->producer_close(w->a.port);
    node_open(&w->a);
    assert_int_equal(memory_cluster_open_transactions(w->cluster), 0);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "");
}

static void commit_can_be_repeated(void **state)
{
    struct world *w = *state;
    enum memory_fault_kind kinds[] = {MEMORY_FAULT_REFUSE, MEMORY_FAULT_LOSE};
    for (int i = 0; i < 2; i++) {
        struct planned planned = {MEMORY_COMMIT, {kinds[i], E_TIMEOUT}};
        node_plan(&w->a, &planned);
        node_begin(&w->a);
        assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
        assert_int_equal(node_commit(&w->a), E_TIMEOUT);
        assert_int_equal(node_commit(&w->a), OK);
    }
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:x 2:x ");
    assert_null(memory_port_misuse(w->a.port));
}

static void commit_that_must_be_repeated_cannot_be_aborted(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_COMMIT, {MEMORY_FAULT_LOSE, E_TIMEOUT}};
    node_plan(&w->a, &planned);
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_commit(&w->a), E_TIMEOUT);
    assert_int_equal(node_abort(&w->a), E_BUG);
    assert_non_null(memory_port_misuse(w->a.port));
}

static void done_commit_is_never_called_abortable(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_COMMIT, {MEMORY_FAULT_LOSE, E_LOG_ABORTABLE}};
    node_plan(&w->a, &planned);
    node_write(&w->a, TOPIC_NOTICES, "k", "x");
    planned = (struct planned){MEMORY_COMMIT, {MEMORY_FAULT_LOSE, E_TIMEOUT}};
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "y"), OK);
    assert_int_equal(node_commit(&w->a), E_TIMEOUT);
    planned = (struct planned){MEMORY_COMMIT, {MEMORY_FAULT_REFUSE, E_LOG_ABORTABLE}};
    assert_int_equal(node_commit(&w->a), OK);
}

static void abortable_transaction_can_only_be_aborted(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_FLUSH, {MEMORY_FAULT_LOSE, E_LOG_ABORTABLE}};
    node_plan(&w->a, &planned);
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(w->a.port->ops->flush(w->a.port, NULL), E_LOG_ABORTABLE);
    assert_int_equal(node_commit(&w->a), E_LOG_ABORTABLE);
    planned = (struct planned){MEMORY_ABORT, {MEMORY_FAULT_LOSE, E_TIMEOUT}};
    assert_int_equal(node_abort(&w->a), E_TIMEOUT);
    assert_int_equal(node_abort(&w->a), OK);
    node_write(&w->a, TOPIC_NOTICES, "k", "y");
    expect_log(w->cluster, TOPIC_NOTICES, 0, "2:y ");
}

static void failed_producer_fails_until_it_is_replaced(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_BEGIN, {MEMORY_FAULT_REFUSE, E_LOG_FATAL}};
    node_plan(&w->a, &planned);
    const struct port_ops *ops = w->a.port->ops;
    assert_int_equal(ops->begin(w->a.port, NULL), E_LOG_FATAL);
    assert_int_equal(ops->begin(w->a.port, NULL), E_LOG_FATAL);
    assert_int_equal(ops->producer_open(w->a.port, NULL), E_LOG_FATAL);
    ops->producer_close(w->a.port);
    planned = (struct planned){MEMORY_PRODUCER_OPEN, {MEMORY_FAULT_LOSE, E_TIMEOUT}};
    assert_int_equal(ops->producer_open(w->a.port, NULL), E_TIMEOUT);
    node_open(&w->a);
    node_write(&w->a, TOPIC_NOTICES, "k", "x");
    assert_null(memory_port_misuse(w->a.port));
}

static void transaction_times_out_and_its_owner_is_fenced(void **state)
{
    struct world *w = *state;
    node_begin(&w->a);
    memory_cluster_advance(w->cluster, 20000); /* begin alone is not known to the cluster */
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    memory_cluster_advance(w->cluster, 14999);
    assert_int_equal(memory_cluster_open_transactions(w->cluster), 1);
    memory_cluster_advance(w->cluster, 1);
    assert_int_equal(memory_cluster_open_transactions(w->cluster), 0);
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_NOTICES, 0).stable, 2);
    assert_int_equal(node_commit(&w->a), E_PRODUCER_FENCED);
    w->a.port->ops->producer_close(w->a.port);
    node_open(&w->a);
    node_write(&w->a, TOPIC_NOTICES, "k", "y");
    expect_log(w->cluster, TOPIC_NOTICES, 0, "2:y ");
}

static void commit_accepted_before_the_kill_is_committed(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_COMMIT, {MEMORY_FAULT_KILL_AFTER, OK}};
    node_plan(&w->a, &planned);
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_commit(&w->a), E_LOG_FATAL);
    assert_true(memory_port_killed(w->a.port));
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:x ");
}

static void killed_port_does_nothing_more(void **state)
{
    struct world *w = *state;
    struct planned planned = {MEMORY_SEND, {MEMORY_FAULT_KILL_BEFORE, OK}};
    node_plan(&w->a, &planned);
    const struct port_ops *ops = w->a.port->ops;
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), E_LOG_FATAL);
    ops->producer_close(w->a.port);
    assert_int_equal(ops->producer_open(w->a.port, NULL), E_LOG_FATAL);
    assert_int_equal(node_poll(&w->a, NULL, 0), E_LOG_FATAL);
    assert_int_equal(memory_watermarks(w->cluster, TOPIC_NOTICES, 0).high, 0);
    int64_t now_ms = memory_cluster_now(w->cluster);
    int64_t own_ms = ops->monotonic_ms(w->a.port);
    ops->wait(w->a.port, 100);
    assert_int_equal(memory_cluster_now(w->cluster), now_ms);
    assert_int_equal(ops->monotonic_ms(w->a.port), own_ms + 100);
}

static void markers_follow_the_outcome_one_by_one(void **state)
{
    struct world *w = *state;
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 1, "k", "y"), OK);
    assert_int_equal(node_commit(&w->a), OK);
    int apart = 0;
    for (int ms = 0; ms < 1000; ms++) {
        bool first = memory_watermarks(w->cluster, TOPIC_NOTICES, 0).stable == 2;
        bool second = memory_watermarks(w->cluster, TOPIC_NOTICES, 1).stable == 2;
        apart += first != second;
        memory_cluster_advance(w->cluster, 1);
    }
    assert_true(apart > 0);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:x ");
    expect_log(w->cluster, TOPIC_NOTICES, 1, "0:y ");
}

static void opening_waits_until_the_earlier_transaction_is_finished(void **state)
{
    struct world *w = *state;
    struct node successor;
    node_begin(&w->a);
    assert_int_equal(node_send(&w->a, TOPIC_NOTICES, 0, "k", "x"), OK);
    assert_int_equal(node_commit(&w->a), OK);
    memory_port_kill(w->a.port);
    node_start(&successor, w->cluster, "a");
    struct port *port = successor.port;
    assert_int_equal(port->ops->producer_open(port, NULL), E_LOG_RETRIABLE);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "");
    int calls = 0;
    while (port->ops->producer_open(port, NULL) == E_LOG_RETRIABLE)
        assert_true(++calls <= 100);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "0:x ");
    node_write(&successor, TOPIC_NOTICES, "k", "y");
}

static void clocks_are_virtual(void **state)
{
    struct world *w = *state;
    struct port *port =
        memory_port_new(w->cluster, &(struct memory_port_options){.wall_offset_ms = -5000,
                                                                  .monotonic_offset_ms = 77});
    int64_t wall_ms = w->b.port->ops->wall_ms(w->b.port);
    assert_int_equal(port->ops->wall_ms(port), wall_ms - 5000);
    assert_int_equal(port->ops->monotonic_ms(port), memory_cluster_now(w->cluster) + 77);
    port->ops->wait(port, 250);
    assert_int_equal(w->b.port->ops->wall_ms(w->b.port), wall_ms + 250);
}

static void facts_are_answered(void **state)
{
    struct world *w = *state;
    struct port *port = w->a.port;
    struct arena arena;
    arena_init(&arena);
    struct str id;
    int32_t count = 0;
    assert_int_equal(port->ops->cluster_id(port, &arena, &id, NULL), OK);
    assert_true(str_equal(id, STR("memory")));
    assert_int_equal(port->ops->partition_count(port, TOPIC_NOTICES, &count, NULL), OK);
    assert_int_equal(count, 2);
    assert_int_equal(port->ops->partition_count(port, TOPIC_DELAYED, &count, NULL), E_TOPICS);
    assert_string_equal(memory_op_name(MEMORY_SEND_OFFSETS), "send_offsets");
    arena_deinit(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_DELAYED(name) cmocka_unit_test_setup_teardown(name, setup_delayed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(markers_occupy_offsets),
        TEST(open_transaction_holds_the_stable_offset),
        TEST(records_keep_nulls_and_headers),
        TEST(restore_position_passes_aborted_tails),
        TEST(restore_position_stops_at_the_stable_offset),
        TEST(compaction_leaves_gaps_that_readers_pass),
        TEST(truncated_changelog_is_an_error),
        TEST(sent_next_is_behind_the_last_record),
        TEST(fenced_producer_cannot_commit),
        TEST(lost_commit_answer_is_committed),
        TEST(unknown_outcome_of_a_commit_that_never_arrived_is_aborted),
        TEST(commit_can_be_repeated),
        TEST(commit_that_must_be_repeated_cannot_be_aborted),
        TEST(done_commit_is_never_called_abortable),
        TEST(abortable_transaction_can_only_be_aborted),
        TEST(failed_producer_fails_until_it_is_replaced),
        TEST(transaction_times_out_and_its_owner_is_fenced),
        TEST(commit_accepted_before_the_kill_is_committed),
        TEST(killed_port_does_nothing_more),
        TEST_DELAYED(markers_follow_the_outcome_one_by_one),
        TEST_DELAYED(opening_waits_until_the_earlier_transaction_is_finished),
        TEST(clocks_are_virtual),
        TEST(facts_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
