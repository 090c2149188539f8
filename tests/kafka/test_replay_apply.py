#!/usr/bin/env python3
"""A recomputed state becomes the live one: refused beside workers, finished after a kill, gone on from."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_chaos import CONFIG
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim
from kafka_replay import STRICTER, agree, fold_under, forge, policy_file, recipients, rows, stories, tell

COUNT = 2000
AGAIN = 75


def nobody_left(s, worker):
    """A member that was stopped keeps its place for a while."""
    wait_until(lambda: "no members" in s.run("lag", "worker", "-o", "jsonl", config=worker).stderr, 30,
               "the group to be empty", every_s=0.5)


def apply_makes_the_other_policy_the_live_one(s, pipeline, worker):
    arguments = ["replay", "apply", "--policy", policy_file(s), "-o", "jsonl"]
    dry = s.run(*arguments, "--dry-run", config=worker)
    assert "are to be written" in dry.stderr, dry.stderr
    refused = s.run(*arguments, "--yes", config=worker, expect=AGAIN)
    assert worker.instance + "-0" in refused.stderr, refused.stderr
    assert worker.terminate() == 0
    nobody_left(s, worker)
    unanswered = s.run(*arguments, config=worker, expect=1)
    assert "add --yes" in unanswered.stderr, unanswered.stderr
    before = pipeline.counts()
    broken = s.run(*arguments, "--yes", config=worker, expect=None, env={"RIMBALZO_FAILPOINT": "after-kafka-commit:1"})
    assert broken.returncode not in (0, 1), broken.stderr
    nobody_left(s, worker)
    done = s.run(*arguments, "--yes", config=worker)
    assert "were written" in done.stderr, done.stderr
    assert recipients(rows(done)) < recipients(rows(dry)), "nothing was left of what was done before the kill"
    tell(done)
    agree(pipeline, fold_under(pipeline, STRICTER))
    again = s.run(*arguments, "--yes", config=worker)
    assert not again.stdout and "nothing is to be written" in again.stderr, again.stderr
    after = pipeline.counts()
    written = int(re.search(r"(\d+) states, ", dry.stderr)[1])
    assert after["recipients"] - before["recipients"] >= written, (before, after)
    assert after["notices"] == before["notices"] and after["dead-letters"] == before["dead-letters"]


def workers_go_on_under_the_other_policy(s, pipeline, worker):
    """They find the state proven, and end where a run under that policy from the beginning would have."""
    pipeline.config = {**pipeline.config, **STRICTER}
    other = pipeline.worker("w4").start()
    pipeline.produce(pipeline.stream(seed=302, count=1000))
    pipeline.wait_done([other])
    pipeline.check_calm()
    agree(pipeline, fold_under(pipeline, STRICTER))
    done = s.run("state", "verify", config=other)
    assert "verified" in done.stderr, done.stderr
    assert other.terminate() == 0


def apply_mends_what_somebody_else_wrote(s, pipeline, worker):
    setup = pipeline.workers[-1]
    forge(pipeline)
    s.run("state", "verify", config=setup, expect=1)
    nobody_left(s, setup)
    s.run("replay", "apply", "--yes", config=setup)
    assert "verified" in s.run("state", "verify", config=setup).stderr


def replay_apply(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "replay", partitions=2, config=CONFIG)
    pipeline.produce(stories(pipeline) + pipeline.stream(seed=301, count=COUNT))
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    for part in (apply_makes_the_other_policy_the_live_one, workers_go_on_under_the_other_policy,
                 apply_mends_what_somebody_else_wrote):
        with claim(part.__name__):
            part(s, pipeline, worker)


if __name__ == "__main__":
    main(replay_apply)
