"""Reads and writes topics for the tests: lists of Record over the programs of tests/kafka.

The octets between here and there are described in tests/kafka/topic_records.h. Run as a program it
prints a topic, one JSON object a line: kafka_read.py BOOTSTRAP TOPIC.
"""

import json
import os
import struct
import subprocess
import sys
from typing import NamedTuple, Optional

from processes import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTITIONER = -1  # as a record's partition: let the default partitioner choose
NOW = -1  # as a record's timestamp: let the client choose


class ToolError(AssertionError):
    """A helper program failed; the text is what it wrote to stderr."""


class Record(NamedTuple):
    """One record of a topic; key and value are bytes or None, headers pairs of str and bytes."""
    key: Optional[bytes] = None
    value: Optional[bytes] = None
    headers: tuple = ()
    partition: int = PARTITIONER
    timestamp_ms: int = NOW
    offset: int = -1
    topic: str = ""

    def header(self, name):
        """The last value of a header, or None."""
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None


def build_dir():
    """The tree whose binaries the tests run: RIMBALZO_TEST_BUILD_DIR or build-test."""
    return os.environ.get("RIMBALZO_TEST_BUILD_DIR") or os.path.join(ROOT, "build-test")


def tool_path(name):
    path = os.path.join(build_dir(), "tests", name)
    if not os.access(path, os.X_OK):
        raise ToolError(f"{path} is missing: run scripts/dev build-test")
    return path


def run_tool(name, *arguments, stdin=b"", deadline_s=180):
    """Runs a program of tests/kafka; returns what it wrote to stdout."""
    done = subprocess.run([tool_path(name), *map(str, arguments)], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=deadline_s,
                          check=False)
    if done.returncode != 0:
        text = done.stderr.decode("utf-8", "replace").strip()
        raise ToolError(f"{name} {' '.join(map(str, arguments))}: exit {done.returncode}: {text}")
    return done.stdout


def _pack_octets(octets):
    return b"\xff\xff\xff\xff" if octets is None else struct.pack("<i", len(octets)) + octets


def pack(topic, record):
    """The octets of one record for topic_produce."""
    parts = [_pack_octets(topic.encode()),
             struct.pack("<iqq", record.partition, record.offset, record.timestamp_ms),
             _pack_octets(record.key), _pack_octets(record.value),
             struct.pack("<i", len(record.headers))]
    for name, value in record.headers:
        parts += [_pack_octets(name.encode()), _pack_octets(value)]
    body = b"".join(parts)
    return struct.pack("<I", len(body)) + body


def unpack_all(octets):
    """The records in what topic_dump wrote."""
    records = []
    at, end = 0, len(octets)

    def take():
        nonlocal at
        length, = struct.unpack_from("<i", octets, at)
        at += 4
        if length < 0:
            return None
        at += length
        return bytes(octets[at - length:at])

    while at < end:
        size, = struct.unpack_from("<I", octets, at)
        at += 4
        last = at + size
        if last > end:
            raise ToolError("topic_dump's output is cut short")
        topic = take().decode()
        partition, offset, timestamp_ms = struct.unpack_from("<iqq", octets, at)
        at += 20
        key = take()
        value = take()
        count, = struct.unpack_from("<i", octets, at)
        at += 4
        headers = tuple((take().decode("utf-8", "replace"), take()) for _ in range(count))
        if at != last:
            raise ToolError("topic_dump's output is damaged")
        records.append(Record(key, value, headers, partition, timestamp_ms, offset, topic))
    return records


def read_topics(bootstrap, topics, isolation="read_committed", stable_s=30, deadline_s=120):
    """Every record of some topics in the order of (topic, partition, offset).

    A commit becomes visible a moment after the producer is told, so this first waits, up to
    stable_s seconds, until no transaction is open, and fails if one stays open. stable_s=0 takes
    what a reader sees right now.
    """
    octets = run_tool("topic_dump", "-b", bootstrap, "--isolation", isolation,
                      "--stable-ms", int(stable_s * 1000), "--deadline-ms", int(deadline_s * 1000),
                      *topics, deadline_s=stable_s + deadline_s + 30)
    order = {topic: index for index, topic in enumerate(topics)}
    return sorted(unpack_all(octets), key=lambda r: (order[r.topic], r.partition, r.offset))


def read_topic(bootstrap, topic, **options):
    """Every record of one topic in the order of (partition, offset); options of read_topics."""
    return read_topics(bootstrap, [topic], **options)


