#!/usr/bin/env python3
"""`dlq` on a real broker: records whose schema was not known go back once it is, exactly once whoever is killed on the
way, and what can never be used goes round no more often than it may."""

import json
import os
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER, Pipeline, claim

# pylint: disable=wrong-import-order
import avro
import compare
import identity

PARTITIONS = 2
COUNT = 5000  # three transactions of each partition
MALFORMED = 30
POINTS = ("after-produce:2", "after-offsets:2", "after-kafka-commit:2", "after-offsets:1")


class Later:
    """Bounces of a version of the schema that this program has not seen yet."""

    def __init__(self):
        self.codec = avro.Codec()
        self.schema = json.loads(json.dumps(self.codec.schemas["BounceRecord"]))
        self.schema["fields"].append({"name": "campaign", "type": "string", "default": "", "doc": "What was sent."})
        self.prefix = avro.SINGLE_OBJECT + avro.fingerprint(self.schema).to_bytes(8, "little")

    def record(self, number, now_ms):
        recipient = f"user{number % 1000}@example.org"
        fields = {"event_id": f"b{number}", "tenant": "", "recipient": recipient, "message_id": f"m{number}",
                  "occurred_at": now_ms + number, "status": "4.2.1", "reply_code": None, "diagnostic": None,
                  "remote_mta": None, "stage": None, "retry_of": None, "message_attempt": 0, "source": "test",
                  "attributes": {}, "campaign": f"c{number % 7}"}
        headers = (("traceparent", b"t%d" % number), ("none", None))
        return kafka_read.Record(recipient.encode(), self.prefix + avro.write(self.schema, fields), headers,
                                 identity.partition_of(recipient, PARTITIONS))


class Round:
    def __init__(self, scenario):
        self.scenario = scenario
        self.pipeline = Pipeline(scenario, "dead", partitions=PARTITIONS)
        self.worker = self.pipeline.worker("w1")
        self.later = Later()

    def dlq(self, *arguments, **options):
        return self.scenario.run("dlq", *arguments, config=self.worker, **options)

    def rows(self, *arguments):
        return [json.loads(line) for line in self.dlq("ls", "-o", "jsonl", *arguments).stdout.splitlines()]

    def redrive(self, *arguments, **options):
        done = self.dlq("redrive", "-o", "json", *arguments, **options)
        return done if options.get("expect") else (json.loads(done.stdout), done.stderr)

    def settle(self):
        self.pipeline.wait_done([self.worker])

    def inputs(self):
        return kafka_read.read_topic(self.scenario.broker.bootstrap, self.pipeline.input)


def what_is_dead_is_shown(rounds):
    rows = rounds.rows()
    assert Counter(row["reason"] for row in rows) == {"unknown_schema": COUNT, "malformed": MALFORMED}
    assert len(rounds.rows("--reason", "malformed")) == MALFORMED
    assert not rounds.rows("--topic", "other") and not rounds.rows("--until", "1h")
    assert len(rounds.rows("--since", "1h")) == COUNT + MALFORMED
    row = next(row for row in rows if row["reason"] == "unknown_schema")
    place = f"{row['partition']}:{row['offset']}"
    shown = {pair["field"]: pair["value"] for pair in json.loads(rounds.dlq("show", place, "-o", "json").stdout)}
    assert shown["header rimbalzo-reason"] == "unknown_schema" and shown["key"] == row["key"], shown
    assert bytes.fromhex(shown["value_hex"]).startswith(rounds.later.prefix) and shown["header none"] is None, shown
    rounds.dlq("show", "0:999999", expect=1)
    counts, told = rounds.redrive("--dry-run", "--reason", "unknown_schema")
    assert counts == [{"reason": "unknown_schema", "topic": rounds.pipeline.input, "records": COUNT, "exhausted": 0}], told
    rounds.redrive("--since", "1h", expect=64)
    refused = rounds.redrive(expect=1)
    assert "--yes" in refused.stderr, refused.stderr
    return place


