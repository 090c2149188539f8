"""Reference implementation of src/domain/semantics.md: the fold of an input into states, outputs, dead letters and reroutes.

Written from the specification alone, as slowly and plainly as it reads. `step` is the pure core (section 6);
`Fold` puts event time, stream time, poison and routing (sections 2 and 4) in front of it.
Readings that the text leaves open are listed in README.md; the ones taken here are commented where they act.
"""

import re
from collections import namedtuple

import classify
from config import Config
from identity import (
    Rejected,
    ascii_lower,
    canonical,
    id_hash,
    output_id,
    partition_of,
    record_key,
    tenant_is_valid,
)
from poison import Poison

TIME_MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999
REMEMBERED = 8
REROUTED_HEADER = "rimbalzo-rerouted"
INT64_MAX = (1 << 63) - 1

# A record as Kafka holds it. `headers` is a list of (name, bytes or None); `value` is bytes, None, or a dictionary
# of fields with the record's name under "type" (for callers that need no Avro).
Record = namedtuple("Record", "partition offset timestamp headers key value")
DeadLetter = namedtuple("DeadLetter", "reason partition offset text record")
Reroute = namedtuple("Reroute", "partition key value headers origin")

COUNTERS = {
    "SOFT": "soft",
    "HARD": "hard",
    "TRANSIENT": "transient",
    "POLICY": "policy_bounces",
    "UNKNOWN": "unknown",
}
FREQUENCIES = ("NORMAL", "HALF", "QUARTER")  # from the highest to the lowest


# --- State ---------------------------------------------------------------------------------------------------


def fresh_state(tenant, recipient):
    """The state of a recipient before its first event, in the field order of RecipientState."""
    return {
        "tenant": tenant,
        "recipient": recipient,
        "status": "ACTIVE",
        "suppressed_by": None,
        "reason": None,
        "policy": None,
        "attempt": 0,
        "episode": 0,
        "episode_opened_at": None,
        "due_at": None,
        "last_bounce_at": None,
        "last_delivery_at": None,
        "reinstated_at": None,
        "last_event_at": None,
        "last_status": None,
        "last_rule": None,
        "soft": 0,
        "hard": 0,
        "transient": 0,
        "policy_bounces": 0,
        "unknown": 0,
        "deliveries": 0,
        "overrides": 0,
        "suppressions": 0,
        "openings": (),
        "recent_events": (),
        "recent_commands": (),
        "frequency": "NORMAL",
        "source_offset": None,
    }


def remember(items, item):
    """First in, first out, the last eight. Openings too are kept in offset order, whatever their times."""
    return (items + (item,))[-REMEMBERED:]


def later(one, other):
    """The maximum of two times of which each may be null."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def close_episode(state):
    """What happens whenever SUSPENDED is left or SUPPRESSED is entered. `episode` stays."""
    state.update(attempt=0, due_at=None, episode_opened_at=None, reason=None, policy=None)


def lapsed(config, state, stream_time):
    """The state after the lapse, if it is due; the same object if not."""
    if state["status"] != "SUSPENDED" or stream_time < state["due_at"] + config.stale_after:
        return state
    state = dict(state, status="ACTIVE")
    close_episode(state)
    return state


def effective(config, state, stream_time):
    """A stored state as an event (or a reader) at that stream time sees it: lapse first, then expiry."""
    if state is None:
        return None
    state = lapsed(config, state, stream_time)
    if state["status"] == "ACTIVE" and stream_time - state["last_event_at"] >= config.retention:
        return None
    return state


def frequency_at(config, openings, time):
    """Openings later than the window's start; those later than `time` itself count too."""
    count = sum(1 for opening in openings if opening > time - config.window)
    return FREQUENCIES[max(0, min(count, 3) - 1)]


# --- One event -----------------------------------------------------------------------------------------------


def step(config, before, event):
    """Applies one classified event to a stored state (None: unknown). Returns (stored state after, outputs).

    An expired state counts as absent before the duplicate check, so the ids it remembers make no duplicate:
    otherwise the moment at which the idle scan removes it would be observable.
    A duplicate stores neither lapse nor expiry: it returns the very state it was given.
    """
    live = effective(config, before, event["stream_time"])
    if live is not None and is_duplicate(live, event):
        return before, []
    if event["kind"] == "bounce":
        return Step(config, live, event).bounce()
    if live is None and event.get("action") != "SUPPRESS":
        # Deliveries, REINSTATE and FORGET create no recipient; bounces of every class and SUPPRESS do.
        return None, []
    if event["kind"] == "delivery":
        return Step(config, live, event).delivery()
    return Step(config, live, event).override()


