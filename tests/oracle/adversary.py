"""Chooses the next event against what the reference knows: the moments, ids and messages at which the rules turn.

The adversary sees the states it has caused (`observe`), so it can aim at every boundary of src/domain/semantics.md exactly.
It keeps the stream time of each partition under a budget, so that long streams stay inside a span of years.
"""

import random
from collections import deque

import classify
from identity import partition_of, record_key

DAY_MS = 86_400_000
BASE_MS = 1_000_000_000_000  # September 2001: any span of two decades stays in the past of any broker
SPAN_MAX_MS = 24 * 365 * DAY_MS
SLEEPERS_MAX = 8  # of a partition, at one time

# Status and reply code of bounces without text, by what they should be taken for. Only codes whose class and
# reason no rule about texts can change.
CODES = {
    "SOFT": [("4.2.1", 450), ("4.2.1", None), ("5.2.1", 550), ("4.2.2", 452), ("5.2.2", 552), ("4.1.1", 450),
             ("4.1.6", None), ("5.4.4", None), (None, 552)],
    "HARD": [("5.1.1", 550), ("5.1.2", None), ("5.1.3", 553), ("5.1.6", 551), ("5.1.10", 556), (None, 556)],
    "TRANSIENT": [("4.4.1", None), ("4.4.2", 421), ("4.3.1", 452), ("4.3.2", 421), ("4.4.7", None), ("4.7.28", 421)],
    "POLICY": [("5.6.0", 554), ("4.6.3", None), ("5.7.1", 554), ("5.7.26", 550), ("5.1.8", 550), ("5.2.3", 552)],
    "UNKNOWN": [("4.0.0", None), ("5.0.0", None), ("5.1.4", None), ("4.2.0", None), (None, None)],
}  # fmt: skip
KINDS = ["SOFT", "HARD", "TRANSIENT", "POLICY", "UNKNOWN", "delivery", "override"]
WEIGHTS = {
    None: (36, 6, 14, 6, 6, 16, 16),
    "ACTIVE": (42, 5, 16, 6, 5, 19, 7),
    "SUSPENDED": (68, 3, 12, 3, 3, 7, 4),
    "SUPPRESSED": (20, 6, 8, 4, 4, 18, 40),
}
ACTIONS = ["REINSTATE", "SUPPRESS", "FORGET"]


class Person:
    """One recipient as the adversary remembers it."""

    def __init__(self, tenant, recipient, partition, spellings):
        self.tenant, self.recipient, self.partition = tenant, recipient, partition
        self.spellings = spellings
        self.event_ids = deque(maxlen=20)  # more than the state remembers
        self.commands = deque(maxlen=20)
        self.messages = deque(maxlen=4)
        self.wake_at = None  # while set, the recipient gets no event before that stream time

    @property
    def address(self):
        return self.tenant, self.recipient


def special_people():
    """(tenant, canonical, spellings): every shape of address and tenant that is legal."""
    long_local = "l" * 64
    return [
        ("", "ada@example.com", ["ada@example.com", "Ada@EXAMPLE.com", " <Ada@Example.com>\t", "<ADA@example.com>"]),
        ("acme", "ada@example.com", ["ada@example.com", "ADA@example.com"]),
        ("", '"acme:ada"@example.com', ['"acme:ada"@example.com', '"Acme:Ada"@Example.com']),
        ("", "bob@xn--mnchen-3ya.example",
         ["bob@münchen.example", "Bob@MÜNCHEN.example", "bob@XN--MNCHEN-3ya.Example"]),
        ("acme", "fa\u00df@xn--fa-hia.de", ["fa\u00df@fa\u00df.de", "FA\u00df@xn--fa-hia.de"]),
        ("", '"q\\"\\\\@,"@x_y.example', ['"q\\"\\\\@,"@x_y.example', '"Q\\"\\\\@,"@X_Y.example']),
        ("", "\u00e9lan@example.com", ["\u00e9lan@example.com", "\u00e9LAN@example.com"]),
        ("t" * 64, f"{long_local}@example.com", [f"{long_local}@example.com", f"{long_local.upper()}@example.com"]),
        (".a_b-c.9", "x@example.xn--p1ai", ["x@ExAmple.XN--P1AI", "x@example.\u0440\u0444"]),
    ]  # fmt: skip


