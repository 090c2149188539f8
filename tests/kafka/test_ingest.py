#!/usr/bin/env python3
"""`rimbalzo ingest` into a real topic: keys, partitions and values as the oracle wants them, and a worker
that counts each event once however often it is read."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until

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


if __name__ == "__main__":
    main(records_are_where_the_worker_wants_them, what_is_read_twice_counts_once, a_missing_topic_or_broker_is_told)
