"""A small strict Avro: binary encoding, canonical form and fingerprint, single-object and Confluent frames.

Driven by the .avsc files. Strict means: trailing octets, an index outside a union or an enum, an int outside 32 bits,
a negative length, a string that is not UTF-8 are all malformed.
"""

import json
import pathlib

from poison import Poison

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
VARINT_OCTETS_MAX = 10
PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
NONE = object()


def malformed(text):
    return Poison("malformed", text)


# --- Canonical form and fingerprint --------------------------------------------------------------------------


def full_name(schema, namespace):
    name = schema["name"]
    space = schema.get("namespace", namespace)
    return name if "." in name or not space else f"{space}.{name}"


def canonical_form(schema, namespace=""):
    """The Parsing Canonical Form, as text."""
    if isinstance(schema, str):
        known = schema in PRIMITIVES or "." in schema or not namespace
        return json.dumps(schema if known else f"{namespace}.{schema}")
    if isinstance(schema, list):
        return "[" + ",".join(canonical_form(branch, namespace) for branch in schema) + "]"
    kind = schema["type"]
    if kind not in ("record", "enum", "array", "map", "fixed"):
        return canonical_form(kind, namespace)
    parts = []
    if kind in ("record", "enum", "fixed"):
        name = full_name(schema, namespace)
        namespace = name.rpartition(".")[0]
        parts.append('"name":' + json.dumps(name))
    parts.append('"type":' + json.dumps(kind))
    if kind == "record":
        fields = (
            '{"name":%s,"type":%s}' % (json.dumps(field["name"]), canonical_form(field["type"], namespace))
            for field in schema["fields"]
        )
        parts.append('"fields":[' + ",".join(fields) + "]")
    elif kind == "enum":
        parts.append('"symbols":' + json.dumps(schema["symbols"], separators=(",", ":")))
    elif kind == "array":
        parts.append('"items":' + canonical_form(schema["items"], namespace))
    elif kind == "map":
        parts.append('"values":' + canonical_form(schema["values"], namespace))
    else:
        parts.append('"size":%d' % schema["size"])
    return "{" + ",".join(parts) + "}"


EMPTY = 0xC15D213AA4D7A795


def fingerprint_table():
    table = []
    for index in range(256):
        for _ in range(8):
            index = (index >> 1) ^ (EMPTY if index & 1 else 0)
        table.append(index)
    return table


TABLE = fingerprint_table()


def fingerprint(schema):
    """CRC-64-AVRO of the canonical form, as a number."""
    crc = EMPTY
    for octet in canonical_form(schema).encode():
        crc = (crc >> 8) ^ TABLE[(crc ^ octet) & 0xFF]
    return crc


# --- Reading: a schema becomes a function (data, position) -> (value, position) --------------------------------


def read_null(data, at):
    return None, at


def read_long(data, at):
    value = shift = 0
    for octet in data[at : at + VARINT_OCTETS_MAX]:
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            value &= 0xFFFFFFFFFFFFFFFF
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise malformed("a number without an end")


def read_int(data, at):
    value, at = read_long(data, at)
    if not -(1 << 31) <= value < 1 << 31:
        raise malformed("an int outside 32 bits")
    return value, at


def read_bytes(data, at):
    length, at = read_long(data, at)
    if not 0 <= length <= len(data) - at:
        raise malformed("a length beyond the end")
    return data[at : at + length], at + length


def read_string(data, at):
    octets, at = read_bytes(data, at)
    try:
        return octets.decode(), at
    except UnicodeDecodeError as error:
        raise malformed("a string that is not UTF-8") from error


def read_boolean(data, at):
    if at >= len(data) or data[at] > 1:
        raise malformed("no boolean")
    return data[at] == 1, at + 1


READERS = {
    "null": read_null,
    "long": read_long,
    "int": read_int,
    "bytes": read_bytes,
    "string": read_string,
    "boolean": read_boolean,
}


def reader(schema):
    if isinstance(schema, str):
        return READERS[schema]
    if isinstance(schema, list):
        return union_reader([reader(branch) for branch in schema])
    kind = schema["type"]
    if kind == "record":
        return record_reader([(field["name"], reader(field["type"])) for field in schema["fields"]])
    if kind == "enum":
        return enum_reader(schema["symbols"])
    if kind == "array":
        return array_reader(reader(schema["items"]))
    if kind == "map":
        return map_reader(reader(schema["values"]))
    return reader(kind)


def union_reader(branches):
    def read(data, at):
        index, at = read_long(data, at)
        if not 0 <= index < len(branches):
            raise malformed("an index outside a union")
        return branches[index](data, at)

    return read


def enum_reader(symbols):
    def read(data, at):
        index, at = read_int(data, at)
        if not 0 <= index < len(symbols):
            raise malformed("an index outside an enum")
        return symbols[index], at

    return read


def record_reader(fields):
    def read(data, at):
        result = {}
        for name, read_field in fields:
            result[name], at = read_field(data, at)
        return result, at

    return read


