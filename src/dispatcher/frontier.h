/*
 * The frontier of a partition: what has left because its time came. A command is known by its
 * place, (due time, offset); timers leave in the order of places, so one place says it all: what
 * lies at it or before has left, what lies beyond has not. With it the pending commands follow from
 * the log.
 *
 * A clock set back needs more. Commands come that are not due by the clock, though the frontier has
 * passed their time; they must wait, and be told from those that left. So the frontier is a
 * descending staircase over offsets: from a certain offset on a lower place counts, until the clock
 * has climbed back to the step before. With a clock that is never set back there is one step.
 */
#pragma once
#include "base/str.h"
#include "store/timers.h"

#define FRONTIER_STEPS_MAX 8

struct frontier_step {
    int64_t from_offset; /* of commands at this offset or above */
    struct timer_place reached;
};

struct frontier {
    int count; /* at least 1; the first step is from offset 0 */
    struct frontier_step steps[FRONTIER_STEPS_MAX]; /* from_offset ascends, reached descends */
};

void frontier_init(struct frontier *frontier); /* nothing has left */

/* Whether the command at this place has left, if it was ever pending. */
bool frontier_passed(const struct frontier *frontier, struct timer_place place);

/* Everything pending up to `place` has left. */
void frontier_advance(struct frontier *frontier, struct timer_place place);

/* A step: commands from this offset on have left only up to `due_ms`. False: there are too many
 * steps. */
bool frontier_step_down(struct frontier *frontier, int64_t from_offset, int64_t due_ms);

/* "due,offset" and for each further step "/from:due,offset". */
#define FRONTIER_TEXT_MAX (FRONTIER_STEPS_MAX * 64)
size_t frontier_format(const struct frontier *frontier, char ret_text[FRONTIER_TEXT_MAX]);
bool frontier_parse(struct str text, struct frontier *ret_frontier);
