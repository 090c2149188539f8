#include "stream/memory_cluster.h"

#define MILLION 1000000
#define CODES_MAX 5

const char *memory_op_name(enum memory_op op)
{
    static const char *const names[MEMORY_OP_COUNT] = {
#define X(constant, name) [constant] = name,
        MEMORY_OPS(X)
#undef X
    };
    return names[op];
}

/* What Kafka may answer without having done it, and having done it. OK ends a list; an empty list:
 * never. */
static const struct {
    enum rcode refused[CODES_MAX + 1];
    enum rcode lost[CODES_MAX + 1];
} codes[MEMORY_OP_COUNT] = {
    [MEMORY_POLL] = {{E_BROKER_UNREACHABLE, E_LOG_RETRIABLE}, {OK}},
    [MEMORY_ASSIGN] = {{OK}, {OK}},
    [MEMORY_PRODUCER_OPEN] = {{E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_FATAL},
                              {E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_FATAL}},
    [MEMORY_BEGIN] = {{E_LOG_FATAL}, {E_LOG_FATAL}},
    [MEMORY_SEND] = {{E_LOG_ABORTABLE, E_LOG_FATAL}, {E_LOG_ABORTABLE, E_LOG_FATAL}},
    [MEMORY_FLUSH] = {{E_TIMEOUT, E_LOG_ABORTABLE, E_LOG_FATAL},
                      {E_TIMEOUT, E_LOG_ABORTABLE, E_LOG_FATAL}},
    [MEMORY_SEND_OFFSETS] = {{E_LOG_RETRIABLE, E_LOG_ABORTABLE, E_PRODUCER_FENCED},
                             {E_LOG_RETRIABLE, E_LOG_ABORTABLE, E_LOG_FATAL}},
    [MEMORY_COMMIT] = {{E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_ABORTABLE, E_LOG_UNKNOWN_OUTCOME,
                        E_PRODUCER_FENCED},
                       {E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_UNKNOWN_OUTCOME, E_PRODUCER_FENCED,
                        E_LOG_FATAL}},
    [MEMORY_ABORT] = {{E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_FATAL},
                      {E_TIMEOUT, E_LOG_RETRIABLE, E_LOG_FATAL}},
    [MEMORY_COMMITTED] = {{E_TIMEOUT, E_UNSTABLE_OFFSETS}, {E_TIMEOUT}},
    [MEMORY_WATERMARKS] = {{E_TIMEOUT}, {E_TIMEOUT}},
    [MEMORY_RESTORE_ASSIGN] = {{OK}, {OK}},
    [MEMORY_RESTORE_POLL] = {{E_BROKER_UNREACHABLE}, {OK}},
    [MEMORY_PARTITION_COUNT] = {{E_TIMEOUT}, {E_TIMEOUT}},
    [MEMORY_CLUSTER_ID] = {{E_TIMEOUT}, {E_TIMEOUT}},
};

static struct memory_fault pick(struct memory_chaos *chaos, enum memory_fault_kind kind,
                                const enum rcode *list)
{
    size_t count = 0;
    while (list[count] != OK)
        count++;
    if (count == 0)
        return (struct memory_fault){0};
    return (struct memory_fault){kind, list[memory_random(&chaos->state) % count]};
}

static struct memory_fault decide(void *context, struct port *port, enum memory_op op,
                                  uint64_t call)
{
    struct memory_chaos *chaos = context;
    (void)port;
    (void)call;
    if (chaos->off)
        return (struct memory_fault){0};
    const struct memory_chaos_rates *rates = &chaos->rates[op];
    uint64_t draw = memory_random(&chaos->state) % MILLION;
    uint64_t below_lose = (uint64_t)rates->refuse + rates->lose;
    if (draw < rates->refuse)
        return pick(chaos, MEMORY_FAULT_REFUSE, codes[op].refused);
    if (draw < below_lose)
        return pick(chaos, MEMORY_FAULT_LOSE, codes[op].lost);
    if (draw >= below_lose + rates->kill)
        return (struct memory_fault){0};
    bool after = memory_random(&chaos->state) & 1;
    return (struct memory_fault){after ? MEMORY_FAULT_KILL_AFTER : MEMORY_FAULT_KILL_BEFORE, OK};
}

void memory_chaos_init(struct memory_chaos *chaos, uint64_t seed, struct memory_chaos_rates rates)
{
    *chaos = (struct memory_chaos){.state = seed};
    for (int op = 0; op < MEMORY_OP_COUNT; op++)
        chaos->rates[op] = rates;
    chaos->rates[MEMORY_SEND] = (struct memory_chaos_rates){
        .refuse = rates.refuse / 100,
        .lose = rates.lose / 100,
        .kill = rates.kill / 100,
    };
}

struct memory_faults memory_chaos_faults(struct memory_chaos *chaos)
{
    return (struct memory_faults){.context = chaos, .decide = decide};
}
