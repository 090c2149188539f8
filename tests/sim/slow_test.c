/*
 * A broker that takes little: what a transaction writes needs so long that a full batch outlasts
 * the transaction's timeout. Batches must shrink until transactions end, and grow again afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim_scene.h"

#define RECORDS 3000

struct slow {
    struct sim *sim;
    int64_t record_ms; /* how long the broker needs for one */
    int64_t sent;
    int64_t largest; /* transaction, since it was last reset */
};

static struct memory_fault decide(void *context, struct port *port, enum memory_op op,
                                  uint64_t call)
{
    struct slow *slow = context;
    (void)port;
    (void)call;
    if (op == MEMORY_BEGIN)
        slow->sent = 0;
    if (op == MEMORY_SEND)
        slow->sent++;
    if (op == MEMORY_FLUSH) {
        if (slow->sent > slow->largest)
            slow->largest = slow->sent;
        memory_cluster_advance(slow->sim->cluster, slow->sent * slow->record_ms);
    }
    return (struct memory_fault){0};
}

static void a_slow_broker_gets_smaller_transactions(void **state)
{
    (void)state;
    for (int role = SIM_WORKER; role < SIM_ROLE_COUNT; role++) {
        struct sim sim;
        struct slow slow = {.sim = &sim, .record_ms = 20};
        struct sim_options options = {.seed = 1,
                                      .role = (enum sim_role)role,
                                      .partitions = 2,
                                      .recipients = 300,
                                      .batch_records_max = 100000};
        sim_init(&sim, &options);
        sim.options.nodes = 1;
        sim.faults = (struct memory_faults){.context = &slow, .decide = decide};
        sim_feed(&sim, RECORDS);
        sim_start(&sim, 0);
        sim_must_drain(&sim);
        assert_true(slow.largest > 800); /* the first one could never end */

        slow = (struct slow){.sim = &sim, .record_ms = 0};
        sim_feed(&sim, 200);
        sim_must_drain(&sim); /* a few quick ones */
        slow.largest = 0;
        sim_feed(&sim, RECORDS);
        sim_must_drain(&sim);
        assert_true(slow.largest > 500);
        sim_check(&sim, false);
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_broker_gets_smaller_transactions),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
