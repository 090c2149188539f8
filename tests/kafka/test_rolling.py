#!/usr/bin/env python3
"""Workers under load are restarted one after the other, as a StatefulSet does it, killed one after the other, and become
more and fewer: how often the group rebalances, how long each partition stands still, and that nothing is counted twice.
"""

import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline

PARTITIONS = 6
COUNT = 30_000
TICK_S, CHUNK = 0.05, 24  # the load; on average four records for each partition
SESSION_S = 8
# A dead owner's transaction would keep its heir waiting for far longer than any pause that is allowed here.
CONFIG = {"kafka": {"session.timeout.ms": str(SESSION_S * 1000), "transaction.timeout.ms": "60000"}}


class Rolling:
    """The pipeline under a load that goes on while anything is waited for."""

    def __init__(self, s):
        self.broker = s.broker
        self.pipeline = Pipeline(s, "rolling", partitions=PARTITIONS, config=CONFIG)
        self.feeder = self.pipeline.feeder(self.pipeline.stream(seed=930, count=COUNT))
        self.workers = [self.pipeline.worker(f"w{number}") for number in range(4)]

    def running(self, count):
        """Starts with so many workers."""
        for worker in self.workers[:count]:
            worker.start()
        wait_until(lambda: self.shared_by(count), 60, "every partition to run", alive=self.workers[:count])

    def shared_by(self, count):
        """Whether each of the first workers runs its share."""
        return all(worker.metric("rimbalzo_partitions", state="running") == PARTITIONS // count
                   for worker in self.workers[:count])

    def load_until(self, happened, what, deadline_s=60):
        def turn():
            given = self.feeder.give(CHUNK)
            assert given, "COUNT is too small"
            return happened()

        wait_until(turn, deadline_s, what, every_s=TICK_S)

    def load_for(self, seconds):
        end = time.monotonic() + seconds
        self.load_until(lambda: time.monotonic() > end, "time to pass")

    def ready(self, worker):
        """As a readiness probe has it."""
        self.load_until(lambda: worker.http("/readyz")[0] == 200, f"{worker.name} to be ready")

    def phase(self, name, act, rebalances, pause_s):
        """Acts under load; prints and checks how often the group came together anew and how long partitions paused."""
        before = self.broker.generation(self.pipeline.group)
        self.load_for(1)
        began = time.time()
        act()
        self.load_for(2)
        ended = time.time()
        happened = self.broker.generation(self.pipeline.group) - before
        found = self.pauses(began, ended)
        longest = max(found.values())
        print(f"       {name}: {ended - began:.1f} s, {happened} rebalances (at most {rebalances}); pause "
              + "  ".join(f"{partition}: {pause:.2f}" for partition, pause in found.items())
              + f"  longest {longest:.2f} s (at most {pause_s})", flush=True)
        assert happened <= rebalances, f"{happened} rebalances"
        assert longest < pause_s, f"a partition stood still for {longest:.1f} s"

    def pauses(self, began_s, ended_s):
        """{partition: the longest time between two commits of its offset}, from what the group has committed."""
        commits = {partition: [began_s] for partition in range(PARTITIONS)}
        for record in kafka_read.read_topic(self.broker.bootstrap, "__consumer_offsets"):
            at = record.timestamp_ms / 1000
            key = offset_key(record.key)
            if key and key[:2] == (self.pipeline.group, self.pipeline.input) and began_s < at < ended_s:
                commits[key[2]].append(at)
        return {partition: max(b - a for a, b in zip(sorted(times), [*sorted(times)[1:], ended_s]))
                for partition, times in commits.items()}

    # -- acts --

    def restart_each(self, stop):
        """Stops one after the other and starts it again with its place in the group; the next when it is ready."""
        for worker in self.workers[:3]:
            stop(worker)
            worker.start()
            self.ready(worker)

    def terminate(self, worker):
        assert worker.terminate() == 0, worker.log_tail()

    def kill(self, worker):
        worker.kill()

    def die_in_a_transaction(self):
        """One dies when its offsets are pending, and comes back."""
        worker = self.workers[0]
        self.terminate(worker)
        worker.start(failpoint="after-offsets:5")
        self.load_until(lambda: not worker.is_alive(), "the worker to die")
        worker.start()
        self.ready(worker)

    def scale_up(self):
        before = self.broker.generation(self.pipeline.group)
        self.workers[3].start()
        self.load_until(lambda: self.broker.generation(self.pipeline.group) > before, "the fourth to join")
        self.ready(self.workers[3])

    def scale_down(self):
        """The last two go, for good: their places are theirs until their sessions end."""
        for worker in (self.workers[3], self.workers[2]):
            self.terminate(worker)
        self.load_until(lambda: self.shared_by(2), "two workers to have everything")


def offset_key(key):
    """(group, topic, partition) of a record of __consumer_offsets that is an offset's; None: it is another's."""
    if key is None or struct.unpack_from(">h", key)[0] > 1:
        return None
    texts, at = [], 2
    for _ in range(2):
        size = struct.unpack_from(">h", key, at)[0]
        texts.append(key[at + 2:at + 2 + size].decode())
        at += 2 + size
    return (*texts, struct.unpack_from(">i", key, at)[0])


def rolling(s: Scenario):
    s.kafka(BROKER)
    r = Rolling(s)
    r.running(3)
    # Who is back before its session ends takes its place again, and nobody else hears of it.
    r.phase("restarted one by one (SIGTERM)", lambda: r.restart_each(r.terminate), rebalances=0, pause_s=SESSION_S)
    r.phase("killed one by one (SIGKILL)", lambda: r.restart_each(r.kill), rebalances=0, pause_s=SESSION_S)
    r.phase("killed with offsets pending", r.die_in_a_transaction, rebalances=0, pause_s=2 * SESSION_S)
    # One for each member that comes or goes; those that go together may be missed together.
    r.phase("three become four", r.scale_up, rebalances=1, pause_s=SESSION_S)
    r.phase("four become two", r.scale_down, rebalances=2, pause_s=2 * SESSION_S)
    r.feeder.records = r.feeder.records[:r.feeder.given]
    r.feeder.finish()
    r.pipeline.wait_done(r.workers[:2])
    for worker in r.workers[:2]:
        assert worker.terminate() == 0
    print(f"       {r.pipeline.verify()}", flush=True)


if __name__ == "__main__":
    main(rolling)
