#!/usr/bin/python3
"""Tests of timers.py and of the generator of commands: what is right passes, what is planted is found."""

import pathlib
import types
import unittest
from collections import Counter

import avro
import model_dispatcher
import timers
from commands import Commands
from model_dispatcher import START, ModelDispatcher
from semantics import Record

PARTITIONS = 3


def world(seed, count=2500, model=model_dispatcher):
    """(delayed, due, dead letters, marks, the time at the end)"""
    commands = Commands(seed, PARTITIONS, recipients=50, delay_ms=3000)
    dispatcher = model.ModelDispatcher(seed, PARTITIONS)
    return *dispatcher.run(commands.next, count), dispatcher.now


def compare(delayed, due, dead_letters, marks, until_ms, **options):
    return timers.Comparison(delayed, due, dead_letters, until_ms, marks).run(**options)


class Equal(unittest.TestCase):
    def test_neither_transactions_nor_moments_can_be_observed(self):
        for seed in range(1, 6):
            delayed, due, dead_letters, marks, now = world(seed)
            comparison = timers.Comparison(delayed, due, dead_letters, now, marks)
            self.assertEqual(comparison.run(), [], f"seed {seed}")
            counts = comparison.counts()
            for name, least in (("duplicates", 10), ("left early by RELEASE", 10), ("cancelled", 10), ("replaced", 1),
                                ("left before their CANCEL", 10), ("dead letters", 10)):
                self.assertGreaterEqual(counts[name], least, f"{name}, seed {seed}")
            self.assertEqual(counts["left"], len(due))
            self.assertGreater(len(marks), 30)

    def test_commands_hold_every_reason_of_a_dead_letter(self):
        reasons = Counter(dict(letter.headers)["rimbalzo-reason"].decode() for letter in world(2)[2])
        self.assertEqual(
            sorted(reasons),
            ["delay_too_long", "invalid_field", "invalid_recipient", "invalid_tenant", "malformed",
             "unexpected_schema", "unknown_schema"],
        )  # fmt: skip

    def test_commands_repeat_by_seed(self):
        one, other = Commands(3), Commands(3)
        self.assertEqual([one.next(START + i) for i in range(500)], [other.next(START + i) for i in range(500)])


