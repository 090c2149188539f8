#!/usr/bin/python3
"""Compares what a worker wrote with what the reference makes of the same input.

Reads dumps of topics (the octets of tests/kafka/topic_records.h, as a read_committed reader sees them, the whole input
topic among them), folds the input and compares outputs, dead letters, reroutes, every changelog record and the final
states; then checks the invariants of src/domain/semantics.md, section 8, on what was written. Exit code 1 if anything differs.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict

import xxhash

import avro
import classify
import records
from config import Config
from identity import partition_of, record_key
from poison import Poison
from semantics import REROUTED_HEADER, effective, fold, lapsed, rerouted_timestamp

# Topic -> the record it holds, and the field with its id.
OUTPUTS = {
    "retries.delayed": ("RetryCommand", "command_id"),
    "suppressions": ("SuppressionEvent", "suppression_id"),
    "notices": ("RecipientNotice", "notice_id"),
}
ID_FIELDS = dict(OUTPUTS.values())
RULE_FIELDS = ("rule", "last_rule")
COUNTERS = ("soft", "hard", "transient", "policy_bounces", "unknown", "deliveries", "overrides")
DEAD_LETTER_HEADERS = tuple(f"rimbalzo-{name}" for name in "reason text topic partition offset timestamp".split())


class Comparison:
    """`inputs`: all records of the input topic. `topics`: name without prefix -> records read from it."""

    def __init__(self, inputs, topics, partitions, config=None, codec=None, ignore_rule=False, prefix="rimbalzo.",
                 classifier=classify.classify):
        self.config = config or Config()
        self.codec = codec or avro.Codec()
        self.inputs = sorted(inputs, key=lambda record: (record.partition, record.offset))
        self.topics = defaultdict(list, topics)
        self.partitions = partitions
        self.ignored = RULE_FIELDS if ignore_rule else ()
        self.input_topic = prefix + "bounces"
        self.fold = fold(self.inputs, partitions, self.config, self.codec.decode, history=True,
                         classifier=classifier)
        self.differences = []

    def run(self, certificates=None, digest=False):
        """All differences, as lines of text.

        certificates: also check these: partition -> (changelog position, text); with `digest` their digests too.
        """
        actual = self.read_outputs()
        self.compare_outputs(actual)
        self.compare_dead_letters()
        self.compare_reroutes()
        self.compare_states()
        self.check_suppressed(actual)
        self.check_repetition(actual)
        if certificates is not None:
            self.check_certificates(certificates, digest)
        return self.differences

    def differ(self, what, text):
        self.differences.append(f"{what}: {text}")

    def decode(self, topic, record, name):
        try:
            return self.codec.decode(record.value, (name,))[1]
        except Poison as poison:
            self.differ(topic, f"{place(record)} cannot be read: {poison.reason} {poison.text}")
            return None

    def check_place(self, topic, record, fields):
        """Key and partition of a record that we write."""
        key = record_key(fields["tenant"], fields["recipient"])
        if record.key != key.encode():
            self.differ(topic, f"{place(record)} has key {record.key!r} instead of {key!r}")
        elif record.partition != partition_of(key, self.partitions):
            self.differ(topic, f"{place(record)} of {key} belongs to partition {partition_of(key, self.partitions)}")

    def comparable(self, fields):
        return {name: value for name, value in fields.items() if name not in self.ignored}

    # Outputs

    def read_outputs(self):
        actual = []
        causes = {(record.partition, record.offset): record for record in self.inputs}
        for topic, (name, _) in OUTPUTS.items():
            for record in self.topics[topic]:
                fields = self.decode(topic, record, name)
                if fields is None:
                    continue
                self.check_place(topic, record, fields)
                actual.append({"type": name, **fields})
                if name == "RetryCommand":
                    self.check_headers(topic, record, causes.get((fields["source_partition"], fields["source_offset"])))
        return actual

    def check_headers(self, topic, record, cause):
        """A command has the headers of the record that caused it, without ours."""
        wanted = [header for header in cause.headers if not header[0].startswith("rimbalzo-")] if cause else []
        if list(record.headers) != wanted:
            self.differ(topic, f"{place(record)} has headers {record.headers} instead of {wanted}")

    def compare_outputs(self, actual):
        expected_count = Counter(frozen(self.comparable(output)) for output in self.fold.outputs)
        actual_count = Counter(frozen(self.comparable(output)) for output in actual)
        missing, surplus = expected_count - actual_count, actual_count - expected_count
        surplus_by_id = defaultdict(list)
        for output in surplus.elements():
            surplus_by_id[output_key(output)].append(output)
        for output in missing.elements():
            others = surplus_by_id[output_key(output)]
            if others:
                self.differ("output", f"{title(output)} differs: {changed(output, others.pop())}")
            elif output in actual_count:
                times = f"{actual_count[output]} times instead of {expected_count[output]}"
                self.differ("output", f"{times}: {title(output)}")
            else:
                self.differ("output", f"missing: {title(output)}")
        for output in (one for others in surplus_by_id.values() for one in others):
            times = f"{actual_count[output]} times instead of {expected_count[output]}"
            self.differ("output", f"{times}: {title(output)}")

    # Dead letters and reroutes

    def compare_dead_letters(self):
        expected = {(letter.partition, letter.offset): letter for letter in self.fold.dead_letters}
        seen = set()
        for record in self.topics["dead-letters"]:
            origin = self.dead_letter_origin(record)
            if origin is None:
                continue
            if origin in seen:
                self.differ("dead letter", f"twice: {origin}")
            seen.add(origin)
            if origin in expected:
                self.compare_dead_letter(record, expected[origin])
            else:
                self.differ("dead letter", f"unexpected: {origin} {added_headers(record).get('rimbalzo-reason')}")
        for origin in sorted(expected.keys() - seen):
            self.differ("dead letter", f"missing: {origin} {expected[origin].reason} ({expected[origin].text})")

    def dead_letter_origin(self, record):
        added = added_headers(record)
        try:
            return int(added["rimbalzo-partition"]), int(added["rimbalzo-offset"])
        except (KeyError, TypeError, ValueError):
            self.differ("dead letter", f"{place(record)} does not say where it comes from: {record.headers}")
            return None

    def compare_dead_letter(self, record, letter):
        origin, added = letter.record, added_headers(record)
        where = f"{letter.partition}:{letter.offset}"
        if (record.key, record.value) != (origin.key, origin.value):
            self.differ("dead letter", f"{where} has not the original octets")
        added_count = Counter(record.headers) - Counter(origin.headers)
        if Counter(origin.headers) - Counter(record.headers) or (
            sorted(name for name, _ in added_count.elements()) != sorted(DEAD_LETTER_HEADERS)
        ):
            self.differ("dead letter", f"{where} has headers {record.headers}, the original {origin.headers}")
        expected = {
            "rimbalzo-reason": letter.reason,
            "rimbalzo-topic": self.input_topic,
            "rimbalzo-partition": str(origin.partition),
            "rimbalzo-offset": str(origin.offset),
            "rimbalzo-timestamp": str(origin.timestamp),
        }
        for name, value in expected.items():
            if added.get(name) != value.encode():
                found = f"{name} is {added.get(name)!r} instead of {value!r}"
                self.differ("dead letter", f"{where} {found} ({letter.text})")
        if not added.get("rimbalzo-text"):
            self.differ("dead letter", f"{where} has no text")

    def compare_reroutes(self):
        """Every misrouted record has exactly one copy in the input topic, at home."""
        positions = {(record.partition, record.offset) for record in self.inputs}
        copies = Counter()
        for record in self.inputs:
            origin = rerouted_origin(record)
            if origin in positions:
                copies[frozen_copy(record)] += 1
        expected = Counter(frozen_copy(reroute) for reroute in self.fold.reroutes)
        for copy in (expected - copies).elements():
            self.differ("reroute", f"missing: {describe_copy(copy)}")
        for copy in (copies - expected).elements():
            self.differ("reroute", f"unexpected: {describe_copy(copy)}")

    # States

    def compare_states(self):
        actual = self.read_changelog()
        expected = self.fold.live_states()
        for address in sorted(expected.keys() | actual.keys()):
            one, other = expected.get(address), actual.get(address)
            if other is not None:
                other = effective(self.config, other, self.stream_time(address))
            if one is None and other is None:
                continue
            if one is None or other is None:
                self.differ("state", f"{address} {'is not absent' if one is None else 'is missing'}: {one or other}")
            elif self.comparable(one) != self.comparable(other):
                self.differ("state", f"{address} differs: {changed(self.comparable(one), self.comparable(other))}")

    def stream_time(self, address):
        return self.fold.stream_times.get(partition_of(record_key(*address), self.partitions), 0)

    def read_changelog(self):
        """(tenant, recipient) -> last state, None for a tombstone; every record is checked on the way."""
        last = {}
        by_key = {record_key(*parts[:2]).encode(): parts[:2] for parts in self.fold.history}
        for record in sorted(self.topics["recipients"], key=lambda record: (record.partition, record.offset)):
            if record.value is None:
                address = by_key.get(record.key)
                if address is None:
                    self.differ("changelog", f"{place(record)} is a tombstone, no state had its key {record.key!r}")
                    continue
                self.check_tombstone(record, address, last.get(address))
                last[address] = None
                continue
            state = self.decode("recipients", record, "RecipientState")
            if state is None:
                continue
            self.check_place("recipients", record, state)
            state = tupled(state)
            address = state["tenant"], state["recipient"]
            self.check_state(record, address, state, last.get(address))
            last[address] = state
        return last

    def check_tombstone(self, record, address, before):
        offset = dict(record.headers).get("source_offset")
        # Of a state carried over to a new partition it may be the one before the first.
        if offset is None or not (offset.isdigit() or offset == b"-1"):
            self.differ("changelog", f"{place(record)} is a tombstone with source_offset {offset!r}")
            return
        state = self.fold.history.get(address + (int(offset),), "unknown")
        if state == "unknown" and self.is_forget(record.partition, int(offset)):
            # Of a state that had expired: to the reference nothing happened then.
            state = self.last_state_before(address, int(offset))
        if state == "unknown":
            self.differ("changelog", f"{place(record)} is a tombstone of {address} by offset {int(offset)}: no state")
        elif state is not None and effective(self.config, state, self.stream_time(address)) is not None:
            self.differ("changelog", f"{place(record)} is a tombstone of {address}, which has not expired")
        if before is not None and int(offset) < before["source_offset"]:
            self.differ("changelog", f"{place(record)} goes back from offset {before['source_offset']}")

    def is_forget(self, partition, offset):
        for record in self.inputs:
            if (record.partition, record.offset) == (partition, offset):
                try:
                    return self.codec.decode(record.value, ("RecipientOverride",))[1]["action"] == "FORGET"
                except Poison:
                    return False
        return False

    def last_state_before(self, address, offset):
        offsets = [parts[2] for parts in self.fold.history if parts[:2] == address and parts[2] < offset]
        return self.fold.history[address + (max(offsets),)] if offsets else "unknown"

    def check_state(self, record, address, state, before):
        """Each changelog record is the reference's state after the event it names, or that state lapsed."""
        expected = self.fold.history.get(address + (state["source_offset"],))
        if expected is None:
            self.differ("changelog", f"{place(record)} of {address}: offset {state['source_offset']} left no state")
            return
        allowed = [expected, lapsed(self.config, expected, self.stream_time(address))]
        if all(self.comparable(state) != self.comparable(one) for one in allowed):
            self.differ(
                "changelog",
                f"{place(record)} of {address} at offset {state['source_offset']} differs: "
                f"{changed(self.comparable(expected), self.comparable(state))}",
            )
        if state["status"] == "SUSPENDED":
            self.check_suspended(record, state, before)
        if before is not None and state["source_offset"] < before["source_offset"]:
            self.differ("changelog", f"{place(record)} goes back from offset {before['source_offset']}")

    def check_suspended(self, record, state, before):
        """Invariant 2."""
        if not 1 <= state["attempt"] <= self.config.policy_named(state["policy"]).max_attempts:
            self.differ("invariant 2", f"{place(record)} has attempt {state['attempt']}")
        same = before is not None and before["status"] == "SUSPENDED" and before["episode"] == state["episode"]
        same = same and before["episode_opened_at"] == state["episode_opened_at"]
        if same and state["due_at"] < before["due_at"] and self.is_one_life(before, state):
            self.differ("invariant 2", f"{place(record)} has due_at going back to {state['due_at']}")

    def is_one_life(self, before, after):
        """Whether no FORGET or expiry lies between two states of a recipient: each applied event counts one."""
        address = after["tenant"], after["recipient"]
        counted = applied(before)
        for offset in range(before["source_offset"] + 1, after["source_offset"] + 1):
            state = self.fold.history.get(address + (offset,), "nothing")
            if state == "nothing":
                continue
            if state is None or applied(state) != counted + 1:
                return False
            counted += 1
        return True

    # Invariants on what was written

    def check_suppressed(self, actual):
        """Invariant 1: SUPPRESS only on entering, no SCHEDULE while SUPPRESSED."""
        by_address = defaultdict(lambda: defaultdict(list))
        for output in actual:
            by_address[output["tenant"], output["recipient"]][output["source_offset"]].append(output)
        for address, by_offset in by_address.items():
            suppressed = False
            for offset in sorted(by_offset):
                actions = {output.get("action") for output in by_offset[offset]}
                if suppressed and actions & {"SUPPRESS", "SCHEDULE"}:
                    found = sorted(filter(None, actions))
                    self.differ("invariant 1", f"{address} is SUPPRESSED at offset {offset}, yet {found}")
                if "SUPPRESS" in actions:
                    suppressed = True
                elif actions & {"REINSTATE", "CANCEL"}:  # a CANCEL without SUPPRESS is FORGET's
                    suppressed = False

    def check_repetition(self, actual):
        """Invariant 4: no SCHEDULE id comes again while it is remembered."""
        emitted = defaultdict(list)
        for output in sorted(actual, key=lambda output: (output["source_partition"], output["source_offset"])):
            if output.get("action") != "SCHEDULE":
                continue
            address = output["tenant"], output["recipient"]
            # FORGET and expiry take the memory with them: how many commands of this life came before this one?
            state = self.fold.history.get(address + (output["source_offset"],))
            reach = len(state["recent_commands"]) - 1 if state else 0
            if reach > 0 and output["command_id"] in emitted[address][-reach:]:
                self.differ("invariant 4", f"{output['command_id']} of {address} comes again")
            emitted[address].append(output["command_id"])

    # Certificates

    def check_certificates(self, certificates, digest):
        live, ends = self.live_changelog()
        input_ends = {record.partition: record.offset + 1 for record in self.inputs}
        for partition, input_end in input_ends.items():
            if partition not in certificates:
                self.differ("certificate", f"partition {partition} has none")
                continue
            position, text = certificates[partition]
            found = dict(part.split("=", 1) for part in text.split()[1:] if "=" in part)
            expected = {"n": str(len(live[partition]))}
            if partition in self.fold.stream_times:
                expected["t"] = str(self.fold.stream_times[partition])
            if digest:
                expected["d"] = digest_like(found.get("d", ""), live[partition].values())
            for name, value in expected.items():
                if found.get(name) != value:
                    self.differ("certificate", f"partition {partition}: {text!r}, expected {name}={value}")
            if not text.startswith("v1 ") or int(found.get("i", -1)) < input_end or position < ends[partition]:
                behind = f"at {position} is behind {input_end}, {ends[partition]}"
                self.differ("certificate", f"partition {partition}: {text!r} {behind}")

    def live_changelog(self):
        """partition -> {key: hash of key and value octets} of what is live, and partition -> end."""
        live, ends = defaultdict(dict), Counter()
        for record in sorted(self.topics["recipients"], key=lambda record: (record.partition, record.offset)):
            ends[record.partition] = record.offset + 1
            live[record.partition].pop(record.key, None)
            if record.value is not None:
                live[record.partition][record.key] = xxhash.xxh3_64_intdigest(record.key + record.value)
        return live, ends


