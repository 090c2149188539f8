#!/usr/bin/python3
"""Compares what a dispatcher let leave with what the delayed topic told it.

What must leave follows from the delayed topic alone (README.md, "Commands that wait"): it is folded here, record by
record, into accepted commands and dead letters. Then every record of the due topic must be an accepted command, octet
for octet, none too often, none before its time, none after what ends it had certainly been taken in; and every accepted
command must be there unless a CANCEL or a successor allows it not to be. Exit code 1 if anything differs.
"""

import argparse
import bisect
import re
import sys
from collections import Counter, defaultdict
from typing import NamedTuple, Optional

import avro
from compare import DEAD_LETTER_HEADERS, added_headers, place, read_certificates, read_dumps, report
from identity import tenant_is_valid
from poison import Poison
from semantics import TIME_MAX_MS

DELAY_MAX_MS = 400 * 86_400_000
RECIPIENT_OCTETS_MAX = 64 + 1 + 255
ID = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
CERTIFICATE = re.compile(r"v1 i=(\d+) f=(\S+) m=(\d+) n=(\d+) d=([0-9a-f]{16}) r=(\d+) t=(\d+)")
FOREVER = 1 << 62


class Mark(NamedTuple):
    """What was seen of the topics at one moment, by partition, read in this order: what the group had committed of the
    delayed topic, the certificates, the due topic's end (transactions that are open included), the delayed topic's; and
    the time then."""
    committed: dict
    certificates: dict
    due_ends: dict
    delayed_ends: dict
    now_ms: int


class Command:
    """A SCHEDULE of the delayed topic."""

    def __init__(self, record, command_id, due_at, duplicate):
        self.record = record
        self.command_id = command_id
        self.due_at = due_at
        self.duplicate = duplicate
        # The first behind it that ends its waiting: CANCEL or RELEASE of its recipient, or a SCHEDULE of its id that is
        # no duplicate; and where.
        self.end, self.end_offset = None, FOREVER
        self.left = None  # the record of the due topic

    @property
    def offset(self):
        return self.record.offset

    def is_open(self, input_next):
        """Whether nothing ends it before this offset."""
        return self.end_offset >= input_next


class Partition:
    """The fold of one partition of the delayed topic."""

    def __init__(self, records, codec, delay_max_ms):
        self.codec, self.delay_max_ms = codec, delay_max_ms
        self.commands = []
        self.dead_letters = []  # (record, reason)
        self.offsets, self.log_times = [], []  # of every record: its offset, the log time with it
        self.waiting = defaultdict(lambda: defaultdict(list))  # recipient -> id -> commands
        self.log_time = 0
        for record in records:
            self.log_time = max(self.log_time, record.timestamp)
            self.offsets.append(record.offset)
            self.log_times.append(self.log_time)
            try:
                self.take(record, self.read(record))
            except Poison as poison:
                self.dead_letters.append((record, poison.reason))

    def read(self, record):
        """The fields; raises Poison."""
        fields = self.codec.decode(record.value, ("RetryCommand",))[1]
        if fields["action"] not in ("SCHEDULE", "CANCEL", "RELEASE"):
            raise Poison("invalid_field", "action")
        if len(fields["command_id"].encode()) != 36:
            raise Poison("invalid_field", "command_id")
        if not tenant_is_valid(fields["tenant"]):
            raise Poison("invalid_tenant", repr(fields["tenant"]))
        recipient = fields["recipient"].encode()
        if not 0 < len(recipient) <= RECIPIENT_OCTETS_MAX or b"\0" in recipient:
            raise Poison("invalid_recipient", repr(fields["recipient"]))
        if fields["action"] == "SCHEDULE":
            self.check_schedule(fields)
        return fields

    def check_schedule(self, fields):
        if not ID.fullmatch(fields["command_id"]):
            raise Poison("invalid_field", "command_id")
        if not 0 <= fields["due_at"] <= TIME_MAX_MS:
            raise Poison("invalid_field", "due_at")
        if fields["due_at"] - self.log_time > self.delay_max_ms:
            raise Poison("delay_too_long", str(fields["due_at"] - self.log_time))

    def take(self, record, fields):
        recipient = self.waiting[fields["tenant"], fields["recipient"]]
        if fields["action"] != "SCHEDULE":
            for same in recipient.values():
                end(same, fields["action"], record.offset)
            recipient.clear()
            return
        same = recipient[fields["command_id"].lower()]
        duplicate = any(command.due_at > self.log_time for command in same)
        if not duplicate:
            end(same, "SCHEDULE", record.offset)
            same.clear()
        same.append(Command(record, fields["command_id"], fields["due_at"], duplicate))
        self.commands.append(same[-1])

    def log_time_before(self, offset):
        """The log time just before an offset."""
        at = bisect.bisect_left(self.offsets, offset)
        return self.log_times[at - 1] if at else 0

    def accepted(self):
        return [command for command in self.commands if not command.duplicate]


