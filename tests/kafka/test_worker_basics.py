#!/usr/bin/env python3
"""The worker against a real broker: what it writes, when it refuses to start, how it ends."""

import hmac
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, all_lines, claim

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
import avro
import identity

COUNT = 20000
CONFIG_ERROR = 78


def one_worker(s: Scenario):
    """Everything that one worker writes is right; it ends within seconds, with nothing left to do."""
    pipeline = Pipeline(s, "one")
    s.run("topics", "check", config=pipeline.worker("check"))
    assert "as they must be" in pipeline.apply().stderr
    pipeline.produce(pipeline.stream(seed=101, count=COUNT))
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    began = time.monotonic()
    assert worker.terminate() == 0
    took = time.monotonic() - began
    assert took < 10, f"it took {took:.1f} s to end"
    verdict = pipeline.verify()
    print(f"       {verdict}", flush=True)
    check_state_commands(s, pipeline)
    check_log(s, pipeline, worker, verdict)


def check_log(s, pipeline, worker, verdict):
    """Every dead letter is told of or counted, and no address is in any line, be it good or bad."""
    lines = all_lines(worker)
    told = [line for line in lines if " level=warn " in line and f" topic={pipeline.input} " in line]
    repeated = [int(found[1]) for line in told if (found := re.search(r" repeated=(\d+)$", line))]
    assert len(told) - len(repeated) + sum(repeated) == verdict.dead_letters > 100, (len(told), repeated)
    keys = {record.key for topic in (pipeline.input, f"{pipeline.prefix}dead-letters")
            for record in pipeline.broker.read(topic) if record.key}
    names = [name for name in (key.decode("utf-8", "replace") for key in keys) if len(name) > 4]
    shown = [line for line in lines if "@" in line or any(name in line for name in names)]
    assert len(names) > 100 and not shown, shown[:3]

    # The hash leads back to the address, with the key and with nothing else.
    with open(os.path.join(worker.state_dir, "log-address.key"), "rb") as file:
        secret = file.read().rstrip(b"\n")
    assert os.stat(file.name).st_mode & 0o777 == 0o600 and len(secret) == 40
    records = {(record.partition, record.offset): record for record in pipeline.broker.read(pipeline.input)}
    places = [re.search(r" partition=(\d+) offset=(\d+) key=hash:([0-9a-f]{16})(?: |$)", line) for line in told]
    for place in [place for place in places if place][:20]:
        key = records[int(place[1]), int(place[2])].key
        digest = hmac.new(secret, key.lower(), "sha1").hexdigest()
        assert place[3] == digest[:16], (place[0], key)
    answer = s.run("log-hash", "-o", "jsonl", " Some.One@Example.ORG", config=worker).stdout
    digest = hmac.new(secret, b"some.one@example.org", "sha1").hexdigest()
    assert json.loads(answer) == {"hash": f"hash:{digest[:16]}", "address": "some.one@example.org"}, answer


def check_state_commands(s, pipeline):
    """`state list` and `state get` agree with the oracle."""
    worker = pipeline.workers[-1]
    expected = pipeline.fold.live_states()
    listed = [json.loads(line) for line in
              s.run("state", "list", "-o", "jsonl", config=worker).stdout.splitlines()]
    found = {(row["tenant"], row["recipient"]): row for row in listed}
    assert len(found) == len(listed), "a recipient is listed twice"
    # One that has expired is listed until the idle scan has come to it.
    assert expected.keys() <= found.keys() <= pipeline.fold.states.keys(), sorted(found.keys() ^ expected.keys())[:5]
    for address, state in expected.items():
        check_state(address, state, found[address])
    for address in sorted(expected)[:3]:
        tenant, recipient = address
        arguments = ["--tenant", tenant] if tenant else []
        got = json.loads(s.run("state", "get", "-o", "jsonl", *arguments, recipient, config=worker).stdout)
        check_state(address, expected[address], got[0] if isinstance(got, list) else got)
    assert s.run("state", "get", "nobody@nowhere.example", config=worker, expect=None).returncode == 1


def check_state(address, expected, row):
    names = ["episode", "soft", "hard", "transient", "deliveries", "overrides", "suppressions", "source_offset"]
    if not row["lapsed"]:  # as of now; the streams lie in the past
        names += ["status", "attempt"]
    for name in names:
        assert row.get(name) == expected[name], f"{address}: {name} is {row.get(name)}, not {expected[name]}"


