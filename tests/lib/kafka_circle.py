"""The whole circle: bounces, worker, commands, dispatcher, sender, answers, and so on until every recipient has
recovered or is suppressed; with processes that die meanwhile.

The delays are seconds instead of days. The sender is `produce-sample --mailer`.
"""

import io
import random
from collections import Counter, defaultdict

import kafka_read
from kafka_chaos import CONFIG, Chaos
from kafka_dispatch import Dispatch, now_ms
from kafka_harness import Producer, merged, wait_until
from kafka_pipeline import Pipeline

# pylint: disable=wrong-import-order
import records as oracle_records

ATTEMPTS = 4
POLICY = {
    "policies": {"default": {"delays": ["1s", "2s", "3s", "4s"], "max_attempts": ATTEMPTS, "contact_after": 2}},
    "transient": {"delays": ["1s"]},
    "stale_after": "1h",
    "answer": {"tolerance": "100ms"},
    "dispatcher": {"delay_max": "1h"},
}
# Status, reply code, text: as the sender's, so that `classify` is asked for few.
REFUSALS = [
    ("4.2.1", 450, "450 4.2.1 The email account that you tried to reach is temporarily disabled", 75),
    ("4.2.2", 452, "452 4.2.2 The recipient's mailbox is over quota", 10),
    ("4.4.2", 421, "connect to mx: Connection timed out", 10),
    ("5.1.1", 550, "550 5.1.1 User unknown in virtual mailbox table", 5),
]


class Circle:
    """Both sides of one app; what Chaos wants of a pipeline."""

    def __init__(self, scenario, app, partitions=4, config=None):
        self.scenario = scenario
        self.broker = scenario.broker
        config = merged(POLICY, config or {})
        self.worker_side = Pipeline(scenario, app, partitions, config=config)
        self.dispatch = Dispatch(scenario, app, partitions=partitions, config=config, apply=False)
        self.mailers = f"{app}-mailer"

    def worker(self, name, **options):
        return self.dispatch.worker(name, **options)

    def mailer(self, name, *arguments):
        return self.dispatch.worker(name, command="produce-sample", arguments=("--mailer", *arguments))

    # -- waiting --

    def ends(self):
        topics = [self.worker_side.input, self.dispatch.input, self.dispatch.due]
        return kafka_read.ends_of_topics(self.broker.bootstrap, topics, "read_uncommitted")

    def is_done(self):
        """Whether everything is counted, nothing is pending and every command is answered, all at one time."""
        before = self.ends()
        if not self.worker_side.is_done() or not self.dispatch.is_done():
            return False
        answered = self.broker.committed(self.mailers)
        for partition, end in before[self.dispatch.due].items():
            if end and ((self.dispatch.due, partition) not in answered
                        or answered[self.dispatch.due, partition].offset < end):
                return False
        return self.ends() == before

    def wait_done(self, alive=(), deadline_s=120):
        wait_until(self.is_done, deadline_s, "the circle to come to rest", every_s=0.2, alive=alive)

    # -- verdict --

    def verify(self):
        worker = self.worker_side.verify(texts=True)
        dispatcher = self.dispatch.verify()
        return Ending(self, worker, dispatcher)


class Ending:
    """What has become of everybody, from the topics; the traces are followed on the way."""

    def __init__(self, circle, worker, dispatcher):
        self.worker, self.dispatcher = worker, dispatcher
        self.codec = circle.dispatch.codec
        names = ("bounces", "retries.delayed", "retries.due")
        octets = kafka_read.run_tool("topic_dump", "-b", circle.broker.bootstrap, "--stable-ms", 30000,
                                     *(circle.dispatch.prefix + name for name in names))
        topics = oracle_records.by_topic(io.BytesIO(octets))
        self.inputs, self.commands, self.due = (topics[circle.dispatch.prefix + name] for name in names)
        self.states = circle.worker_side.fold.live_states()
        self.statuses = Counter(state["status"] for state in self.states.values())
        self.answers = defaultdict(list)  # command id -> (fields, record)
        self.traces = {}  # message id -> traceparent of its first bounce
        self.read_inputs()
        self.follow()

    def fields(self, record, *names):
        return self.codec.decode(record.value, names)[1]

    def read_inputs(self):
        for record in sorted(self.inputs, key=lambda record: record.offset):
            if not record.value or b"poison" in record.value:
                continue
            fields = self.fields(record, "BounceRecord", "DeliveryRecord")
            if fields["retry_of"]:
                self.answers[fields["retry_of"]].append((fields, record))
            elif fields["message_id"] not in self.traces:
                self.traces[fields["message_id"]] = dict(record.headers)["traceparent"]

    def follow(self):
        """Every command, released command and answer of a message carries the trace that its first bounce had; every
        released command is answered, however often with one event id."""
        for record in [*self.commands, *self.due]:
            fields = self.fields(record, "RetryCommand")
            if fields["action"] == "SCHEDULE":
                self.check_trace(fields, record)
        for record in self.due:
            command_id = self.fields(record, "RetryCommand")["command_id"]
            answers = self.answers[command_id]
            assert len({fields["event_id"] for fields, _ in answers}) == 1, f"{command_id}: {answers}"
            for fields, answer in answers:
                assert [h for h in answer.headers if not h[0].startswith("rimbalzo-")] == record.headers, answer
                self.check_trace(fields, answer)

    def check_trace(self, fields, record):
        found, wanted = dict(record.headers).get("traceparent"), self.traces[fields["message_id"]]
        assert found == wanted, f"{record.partition}:{record.offset} has trace {found}, its message {wanted}"

    def recovered_at(self):
        """How many deliveries answered a command of each attempt; one for each recipient."""
        attempts = {self.fields(record, "RetryCommand")["command_id"]: self.fields(record, "RetryCommand")["attempt"]
                    for record in self.due}
        last = {}
        for command_id, answers in self.answers.items():
            for fields, _ in answers:
                if "status" not in fields and attempts[command_id] > 0:
                    who = fields["tenant"], fields["recipient"]
                    last[who] = min(last.get(who, ATTEMPTS), attempts[command_id])
        return Counter(last.values())

    def answered_again(self):
        """Answers beyond the first of their command."""
        return sum(len(answers) - 1 for answers in self.answers.values())

    def __str__(self):
        return (f"{self.worker}; {self.dispatcher}; recipients {dict(self.statuses)}, recovered at attempt "
                f"{dict(sorted(self.recovered_at().items()))}; {len(self.answers)} commands answered, with "
                f"{self.answered_again()} repetitions")