# --- Small helpers -------------------------------------------------------------------------------------------


def place(record):
    return f"{record.partition}:{record.offset}"


def frozen(fields):
    return tuple(fields.items())


def output_key(output):
    fields = dict(output)
    return fields["type"], fields[ID_FIELDS[fields["type"]]], fields["source_partition"], fields["source_offset"]


def title(output):
    fields = dict(output)
    kind = fields.get("action") or fields.get("kind")
    at = f"{fields['source_partition']}:{fields['source_offset']}"
    who = f"{fields['tenant']}:{fields['recipient']}"
    return f"{fields['type']} {kind} of {who} at {at}, id {fields[ID_FIELDS[fields['type']]]}"


def changed(expected, actual):
    expected, actual = dict(expected), dict(actual)
    names = [*expected, *(name for name in actual if name not in expected)]
    return ", ".join(
        f"{name} {actual.get(name)!r} instead of {expected.get(name)!r}"
        for name in names
        if actual.get(name) != expected.get(name)
    )


def applied(state):
    """How many events a state has seen."""
    return sum(state[name] for name in COUNTERS)


def tupled(state):
    return {name: tuple(value) if isinstance(value, list) else value for name, value in state.items()}


def digest_like(text, hashes):
    """The XOR of all hashes, in hexadecimal; in decimal if that is how the text is written."""
    value = 0
    for hashed in hashes:
        value ^= hashed
    return str(value) if text == str(value) else f"{value:016x}"