def two_workers_of_two_threads(s: Scenario):
    pipeline = Pipeline(s, "two")
    workers = [pipeline.worker(name, config={"worker": {"threads": 2}}).start() for name in ("w1", "w2")]
    feeder = pipeline.feeder(pipeline.stream(seed=102, count=COUNT))
    while feeder.give(2000):
        pass
    feeder.finish()
    pipeline.wait_done(workers)
    running = sum(len([line for line in w.log_lines() if "code=running" in line]) > 0 for w in workers)
    assert running == 2, "one of the two did nothing"
    for worker in workers:
        assert worker.terminate() == 0
    print(f"       {pipeline.verify()}", flush=True)


def control_records_are_no_lag(s: Scenario):
    """Of a transactionally produced input the lag is 0 at the end, aborted records and all."""
    pipeline = Pipeline(s, "lag", partitions=2)
    records = pipeline.stream(seed=103, count=300)
    worker = pipeline.worker("w1", config={"log": {"format": "json", "level": "debug"}}).start()
    pipeline.produce(records[:200], transactional_id="lag-producer", batch=30)
    pipeline.produce(records[200:250], transactional_id="lag-producer", end="abort")
    pipeline.wait_done([worker])
    check_no_lag(pipeline)
    pipeline.produce(records[250:], transactional_id="lag-producer", batch=30)
    pipeline.produce(records[200:250], transactional_id="lag-producer", end="abort")
    pipeline.wait_done([worker])
    check_no_lag(pipeline)
    assert worker.terminate() == 0
    check_no_lag(pipeline)
    pipeline.verify()
    lines = [json.loads(line) for line in all_lines(worker)]
    assert {"running", "stopped", "invalid_recipient"} <= {line["code"] for line in lines}, lines


def check_no_lag(pipeline):
    rows = [row for row in pipeline.broker.describe_group(pipeline.group) if row["topic"] == pipeline.input]
    assert len(rows) == pipeline.partitions, rows
    assert all(row["lag"] == 0 for row in rows), rows


# -- refusals --


def wrong_topics_are_refused(s: Scenario):
    """Each wrong layout is named, with the command that mends it, where one does."""
    broker = s.broker
    cases = {
        "missing": (lambda p: broker.topics("--delete", "--topic", p.prefix + "notices"),
                    r"topic missing\.notices does not exist", True),
        "uncompacted": (lambda p: broker.configure_topic(p.changelog, cleanup_policy="delete"),
                        r"uncompacted\.recipients has cleanup\.policy=delete", True),
        "unlimited": (lambda p: broker.configure_topic(p.input, message_timestamp_after_max_ms=2**63 - 1),
                      r"unlimited\.bounces has message\.timestamp\.after\.max\.ms", True),
        "narrow": (lambda p: broker.topics("--alter", "--topic", p.input, "--partitions", 5),
                   r"narrow\.recipients has 4 partitions, not 5", True),
    }
    for name, (spoil, text, mends) in cases.items():
        pipeline = Pipeline(s, name)
        spoil(pipeline)
        worker = pipeline.worker("w1")
        wait_until(lambda worker=worker, text=text: refused(worker, CONFIG_ERROR, text), 30, f"{name} to be refused")
        assert ("`rimbalzo topics apply` mends it" in worker.log_text()) == mends, worker.log_text()
        s.run("topics", "check", config=worker, expect=1)
        pipeline.apply()
        worker.start()
        worker.wait_log("code=assigned")
        assert worker.terminate() == 0


def partition_counts_that_cannot_be_mended(s: Scenario):
    """Once written to, neither of the pair may be widened: the message says so, `apply` changes nothing."""
    pipeline = Pipeline(s, "widened")
    pipeline.produce(pipeline.stream(seed=104, count=400))
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    assert worker.terminate() == 0
    s.broker.topics("--alter", "--topic", pipeline.input, "--partitions", 5)
    wait_until(lambda: refused(worker, CONFIG_ERROR, "`rimbalzo reshard` carries it over"), 30, "refusal")
    s.run("topics", "apply", "--yes", config=worker, expect=1)


def partitions_added_in_mid_run(s: Scenario):
    """All partitions stop with the named error instead of counting keys in the wrong place."""
    pipeline = Pipeline(s, "grown", config={"kafka": {"topic.metadata.refresh.interval.ms": "1000",
                                                      "metadata.max.age.ms": "3000"}})
    pipeline.produce(pipeline.stream(seed=105, count=400))
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    s.broker.topics("--alter", "--topic", pipeline.input, "--partitions", 5)
    worker.wait_log("code=partition_count_changed", deadline_s=60)
    assert worker.terminate() == 0
    pipeline.verify(calm=False)