class Planted(unittest.TestCase):
    """Faults in what was written."""

    @classmethod
    def setUpClass(cls):
        cls.delayed, cls.due, cls.dead_letters, cls.marks, cls.now = world(1)
        comparison = timers.Comparison(cls.delayed, cls.due, cls.dead_letters, cls.now)
        comparison.run()
        # One that leaves by its time alone, and has no like.
        alike = Counter(map(timers.octets, cls.delayed))
        command = next(c for c in comparison.matched if c.end is None and alike[timers.octets(c.record)] == 1
                       and c.left.timestamp > c.due_at + 1)
        cls.command, cls.at = command, cls.due.index(command.left)

    def differences(self, due=None, dead_letters=None, marks=()):
        return "\n".join(compare(self.delayed, self.due if due is None else due,
                                 self.dead_letters if dead_letters is None else dead_letters, marks, self.now))

    def replaced(self, **changes):
        return [*self.due[: self.at], self.due[self.at]._replace(**changes), *self.due[self.at + 1 :]]

    def test_nothing_planted(self):
        self.assertEqual(self.differences(), "")

    def test_missing_and_too_often(self):
        self.assertIn("has not left", self.differences(self.due[: self.at] + self.due[self.at + 1 :]))
        again = self.due[self.at]._replace(offset=10**6)
        self.assertIn("left more than 1 times", self.differences([*self.due, again]))

    def test_another_record(self):
        record = self.due[self.at]
        other = (record.partition + 1) % PARTITIONS
        for changes in ({"key": b"x"}, {"value": record.value + b"x"}, {"headers": [*record.headers, ("more", b"")]},
                        {"headers": [("more", None)]}, {"partition": other, "offset": 10**6}):
            found = self.differences(self.replaced(**changes))
            self.assertIn("is no copy", found)
            self.assertIn("has not left", found)

    def test_headers_in_another_order(self):
        at = next(i for i, r in enumerate(self.due) if len(r.headers) > 1 and r.headers[::-1] != r.headers)
        due = [*self.due[:at], self.due[at]._replace(headers=self.due[at].headers[::-1]), *self.due[at + 1 :]]
        self.assertIn("is no copy", self.differences(due))

    def test_early(self):
        self.assertIn("is early by 1 ms", self.differences(self.replaced(timestamp=self.command.due_at - 1)))
        self.assertEqual(self.differences(self.replaced(timestamp=self.command.due_at)), "")

    def test_what_is_due_later_need_not_have_left(self):
        due = self.due[: self.at] + self.due[self.at + 1 :]
        options = {"until_ms": self.command.due_at - 1}
        found = timers.Comparison(self.delayed, due, self.dead_letters, **options).run()
        self.assertNotIn(self.command.command_id, "".join(found))

    def test_marks(self):
        """A record that was seen before its command was written, or that follows a CANCEL that was taken in."""
        comparison = timers.Comparison(self.delayed, self.due, [], self.now)
        comparison.run()
        command = next(c for p in comparison.partitions.values() for c in p.accepted()
                       if c.end == "CANCEL" and c.left is None)
        number = command.record.partition
        end = max(r.offset for r in self.due if r.partition == number) + 1
        late = command.record._replace(offset=end, timestamp=self.now)
        taken_in = timers.Mark({number: command.end_offset + 1}, {}, {number: end}, {number: 10**6}, self.now)
        self.assertIn("had been taken in", self.differences([*self.due, late], marks=[taken_in]))
        not_yet = taken_in._replace(committed={number: command.end_offset})
        self.assertNotIn("had been taken in", self.differences([*self.due, late], marks=[not_yet]))
        record, offset = self.due[self.at], self.command.offset
        number = record.partition
        before = timers.Mark({}, {}, {number: record.offset + 1}, {number: offset}, record.timestamp)
        self.assertIn("left before it was written", self.differences(marks=[before]))
        after = before._replace(delayed_ends={number: offset + 1})
        self.assertNotIn(self.command.command_id, self.differences(marks=[after]))
        ahead = after._replace(now_ms=record.timestamp - 1)
        found = self.differences(marks=[ahead])
        self.assertIn(f"{self.command.command_id} is stamped 1 ms later than it was seen", found)

    def test_dead_letters(self):
        good = self.dead_letters
        self.assertIn("missing", self.differences(dead_letters=good[1:]))
        self.assertIn("twice", self.differences(dead_letters=good + good[:1]))
        for bad in (
            good[0]._replace(value=b"other"),
            good[0]._replace(key=b"other"),
            good[0]._replace(headers=good[0].headers[:-1]),
            good[0]._replace(headers=[*good[0].headers, ("more", b"")]),
            good[0]._replace(headers=[(n, b"no" if n == "rimbalzo-reason" else v) for n, v in good[0].headers]),
        ):
            self.assertIn("dead letter", self.differences(dead_letters=[bad, *good[1:]]))
        other = [(n, b"bounces" if n == "rimbalzo-topic" else v) for n, v in good[0].headers]
        self.assertEqual(self.differences(dead_letters=[*good, good[0]._replace(headers=other)]), "")

    def test_certificates(self):
        mark = next(m for m in self.marks for text in m.certificates.values() if " n=0 " not in text)
        number, text = next((n, t) for n, t in mark.certificates.items() if " n=0 " not in t)
        parts = dict(part.split("=") for part in text.split()[1:])
        for name, value in (("n", int(parts["n"]) + 1), ("m", int(parts["m"]) - 1), ("t", int(parts["t"]) - 1),
                            ("r", int(parts["m"]) + 1), ("d", "0" * 16), ("f", f"{self.now},0"), ("i", 10**6)):
            bad = "v1 " + " ".join(f"{key}={value if key == name else old}" for key, old in parts.items())
            self.assertIn("certificate", self.differences(marks=[mark._replace(certificates={number: bad})]), name)
        self.assertIn("cannot be read", self.differences(marks=[mark._replace(certificates={number: text + "x"})]))
        self.assertEqual(self.differences(marks=[mark]), "")


