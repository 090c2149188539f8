#!/usr/bin/env python3
"""The schema registry: `rimbalzo schema`, records with schema ids, and a registry that is down, slow or wrong."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim
from schema_registry import Front, Registry, server_context

# pylint: disable=wrong-import-order
import avro
import identity

UNREACHABLE, AUTH, CONFIG = 69, 77, 78
RECORDS = ("BounceRecord", "DeliveryRecord", "RecipientOverride", "RetryCommand", "SuppressionEvent", "RecipientNotice",
           "RecipientState")
PARTITIONS = 4
IN_MID_RUN = (None, Front.SLOW, Front.TRUNCATED, Front.PAGE)  # None: nobody listens
TIMEOUT = "1s"  # where the registry is at fault


def schema_text(name):
    with open(os.path.join(kafka_read.ROOT, "schemas", f"{name}.avsc"), encoding="utf-8") as file:
        return file.read()


def write(s, name, text):
    path = os.path.join(s.dir, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def schema(s, front, *arguments, expect=0, **settings):
    """`rimbalzo schema`; its rows, and what it said on stderr."""
    settings = {"url": front.url, "timeout": "20s", **settings}
    config = write(s, "schema.yaml", json.dumps({"schemas": {"registry": settings}}))
    done = s.run("schema", *arguments, "-o", "jsonl", config=config, expect=expect)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def bounce_with(field):
    """The BounceRecord's schema with one more field; a bounce may be written with it."""
    changed = json.loads(schema_text("BounceRecord"))
    changed["fields"].append(field)
    return json.dumps(changed, indent=4)


# -- the command --


def command(s, registry, front):
    with claim("what is missing is told, then registered octet for octet, and nothing twice"):
        rows, _ = schema(s, front, "check", expect=1)
        assert [(row["subject"], row["action"]) for row in rows] == [(f"rimbalzo.{n}", "not registered") for n in RECORDS]
        _, said = schema(s, front, "register", expect=1)
        assert "add --yes" in said and registry.get("/subjects") == [], said
        first, _ = schema(s, front, "register", "--yes")
        assert {row["action"] for row in first} == {"registered"}, first
        again, _ = schema(s, front, "register", "--yes")
        assert [row["id"] for row in again] == [row["id"] for row in first], again
        assert {row["action"] for row in again} == {"registered already"}, again
        for name, row in zip(RECORDS, first):
            assert registry.get(f"/schemas/ids/{row['id']}")["schema"] == schema_text(name)
            assert registry.get(f"/subjects/rimbalzo.{name}/versions") == [1]
            assert registry.get(f"/config/rimbalzo.{name}")["compatibilityLevel"] == "FULL_TRANSITIVE"
        assert {row["action"] for row in schema(s, front, "check")[0]} == {"registered"}
        assert schema(s, front, "diff")[0] == []
    with claim("a compatible version is taken, an incompatible one is not, and diff tells them apart"):
        newer = write(s, "newer.avsc", bounce_with({"name": "campaign", "type": ["null", "string"], "default": None}))
        broken = write(s, "broken.avsc", bounce_with({"name": "campaign", "type": "int"}))
        rows, _ = schema(s, front, "check", newer, broken, expect=1)
        assert [row["action"] for row in rows] == ["not registered", "incompatible"], rows
        assert rows[0]["why"] is None and "campaign" in rows[1]["why"], rows
        rows, _ = schema(s, front, "register", "--yes", broken, expect=1)
        assert rows[0]["action"] == "refused" and rows[0]["id"] is None and rows[0]["why"], rows
        assert registry.get("/subjects/rimbalzo.BounceRecord/versions") == [1]
        rows, _ = schema(s, front, "register", "--yes", newer)
        assert registry.get("/subjects/rimbalzo.BounceRecord/versions") == [1, 2]
        places = {row["place"]: (row["registry"], row["ours"]) for row in schema(s, front, "diff", expect=1)[0]}
        assert places == {"fields.campaign.default": ("null", None), "fields.campaign.name": ('"campaign"', None),
                          "fields.campaign.type[0]": ('"null"', None), "fields.campaign.type[1]": ('"string"', None)}
        return rows[0]["id"]