def the_schema_comes(rounds, place):
    folder = os.path.join(rounds.scenario.dir, "schemas")
    os.makedirs(folder)
    with open(os.path.join(folder, "later.avsc"), "w", encoding="utf-8") as file:
        json.dump(rounds.later.schema, file)
    assert rounds.worker.terminate() == 0
    rounds.worker.config["schemas"] = {"dir": folder}
    rounds.worker.start()
    shown = {pair["field"]: pair["value"] for pair in json.loads(rounds.dlq("show", place, "-o", "json").stdout)}
    assert json.loads(shown["value"])["campaign"].startswith("c"), shown


def killed_on_the_way_nothing_goes_twice(rounds):
    arguments = ("--reason", "unknown_schema", "--yes")
    for point in POINTS:
        rounds.redrive(*arguments, env={"RIMBALZO_FAILPOINT": point}, expect=-9)
    counts, told = rounds.redrive(*arguments)
    left = counts[0]["records"]
    assert 0 < left < COUNT and f"{left} of {left} records were sent back" in told, told
    counts, told = rounds.redrive(*arguments)
    assert not counts and "nothing to send back" in told, (counts, told)
    rounds.settle()
    records = [r for r in rounds.inputs() if r.value.startswith(rounds.later.prefix)]
    first = Counter((r.key, r.value, r.headers, r.partition) for r in records[:] if not is_redriven(r))
    again = Counter((r.key, r.value, r.headers[:-1], r.partition) for r in records if is_redriven(r))
    assert again == first and sum(again.values()) == COUNT, (sum(again.values()), sum(first.values()))
    assert all(r.headers[-1] == ("rimbalzo-redriven", b"1") for r in records if is_redriven(r))
    return left


def is_redriven(record):
    return any(name == "rimbalzo-redriven" for name, _ in record.headers)


def what_can_never_be_used_goes_round_three_times(rounds):
    for turn in range(3):
        counts, told = rounds.redrive("--yes")
        assert f"{MALFORMED} of {MALFORMED} records" in told and not counts[0]["exhausted"], (turn, counts, told)
        rounds.settle()
    counts, told = rounds.redrive("--yes")
    assert counts[0]["exhausted"] == MALFORMED and not counts[0]["records"], counts
    assert "nothing to send back" in told, told
    found = Counter(row["redriven"] for row in rounds.rows("--reason", "malformed"))
    assert found == {0: MALFORMED, 1: MALFORMED, 2: MALFORMED, 3: MALFORMED}, found


def the_oracle_agrees(rounds):
    """Once the schema is known the records count as if they had come only now."""
    pipeline, later = rounds.pipeline, rounds.later
    topics = pipeline.read()
    inputs = [r for r in topics.pop("bounces") if not (r.value.startswith(later.prefix) and not is_redriven(r))]
    topics["dead-letters"] = [r for r in topics["dead-letters"] if not r.value.startswith(later.prefix)]
    codec = avro.Codec()
    codec.add_writer(later.schema, evolved=True)
    comparison = compare.Comparison(inputs, topics, PARTITIONS, codec=codec, prefix=pipeline.prefix, ignore_rule=True)
    pipeline.expect_none(comparison.run(certificates=pipeline.certificates(), digest=True))
    pipeline.check_calm()
    return len(comparison.fold.live_states())


def dead_letters(s: Scenario):
    s.kafka(BROKER)
    rounds = Round(s)
    rounds.worker.start()
    now_ms = time.time_ns() // 1_000_000 - COUNT
    rounds.pipeline.produce([rounds.later.record(number, now_ms) for number in range(COUNT)])
    rounds.pipeline.produce([kafka_read.Record(None if i % 3 else b"k", b"poison%d" % i, (), i % PARTITIONS)
                             for i in range(MALFORMED)])
    rounds.settle()
    with claim("what is dead is shown"):
        place = what_is_dead_is_shown(rounds)
    the_schema_comes(rounds, place)
    with claim("killed on the way, nothing goes twice"):
        left = killed_on_the_way_nothing_goes_twice(rounds)
    with claim("what can never be used goes round three times"):
        what_can_never_be_used_goes_round_three_times(rounds)
    states = the_oracle_agrees(rounds)
    print(f"       {COUNT} sent back with {len(POINTS)} kills, {left} in the last run; {states} states as the oracle's")


if __name__ == "__main__":
    main(dead_letters)
