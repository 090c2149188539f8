"""What the tests of the worker share: topics made by the product, input of the oracle, and its verdict.

    with a Scenario s:
        pipeline = Pipeline(s, "claim", partitions=4)
        pipeline.produce(pipeline.stream(seed=7, count=20000))
        worker = pipeline.worker("w1").start()
        pipeline.wait_done([worker])
        pipeline.verify()

Several pipelines live on one broker: each has an app and topics of its own.
"""

import glob
import io
import json
import os
import re
import sys
import time

import kafka_read
from kafka_harness import Producer, merged, wait_until

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
# pylint: disable=wrong-import-position
import avro
import compare
import poison
import records as oracle_records
import stream as oracle_stream
from config import DEFAULTS, Config

# Streams of the oracle begin in 2001: nothing may be deleted or rolled by the age of its records.
BROKER = {"log.retention.check.interval.ms": 2**31 - 1, "log.initial.task.delay.ms": 2**31 - 1, "log.roll.ms": 2**62}

TOPICS = ("bounces", "recipients", "retries.delayed", "retries.due", "suppressions", "notices", "dead-letters")
OUTPUTS = ("recipients", "retries.delayed", "suppressions", "notices", "dead-letters")

LINE = re.compile(r"^ts=(\S+) level=(\w+) code=(\S+) msg=(.*)$")


def claim(text):
    """Prints how long a part of a scenario took; use as `with claim("…"):`."""
    return _Claim(text)


class _Claim:
    def __init__(self, text):
        self.text = text

    def __enter__(self):
        self.began = time.monotonic()

    def __exit__(self, kind, error, trace):
        outcome = "" if kind is None else " FAILED"
        print(f"       {self.text} ({time.monotonic() - self.began:.1f} s){outcome}", flush=True)