def added_headers(record):
    """The last header of each name that dead letters get."""
    return {name: value for name, value in record.headers if name in DEAD_LETTER_HEADERS}


def rerouted_origin(record):
    """(partition, offset) that a valid rerouted header names."""
    if rerouted_timestamp(record.headers) is None:
        return None
    text = [value for name, value in record.headers if name == REROUTED_HEADER][-1]
    return tuple(int(number) for number in text.split(b":")[:2])


def frozen_copy(record):
    return record.partition, record.key, record.value, tuple(record.headers)


def describe_copy(copy):
    partition, key, value, headers = copy
    return f"into partition {partition}, key {key!r}, headers {list(headers)}, {len(value)} octets"


def compare(inputs, topics, partitions, certificates=None, digest=False, **options):
    """All differences between the reference and the records written; an empty list if there are none."""
    return Comparison(inputs, topics, partitions, **options).run(certificates, digest)


def report(differences, limit, file=sys.stdout):
    """Prints the first differences of each kind and how many more there are."""
    kinds = defaultdict(list)
    for difference in differences:
        kinds[difference.split(":", 1)[0]].append(difference)
    for kind, lines in kinds.items():
        for line in lines[:limit]:
            print(line, file=file)
        if len(lines) > limit:
            print(f"{kind}: … {len(lines) - limit} more", file=file)