class Comparison:
    """`delayed`, `due`, `dead_letters`: all records of these topics as a read_committed reader sees them.

    until_ms: what was due by then must have left.
    marks: what was seen meanwhile, in the order of time; their certificates are checked too.
    """

    def __init__(self, delayed, due, dead_letters, until_ms, marks=(), delay_max_ms=DELAY_MAX_MS, prefix="rimbalzo.",
                 codec=None):
        codec = codec or avro.Codec()
        self.topic = prefix + "retries.delayed"
        self.partitions = {number: Partition(found, codec, delay_max_ms)
                           for number, found in by_partition(delayed).items()}
        self.due = by_partition(due)
        self.dead_letters = dead_letters
        self.until_ms, self.marks = until_ms, marks
        self.differences = []
        self.matched = []  # commands that left

    def run(self, certificates=None):
        """All differences, as lines of text. certificates: partition -> (position, text), as they are at the end."""
        for number in sorted(self.partitions.keys() | self.due.keys()):
            Released(self, number).check()
        self.check_dead_letters()
        for mark in self.marks:
            for number, text in mark.certificates.items():
                self.check_certificate(number, text)
        for number, (_, text) in (certificates or {}).items():
            self.check_certificate(number, text)
        return self.differences

    def differ(self, what, text):
        self.differences.append(f"{what}: {text}")

    # What was rejected

    def check_dead_letters(self):
        expected = {(r.partition, r.offset): (r, reason)
                    for partition in self.partitions.values() for r, reason in partition.dead_letters}
        seen = Counter()
        for letter in self.dead_letters:
            added = added_headers(letter)
            if added.get("rimbalzo-topic") != self.topic.encode():
                continue  # another program's
            try:
                origin = int(added["rimbalzo-partition"]), int(added["rimbalzo-offset"])
            except (KeyError, TypeError, ValueError):
                self.differ("dead letter", f"{place(letter)} does not say where it comes from: {letter.headers}")
                continue
            seen[origin] += 1
            if origin not in expected:
                self.differ("dead letter", f"unexpected: {origin} {added.get('rimbalzo-reason')}")
            elif seen[origin] == 2:
                self.differ("dead letter", f"twice: {origin}")
            else:
                self.check_dead_letter(letter, *expected[origin])
        for origin in sorted(expected.keys() - seen.keys()):
            self.differ("dead letter", f"missing: {origin} {expected[origin][1]}")

    def check_dead_letter(self, letter, record, reason):
        added = added_headers(letter)
        where = place(record)
        if (letter.key, letter.value) != (record.key, record.value):
            self.differ("dead letter", f"{where} has not the original octets")
        more = list((Counter(letter.headers) - Counter(record.headers)).elements())
        if Counter(record.headers) - Counter(letter.headers) or (
            sorted(name for name, _ in more) != sorted(DEAD_LETTER_HEADERS)
        ):
            self.differ("dead letter", f"{where} has headers {letter.headers}, the original {record.headers}")
        for name, value in (("reason", reason), ("timestamp", record.timestamp)):
            if added.get(f"rimbalzo-{name}") != str(value).encode():
                found = added.get(f"rimbalzo-{name}")
                self.differ("dead letter", f"{where} has {name} {found!r} instead of {value!r}")
        if not added.get("rimbalzo-text"):
            self.differ("dead letter", f"{where} has no text")

    # Certificates

    def check_certificate(self, number, text):
        """What a certificate says is pending, and from where it wants to restore, against the log."""
        if number not in self.partitions:
            if " n=0 " not in text:
                self.differ("certificate", f"partition {number} is empty: {text!r}")
            return
        partition, found = self.partitions[number], CERTIFICATE.fullmatch(text)
        if not found:
            self.differ("certificate", f"partition {number}: {text!r} cannot be read")
            return
        input_next, lowest, entries, restore_from, restore_time = map(int, found.group(1, 3, 4, 6, 7))
        frontier = Frontier(found[2])
        waiting = [command.offset for command in partition.commands
                   if not command.duplicate and command.offset < input_next and command.is_open(input_next)
                   and not frontier.has_passed(command.due_at, command.offset)]
        log_time = partition.log_time_before(input_next)
        needed = [command.offset for command in partition.commands
                  if command.offset < input_next and command.is_open(input_next) and command.due_at > log_time]
        expected = {"n": (entries, len(waiting)), "m": (lowest, min(waiting, default=input_next)),
                    "t": (restore_time, partition.log_time_before(restore_from))}
        for name, (actual, wanted) in expected.items():
            if actual != wanted:
                self.differ("certificate", f"partition {number}: {text!r}, expected {name}={wanted}")
        if restore_from > min(waiting + needed, default=restore_from):
            self.differ("certificate", f"partition {number}: {text!r}, {min(waiting + needed)} must be read again")
        if (int(found[5], 16) == 0) != (entries == 0):
            self.differ("certificate", f"partition {number}: {text!r}, digest and number of entries disagree")

    # Figures

    def lateness_ms(self):
        """How late each command left that was not set free: after its due time, and after it was written."""
        return sorted(command.left.timestamp - max(command.due_at, command.record.timestamp)
                      for command in self.matched if command.left.timestamp >= command.due_at)

    def counts(self):
        accepted = [command for partition in self.partitions.values() for command in partition.accepted()]
        return {
            "commands": sum(len(partition.offsets) for partition in self.partitions.values()),
            "accepted": len(accepted),
            "duplicates": sum(len(p.commands) for p in self.partitions.values()) - len(accepted),
            "left": len(self.matched),
            "left early by RELEASE": sum(command.left.timestamp < command.due_at for command in self.matched),
            "cancelled": sum(command.left is None and command.end == "CANCEL" for command in accepted),
            "replaced": sum(command.left is None and command.end == "SCHEDULE" for command in accepted),
            "left before their CANCEL": sum(command.end == "CANCEL" for command in self.matched),
            "dead letters": sum(len(partition.dead_letters) for partition in self.partitions.values()),
        }