def is_duplicate(state, event):
    return event["offset"] <= state["source_offset"] or id_hash(event["event_id"]) in state["recent_events"]


class Step:
    """The application of one event: `before` is the live state, `state` the one being made."""

    def __init__(self, config, live, event):
        self.config = config
        self.event = event
        self.now = event["now"]
        self.event_id = ascii_lower(event["event_id"])
        self.before = live or fresh_state(event["tenant"], event["recipient"])
        self.state = dict(self.before)
        self.notices, self.suppressions, self.commands = [], [], []
        self.state["last_event_at"] = later(self.before["last_event_at"], self.now)
        self.state["recent_events"] = remember(self.before["recent_events"], id_hash(self.event_id))
        self.state["source_offset"] = event["offset"]

    def result(self):
        return self.state, self.notices + self.suppressions + self.commands

    # Bounces

    def bounce(self):
        state, kind = self.state, self.event["class"]
        state[COUNTERS[kind]] += 1
        state["last_status"] = self.event["status"]
        state["last_rule"] = self.event["rule"]
        if kind in ("SOFT", "HARD"):
            state["last_bounce_at"] = later(state["last_bounce_at"], self.now)
        if kind == "SOFT":
            self.soft()
        elif kind == "HARD":
            self.hard()
        elif kind == "TRANSIENT":
            self.transient()
        return self.result()

    def is_old_news(self):
        since = later(self.before["last_delivery_at"], self.before["reinstated_at"])
        return since is not None and self.now < since

    def soft(self):
        status = self.before["status"]
        if status == "ACTIVE" and self.is_old_news():
            self.schedule(due_at=self.now)
        elif status == "ACTIVE":
            self.open_episode()
        elif status == "SUSPENDED" and self.is_answer():
            self.answer()
        elif status == "SUSPENDED":
            self.schedule(due_at=self.state["due_at"])

    def open_episode(self):
        state, policy = self.state, self.config.policy_for(self.event["reason"])
        state["status"] = "SUSPENDED"
        state["reason"] = self.event["reason"]
        state["policy"] = policy.name
        state["episode"] += 1
        state["attempt"] = 1
        state["episode_opened_at"] = self.now
        state["due_at"] = self.now + policy.delay(1)
        state["openings"] = remember(state["openings"], self.now)
        state["frequency"] = frequency_at(self.config, state["openings"], self.now)
        if FREQUENCIES.index(state["frequency"]) > FREQUENCIES.index(self.before["frequency"]):
            self.notice("REDUCE_FREQUENCY")
        self.schedule(due_at=state["due_at"])

    def is_answer(self):
        if self.now >= self.before["due_at"] - self.config.tolerance:
            return True
        retry_of = self.event["retry_of"]
        if retry_of is None:
            return False
        return ascii_lower(retry_of) == self.command_id(self.event["message_attempt"])

    def answer(self):
        state, policy = self.state, self.config.policy_named(self.before["policy"])
        if self.before["attempt"] == policy.contact_after:
            self.notice("CONTACT_ALTERNATIVE")
        if self.before["attempt"] >= policy.max_attempts:
            self.suppress("ATTEMPTS_EXHAUSTED")
            return
        state["attempt"] += 1
        state["due_at"] = max(state["due_at"], self.now + policy.delay(state["attempt"]))
        self.schedule(due_at=state["due_at"])

    def hard(self):
        status = self.before["status"]
        if status == "SUPPRESSED":
            if self.before["suppressed_by"] == "ATTEMPTS_EXHAUSTED":
                self.state["suppressed_by"] = "HARD_BOUNCE"
        elif status == "SUSPENDED" or not self.is_old_news():
            self.suppress("HARD_BOUNCE")

    def transient(self):
        message_attempt = self.event["message_attempt"] + 1
        delays, status = self.config.transient_delays, self.before["status"]
        if message_attempt > len(delays) or status == "SUPPRESSED":
            return
        due_at = self.now + delays[message_attempt - 1]
        if status == "SUSPENDED":
            due_at = max(due_at, self.before["due_at"])
        self.schedule(due_at, message_attempt)

    # Deliveries and overrides

    def delivery(self):
        state, before = self.state, self.before
        state["deliveries"] += 1
        state["last_delivery_at"] = later(before["last_delivery_at"], self.now)
        if before["last_bounce_at"] is None or self.now >= before["last_bounce_at"]:
            if before["status"] == "SUSPENDED":
                self.release()
            elif before["suppressed_by"] == "ATTEMPTS_EXHAUSTED" and self.config.lift_on_delivery:
                self.reinstate("DELIVERED")
        state["frequency"] = frequency_at(self.config, state["openings"], state["last_event_at"])
        return self.result()

    def override(self):
        action = self.event["action"]
        self.state["overrides"] += 1
        if action == "FORGET":
            self.void("CANCEL")
            return None, self.commands
        if action == "SUPPRESS":
            self.suppress_manually()
        else:
            self.reinstate_manually()
        return self.result()

    def suppress_manually(self):
        if self.before["status"] == "SUPPRESSED":
            # Suppressed already: the operator's word takes over the cause, without an output.
            self.state["suppressed_by"] = "MANUAL"
        else:
            self.suppress("MANUAL")

    def reinstate_manually(self):
        # "`reinstated_at` = now", but as a maximum: it never goes back (section 5).
        self.state["reinstated_at"] = later(self.before["reinstated_at"], self.now)
        if self.before["status"] == "SUPPRESSED":
            self.reinstate("MANUAL")
        elif self.before["status"] == "SUSPENDED":
            self.release()

    # Transitions with outputs

    def suppress(self, cause):
        state = self.state
        state["status"] = "SUPPRESSED"
        state["suppressed_by"] = cause
        state["suppressions"] += 1
        close_episode(state)
        first_bounced_at = self.before["episode_opened_at"]
        if first_bounced_at is None and cause == "HARD_BOUNCE":
            first_bounced_at = self.now
        self.suppression("SUPPRESS", cause, first_bounced_at)
        self.void("CANCEL")

    def reinstate(self, cause):
        self.state["status"] = "ACTIVE"
        self.state["suppressed_by"] = None
        self.suppression("REINSTATE", cause, None)

    def release(self):
        self.state["status"] = "ACTIVE"
        close_episode(self.state)
        self.void("RELEASE")

    # Outputs

    def address(self):
        return {"tenant": self.state["tenant"], "recipient": self.state["recipient"]}

    def source(self):
        return {"source_partition": self.event["partition"], "source_offset": self.event["offset"]}

    def cause_id(self, kind):
        """The id of everything but a SCHEDULE: attempt before the transition, episode after it."""
        state = self.state
        return output_id(
            kind, state["tenant"], state["recipient"], state["episode"], self.before["attempt"], self.event_id
        )

    def command_id(self, message_attempt):
        """The id of a SCHEDULE of the event's message in the episode and attempt that the state is in."""
        state = self.state
        return output_id(
            "command",
            state["tenant"],
            state["recipient"],
            state["episode"],
            state["episode_opened_at"],
            state["attempt"],
            self.event["message_id"],
            message_attempt,
        )

    def schedule(self, due_at, message_attempt=0):
        """A SCHEDULE of the event's message, unless its id is among the remembered (which it then stays as it is)."""
        state = self.state
        command_id = self.command_id(message_attempt)
        hashed = id_hash(command_id)
        if hashed in state["recent_commands"]:
            return
        state["recent_commands"] = remember(state["recent_commands"], hashed)
        self.commands.append(
            {
                "type": "RetryCommand",
                "command_id": command_id,
                "action": "SCHEDULE",
                **self.address(),
                "message_id": self.event["message_id"],
                "episode": state["episode"],
                "attempt": state["attempt"],
                "max_attempts": self.config.policy_named(state["policy"]).max_attempts,
                "message_attempt": message_attempt,
                "due_at": due_at,
                "issued_at": self.now,
                "status": self.event["status"],
                "reason": self.event["reason"],
                **self.source(),
            }
        )

    def void(self, action):
        """CANCEL or RELEASE: about everything that is pending for the recipient."""
        self.commands.append(
            {
                "type": "RetryCommand",
                "command_id": self.cause_id(action.lower()),
                "action": action,
                **self.address(),
                "message_id": None,
                "episode": self.state["episode"],
                "attempt": self.before["attempt"],
                "max_attempts": self.config.policy_named(self.before["policy"]).max_attempts,
                "message_attempt": 0,
                "due_at": self.now,
                "issued_at": self.now,
                "status": None,
                "reason": self.before["reason"] or "other",
                **self.source(),
            }
        )

    def suppression(self, action, cause, first_bounced_at):
        of_bounce = cause in ("ATTEMPTS_EXHAUSTED", "HARD_BOUNCE")
        self.suppressions.append(
            {
                "type": "SuppressionEvent",
                "suppression_id": self.cause_id(action.lower()),
                "action": action,
                **self.address(),
                "reason": cause,
                "status": self.event["status"] if of_bounce else None,
                "rule": self.event["rule"] if of_bounce else None,
                "attempts": self.before["attempt"],
                "episode": self.state["episode"],
                "first_bounced_at": first_bounced_at,
                "last_bounced_at": self.state["last_bounce_at"],
                "occurred_at": self.now,
                **self.source(),
            }
        )

    def notice(self, kind):
        self.notices.append(
            {
                "type": "RecipientNotice",
                "notice_id": self.cause_id(kind.lower()),
                "kind": kind,
                **self.address(),
                "episode": self.state["episode"],
                "attempt": self.before["attempt"],
                "frequency": self.state["frequency"],
                "occurred_at": self.now,
                **self.source(),
            }
        )


