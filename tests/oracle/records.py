"""Records in files: the octets of tests/kafka/topic_records.h, in which the topic programs exchange them."""

import struct

from semantics import Record

HEAD = struct.Struct("<iqq")
INT = struct.Struct("<i")


def octets(value):
    return INT.pack(-1) if value is None else INT.pack(len(value)) + value


def pack(topic, record):
    body = [octets(topic.encode()), HEAD.pack(record.partition, record.offset, record.timestamp)]
    body += [octets(record.key), octets(record.value), INT.pack(len(record.headers))]
    for name, value in record.headers:
        body += [octets(name.encode()), octets(value)]
    body = b"".join(body)
    return struct.pack("<I", len(body)) + body


def take_octets(data, at):
    (length,) = INT.unpack_from(data, at)
    at += INT.size
    if length < 0:
        return None, at
    return data[at : at + length], at + length


def unpack(data):
    """(topic, record) of the octets after the length."""
    topic, at = take_octets(data, 0)
    partition, offset, timestamp = HEAD.unpack_from(data, at)
    key, at = take_octets(data, at + HEAD.size)
    value, at = take_octets(data, at)
    (count,) = INT.unpack_from(data, at)
    at += INT.size
    headers = []
    for _ in range(count):
        name, at = take_octets(data, at)
        content, at = take_octets(data, at)
        headers.append((name.decode(), content))
    if at != len(data):
        raise ValueError("a record with trailing octets")
    return topic.decode(), Record(partition, offset, timestamp, headers, key, value)


def read(file):
    """Yields (topic, record) of a binary file."""
    while length := file.read(4):
        (size,) = struct.unpack("<I", length)
        data = file.read(size)
        if len(data) != size:
            raise ValueError("the file ends inside a record")
        yield unpack(data)


def by_topic(file):
    """topic -> records, in the order of the file within each partition."""
    result = {}
    for topic, record in read(file):
        result.setdefault(topic, []).append(record)
    return result
