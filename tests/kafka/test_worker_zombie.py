#!/usr/bin/env python3
"""(d) A worker that was stopped beyond its session and its transaction, and two that claim one identity."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, main
from kafka_pipeline import Pipeline
from kafka_zombie import zombie


def worker_zombie(s: Scenario):
    def make(app, count):
        pipeline = Pipeline(s, app, partitions=2)
        return pipeline, pipeline.feeder(pipeline.stream(seed=301, count=count))

    zombie(s, make, rounds=3)


if __name__ == "__main__":
    main(worker_zombie)
