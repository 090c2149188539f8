/* The group, its offsets, and processes that stop in the wrong moment. */
#include "memory_fixture.h"

#define SESSION_MS 45000

struct world {
    struct memory_cluster *cluster;
    struct node a;
    struct node b;
};

static int setup(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    world->cluster = memory_cluster_new(NULL);
    memory_topic_create(world->cluster, TOPIC_BOUNCES, 3);
    memory_topic_create(world->cluster, TOPIC_RECIPIENTS, 3);
    memory_topic_create(world->cluster, TOPIC_NOTICES, 1);
    node_start(&world->a, world->cluster, "a");
    node_start(&world->b, world->cluster, "b");
    node_open(&world->a);
    node_open(&world->b);
    *state = world;
    return 0;
}

/* Both are members: a owns 0 and 1, b owns 2. */
static int setup_joined(void **state)
{
    setup(state);
    struct world *world = *state;
    node_expect(&world->a, "+0,1,2 ");
    node_expect(&world->b, "");
    node_expect(&world->a, "-0,1,2 +0,1 ");
    node_expect(&world->b, "+2 ");
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    memory_cluster_free(world->cluster);
    mem_free(world);
    return 0;
}

static int64_t committed(const struct world *w, int32_t partition)
{
    return memory_committed(w->cluster, GROUP, TOPIC_BOUNCES, partition, NULL);
}

/* --- membership --- */

static void everybody_gives_up_before_anybody_is_assigned(void **state)
{
    struct world *w = *state;
    node_expect(&w->a, "+0,1,2 ");
    assert_int_equal(memory_port_generation(w->a.port), 1);
    node_expect(&w->b, "");
    assert_true(memory_group_rebalancing(w->cluster, GROUP));
    node_expect(&w->b, "");
    node_expect(&w->a, "-0,1,2 +0,1 "); /* the last to join */
    node_expect(&w->b, "+2 ");
    node_expect(&w->a, "");
    assert_int_equal(memory_group_generation(w->cluster, GROUP), 2);
    assert_int_equal(memory_port_generation(w->b.port), 2);
}

static void rebalance_can_be_asked_for(void **state)
{
    struct world *w = *state;
    memory_group_rebalance(w->cluster, GROUP);
    node_expect(&w->b, "-2 ");
    node_expect(&w->a, "-0,1 +0,1 ");
    node_expect(&w->b, "+2 ");
}

static void member_without_partitions_hears_nothing(void **state)
{
    struct world *w = *state;
    struct node c;
    struct node d;
    node_start(&c, w->cluster, "c");
    node_start(&d, w->cluster, "d");
    node_expect(&c, "");
    node_expect(&d, "");
    node_expect(&w->a, "-0,1 ");
    node_expect(&w->b, "-2 +1 ");
    node_expect(&w->a, "+0 ");
    node_expect(&c, "+2 ");
    node_expect(&d, "");
    assert_int_equal(memory_port_generation(d.port), 3);
}

static void stalled_member_loses_its_partitions_after_the_session_timeout(void **state)
{
    struct world *w = *state;
    memory_port_stall(w->a.port);
    memory_cluster_advance(w->cluster, SESSION_MS - 1);
    node_expect(&w->b, "");
    memory_cluster_advance(w->cluster, 1);
    node_expect(&w->b, "-2 +0,1,2 ");
    memory_port_resume(w->a.port);
    node_expect(&w->a, "!0,1 "); /* and joins */
    node_expect(&w->b, "-0,1,2 +2 ");
    node_expect(&w->a, "+0,1 ");
}

static void stall_shorter_than_the_session_goes_unnoticed(void **state)
{
    struct world *w = *state;
    memory_port_stall(w->a.port);
    memory_cluster_advance(w->cluster, SESSION_MS - 1);
    memory_port_resume(w->a.port);
    memory_cluster_advance(w->cluster, SESSION_MS);
    node_expect(&w->a, "");
    node_expect(&w->b, "");
}