def people(count, partitions):
    """`count` recipients, the special ones first, each in its partition."""
    found = special_people()
    number = 0
    while len(found) < count:
        address = f"r{number}@d{number % 5}.example"
        found.append((("", "acme")[number % 7 == 0], address, [address, address.upper()]))
        number += 1
    return [
        Person(tenant, recipient, partition_of(record_key(tenant, recipient), partitions), spellings)
        for tenant, recipient, spellings in found[:count]
    ]


class Adversary:
    def __init__(self, seed, config, partitions, recipients, count, base=BASE_MS, span=None):
        self.rng = random.Random(seed)
        self.config = config
        self.people = people(recipients, partitions)
        self.partitions = sorted({person.partition for person in self.people})
        self.by_partition = {p: [one for one in self.people if one.partition == p] for p in self.partitions}
        self.by_address = {person.address: person for person in self.people}
        self.asleep = {partition: [] for partition in self.partitions}
        self.states = {}
        self.clocks = dict.fromkeys(range(partitions), base)
        self.base, self.count, self.made = base, max(count, 1), 0
        self.span = span or min(SPAN_MAX_MS, 60 * DAY_MS + 2 * DAY_MS * count // len(self.partitions))
        self.serial = 0

    def observe(self, event, state, outputs):
        """Learns what the reference made of an event."""
        person = self.by_address[event["tenant"], event["recipient"]]
        self.states[person.address] = state
        self.clocks[person.partition] = max(self.clocks[person.partition], event["now"])
        person.event_ids.append(event["event_id"])
        person.commands.extend(output for output in outputs if output.get("action") == "SCHEDULE")

    # Choices

    def chance(self, probability):
        return self.rng.random() < probability

    def event(self):
        """The next event, without offset and stream time."""
        rng = self.rng
        self.made += 1
        partition = rng.choice(self.partitions)
        person, woken_at = self.choose_person(partition)
        state = self.states.get(person.address)
        event = {
            "partition": partition,
            "tenant": person.tenant,
            "recipient": person.recipient,
            "event_id": self.event_id(person),
            "class": None,
            "reason": None,
            "rule": None,
            "status": None,
            "reply_code": None,
            "message_id": None,
            "message_attempt": 0,
            "retry_of": None,
            "action": None,
        }
        self.choose_kind(event, person, state)
        event["now"] = self.moment(person, state) if woken_at is None else woken_at
        if event["kind"] == "bounce":
            self.choose_message(event, person, state)
        elif event["kind"] == "delivery":
            event["message_id"] = self.message_id(person)
        return event

    def choose_person(self, partition):
        """(person, moment): the moment is set when the person wakes just at the end of a long silence."""
        rng, clock, group = self.rng, self.clocks[partition], self.by_partition[partition]
        for person in self.asleep[partition]:
            if person.wake_at - clock < DAY_MS:
                self.asleep[partition].remove(person)
                moment, person.wake_at = person.wake_at, None
                return person, max(clock, moment + rng.choice((-1, 0, 1)))
        person = rng.choice(group)
        while person.wake_at is not None and len(self.asleep[partition]) < len(group):
            person = rng.choice(group)
        state = self.states.get(person.address)
        if state is not None and len(self.asleep[partition]) < min(len(group) - 1, SLEEPERS_MAX) and self.chance(0.04):
            self.put_to_sleep(person, state)
        return person, None

    def put_to_sleep(self, person, state):
        """Silence until the state lapses or expires."""
        if state["status"] == "SUSPENDED" and self.chance(0.7):
            person.wake_at = state["due_at"] + self.config.stale_after
        elif state["status"] != "SUPPRESSED":
            person.wake_at = state["last_event_at"] + self.config.retention
        if person.wake_at is not None:
            self.asleep[person.partition].append(person)

    def choose_kind(self, event, person, state):
        kind = self.rng.choices(KINDS, WEIGHTS[state and state["status"]])[0]
        if kind == "override":
            event["kind"], event["action"] = "override", self.rng.choices(ACTIONS, (5, 3, 2))[0]
        elif kind == "delivery":
            event["kind"] = "delivery"
        else:
            event["kind"] = "bounce"
            event["status"], event["reply_code"] = self.rng.choice(CODES[kind])
            event["class"], event["reason"], _ = classify.classify(event)

    def event_id(self, person):
        """A new id, or one met before: remembered or just beyond the remembered, in either case."""
        if person.event_ids and self.chance(0.08):
            known = self.rng.choice(person.event_ids)
            return self.rng.choice([known, known.upper(), known.lower(), known.swapcase()])
        self.serial += 1
        return self.rng.choice(["e{}", "E{}", "Ev-{}-aF"]).format(self.serial)

    def message_id(self, person):
        if person.messages and self.chance(0.6):
            return self.rng.choice(person.messages)
        self.serial += 1
        fresh = self.rng.choice([f"m{self.serial}", f"<M{self.serial},x:y@Z>", f"\u00fc{self.serial}", ""])
        person.messages.append(fresh)
        return fresh

    def choose_message(self, event, person, state):
        """Message, message attempt and retry_of: right, outdated, foreign, inconsistent, or none at all."""
        rng = self.rng
        event["rule"] = rng.choice([None, None, "oracle.rule-1", "oracle.rule-2"])
        event["message_id"] = self.message_id(person)
        event["message_attempt"] = rng.choice([0, 0, 0, 1, 2, 3, 4, 5, 2**31 - 1]) if self.chance(0.5) else 0
        way = rng.choices(["none", "answer", "old", "foreign", "inconsistent", "noise"], (35, 40, 8, 6, 6, 5))[0]
        commands = person.commands
        if way == "foreign":
            commands = rng.choice(self.people).commands
        if way == "none" or not commands:
            return
        if way == "noise":
            event["retry_of"] = rng.choice(["", "x", "00000000-0000-0000-0000-000000000000"])
            return
        command = commands[-1] if way == "answer" else rng.choice(commands)
        event["retry_of"] = rng.choice([command["command_id"], command["command_id"].upper()])
        event["message_id"], event["message_attempt"] = command["message_id"], command["message_attempt"]
        if way == "inconsistent":
            event[rng.choice(["message_id", "message_attempt"])] = None
            event["message_id"] = event["message_id"] or "other"
            event["message_attempt"] = 7 if event["message_attempt"] is None else event["message_attempt"]

    # Time

    def moment(self, person, state):
        """The event time: at a boundary, around the stream time, or anywhere in the past."""
        clock = self.clocks[person.partition]
        limit = self.base + self.span * self.made // self.count + 30 * DAY_MS
        if state is not None and self.chance(0.55):
            moments = self.boundaries(state, person)
            moment = self.rng.choice(moments) + self.rng.choice((-1, 0, 0, 1))
            if 0 <= moment <= limit:
                return moment
        step = self.rng.choice((1, 1000, 60_000, 3_600_000, DAY_MS, 20 * DAY_MS))
        if self.chance(0.45) and clock < limit:
            return clock + self.rng.randrange(min(step, limit - clock) + 1)
        if self.chance(0.02):
            return 0
        return max(0, clock - self.rng.randrange(step))

    def boundaries(self, state, person):
        config = self.config
        moments = [
            self.clocks[person.partition],
            state["last_event_at"],
            state["last_event_at"] + config.retention,
        ]
        moments += [state[name] for name in ("last_bounce_at", "last_delivery_at", "reinstated_at") if state[name]]
        moments += [opening + config.window for opening in state["openings"][-3:]]
        if state["due_at"] is not None:
            due = state["due_at"]
            moments += [due - config.tolerance] * 4 + [due] * 2 + [due + config.stale_after, state["episode_opened_at"]]
        return moments
