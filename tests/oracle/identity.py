"""Who a record is about: canonical addresses, keys, partitions, ids and hashes (src/domain/semantics.md, 2 and 7)."""

import functools
import hashlib
import re
import uuid

import idna
import xxhash

NAMESPACE = uuid.UUID("3a470a40-95a4-5c48-b654-698ef4c217ee").bytes

LOCAL_OCTETS_MAX = 64
DOMAIN_OCTETS_MAX = 255

# Blanks are space and tab, control characters those of Unicode's category Cc: C0, DEL and C1.
BLANK_OR_CONTROL = re.compile("[\x00-\x20\x7f-\x9f]")
QUOTED = re.compile(r'"(?:[^"\\]|\\["\\])*"', re.DOTALL)
SPECIAL = re.compile(r'[@<>()\[\]\\,;:"]')
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
TENANT = re.compile(r"[a-z0-9._-]{0,64}")
ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Rejected(ValueError):
    """An address that has no canonical form."""


def ascii_lower(text):
    """Lower-case of A-Z only: no other letter has a case in an id or in a local part."""
    return text.translate(ASCII_LOWER)


@functools.lru_cache(maxsize=65536)
def canonical(text, local_part="lower"):
    """The canonical form of an address; raises Rejected."""
    # The blanks go first, then one pair of brackets: what is left inside holds no blank.
    text = text.strip(" \t")
    if len(text) >= 2 and text[0] == "<" and text[-1] == ">":
        text = text[1:-1]
    if BLANK_OR_CONTROL.search(text):
        raise Rejected("blank or control character")
    local, at, domain = text.rpartition("@")
    if not (local and at and domain):
        raise Rejected("no local part or no domain")
    return canonical_local(local, local_part) + "@" + canonical_domain(domain)


def canonical_local(local, local_part):
    if not QUOTED.fullmatch(local) and SPECIAL.search(local):
        raise Rejected("special character outside quotes")
    if len(local.encode()) > LOCAL_OCTETS_MAX:
        raise Rejected("local part above 64 octets")
    return local if local_part == "preserve" else ascii_lower(local)


@functools.lru_cache(maxsize=65536)
def canonical_domain(domain):
    """UTS 46 (non-transitional), then IDNA 2008, to lower-case A-labels."""
    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
        labels = [canonical_label(label) for label in mapped.split(".")]
    except (UnicodeError, IndexError) as refusal:
        raise Rejected("domain label") from refusal
    result = ".".join(labels)
    if len(result) > DOMAIN_OCTETS_MAX:
        raise Rejected("domain above 255 octets")
    return result


def canonical_label(label):
    if not label.isascii():
        label = idna.alabel(label).decode()
    if not LABEL.fullmatch(label):
        raise Rejected("domain label")
    if label.startswith("xn--") and idna.alabel(idna.ulabel(label)).decode() != label:
        raise Rejected("domain label")
    return label


def record_key(tenant, recipient):
    return f"{tenant}:{recipient}" if tenant else recipient


def tenant_is_valid(tenant):
    return TENANT.fullmatch(tenant) is not None


def murmur2(data):
    """Kafka's murmur2 (seed 0x9747b28c) as an unsigned number of 32 bits."""
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    result = (0x9747B28C ^ length) & mask
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * factor & mask
        word = (word ^ (word >> 24)) * factor & mask
        result = (result * factor & mask) ^ word
    if length > whole:
        result = (result ^ int.from_bytes(data[whole:], "little")) * factor & mask
    result = (result ^ (result >> 13)) * factor & mask
    return result ^ (result >> 15)


@functools.lru_cache(maxsize=65536)
def partition_of(key, partitions):
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def netstring(value):
    octets = str(0 if value is None else value).encode()
    return b"%d:%s," % (len(octets), octets)


def output_id(*fields):
    """UUIDv5 of a run of netstrings; numbers in decimal, None as 0."""
    digest = hashlib.sha1(NAMESPACE + b"".join(map(netstring, fields))).digest()
    octets = bytearray(digest[:16])
    octets[6] = octets[6] & 0x0F | 0x50
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_hash(text):
    """XXH3-64, seed 0, over the lower-case text, as the signed long of the state."""
    value = xxhash.xxh3_64_intdigest(ascii_lower(text).encode())
    return value - (1 << 64) if value >= 1 << 63 else value