static void static_member_returns_to_its_partitions(void **state)
{
    struct world *w = *state;
    struct node again;
    memory_port_kill(w->a.port);
    memory_cluster_advance(w->cluster, SESSION_MS - 1);
    node_start(&again, w->cluster, "a");
    node_expect(&again, "+0,1 ");
    memory_cluster_advance(w->cluster, SESSION_MS);
    node_expect(&w->b, "");
    assert_int_equal(memory_group_generation(w->cluster, GROUP), 2);
}

static void freed_static_member_keeps_its_place(void **state)
{
    struct world *w = *state;
    w->a.port->ops->free(w->a.port);
    memory_cluster_advance(w->cluster, SESSION_MS - 1);
    node_expect(&w->b, "");
    assert_int_equal(memory_group_members(w->cluster, GROUP), 2);
    memory_cluster_advance(w->cluster, 1);
    node_expect(&w->b, "-2 +0,1,2 ");
}

static void second_member_with_the_same_instance_fences_the_first(void **state)
{
    struct world *w = *state;
    struct node twin;
    node_start(&twin, w->cluster, "a");
    node_expect(&twin, "+0,1 ");
    node_begin(&w->a);
    assert_int_equal(node_send_offset(&w->a, 0, 1, "m"), E_LOG_ABORTABLE);
    assert_int_equal(node_poll(&w->a, NULL, 0), E_INSTANCE_FENCED);
    assert_string_equal(w->a.told, "!0,1 ");
    assert_int_equal(node_poll(&w->a, NULL, 0), E_INSTANCE_FENCED);
    node_expect(&twin, "");
    node_expect(&w->b, "");
}

static void dead_member_holds_a_rebalance_up_until_its_session_ends(void **state)
{
    struct world *w = *state;
    struct node c;
    memory_port_kill(w->a.port);
    node_start(&c, w->cluster, "c");
    node_expect(&c, "");
    node_expect(&w->b, "-2 ");
    memory_cluster_advance(w->cluster, SESSION_MS - 1);
    node_expect(&c, "");
    memory_cluster_advance(w->cluster, 1);
    node_expect(&c, "+2 ");
    node_expect(&w->b, "+0,1 ");
}

static void dynamic_member_leaves_at_once(void **state)
{
    struct world *w = *state;
    struct node guest;
    node_start(&guest, w->cluster, NULL);
    node_expect(&guest, "");
    node_expect(&w->a, "-0,1 ");
    node_expect(&w->b, "-2 +1 ");
    node_expect(&guest, "+2 ");
    node_expect(&w->a, "+0 ");
    guest.port->ops->free(guest.port);
    node_expect(&w->a, "-0 ");
    node_expect(&w->b, "-1 +2 ");
    node_expect(&w->a, "+0,1 ");
}

static void grown_topic_is_shared_out_again(void **state)
{
    struct world *w = *state;
    memory_topic_grow(w->cluster, TOPIC_BOUNCES, 4);
    node_expect(&w->a, "-0,1 ");
    node_expect(&w->b, "-2 +2,3 ");
    node_expect(&w->a, "+0,1 ");
}

/* --- offsets --- */

static void zombie_cannot_send_offsets(void **state)
{
    struct world *w = *state;
    memory_port_stall(w->a.port);
    memory_cluster_advance(w->cluster, SESSION_MS);
    memory_port_resume(w->a.port);
    node_begin(&w->a);
    struct err err;
    struct port_commit commit = {TOPIC_BOUNCES, 0, 1, STR_NULL};
    assert_int_equal(w->a.port->ops->send_offsets(w->a.port, &commit, 1, &err), E_LOG_ABORTABLE);
    assert_non_null(strstr(err.text, "UNKNOWN_MEMBER_ID"));
    assert_int_equal(node_commit(&w->a), E_LOG_ABORTABLE);
    assert_int_equal(node_abort(&w->a), OK);
    assert_int_equal(committed(w, 0), -1);
}

static void old_generation_cannot_send_offsets(void **state)
{
    struct world *w = *state;
    memory_group_rebalance(w->cluster, GROUP);
    node_expect(&w->a, "-0,1 ");
    node_expect(&w->b, "-2 +2 ");
    node_begin(&w->a);
    struct err err;
    struct port_commit commit = {TOPIC_BOUNCES, 0, 1, STR_NULL};
    assert_int_equal(w->a.port->ops->send_offsets(w->a.port, &commit, 1, &err), E_LOG_ABORTABLE);
    assert_non_null(strstr(err.text, "ILLEGAL_GENERATION"));
}