def all_lines(worker):
    """The log lines of every start of a worker."""
    lines = []
    for path in sorted(glob.glob(os.path.join(glob.escape(worker.dir), f"{glob.escape(worker.instance)}.*.log"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            lines += file.read().splitlines()
    return lines


def codes(worker, *levels):
    """The codes of a worker's log lines since it was first started, of some levels only if given."""
    found = [LINE.match(line) for line in all_lines(worker)]
    return [match[3] for match in found if match and (not levels or match[2] in levels)]


class Verdict:
    """What the oracle counted, of a pipeline that was found right."""

    def __init__(self, comparison, topics, inputs):
        self.records = len(inputs)
        self.outputs = len(comparison.fold.outputs)
        self.states = len(comparison.fold.live_states())
        self.dead_letters = len(comparison.fold.dead_letters)
        self.reroutes = len(comparison.fold.reroutes)
        self.written = {name: len(topics.get(name, ())) for name in OUTPUTS}

    def __str__(self):
        return (f"{self.records} records, {self.outputs} outputs, {self.states} states, "
                f"{self.dead_letters} dead letters, {self.reroutes} reroutes")


class Classifier:
    """Class, reason and rule of bounces as the product's `classify` tells them."""

    def __init__(self, scenario, inputs):
        codec = avro.Codec()
        facts = set()
        for record in inputs:
            try:
                facts.add(self.facts(codec.decode(record.value, ("BounceRecord",))[1]))
            except poison.Poison:
                continue
        facts = sorted(facts, key=repr)
        names = ("status", "reply_code", "text", "mx", "stage")
        lines = [json.dumps({n: v for n, v in zip(names, fact) if v is not None}) + "\n" for fact in facts]
        answers = scenario.run("classify", "-o", "jsonl", stdin="".join(lines).encode()).stdout.splitlines()
        assert len(answers) == len(facts), "classify has skipped a line"
        self.known = {}
        for fact, answer in zip(facts, map(json.loads, answers)):
            self.known[fact] = answer["class"], answer["reason"], answer["rule"]

    @staticmethod
    def facts(fields):
        return (fields["status"], fields["reply_code"], fields["diagnostic"], fields["remote_mta"], fields["stage"])

    def __call__(self, fields):
        return self.known[self.facts(fields)]


class Pipeline:
    """One app on the scenario's broker, and the worker's side of it."""

    ROLE = "worker"
    INPUT = "bounces"
    CERTIFIED = "recipients"  # the topic with whose offsets the certificates are committed

    def __init__(self, scenario, app, partitions=4, broker=None, apply=True, config=None):
        self.scenario = scenario
        self.broker = broker or scenario.broker
        self.app = app
        self.prefix = f"{app}."
        self.partitions = partitions
        self.group = f"{app}-{self.ROLE}"
        self.input = self.prefix + self.INPUT
        self.changelog = self.prefix + self.CERTIFIED
        self.config = config or {}
        self.workers = []
        self.fold = None  # the oracle's, once verified
        if apply:
            self.apply()

    def worker(self, instance="w1", **options):
        """A Worker (not started) of this app and role."""
        options.setdefault("command", self.ROLE)
        base = {"app": self.app, "topics": {"prefix": self.prefix, "partitions": self.partitions}}
        config = merged(merged(base, self.config), options.pop("config", {}))
        worker = self.scenario.worker(f"{self.app}-{instance}", config=config, **options)
        self.workers.append(worker)
        return worker

    def apply(self):
        """Topics by the product's own command."""
        worker = self.worker("setup")
        self.workers.remove(worker)
        return self.scenario.run("topics", "apply", "--yes", config=worker)

    # -- input --

    def stream(self, seed, count, recipients=None, **options):
        """A list of adversarial records."""
        recipients = recipients or max(24, count // 50)
        return list(oracle_stream.Stream(seed, count, self.partitions, recipients=recipients, **options).records())

    def sample(self, count, seed=1, **options):
        """Records of `produce-sample`, taken from a topic of their own; options of it."""
        staging = self.prefix + "staging"
        self.broker.create_topic(staging, self.partitions)
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        maker = self.worker("sample")
        self.workers.remove(maker)
        self.scenario.run("produce-sample", "--count", count, "--seed", seed, *arguments, "--set",
                          f"topics.bounces={staging}", config=maker, deadline_s=300)
        found = self.broker.read(staging)
        found.sort(key=lambda record: record.offset)  # of all partitions alike, about as they were made
        return found

    @staticmethod
    def to_kafka(record):
        if isinstance(record, kafka_read.Record):
            return record._replace(offset=-1, topic="")
        return kafka_read.Record(record.key, record.value, tuple(record.headers), record.partition, record.timestamp)

    def produce(self, records, **options):
        self.broker.produce(self.input, [self.to_kafka(record) for record in records], **options)

    def feeder(self, records):
        return Feeder(self, records)

    # -- waiting --

    def certificates(self):
        """{partition: (changelog position, text)} as the group has them now."""
        return {partition: (entry.offset, entry.metadata)
                for (topic, partition), entry in self.broker.committed(self.group).items()
                if topic == self.changelog}

    def ends(self, topic=None, isolation="read_committed"):
        """{partition: end offset} of a topic, the input by default."""
        return kafka_read.end_offsets(self.broker.bootstrap, topic or self.input, isolation)

    def has_open_transaction(self):
        """Whether one is open on the changelog."""
        return self.ends(self.changelog) != self.ends(self.changelog, "read_uncommitted")

    def is_done(self, partitions=None):
        """Whether every record of the input, reroutes included, is committed, and no marker is left uncommitted."""
        ends = self.ends()
        committed = self.broker.committed(self.group)
        for partition in partitions if partitions is not None else ends:
            entry = committed.get((self.input, partition))
            if ends[partition] > 0 and (entry is None or entry.offset < ends[partition]):
                return False
        # A record rerouted meanwhile moves an end.
        return ends == self.ends(isolation="read_uncommitted")

    def wait_done(self, alive=(), deadline_s=90, partitions=None):
        wait_until(lambda: self.is_done(partitions), deadline_s, f"{self.app}: the input to be processed", every_s=0.1,
                   alive=alive)

    # -- verdict --

    def read(self):
        """{topic without prefix: records of the oracle}, as a read_committed reader sees them."""
        topics = self.dump([self.prefix + name for name in ("bounces", *OUTPUTS)])
        return {name.removeprefix(self.prefix): found for name, found in topics.items()}

    def dump(self, topics):
        """{topic: records of the oracle}"""
        octets = kafka_read.run_tool(
            "topic_dump", "-b", self.broker.bootstrap, "--isolation", "read_committed", "--stable-ms", 30000,
            "--deadline-ms", 120000, *topics, deadline_s=180)
        return oracle_records.by_topic(io.BytesIO(octets))

    def comparison(self, *arguments, **options):
        """What verify() asks."""
        return compare.Comparison(*arguments, **options)

    def verify(self, calm=True, texts=False):
        """Outputs, dead letters, reroutes, states, certificates and digests against the oracle; the counts.

        texts: the input holds texts of the rules, which the oracle does not know: class, reason and rule are then
        those of `classify`, each found once. Without, rules are not compared."""
        topics = self.read()
        inputs = topics.pop("bounces", [])
        classifier = Classifier(self.scenario, inputs) if texts else None
        config = Config({key: value for key, value in self.config.items() if key in DEFAULTS})
        comparison = self.comparison(inputs, topics, self.partitions, config, prefix=self.prefix,
                                     ignore_rule=not texts, **({"classifier": classifier} if texts else {}))
        differences = comparison.run(certificates=self.certificates(), digest=True)
        self.expect_none(differences)
        if calm:
            self.check_calm()
        self.fold = comparison.fold
        return Verdict(comparison, topics, inputs)

    def expect_none(self, differences):
        if differences:
            text = io.StringIO()
            compare.report(differences, 5, text)
            raise AssertionError(f"{self.app}: {len(differences)} differences\n{text.getvalue()}")

    def check_calm(self, allowed=()):
        """No worker has logged an error of its own. librdkafka calls fatal what costs us a producer."""
        for worker in self.workers:
            found = [code for code in codes(worker, "error") if code not in ("librdkafka", *allowed)]
            assert not found, f"{worker.name} logged errors: {found}\n{worker.log_tail()}"
            for line in all_lines(worker):
                assert not re.search(r"Assertion|AddressSanitizer|runtime error:", line), f"{worker.name}: {line}"

    def counts(self):
        """Records of each output topic, those of aborted transactions too: what was ever written."""
        return {name: self.broker.count(self.prefix + name, isolation="read_uncommitted") for name in OUTPUTS}


class Feeder:
    """Hands out a list of records to the input topic piece by piece, over one producer that stays."""

    def __init__(self, pipeline, records):
        self.records = [pipeline.to_kafka(record) for record in records]
        self.given = 0
        self.again = 0
        self.producer = Producer(pipeline.broker.bootstrap, pipeline.input)

    @property
    def total(self):
        return len(self.records)

    @property
    def left(self):
        return self.total - self.given

    def give(self, count):
        """Sends up to `count` of them; returns how many."""
        piece = self.records[self.given:self.given + count]
        self.producer.send(piece)
        self.given += len(piece)
        return len(piece)

    def give_again(self, count):
        """Sends up to `count` of those that were given already, once more: duplicates are legal at any time."""
        count = min(count, self.given)
        first = self.again % (self.given - count + 1)
        self.again += count
        self.producer.send(self.records[first:first + count])
        return count

    def finish(self, deadline_s=180):
        """Sends what is left and waits until all is acknowledged."""
        self.give(self.left)
        return self.producer.close(deadline_s)
