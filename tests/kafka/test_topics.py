#!/usr/bin/env python3
"""`rimbalzo topics` and `rimbalzo state` against a real broker: exit codes and output."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, main, wait_until

NAMES = ["bounces", "recipients", "retries.delayed", "retries.due", "suppressions", "notices", "dead-letters"]


def plan(s, worker, command="plan", expect=0):
    """The rows of `topics plan`, by topic."""
    done = s.run("topics", command, "-o", "json", config=worker, expect=expect)
    return {row["topic"]: row for row in json.loads(done.stdout)}


def topics_are_planned_applied_and_checked(s: Scenario):
    broker = s.kafka()
    worker = s.worker("w1", config={"topics": {"partitions": 3, "replication": 1}})
    wanted = {f"rimbalzo.{name}" for name in NAMES}
    rows = plan(s, worker)
    assert set(rows) == wanted and all(row["action"] == "create" and row["to"] == "3" for row in rows.values()), rows
    assert set(plan(s, worker, "check", expect=1)) == wanted

    # Without a terminal to ask on, nothing happens unless --yes is given.
    s.run("topics", "apply", config=worker, expect=1)
    assert set(plan(s, worker)) == wanted
    s.run("topics", "apply", "--yes", config=worker)
    assert not plan(s, worker, "check")
    s.run("topics", "apply", "--yes", config=worker)

    broker.configure_topic("rimbalzo.retries.delayed", retention_ms=86400000)
    row = wait_until(lambda: plan(s, worker).get("rimbalzo.retries.delayed"), 20, "the setting to be seen")
    assert (row["setting"], row["from"], row["to"]) == ("retention.ms", "86400000", str(407 * 86400000)), row
    s.run("topics", "apply", "--yes", config=worker)
    wait_until(lambda: not plan(s, worker), 20, "the setting to be mended")


def what_cannot_be_done_is_told(s: Scenario):
    s.kafka()
    worker = s.worker("w1", config={"topics": {"replication": 3}})
    told = s.run("topics", "plan", config=worker, expect=78).stderr
    assert "topics.replication" in told, told
    told = s.run("topics", "check", "--set", "kafka.bootstrap.servers=127.0.0.1:1", config=worker, expect=69).stderr
    assert "kafka.bootstrap.servers" in told, told
    s.run("topics", "delete", config=worker, expect=64)
    # No topic to read the states from.
    told = s.run("state", "list", config=worker, expect=78).stderr
    assert "rimbalzo.recipients" in told, told


def an_unknown_recipient_is_a_negative_answer(s: Scenario):
    broker = s.kafka()
    broker.create_rimbalzo_topics(partitions=2)
    worker = s.worker()
    assert s.run("state", "get", "nobody@example.org", "-o", "jsonl", config=worker, expect=1).stdout == ""
    assert json.loads(s.run("state", "list", "-o", "json", config=worker).stdout) == []
    s.run("state", "get", "no address", config=worker, expect=64)
    s.run("state", "get", config=worker, expect=64)
    s.run("state", "list", "--status", "SLEEPING", config=worker, expect=64)


if __name__ == "__main__":
    main(topics_are_planned_applied_and_checked, what_cannot_be_done_is_told, an_unknown_recipient_is_a_negative_answer)
