/*
 * What still stands of the outputs of a replay, recipient by recipient: the last SuppressionEvent,
 * and the SCHEDULEs since the last CANCEL or RELEASE. To be written again where the live state is
 * replaced by another. A store for each partition, beside those of the replay.
 */
#pragma once
#include "codec/record.h"
#include "stream/port.h"
#include "stream/slots.h"

#define STANDING_COMMANDS_MAX 256 /* of a recipient; of more the latest are kept */

struct standing;

/* `state`, `topic` as the replay's, with another `app`. */
enum rcode standing_new(const struct state_options *state, const char *topic,
                        const struct codec_options *codec, struct standing **ret_standing,
                        struct err *err) WARN_UNUSED;
void standing_free(struct standing *standing); /* NULL allowed; deletes its stores */

enum rcode standing_open(struct standing *standing, int32_t partition, struct err *err) WARN_UNUSED;

/* As replay_options.sent and again: keeps a copy until it is stored or forgotten. */
void standing_sent(struct standing *standing, const struct port_message *message);
void standing_again(struct standing *standing);
/* What was sent since the last time, of one partition. */
enum rcode standing_store(struct standing *standing, int32_t partition,
                          struct err *err) WARN_UNUSED;

/* The outputs of a recipient, oldest first; spans live until the next call. */
enum rcode standing_read(struct standing *standing, int32_t partition, struct identity who,
                         const struct port_message **ret_messages, int *ret_count,
                         struct err *err) WARN_UNUSED;

/* SCHEDULEs that were beyond STANDING_COMMANDS_MAX. */
int64_t standing_dropped(const struct standing *standing);
