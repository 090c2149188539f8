/* Shared by sim.c and sim_oracle.c. */
#pragma once
#include "sim.h"

struct worker_options sim_worker_options(struct sim *sim, const char *state_dir);
