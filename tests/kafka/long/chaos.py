#!/usr/bin/env python3
"""The long form of test_worker_faults.py, test_dispatcher_faults.py and test_circle.py: every crash point, many random
moments.

usage: chaos.py [--role worker|dispatcher|circle] [--seed N] [--count N] [--moments N] [--load sample|adversary]
                [--threads N]
"""

import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_chaos import FAILPOINTS, Chaos
from kafka_circle import ATTEMPTS, Circle, CircleChaos, FirstBounces
from kafka_dispatch import Dispatch
from kafka_harness import Scenario
from kafka_pipeline import BROKER, Pipeline

PARTITIONS = 4  # for each thread of a worker: more than there are members, so that each has one
BROKER_RESTARTS = 2
DELAY_MS = 60_000
DEFAULTS = {"worker": (200_000, 50), "dispatcher": (200_000, 30), "circle": (30_000, 30)}  # records, moments
NOT_MET = {"circle": ("on-revoke",)}  # without guests nothing is revoked


def acts(rng, options):
    """Every crash point twice, random moments, guests that come and go all the time, broker restarts."""
    points = [name for name in FAILPOINTS if name not in NOT_MET.get(options.role, ())]
    found = [("failpoint", name) for name in points * 2] + [("moment",)] * options.moments
    found += [("all_at_once",)] * max(1, options.moments // 20)
    if options.role == "circle":
        found += [("kill_sender",)] * (options.moments // 3) + [("second_sender",)] * (options.moments // 6)
    rng.shuffle(found)
    if options.role != "circle":
        for at in range(len(found), 0, -2):
            found.insert(at, ("guest",))
    for number in range(BROKER_RESTARTS):
        found.insert((number + 1) * len(found) // (BROKER_RESTARTS + 1), ("restart_broker", number % 2 == 1))
    return found, points


def chaos_of_worker(scenario, options, plan):
    pipeline = Pipeline(scenario, "chaos", PARTITIONS * options.threads,
                        config={"worker": {"threads": options.threads}})
    if options.load == "sample":
        records = pipeline.sample(options.count, options.seed, poison=2, duplicates=2, late=2)
    else:
        records = pipeline.stream(options.seed, options.count)
    return Chaos(pipeline, pipeline.feeder(records), options.seed, plan, verbose=True, texts=options.load == "sample")


def chaos_of_dispatcher(scenario, options, plan):
    dispatch = Dispatch(scenario, "chaos", partitions=PARTITIONS * options.threads,
                        config={"dispatcher": {"threads": options.threads}})
    feeder = dispatch.feeder(options.count, options.seed, recipients=options.count // 50, delay_ms=DELAY_MS)
    return Chaos(dispatch, feeder, options.seed, plan, verbose=True)


def chaos_of_circle(scenario, options, plan):
    circle = Circle(scenario, "chaos", PARTITIONS)
    circle.dispatch.apply()
    return CircleChaos(circle, FirstBounces(circle, options.count, options.seed), options.seed, plan, verbose=True)


def check_worker(verdict):
    return {"records of the input": verdict.records, "outputs": verdict.outputs, "states": verdict.states,
            "dead letters": verdict.dead_letters, "reroutes": verdict.reroutes,
            **{f"written to {name}": count for name, count in verdict.written.items()}}


def check_dispatcher(verdict):
    late = dict(zip(("p50", "p99", "max"), verdict.lateness()))
    return {**verdict.counts, **{f"late by, {name} (ms)": value for name, value in late.items()}}


def check_circle(ending):
    assert ending.statuses.keys() == {"ACTIVE", "SUPPRESSED"}, ending.statuses
    recovered = ending.recovered_at()
    assert all(recovered[attempt] for attempt in range(1, ATTEMPTS + 1)), recovered
    return {**check_worker(ending.worker),
            **{f"dispatcher: {name}": count for name, count in check_dispatcher(ending.dispatcher).items()},
            **{f"recipients {status}": count for status, count in sorted(ending.statuses.items())},
            **{f"recovered at attempt {attempt}": count for attempt, count in sorted(recovered.items())},
            "commands answered": len(ending.answers), "answered once more": ending.answered_again()}


ROLES = {"worker": (chaos_of_worker, check_worker), "dispatcher": (chaos_of_dispatcher, check_dispatcher),
         "circle": (chaos_of_circle, check_circle)}


def run(options, scenario):
    scenario.kafka(BROKER)
    make, check = ROLES[options.role]
    plan, points = acts(random.Random(options.seed), options)
    chaos = make(scenario, options, plan)
    print(f"{options.role}: {options.count} records, {len(plan)} acts, seed {options.seed}", flush=True)
    began = time.monotonic()
    try:
        if options.role == "dispatcher":
            with chaos.pipeline.watched(every_s=1):
                verdict = chaos.run()
        else:
            verdict = chaos.run()
    finally:
        print()
        done = chaos.table()
    rows = {**check(verdict), "seconds": round(time.monotonic() - began)}
    for name, count in rows.items():
        print(f"{name:36} {count:7d}")
    missed = [name for name in points if not chaos.kills[name]]
    assert not missed, f"crash points never met: {missed}"
    assert done["kills at random"] >= options.moments
    print("the oracle finds nothing wrong")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--role", choices=tuple(ROLES), default="worker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="records of the input (circle: first bounces)")
    parser.add_argument("--moments", type=int, help="kills at a random moment")
    parser.add_argument("--load", choices=("sample", "adversary"), default="sample", help="of the worker")
    parser.add_argument("--threads", type=int, default=1, help="of each worker or dispatcher")
    options = parser.parse_args()
    count, moments = DEFAULTS[options.role]
    options.count = options.count or count
    options.moments = moments if options.moments is None else options.moments
    with Scenario(f"chaos-{options.role}") as scenario:
        run(options, scenario)


if __name__ == "__main__":
    main()
