#!/usr/bin/python3
"""A seeded generator of adversarial input streams: records as bytes, ready for Kafka.

The command line writes them to stdout in the octets of tests/kafka/topic_records.h. Every kind of trouble has a name
in EDGES and can be left out (`--without misrouted,utf8`).
"""

import argparse
import json
import sys

import avro
import records
from adversary import DAY_MS, Adversary
from config import Config
from identity import record_key
from semantics import REROUTED_HEADER, TIME_MAX_MS, Fold, Record

EDGES = {
    "clipped": "occurred_at beyond the record's timestamp + max_ahead",
    "ahead": "record timestamps far ahead of the event times, of poison too",
    "headers": "foreign headers; rerouted headers, valid or malformed, on records that are at home",
    "keys": "keys of the producer that are null or say nothing",
    "spelling": "addresses in other spellings than the canonical one",
    "misrouted": "records in a wrong partition, with and without rerouted headers",
    "poison": "records of every reason of a dead letter",
    "utf8": "strings that are not UTF-8 (as poison)",
    "blocks": "map blocks with a negative count, which are legal",
    "texts": "diagnostics of the 4.2.1 family: rule ids then depend on the rule files",
}
DEFAULT_EDGES = frozenset(EDGES) - {"texts"}

INVALID_RECIPIENTS = [
    "", "ada", "@example.com", "ada@", "ada@example.com.", "a b@example.com", '"a b"@example.com', "a:b@example.com",
    "a@b@example.com", "ada@[192.0.2.1]", "ada@-x.example", "ada@x-.example", "ada@a..b",
    "ada@" + "x" * 64 + ".example",
    "x" * 65 + "@example.com", "ada@" + ".".join(["x" * 60] * 5), "<<ada@example.com>>", "<ada@example.com",
    "ada@exa\tmple.com", "ada\x00@example.com", "ada\x7f@example.com", 'a"b@example.com', '"a"b"@example.com',
    '"a\\b"@example.com', '"@example.com', "ada@xn--\u00fc.example", "ada@xn--zzzzzzzz99999.example",
    "a\nb@example.com",
    "ada@exam ple.com", "\u00e9" * 33 + "@example.com", "ada@\u00e9" + "\u00e9" * 62 + ".example", "a,b@example.com",
]  # fmt: skip
INVALID_TENANTS = ["Acme", "a b", "a:b", "\u00e9", "t" * 65, "a\n", " "]
MALFORMED_ORIGINS = [
    None, b"", b"1:2", b"1:2:3:4", b"a:b:c", b"-1:2:3", b"1:2:-3", b" 1:2:3", b"1:2:3\n", b"1::3", b"+1:2:3",
]  # fmt: skip
FOREIGN_HEADERS = [("trace", b"\x00\xff"), ("trace", None), ("trace", b""), ("", b"x"), ("rimbalzo-reason", b"y")]
NOT_UTF8 = [b"a\xff@b", b"\xed\xa0\x80", b"\xc3"]
TEXTS_421 = [
    "The user you are trying to contact is receiving mail at a rate that prevents additional messages",
    "mailbox disabled, not accepting messages",
    "unknown user",
]  # fmt: skip


