/* What processors send: any record, patiently, and dead letters. */
#pragma once
#include "stream/processor.h"

/* Sends, waiting while the producer's queue is full. */
enum rcode outbox_send(struct port *port, const struct port_message *message,
                       struct err *err) WARN_UNUSED;

/* A trace goes on: what stands in the headers of the record that caused a message stands in those
 * of the message, but for our own. */
void outbox_copy_headers(const struct port_record *cause, struct arena *arena,
                         struct port_message *message);

/* Where dead letters come from and go to. */
struct dead_letters {
    const char *input;       /* name of the topic the record is from */
    int32_t partition_count; /* of the dead letters' topic */
};

/* The record as it came, and why nobody can use it (`why`, of DISPOSITION_REJECT), in headers. */
enum rcode outbox_dead_letter(struct port *port, const struct dead_letters *dead_letters,
                              const struct port_record *record, const struct err *why,
                              struct arena *arena, struct err *err) WARN_UNUSED;
