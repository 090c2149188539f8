/* Writes records to the input topic, each to its recipient's partition: what `ingest` and the
 * overrides have in common. Not transactional: a record that is written twice counts once, by its
 * event id. */
#pragma once
#include "cli/deployment.h"
#include "codec/record.h"

struct input_writer;

/* Both must outlive it. E_TOPICS, and what reaching the broker may give. */
enum rcode input_writer_open(const struct deployment *deployment, struct codec *codec,
                             struct input_writer **ret_writer, struct err *err) WARN_UNUSED;
void input_writer_close(struct input_writer *writer); /* NULL is allowed */

/* `who` is the record's recipient in its canonical form. */
enum rcode input_writer_put(struct input_writer *writer, const struct input_record *record,
                            struct identity who, struct err *err) WARN_UNUSED;

/* Waits until all is written; what was not is an error. */
enum rcode input_writer_flush(struct input_writer *writer, struct err *err) WARN_UNUSED;
