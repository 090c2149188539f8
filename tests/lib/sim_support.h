/* Shared by sim.c and sim_oracle.c. */
#pragma once
#include "sim.h"

struct state_options sim_state_options(const struct sim *sim, const char *dir);
struct worker_options sim_worker_options(struct sim *sim, const char *state_dir);