class Stream:
    """Generates `count` records for a topic with `partitions` partitions; `fold` is their reference so far."""

    def __init__(self, seed, count, partitions=4, recipients=24, config=None, without=(), texts=False, **adversary):
        self.config = config or Config()
        self.codec = avro.Codec()
        self.fold = Fold(partitions, self.config, self.codec.decode)
        self.adversary = Adversary(seed, self.config, partitions, recipients, count, **adversary)
        self.rng = self.adversary.rng
        self.count, self.partitions = count, partitions
        self.edges = (DEFAULT_EDGES | ({"texts"} if texts else set())) - set(without)
        self.offsets = dict.fromkeys(range(partitions), 0)
        self.serial = 0

    def records(self):
        for _ in range(self.count):
            record = self.next()
            self.offsets[record.partition] += 1
            yield record

    def edge(self, name, probability):
        return name in self.edges and self.rng.random() < probability

    def next(self):
        if self.edge("poison", 0.03):
            return self.lost(self.poison())
        if self.edge("misrouted", 0.03):
            return self.lost(self.misrouted())
        return self.event()

    def lost(self, record):
        """A record that reaches no recipient."""
        self.fold.feed(record)
        return record

    def record(self, partition, timestamp, headers, key, value):
        # A timestamp of 0 would ask some clients for the current time.
        return Record(partition, self.offsets[partition], max(1, timestamp), headers, key, value)

    # Events

    def event(self):
        event = self.adversary.event()
        occurred_at, timestamp, headers = self.times(event["now"])
        fields = self.fields(event, occurred_at)
        record = self.record(event["partition"], timestamp, headers, self.key(event), self.encode(fields))
        outputs = self.fold.feed(record)
        event["now"] = self.event_time(event["now"], record)
        self.adversary.observe(event, self.fold.states.get((event["tenant"], event["recipient"])), outputs)
        return record

    def event_time(self, wanted, record):
        """What the moment has become: the same, unless the record could not express it."""
        return max(wanted, 1) if record.timestamp == 1 else wanted

    def times(self, now):
        """(occurred_at, timestamp, headers) whose event time is `now`."""
        rng, ahead = self.rng, self.config.max_ahead
        headers = self.headers()
        if now > 0 and self.edge("clipped", 0.1):
            occurred_at = rng.choice([now + ahead + 1, now + 30 * DAY_MS, TIME_MAX_MS])
            if self.edge("headers", 0.3):
                # The record's own timestamp is later; the header's is the smaller one.
                return occurred_at, now + rng.choice([0, 1, DAY_MS]), headers + [self.foreign_origin(now)]
            return occurred_at, now, headers
        if self.edge("ahead", 0.01):
            return now, now + 40 * DAY_MS, headers
        timestamp = now + rng.choice([-ahead, -ahead + 1, 0, 1, rng.randrange(600_000)])
        if timestamp < 1:
            return now, now + 1, headers
        if self.edge("headers", 0.03):
            origin_at = rng.choice([timestamp, timestamp + DAY_MS, max(now - ahead, 0)])
            return now, timestamp, headers + [self.foreign_origin(origin_at)]
        return now, timestamp, headers

    def headers(self):
        rng, found = self.rng, []
        if self.edge("headers", 0.1):
            found.append(rng.choice(FOREIGN_HEADERS))
        if self.edge("headers", 0.03):
            found.append((REROUTED_HEADER, rng.choice(MALFORMED_ORIGINS)))
        return found

    def foreign_origin(self, timestamp):
        """A valid rerouted header of a record that is not in this stream: its offset is beyond every stream."""
        self.serial += 1
        return REROUTED_HEADER, f"{self.rng.randrange(self.partitions)}:{10**12 + self.serial}:{timestamp}".encode()

    def key(self, event):
        if self.edge("keys", 0.15):
            return self.rng.choice([None, b"", b"\x00\xff", b"somebody@else.example"])
        return record_key(event["tenant"], event["recipient"]).encode()

    def fields(self, event, occurred_at):
        person = self.adversary.by_address[event["tenant"], event["recipient"]]
        fields = {
            "event_id": event["event_id"],
            "tenant": event["tenant"],
            "recipient": self.rng.choice(person.spellings) if "spelling" in self.edges else event["recipient"],
            "occurred_at": occurred_at,
        }
        if event["kind"] == "override":
            return {"type": "RecipientOverride", "action": event["action"], "reason": None, "actor": "crm", **fields}
        fields.update(message_id=event["message_id"], retry_of=event["retry_of"], source="stream")
        if event["kind"] == "delivery":
            return {"type": "DeliveryRecord", **fields}
        return {"type": "BounceRecord", **fields, **self.bounce_fields(event)}

    def bounce_fields(self, event):
        status, diagnostic = event["status"], None
        if event["class"] == "SOFT" and self.edge("texts", 0.1):
            status, diagnostic = "4.2.1", self.rng.choice(TEXTS_421)
        return {
            "status": status,
            "reply_code": event["reply_code"],
            "diagnostic": diagnostic,
            "remote_mta": None,
            "stage": None,
            "message_attempt": event["message_attempt"],
            "attributes": {"campaign": "\u00fc", "n": ""} if self.rng.random() < 0.1 else {},
        }

    def encode(self, fields):
        value = self.codec.encode(fields["type"], fields)
        if fields.get("attributes") == {} and self.edge("blocks", 0.05):
            # One entry in a block with a negative count and its size in octets, then the end of the map.
            entry = avro.write("string", "k") + avro.write("string", "v")
            value = value[:-1] + avro.write_long(-1) + avro.write_long(len(entry)) + entry + b"\x00"
        return value

    # Records that reach no recipient. Their times lie far ahead: they must not move the stream time.

    def sample(self, kind=None):
        """(fields, partition) of a good record of any recipient, far ahead in time."""
        person = self.rng.choice(self.adversary.people)
        self.serial += 1
        event = {
            "tenant": person.tenant, "recipient": person.recipient, "event_id": f"lost-{self.serial}", "class": "SOFT",
            "kind": kind or self.rng.choice(["bounce", "delivery", "override"]), "action": "FORGET", "status": "4.2.1",
            "reply_code": 450, "message_id": "lost", "message_attempt": 0, "retry_of": None,
        }  # fmt: skip
        return self.fields(event, self.far_ahead()), person.partition

    def far_ahead(self):
        return max(self.adversary.clocks.values()) + 1000 * DAY_MS

    def misrouted(self):
        fields, home = self.sample()
        if self.partitions == 1:
            return self.poison()
        partition = (home + 1 + self.rng.randrange(self.partitions - 1)) % self.partitions
        timestamp, headers = self.adversary.clocks[partition], self.headers()
        if self.rng.random() < 0.3:
            headers.append(self.foreign_origin(timestamp))
        else:
            # The copy that comes home lives at the stream time of its first partition.
            fields["occurred_at"] = timestamp
        key = self.rng.choice([None, b"other", record_key(fields["tenant"], fields["recipient"]).encode()])
        return self.record(partition, timestamp, headers, key, self.encode(fields))

    def poison(self):
        value, partition = self.rng.choice(POISONS)(self)
        timestamp = self.far_ahead() - 500 * DAY_MS if self.edge("ahead", 0.5) else self.adversary.clocks[partition]
        return self.record(partition, timestamp, self.headers(), self.rng.choice([None, b"k", b"\xff"]), value)

    def spoiled(self, kind=None, **changes):
        fields, partition = self.sample(kind)
        return self.codec.encode(fields["type"], {**fields, **changes}), partition

    def poison_no_value(self):
        return self.rng.choice([None, b""]), self.rng.randrange(self.partitions)

    def poison_frame(self):
        value, partition = self.spoiled()
        cut = self.rng.choice([1, 2, 3, 9])
        return self.rng.choice([value[:cut], b"\xc3\x02" + value[2:], b"{}", b"\x00\x00\x00", value[2:]]), partition

    def poison_truncated(self):
        value, partition = self.spoiled()
        return value[: self.rng.randrange(10, len(value))], partition

    def poison_trailing(self):
        value, partition = self.spoiled()
        return value + self.rng.choice([b"\x00", b"\xff", value]), partition

    def poison_body(self):
        """Numbers without an end, lengths beyond it, and indices outside of unions and enums."""
        rng = self.rng
        bounce = rng.random() < 0.5
        name = "BounceRecord" if bounce else "RecipientOverride"
        strings = [b"event", b"", b"ada@example.com"] + ([b"m"] if bounce else [])
        body = b"".join(map(avro.write_bytes, strings)) + avro.write_long(self.far_ahead())
        wrong = avro.write_long(rng.choice([-1, 2, 4, 9, 2**40])) + b"\x00" * 20
        huge = avro.write_long(rng.choice([-1, 2**31, 2**62])) + b"x" * 20
        body = rng.choice([body + wrong, huge, b"\xff" * 30, body[:-6] + b"\xff" * 20])
        return self.codec.prefixes[name] + body, rng.randrange(self.partitions)

    def poison_utf8(self):
        field = self.rng.choice(["event_id", "recipient", "tenant"])
        return self.spoiled(**{field: self.rng.choice(NOT_UTF8)})

    def poison_schema_unknown(self):
        value, partition = self.spoiled()
        octets = bytes(self.rng.randrange(256) for _ in range(8))
        return self.rng.choice([b"\xc3\x01" + octets + value[10:], b"\x00\x7f\xff\xff\xfe" + value[10:]]), partition

    def poison_schema_other(self):
        person = self.rng.choice(self.adversary.people)
        known = next((one for one in self.adversary.people if one.commands), None)
        if known is None:
            return self.poison_schema_unknown()
        return self.codec.encode("RetryCommand", known.commands[-1]), person.partition

    def poison_field(self):
        kind, changes = self.rng.choice([
            (None, {"event_id": ""}),
            (None, {"occurred_at": -1}),
            (None, {"occurred_at": TIME_MAX_MS + 1}),
            (None, {"occurred_at": -(2**63)}),
            (None, {"occurred_at": 2**63 - 1}),
            ("bounce", {"message_attempt": -1}),
            ("bounce", {"message_attempt": -(2**31)}),
            ("override", {"action": "UNKNOWN"}),
            # Also wrong in ways that come later in the order.
            (None, {"event_id": "", "tenant": "Bad Tenant", "recipient": "nobody"}),
        ])  # fmt: skip
        return self.spoiled(kind, **changes)

    def poison_tenant(self):
        recipient = {"recipient": "nobody"} if self.rng.random() < 0.3 else {}
        return self.spoiled(tenant=self.rng.choice(INVALID_TENANTS), **recipient)

    def poison_recipient(self):
        return self.spoiled(recipient=self.rng.choice(INVALID_RECIPIENTS))


