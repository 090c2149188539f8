#!/usr/bin/env python3
"""`rimbalzo doctor` against a real broker: things are broken one by one, and each is named. What it says of rights is
in test_manifests.py, where there is a broker with an authorizer."""

import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import claim

BROKER = {"log.retention.check.interval.ms": 2**31 - 1}
CHECKS = {"config", "schemas", "log.key", "clock.synchronised", "librdkafka", "broker", "broker.version",
          "rights.cluster", "transactions", "topics.settings", "topics.replication", "rights.topics", "rights.groups",
          "group", "clock.records", "limits.files", "limits.memory", "state_dir", "state_dir.filesystem",
          "state_dir.space", "state_dir.stores"}
LOCAL = {"config", "schemas", "log.key", "clock.synchronised", "limits.files", "limits.memory", "state_dir",
         "state_dir.filesystem", "state_dir.space", "state_dir.stores"}


def doctor(s, config, *arguments, expect=0):
    """Its rows."""
    done = s.run("doctor", "-o", "json", *arguments, config=config, expect=expect)
    rows = json.loads(done.stdout)
    for row in rows:
        assert row["result"] in ("ok", "warn", "fail", "unknown") and row["finding"], row
        # Whatever is wrong comes with what to do about it.
        assert (row["remedy"] is not None) >= (row["result"] in ("warn", "fail")), row
    return rows


def failed(rows):
    """{(check, about)}, shortened to what the tests name."""
    return {(row["check"], row["about"]) for row in rows if row["result"] == "fail"}


def found(rows, check, about=None):
    return [row for row in rows if row["check"] == check and about in (None, row["about"])]


def all_is_well(s, w):
    rows = doctor(s, w)
    assert {row["check"] for row in rows} == CHECKS, {row["check"] for row in rows} ^ CHECKS
    assert not failed(rows)
    assert found(rows, "broker")[0]["finding"] == "1 broker"
    assert "4.0 or newer" in found(rows, "broker.version")[0]["finding"]
    # One replica of each topic is what one broker can hold, and is worth a warning.
    assert len(found(rows, "topics.replication")) == 7
    assert all(row["result"] == "warn" for row in found(rows, "topics.replication"))
    assert {row["finding"] for row in found(rows, "group")} == {"has never run"}
    assert found(rows, "clock.records")[0]["result"] == "unknown"
    table = s.run("doctor", "worker", config=w)
    assert re.search(r"^ok +config +the configuration is valid$", table.stdout, re.M), table.stdout
    assert re.search(r"^warn +topics.replication +rimbalzo.bounces: .*\n +-> ", table.stdout, re.M), table.stdout
    assert "rimbalzo-dispatcher" not in table.stdout, table.stdout
    assert " 0 wrong" in table.stderr


def a_service_is_seen(s, w):
    worker = s.worker("w1", config={"topics": {"partitions": 2}, "kafka": {"session.timeout.ms": 6000}}).start()
    worker.wait_log("code=running", deadline_s=60, count=2)
    rows = doctor(s, worker)
    assert found(rows, "group", "rimbalzo-worker")[0]["finding"].startswith("1 member; 0 records behind")
    assert "state of 2 partitions, 2 of them in use" in found(rows, "state_dir.stores")[0]["finding"]
    assert "can be read" in found(rows, "log.key")[0]["finding"]
    os.mkdir(os.path.join(worker.state_dir, "rimbalzo", "forgotten.bounces-0"))
    assert worker.terminate() == 0
    rows = doctor(s, worker)
    assert found(rows, "state_dir.stores")[0]["result"] == "warn"
    assert "forgotten.bounces-0" in found(rows, "state_dir.stores")[0]["finding"]
    assert "in use" in found(rows, "state_dir.stores")[0]["finding"]
    assert "2 partitions, 0 of them" in found(rows, "state_dir.stores")[0]["finding"]
    # A static member leaves when its session is over.
    gone = wait_until(lambda: [row for row in found(doctor(s, worker), "group", "rimbalzo-worker")
                               if row["result"] != "ok"], 30, "the group to be without members", every_s=0.5)
    assert gone[0]["result"] == "warn" and "no members; 0 records behind" in gone[0]["finding"], gone