static void commit_last_batch(struct node *node)
{
    node_begin(node);
    assert_int_equal(node_send_offset(node, 0, 7, "last"), OK);
    assert_int_equal(node_commit(node), OK);
}

static void revoked_member_may_commit_before_it_lets_go(void **state)
{
    struct world *w = *state;
    w->a.on_revoked = commit_last_batch;
    memory_group_rebalance(w->cluster, GROUP);
    node_expect(&w->b, "-2 ");
    node_expect(&w->a, "-0,1 +0,1 ");
    assert_int_equal(committed(w, 0), 7);
}

static void offsets_are_unstable_while_their_transaction_is_open(void **state)
{
    struct world *w = *state;
    const struct port_ops *ops = w->b.port->ops;
    struct port_committed c = {.partition = 1};
    assert_int_equal(ops->committed(w->b.port, &c, 1, NULL), OK);
    assert_int_equal(c.input_offset, -1);
    assert_int_equal(c.certificate_offset, -1);
    node_begin(&w->a);
    assert_int_equal(node_send_offset(&w->a, 1, 12, "v1 i=12"), OK);
    assert_int_equal(ops->committed(w->b.port, &c, 1, NULL), E_UNSTABLE_OFFSETS);
    c.partition = 0; /* another is not concerned */
    assert_int_equal(ops->committed(w->b.port, &c, 1, NULL), OK);
    assert_int_equal(node_commit(&w->a), OK);
    c.partition = 1;
    assert_int_equal(ops->committed(w->b.port, &c, 1, NULL), OK);
    assert_int_equal(c.input_offset, 12);
    assert_int_equal(c.certificate_offset, 12);
    assert_int_equal(c.metadata_len, 7);
    assert_string_equal(c.metadata, "v1 i=12");
}

static void aborted_offsets_change_nothing(void **state)
{
    struct world *w = *state;
    memory_commit_set(w->cluster, GROUP, &(struct port_commit){TOPIC_BOUNCES, 0, 5, STR("old")});
    node_begin(&w->a);
    assert_int_equal(node_send_offset(&w->a, 0, 12, "m"), OK);
    assert_int_equal(node_abort(&w->a), OK);
    struct port_committed c = {.partition = 0};
    assert_int_equal(w->b.port->ops->committed(w->b.port, &c, 1, NULL), OK);
    assert_int_equal(c.input_offset, 5);
    assert_int_equal(c.certificate_offset, -1);
}

static void offsets_can_be_rewound_and_removed(void **state)
{
    struct world *w = *state;
    struct str metadata;
    node_begin(&w->a);
    assert_int_equal(node_send_offset(&w->a, 0, 12, "m"), OK);
    assert_int_equal(node_commit(&w->a), OK);
    memory_commit_set(w->cluster, GROUP, &(struct port_commit){TOPIC_BOUNCES, 0, 3, STR_NULL});
    assert_int_equal(committed(w, 0), 3);
    assert_int_equal(memory_committed(w->cluster, GROUP, TOPIC_RECIPIENTS, 0, &metadata), 12);
    assert_true(str_equal(metadata, STR("m")));
    memory_commit_set(w->cluster, GROUP, &(struct port_commit){TOPIC_RECIPIENTS, 0, -1, STR_NULL});
    assert_int_equal(memory_committed(w->cluster, GROUP, TOPIC_RECIPIENTS, 0, &metadata), -1);
    assert_null(metadata.data);
}

static void offset_below_zero_is_misuse(void **state)
{
    struct world *w = *state;
    node_begin(&w->a);
    assert_int_equal(node_send_offset(&w->a, 0, -1, "m"), E_BUG);
    assert_non_null(memory_port_misuse(w->a.port));
}

/* --- reading the input --- */

static void assign_from(struct node *node, int32_t partition, int64_t offset)
{
    struct port_position from = {partition, offset};
    assert_int_equal(node->port->ops->assign(node->port, &from, 1, NULL), OK);
}

