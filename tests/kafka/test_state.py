#!/usr/bin/env python3
"""Lists and exports of the recipients, and snapshots of the workers' local state."""

import csv
import io
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim

import avro

COUNT = 3000


def stop(worker):
    assert worker.terminate() == 0, worker.log_tail()


def state(pipeline, worker, *arguments, **options):
    return pipeline.scenario.run("state", *arguments, config=worker, **options)


def restored(worker):
    """{partition: records restored} of this start, once all run."""
    def found():
        return re.findall(r"code=running .*partition=(\d+) input_next=\d+ restored=(\d+)", worker.log_text())
    wait_until(lambda: len(found()) == 3, 60, "the partitions to run", alive=[worker])
    return {int(p): int(n) for p, n in found()}


def exports_are_the_topic(pipeline, worker):
    """Every live state, in each format, and what the filters leave."""
    codec = avro.Codec()
    live = kafka_read.latest_by_key(pipeline.broker.read(pipeline.changelog))
    wanted = [codec.decode(record.value, ("RecipientState",))[1] for record in live.values()]
    assert len(wanted) > 50
    rows = list(csv.DictReader(io.StringIO(state(pipeline, worker, "export").stdout, newline="")))
    lines = [json.loads(line) for line in state(pipeline, worker, "export", "-o", "jsonl").stdout.splitlines()]
    assert len(rows) == len(lines) == len(wanted)
    for field in ("recipient", "tenant", "soft", "episode", "source_offset"):
        expected = sorted(str(fields[field]) for fields in wanted)
        assert sorted(row[field] for row in rows) == expected, field
        assert sorted(str(line[field]) for line in lines) == expected, field
    for status in ("ACTIVE", "SUSPENDED", "SUPPRESSED"):
        some = [line for line in lines if line["status"] == status]
        assert state(pipeline, worker, "export", "--status", status, "-o", "jsonl").stdout.splitlines() == [
            json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in some], status
    tenants = {line["tenant"] for line in lines}
    domain = lines[0]["recipient"].rsplit("@", 1)[1]
    assert len(tenants) > 1
    for tenant in tenants:
        found = state(pipeline, worker, "list", "--tenant", tenant, "--domain", domain, "-o", "tsv").stdout
        some = [line for line in lines if line["tenant"] == tenant and line["recipient"].endswith("@" + domain)]
        assert len(found.splitlines()) == 1 + len(some)
    state(pipeline, worker, "export", "extra", expect=64)
    state(pipeline, worker, "snapshot", expect=64)


def snapshots(s: Scenario):
    """Taken beside a running worker, brought up to date, refused while it runs, proven when it starts with them."""
    pipeline = Pipeline(s, "snap", partitions=3)
    records = pipeline.stream(seed=501, count=COUNT)
    worker = pipeline.worker("w1").start()
    folder = os.path.join(s.dir, "snapshot")
    pipeline.produce(records[:COUNT // 3])
    pipeline.wait_done([worker])
    state(pipeline, worker, "snapshot", folder)
    pipeline.produce(records[COUNT // 3:COUNT // 2])
    pipeline.wait_done([worker])
    exports_are_the_topic(pipeline, worker)
    rows = json.loads(state(pipeline, worker, "snapshot", folder, "-o", "json").stdout)
    certificates = pipeline.certificates()
    for row in rows:
        position, text = certificates[row["partition"]]
        assert row["changelog_offset"] == position
        assert f"i={row['input_offset']} " in text and f"n={row['recipients']} " in text, (row, text)
    told = state(pipeline, worker, "restore", folder, expect=75).stderr
    assert f"process {worker.pid}" in told, told
    state(pipeline, worker, "snapshot", worker.state_dir, expect=64)

    pipeline.produce(records[COUNT // 2:COUNT // 2 + 300])
    pipeline.wait_done([worker])
    stop(worker)
    shutil.rmtree(worker.state_dir)
    state(pipeline, worker, "restore", folder)
    assert os.listdir(worker.state_dir) == ["snap"]
    worker.start()
    tail = restored(worker)
    assert all(0 < n < 300 for n in tail.values()), tail
    stop(worker)

    # A damaged snapshot is refused, and what is there stays.
    path = os.path.join(folder, "snap", "snap.bounces-1", "data.mdb")
    with open(path, "r+b") as file:
        octets = file.read()
        at = max(octets.rfind(b"code."), octets.rfind(b"@"))
        file.seek(at)
        file.write(b"X")
    told = state(pipeline, worker, "restore", folder, expect=74).stderr
    assert "snap.bounces-1" in told, told
    state(pipeline, worker, "restore", s.dir, expect=64)
    other = pipeline.worker("w2", config={"app": "other"})
    shutil.copytree(os.path.join(folder, "snap"), os.path.join(s.dir, "foreign", "other"))
    os.rename(os.path.join(s.dir, "foreign", "other", "snap.bounces-2"),
              os.path.join(s.dir, "foreign", "other", "snap.bounces-0.tmp"))
    shutil.rmtree(os.path.join(s.dir, "foreign", "other", "snap.bounces-0"))
    os.rename(os.path.join(s.dir, "foreign", "other", "snap.bounces-0.tmp"),
              os.path.join(s.dir, "foreign", "other", "snap.bounces-0"))
    told = state(pipeline, other, "restore", os.path.join(s.dir, "foreign"), expect=74).stderr
    assert "identity differs" in told, told
    pipeline.workers.remove(other)

    pipeline.produce(records[COUNT // 2 + 300:])
    worker.start()
    assert not any(restored(worker).values())
    pipeline.wait_done([worker])
    stop(worker)
    pipeline.verify()


def state_commands(s: Scenario):
    s.kafka(BROKER)
    with claim("snapshots"):
        snapshots(s)


if __name__ == "__main__":
    main(state_commands)
