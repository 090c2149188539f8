"""What the tests of the dispatcher share: commands written in real time, what is seen meanwhile, and the verdict.

    with a Scenario s:
        dispatch = Dispatch(s, "claim", partitions=4)
        feeder = dispatch.feeder(count=20000, seed=7, delay_ms=5000)
        dispatcher = dispatch.worker("d1").start()
        with dispatch.watched():
            feeder.finish()
            dispatch.wait_done([dispatcher])
        dispatch.verify()
"""

import contextlib
import io
import threading
import time
import uuid

import kafka_read
from kafka_harness import Producer
from kafka_pipeline import Pipeline
from kafka_read import ToolError
from processes import wait_until

# pylint: disable=wrong-import-order
import avro
import commands
import records as oracle_records
import timers

FOREVER_MS = 1 << 60


def now_ms():
    return time.time_ns() // 1_000_000


class Dispatch(Pipeline):
    """One app, and the dispatcher's side of it."""

    ROLE = "dispatcher"
    INPUT = "retries.delayed"
    CERTIFIED = "retries.due"

    def __init__(self, scenario, app, **options):
        super().__init__(scenario, app, **options)
        self.codec = avro.Codec()
        self.marks = []
        self.looking = threading.Lock()
        self.due = self.changelog

    def command(self, action, recipient, due_at, headers=(), **fields):
        """A record with one command."""
        now = now_ms()
        fields = {"command_id": str(uuid.uuid4()), "action": action, "tenant": "", "recipient": recipient,
                  "message_id": "m", "episode": 1, "attempt": 1, "max_attempts": 4, "message_attempt": 0,
                  "due_at": due_at, "issued_at": now, "status": "4.2.1", "reason": "mailbox_disabled",
                  "source_partition": 0, "source_offset": 0, **fields}
        return kafka_read.Record(recipient.encode(), self.codec.encode("RetryCommand", fields), tuple(headers),
                                 timestamp_ms=now)

    def feeder(self, count, seed, **options):
        """`count` commands in real time; options of the oracle's generator."""
        return CommandFeeder(self, count, commands.Commands(seed, self.partitions, **options))

    # -- waiting --

    def look(self):
        """Takes a mark: what the group has committed, and where the topics end, in this order. None while offsets are
        pending."""
        with self.looking:
            found = kafka_read.committed_now(self.broker.bootstrap, self.group)
            if found is None:
                return None
            ends = kafka_read.ends_of_topics(self.broker.bootstrap, [self.due, self.input], "read_uncommitted")
            mark = timers.Mark({p: entry.offset for (topic, p), entry in found.items() if topic == self.input},
                               {p: entry.metadata for (topic, p), entry in found.items() if topic == self.due},
                               ends[self.due], ends[self.input], now_ms())
            self.marks.append(mark)
            return mark

    def is_taken_in(self):
        """The mark, if all commands are taken in."""
        mark = self.look()
        return mark if mark and all(mark.committed.get(p, 0) >= end for p, end in mark.delayed_ends.items()) else None

    def is_done(self, partitions=None):
        """Whether, besides, none is pending."""
        mark = self.is_taken_in()
        return mark is not None and all(" n=0 " in text for text in mark.certificates.values())

    def wait_taken_in(self, alive=(), deadline_s=60):
        return wait_until(self.is_taken_in, deadline_s, f"{self.app}: the commands to be taken in", every_s=0.1,
                          alive=alive)

    def count_due(self, **options):
        return self.broker.count(self.due, **options)

    @contextlib.contextmanager
    def watched(self, every_s=0.3):
        """Takes marks all the time while its body runs."""
        watch = Watch(self, every_s)
        watch.start()
        try:
            yield
        finally:
            watch.stop()

    # -- verdict --

    def read(self):
        """[commands, what left, dead letters]: records of the oracle, as a read_committed reader sees them."""
        names = [self.input, self.due, self.prefix + "dead-letters"]
        octets = kafka_read.run_tool("topic_dump", "-b", self.broker.bootstrap, "--isolation", "read_committed",
                                     "--stable-ms", 30000, "--deadline-ms", 120000, *names, deadline_s=180)
        found = oracle_records.by_topic(io.BytesIO(octets))
        return [found.get(name, []) for name in names]

    def verify(self, calm=True, until_ms=FOREVER_MS):
        """Due topic, dead letters, marks and certificates against the delayed topic; the comparison. until_ms: what was
        due by then must have left; by default everything, as there is nothing pending after wait_done."""
        comparison = timers.Comparison(*self.read(), until_ms, self.marks, prefix=self.prefix)
        self.expect_none(comparison.run(self.certificates()))
        if calm:
            self.check_calm()
        return Verdict(comparison)


class Verdict:
    """What was counted of an app that was found right."""

    def __init__(self, comparison):
        self.counts = {**comparison.counts(), "marks": len(comparison.marks)}
        self.late_ms = comparison.lateness_ms()
        self.comparison = comparison

    def lateness(self):
        """(p50, p99, max) in milliseconds."""
        return tuple(timers.percentile(self.late_ms, share) for share in (0.5, 0.99, 1))

    def __str__(self):
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        return f"{counts}; late by p50 {self.lateness()[0]}, p99 {self.lateness()[1]}, max {self.lateness()[2]} ms"


class CommandFeeder:
    """Makes commands at the moment it writes them."""

    def __init__(self, pipeline, total, source):
        self.pipeline, self.total, self.source = pipeline, total, source
        self.given = 0
        self.recent = []
        self.producer = Producer(pipeline.broker.bootstrap, pipeline.input)

    @property
    def left(self):
        return self.total - self.given

    def give(self, count):
        """Sends up to `count` of them; returns how many."""
        count = min(count, self.left)
        now = now_ms()
        self.send([self.source.next(now) for _ in range(count)])
        self.given += count
        return count

    def give_again(self, count):
        """Sends some of the latest once more: a repetition, or, if they have left, another command that is due."""
        self.send(self.recent[:count])
        return len(self.recent[:count])

    def send(self, records):
        self.recent = records or self.recent
        self.producer.send([self.pipeline.to_kafka(record) for record in records])

    def finish(self, deadline_s=180):
        """Sends what is left and waits until all is acknowledged."""
        self.give(self.left)
        return self.producer.close(deadline_s)


class Watch(threading.Thread):
    """Looks again and again."""

    def __init__(self, dispatch, every_s):
        super().__init__(daemon=True)
        self.dispatch, self.every_s = dispatch, every_s
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(self.every_s):
            with contextlib.suppress(ToolError):  # while there is no broker
                self.dispatch.look()

    def stop(self):
        self.ended.set()
        self.join()
