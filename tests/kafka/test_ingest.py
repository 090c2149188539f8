#!/usr/bin/env python3
"""`rimbalzo ingest` into a real topic: keys, partitions and values as the oracle wants them, and a worker
that counts each event once however often it is read."""

import itertools
import json
import os
import random
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Producer, Scenario, main, wait_until

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
import avro
import identity

PARTITIONS = 3
COUNT = 200


def events():
    """SendGrid's: COUNT bounces, a delivery, and what is no event for us."""
    made = [{"event": "bounce", "email": f"User{i}@Example.org", "timestamp": 1770000000 + i, "status": "5.1.1",
             "reason": "550 5.1.1 user unknown", "sg_event_id": f"e{i}", "sg_message_id": f"m{i}.x"}
            for i in range(COUNT)]
    made.append({"event": "delivered", "email": "b@example.org", "timestamp": 1770000000, "sg_event_id": "d"})
    made.append({"event": "open", "email": "b@example.org"})
    made.append({"event": "bounce", "email": "nobody"})
    return "".join(json.dumps(event) + "\n" for event in made).encode()


def ingest(s, worker, *arguments, expect=65):
    done = s.run("ingest", "--from", "sendgrid", *arguments, config=worker, stdin=events(), expect=expect)
    assert f"all       -                         {COUNT + 3}" in done.stderr, done.stderr
    return done