def count_topic(bootstrap, topic, isolation="read_committed", stable_s=0, deadline_s=120):
    """The number of records of a topic, without their content."""
    text = run_tool("topic_dump", "-b", bootstrap, "--count", "--isolation", isolation, "--stable-ms",
                    int(stable_s * 1000), "--deadline-ms", int(deadline_s * 1000), topic,
                    deadline_s=stable_s + deadline_s + 30).decode()
    return sum(int(line.split("\t")[2]) for line in text.splitlines())


def ends_of_topics(bootstrap, topics, isolation="read_committed"):
    """{topic: {partition: end offset}}, asked in this order: the last stable one, or the high watermark if
    read_uncommitted."""
    text = run_tool("topic_dump", "-b", bootstrap, "--ends", "--isolation", isolation, *topics).decode()
    ends = {topic: {} for topic in topics}
    for topic, partition, _, end in (line.split("\t") for line in text.splitlines()):
        ends[topic][int(partition)] = int(end)
    return ends


def end_offsets(bootstrap, topic, isolation="read_committed"):
    """{partition: end offset} of one topic."""
    return ends_of_topics(bootstrap, [topic], isolation)[topic]


def latest_by_key(records):
    """What compaction would leave: {key: last record}, without the keys whose last is a tombstone."""
    last = {record.key: record for record in records}
    return {key: record for key, record in last.items() if record.value is not None}


def _produce_arguments(bootstrap, transactional_id, batch, end, settings):
    arguments = ["-b", bootstrap]
    for key, value in (settings or {}).items():
        arguments += ["-X", f"{key}={value}"]
    if transactional_id is not None:
        arguments += ["--transactional-id", transactional_id, "--batch", str(batch), "--end", end]
    return arguments


def produce(bootstrap, topic, records, transactional_id=None, batch=0, end="commit", settings=None,
            deadline_s=180):
    """Produces records in their order and returns once all are acknowledged.

    A record is a Record, or a pair (key, value). With a transactional id they are one transaction,
    or one for every `batch` records; `end` says how the last one ends: commit, abort, or open
    (left to the coordinator's timeout, as by a killed producer).
    """
    stdin = b"".join(pack(topic, r if isinstance(r, Record) else Record(*r)) for r in records)
    run_tool("topic_produce", *_produce_arguments(bootstrap, transactional_id, batch, end, settings),
             stdin=stdin, deadline_s=deadline_s)


class Committed(NamedTuple):
    """A committed offset (−1: none) and its metadata."""
    offset: int
    metadata: str


def committed_now(bootstrap, group):
    """{(topic, partition): Committed} of a group; None while a transaction is pending on it."""
    done = subprocess.run([tool_path("group_offsets"), "-b", bootstrap, group],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    if done.returncode == 75:
        return None
    if done.returncode != 0:
        raise ToolError(f"group_offsets {group}: {done.stderr.decode('utf-8', 'replace').strip()}")
    offsets = {}
    for line in done.stdout.decode().splitlines():
        topic, partition, offset, metadata = line.split("\t", 3)
        offsets[topic, int(partition)] = Committed(int(offset), metadata)
    return offsets


def committed(bootstrap, group, deadline_s=60):
    """The same, once no transaction is pending."""
    found, = wait_until(lambda: [offsets for offsets in [committed_now(bootstrap, group)] if offsets is not None],
                        deadline_s, f"stable offsets of {group}")
    return found


def delete_offsets(bootstrap, group, topic=None, deadline_s=60):
    """Deletes a group as expiry would, or its offsets on one topic only, once it has no members any more."""
    arguments = ["-t", topic] if topic else []

    def deleted():
        done = subprocess.run([tool_path("group_offsets"), "-b", bootstrap, "-d", *arguments, group],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        if done.returncode not in (0, 75):
            raise ToolError(f"group_offsets -d {group}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.returncode == 0

    wait_until(deleted, deadline_s, f"{group} to have no members", every_s=0.2)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    for record in read_topic(sys.argv[1], sys.argv[2], stable_s=0):
        fields = record._asdict()
        for name in ("key", "value"):
            fields[name] = None if fields[name] is None else fields[name].decode("latin-1")
        fields["headers"] = [[k, None if v is None else v.decode("latin-1")] for k, v in record.headers]
        print(json.dumps(fields))
    return 0


if __name__ == "__main__":
    sys.exit(main())