class Alike(unittest.TestCase):
    """Records that are alike, octet for octet, may be one command or several."""

    def setUp(self):
        codec = avro.Codec()
        commands = Commands(1, partitions=1)
        self.fields = {**commands.command(START, "SCHEDULE"), "due_at": START + 100}
        self.schedule = codec.encode("RetryCommand", self.fields)
        self.ends = {action: codec.encode("RetryCommand", {**self.fields, "action": action})
                     for action in ("CANCEL", "RELEASE")}

    def log(self, *entries):
        """Records of (time, value)."""
        return [Record(0, offset, START + time, [], b"k", value) for offset, (time, value) in enumerate(entries)]

    def left(self, *times):
        return [Record(0, offset, START + time, [], b"k", self.schedule) for offset, time in enumerate(times)]

    def check(self, delayed, due, marks=()):
        return "\n".join(compare(delayed, due, [], marks, START + 10_000))

    def test_a_repetition_counts_until_the_log_has_reached_its_time(self):
        twice = self.log((0, self.schedule), (99, self.schedule))
        self.assertEqual(self.check(twice, self.left(100)), "")
        self.assertIn("left more than 1 times", self.check(twice, self.left(100, 150)))
        later = self.log((0, self.schedule), (100, self.schedule))
        self.assertEqual(self.check(later, self.left(100, 150)), "")
        self.assertIn("has not left", self.check(later, []))

    def test_a_late_one_gives_way_to_the_next_of_its_id(self):
        later = self.log((0, self.schedule), (100, self.schedule))
        self.assertEqual(self.check(later, self.left(150)), "")
        taken_in = timers.Mark({0: 2}, {}, {0: 0}, {0: 2}, START)
        self.assertEqual(self.check(later, self.left(150), [taken_in]), "")
        found = self.check(later, self.left(150, 150), [taken_in])
        self.assertIn("left after its SCHEDULE at 1 had been taken in", found)
        released = [*later, *self.log((0, self.ends["RELEASE"]))]
        released[2] = released[2]._replace(offset=2, timestamp=START + 101)
        self.assertEqual(self.check(released, self.left(150)), "")

    def test_a_repetition_of_a_repetition_is_one(self):
        other = avro.Codec().encode("RetryCommand", {**self.fields, "due_at": START + 300})
        log = self.log((0, self.schedule), (50, other), (200, self.schedule))
        self.assertEqual(self.check(log, self.left(100)), "")

    def test_an_id_of_another_case_is_the_same(self):
        upper = avro.Codec().encode("RetryCommand", {**self.fields, "command_id": self.fields["command_id"].upper()})
        self.assertEqual(self.check(self.log((0, self.schedule), (1, upper)), self.left(100)), "")

    def test_after_an_end_it_begins_anew(self):
        for action, count in (("CANCEL", (1, 2)), ("RELEASE", (2,))):
            log = self.log((0, self.schedule), (10, self.ends[action]), (20, self.schedule))
            for number in range(4):
                found = self.check(log, self.left(*[100] * number))
                self.assertEqual(found == "", number in count, f"{action} {number}: {found}")

    def test_only_a_release_sets_free(self):
        log = self.log((0, self.schedule), (10, self.ends["RELEASE"]))
        self.assertEqual(self.check(log, self.left(20)), "")
        log = self.log((0, self.schedule), (10, self.ends["CANCEL"]))
        self.assertIn("is early", self.check(log, self.left(20)))
        log = self.log((0, self.schedule), (10, self.ends["CANCEL"]), (11, self.ends["RELEASE"]))
        self.assertIn("is early", self.check(log, self.left(20)))

    def test_what_was_seen_decides_which_it_was(self):
        """The first is cancelled for sure when the second record comes, so that must be the other command."""
        log = self.log((0, self.schedule), (10, self.ends["CANCEL"]), (20, self.schedule))
        mark = timers.Mark({0: 2}, {}, {0: 0}, {0: 2}, START)
        self.assertEqual(self.check(log, self.left(100), [mark]), "")
        self.assertIn("had been taken in", self.check(log, self.left(100, 101), [mark]))


