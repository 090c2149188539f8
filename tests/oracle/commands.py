"""A seeded generator of what a delayed topic may hold: commands of every kind of trouble, made for the moment they are
written at, so that they can wait in real time."""

import random
from collections import deque

import avro
from identity import output_id, partition_of, record_key
from semantics import TIME_MAX_MS, Record

DAY_MS = 86_400_000
DELAY_MAX_MS = 400 * DAY_MS
HEADERS = [
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("none", None), ("traceparent", b""),
    ("octets", b"\x00\xff"), ("rimbalzo-reason", b"of somebody else"), ("\u00e9", b"1"),
]  # fmt: skip
REJECTED = [{"action": "UNKNOWN"}, {"command_id": "no-uuid-0000-0000-0000-000000000000-"}, {"due_at": -1},
            {"due_at": TIME_MAX_MS + 1}, {"command_id": "short"}, {"tenant": "Not Valid"}, {"recipient": ""},
            {"recipient": "x" * 321}, {"recipient": "nul\0@example.com"}]


class Commands:
    """next(now_ms) is a record to be written now. `delay_ms`: the longest delay of those that wait."""

    def __init__(self, seed, partitions=4, recipients=200, delay_ms=60_000):
        self.rng = random.Random(seed)
        self.codec = avro.Codec()
        self.partitions, self.recipients, self.delay_ms = partitions, recipients, delay_ms
        self.recent = deque(maxlen=300)  # (fields, record) of SCHEDULEs
        self.made = 0

    def next(self, now):
        rng = self.rng
        self.made += 1
        dice = rng.random()
        if dice < 0.02:
            return self.poison(now)
        if dice < 0.03:
            return self.record(now, self.schedule(now, now + DELAY_MAX_MS + rng.randrange(3000, 10**8)))
        if dice < 0.055 and self.recent:
            due = [record for fields, record in self.recent if now - 500 < fields["due_at"] <= now]
            # The very same record, perhaps while it is about to leave.
            return rng.choice(due) if due and rng.random() < 0.5 else rng.choice(self.recent)[1]
        if dice < 0.08 and self.recent:
            fields = rng.choice(self.recent)[0]  # the same id, perhaps in other letters, due at another time
            command_id = rng.choice((str.lower, str.upper))(fields["command_id"])
            return self.record(now, {**fields, "command_id": command_id, "due_at": self.due(now), "issued_at": now})
        if dice < 0.11:
            return self.record(now, self.command(now, "CANCEL"))
        if dice < 0.13:
            return self.record(now, self.command(now, "RELEASE"))
        fields = self.schedule(now, self.due(now))
        record = self.record(now, fields)
        self.recent.append((fields, record))
        return record

    def due(self, now):
        rng, dice = self.rng, self.rng.random()
        if dice < 0.08:
            return now - rng.randrange(5000)
        if dice < 0.18:
            return (now // 2000 + 1) * 2000  # many at once
        if dice < 0.24:
            return now + rng.randrange(300)
        return now + rng.randrange(self.delay_ms + 1)

    def command(self, now, action):
        number = self.rng.randrange(self.recipients)
        fields = {"tenant": "acme" if self.rng.random() < 0.15 else "", "recipient": f"r{number}@example.com"}
        return {**fields, "command_id": output_id(action, *fields.values(), self.made), "action": action,
                "message_id": None, "episode": 1, "attempt": 1, "max_attempts": 4, "message_attempt": 0, "due_at": now,
                "issued_at": now, "status": None, "reason": "mailbox_disabled", "source_partition": 0,
                "source_offset": self.made}

    def schedule(self, now, due_at):
        return {**self.command(now, "SCHEDULE"), "message_id": f"m{self.made}", "due_at": due_at, "status": "4.2.1"}

    def record(self, now, fields, value=None):
        rng = self.rng
        key = record_key(fields["tenant"], fields["recipient"])
        partition = partition_of(key, self.partitions)
        key = key.encode()
        if rng.random() < 0.02:
            key = rng.choice((None, b"", b"another"))
            partition = rng.randrange(self.partitions)
        headers = rng.sample(HEADERS, rng.randrange(4)) if rng.random() < 0.5 else []
        value = self.codec.encode("RetryCommand", fields) if value is None else value
        # The clocks of producers differ.
        return Record(partition, -1, now - rng.choice((0, 0, 700, 1400)), headers, key, value)

    def poison(self, now):
        rng = self.rng
        fields = self.schedule(now, self.due(now))
        good = self.codec.encode("RetryCommand", fields)
        dice = rng.randrange(8)
        if dice == 0:
            return self.record(now, fields)._replace(value=None)
        if dice == 1:
            state = {"event_id": "e", "tenant": "", "recipient": "ada@example.com", "message_id": "m",
                     "occurred_at": now, "retry_of": None, "source": ""}
            return self.record(now, fields, self.codec.encode("DeliveryRecord", state))
        if dice == 2:
            return self.record(now, fields, rng.choice((b"", b"{}", good[:9], good + b"\0", good[: len(good) // 2])))
        if dice == 3:
            return self.record(now, fields, b"\xc3\x01" + rng.randbytes(8) + good[10:])
        # Where it lies is told by the good fields: those at fault make no key.
        record = self.record(now, fields)
        return record._replace(value=self.codec.encode("RetryCommand", {**fields, **rng.choice(REJECTED)}))
