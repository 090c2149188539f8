/*
 * What has to be written so that one recipient's live state becomes another, and so that those who
 * follow the outputs come to the same: senders that suppress, the dispatcher that holds commands.
 * Pure but for the sending.
 *
 *   state          into the recipients topic; a tombstone where nothing shall be known
 *   suppressed     the SuppressionEvent that the replay made, with its id
 *   no longer      likewise, if the replay made a REINSTATE; else one of reason MANUAL
 *   other schedule CANCEL of what is pending, then the SCHEDULEs that stand in the replay and are
 *                  not over: such as are still to come, and those of the pending attempt that were
 *                  never sent
 *
 * Notices are not written: they speak to people, of what is over.
 */
#pragma once
#include "replay/compare.h"
#include "stream/port.h"

struct correction {
    struct codec *codec;
    const struct policy_set *policies; /* of the wanted state */
    int32_t partition;
    const int32_t *partition_counts; /* by topic */
    int64_t stream_time_ms;          /* time of what is made here */
    int64_t now_ms;                  /* by the wall clock: what is due before is over */
    struct buf *value;               /* scratch */
    void *context;
    enum rcode (*send)(void *context, const struct port_message *message, struct err *err);
};

/* `standing`: what stands of the recipient's outputs in the replay (standing.h). */
enum rcode correct_recipient(const struct correction *correction,
                             const struct difference *difference,
                             const struct port_message *standing, int standing_count,
                             struct err *err) WARN_UNUSED;

/* Number and digest of a partition's states, once the live one of the recipient is the wanted. */
void correct_account(const struct difference *difference, uint64_t *inout_entries,
                     uint64_t *inout_digest);
