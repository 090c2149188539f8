#include "sim_strike.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct memory_fault stumble(enum memory_op op, uint64_t call)
{
    if (op == MEMORY_SEND_OFFSETS && call == 2)
        return (struct memory_fault){MEMORY_FAULT_REFUSE, E_LOG_ABORTABLE};
    if (op == MEMORY_COMMIT && call == 3)
        return (struct memory_fault){MEMORY_FAULT_LOSE, E_LOG_UNKNOWN_OUTCOME};
    return (struct memory_fault){0};
}

static struct memory_fault decide(void *context, struct port *port, enum memory_op op,
                                  uint64_t call)
{
    struct sim_strike *strike = context;
    struct sim *sim = strike->sim;
    if (sim->nodes[strike->node].port != port || sim->nodes[strike->node].lives > 1)
        return (struct memory_fault){0};
    strike->calls[op] = call;
    if (op != strike->op || call != strike->call)
        return strike->stumbles ? stumble(op, call) : (struct memory_fault){0};
    strike->hit = true;
    if (strike->meanwhile) {
        sim_stall(sim, strike->node);
        strike->meanwhile(sim, strike->node);
        sim_resume(sim, strike->node);
    }
    return strike->fault;
}

void sim_strike_arm(struct sim_strike *strike, struct sim *sim)
{
    strike->sim = sim;
    sim->faults = (struct memory_faults){.context = strike, .decide = decide};
}

const char *sim_strike_text(const struct sim_strike *strike)
{
    static const char *const kinds[] = {[MEMORY_FAULT_NONE] = "stalled before",
                                        [MEMORY_FAULT_REFUSE] = "refused",
                                        [MEMORY_FAULT_LOSE] = "answer lost",
                                        [MEMORY_FAULT_KILL_BEFORE] = "killed before",
                                        [MEMORY_FAULT_KILL_AFTER] = "killed after"};
    static char text[128];
    snprintf(text, sizeof(text), "%s #%llu, %s (%s)", memory_op_name(strike->op),
             (unsigned long long)strike->call, kinds[strike->fault.kind],
             rcode_name(strike->fault.code));
    return text;
}

void sim_small_init(struct sim *sim, uint64_t seed)
{
    struct sim_options options = {.seed = seed,
                                  .role = sim_role(),
                                  .partitions = 2,
                                  .recipients = 6,
                                  .batch_records_max = 10,
                                  .map_size_initial = 64 << 10,
                                  .certificate_refresh_ms = 60000};
    sim_init(sim, &options);
    sim->options.nodes = 2;
}

void sim_small_story(struct sim *sim)
{
    sim_start(sim, 0);
    sim_feed(sim, 12);
    sim_step_all(sim, 14);
    sim_feed(sim, 15);
    sim_start(sim, 1);
    sim_step_all(sim, 14);
    memory_cluster_advance(sim->cluster, 61000);
    sim_step_all(sim, 3);
    sim_feed(sim, 12);
    sim_step_all(sim, 6);
}

void sim_finish(struct sim *sim, const char *what)
{
    sim_heal(sim);
    if (!sim_drain(sim, 20000))
        fail_msg("seed %llu, %s: does not come to rest", (unsigned long long)sim->options.seed,
                 what);
    if (sim_check(sim, true) < 0) {
        fprintf(stderr, "%s\n", what);
        sim_check(sim, false);
    }
}

void sim_small_calls(uint64_t seed, bool stumbles, uint64_t ret_calls[MEMORY_OP_COUNT])
{
    struct sim sim;
    struct sim_strike strike = {.stumbles = stumbles};
    sim_small_init(&sim, seed);
    sim_strike_arm(&strike, &sim);
    sim_small_story(&sim);
    memcpy(ret_calls, strike.calls, sizeof(strike.calls));
    sim_finish(&sim, "nothing strikes");
    sim_deinit(&sim);
}

/* As stream/memory_chaos.c has it, and what it leaves out. */
const enum rcode *sim_answers(enum memory_op op, bool done)
{
    static const enum rcode table[MEMORY_OP_COUNT][2][6] = {
        [MEMORY_POLL] = {{E_BROKER_UNREACHABLE, E_LOG_RETRIABLE}, {OK}},
        [MEMORY_ASSIGN] = {{E_LOG_RETRIABLE}, {E_LOG_RETRIABLE}},
        [MEMORY_PRODUCER_OPEN] = {{E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_FATAL},
                                  {E_TIMEOUT, E_LOG_FATAL}},
        [MEMORY_BEGIN] = {{E_LOG_FATAL}, {E_LOG_FATAL}},
        [MEMORY_SEND] = {{E_LOG_RETRIABLE, E_LOG_ABORTABLE, E_LOG_FATAL},
                         {E_LOG_ABORTABLE, E_LOG_FATAL}},
        [MEMORY_FLUSH] = {{E_TIMEOUT, E_LOG_ABORTABLE, E_LOG_FATAL},
                          {E_TIMEOUT, E_LOG_ABORTABLE, E_LOG_FATAL}},
        [MEMORY_SEND_OFFSETS] = {{E_LOG_RETRIABLE, E_LOG_ABORTABLE, E_PRODUCER_FENCED},
                                 {E_LOG_RETRIABLE, E_LOG_ABORTABLE, E_LOG_FATAL}},
        [MEMORY_COMMIT] = {{E_TIMEOUT, E_LOG_ABORTABLE, E_LOG_UNKNOWN_OUTCOME, E_PRODUCER_FENCED},
                           {E_TIMEOUT, E_LOG_UNKNOWN_OUTCOME, E_PRODUCER_FENCED, E_LOG_FATAL}},
        [MEMORY_ABORT] = {{E_TIMEOUT, E_LOG_FATAL}, {E_TIMEOUT, E_LOG_FATAL}},
        [MEMORY_COMMITTED] = {{E_TIMEOUT, E_UNSTABLE_OFFSETS}, {E_TIMEOUT}},
        [MEMORY_WATERMARKS] = {{E_TIMEOUT}, {E_TIMEOUT}},
        [MEMORY_RESTORE_ASSIGN] = {{E_LOG_RETRIABLE}, {E_LOG_RETRIABLE}},
        [MEMORY_RESTORE_POLL] = {{E_BROKER_UNREACHABLE}, {OK}},
        [MEMORY_PARTITION_COUNT] = {{E_TIMEOUT}, {E_TIMEOUT}},
        [MEMORY_CLUSTER_ID] = {{E_TIMEOUT}, {E_TIMEOUT}},
    };
    return table[op][done];
}
