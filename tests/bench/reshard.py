#!/usr/bin/env python3
"""What the commands that read all recipients cost: time and most memory resident, on a real broker on this machine.

    tests/bench/reshard.py [--recipients N] [--from N] [--to N]

A soft bounce makes each recipient; then: list, export, snapshot, reshard, workers on the new topic, and recover after
the group has been deleted.
"""

import argparse
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Producer, Scenario, binary_path, main, wait_until
from kafka_pipeline import BROKER
from kafka_reshard import ReshardedPipeline

import avro

CHUNK = 20000
TIME_MS = 1_000_000_000_000


def crowd(count):
    codec = avro.Codec()
    value = codec.encode("BounceRecord", {
        "event_id": "crowd-00000000", "tenant": "", "recipient": "crowd00000000@d00.example", "message_id": "m1",
        "occurred_at": TIME_MS, "status": "4.2.2", "reply_code": None, "diagnostic": None, "remote_mta": None,
        "stage": None, "retry_of": None, "message_attempt": 0, "source": "crowd", "attributes": {}})
    for i in range(count):
        number = b"%08d" % i
        domain = b"@d%02d" % (i % 97)
        yield kafka_read.Record(b"crowd" + number + domain + b".example",
                                value.replace(b"00000000", number).replace(b"@d00", domain),
                                timestamp_ms=TIME_MS)


def produce(pipeline, count):
    producer = Producer(pipeline.broker.bootstrap, pipeline.input, {"partitioner": "murmur2_random"})
    records = crowd(count)
    for _ in range(0, count, CHUNK):
        producer.send([record for _, record in zip(range(CHUNK), records)])
    producer.close(600)


def measure(worker, *arguments):
    """Runs a command; prints how long it took and the most memory it had."""
    worker.write_config()
    began = time.monotonic()
    argv = [binary_path(), *map(str, arguments), "-c", worker.config_path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        size = 0
        while piece := process.stdout.read1(1 << 20):
            size += len(piece)
        told = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    print(f"{' '.join(map(str, arguments))[:60]:62}{seconds:7.1f} s  {usage.ru_maxrss // 1024:5d} MB  "
          f"{usage.ru_utime + usage.ru_stime:5.1f} s of CPU  {size >> 20} MB of output", flush=True)
    return process.returncode, told


def until_unused(worker, *arguments):
    def done():
        code, told = measure(worker, *arguments)
        assert code in (0, 75), told
        return code == 0 and [told]
    return wait_until(done, 60, "the session to end", every_s=1)[0]


def work(pipeline, worker, started=False):
    began = time.monotonic()
    if not started:
        worker.start()
    pipeline.wait_done([worker], deadline_s=900)
    print(f"{'worker: all read':62}{time.monotonic() - began:7.1f} s", flush=True)


def bench(s):
    s.kafka(BROKER)
    pipeline = ReshardedPipeline(s, "bench", partitions=OPTIONS.former)
    produce(pipeline, OPTIONS.recipients)
    worker = pipeline.worker("w1")
    work(pipeline, worker)
    for arguments in (("list",), ("export",), ("export", "-o", "jsonl", "--domain", "d07.example"),
                      ("snapshot", os.path.join(s.dir, "snapshot"))):
        assert measure(worker, "state", *arguments)[0] == 0
    assert worker.terminate(60) == 0
    print(until_unused(worker, "reshard", "--partitions", OPTIONS.to, "--yes").strip(), flush=True)
    pipeline.move_to("recipients.v2", OPTIONS.to)
    live = sum(int(re.search(r" n=(\d+)", text)[1]) for _, text in pipeline.certificates().values())
    assert live == OPTIONS.recipients, live
    moved = pipeline.worker("w2")
    produce(pipeline, OPTIONS.recipients // 10)  # the same events once more: nothing is counted
    before = {p: text.split(" n=")[1] for p, (_, text) in pipeline.certificates().items()}
    work(pipeline, moved)
    assert moved.terminate(60) == 0
    assert before == {p: text.split(" n=")[1] for p, (_, text) in pipeline.certificates().items()}, "counted again"
    pipeline.broker.delete_offsets(pipeline.group)
    until_unused(moved, "offsets", "recover", "--yes")
    work(pipeline, moved)
    assert moved.terminate(60) == 0


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--from", dest="former", type=int, default=4)
    parser.add_argument("--to", type=int, default=12)
    return parser.parse_args()


if __name__ == "__main__":
    OPTIONS = options()
    sys.argv = sys.argv[:1]
    main(bench)
