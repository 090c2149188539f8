"""A dispatcher without Kafka: takes records in and lets commands leave in transactions of random size, at moments of a
clock of its own. It exists to test timers.py, and to have bugs planted in it."""

import random
from collections import defaultdict

import avro
from poison import Poison
from semantics import Record
from timers import DELAY_MAX_MS, Mark, Partition

START = 1_790_000_000_000


class ModelDispatcher:
    def __init__(self, seed, partitions):
        self.rng = random.Random(seed)
        self.codec = avro.Codec()
        self.reader = Partition((), self.codec, DELAY_MAX_MS)  # to tell poison, which is no task of this model
        self.now = START
        self.partitions = [ModelPartition(number) for number in range(partitions)]
        self.delayed, self.due, self.dead_letters = [], [], []
        self.marks = []

    def run(self, make, count):
        """`make`: the record to be written at a time. Ends when nothing is pending, or after a quarter of an hour."""
        while len(self.delayed) < count or any(p.next < len(p.log) or p.pending for p in self.partitions):
            self.now += self.rng.randrange(40)
            if self.now > START + 900_000:
                break
            for _ in range(self.rng.randrange(4) if len(self.delayed) < count else 0):
                self.write(make(self.now))
            if self.rng.random() < 0.3:
                self.transaction(self.rng.choice(self.partitions))
            if self.rng.random() < 0.05:
                self.marks.append(self.mark())
        return self.delayed, self.due, self.dead_letters, self.marks

    def write(self, record):
        log = self.partitions[record.partition].log
        log.append(record._replace(offset=len(log)))
        self.delayed.append(log[-1])

    def mark(self):
        return Mark({p.number: p.next for p in self.partitions},
                    {p.number: p.certificate() for p in self.partitions},
                    {p.number: p.sent for p in self.partitions}, {p.number: len(p.log) for p in self.partitions},
                    self.now)

    def transaction(self, partition):
        leaving = []
        for record in partition.log[partition.next :][: self.rng.choice((1, 3, 20))]:
            partition.next += 1
            self.take(partition, record, leaving)
        due = sorted(place for place in partition.pending if place[0] <= self.now)
        # Not all at once; but what the frontier has passed already would count as having left.
        passed = sum(place <= partition.frontier for place in due)
        due = due[: passed + self.rng.choice((1, 5, 50))]
        leaving += [partition.pending.pop(place) for place in due]
        if due:
            partition.frontier = max(partition.frontier, due[-1])
        for record in leaving:
            self.due.append(record._replace(offset=partition.sent, timestamp=self.now))
            partition.sent += 1
        partition.sent += 1  # the transaction's marker

    def take(self, partition, record, leaving):
        partition.time_before[record.offset] = partition.log_time
        partition.log_time = self.reader.log_time = max(partition.log_time, record.timestamp)
        try:
            fields = self.reader.read(record)
        except Poison as poison:
            self.reject(record, poison)
            return
        recipient = fields["tenant"], fields["recipient"]
        command_id = fields["command_id"].lower()
        if fields["action"] == "SCHEDULE":
            place = fields["due_at"], record.offset
            known = partition.known[recipient]
            duplicate = any(one == command_id and due_at > partition.log_time for one, due_at, _ in known)
            if not duplicate:
                for late in [place for one, _, place in known if one == command_id]:
                    partition.pending.pop(late, None)
                partition.pending[place] = record
            known.append((command_id, fields["due_at"], place))
            return
        for _, _, place in partition.known.pop(recipient, ()):
            found = partition.pending.pop(place, None)
            if found and fields["action"] == "RELEASE":
                leaving.append(found)

    def reject(self, record, poison):
        headers = list(record.headers)
        for name, value in (
            ("reason", poison.reason), ("text", poison.text), ("topic", "rimbalzo.retries.delayed"),
            ("partition", record.partition), ("offset", record.offset), ("timestamp", record.timestamp),
        ):  # fmt: skip
            headers.append((f"rimbalzo-{name}", str(value).encode()))
        self.dead_letters.append(Record(0, len(self.dead_letters), self.now, headers, record.key, record.value))


class ModelPartition:
    def __init__(self, number):
        self.number = number
        self.log = []
        self.next = 0  # offset that is read next
        self.sent = 0  # end of the due topic
        self.log_time = 0
        self.frontier = (-1, -1)
        self.pending = {}  # (due, offset) -> record
        self.known = defaultdict(list)  # recipient -> (id, due, place)
        self.time_before = {}  # offset -> log time just before it

    def certificate(self):
        waiting = [offset for _, offset in self.pending]
        needed = [place[1] for known in self.known.values() for _, due, place in known if due > self.log_time]
        start = min(waiting + needed, default=self.next)
        time = self.time_before.get(start, self.log_time)
        digest = int(bool(waiting))
        return (f"v1 i={self.next} f={self.frontier[0]},{self.frontier[1]} m={min(waiting, default=self.next)}"
                f" n={len(waiting)} d={digest:016x} r={start} t={time}")