class Released:
    """One partition of the due topic against the same of the delayed topic."""

    def __init__(self, comparison, number):
        self.comparison, self.number = comparison, number
        self.records = comparison.due.get(number, [])
        partition = comparison.partitions.get(number)
        self.commands = defaultdict(list)
        for command in partition.accepted() if partition else ():
            self.commands[octets(command.record)].append(command)
        # All three only grow from mark to mark.
        self.committed = [mark.committed.get(number, -1) for mark in comparison.marks]
        self.due_ends = [mark.due_ends.get(number, 0) for mark in comparison.marks]
        self.delayed_ends = [mark.delayed_ends.get(number, 0) for mark in comparison.marks]

    def differ(self, text):
        self.comparison.differ("due", text)

    def check(self):
        found = defaultdict(list)
        for record in self.records:
            found[octets(record)].append(record)
        for key, records in found.items():
            if key in self.commands:
                self.match(records, self.commands[key])
            else:
                self.differ(f"{place(records[0])} is no copy of an accepted command, key {records[0].key!r}")
        for commands in self.commands.values():
            for command in commands:
                self.check_left(command)

    def match(self, records, commands):
        """Gives each of the records, which are alike, to one of the commands, which are alike too. Most often there is
        one of each; else the first records go to commands that need not have left, as far as there are more records
        than the others need."""
        spare = len(records) - sum(self.must_leave(command) for command in commands)
        for record in records:
            fits = [command for command in commands if command.left is None and not self.objection(record, command)]
            fits.sort(key=lambda command: (self.must_leave(command) == (spare > 0), self.last_place(command)))
            if fits:
                spare -= not self.must_leave(fits[0])
                fits[0].left = record
                self.comparison.matched.append(fits[0])
                continue
            objections = {self.objection(record, command) for command in commands if command.left is None}
            if objections:
                self.differ(f"{place(record)} {commands[0].command_id} {' or '.join(sorted(objections))}")
            else:
                self.differ(f"{place(record)} {commands[0].command_id} left more than {len(commands)} times")

    def objection(self, record, command):
        """Why a record cannot be this command; None if it can."""
        known, now = self.first_seen(record)
        if record.timestamp > now:
            return f"is stamped {record.timestamp - now} ms later than it was seen"
        if command.offset >= known:
            return f"left before it was written at {place(command.record)}"
        if record.timestamp < command.due_at:
            early = f"is early by {command.due_at - record.timestamp} ms"
            if command.end != "RELEASE":
                return early
            if command.end_offset >= known:
                return f"{early}, before its RELEASE was written at {command.end_offset}"
        if record.offset >= self.last_place(command):
            return f"left after its {command.end} at {command.end_offset} had been taken in"
        return None

    def first_seen(self, record):
        """Where the delayed topic ended when the record was seen first, and the time."""
        at = bisect.bisect_right(self.due_ends, record.offset)
        marks = self.comparison.marks
        return (self.delayed_ends[at], marks[at].now_ms) if at < len(marks) else (FOREVER, FOREVER)

    def last_place(self, command):
        """Where the due topic ended when it was seen for the first time that what ends the command is taken in."""
        if command.end not in ("CANCEL", "SCHEDULE"):
            return FOREVER
        at = bisect.bisect_right(self.committed, command.end_offset)
        return self.due_ends[at] if at < len(self.due_ends) else FOREVER

    def must_leave(self, command):
        if command.end is None:
            return command.due_at <= self.comparison.until_ms
        return command.end == "RELEASE"

    def check_left(self, command):
        if self.must_leave(command) and command.left is None:
            self.differ(f"{place(command.record)} {command.command_id} due at {command.due_at} has not left")