# Bugs that a dispatcher could have: a text of model_dispatcher.py and what replaces it.
BUGS = [
    ("place[0] <= self.now", "place[0] <= self.now + 1"),
    ("place[0] <= self.now", "place[0] <= self.now - 4000 or place[0] % 7"),
    ("place[0] <= self.now", "place[0] <= partition.log_time + 2000"),
    ("one == command_id and", "one == command_id and place in partition.pending and"),
    ("due_at > partition.log_time", "due_at > self.now"),
    ("one == command_id and due_at > partition.log_time", "False"),
    ("one == command_id and due_at > partition.log_time", "one == command_id"),
    ('fields["command_id"].lower()', 'fields["command_id"]'),
    ("found = partition.pending.pop(place, None)",
     'found = partition.pending.pop(place) if fields["action"] == "RELEASE" else None'),
    ("found = partition.pending.pop(place, None)", "found = partition.pending.get(place)"),
    ("partition.pending.pop(late, None)", "pass"),
    ("for one, _, place in known if one == command_id", "for one, _, place in known"),
    ('if found and fields["action"] == "RELEASE"', "if found"),
    ('if found and fields["action"] == "RELEASE"', "if False"),
    ("partition.known.pop(recipient, ())", "partition.known.get(recipient, ())"),
    ('recipient = fields["tenant"], fields["recipient"]', 'recipient = fields["recipient"]'),
    ('recipient = fields["tenant"], fields["recipient"]', "recipient = record.key"),
    ("if not duplicate:", "if not duplicate or self.rng.random() < 0.2:"),
    ("leaving += [partition.pending.pop(place) for place in due]",
     "leaving += [partition.pending[place] for place in due] if self.rng.random() < 0.05"
     " else [partition.pending.pop(place) for place in due]"),
    ("record._replace(offset=partition.sent, timestamp=self.now)",
     "record._replace(offset=partition.sent, timestamp=self.now, headers=record.headers[:1])"),
    ("record._replace(offset=partition.sent, timestamp=self.now)", "record._replace(offset=partition.sent)"),
    ("record._replace(offset=partition.sent, timestamp=self.now)",
     "record._replace(offset=partition.sent, timestamp=self.now + 500)"),
    ("record._replace(offset=partition.sent, timestamp=self.now)",
     "record._replace(offset=partition.sent, timestamp=self.now, key=record.key or b'')"),
    ("self.reject(record, poison)", "pass"),
    ("headers = list(record.headers)", "headers = []"),
    ("partition.frontier = max(partition.frontier, due[-1])", "partition.frontier = due[0]"),
    ('" n={len(waiting)}', '" n={len(waiting + needed)}'),
    ("m={min(waiting, default=self.next)}", "m={min(waiting, default=0)}"),
    ("min(waiting + needed, default=self.next)", "min(waiting, default=self.next)"),
    ("self.time_before.get(start, self.log_time)", "self.log_time"),
    ("partition.log_time = self.reader.log_time = max(partition.log_time, record.timestamp)",
     "partition.log_time = self.reader.log_time = record.timestamp"),
]  # fmt: skip


class Mutants(unittest.TestCase):
    """Each of these bugs shows within a few thousand commands."""

    def test_every_planted_bug_shows(self):
        source = pathlib.Path(model_dispatcher.__file__).read_text(encoding="utf-8")
        for good, bad in BUGS:
            self.assertIn(good, source)
            mutant = types.ModuleType("mutant")
            exec(compile(source.replace(good, bad, 1), "mutant", "exec"), mutant.__dict__)
            with self.subTest(bug=f"{good} -> {bad}"):
                self.assertTrue(any(self.shows(mutant, seed) for seed in range(1, 4)))

    @staticmethod
    def shows(mutant, seed):
        try:
            return bool(compare(*world(seed, 1500, mutant)))
        except KeyError:
            return True  # it falls over its own feet


if __name__ == "__main__":
    unittest.main()