POISONS = [
    Stream.poison_no_value,
    Stream.poison_frame,
    Stream.poison_truncated,
    Stream.poison_trailing,
    Stream.poison_body,
    lambda stream: stream.poison_utf8() if "utf8" in stream.edges else stream.poison_trailing(),
    Stream.poison_schema_unknown,
    Stream.poison_schema_other,
    Stream.poison_field,
    Stream.poison_tenant,
    Stream.poison_recipient,
    Stream.poison_recipient,
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="edges: " + "; ".join(f"{name}: {text}" for name, text in EDGES.items()),
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--recipients", type=int, default=24)
    parser.add_argument("--topic", default="rimbalzo.bounces")
    parser.add_argument("--config", default="{}", metavar="JSON", help="overrides of the default configuration")
    parser.add_argument("--base-ms", type=int, help="the time at which the stream starts")
    parser.add_argument("--span-ms", type=int, help="how far the stream time may run")
    parser.add_argument("--without", default="", metavar="EDGES", help="comma-separated")
    parser.add_argument("--texts", action="store_true", help=EDGES["texts"])
    options = parser.parse_args()
    times = {"base": options.base_ms} if options.base_ms is not None else {}
    stream = Stream(
        options.seed, options.count, options.partitions, options.recipients, Config(json.loads(options.config)),
        options.without.split(","), options.texts, span=options.span_ms, **times,
    )  # fmt: skip
    for record in stream.records():
        sys.stdout.buffer.write(records.pack(options.topic, record))


if __name__ == "__main__":
    main()
