#!/usr/bin/env python3
"""State recomputed from the input beside workers: verify, diff, explain, apply."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_chaos import CONFIG, Chaos
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
import avro
import semantics
from config import DEFAULTS, Config
from identity import partition_of, record_key

COUNT = 3000
DAY_MS = 86400000
STORIES_AT = 1_000_000_000_000 - 30 * DAY_MS
STRICTER = {"policies": {**DEFAULTS["policies"], "default": {**DEFAULTS["policies"]["default"], "max_attempts": 3}}}
NOT_COMPARED = ("last_rule",)  # the oracle knows no names of rules
AGAIN = 75


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def recipients(found):
    return {(row["tenant"], row["recipient"]) for row in found}


def tell(done):
    print("       " + done.stderr.strip().replace("\n", "\n       "), flush=True)


def stories(pipeline):
    """Mailboxes that are disabled for a while: 1 to 6 bounces, each after the waiting time is over."""
    codec, records = avro.Codec(), []
    for number in range(60):
        recipient = f"story{number}@example.org"
        partition = partition_of(recipient, pipeline.partitions)
        for bounce, day in enumerate((0, 1, 3, 6, 13, 20)[:number % 6 + 1]):
            records.append((day, kafka_read.Record(recipient.encode(), codec.encode("BounceRecord", {
                "event_id": f"{recipient}-{bounce}", "tenant": "", "recipient": recipient, "message_id": "m",
                "occurred_at": STORIES_AT + day * DAY_MS, "status": "4.2.1", "reply_code": None, "diagnostic": None,
                "remote_mta": None, "stage": None, "retry_of": None, "message_attempt": 0, "source": "",
                "attributes": {}}), (), partition)))
    return [record for _, record in sorted(records, key=lambda pair: pair[0])]


def load_with_kills(pipeline):
    """Two workers that are killed and a third that comes and goes; all is right by the oracle, and all are stopped."""
    acts = [("failpoint", "after-offsets"), ("failpoint", "after-kafka-commit"), ("guest",)]
    chaos = Chaos(pipeline, pipeline.feeder(stories(pipeline) + pipeline.stream(seed=301, count=COUNT)), 301, acts)
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
    pipeline.stricter = fold_under(pipeline, STRICTER)
    expected = expected_differences(pipeline.fold, pipeline.stricter)
    done = s.run("replay", "diff", "--policy", policy_file(s), "-o", "jsonl", config=worker, expect=1)
    assert len(expected) > 20 and recipients(rows(done)) == expected, (expected, recipients(rows(done)))
    tell(done)


def plan_tells_what_there_is(s, pipeline, worker):
    done = s.run("replay", "plan", "-o", "jsonl", config=worker)
    ends = pipeline.ends()
    assert [row["offsets"] for row in rows(done)] == [ends[p] for p in sorted(ends)], done.stdout
    assert "taken nothing" in done.stderr, done.stderr
    tell(done)


def policy_file(s):
    path = os.path.join(s.dir, "stricter.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(STRICTER, file)
    return path


def live_states(pipeline):
    """What a reader of the recipients topic makes of it."""
    codec, last = avro.Codec(), {}
    for record in pipeline.read()["recipients"]:
        last[record.key] = record.value
    states = [codec.decode(value, ("RecipientState",))[1] for value in last.values() if value is not None]
    return {(state["tenant"], state["recipient"]): state for state in states}


def agree(pipeline, fold):
    """The recipients topic holds what the fold makes, as it counts at the stream time."""
    found, expected = live_states(pipeline), fold.live_states()
    assert expected.keys() <= found.keys(), sorted(expected.keys() - found.keys())
    for address, state in expected.items():
        seen = semantics.effective(fold.config, found[address], fold.stream_times[
            partition_of(record_key(*address), pipeline.partitions)])
        for name, value in state.items():
            value = list(value) if isinstance(value, tuple) else value
            assert name in NOT_COMPARED or seen[name] == value, (address, name, seen[name], value)
    for address in found.keys() - expected.keys():
        partition = partition_of(record_key(*address), pipeline.partitions)
        assert semantics.effective(fold.config, found[address], fold.stream_times[partition]) is None, address


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
    assert len(table) == 7 and table[0].startswith("OFFSET"), table
    s.run("explain", "nobody@nowhere.example", config=worker, expect=1)
    assert s.run("explain", "no address", config=worker, expect=64).stderr


def apply_makes_the_other_policy_the_live_one(s, pipeline, worker):
    arguments = ["replay", "apply", "--policy", policy_file(s), "-o", "jsonl"]
    dry = s.run(*arguments, "--dry-run", config=worker)
    assert "are to be written" in dry.stderr, dry.stderr
    refused = s.run(*arguments, "--yes", config=worker, expect=AGAIN)
    assert worker.instance + "-0" in refused.stderr, refused.stderr
    assert worker.terminate() == 0
    wait_until(lambda: s.run("lag", "worker", "-o", "jsonl", config=worker).stderr.count("no members"), 30,
               "the worker's place to be given up", every_s=0.5)
    unanswered = s.run(*arguments, config=worker, expect=1)
    assert "add --yes" in unanswered.stderr, unanswered.stderr
    before = pipeline.counts()
    broken = s.run(*arguments, "--yes", config=worker, expect=None, env={"RIMBALZO_FAILPOINT": "after-kafka-commit:1"})
    assert broken.returncode not in (0, 1), broken.stderr
    wait_until(lambda: s.run("lag", "worker", "-o", "jsonl", config=worker).stderr.count("no members"), 30,
               "the place of the one that was killed to be given up", every_s=0.5)
    done = s.run(*arguments, "--yes", config=worker)
    assert "were written" in done.stderr, done.stderr
    assert recipients(rows(done)) < recipients(rows(dry)), "nothing was left of what was done before the kill"
    tell(done)
    agree(pipeline, pipeline.stricter)
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


def a_counter_that_was_changed_is_named(s, pipeline, worker):
    """And apply, which writes what the input says, mends it."""
    setup = pipeline.workers[-1]
    codec = avro.Codec()
    state = next(state for state in live_states(pipeline).values() if state["status"] == "SUPPRESSED")
    key = record_key(state["tenant"], state["recipient"])
    forged = codec.encode("RecipientState", {**state, "hard": state["hard"] + 1})
    pipeline.broker.produce(pipeline.changelog, [kafka_read.Record(
        key.encode(), forged, (), partition_of(key, pipeline.partitions))])
    found = s.run("state", "verify", "-o", "jsonl", config=setup, expect=1)
    assert [(row["tenant"], row["recipient"], row["field"], row["live"], row["recomputed"]) for row in rows(found)] == [
        (state["tenant"], state["recipient"], "hard", str(state["hard"] + 1), str(state["hard"]))], found.stdout
    assert "that no worker wrote" in found.stderr, found.stderr
    wait_until(lambda: s.run("lag", "worker", "-o", "jsonl", config=setup).stderr.count("no members"), 30,
               "the worker's place to be given up", every_s=0.5)
    s.run("replay", "apply", "--yes", config=setup)
    assert "verified" in s.run("state", "verify", config=setup).stderr


def replay(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "replay", partitions=2, config=CONFIG)
    with claim("load with kills"):
        load_with_kills(pipeline)
    worker = pipeline.worker("w3").start().wait_ready()
    for part in (verify_is_clean_beside_a_worker, the_same_policy_makes_no_difference,
                 another_policy_differs_where_the_oracle_says, plan_tells_what_there_is,
                 explain_tells_the_story, apply_makes_the_other_policy_the_live_one, workers_go_on_under_the_other_policy,
                 a_counter_that_was_changed_is_named):
        with claim(part.__name__):
            part(s, pipeline, worker)


if __name__ == "__main__":
    main(replay)