static void input_is_read_from_explicit_offsets(void **state)
{
    struct world *w = *state;
    char values[32];
    for (int i = 0; i < 4; i++)
        produce(w->cluster, TOPIC_BOUNCES, 0, "k", (const char *[]){"a", "b", "c", "d"}[i]);
    node_expect(&w->a, "");
    assign_from(&w->a, 0, 1);
    assert_int_equal(w->a.port->ops->position(w->a.port, 0), -1);
    assert_int_equal(node_poll(&w->a, values, sizeof values), OK);
    assert_string_equal(values, "bcd");
    assert_int_equal(w->a.port->ops->position(w->a.port, 0), 4);
    assign_from(&w->a, 0, 3);
    assert_int_equal(node_poll(&w->a, values, sizeof values), OK);
    assert_string_equal(values, "d");
    struct port_position foreign = {2, 0};
    assert_int_equal(w->a.port->ops->assign(w->a.port, &foreign, 1, NULL), E_BUG);
}

static void position_passes_markers(void **state)
{
    struct world *w = *state;
    char values[32];
    node_write(&w->b, TOPIC_BOUNCES, "k", "x");
    node_waste(&w->b, TOPIC_BOUNCES, "k", "no");
    assign_from(&w->a, 0, 0);
    assert_int_equal(node_poll(&w->a, values, sizeof values), OK);
    assert_string_equal(values, "x");
    assert_int_equal(w->a.port->ops->position(w->a.port, 0), 4);
}

static void position_out_of_range_is_reported_once(void **state)
{
    struct world *w = *state;
    struct port_record record;
    size_t count = 0;
    int32_t partition = -1;
    struct port *port = w->a.port;
    produce(w->cluster, TOPIC_BOUNCES, 1, "k", "a");
    produce(w->cluster, TOPIC_BOUNCES, 1, "k", "b");
    memory_topic_truncate(w->cluster, TOPIC_BOUNCES, 1, 1);
    assign_from(&w->a, 1, 0);
    assert_int_equal(port->ops->poll(port, 0, 1, &record, &count, &partition, NULL),
                     E_INPUT_TRUNCATED);
    assert_int_equal(partition, 1);
    assert_int_equal(port->ops->poll(port, 0, 1, &record, &count, &partition, NULL), OK);
    assert_int_equal(count, 0);
    memory_topic_recreate(w->cluster, TOPIC_BOUNCES, 3);
    assign_from(&w->a, 1, 2);
    assert_int_equal(port->ops->poll(port, 0, 1, &record, &count, &partition, NULL),
                     E_TOPIC_RECREATED);
    assert_int_equal(partition, 1);
}

static void revoked_partitions_are_no_longer_read(void **state)
{
    struct world *w = *state;
    char values[32];
    produce(w->cluster, TOPIC_BOUNCES, 0, "k", "x");
    assign_from(&w->a, 0, 0);
    memory_group_rebalance(w->cluster, GROUP);
    node_expect(&w->b, "-2 ");
    node_expect(&w->a, "-0,1 +0,1 ");
    assert_int_equal(node_poll(&w->a, values, sizeof values), OK);
    assert_string_equal(values, "");
}

static void only_an_idle_poll_takes_time(void **state)
{
    struct world *w = *state;
    struct port_record record;
    size_t count = 0;
    int32_t partition;
    struct port *port = w->a.port;
    produce(w->cluster, TOPIC_BOUNCES, 0, "k", "x");
    assign_from(&w->a, 0, 0);
    int64_t now_ms = memory_cluster_now(w->cluster);
    assert_int_equal(port->ops->poll(port, 100, 1, &record, &count, &partition, NULL), OK);
    assert_int_equal(memory_cluster_now(w->cluster), now_ms);
    assert_int_equal(port->ops->poll(port, 100, 1, &record, &count, &partition, NULL), OK);
    assert_int_equal(memory_cluster_now(w->cluster), now_ms + 100);
}

/* --- stopped in front of a call --- */

struct stop {
    enum memory_op op;
    struct world *world;
    int64_t ms;
};