def read_dumps(paths, prefix):
    topics = defaultdict(list)
    for path in paths:
        with open(path, "rb") as file:
            for topic, found in records.by_topic(file).items():
                topics[topic.removeprefix(prefix)] += found
    return topics


def read_certificates(path, topic):
    """Lines of group_offsets: topic, partition, offset, metadata."""
    certificates = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, partition, offset, metadata = line.rstrip("\n").split("\t")
            if name == topic and metadata:
                certificates[int(partition)] = (int(offset), metadata)
    return certificates


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dumps", nargs="+", help="files with the records of the topics, as topic_dump writes them")
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--prefix", default="rimbalzo.", help="prefix of the topics' names")
    parser.add_argument("--config", default="{}", metavar="JSON", help="overrides of the default configuration")
    parser.add_argument("--ignore-rule", action="store_true", help="do not compare rule and last_rule")
    parser.add_argument("--offsets", metavar="FILE", help="also check the certificates: output of group_offsets")
    parser.add_argument("--digest", action="store_true", help="the digest of the certificates too")
    parser.add_argument("--limit", type=int, default=10, help="differences of each kind to print")
    options = parser.parse_args()
    topics = read_dumps(options.dumps, options.prefix)
    inputs = topics.pop("bounces", [])
    comparison = Comparison(
        inputs, topics, options.partitions, Config(json.loads(options.config)),
        ignore_rule=options.ignore_rule, prefix=options.prefix,
    )  # fmt: skip
    certificates = options.offsets and read_certificates(options.offsets, options.prefix + "recipients")
    comparison.run(certificates, options.digest)
    report(comparison.differences, options.limit)
    expected = comparison.fold
    print(
        f"{len(inputs)} records, {len(expected.outputs)} outputs, {len(expected.live_states())} states, "
        f"{len(expected.dead_letters)} dead letters, {len(expected.reroutes)} reroutes: "
        f"{len(comparison.differences)} differences"
    )
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
