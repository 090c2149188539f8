#!/usr/bin/env python3
"""A sender that takes part: it does not write to who is suspended or suppressed, sends again when it is told to, and
reports what came of it. An example to read and to take from; needs Debian's python3-confluent-kafka and python3-avro.

    sender.py --bootstrap 127.0.0.1:9092 --smtp 127.0.0.1:25 --schemas schemas [--send FILE]

It does three things, which a sender of yours does in its own way:

1. Before it sends anything it reads the recipients topic, a table of who is SUSPENDED or SUPPRESSED, and follows it from
   then on. FILE has a recipient and a message's name a line: messages to whoever is suspended wait until that is over,
   to whoever is suppressed they are given up.
2. It consumes the due topic. Each command is a permission to send one message again, now.
3. It writes what came of each attempt to the bounces topic: DeliveryRecord or BounceRecord, with the command's id as
   `retry_of`. The event's id follows from the command, so that an attempt that is reported twice counts once; hence it
   may commit after it has sent, and a crash in between costs nothing but a message sent twice.
"""

import argparse
import io
import json
import re
import signal
import smtplib
import struct
import sys
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import avro.io
import avro.schema
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

SINGLE_OBJECT = b"\xc3\x01"
IDS = uuid.UUID("6d3c1c4e-3a52-4c55-9f0e-2b7a4a1f6f10")  # of our events; take another one
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


def fingerprint(schema):
    """CRC-64-AVRO of the canonical form, little-endian."""
    # python3-avro 1.11 leaves a primitive that had a logical type in braces, which the form has not.
    form = re.sub(r'\{"type":("(?:int|long|bytes|string)")\}', r"\1", schema.canonical_form)
    empty = 0xC15D213AA4D7A795
    value = empty
    for octet in form.encode():
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (empty if value & 1 else 0)
    return struct.pack("<Q", value)


