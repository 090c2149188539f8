#!/usr/bin/env python3
"""scripts/demo --kafka: two workers on a real broker; one is killed while input flows, and comes back.

usage: demo_kafka.py RECORDS

At the end every output, dead letter, state and certificate is compared with the fold of the same
input by tests/oracle, which shares no code with the worker; only what class a bounce's text has is
asked of `rimbalzo classify`. Exit code 0 only if all are equal.
"""

import os
import re
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Process, Scenario, binary_path, wait_until
from kafka_pipeline import Pipeline, codes

PARTITIONS = 4
FEED_S = 12  # the input flows for so long, whatever its size: time enough to kill, take over and come back
# So short that what the dead one left open is over soon; 15 s by default. The harness also shortens
# the session (3 s), after which the group gives a silent member's partitions to another.
CONFIG = {"kafka": {"transaction.timeout.ms": "6000"}}

WIDTH = 46


class Story:
    """What happens, with the seconds since the beginning."""

    def __init__(self):
        self.began = time.monotonic()

    @property
    def now(self):
        return time.monotonic() - self.began

    def tell(self, text):
        print(f"{self.now:6.1f} s  {text}", flush=True)


def wait_committed(pipeline, count, workers):
    """Until the group has committed so many records of the input; how many they are."""
    def total():
        return sum(entry.offset for (topic, _), entry in pipeline.broker.committed(pipeline.group).items()
                   if topic == pipeline.input and entry.offset > 0)
    return wait_until(lambda: (found := total()) >= count and found, 60, f"{count} records to be committed",
                      alive=workers)


def partitions_run(worker):
    """{partition: how often it has begun to run} of a worker's present start."""
    return Counter(map(int, re.findall(r"code=running .*? partition=(\d+)", worker.log_text())))


def kill_inside_transaction(pipeline, worker):
    """Stops it at moments until one lies between its first write of a transaction and the commit, and kills it
    there. Returns whether such a moment was found while enough of the input was still to come."""
    own = partitions_run(worker)
    inside, give_up = False, time.monotonic() + FEED_S / 4
    while time.monotonic() < give_up:
        worker.pause()
        time.sleep(0.1)  # what was on its way has arrived: what is open now stays open
        stable, high = pipeline.ends(pipeline.changelog), pipeline.ends(pipeline.changelog, "read_uncommitted")
        inside = any(stable[p] != high[p] for p in own)
        if inside:
            break
        worker.resume()
        time.sleep(0.05)
    worker.kill()
    return inside


def kill_and_come_back(story, pipeline, killed, other, count):
    """In the middle of the input; returns the seconds until every partition of the killed one runs again."""
    done = wait_committed(pipeline, count * 3 // 10, [killed, other])
    lost, before = partitions_run(killed), partitions_run(other)
    inside = kill_inside_transaction(pipeline, killed)
    began = time.monotonic()
    story.tell(f"more than {done:,} records are committed; w1 is killed (SIGKILL)"
               + (" inside a transaction" if inside else ""))
    wait_until(lambda: all(partitions_run(other)[p] > before[p] for p in lost), 60, "the other one to take over",
               alive=[other])
    took = time.monotonic() - began
    story.tell(f"w2 has taken over: it runs every partition, {took:.1f} s after the kill")
    killed.start()
    killed.wait_log("code=running", deadline_s=60)
    story.tell("w1 is back: it has proved its state against the group's certificate, and runs")
    return took


def run(scenario, story, count):
    """Returns (pipeline, seconds of the takeover), everything processed and the workers ended."""
    scenario.kafka()
    pipeline = Pipeline(scenario, "demo", partitions=PARTITIONS, config=CONFIG)
    story.tell(f"a Kafka broker runs; `rimbalzo topics apply` has made the topics, {PARTITIONS} partitions each")
    workers = [pipeline.worker(name).start() for name in ("w1", "w2")]
    for worker in workers:
        wait_until(lambda worker=worker: "running" in codes(worker), 60, f"{worker.name} to run", alive=[worker])
    story.tell(f"two workers run; `rimbalzo produce-sample` begins to produce {count:,} records")
    producer = Process("produce-sample", [binary_path(), "produce-sample", "-n", str(count), "--start", "now",
                                          "--rate", str(max(1, count // FEED_S)), "-c", workers[0].config_path],
                       os.path.join(scenario.dir, "produce-sample.log"))
    took = kill_and_come_back(story, pipeline, *workers, count)
    assert producer.wait_exit(120) == 0, producer.log_tail()
    pipeline.wait_done(workers)
    for worker in workers:
        assert worker.terminate() == 0, worker.log_tail()
    story.tell("everything is processed, both have ended; now the fold of the same input is compared")
    return pipeline, took


def table(pipeline, verdict, took):
    """(what, how many) of all that was written; the verdict has found it equal to the fold."""
    written = pipeline.counts()
    kinds = Counter(output.get("action") or output["kind"] for output in pipeline.fold.outputs)
    hidden = sum(written.values()) - sum(verdict.written.values())
    return [
        ("records of the input topic", verdict.records),
        ("  misrouted, sent to their own partition", verdict.reroutes),
        ("workers killed with SIGKILL", 1),
        ("seconds until the other had taken over", f"{took:.1f}"),
        ("records that the kill left uncommitted, hidden", hidden),
        *[(f"outputs: {kind}", kinds[kind]) for kind in sorted(kinds)],
        ("recipients with a state", verdict.states),
        ("dead letters", verdict.dead_letters),
    ]


def main():
    count = int(sys.argv[1])
    story = Story()
    try:
        with Scenario("demo") as scenario:
            pipeline, took = run(scenario, story, count)
            try:
                verdict = pipeline.verify(texts=True)
            except AssertionError:
                print("\nequal to the fold: NO", flush=True)
                raise
            rows = table(pipeline, verdict, took)
    except AssertionError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        sys.exit(1)
    print()
    for name, value in rows:
        print(f"{name:{WIDTH}} {value if isinstance(value, str) else format(value, ',d'):>10}")
    print(f"{'equal to the fold':{WIDTH}} {'yes':>10}   ({story.now:.0f} s)")


if __name__ == "__main__":
    main()
