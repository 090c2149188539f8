#!/usr/bin/env python3
"""State recomputed from the input beside workers: verify, diff, explain, apply."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_chaos import Chaos
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
import avro

COUNT = 6000


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def load_with_kills(pipeline):
    """Two workers that are killed and a third that comes and goes; all is right by the oracle, and all are stopped."""
    acts = [("failpoint", "after-offsets"), ("failpoint", "after-kafka-commit"), ("guest",), ("moment",)]
    chaos = Chaos(pipeline, pipeline.feeder(pipeline.stream(seed=301, count=COUNT)), 301, acts)
    print(f"       {chaos.run()}", flush=True)
    assert chaos.table()["kills in all"] >= 3


def verify_is_clean_beside_a_worker(s, pipeline, worker):
    done = s.run("state", "verify", "-o", "jsonl", config=worker)
    assert not done.stdout and "verified" in done.stderr, done.stderr
    print("       " + done.stderr.strip().replace("\n", "\n       "), flush=True)


def replay(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "replay")
    with claim("load with kills"):
        load_with_kills(pipeline)
    worker = pipeline.worker("w3").start().wait_ready()
    for part in (verify_is_clean_beside_a_worker,):
        with claim(part.__name__):
            part(s, pipeline, worker)


if __name__ == "__main__":
    main(replay)
