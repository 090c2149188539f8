#!/usr/bin/python3
"""Tests of compare.py and of the generators: what is right passes, what is planted is found."""

import pathlib
import types
import unittest
from collections import Counter

import xxhash

import avro
import gen_events
import records
import semantics
from compare import Comparison, compare
from config import Config
from model_worker import ModelWorker
from stream import Stream

NOW = 1_790_000_000_000
# Short enough that a small stream reaches every boundary.
BRISK = {"recipient": {"retention": "60d"}, "stale_after": "20d", "frequent": {"window": "30d"}}


def world(seed, count=3000, config=None, **options):
    config = Config(config)
    stream = Stream(seed, count, config=config, **options)
    inputs, topics = ModelWorker(seed, 4, config, NOW).run(stream.records())
    return inputs, topics, config


def changed(codec, record, name, **fields):
    return record._replace(value=codec.encode(name, {**codec.decode(record.value)[1], **fields}))


class Equal(unittest.TestCase):
    def test_neither_batches_nor_the_idle_scan_can_be_observed(self):
        for seed in range(1, 7):
            inputs, topics, config = world(seed, config=BRISK if seed % 2 else None)
            self.assertEqual(compare(inputs, topics, 4, config=config), [], f"seed {seed}")
            self.assertGreater(len(topics["retries.delayed"]), 100)

    def test_records_survive_files(self):
        stream = Stream(9, 2000)
        for record in stream.records():
            packed = records.pack("t", record)
            self.assertEqual(records.unpack(packed[4:]), ("t", record))

    def test_streams_repeat_by_seed(self):
        self.assertEqual(list(Stream(3, 500).records()), list(Stream(3, 500).records()))
        self.assertNotEqual(list(Stream(3, 500).records()), list(Stream(4, 500).records()))

    def test_streams_hold_every_reason_of_a_dead_letter(self):
        stream = Stream(2, 5000)
        list(stream.records())
        reasons = Counter(letter.reason for letter in stream.fold.dead_letters)
        self.assertEqual(
            sorted(reasons),
            ["invalid_field", "invalid_recipient", "invalid_tenant", "malformed", "misrouted", "unexpected_schema",
             "unknown_schema"],
        )  # fmt: skip
        self.assertTrue(stream.fold.reroutes)

    def test_edges_can_be_left_out(self):
        stream = Stream(2, 3000, without=["poison", "misrouted"])
        list(stream.records())
        self.assertEqual((stream.fold.dead_letters, stream.fold.reroutes), ([], []))


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.inputs, cls.topics, cls.config = world(1, 2000)
        cls.codec = avro.Codec()

    def differences(self, topic, records):
        return compare(self.inputs, {**self.topics, topic: records}, 4)

    def test_outputs(self):
        for topic, name, field in (
            ("retries.delayed", "RetryCommand", "due_at"),
            ("suppressions", "SuppressionEvent", "attempts"),
            ("notices", "RecipientNotice", "attempt"),
        ):
            good = self.topics[topic]
            self.assertIn("missing", "".join(self.differences(topic, good[1:])))
            self.assertIn("2 times instead of 1", "".join(self.differences(topic, good + good[-1:])))
            bad = [changed(self.codec, good[0], name, **{field: 77}), *good[1:]]
            self.assertIn(f"{field} 77 instead of", "".join(self.differences(topic, bad)))
            misplaced = [good[0]._replace(partition=(good[0].partition + 1) % 4), *good[1:]]
            self.assertIn("belongs to partition", "".join(self.differences(topic, misplaced)))
            self.assertIn("has key", "".join(self.differences(topic, [good[0]._replace(key=b"x"), *good[1:]])))
            self.assertIn("cannot be read", "".join(self.differences(topic, [good[0]._replace(value=b"x"), *good[1:]])))

    def test_headers_of_commands(self):
        good = self.topics["retries.delayed"]
        at = next(place for place, record in enumerate(good) if record.headers)
        for headers in ([], [*good[at].headers, ("more", b"")], [("rimbalzo-rerouted", b"0:1:2"), *good[at].headers]):
            bad = [*good[:at], good[at]._replace(headers=headers), *good[at + 1 :]]
            self.assertIn("has headers", "".join(self.differences("retries.delayed", bad)))

    def test_rule_can_be_ignored(self):
        good = self.topics["suppressions"]
        bad = [changed(self.codec, good[0], "SuppressionEvent", rule="another"), *good[1:]]
        self.assertTrue(self.differences("suppressions", bad))
        self.assertEqual(compare(self.inputs, {**self.topics, "suppressions": bad}, 4, ignore_rule=True), [])

    def test_dead_letters(self):
        good = self.topics["dead-letters"]
        self.assertIn("missing", "".join(self.differences("dead-letters", good[1:])))
        self.assertIn("twice", "".join(self.differences("dead-letters", good + good[:1])))
        for bad in (
            good[0]._replace(value=b"other"),
            good[0]._replace(key=b"other"),
            good[0]._replace(headers=good[0].headers[:-1]),
            good[0]._replace(headers=[*good[0].headers, ("more", b"")]),
            good[0]._replace(headers=[(n, b"no" if n == "rimbalzo-reason" else v) for n, v in good[0].headers]),
        ):
            self.assertTrue(self.differences("dead-letters", [bad, *good[1:]]), bad)

    def test_reroutes(self):
        copies = [record for record in self.inputs if record.timestamp == NOW]
        self.assertTrue(copies)
        last = copies[-1]
        home = [record for record in self.inputs if record.partition == last.partition]
        again = home[-1]._replace(offset=home[-1].offset + 1)
        if home[-1] is last:
            differences = compare([*self.inputs, again], self.topics, 4)
            self.assertIn("reroute: unexpected", "".join(differences))
        without = [record for record in self.inputs if record is not last]
        self.assertIn("reroute: missing", "".join(compare(without, self.topics, 4)))

    def test_states(self):
        good = self.topics["recipients"]
        last = {record.key: place for place, record in enumerate(good)}
        at = next(place for place in last.values() if good[place].value is not None)
        state = self.codec.decode(good[at].value)[1]
        bad = list(good)
        bad[at] = changed(self.codec, good[at], "RecipientState", soft=state["soft"] + 1)
        self.assertIn("state: ", "".join(self.differences("recipients", bad)))
        missing = [record for record in good if record.key != good[at].key]
        self.assertIn("is missing", "".join(self.differences("recipients", missing)))
        gone = good[at]._replace(value=None, headers=[("source_offset", b"%d" % state["source_offset"])], offset=10**6)
        self.assertIn("has not expired", "".join(self.differences("recipients", [*good, gone])))

    def test_tombstones(self):
        good = self.topics["recipients"]
        at = next(place for place, record in enumerate(good) if record.value is None)
        for headers in ([], [("source_offset", b"x")], [("source_offset", b"999999")]):
            bad = list(good)
            bad[at] = good[at]._replace(headers=headers)
            self.assertIn("tombstone", "".join(self.differences("recipients", bad)))

    def test_changelog_records_in_between(self):
        good = self.topics["recipients"]
        last = {record.key: place for place, record in enumerate(good)}
        at = next(p for p, record in enumerate(good) if record.value is not None and last[record.key] != p)
        bad = list(good)
        bad[at] = changed(self.codec, good[at], "RecipientState", hard=99)
        self.assertIn("changelog: ", "".join(self.differences("recipients", bad)))

    def test_nothing_is_scheduled_while_suppressed(self):
        suppressions = [self.codec.decode(record.value)[1] for record in self.topics["suppressions"]]
        fields = next(one for one in suppressions if one["action"] == "SUPPRESS")
        good = self.topics["retries.delayed"]
        at = next(p for p, record in enumerate(good) if self.codec.decode(record.value)[1]["action"] == "SCHEDULE")
        same = {name: fields[name] for name in ("tenant", "recipient", "source_partition")}
        source_offset = fields["source_offset"] + 1
        planted = changed(self.codec, good[at], "RetryCommand", source_offset=source_offset, **same)
        self.assertIn("invariant 1", "".join(self.differences("retries.delayed", [*good, planted])))

    def test_no_id_comes_again_while_remembered(self):
        good = self.topics["retries.delayed"]
        differences = []
        for record in good:
            fields = self.codec.decode(record.value)[1]
            if fields["action"] == "SCHEDULE" and fields["attempt"] == 2:
                planted = changed(self.codec, record, "RetryCommand")
                differences += self.differences("retries.delayed", [*good, planted])
                break
        self.assertIn("invariant 4", "".join(differences))


