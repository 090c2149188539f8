#!/usr/bin/env python3
"""State recomputed from the input beside a worker: verify, diff, plan, explain."""

import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_chaos import CONFIG, Chaos
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER, Pipeline, claim
from kafka_replay import (STRICTER, expected_differences, fold_under, forge, policy_file, recipients, rows, stories,
                          tell)

COUNT = 3000
AGAIN = 75


def load_with_kills(pipeline):
    """Two workers that are killed and a third that comes and goes; all is right by the oracle, and all are stopped."""
    acts = [("failpoint", "after-offsets"), ("guest",)]
    chaos = Chaos(pipeline, pipeline.feeder(stories(pipeline) + pipeline.stream(seed=301, count=COUNT)), 301, acts)
    print(f"       {chaos.run()}", flush=True)
    assert chaos.table()["kills in all"] >= 2


def verify_is_clean_beside_a_worker(s, pipeline, worker):
    done = s.run("state", "verify", "-o", "jsonl", config=worker)
    assert not done.stdout and "verified" in done.stderr, done.stderr
    tell(done)


def verify_is_clean_while_records_flow(s, pipeline, worker):
    """What the workers commit meanwhile is no difference, and nobody else's."""
    feeder, done = pipeline.feeder(pipeline.stream(seed=302, count=1000)), threading.Event()

    def feed():
        while not done.wait(0.02):
            feeder.give(10)

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        for _ in range(3):
            assert "verified" in s.run("state", "verify", config=worker).stderr
    finally:
        done.set()
        feeding.join()
        feeder.finish()
    pipeline.wait_done([worker])
    pipeline.verify()


def the_same_policy_makes_no_difference(s, pipeline, worker):
    done = s.run("replay", "diff", "-o", "jsonl", config=worker)
    assert not done.stdout and " 0 recipients differ" in done.stderr, done.stderr


def another_policy_differs_where_the_oracle_says(s, pipeline, worker):
    expected = expected_differences(pipeline.fold, fold_under(pipeline, STRICTER))
    done = s.run("replay", "diff", "--policy", policy_file(s), "-o", "jsonl", config=worker, expect=1)
    assert len(expected) > 20 and recipients(rows(done)) == expected, (expected, recipients(rows(done)))
    tell(done)


def plan_tells_what_there_is(s, pipeline, worker):
    done = s.run("replay", "plan", "-o", "jsonl", config=worker)
    ends = pipeline.ends()
    assert [row["offsets"] for row in rows(done)] == [ends[p] for p in sorted(ends)], done.stdout
    assert "taken nothing" in done.stderr, done.stderr
    tell(done)


def explain_tells_the_story(s, pipeline, worker):
    """Of a mailbox with six bounces: four attempts, suppression, and one that changes nothing."""
    done = s.run("explain", "Story5@example.org", "-o", "jsonl", config=worker)
    told = [row for row in rows(done) if row["outcome"] == "applied"]  # some records came twice
    assert [row["event"] for row in told] == ["BOUNCE"] * 6 and {row["class"] for row in told} == {"SOFT"}, done.stdout
    assert [row["before"] for row in told] == ["unknown"] + ["SUSPENDED"] * 4 + ["SUPPRESSED"]
    assert [row["after"] for row in told] == ["SUSPENDED"] * 4 + ["SUPPRESSED"] * 2
    assert [row["attempt"] for row in told] == [1, 2, 3, 4, 0, 0]
    assert {row["reason"] for row in told} == {"mailbox_disabled"} and all(row["rule"] for row in told)
    assert [row["outputs"].split(" due ")[0] if row["outputs"] else None for row in told] == [
        "SCHEDULE attempt 1 of 4", "SCHEDULE attempt 2 of 4", "CONTACT_ALTERNATIVE; SCHEDULE attempt 3 of 4",
        "SCHEDULE attempt 4 of 4", "SUPPRESS ATTEMPTS_EXHAUSTED; CANCEL", None]
    assert all(row["processed"] for row in told) and "SUPPRESSED now" in done.stderr, done.stderr
    assert "4.2.1" in {row["status"] for row in told}
    table = s.run("explain", "story5@example.org", config=worker).stdout.splitlines()
    assert len(table) >= 7 and table[0].startswith("OFFSET"), table
    s.run("explain", "nobody@nowhere.example", config=worker, expect=1)
    assert s.run("explain", "no address", config=worker, expect=64).stderr


def what_is_kept_outlives_retention(s, pipeline, worker):
    """Once verified with --keep, the rest is enough; without, nothing is said of what is gone."""
    kept = os.path.join(s.dir, "kept")
    arguments = ["state", "verify", "-o", "jsonl"]
    s.run(*arguments, "--keep", kept, config=worker)
    pipeline.produce(pipeline.stream(seed=303, count=200))
    pipeline.wait_done([worker])
    pipeline.broker.delete_records(pipeline.input, {p: end // 2 for p, end in pipeline.ends().items()})
    done = s.run(*arguments, "--keep", kept, config=worker)
    folded = int(re.search(r"(\d+) records of", done.stderr)[1])
    assert not done.stdout and "verified" in done.stderr and folded < 500, done.stderr
    done = s.run(*arguments, config=worker, expect=AGAIN)
    assert not done.stdout and "nothing is said of them" in done.stderr, done.stderr
    plan = s.run("replay", "plan", "-o", "jsonl", config=worker)
    assert "it matters" in plan.stderr and all(row["states_cut"] > 0 for row in rows(plan)), plan.stderr
    tell(plan)


def a_counter_that_was_changed_is_named(s, pipeline, worker):
    state = forge(pipeline)
    found = s.run("state", "verify", "-o", "jsonl", config=worker, expect=1)
    assert [(row["tenant"], row["recipient"], row["field"], row["live"], row["recomputed"]) for row in rows(found)] == [
        (state["tenant"], state["recipient"], "hard", str(state["hard"] + 1), str(state["hard"]))], found.stdout
    assert "that no worker wrote" in found.stderr, found.stderr


def retention(s):
    pipeline = Pipeline(s, "kept", partitions=2, config=CONFIG)
    pipeline.produce(pipeline.stream(seed=304, count=COUNT))
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    what_is_kept_outlives_retention(s, pipeline, worker)


def replay(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "replay", partitions=2, config=CONFIG)
    with claim("load with kills"):
        load_with_kills(pipeline)
    worker = pipeline.worker("w3").start().wait_ready()
    for part in (verify_is_clean_beside_a_worker, verify_is_clean_while_records_flow, the_same_policy_makes_no_difference,
                 another_policy_differs_where_the_oracle_says, plan_tells_what_there_is, explain_tells_the_story,
                 a_counter_that_was_changed_is_named):
        with claim(part.__name__):
            part(s, pipeline, worker)
    with claim("what is kept outlives retention"):
        retention(s)


if __name__ == "__main__":
    main(replay)
