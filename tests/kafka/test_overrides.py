#!/usr/bin/env python3
"""`suppress`, `reinstate` and `forget` on a real broker: what they write, what becomes of it in worker and dispatcher,
and that nothing is left of whom has been forgotten."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_dispatch import Dispatch
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER, Pipeline, claim

# pylint: disable=wrong-import-order
import avro
import identity

PARTITIONS = 3
SUBSCRIBERS = 40  # suspended, with a retry pending


def now_ms():
    return time.time_ns() // 1_000_000


def bounce(codec, number, recipient, tenant=""):
    fields = {"event_id": f"b{number}", "tenant": tenant, "recipient": recipient, "message_id": f"m{number}",
              "occurred_at": now_ms(), "status": "4.2.1", "reply_code": None, "diagnostic": None, "remote_mta": None,
              "stage": None, "retry_of": None, "message_attempt": 0, "source": "test", "attributes": {}}
    key = (f"{tenant}:" if tenant else "") + recipient
    return kafka_read.Record(key.encode(), codec.encode("BounceRecord", fields), (),
                             identity.partition_of(key, PARTITIONS))


class App:
    """Worker and dispatcher of one app, with SUBSCRIBERS suspended recipients whose retries are pending."""

    def __init__(self, scenario, name):
        self.scenario = scenario
        self.pipeline = Pipeline(scenario, name, partitions=PARTITIONS)
        self.dispatch = Dispatch(scenario, name, partitions=PARTITIONS, apply=False)
        self.codec = avro.Codec()
        self.worker = self.pipeline.worker("w1").start()
        self.dispatcher = self.dispatch.worker("d1").start()
        self.people = [f"user{i}@example.org" for i in range(SUBSCRIBERS)]
        self.pipeline.produce([bounce(self.codec, i, who) for i, who in enumerate(self.people)])
        self.wait()

    def wait(self):
        self.pipeline.wait_done([self.worker])
        self.dispatch.wait_taken_in([self.dispatcher])

    def run(self, *arguments, **options):
        return self.scenario.run(*arguments, config=self.worker, **options)

    def state(self, who, expect=0):
        found = json.loads(self.run("state", "get", who, "-o", "json", expect=expect).stdout)
        return found[0] if found else None

    def pending(self):
        """How many commands the dispatcher holds, by its certificates."""
        texts = [text for _, text in self.dispatch.certificates().values()]
        return sum(int(part[2:]) for text in texts for part in text.split() if part.startswith("n="))

    def end(self):
        """The oracles of both roles agree with all that was written."""
        verdict = self.pipeline.verify()
        self.dispatch.verify(until_ms=now_ms())
        for process in (self.worker, self.dispatcher):
            assert process.terminate() == 0, process.log_tail()
        return verdict


def of_forgotten_people_nothing_is_left(app):
    assert app.pending() == SUBSCRIBERS
    told = app.run("forget", "User7@Example.ORG", expect=1)
    assert "--yes" in told.stderr and app.state("user7@example.org")["status"] == "SUSPENDED"
    began = time.monotonic()
    app.run("forget", "User7@Example.ORG", "user8@example.org", "--yes", "--wait", 30, "--reason", "asked for it",
            "--actor", "desk")
    took = time.monotonic() - began
    # No other waiting from here on: --wait has seen to it.
    for who in ("user7@example.org", "user8@example.org"):
        assert app.state(who, expect=1) is None
    assert app.pending() == SUBSCRIBERS - 2
    changelog = kafka_read.read_topic(app.scenario.broker.bootstrap, app.pipeline.changelog)
    last = kafka_read.latest_by_key(changelog)
    found = {record.key: record for record in changelog if record.value is None}
    assert set(found) == {b"user7@example.org", b"user8@example.org"}, found
    assert all(dict(record.headers)["source_offset"].isdigit() for record in found.values())
    assert b"user7@example.org" not in last or last[b"user7@example.org"].value is None
    app.run("suppress", "user9@example.org", "--wait", 60)
    assert app.state("user9@example.org")["suppressed_by"] == "MANUAL"
    print(f"       forgotten in {took:.1f} s")


def a_list_is_taken_in_once_and_what_is_no_address_is_told(app):
    bad = {5: "nobody", 11: "@example.org", 17: "a@b@", 23: "two words@example.org"}
    lines = [bad.get(i + 1, f"user{i}@example.org") for i in range(SUBSCRIBERS)] + ["", "#x@example.org"]
    text = ("\r\n".join(lines) + "\r\n").encode()
    shown = app.run("suppress", "--file", "-", "--dry-run", "-o", "jsonl", stdin=text, expect=65)
    rows = [json.loads(row) for row in shown.stdout.splitlines()]
    assert len(rows) == SUBSCRIBERS - len(bad) + 1 and rows[-1]["recipient"] == "#x@example.org", rows[-1]
    assert rows[4] == rows[4] | {"line": 6, "recipient": "user5@example.org", "action": "SUPPRESS"}, rows[4]
    before = app.pipeline.ends()
    rejects = os.path.join(app.scenario.dir, "rejects")
    for batch, expected in (("monday", 1), ("monday", 1), ("tuesday", 2)):
        done = app.run("suppress", "--file", "-", "--yes", "--batch", batch, "--rejects", rejects, "--wait", 60,
                       stdin=text, expect=65)
        for number, line in bad.items():
            assert f"stdin:{number}: invalid_recipient" in done.stderr, done.stderr
        with open(rejects, encoding="utf-8") as file:
            assert file.read().splitlines() == list(bad.values())
        state = app.state("user1@example.org")
        assert (state["status"], state["overrides"], state["suppressions"]) == ("SUPPRESSED", expected, 1), state
    written = sum(app.pipeline.ends().values()) - sum(before.values())
    assert written == 3 * len(rows), written
    app.run("reinstate", "user1@example.org", "--wait", 60)
    assert app.state("user1@example.org")["status"] == "ACTIVE"
    app.run("suppress", "user1@example.org", "--wait", 60)
    assert app.state("user1@example.org")["status"] == "SUPPRESSED", "a later will counts as another"
    app.wait()
    assert app.pending() == len(bad)


def who_waits_in_vain_is_told_and_the_report_reads_the_broker(s):
    pipeline = Pipeline(s, "nobody", partitions=PARTITIONS)
    worker = pipeline.worker("w1")
    told = s.run("suppress", "a@example.org", "--wait", 1, config=worker, expect=75).stderr
    assert "the worker has not come there yet" in told and "at -1 of 1" in told, told
    s.run("suppress", "nobody", "--tenant", "Shop", config=worker, expect=64)
    report = json.loads(s.run("forget", "--report", "-o", "json", config=worker).stdout)
    assert [row["topic"] for row in report] == [pipeline.prefix + name for name in (
        "bounces", "recipients", "retries.delayed", "retries.due", "suppressions", "notices", "dead-letters")]
    kept = {row["topic"].removeprefix(pipeline.prefix): row for row in report}
    assert kept["recipients"]["cleanup"] == "compact" and kept["recipients"]["retention_ms"] >= 86_400_000, kept
    assert kept["retries.delayed"]["retention_ms"] > 400 * 86_400_000, kept
    assert all((row["retention_ms"] is None) == (row["gone_after"] is None) for row in report), report


def overrides(s: Scenario):
    s.kafka(BROKER)
    with claim("who waits in vain is told; the report reads the broker"):
        who_waits_in_vain_is_told_and_the_report_reads_the_broker(s)
    app = App(s, "list")
    with claim("of forgotten people nothing is left"):
        of_forgotten_people_nothing_is_left(app)
    with claim("a list is taken in once"):
        a_list_is_taken_in_once_and_what_is_no_address_is_told(app)
    print(f"       {app.end()}")


if __name__ == "__main__":
    main(overrides)