class Certificates(unittest.TestCase):
    def setUp(self):
        self.inputs, self.topics, self.config = world(2, 300, without=["poison", "misrouted"])

    def test_certificates(self):
        fold = Comparison(self.inputs, self.topics, 4).fold
        good = {}
        for partition in {record.partition for record in self.inputs}:
            last = {r.key: r for r in self.topics["recipients"] if r.partition == partition}
            live = [record for record in last.values() if record.value is not None]
            digest = 0
            for record in live:
                digest ^= xxhash.xxh3_64_intdigest(record.key + record.value)
            text = f"v1 i={10**6} t={fold.stream_times[partition]} n={len(live)} d={digest:016x}"
            good[partition] = (10**6, text)
        self.assertEqual(self.check_certificates(good), [])
        bad = {partition: (0, "v1 i=0 t=0 n=99 d=0") for partition in good}
        self.assertEqual(len(self.check_certificates(bad)), 4 * len(good))
        self.assertIn("has none", "".join(self.check_certificates({})))

    def check_certificates(self, certificates):
        return compare(self.inputs, self.topics, 4, certificates=certificates, digest=True)


# Bugs that a worker could have: a text of semantics.py and what replaces it.
BUGS = [
    ('stream_time < state["due_at"] + config.stale_after', 'stream_time <= state["due_at"] + config.stale_after'),
    (">= config.retention", "> config.retention"),
    ("opening > time - config.window", "opening >= time - config.window"),
    ("return before, []", "return live, []"),
    ('event["offset"] <= state["source_offset"]', 'event["offset"] < state["source_offset"]'),
    ("if live is not None and is_duplicate(live, event)", "if before is not None and is_duplicate(before, event)"),
    ("self.now < since", "self.now <= since"),
    ('self.before["last_delivery_at"], self.before["reinstated_at"]', 'self.before["last_delivery_at"], None'),
    ('self.before["last_delivery_at"], self.before["reinstated_at"]', 'None, self.before["reinstated_at"]'),
    ('self.now >= self.before["due_at"] - ', 'self.now > self.before["due_at"] - '),
    ("return ascii_lower(retry_of) ==", "return retry_of =="),
    ('self.command_id(self.event["message_attempt"])', "self.command_id(0)"),
    ("== policy.contact_after", ">= policy.contact_after"),
    (">= policy.max_attempts", "> policy.max_attempts"),
    ('max(state["due_at"], self.now + policy.delay(state["attempt"]))', 'self.now + policy.delay(state["attempt"])'),
    ('elif status == "SUSPENDED" or not self.is_old_news()', "elif not self.is_old_news()"),
    ('elif status == "SUSPENDED" or not self.is_old_news()', "else"),
    ('max(due_at, self.before["due_at"])', "due_at"),
    ('self.now >= before["last_bounce_at"]', 'self.now > before["last_bounce_at"]'),
    ('before["suppressed_by"] == "ATTEMPTS_EXHAUSTED" and', 'before["status"] == "SUPPRESSED" and'),
    ('state["openings"], state["last_event_at"])', 'state["openings"], self.now)'),
    ('state["openings"], self.now)', 'state["openings"], state["last_event_at"])'),
    ('later(self.before["reinstated_at"], self.now)', "self.now"),
    ('later(before["last_delivery_at"], self.now)', "self.now"),
    ('first_bounced_at is None and cause == "HARD_BOUNCE"', "first_bounced_at is None"),
    ('if hashed in state["recent_commands"]', "if False"),
    ('self.event_id = ascii_lower(event["event_id"])', 'self.event_id = event["event_id"]'),
    ("REMEMBERED = 8", "REMEMBERED = 9"),
    ("REMEMBERED = 8", "REMEMBERED = 7"),
    ('self.before["reason"] or "other"', '"other"'),
    ('policy_named(self.before["policy"])', "policy_named(None)"),
    ('if kind in ("SOFT", "HARD")', 'if kind == "SOFT"'),
    ("> FREQUENCIES.index(self", "!= FREQUENCIES.index(self"),
    ("message_attempt > len(delays)", "message_attempt >= len(delays)"),
]


class Mutants(unittest.TestCase):
    """The generated events reach every rule: each bug shows within a few thousand of them."""

    def test_every_planted_bug_shows(self):
        config = Config()
        events = list(gen_events.events(1, 10_000, config))
        source = pathlib.Path(semantics.__file__).read_text(encoding="utf-8")
        for good, bad in BUGS:
            self.assertIn(good, source)
            mutant = types.ModuleType("mutant")
            exec(compile_source(source.replace(good, bad, 1)), mutant.__dict__)
            self.assertTrue(self.shows(mutant, config, events), f"{good} -> {bad}")

    def shows(self, mutant, config, events):
        states = {}
        for event, state, outputs in events:
            address = event["tenant"], event["recipient"]
            after, found = mutant.step(config, states.get(address), event)
            if (after, found) != (state, outputs):
                return True
            states[address] = after
        return False


def compile_source(text):
    return compile(text, "mutant", "exec")


if __name__ == "__main__":
    unittest.main()