def faults(s, front):
    with claim("a command tells what is wrong with a registry, and waits no longer than it is told to"):
        texts = {Front.SERVER_ERROR: "answers 500: the store is gone", Front.SLOW: "no answer .*imed out",
                 Front.TRUNCATED: "is no JSON", Front.HUGE: "more than 1048576 octets", Front.PAGE: "as no registry does",
                 Front.REDIRECT: "redirects are not followed", Front.OTHER: 'an answer without "id"',
                 Front.CUT: "no answer"}
        for fault, text in texts.items():
            front.fault = fault
            _, said = schema(s, front, "check", expect=UNREACHABLE, timeout=TIMEOUT)
            assert re.search(text, said), (Front.FAULTS[fault], said)
        front.fault = None
        front.stop()
        _, said = schema(s, front, "check", expect=UNREACHABLE, timeout=TIMEOUT)
        assert "connect to" in said, said
        front.start()


def guarded(s, registry):
    with claim("a user and a password, TLS with a certificate of our own; without, it says what is missing"):
        password = write(s, "password", "opensesame\n")
        front = Front(registry.url, user="mail", password="opensesame").start()
        assert "answers 401" in schema(s, front, "check", expect=AUTH)[1]
        schema(s, front, "check", user="mail", password_file=password)
        write(s, "password", "wrong")
        assert "answers 401" in schema(s, front, "check", user="mail", password_file=password, expect=AUTH)[1]
        missing = os.path.join(s.dir, "missing")
        assert missing in schema(s, front, "check", user="mail", password_file=missing, expect=CONFIG)[1]
        front.stop()
        files = certificates(s)
        front = Front(registry.url, tls=server_context(files["server.crt"], files["server.key"], files["ca.crt"])).start()
        own = {"cert_file": files["client.crt"], "key_file": files["client.key"]}
        _, said = schema(s, front, "check", expect=UNREACHABLE, **own)
        assert "certificate" in said, said
        schema(s, front, "check", expect=UNREACHABLE, ca_file=files["ca.crt"], timeout=TIMEOUT)
        schema(s, front, "check", ca_file=files["ca.crt"], **own)
        front.stop()


def certificates(s):
    """An authority of our own, a server of this address and a client; the paths by name."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       cwd=s.dir)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=authority")
    for name in ("server", "client"):
        extensions = write(s, "extensions", "subjectAltName=IP:127.0.0.1\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                f"{name}.crt", "-days", "2", "-extfile", extensions)
    return {name: os.path.join(s.dir, name)
            for name in ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")}


# -- services --


def config_of(front, **settings):
    return {"schemas": {"registry": {"url": front.url, "timeout": "2s", **settings}}}


def framed(records, ids):
    """Every second record that has a single object of ours, in Confluent's frame instead."""
    by_name = {name: number for number, name in ids.items()}
    codec = avro.Codec()
    prefixes = {codec.prefixes[name]: by_name[name] for name in by_name}
    result = []
    for i, record in enumerate(records):
        number = prefixes.get((record.value or b"")[:10])
        if number is not None and i % 2:
            record = record._replace(value=avro.CONFLUENT + number.to_bytes(4, "big") + record.value[10:])
        result.append(record)
    return result


def a_start_waits_and_refuses(s, front, ids):
    pipeline = Pipeline(s, "start", partitions=PARTITIONS, config=config_of(front))
    with claim("down at the start: not ready, and it says why; then it goes on by itself"):
        front.stop()
        worker = pipeline.worker("w1").start()
        worker.wait_log("code=registry_unavailable.*no answer from the registry", count=2)
        assert worker.http("/readyz")[0] == 503
        front.start()
        worker.wait_ready()
        worker.wait_log(r"code=registered.*record=RecipientState id=(\d+)")
        assert worker.terminate() == 0
    with claim("what is not registered is refused at the start, with what to do; and reading alone needs nothing"):
        empty = Front(front.upstream).start()
        empty.fault = Front.EMPTY
        worker = pipeline.worker("w3", config={"schemas": {"registry": {"url": empty.url}}}).start()
        assert worker.wait_exit(30) == CONFIG, worker.log_tail()
        assert "the schema of RetryCommand is not registered as rimbalzo.RetryCommand" in worker.log_text()
        assert "rimbalzo schema register" in worker.log_text()
        worker = pipeline.worker("w4", config={"schemas": {"registry": {"url": empty.url, "write": False}}}).start()
        worker.wait_ready()
        assert worker.terminate() == 0
        empty.stop()
    assert set(ids.values()) == set(RECORDS)