class FirstBounces:
    """What Chaos feeds: the first bounces of new recipients, of one to three messages each, with traces."""

    REFUSALS = REFUSALS

    def __init__(self, circle, total, seed):
        self.circle, self.total, self.given = circle, total, 0
        self.rng = random.Random(seed)
        self.producer = Producer(circle.broker.bootstrap, circle.worker_side.input)
        self.recipient = 0
        self.recent = None

    @property
    def left(self):
        return self.total - self.given

    def give(self, count):
        count = min(count, self.left)
        self.producer.send([self.next() for _ in range(count)])
        self.given += count
        return count

    def give_again(self, _count):
        return 0  # the circle itself sees to it that there are transactions

    def next(self):
        rng, dice = self.rng, self.rng.random()
        if dice < 0.01:
            return kafka_read.Record(b"somebody@example.org", rng.choice((None, b"poison")))
        if dice < 0.02 and self.recent:
            return self.recent  # a repetition
        if dice < 0.5:
            self.recipient += 1
        record = self.bounce()
        self.recent = record
        return record._replace(partition=rng.randrange(self.circle.worker_side.partitions)) if dice > 0.98 else record

    def bounce(self):
        rng, number = self.rng, self.given * 1000 + self.rng.randrange(1000)
        recipient = f"user{self.recipient}@example.org"
        status, reply, text, _ = rng.choices(self.REFUSALS, [weight for *_, weight in self.REFUSALS])[0]
        fields = {"event_id": f"first-{number}-{rng.random()}", "tenant": "acme" if self.recipient % 10 == 0 else "",
                  "recipient": recipient, "message_id": f"m{number}-{rng.random()}", "occurred_at": now_ms(),
                  "status": status, "reply_code": reply, "diagnostic": text, "remote_mta": None, "stage": "rcpt",
                  "retry_of": None, "message_attempt": 0, "source": "circle", "attributes": {}}
        key = (fields["tenant"] + ":" if fields["tenant"] else "") + recipient
        trace = b"00-%s-%s-01" % (rng.randbytes(16).hex().encode(), rng.randbytes(8).hex().encode())
        return kafka_read.Record(key.encode(), self.circle.dispatch.codec.encode("BounceRecord", fields),
                                 (("traceparent", trace), ("none", None)))

    def finish(self, deadline_s=180):
        self.give(self.left)
        return self.producer.close(deadline_s)


class CircleChaos(Chaos):
    """Two owners of each role, one process being both; and a sender."""

    def __init__(self, circle, feeder, seed, acts, **options):
        members = [circle.worker(name, command=command, config=CONFIG)
                   for name, command in (("r1", "run"), ("w1", "worker"), ("d1", "dispatcher"))]
        super().__init__(circle, feeder, seed, acts, members=members, **options)
        self.sender, self.second = [circle.mailer(name, "--seed", seed) for name in ("m1", "m2")]

    def run(self):
        self.sender.start()
        with self.pipeline.dispatch.watched():
            ending = super().run()
        return ending

    def check_alive(self):
        super().check_alive()
        assert self.sender.is_alive(), self.sender.log_tail()

    def second_sender(self):
        """Another sender comes, so that every command is answered twice; or it goes."""
        if not self.second.is_alive():
            self.second.start()
            self.pass_time(2)
            return "a second sender came"
        assert self.second.terminate() == 0, self.second.log_tail()
        return "the second sender went"

    def kill_sender(self):
        """The sender dies at a random moment."""
        self.pass_time(self.rng.uniform(0, 1))
        self.kill(self.sender, "of the sender")
        self.sender.start()
        return "the sender was killed"