def broken_topics_are_named(s, w, broker):
    broker.create_topics(["short.delayed"], 2, {"retention.ms": 86400000})
    rows = doctor(s, w, "--set", "topics.delayed=short.delayed", expect=1)
    row, = [row for row in rows if row["result"] == "fail"]
    assert (row["check"], row["about"]) == ("topics.settings", "short.delayed"), row
    assert "retention.ms=86400000" in row["finding"] and "topics apply" in row["remedy"], row

    broker.create_topics(["tight.notices"], 2, {"min.insync.replicas": 2})
    rows = doctor(s, w, "--set", "topics.notices=tight.notices", expect=1)
    assert failed(rows) == {("topics.replication", "tight.notices")}, failed(rows)
    doctor(s, w, "dispatcher", "--set", "topics.notices=tight.notices")  # it has nothing to do with them

    rows = doctor(s, w, "--set", "topics.notices=absent.notices", expect=1)
    assert failed(rows) == {("topics.exist", "absent.notices")}, failed(rows)

    broker.create_topics(["wide.bounces"], 4, {"message.timestamp.after.max.ms": 3600000, "retention.ms": 86400000})
    rows = doctor(s, w, "--set", "topics.bounces=wide.bounces", expect=1)
    assert failed(rows) == {("topics.partitions", "rimbalzo.recipients")}, failed(rows)
    assert "2 partitions, not 4" in found(rows, "topics.partitions")[0]["finding"]


def what_the_brokers_or_the_clock_refuse(s, w, broker):
    rows = doctor(s, w, "--set", "kafka.transaction.timeout.ms=3600000", expect=1)
    assert failed(rows) == {("transactions", "worker"), ("transactions", "dispatcher")}, failed(rows)
    assert "transaction.max.timeout.ms" in found(rows, "transactions")[0]["remedy"]
    ahead = kafka_read.Record(b"a@example.org", b"x", (), 0, int(time.time() * 1000) + 600_000)
    broker.produce("rimbalzo.bounces", [ahead])
    row = found(doctor(s, w, "worker"), "clock.records")[0]
    assert row["result"] == "warn" and row["about"] == "rimbalzo.bounces" and "ahead" in row["finding"], row


def what_is_wrong_here(s, w):
    # /sys takes no files, whoever asks.
    rows = doctor(s, w, "--set", "state_dir=/sys/kernel", expect=1)
    assert failed(rows) == {("state_dir", "/sys/kernel")}, failed(rows)
    row = found(doctor(s, w, "--set", "state_dir=/nowhere/at/all"), "state_dir")[0]
    assert row["result"] == "warn" and "does not exist" in row["finding"], row
    rows = doctor(s, w, "--set", "log.address_key_file=/nowhere", expect=1)
    assert failed(rows) == {("log.key", None)} and "/nowhere" in found(rows, "log.key")[0]["finding"]
    rows = doctor(s, w, "--set", "store.map_size_initial=1024GiB", expect=1)
    assert {check for check, _ in failed(rows)} == {"state_dir.space"}, failed(rows)
    rows = doctor(s, w, "--set", "worker.threads=0", expect=78)
    assert failed(rows) == {("config", None)} and "worker.threads" in rows[0]["finding"] and len(rows) == 1
    began = time.monotonic()
    rows = doctor(s, w, "--set", "kafka.bootstrap.servers=127.0.0.1:1", expect=69)
    assert failed(rows) == {("broker", "127.0.0.1:1")} and time.monotonic() - began < 30
    assert {row["check"] for row in rows} == LOCAL | {"broker", "librdkafka"}, rows


def on_one_broker(s: Scenario):
    broker = s.kafka(BROKER)
    w = s.worker("look", config={"topics": {"partitions": 2, "replication": 1}})
    s.run("topics", "apply", "--yes", config=w)
    for part, arguments in ((all_is_well, ()), (a_service_is_seen, ()), (broken_topics_are_named, (broker,)),
                            (what_the_brokers_or_the_clock_refuse, (broker,)), (what_is_wrong_here, ())):
        with claim(part.__name__):
            part(s, w, *arguments)


if __name__ == "__main__":
    main(on_one_broker)