def everything_has_an_id(s, front, ids):
    with claim("both frames are read, ids are written, and the oracle holds; what nobody registered is a dead letter"):
        pipeline = Pipeline(s, "ids", partitions=PARTITIONS, config=config_of(front))
        records = framed(pipeline.stream(seed=31, count=3000), ids)
        key = b"nobody@example.org"
        records[1000:1000] = [kafka_read.Record(key, b"\0\0\1\2\3what is it", partition=p) for p in range(PARTITIONS)]
        pipeline.produce(records)
        worker = pipeline.worker("w1", command="run").start()
        pipeline.wait_done([worker])
        asked = worker.metric("rimbalzo_registry_requests_total", outcome="not_found")
        absent = {r.value[1:5] for r in records if r.value and r.value[0] == 0 and len(r.value) > 4
                  and int.from_bytes(r.value[1:5], "big") not in ids}
        assert asked == len(absent) > 0, (asked, absent)  # once, and remembered
        assert worker.metric("rimbalzo_registry_schemas", state="absent") == len(absent)
        assert worker.metric("rimbalzo_registry_schemas", state="known") >= len(RECORDS)
        assert worker.metric("rimbalzo_dead_letters_total", reason="unknown_schema") >= PARTITIONS
        assert worker.terminate() == 0
        print("      ", pipeline.verify(), flush=True)
        heads = {name: {record.value[:5] for record in pipeline.broker.read(pipeline.prefix + name) if record.value}
                 for name in ("recipients", "retries.delayed", "suppressions", "notices")}
        wanted = zip(heads, ("RecipientState", "RetryCommand", "SuppressionEvent", "RecipientNotice"))
        numbers = {name: number for number, name in ids.items()}
        assert heads == {topic: {b"\0" + numbers[name].to_bytes(4, "big")} for topic, name in wanted}, heads
        # Others can read them, and write as we do.
        check_example(front, pipeline)
    with claim("the other commands read and write ids as well, and doctor asks the registry"):
        rows = [json.loads(line) for line in s.run("doctor", "-o", "jsonl", config=worker, expect=None).stdout.splitlines()]
        assert [row["result"] for row in rows if row["check"] == "registry"] == ["ok"], rows
        assert "cannot be read" not in s.run("report", "hygiene", config=worker).stderr
        assert s.run("replay", "diff", config=worker).returncode == 0
        before = len(pipeline.broker.read(pipeline.input))
        s.run("suppress", "--reason", "asked", "someone@example.org", config=worker)
        added = [r for r in pipeline.broker.read(pipeline.input) if r.key == b"someone@example.org"]
        assert len(pipeline.broker.read(pipeline.input)) == before + 1
        assert [r.value[:5] for r in added] == [b"\0" + numbers["RecipientOverride"].to_bytes(4, "big")], added
        done = s.run("state", "list", "-o", "jsonl", config=worker)
        assert len(done.stdout.splitlines()) == len(pipeline.fold.live_states()) and not done.stderr, done.stderr


# The codec of deploy/examples/sender.py on a value of stdin: its name, then a delivery.
EXAMPLE = """
import datetime, sys
sys.path.insert(0, sys.argv[1] + "/deploy/examples")
import sender
codec = sender.Codec(sys.argv[1] + "/schemas", sys.argv[2])
name, fields = codec.decode(sys.stdin.buffer.read())
print(name, fields["recipient"], flush=True)
when = datetime.datetime.fromtimestamp(1770000000, datetime.timezone.utc)
sys.stdout.buffer.write(codec.encode("DeliveryRecord", {
    "event_id": "e", "tenant": "", "recipient": "r@example.org", "message_id": "m", "occurred_at": when,
    "retry_of": None, "source": "s"}))
"""


def check_example(front, pipeline):
    record = pipeline.broker.read(pipeline.prefix + "retries.delayed")[0]
    done = subprocess.run(["/usr/bin/python3", "-c", EXAMPLE, kafka_read.ROOT, front.url], input=record.value,
                          stdout=subprocess.PIPE, check=True, env={**os.environ, "no_proxy": "127.0.0.1"})
    line, value = done.stdout.split(b"\n", 1)
    codec = avro.Codec()
    name, fields = codec.decode(record.value)
    assert line.decode() == f"{name} {fields['recipient']}", line
    name, fields = codec.decode(value)
    assert value[0] == 0 and name == "DeliveryRecord" and fields["occurred_at"] == 1770000000000, (name, fields)


