#!/usr/bin/env python3
"""Exactly once across kills at every crash point and at random moments, rebalances and a broker restart."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_chaos import FAILPOINTS, Chaos
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER, Pipeline

SEED = 20260
COUNT = 20000


def faults(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "faults")
    acts = [("failpoint", name) for name in FAILPOINTS]
    acts[3:3] = [("moment",)]
    acts[6:6] = [("guest",), ("restart_broker", False)]
    acts += [("guest",), ("all_at_once",), ("moment",)]
    chaos = Chaos(pipeline, pipeline.feeder(pipeline.stream(seed=SEED, count=COUNT)), SEED, acts, verbose=True)
    chaos.run()
    done = chaos.table()
    assert all(chaos.kills[name] for name in FAILPOINTS), "a crash point was never met"
    assert done["kills in all"] >= 10


if __name__ == "__main__":
    main(faults)