/* Stops a for `ms`; b goes on meanwhile. */
static struct memory_fault stop_here(void *context, struct port *port, enum memory_op op,
                                     uint64_t call)
{
    struct stop *stop = context;
    (void)call;
    if (op != stop->op)
        return (struct memory_fault){0};
    memory_port_stall(port);
    memory_cluster_advance(stop->world->cluster, stop->ms);
    assert_int_equal(node_poll(&stop->world->b, NULL, 0), OK);
    memory_port_resume(port);
    return (struct memory_fault){0};
}

static void stop_before(struct stop *stop)
{
    memory_port_faults(stop->world->a.port, &(struct memory_faults){stop, stop_here, NULL});
    node_begin(&stop->world->a);
    assert_int_equal(node_send(&stop->world->a, TOPIC_NOTICES, 0, "k", "x"), OK);
}

static void process_stopped_before_its_offsets_cannot_send_them(void **state)
{
    struct world *w = *state;
    struct stop stop = {MEMORY_SEND_OFFSETS, w, SESSION_MS};
    stop_before(&stop);
    assert_int_equal(node_send_offset(&w->a, 0, 1, "m"), E_PRODUCER_FENCED); /* timed out, too */
    assert_string_equal(w->b.told + strlen(w->b.told) - 7, "+0,1,2 ");
    assert_int_equal(committed(w, 0), -1);
}

static void process_stopped_shortly_before_its_commit_commits(void **state)
{
    struct world *w = *state;
    struct stop stop = {MEMORY_COMMIT, w, 14000};
    stop_before(&stop);
    assert_int_equal(node_send_offset(&w->a, 0, 1, "m"), OK);
    assert_int_equal(node_commit(&w->a), OK);
    assert_int_equal(committed(w, 0), 1);
}

static void process_stopped_long_before_its_commit_is_fenced(void **state)
{
    struct world *w = *state;
    struct stop stop = {MEMORY_COMMIT, w, SESSION_MS};
    stop_before(&stop);
    assert_int_equal(node_send_offset(&w->a, 0, 1, "m"), OK);
    assert_int_equal(node_commit(&w->a), E_PRODUCER_FENCED);
    assert_int_equal(committed(w, 0), -1);
    expect_log(w->cluster, TOPIC_NOTICES, 0, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_JOINED(name) cmocka_unit_test_setup_teardown(name, setup_joined, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everybody_gives_up_before_anybody_is_assigned),
        TEST_JOINED(rebalance_can_be_asked_for),
        TEST_JOINED(member_without_partitions_hears_nothing),
        TEST_JOINED(stalled_member_loses_its_partitions_after_the_session_timeout),
        TEST_JOINED(stall_shorter_than_the_session_goes_unnoticed),
        TEST_JOINED(static_member_returns_to_its_partitions),
        TEST_JOINED(freed_static_member_keeps_its_place),
        TEST_JOINED(second_member_with_the_same_instance_fences_the_first),
        TEST_JOINED(dead_member_holds_a_rebalance_up_until_its_session_ends),
        TEST_JOINED(dynamic_member_leaves_at_once),
        TEST_JOINED(grown_topic_is_shared_out_again),
        TEST_JOINED(zombie_cannot_send_offsets),
        TEST_JOINED(old_generation_cannot_send_offsets),
        TEST_JOINED(revoked_member_may_commit_before_it_lets_go),
        TEST_JOINED(offsets_are_unstable_while_their_transaction_is_open),
        TEST_JOINED(aborted_offsets_change_nothing),
        TEST_JOINED(offsets_can_be_rewound_and_removed),
        TEST_JOINED(offset_below_zero_is_misuse),
        TEST_JOINED(input_is_read_from_explicit_offsets),
        TEST_JOINED(position_passes_markers),
        TEST_JOINED(position_out_of_range_is_reported_once),
        TEST_JOINED(revoked_partitions_are_no_longer_read),
        TEST_JOINED(only_an_idle_poll_takes_time),
        TEST_JOINED(process_stopped_before_its_offsets_cannot_send_them),
        TEST_JOINED(process_stopped_shortly_before_its_commit_commits),
        TEST_JOINED(process_stopped_long_before_its_commit_is_fenced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
