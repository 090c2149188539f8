#!/usr/bin/python3
"""Tests of the oracle itself: every reference value of vectors.json, every line of semantics.md section 6."""

import json
import pathlib
import unittest

import identity
from config import Config
from semantics import step

VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "data" / "vectors.json").read_text())

T0 = 1_700_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
CODES = {
    "SOFT": ("4.2.1", "mailbox_disabled", "oracle.disabled"),
    "HARD": ("5.1.1", "user_unknown", "oracle.unknown-user"),
    "TRANSIENT": ("4.4.1", "connect_refused", None),
    "POLICY": ("5.7.1", "policy", None),
    "UNKNOWN": ("5.0.0", "other", None),
}


class Story:
    """One recipient of partition 0 and what happens to it."""

    def __init__(self, config=None, tenant="", recipient="ada@example.com"):
        self.config = Config(config)
        self.address = {"tenant": tenant, "recipient": recipient}
        self.state = None
        self.offset = -1
        self.stream_time = 0

    def send(self, kind, now, **fields):
        self.offset += 1
        self.stream_time = max(self.stream_time, now)
        event = {
            "partition": 0, "offset": self.offset, "stream_time": self.stream_time, "now": now, "kind": kind,
            "event_id": f"e{self.offset}", "message_id": "m1", "message_attempt": 0, "retry_of": None, "rule": None,
            **self.address, **fields,
        }  # fmt: skip
        self.state, outputs = step(self.config, self.state, event)
        return outputs

    def bounce(self, now, kind="SOFT", **fields):
        status, reason, rule = CODES[kind]
        return self.send("bounce", now, **{"class": kind, "status": status, "reason": reason, "rule": rule, **fields})

    def deliver(self, now, **fields):
        return self.send("delivery", now, **fields)

    def override(self, action, now, **fields):
        return self.send("override", now, action=action, **fields)


def schedule_id(episode, opened_at, attempt, message="m1", message_attempt=0):
    return identity.output_id("command", "", "ada@example.com", episode, opened_at, attempt, message, message_attempt)


class Vectors(unittest.TestCase):
    def test_ids(self):
        for vector in VECTORS["ids"]:
            self.assertEqual(identity.output_id(*vector["fields"]), vector["id"])

    def test_keys_and_partitions(self):
        for vector in VECTORS["keys"]:
            key = identity.record_key(vector["tenant"], vector["recipient"])
            self.assertEqual(key, vector["key"])
            self.assertEqual(identity.murmur2(key.encode()) & 0x7FFFFFFF, vector["murmur2"])
            self.assertEqual(identity.partition_of(key, 4), vector["partition_of_4"])
            self.assertEqual(identity.partition_of(key, 12), vector["partition_of_12"])

    def test_canonical_forms(self):
        for vector in VECTORS["canonical"]:
            try:
                found = identity.canonical(vector["in"])
            except identity.Rejected as rejected:
                found = {"rejected": f"invalid_recipient: {rejected}"}
            self.assertEqual(found, vector["out"], vector["in"])

    def test_hashes(self):
        for vector in VECTORS["xxh3_64"]:
            self.assertEqual(identity.id_hash(vector["text"]), vector["signed"])

    def test_stories(self):
        for vector in VECTORS["stories"]:
            with self.subTest(vector["story"]):
                story = Story()
                for number, told in enumerate(vector["steps"]):
                    outputs = [self.told(output) for output in self.perform(story, told["step"])]
                    self.assertEqual(outputs, told["outputs"], f"step {number}")
                expected = dict(vector["state"])
                for name in ("recent_events", "recent_commands"):
                    expected[name] = [identity.id_hash(text) for text in expected[name]]
                self.assertEqual(json.loads(json.dumps(story.state)), expected)

    def perform(self, story, told):
        kind, *rest, fields = told
        self.assertEqual(fields, {})
        if kind == "deliver":
            return story.deliver(*rest)
        if kind == "override":
            return story.override(*rest)
        bounce_class, now, *message = rest
        return story.bounce(now, bounce_class.upper(), message_id=message[0] if message else "m1")

    def told(self, output):
        """An output with the names of the vectors: `kind` is the record's type, `notice` the notice's kind."""
        output = dict(output)
        notice = {"notice": output.pop("kind")} if "kind" in output else {}
        return {"kind": output.pop("type"), **notice, **output}


if __name__ == "__main__":
    unittest.main()
