/* The scenarios of port_probe; each starts on topics of its own that are empty. */
#pragma once

#define SCENARIOS(X)                                                                               \
    X(records_keep_what_was_sent)                                                                  \
    X(aborted_records_are_not_read)                                                                \
    X(offsets_and_certificates_come_back)                                                          \
    X(unstable_offsets_are_not_no_offsets)                                                         \
    X(a_zombie_is_fenced)                                                                          \
    X(a_dead_owner_holds_up_its_heir_no_longer)                                                    \
    X(a_dead_stranger_holds_up_until_its_timeout)                                                  \
    X(a_record_too_large_is_named)                                                                 \
    X(a_missing_topic_is_told)                                                                     \
    X(restoring_passes_compacted_records)                                                          \
    X(assign_is_followed_by_its_offset)                                                            \
    X(position_passes_what_is_not_returned)                                                        \
    X(poll_waits_for_the_first_record_only)                                                        \
    X(a_second_member_takes_half)                                                                  \
    X(the_last_owner_of_an_instance_wins)                                                          \
    X(a_position_out_of_range_is_told)                                                             \
    X(a_broker_that_restarts_loses_nothing)                                                        \
    X(topics_are_made_and_mended)                                                                  \
    X(tools_read_what_tools_wrote)                                                                 \
    X(properties_that_matter_are_refused)                                                          \
    X(speed)

#define X(name) void name(void);
SCENARIOS(X)
#undef X
