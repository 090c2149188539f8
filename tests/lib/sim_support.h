/* Shared by the sim*.c files. */
#pragma once
#include "ingest/ingest.h"
#include "sim.h"

struct state_options sim_state_options(const struct sim *sim, const char *dir);
struct worker_options sim_worker_options(struct sim *sim, const char *state_dir);

/* From outside: by the transaction that is open, if any. */
void sim_put(struct sim *sim, const struct port_message *message, int64_t timestamp_ms);

#define SIM_TIMERS_PARTITIONS_MAX 16

/* Of ingest jobs: sim_ingest.c. */
struct ingest_options sim_ingest_options(void);
void sim_ingest_feed(struct sim *sim, int count);
int64_t sim_ingest_check(struct sim *sim, bool expect_failure);

/* Of dispatchers: sim_commands.c, and sim_timers.c. */
void sim_timers_feed(struct sim *sim, int count);
void sim_timers_watch(struct sim *sim); /* after every step */
int64_t sim_timers_check(struct sim *sim, int32_t without, bool expect_failure);
void sim_timers_deinit(struct sim *sim);