class Codec:
    """Values as they are on the wire: `C3 01` and a fingerprint, or `00` and an id of a schema registry."""

    def __init__(self, folder, registry=None):
        self.registry = registry
        self.current = {}  # full name -> (text, schema)
        self.known = {}  # head of a frame -> writer's schema
        self.heads = {}  # full name -> head of what we write
        for path in sorted(Path(folder).rglob("*.avsc")):
            text = path.read_text(encoding="utf-8")
            schema = avro.schema.parse(text)
            self.known[SINGLE_OBJECT + fingerprint(schema)] = schema
            if path.parent == Path(folder):
                self.current[schema.fullname] = text, schema

    def ask(self, path, body=None):
        request = urllib.request.Request(self.registry + path, body and json.dumps(body).encode(),
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def writer_of(self, value):
        head = value[:5] if value[:1] == b"\0" else value[:10]
        if head not in self.known and head[:1] == b"\0" and self.registry:
            number, = struct.unpack(">i", head[1:])
            self.known[head] = avro.schema.parse(self.ask(f"/schemas/ids/{number}")["schema"])
        return head, self.known[head]

    def decode(self, value):
        """(name without namespace, fields), read by our own schema."""
        head, writer = self.writer_of(value)
        reader = self.current[writer.fullname][1]
        decoder = avro.io.BinaryDecoder(io.BytesIO(value[len(head):]))
        return writer.name, avro.io.DatumReader(writer, reader).read(decoder)

    def head_of(self, name):
        text, schema = self.current[name]
        if not self.registry:
            return SINGLE_OBJECT + fingerprint(schema)
        found = self.ask(f"/subjects/{urllib.parse.quote(name)}", {"schema": text})  # looks it up, registers nothing
        return b"\0" + struct.pack(">i", found["id"])

    def encode(self, name, fields):
        name = "rimbalzo." + name
        if name not in self.heads:
            self.heads[name] = self.head_of(name)
        out = io.BytesIO()
        avro.io.DatumWriter(self.current[name][1]).write(fields, avro.io.BinaryEncoder(out))
        return self.heads[name] + out.getvalue()


class Recipients:
    """Who may be written to: the recipients topic as a table of those who may not."""

    def __init__(self, settings, topic, codec, stale_after):
        self.codec = codec
        self.stale_after = stale_after
        self.closed = {}  # key of the record, canonical recipient or tenant:recipient -> (status, due_at)
        # Its place is kept nowhere: the table is read anew at each start. Only what is committed counts.
        self.consumer = Consumer({**settings, "group.id": "rimbalzo-sender-table", "enable.auto.commit": False,
                                  "isolation.level": "read_committed", "enable.partition.eof": True})
        partitions = self.consumer.list_topics(topic, timeout=30).topics[topic].partitions
        starts = [TopicPartition(topic, p, self.consumer.get_watermark_offsets(TopicPartition(topic, p))[0])
                  for p in partitions]
        self.behind = set(partitions)
        self.consumer.assign(starts)

    def follow(self, wait_s=0.0):
        """Takes in what has come. Call it often."""
        for message in self.consumer.consume(10000, wait_s):
            error = message.error()
            if error and error.code() == KafkaError._PARTITION_EOF:  # pylint: disable=protected-access
                self.behind.discard(message.partition())
            elif error:
                raise KafkaException(error)
            elif message.value() is None:  # forgotten: as if it never was
                self.closed.pop(message.key(), None)
            else:
                self.take(message)

    def take(self, message):
        state = self.codec.decode(message.value())[1]
        if state["status"] == "ACTIVE":
            self.closed.pop(message.key(), None)
        else:
            self.closed[message.key()] = state["status"], state["due_at"]

    def catch_up(self):
        while self.behind:
            self.follow(1.0)

    def of(self, key):
        status, due_at = self.closed.get(key, ("ACTIVE", None))
        if status == "SUSPENDED" and due_at and datetime.now(timezone.utc) > due_at + self.stale_after:
            return "ACTIVE"  # without news for so long a suspension is over
        return status


class Mail:
    """One message at a time to a mail server, as it answers at once."""

    def __init__(self, address):
        self.host, _, port = address.rpartition(":")
        self.port = int(port)

    def send(self, recipient, name):
        """None: delivered; else (reply code, text, stage) of the refusal. OSError: nobody knows."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "list@example.org", recipient, f"News ({name})"
        message["Message-ID"] = f"<{name}@example.org>"
        message.set_content("Hello.\n")
        try:
            with smtplib.SMTP(self.host, self.port, timeout=30) as smtp:
                smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as refused:
            code, text = refused.recipients[recipient]
            return code, text.decode("utf-8", "replace"), "rcpt"
        except smtplib.SMTPSenderRefused as refused:
            return refused.smtp_code, refused.smtp_error.decode("utf-8", "replace"), "mail"
        except smtplib.SMTPDataError as refused:
            return refused.smtp_code, refused.smtp_error.decode("utf-8", "replace"), "data"
        return None


class Sender:
    """All of it."""

    def __init__(self, options):
        settings = {"bootstrap.servers": options.bootstrap, **dict(pair.split("=", 1) for pair in options.property)}
        self.codec = Codec(options.schemas, options.registry)
        self.bounces = options.prefix + "bounces"
        self.mail = Mail(options.smtp)
        self.recipients = Recipients(settings, options.prefix + "recipients", self.codec,
                                     timedelta(days=options.stale_after))
        self.due = Consumer({**settings, "group.id": options.group, "enable.auto.commit": False,
                             "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
        self.due.subscribe([options.prefix + "retries.due"])
        # murmur2_random is the partitioner of Java's clients, and so the worker's.
        self.producer = Producer({**settings, "enable.idempotence": True, "partitioner": "murmur2_random"})
        self.waiting = [line.split() for line in options.send.read_text().splitlines()] if options.send else []
        self.failures = []
        self.stopping = False

    # -- reporting --

    def reported(self, error, _message):
        if error:
            self.failures.append(error)

    def report(self, key, recipient, name, refusal, command=None, headers=None):
        """What came of an attempt; `command` if one asked for it."""
        tenant = command["tenant"] if command else ""
        cause = command["command_id"] if command else f"{tenant} {recipient} {name}"
        fields = {"event_id": str(uuid.uuid5(IDS, cause)), "tenant": tenant, "recipient": recipient,
                  "message_id": name, "occurred_at": datetime.now(timezone.utc),
                  "retry_of": command["command_id"] if command else None, "source": "sender.py"}
        if refusal is None:
            value = self.codec.encode("DeliveryRecord", fields)
        else:
            code, text, stage = refusal
            status = STATUS.search(text)
            value = self.codec.encode("BounceRecord", {
                **fields, "status": status and status[1], "reply_code": code, "diagnostic": f"{code} {text}",
                "remote_mta": None, "stage": stage, "attributes": {},
                "message_attempt": command["message_attempt"] if command else 0})
        # A trace that began with the first bounce goes on: the command has its headers, and so has the answer.
        self.producer.produce(self.bounces, value, key, headers=headers, on_delivery=self.reported)

    def flush(self):
        """All that was reported is written, or it ends here, having committed nothing: the next start does it again."""
        while self.producer.flush(1.0):
            pass
        if self.failures:
            raise KafkaException(self.failures[0])

    # -- sending --

    def obey(self, message):
        """One command of the due topic."""
        name, command = self.codec.decode(message.value())
        if name != "RetryCommand" or command["action"] != "SCHEDULE":
            return
        if self.recipients.of(message.key()) == "SUPPRESSED":
            return  # decided meanwhile; its CANCEL came too late
        refusal = self.mail.send(command["recipient"], command["message_id"])
        self.report(message.key(), command["recipient"], command["message_id"], refusal, command, message.headers())

    def send_new(self):
        """What may be sent by now of the list; the rest waits."""
        left = []
        for recipient, name in self.waiting:
            key = recipient.lower().encode()  # as the worker writes an ASCII address; see semantics.md §2 for others
            status = self.recipients.of(key)
            if status == "ACTIVE":
                self.report(key, recipient, name, self.mail.send(recipient, name))
            elif status == "SUSPENDED":
                left.append((recipient, name))
            else:
                print(f"given up: {recipient} {name}", flush=True)
        self.waiting = left
        self.flush()

    def run(self):
        self.recipients.catch_up()
        print(f"ready: {len(self.recipients.closed)} recipients are not to be written to", flush=True)
        while not self.stopping:
            self.recipients.follow()
            self.send_new()
            messages = self.due.consume(100, 0.2)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                self.obey(message)
            self.flush()
            if messages:
                self.due.commit(asynchronous=False)
        self.due.close()
        self.recipients.consumer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--prefix", default="rimbalzo.", help="of the topics")
    parser.add_argument("--group", default="rimbalzo-sender")
    parser.add_argument("--smtp", default="127.0.0.1:25", help="host:port of the mail server")
    parser.add_argument("--schemas", default="schemas", help="folder of the *.avsc")
    parser.add_argument("--stale-after", type=float, default=30, metavar="DAYS", help="as rimbalzo has it")
    parser.add_argument("--registry", help="URL of a schema registry, if rimbalzo has one")
    parser.add_argument("--send", type=Path, metavar="FILE", help="messages to send: recipient and name a line")
    parser.add_argument("-X", dest="property", action="append", default=[], metavar="NAME=VALUE",
                        help="a property for librdkafka: TLS, credentials")
    sender = Sender(parser.parse_args())

    def stop(_number, _frame):
        sender.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        sender.run()
    except (OSError, KafkaException) as failure:  # nothing that was not reported is committed
        sys.exit(f"sender.py: {failure}")


if __name__ == "__main__":
    main()
