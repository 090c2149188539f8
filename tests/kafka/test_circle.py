#!/usr/bin/env python3
"""Bounces, worker, delayed commands, dispatcher, sender, answers: the whole circle, while its processes are killed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_circle import ATTEMPTS, Circle, CircleChaos, FirstBounces
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER

SEED = 60260
COUNT = 4000


def circle(s: Scenario):
    """Everybody ends recovered or suppressed; the oracles of both roles find nothing wrong; traces go all the way."""
    s.kafka(BROKER)
    round_trip = Circle(s, "circle")
    round_trip.dispatch.apply()
    acts = [("failpoint", "after-produce"), ("kill_sender",), ("moment",), ("failpoint", "after-offsets"),
            ("second_sender",), ("moment",), ("failpoint", "during-commit"), ("kill_sender",), ("second_sender",),
            ("moment",), ("failpoint", "after-kafka-commit"), ("all_at_once",), ("failpoint", "mid-restore"),
            ("moment",), ("kill_sender",)]
    chaos = CircleChaos(round_trip, FirstBounces(round_trip, COUNT, SEED), SEED, acts, verbose=True)
    ending = chaos.run()
    done = chaos.table()
    assert chaos.sender.terminate() == 0, chaos.sender.log_tail()
    assert done["kills in all"] >= 12
    assert ending.statuses.keys() == {"ACTIVE", "SUPPRESSED"}, ending.statuses
    recovered = ending.recovered_at()
    assert all(recovered[attempt] > COUNT // 50 for attempt in range(1, ATTEMPTS + 1)), recovered
    assert ending.answered_again() > 0
    check_idle_end(round_trip)


def check_idle_end(round_trip):
    """A sender that finds nothing to do ends by itself, having written nothing."""
    before = round_trip.ends()
    mailer = round_trip.mailer("m2", "--idle", 1).start()
    assert mailer.wait_exit(30) == 0, mailer.log_tail()
    assert "answered: 0 delivered" in mailer.log_text(), mailer.log_tail()
    assert round_trip.ends() == before


if __name__ == "__main__":
    main(circle)