# --- From records to events ----------------------------------------------------------------------------------

EVENT_FIELDS = {
    "BounceRecord": ("event_id", "tenant", "recipient", "message_id", "occurred_at", "message_attempt"),
    "DeliveryRecord": ("event_id", "tenant", "recipient", "message_id", "occurred_at"),
    "RecipientOverride": ("event_id", "tenant", "recipient", "occurred_at", "action"),
}
ACTIONS = ("REINSTATE", "SUPPRESS", "FORGET")


def check_fields(name, fields):
    """Poison rules about values. An empty event_id is invalid, an empty message_id is legal."""
    for field in EVENT_FIELDS[name]:
        if fields.get(field) is None:
            raise Poison("invalid_field", f"{field} is missing")
    if not fields["event_id"]:
        raise Poison("invalid_field", "event_id is empty")
    if not 0 <= fields["occurred_at"] <= TIME_MAX_MS:
        raise Poison("invalid_field", "occurred_at outside the years 1970-9999")
    if fields.get("message_attempt", 0) < 0:
        raise Poison("invalid_field", "message_attempt is negative")
    if name == "RecipientOverride" and fields["action"] not in ACTIONS:
        raise Poison("invalid_field", "unknown action")


def rerouted_timestamp(headers):
    """The timestamp of a valid rerouted header, else None.

    Three decimal numbers: digits only, and each within 63 bits. Of several headers of that name the last one counts.
    """
    text = None
    for name, value in headers:
        if name == REROUTED_HEADER:
            text = value
    if text is None or not re.fullmatch(rb"[0-9]+:[0-9]+:[0-9]+", text):
        return None
    numbers = [int(number) for number in text.split(b":")]
    return numbers[2] if max(numbers) <= INT64_MAX else None


