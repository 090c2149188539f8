"""A worker without Kafka: folds in random batches, scans for idle recipients at random moments, writes topics.

It exists to test compare.py, and to show that neither batches nor the moments of the idle scan can be observed.
"""

import random
from collections import defaultdict

import avro
from identity import partition_of, record_key
from semantics import Fold, Record, effective

TOPIC_OF = {"RetryCommand": "retries.delayed", "SuppressionEvent": "suppressions", "RecipientNotice": "notices"}


class ModelWorker:
    def __init__(self, seed, partitions, config, now_ms):
        self.rng = random.Random(seed)
        self.codec = avro.Codec()
        self.fold = Fold(partitions, config, self.codec.decode)
        self.partitions, self.config, self.now = partitions, config, now_ms
        self.inputs = defaultdict(list)  # partition -> records of the input topic
        self.next = defaultdict(int)
        self.topics = defaultdict(list)
        self.ends = defaultdict(int)

    def run(self, stream):
        """Takes the whole stream, then works it off; returns (records of the input topic, topics)."""
        for record in stream:
            self.inputs[record.partition].append(record)
        while open_partitions := [p for p, found in self.inputs.items() if self.next[p] < len(found)]:
            self.batch(self.rng.choice(open_partitions))
            if self.rng.random() < 0.2:
                self.idle_scan(self.rng.randrange(self.partitions))
        return [record for found in self.inputs.values() for record in found], self.topics

    def write(self, topic, partition, key, value, headers=()):
        offset = self.ends[topic, partition]
        self.ends[topic, partition] += 1
        self.topics[topic].append(Record(partition, offset, self.now, list(headers), key, value))

    def batch(self, partition):
        size = self.rng.choice((1, 2, 10, 100))
        records = self.inputs[partition][self.next[partition] :][:size]
        self.next[partition] += len(records)
        touched = {}
        for record in records:
            self.one(record, touched)
        for address, offset in touched.items():
            self.changelog(address, self.fold.states.get(address), offset)

    def one(self, record, touched):
        before = len(self.fold.dead_letters), len(self.fold.reroutes)
        states = self.fold.states.copy()
        for output in self.fold.feed(record):
            key = record_key(output["tenant"], output["recipient"])
            value = self.codec.encode(output["type"], output)
            headers = [header for header in record.headers if not header[0].startswith("rimbalzo-")]
            self.write(TOPIC_OF[output["type"]], partition_of(key, self.partitions), key.encode(), value,
                       headers if output["type"] == "RetryCommand" else ())
        for letter in self.fold.dead_letters[before[0] :]:
            self.dead_letter(letter)
        for reroute in self.fold.reroutes[before[1] :]:
            home = self.inputs[reroute.partition]
            offset = home[-1].offset + 1 if home else 0
            home.append(Record(reroute.partition, offset, self.now, reroute.headers, reroute.key, reroute.value))
        for address in states.keys() | self.fold.states.keys():
            if states.get(address) is not self.fold.states.get(address):
                forgotten = address not in self.fold.states
                expired = forgotten and effective(self.config, states[address], self.stream_time(record)) is None
                # A found expired state leaves a tombstone with its own offset.
                touched[address] = states[address]["source_offset"] if expired else record.offset

    def stream_time(self, record):
        return self.fold.stream_times[record.partition]

    def changelog(self, address, state, offset):
        key = record_key(*address)
        partition = partition_of(key, self.partitions)
        if state is None:
            self.write("recipients", partition, key.encode(), None, [("source_offset", str(offset).encode())])
        else:
            self.write("recipients", partition, key.encode(), self.codec.encode("RecipientState", state))

    def dead_letter(self, letter):
        origin = letter.record
        headers = list(origin.headers)
        for name, value in (
            ("reason", letter.reason), ("text", letter.text), ("topic", "rimbalzo.bounces"),
            ("partition", letter.partition), ("offset", letter.offset), ("timestamp", origin.timestamp),
        ):  # fmt: skip
            headers.append((f"rimbalzo-{name}", str(value).encode()))
        self.write("dead-letters", 0, origin.key, origin.value, headers)

    def idle_scan(self, partition):
        """Stores lapses and expiries of some recipients."""
        for address, state in list(self.fold.states.items()):
            if partition_of(record_key(*address), self.partitions) != partition or self.rng.random() < 0.3:
                continue
            seen = effective(self.config, state, self.fold.stream_times[partition])
            if seen is state:
                continue
            if seen is None:
                del self.fold.states[address]
            else:
                self.fold.states[address] = seen
            self.changelog(address, seen, state["source_offset"])