def records_are_where_the_worker_wants_them(s: Scenario):
    broker = s.kafka()
    broker.create_rimbalzo_topics(partitions=PARTITIONS)
    worker = s.worker()
    ingest(s, worker, "--dry-run")
    assert not kafka_read.read_topic(broker.bootstrap, "rimbalzo.bounces")
    ingest(s, worker, "--tenant", "shop")
    codec = avro.Codec()
    found = kafka_read.read_topic(broker.bootstrap, "rimbalzo.bounces")
    assert len(found) == COUNT + 1, len(found)
    for record in found:
        name, fields = codec.decode(record.value)
        key = record.key.decode()
        assert key == "shop:" + fields["recipient"].lower(), (key, fields)
        assert record.partition == (identity.murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS, record
        assert fields["tenant"] == "shop" and fields["source"] == "sendgrid", fields
        if name == "BounceRecord":
            assert (fields["status"], fields["reply_code"]) == ("5.1.1", 550), fields
            assert fields["message_id"] == "m" + fields["recipient"][4:].split("@")[0], fields
        else:
            assert name == "DeliveryRecord" and fields["recipient"] == "b@example.org", (name, fields)


def what_is_read_twice_counts_once(s: Scenario):
    broker = s.kafka()
    broker.create_rimbalzo_topics(partitions=PARTITIONS)
    worker = s.worker()
    ingest(s, worker)
    ingest(s, worker)
    first, second = {}, {}
    codec = avro.Codec()
    for record in kafka_read.read_topic(broker.bootstrap, "rimbalzo.bounces"):
        _, fields = codec.decode(record.value)
        into = second if fields["recipient"] in first else first
        into[fields["recipient"]] = fields
    assert first == second, "another reading makes other records"
    worker.start()
    wait_until(lambda: worker.metric("rimbalzo_records_total") == 2 * (COUNT + 1), 60,
               "all records of both readings to be processed", alive=[worker])
    states = json.loads(s.run("state", "list", "-o", "json", config=worker).stdout)
    assert len(states) == COUNT, len(states)
    state = json.loads(s.run("state", "get", "user7@example.org", "-o", "json", config=worker).stdout)[0]
    assert state["status"] == "SUPPRESSED" and state["hard"] == 1, state


def a_missing_topic_or_broker_is_told(s: Scenario):
    s.kafka()
    worker = s.worker()
    told = s.run("ingest", "--from", "sendgrid", config=worker, stdin=events(), expect=78).stderr
    assert "rimbalzo.bounces" in told, told
    s.run("ingest", "--from", "sendgrid", "--set", "kafka.bootstrap.servers=127.0.0.1:1", config=worker,
          stdin=events(), expect=69)


def log_record(dice, number):
    """One of KumoMTA's, its recipients if they become records, and whether it is unusable."""
    kind = dice.choice(["Bounce"] * 4 + ["OOB", "Expiration", "Delivery", "TransientFailure", "Reception", "cut off"])
    recipients = [f"User{dice.randrange(500)}@Example.org"] + (["second@example.org"] if number % 17 == 0 else [])
    value = {"type": kind, "id": f"id{number}", "nodeid": "n1", "num_attempts": 3, "timestamp": 1770000000 + number,
             "recipient": recipients if len(recipients) > 1 else recipients[0], "peer_address": {"name": "mx.example.org."},
             "response": {"code": 550, "enhanced_code": {"class": 5, "subject": 1, "detail": 1}, "content": "user unknown",
                          "command": "RCPT TO:<x>"}}
    accepted = [r.lower() for r in recipients] if kind in ("Bounce", "OOB", "Expiration", "Delivery") else []
    octets = json.dumps(value).encode()
    cut = kind == "cut off"
    return octets[:-20] if cut else octets, [(r, number) for r in accepted], cut


def a_topic_of_log_records_is_taken_in_exactly_once(s: Scenario):
    """Two processes, killed at every crash point that a job without a state can pass, and at random."""
    broker = s.kafka()
    broker.create_rimbalzo_topics(partitions=PARTITIONS)
    broker.create_topic("kumo.log", partitions=4, config={"retention.ms": -1})
    config = {"kafka": {"transaction.timeout.ms": "6000"}, "worker": {"commit_interval": "40ms"}}
    jobs = [s.worker(name, command="ingest", config=config, arguments=["--from", "kumomta", "kafka:kumo.log"])
            for name in ("j1", "j2")]
    dice, expected, unusable, given = random.Random(11), Counter(), 0, 0
    points = ["after-begin", "after-stage", "after-produce", "after-offsets", "during-commit", "after-kafka-commit"]
    producer = Producer(broker.bootstrap, "kumo.log")
    for job in jobs:
        job.start()
    for number, point in enumerate(points * 2):
        records = []
        for _ in range(1000):
            value, accepted, bad = log_record(dice, given)
            expected.update(accepted)
            unusable += bad
            records.append(kafka_read.Record(None, value, (("traceparent", b"t%d" % given),), dice.randrange(4)))
            given += 1
        job = jobs[number % 2]
        job.kill()
        job.start(failpoint=f"{point}:{1 + number % 3}")
        producer.send(records)
        other = itertools.count()
        while job.is_alive():  # records go on coming until it passes the point
            time.sleep(0.1)
            if job.is_alive():
                producer.send([kafka_read.Record(None, b'{"type": "Delayed"}', (), next(other) % 4)])
        job.start()
    producer.close()
    wait_until(lambda: all(entry.offset >= broker_end for entry, broker_end in lag(broker)), 90,
               "all of the topic to be taken in", alive=jobs)
    for job in jobs:
        assert job.terminate() == 0, job.log_tail()
    codec, found = avro.Codec(), Counter()
    for record in kafka_read.read_topic(broker.bootstrap, "rimbalzo.bounces"):
        _, fields = codec.decode(record.value)
        number = int(dict(record.headers)["traceparent"][1:])
        assert record.key.decode() == fields["recipient"].lower(), fields
        found[record.key.decode(), number] += 1
    assert found == expected, f"{(found - expected).total()} too many, {(expected - found).total()} missing"
    dead = kafka_read.read_topic(broker.bootstrap, "rimbalzo.dead-letters")
    assert len(dead) == unusable and all(dict(r.headers)["rimbalzo-topic"] == b"kumo.log" for r in dead), len(dead)
    print(f"       {given} records, {found.total()} taken in, {unusable} dead letters, {2 * len(points)} kills")


def lag(broker):
    entries = broker.committed("rimbalzo-ingest-kumo.log")
    return [(entries[topic, partition], end) for partition, end in kafka_read.end_offsets(broker.bootstrap, "kumo.log").items()
            for topic in ("kumo.log",) if (topic, partition) in entries] or [(kafka_read.Committed(-1, ""), 0)]


if __name__ == "__main__":
    main(records_are_where_the_worker_wants_them, what_is_read_twice_counts_once, a_missing_topic_or_broker_is_told,
         a_topic_of_log_records_is_taken_in_exactly_once)
