#!/usr/bin/env python3
"""The input gets more partitions and the recipients move along; nothing is lost, nothing is counted twice."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, claim
from kafka_reshard import ReshardedPipeline

import avro
from identity import partition_of, record_key

RECIPIENTS = 20000
COUNT = 2000


def crowd(count, partitions):
    """A soft bounce of each of so many recipients."""
    codec = avro.Codec()
    for i in range(count):
        recipient = f"crowd{i}@d{i % 97}.example"
        key = record_key("", recipient)
        value = codec.encode("BounceRecord", {
            "event_id": f"crowd-{i}", "tenant": "", "recipient": recipient, "message_id": f"m{i}",
            "occurred_at": 1_000_000_000_000, "status": "4.2.2", "reply_code": None, "diagnostic": None,
            "remote_mta": None, "stage": None, "retry_of": None, "message_attempt": 0, "source": "crowd",
            "attributes": {}})
        yield kafka_read.Record(key.encode(), value, (), partition_of(key, partitions), 1_000_000_000_000)


def stop(worker):
    assert worker.terminate() == 0, worker.log_tail()


def wait_unused(pipeline, worker, partitions, *arguments):
    """Until the stopped members are forgotten; what a dry run says then."""
    done, = wait_until(
        lambda: [d for d in [pipeline.reshard(worker, partitions, "--dry-run", *arguments, expect=None)]
                 if "has members" not in d.stderr], 60, "the session to end", every_s=0.3)
    return done


def states(pipeline, topic):
    """{key: (partition, octets, fields)} of what is live."""
    codec = avro.Codec()
    live = kafka_read.latest_by_key(pipeline.broker.read(pipeline.prefix + topic))
    return {key: (record.partition, record.value, codec.decode(record.value, ("RecipientState",))[1])
            for key, record in live.items()}


def compare_topics(pipeline, former, now, partitions):
    """The same recipients, each where it belongs, changed in nothing but the offset of those that moved."""
    before, after = states(pipeline, former), states(pipeline, now)
    assert before.keys() == after.keys() and len(before) > RECIPIENTS
    moved = 0
    for key, (partition, octets, fields) in before.items():
        home, new_octets, new_fields = after[key]
        assert home == partition_of(key.decode(), partitions), key
        if home == partition:
            assert octets == new_octets, key
            continue
        moved += 1
        assert new_fields == {**fields, "source_offset": pipeline.starts[home] - 1}, key
    assert 0 < moved < len(before)


def from_four_to_twelve(s: Scenario):
    """20,000 recipients; a worker that still runs, records that are not read, a killed run: each is refused or gone
    on with."""
    pipeline = ReshardedPipeline(s, "more", partitions=4, config={"recipient": {"retention": "20000d"}})
    stream = pipeline.stream(seed=401, count=2 * COUNT, without=("misrouted",))
    worker = pipeline.worker("w1").start()
    pipeline.produce(list(crowd(RECIPIENTS, 4)) + stream[:COUNT])
    pipeline.wait_done([worker])
    told = pipeline.reshard(worker, 12, "--yes", expect=75).stderr
    assert "more-w1-0" in told, told
    stop(worker)
    pipeline.reshard(worker, 4, "--yes", expect=64)

    pipeline.produce(stream[COUNT:COUNT + 300])
    done = wait_unused(pipeline, worker, 12)
    assert done.returncode == 75 and "not read yet" in done.stderr, done.stderr
    worker.start()
    pipeline.wait_done([worker])
    stop(worker)
    done = wait_unused(pipeline, worker, 12, "-o", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 12 and sum(row["recipients"] for row in rows) > RECIPIENTS
    assert len(pipeline.ends()) == 4

    # Killed before and after the copying, and within it: workers start neither here nor there.
    moved = pipeline.worker("w2", config={"topics": {"recipients": "more.recipients.v2"}})
    pipeline.workers.remove(moved)
    for point in ("reshard-begun:1", "reshard-copied:1", "reshard-proven:1"):
        done = pipeline.reshard(worker, 12, "--yes", env={"RIMBALZO_FAILPOINT": point}, expect=-9)
        assert len(pipeline.ends()) == 12
        if point.startswith("reshard-copied"):
            moved.start()
            moved.wait_log("level=error code=certificate_invalid .*rimbalzo reshard", count=12)
            stop(moved)
            told = s.run("worker", config=worker, expect=78).stderr
            assert "rimbalzo reshard" in told, told
            wait_unused(pipeline, worker, 12)
    done = pipeline.reshard(worker, 12, "--yes")
    assert "\n0 recipients written" in done.stderr and "recipients: more.recipients.v2" in done.stderr, done.stderr
    before = pipeline.broker.committed(pipeline.group)
    pipeline.reshard(worker, 12, "--yes")
    assert pipeline.broker.committed(pipeline.group) == before

    pipeline.move_to("recipients.v2", 12)
    compare_topics(pipeline, "recipients", "recipients.v2", 12)
    moved = pipeline.worker("w3").start()
    # By producers that know of the new partitions, and by one that does not.
    fresh = [record for record in pipeline.stream(seed=402, count=COUNT)]
    pipeline.produce(fresh + stream[COUNT + 300:] + [r for r in stream[COUNT:COUNT + 300] if r.value])
    pipeline.wait_done([moved])
    stop(moved)
    counted, written = pipeline.verify(), pipeline.counts()
    assert counted.reroutes and counted.dead_letters and counted.states > RECIPIENTS
    print(f"       {counted}")
    # Who recomputes states knows that those of recipients that moved lie in two places.
    told = s.run("state", "verify", config=moved, expect=75).stderr
    assert "carried over" in told and "\nrimbalzo: 0 recipients differ" in told, told
    assert "carried over" in s.run("replay", "plan", config=moved).stderr
    wait_until(lambda: s.run("replay", "apply", "--yes", config=moved, expect=None).returncode != 75, 60,
               "the session to end", every_s=0.5)
    assert pipeline.counts() == written, "a replay has written"


def widened_by_hand(s: Scenario):
    """2 to 3 partitions, which mixes all of them, with records not read: sent on if that is accepted."""
    pipeline = ReshardedPipeline(s, "hand", partitions=2)
    stream = pipeline.stream(seed=403, count=3 * COUNT)
    worker = pipeline.worker("w1").start()
    pipeline.produce(stream[:COUNT])
    pipeline.wait_done([worker])
    stop(worker)
    pipeline.produce(stream[COUNT:2 * COUNT])
    pipeline.broker.topics("--alter", "--topic", pipeline.input, "--partitions", 3)
    done = wait_unused(pipeline, worker, 3)
    assert done.returncode == 75 and "--accept-strays" in done.stderr, done.stderr
    pipeline.reshard(worker, 5, "--yes", expect=64)
    pipeline.reshard(worker, 3, "--yes", "--to", pipeline.input, expect=64)
    pipeline.reshard(worker, 3, "--yes", "--accept-strays", "--to", "hand.people")
    pipeline.move_to("people", 3)
    moved = pipeline.worker("w2").start()
    pipeline.wait_done([moved])
    pipeline.produce(stream[2 * COUNT:])
    pipeline.wait_done([moved])
    stop(moved)
    print(f"       {pipeline.verify()}")


def reshard(s: Scenario):
    s.kafka(BROKER)
    for part in (from_four_to_twelve, widened_by_hand):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(reshard)