class Fold:
    """The fold of an input topic with `partitions` partitions; feed it records in offset order per partition.

    decode: turns the bytes of a value into (record name, fields), or raises Poison: Codec.decode of avro.py.
    classifier: turns the fields of a BounceRecord into (class, reason, rule).
    """

    def __init__(self, partitions, config=None, decode=None, classifier=classify.classify, history=False):
        self.partitions = partitions
        self.config = config or Config()
        self.decode = decode
        self.classifier = classifier
        self.states = {}  # (tenant, recipient) -> stored state
        self.outputs = []
        self.dead_letters = []
        self.reroutes = []
        self.stream_times = {}  # partition -> milliseconds
        # (tenant, recipient, source offset) -> state stored by that event, for checks of every changelog record
        self.history = {} if history else None

    def feed(self, record):
        """Folds one record; returns its outputs."""
        try:
            name, fields = self.read(record.value)
            address, rerouted_at = self.locate(record, name, fields)
        except Poison as poison:
            self.dead_letters.append(
                DeadLetter(poison.reason, record.partition, record.offset, poison.text, record)
            )
            return []
        if address is None:
            return []
        event = self.event_of(record, name, fields, address, rerouted_at)
        before = self.states.get(address)
        after, outputs = step(self.config, before, event)
        if after is not before:
            self.store(address, after, event)
        self.outputs += outputs
        return outputs

    def store(self, address, state, event):
        if state is None:
            del self.states[address]
        else:
            self.states[address] = state
        # An expired state that some other event finds is gone, but only FORGET writes a tombstone of its own.
        if self.history is not None and (state is not None or event.get("action") == "FORGET"):
            self.history[address + (event["offset"],)] = state

    def read(self, value):
        """Poison in its order: malformed, unknown_schema, unexpected_schema (all of the decoder), invalid_field."""
        if value is None:
            raise Poison("malformed", "no value")
        if isinstance(value, dict):
            name, fields = value["type"], value
        else:
            name, fields = self.decode(value, EVENT_FIELDS)
        if name not in EVENT_FIELDS:
            raise Poison("unexpected_schema", name)
        check_fields(name, fields)
        return name, fields

    def locate(self, record, name, fields):
        """((tenant, recipient), timestamp of the rerouted header); the address is None if the record is rerouted."""
        if not tenant_is_valid(fields["tenant"]):
            raise Poison("invalid_tenant", fields["tenant"])
        try:
            recipient = canonical(fields["recipient"], self.config.local_part)
        except Rejected as rejected:
            raise Poison("invalid_recipient", str(rejected)) from rejected
        key = record_key(fields["tenant"], recipient)
        partition = partition_of(key, self.partitions)
        rerouted_at = rerouted_timestamp(record.headers) if record.headers else None
        if partition == record.partition:
            return (fields["tenant"], recipient), rerouted_at
        if rerouted_at is not None:
            raise Poison("misrouted", f"belongs to partition {partition}")
        self.reroute(record, partition, key)
        return None, None

    def reroute(self, record, partition, key):
        origin = f"{record.partition}:{record.offset}:{record.timestamp}".encode()
        headers = list(record.headers) + [(REROUTED_HEADER, origin)]
        self.reroutes.append(
            Reroute(partition, key.encode(), record.value, headers, (record.partition, record.offset))
        )

    def event_of(self, record, name, fields, address, rerouted_at):
        """The classified event: the input of `step`."""
        now = self.event_time(fields["occurred_at"], record.timestamp, rerouted_at)
        stream_time = max(self.stream_times.get(record.partition, now), now)
        self.stream_times[record.partition] = stream_time
        event = {
            "partition": record.partition,
            "offset": record.offset,
            "stream_time": stream_time,
            "now": now,
            "tenant": address[0],
            "recipient": address[1],
            "event_id": fields["event_id"],
        }
        if name == "BounceRecord":
            kind, reason, rule = self.classifier(fields)
            event.update(
                {
                    "kind": "bounce",
                    "class": self.config.unknown_as if kind == "UNKNOWN" else kind,
                    "reason": reason,
                    "rule": rule,
                    "status": fields.get("status"),
                    "message_id": fields["message_id"],
                    "message_attempt": fields["message_attempt"],
                    "retry_of": fields.get("retry_of"),
                }
            )
        elif name == "DeliveryRecord":
            event["kind"] = "delivery"
        else:
            event.update(kind="override", action=fields["action"])
        return event

    def event_time(self, occurred_at, timestamp, rerouted_at):
        if rerouted_at is not None:
            timestamp = min(timestamp, rerouted_at)
        ahead = timestamp >= 0 and occurred_at > timestamp + self.config.max_ahead
        return timestamp if ahead else occurred_at

    def live_states(self):
        """(tenant, recipient) -> state as readers see it at the final stream time of its partition."""
        result = {}
        for address, state in self.states.items():
            partition = partition_of(record_key(*address), self.partitions)
            state = effective(self.config, state, self.stream_times[partition])
            if state is not None:
                result[address] = state
        return result


def fold(records, partitions, config=None, decode=None, **options):
    """Folds all records (in offset order per partition) and returns the Fold."""
    result = Fold(partitions, config, decode, **options)
    for record in records:
        result.feed(record)
    return result