class Frontier:
    """`due,offset` and for each further step `/from:due,offset`."""

    def __init__(self, text):
        self.steps = []
        for step in ("0:" + text).split("/"):
            from_offset, reached = step.split(":")
            self.steps.append((int(from_offset), tuple(map(int, reached.split(",")))))

    def has_passed(self, due_at, offset):
        reached = [reached for from_offset, reached in self.steps if from_offset <= offset][-1]
        return (due_at, offset) <= reached


# --- Small helpers -------------------------------------------------------------------------------------------


def end(commands, action, offset):
    for command in commands:
        command.end, command.end_offset = action, offset


def octets(record):
    return record.key, record.value, tuple(record.headers)


def by_partition(records):
    found = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        found[record.partition].append(record)
    return found


def percentile(ordered, share) -> Optional[int]:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dumps", nargs="+", help="files with the records of the topics, as topic_dump writes them")
    parser.add_argument("--prefix", default="rimbalzo.", help="prefix of the topics' names")
    parser.add_argument("--until", type=int, required=True, metavar="MS", help="what was due by then must have left")
    parser.add_argument("--delay-max", type=int, default=DELAY_MAX_MS, metavar="MS", help="dispatcher.delay_max")
    parser.add_argument("--offsets", metavar="FILE", help="also check the certificates: output of group_offsets")
    parser.add_argument("--limit", type=int, default=10, help="differences of each kind to print")
    options = parser.parse_args()
    topics = read_dumps(options.dumps, options.prefix)
    comparison = Comparison(
        topics["retries.delayed"], topics["retries.due"], topics["dead-letters"], options.until,
        delay_max_ms=options.delay_max, prefix=options.prefix,
    )  # fmt: skip
    comparison.run(options.offsets and read_certificates(options.offsets, options.prefix + "retries.due"))
    report(comparison.differences, options.limit)
    print(", ".join(f"{count} {name}" for name, count in comparison.counts().items())
          + f": {len(comparison.differences)} differences")
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