def bounces(codec, number, partition, first, count):
    """Bounces of recipients of a partition, each framed with that id, or as single objects."""
    found = []
    name = first
    while len(found) < count:
        recipient = f"r{name}@example.org"
        name += 1
        if identity.partition_of(recipient, PARTITIONS) != partition:
            continue
        fields = {"event_id": f"e-{recipient}", "tenant": "", "recipient": recipient, "message_id": "m",
                  "occurred_at": 1770000000000, "status": "4.2.1", "reply_code": 450, "diagnostic": None,
                  "remote_mta": None, "stage": None, "retry_of": None, "message_attempt": 0, "source": "t",
                  "attributes": {}}
        if number is None:
            value = codec.encode("BounceRecord", fields)
        else:  # the newer version: one field more, null
            value = codec.encode_confluent("BounceRecord", fields, number) + b"\0"
        found.append(kafka_read.Record(recipient.encode(), value, partition=partition))
    return found


def committed(pipeline):
    entries = pipeline.broker.committed(pipeline.group)
    return {p: entries[pipeline.input, p].offset if (pipeline.input, p) in entries else 0 for p in range(PARTITIONS)}


def a_partition_waits(s, registry, front, newer):
    """Whatever the registry does: who needs it waits, the others go on, and nothing is lost."""
    pipeline = Pipeline(s, "waits", partitions=PARTITIONS, config=config_of(front))
    codec = avro.Codec()
    worker = pipeline.worker("w1").start()
    pipeline.produce([r for p in range(PARTITIONS) for r in bounces(codec, None, p, 0, 20)])
    pipeline.wait_done([worker])
    worker.wait_ready()
    first = 1000
    with claim("down, slow or wrong in mid-run"):
        front.stop()
        pipeline.produce(bounces(codec, newer, 0, first, 10))
        place = committed(pipeline)[0]
        for fault in IN_MID_RUN:
            if fault is not None:
                front.fault = fault
                front.stop()
                front.start()
            first += 1000
            before = committed(pipeline)
            asked = len(front.requests)
            pipeline.produce([r for p in range(PARTITIONS) for r in bounces(codec, None, p, first, 10)])
            wait_until(lambda: all(committed(pipeline)[p] >= before[p] + 10 for p in range(1, PARTITIONS)), 30,  # pylint: disable=cell-var-from-loop
                       "the other partitions to go on", alive=[worker])
            if fault is not None:
                wait_until(lambda: len(front.requests) > asked, 30, "the registry to be asked", alive=[worker])  # pylint: disable=cell-var-from-loop
            assert committed(pipeline)[0] == place, (fault, committed(pipeline))
        status, body = worker.http("/readyz")
        held = [(entry["partition"], entry["code"]) for entry in json.loads(body)["held"]]
        assert status == 503 and held == [(0, "registry_unavailable")], body
        assert worker.metric("rimbalzo_registry_schemas", state="wanted") == 1
        assert worker.metric("rimbalzo_registry_requests_total", outcome="invalid") > 0
        assert worker.metric("rimbalzo_registry_requests_total", outcome="unavailable") > 0
        assert not pipeline.broker.read(pipeline.prefix + "dead-letters")
        assert len(re.findall("code=revoked|code=lost", worker.log_text())) == 0, worker.log_tail()
        # What was asked for before needs nobody.
        assert worker.metric("rimbalzo_transactions_total", outcome="aborted") in (0, None)
    with claim("it answers again: all of it is processed"):
        front.fault = None
        front.stop()
        front.start()
        pipeline.wait_done([worker])
        worker.wait_ready()
        worker.wait_log("code=registry_back")
        assert worker.terminate() == 0
        states = s.run("state", "list", "-o", "jsonl", config=worker).stdout.splitlines()
        assert len(states) == 20 * PARTITIONS + 10 + 10 * PARTITIONS * len(IN_MID_RUN), len(states)
        assert not pipeline.broker.read(pipeline.prefix + "dead-letters")
    assert registry.process.is_alive()


def schema_registry(s: Scenario):
    """One registry for all of it, whose start takes long."""
    registry = Registry(s.dir)
    try:
        registry.start()
        front = Front(registry.url).start()
        newer = command(s, registry, front)
        faults(s, front)
        guarded(s, registry)
        ids = registry.ids(RECORDS)
        ids = {(1 if name == "BounceRecord" else number): name for number, name in ids.items()}
        avro.Codec.REGISTRY = ids
        s.kafka(BROKER)
        a_start_waits_and_refuses(s, front, ids)
        everything_has_an_id(s, front, ids)
        a_partition_waits(s, registry, front, newer)
        front.stop()
    finally:
        registry.kill()


if __name__ == "__main__":
    main(schema_registry)