def refused(worker, code, text):
    """Whether a start ends with this exit code and text."""
    worker.start()
    ended = worker.wait_exit(60)
    lines = worker.log_text()
    assert ended == code, f"exit {ended}, expected {code}\n{lines}"
    assert re.search(text, lines), f"{text!r} is not said:\n{lines}"
    return True


RULES = """
- id: test.word
  text: '{word}'
  class: {kind}
  reason: other
  positive:
    - {{ text: 'it says {word}' }}
  negative:
    - {{ text: 'it says nothing' }}
"""


def rules_are_read_again(s: Scenario):
    """SIGHUP: what comes after it is classified by the new file; a wrong file changes nothing."""
    path = os.path.join(s.dir, "rules.yaml")

    def write(word, kind):
        with open(path, "w", encoding="utf-8") as file:
            file.write(RULES.format(word=word, kind=kind))

    write("apple", "SOFT")
    pipeline = Pipeline(s, "reload", config={"rules": {"file": path}})
    codec = avro.Codec()
    worker = pipeline.worker("w1")

    def rule_of(number, text):
        """The rule that a bounce with this text gets."""
        fields = {"event_id": f"e{number}", "tenant": "", "recipient": f"r{number}@example.org", "message_id": "m",
                  "occurred_at": int(time.time() * 1000), "status": None, "reply_code": None, "diagnostic": text,
                  "remote_mta": None, "stage": None, "retry_of": None, "message_attempt": 0, "source": "", "attributes": {}}
        key = fields["recipient"].encode()
        partition = (identity.murmur2(key) & 0x7FFFFFFF) % pipeline.partitions
        kafka_read.produce(s.broker.bootstrap, pipeline.input,
                           [kafka_read.Record(key, codec.encode("BounceRecord", fields), (), partition)])
        pipeline.wait_done([worker])
        state = s.run("state", "get", fields["recipient"], "-o", "json", config=worker)
        return json.loads(state.stdout)[0]["last_rule"]

    worker.start()
    assert rule_of(1, "it says apple") == "test.word"
    write("pear", "POLICY")
    assert rule_of(2, "it says pear") == "none"
    worker.signal(signal.SIGHUP)
    worker.wait_log("code=reload")
    assert rule_of(3, "it says pear") == "test.word"
    assert rule_of(4, "it says apple") == "none"
    write("(", "SOFT")
    worker.signal(signal.SIGHUP)
    worker.wait_log("code=rules .*rules.yaml:3")
    write("grape", "SOFT")  # for the commands that read the file too, not for the worker
    assert rule_of(5, "it says pear") == "test.word"
    for _ in range(20):  # more often than batches come
        write("plum", "SOFT")
        worker.signal(signal.SIGHUP)
    wait_until(lambda: rule_of(int(time.monotonic() * 1000), "it says plum") == "test.word", 30, "the last rules")
    assert worker.terminate() == 0


def wrong_configuration_is_refused(s: Scenario):
    pipeline = Pipeline(s, "wrong", apply=False)
    for sets, text in (
        ({"worker.treads": 2}, "worker.treads"),
        ({"worker.threads": 0}, "worker.threads"),
        ({"kafka.enable.auto.commit": "true"}, "committed in transactions only"),
        ({"kafka.isolation.level": "read_uncommitted"}, "aborted transactions"),
        ({"kafka.no.such.property": "1"}, "no such property"),
        ({"policies.default.max_attempts": 0}, "max_attempts"),
        ({"rules.file": os.path.join(s.dir, "missing.yaml")}, "missing.yaml"),
    ):
        worker = pipeline.worker("w1")
        worker.start(sets=sets)
        code = worker.wait_exit(30)
        lines = worker.log_text()
        wanted = (CONFIG_ERROR, 74) if "rules.file" in sets else (CONFIG_ERROR,)
        assert code in wanted, f"{sets}: exit {code}\n{lines}"
        assert text in lines, f"{sets}: {text!r} is not said\n{lines}"


def basics(s: Scenario):
    s.kafka(BROKER)
    for part in (one_worker, two_workers_of_two_threads, control_records_are_no_lag, wrong_topics_are_refused,
                 partition_counts_that_cannot_be_mended, partitions_added_in_mid_run, rules_are_read_again,
                 wrong_configuration_is_refused):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(basics)
