#!/usr/bin/env python3
"""State recomputed from the input beside workers: verify, diff, explain, apply."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_chaos import CONFIG, Chaos
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER, Pipeline, claim

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
import avro
import semantics
from config import DEFAULTS, Config
from identity import record_key

COUNT = 4000
STRICTER = {"policies": {**DEFAULTS["policies"], "default": {**DEFAULTS["policies"]["default"], "max_attempts": 3}}}
NOT_COMPARED = ("last_rule",)  # the oracle knows no names of rules
LIVE, RECOMPUTED = "live", "recomputed"


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def recipients(found):
    return {(row["tenant"], row["recipient"]) for row in found}


def tell(done):
    print("       " + done.stderr.strip().replace("\n", "\n       "), flush=True)


def load_with_kills(pipeline):
    """Two workers that are killed and a third that comes and goes; all is right by the oracle, and all are stopped."""
    acts = [("failpoint", "after-offsets"), ("failpoint", "after-kafka-commit"), ("guest",)]
    chaos = Chaos(pipeline, pipeline.feeder(pipeline.stream(seed=301, count=COUNT)), 301, acts)
    print(f"       {chaos.run()}", flush=True)
    assert chaos.table()["kills in all"] >= 3


# --- the oracle's word ---

def fold_under(pipeline, changed):
    """The oracle's fold of the same input under another configuration."""
    config = Config({**{key: value for key, value in pipeline.config.items() if key in DEFAULTS}, **changed})
    inputs = sorted(pipeline.read()["bounces"], key=lambda record: (record.partition, record.offset))
    return semantics.fold(inputs, pipeline.partitions, config, avro.Codec().decode)


def counted(fold):
    return {address: {name: value for name, value in state.items() if name not in NOT_COMPARED}
            for address, state in fold.live_states().items()}


def expected_differences(before, after):
    before, after = counted(before), counted(after)
    return {address for address in before.keys() | after.keys() if before.get(address) != after.get(address)}


# --- claims ---

def verify_is_clean_beside_a_worker(s, pipeline, worker):
    done = s.run("state", "verify", "-o", "jsonl", config=worker)
    assert not done.stdout and "verified" in done.stderr, done.stderr
    tell(done)


def the_same_policy_makes_no_difference(s, pipeline, worker):
    done = s.run("replay", "diff", "-o", "jsonl", config=worker)
    assert not done.stdout and " 0 recipients differ" in done.stderr, done.stderr


def another_policy_differs_where_the_oracle_says(s, pipeline, worker):
    path = os.path.join(s.dir, "stricter.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(STRICTER, file)
    expected = expected_differences(pipeline.fold, fold_under(pipeline, STRICTER))
    done = s.run("replay", "diff", "--policy", path, "-o", "jsonl", config=worker, expect=1)
    assert len(expected) > 3 and recipients(rows(done)) == expected, (expected, recipients(rows(done)))
    tell(done)


def plan_tells_what_there_is(s, pipeline, worker):
    done = s.run("replay", "plan", "-o", "jsonl", config=worker)
    ends = pipeline.ends()
    assert [row["offsets"] for row in rows(done)] == [ends[p] for p in sorted(ends)], done.stdout
    assert "taken nothing" in done.stderr, done.stderr
    tell(done)


def replay(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "replay", partitions=2, config=CONFIG)
    with claim("load with kills"):
        load_with_kills(pipeline)
    worker = pipeline.worker("w3").start().wait_ready()
    for part in (verify_is_clean_beside_a_worker, the_same_policy_makes_no_difference,
                 another_policy_differs_where_the_oracle_says, plan_tells_what_there_is):
        with claim(part.__name__):
            part(s, pipeline, worker)


if __name__ == "__main__":
    main(replay)
