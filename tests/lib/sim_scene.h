/* What scenarios do to a deployment from outside, and what they read off it. */
#pragma once
#include "sim.h"

/* Drains, or fails the test. */
void sim_must_drain(struct sim *sim);
/* Settles (see sim.h), or fails the test. */
void sim_must_settle(struct sim *sim);

/* SIGKILL for all; their sessions and transactions time out. */
void sim_kill_all(struct sim *sim);
void sim_wipe_all(struct sim *sim);
void sim_start_all(struct sim *sim);

/* As Kafka's tool does, while nobody runs. -1 removes it. */
void sim_set_input_offset(struct sim *sim, int32_t partition, int64_t offset);
void sim_remove_certificate(struct sim *sim, int32_t partition);

/* The text of the committed certificate; "" when there is none. */
void sim_certificate(const struct sim *sim, int32_t partition,
                     char ret_text[PORT_METADATA_MAX + 1]);

/* Records that a read_committed reader finds in one partition, or (-1) in all of a topic. */
int64_t sim_count(const struct sim *sim, enum topic topic, int32_t partition);
/* The same over all topics but the input. */
int64_t sim_count_outputs(const struct sim *sim);

/* A recipient of that partition: "p<n>@example.org". */
void sim_recipient_of(const struct sim *sim, int32_t partition, char ret_recipient[32]);
/* So many records of different recipients of that partition: bounces, or commands due in half a
 * second. */
void sim_feed_partition(struct sim *sim, int32_t partition, int count);
