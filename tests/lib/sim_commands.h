/* Dispatchers: single commands, and what became of them. */
#pragma once
#include "sim.h"
#include "sim_scene.h"

/* The cluster's wall clock; a node's may differ by its offset. */
int64_t sim_wall(const struct sim *sim);

/* A command of the tenant "". Its id follows from recipient and message. */
struct retry_command sim_command(struct sim *sim, enum command_action action, const char *recipient,
                                 const char *message, int64_t due_ms);

/* Writes it now under its recipient's key, with headers of its own. Returns the offset. */
int64_t sim_put_command(struct sim *sim, const struct retry_command *command);
int64_t sim_schedule(struct sim *sim, const char *recipient, const char *message, int64_t due_ms);
int64_t sim_cancel(struct sim *sim, const char *recipient);
int64_t sim_release(struct sim *sim, const char *recipient);

/* Reads the due topic: as memory_read(). */
struct sim_due {
    struct port_record record;
    struct retry_command command;
};
bool sim_read_due(const struct sim *sim, int32_t partition, int64_t *inout_offset,
                  struct sim_due *ret_due);

/* The message ids in one partition of the due topic, in order, with blanks between. Static memory.
 */
const char *sim_due_messages(const struct sim *sim, int32_t partition);

/* So much time passes, while the nodes make their steps. */
void sim_pass(struct sim *sim, int64_t ms);

/* Of the nodes that run, since they were started. */
long long sim_outcomes(const struct sim *sim, enum command_outcome outcome);

/* One field of the committed certificate as text, "" for none. Static memory. */
const char *sim_certificate_field(const struct sim *sim, int32_t partition, const char *name);
