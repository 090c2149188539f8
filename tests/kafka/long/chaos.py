#!/usr/bin/env python3
"""The long form of test_worker_faults.py: a realistic load, every crash point, many random moments.

usage: chaos.py [--seed N] [--count N] [--moments N] [--load sample|adversary] [--threads N]
"""

import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_chaos import FAILPOINTS, Chaos
from kafka_harness import Scenario
from kafka_pipeline import BROKER, Pipeline

PARTITIONS = 4  # for each thread of a worker: more than there are members, so that each has one
BROKER_RESTARTS = 2


def acts(rng, moments):
    """Every crash point twice, random moments, guests that come and go all the time, broker restarts."""
    found = [("failpoint", name) for name in FAILPOINTS * 2] + [("moment",)] * moments
    found += [("both",)] * max(1, moments // 20)
    rng.shuffle(found)
    for at in range(len(found), 0, -2):
        found.insert(at, ("guest",))
    for number in range(BROKER_RESTARTS):
        found.insert((number + 1) * len(found) // (BROKER_RESTARTS + 1), ("restart_broker", number % 2 == 1))
    return found


def records_of(pipeline, options):
    if options.load == "sample":
        return pipeline.sample(options.count, options.seed, poison=2, duplicates=2, late=2)
    return pipeline.stream(options.seed, options.count)


def run(options, scenario):
    scenario.kafka(BROKER)
    pipeline = Pipeline(scenario, "chaos", PARTITIONS * options.threads, config={"worker": {"threads": options.threads}})
    records = records_of(pipeline, options)
    plan = acts(random.Random(options.seed), options.moments)
    print(f"{len(records)} records of load {options.load}, {len(plan)} acts, seed {options.seed}", flush=True)
    chaos = Chaos(pipeline, pipeline.feeder(records), options.seed, plan, verbose=True, texts=options.load == "sample")
    began = time.monotonic()
    try:
        verdict = chaos.run()
    finally:
        print()
        done = chaos.table()
    rows = {"records of the input": verdict.records, "outputs": verdict.outputs, "states": verdict.states,
            "dead letters": verdict.dead_letters, "reroutes": verdict.reroutes,
            **{f"written to {name}": count for name, count in verdict.written.items()},
            "seconds": round(time.monotonic() - began)}
    for name, count in rows.items():
        print(f"{name:36} {count:7d}")
    missed = [name for name in FAILPOINTS if not chaos.kills[name]]
    assert not missed, f"crash points never met: {missed}"
    assert done["kills at random"] >= options.moments
    print("the oracle finds nothing wrong")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200_000, help="records of the input")
    parser.add_argument("--moments", type=int, default=50, help="kills at a random moment")
    parser.add_argument("--load", choices=("sample", "adversary"), default="sample")
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    options = parser.parse_args()
    with Scenario("chaos") as scenario:
        run(options, scenario)


if __name__ == "__main__":
    main()
