#!/usr/bin/env python3
"""A dispatcher that was stopped beyond its session and its transaction, and two that claim one identity."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_dispatch import Dispatch
from kafka_harness import Scenario, main
from kafka_zombie import zombie


def dispatcher_zombie(s: Scenario):
    def make(app, count):
        dispatch = Dispatch(s, app, partitions=2)
        return dispatch, dispatch.feeder(count, seed=311, recipients=500, delay_ms=1500)

    zombie(s, make, rounds=1)


if __name__ == "__main__":
    main(dispatcher_zombie)
