#!/usr/bin/env python3
"""Commands leave exactly once, and never early, across kills at every crash point and at random moments, rebalances and
a broker restart."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_chaos import FAILPOINTS, Chaos
from kafka_dispatch import Dispatch
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER

SEED = 40260
COUNT = 15000
DELAY_MS = 8000


def faults(s: Scenario):
    s.kafka(BROKER)
    dispatch = Dispatch(s, "faults", partitions=4)
    acts = [("failpoint", name) for name in FAILPOINTS]
    acts[3:3] = [("moment",)]
    acts[6:6] = [("guest",), ("restart_broker", False)]
    acts += [("all_at_once",), ("moment",)]
    feeder = dispatch.feeder(COUNT, SEED, recipients=600, delay_ms=DELAY_MS)
    chaos = Chaos(dispatch, feeder, SEED, acts, verbose=True)
    with dispatch.watched():
        verdict = chaos.run()
    done = chaos.table()
    print(f"       {verdict}", flush=True)
    assert all(chaos.kills[name] for name in FAILPOINTS), "a crash point was never met"
    assert done["kills in all"] >= 12
    assert verdict.counts["marks"] >= 20


if __name__ == "__main__":
    main(faults)