def read_block_count(data, at):
    count, at = read_long(data, at)
    if count < 0:
        count = -count
        size, at = read_long(data, at)
        if size < 0:
            raise malformed("a negative block size")
    return count, at


def array_reader(read_item):
    def read(data, at):
        items = []
        count, at = read_block_count(data, at)
        while count:
            for _ in range(count):
                item, at = read_item(data, at)
                items.append(item)
            count, at = read_block_count(data, at)
        return items, at

    return read


def map_reader(read_item):
    def read(data, at):
        items = {}
        count, at = read_block_count(data, at)
        while count:
            for _ in range(count):
                key, at = read_string(data, at)
                items[key], at = read_item(data, at)
            count, at = read_block_count(data, at)
        return items, at

    return read


# --- Writing -------------------------------------------------------------------------------------------------


def write_long(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes(value):
    return write_long(len(value)) + value


def write(schema, value):
    """Encodes by a schema. A string may be given as bytes, to write what is not UTF-8."""
    if isinstance(schema, list):
        index = next(i for i, branch in enumerate(schema) if (branch == "null") == (value is None))
        return write_long(index) + write(schema[index], value)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "null":
        return b""
    if kind in ("int", "long"):
        return write_long(value)
    if kind == "boolean":
        return b"\x01" if value else b"\x00"
    if kind in ("string", "bytes"):
        return write_bytes(value if isinstance(value, bytes) else value.encode())
    if kind == "enum":
        return write_long(schema["symbols"].index(value))
    if kind == "record":
        return b"".join(write(field["type"], value[field["name"]]) for field in schema["fields"])
    if kind == "array":
        items = [write(schema["items"], item) for item in value]
    elif kind == "map":
        items = [write("string", key) + write(schema["values"], item) for key, item in value.items()]
    else:
        return write(kind, value)
    return (write_long(len(items)) + b"".join(items) if items else b"") + b"\x00"


# --- Schema evolution ----------------------------------------------------------------------------------------


def resolve(schema, value):
    """A value read by its writer's schema, as the reader's schema sees it."""
    if isinstance(schema, list):
        branch = next(branch for branch in schema if (branch == "null") == (value is None))
        return resolve(branch, value)
    if not isinstance(schema, dict):
        return value
    if schema["type"] == "enum":
        return value if value in schema["symbols"] else schema["default"]
    if schema["type"] != "record":
        return value
    result = {}
    for field in schema["fields"]:
        if field["name"] in value:
            result[field["name"]] = resolve(field["type"], value[field["name"]])
        else:
            result[field["name"]] = field["default"]
    return result


# --- Frames --------------------------------------------------------------------------------------------------


class Codec:
    """All schemas of a folder (and of `released/` in it); `registry` maps Confluent ids to record names."""

    REGISTRY = {}  # of all that are given none

    def __init__(self, folder=None, registry=None):
        folder = pathlib.Path(folder or pathlib.Path(__file__).resolve().parents[2] / "schemas")
        self.schemas = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.avsc"))}
        self.registry = registry or self.REGISTRY
        self.writers = {}  # fingerprint -> (record name, read function, resolve by reader's schema)
        for path in sorted(folder.glob("released/*/*.avsc")):
            self.add_writer(json.loads(path.read_text()), evolved=True)
        for schema in self.schemas.values():
            self.add_writer(schema, evolved=False)
        self.prefixes = {name: self.prefix(schema) for name, schema in self.schemas.items()}

    def add_writer(self, schema, evolved):
        self.writers[fingerprint(schema)] = (schema["name"], reader(schema), evolved)

    def prefix(self, schema):
        return SINGLE_OBJECT + fingerprint(schema).to_bytes(8, "little")

    def encode(self, name, fields):
        """Single-object encoding with the newest schema."""
        return self.prefixes[name] + write(self.schemas[name], fields)

    def encode_confluent(self, name, fields, schema_id):
        return CONFLUENT + schema_id.to_bytes(4, "big") + write(self.schemas[name], fields)

    def decode(self, data, names=None):
        """(record name, fields); raises Poison malformed, unknown_schema, or, outside `names`, unexpected_schema."""
        (name, read, evolved), at = self.writer_of(data)
        if names is not None and name not in names:
            # The body of a record of another type is not even looked at.
            raise Poison("unexpected_schema", name)
        fields, at = read(data, at)
        if at != len(data):
            raise malformed("trailing octets")
        return name, resolve(self.schemas[name], fields) if evolved else fields

    def writer_of(self, data):
        if data is None:
            raise malformed("no value")
        if data[:2] == SINGLE_OBJECT and len(data) >= 10:
            number, at = int.from_bytes(data[2:10], "little"), 10
        elif data[:1] == CONFLUENT and len(data) >= 5:
            schema_id, at = int.from_bytes(data[1:5], "big"), 5
            name = self.registry.get(schema_id)
            number = fingerprint(self.schemas[name]) if name else None
        else:
            raise malformed("no frame")
        if number not in self.writers:
            raise Poison("unknown_schema", "unknown fingerprint or id")
        return self.writers[number], at
