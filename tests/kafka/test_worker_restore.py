#!/usr/bin/env python3
"""State comes back from Kafka alone; what must not be guessed stops its partition and nothing else."""

import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, all_lines, claim

COUNT = 4000


def running(worker):
    """{partition: records restored} of this start's log."""
    found = re.findall(r"code=running .*partition=(\d+) input_next=\d+ restored=(\d+)", worker.log_text())
    return {int(partition): int(restored) for partition, restored in found}


def wait_running(worker, partitions, deadline_s=60):
    """Waits until these partitions have run in this start; what each restored."""
    wait_until(lambda: set(partitions) <= running(worker).keys(), deadline_s, f"{worker.name} to run {partitions}",
               alive=[worker])
    return running(worker)


def digests(pipeline):
    """{partition: "n=… d=…"} of the certificates."""
    return {p: re.sub(r".*(n=\d+ d=\w+).*", r"\1", text) for p, (_, text) in pipeline.certificates().items()}


def stop(worker):
    assert worker.terminate() == 0, worker.log_tail()


def wipe(worker):
    shutil.rmtree(worker.state_dir)


def wiped_state_comes_back(s: Scenario):
    """(b) The same state by restore alone; a worker with half of it takes the other half over."""
    pipeline = Pipeline(s, "wiped")
    records = pipeline.stream(seed=201, count=2 * COUNT)
    pipeline.produce(records[:COUNT])
    first = pipeline.worker("w1").start()
    pipeline.wait_done([first])
    stop(first)
    before, written = digests(pipeline), pipeline.counts()
    wipe(first)
    first.start()
    restored = wait_running(first, range(4))
    assert all(restored[p] > 0 for p in range(4)), restored
    stop(first)
    first.start()  # with the state that was restored: nothing to read
    restored = wait_running(first, range(4))
    assert not any(restored.values()), restored

    second = pipeline.worker("w2").start()  # has nothing: takes partitions over by restore alone
    wait_until(lambda: running(second), 60, "w2 to run partitions", alive=[first, second])
    moved = wait_running(second, running(second).keys())
    assert all(moved.values()), moved
    assert digests(pipeline) == before
    assert pipeline.counts() == written, "a restore wrote records"

    pipeline.produce(records[COUNT:])
    pipeline.wait_done([first, second])
    stop(second)
    # Its partitions come back to the first, whose state of them is behind.
    wait_until(lambda: len(re.findall("code=assigned .*count=4", first.log_text())) >= 2, 60,
               "w1 to have all partitions again", alive=[first])
    wait_until(lambda: len(re.findall("code=running", first.log_text())) >= 10, 60, "w1 to run them", alive=[first])
    after = running(first)
    assert all(after[p] > 0 for p in moved), (moved, after)
    stop(first)
    assert not [line for line in all_lines(first) + all_lines(second) if "code=state_mismatch" in line]
    pipeline.verify()


def rewound_offsets_emit_nothing_twice(s: Scenario):
    """(c) Group offsets reset to the beginning with Kafka's own tool, with local state and without."""
    pipeline = Pipeline(s, "rewound")
    records = pipeline.stream(seed=202, count=COUNT)
    pipeline.produce(records[:-200])
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    stop(worker)
    expected = pipeline.verify()
    assert expected.dead_letters and expected.reroutes
    before, written = digests(pipeline), pipeline.counts()
    for keep in (True, False):
        pipeline.broker.reset_offsets(pipeline.group, pipeline.input, "--to-earliest")
        if not keep:
            wipe(worker)
        worker.start()
        wait_running(worker, range(4))
        worker.wait_log("code=offset_rewound", count=4)
        pipeline.wait_done([worker])  # it commits the offset it goes on from
        stop(worker)
        assert pipeline.counts() == written, f"something was emitted twice (local state kept: {keep})"
        assert digests(pipeline) == before
    pipeline.produce(records[-200:])
    worker.start()
    pipeline.wait_done([worker])
    stop(worker)
    pipeline.verify()


def lost_certificate_stops_one_partition(s: Scenario):
    """Without its certificate a partition that has state fails; the others go on. Nothing is guessed."""
    pipeline = Pipeline(s, "lost")
    records = pipeline.stream(seed=203, count=COUNT)
    pipeline.produce(records[:COUNT // 2])
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    stop(worker)
    pipeline.verify()
    wait_until(lambda: pipeline.broker.groups("--delete-offsets", "--group", pipeline.group, "--topic",
                                              f"{pipeline.changelog}:1"), 60, "the certificate to be deleted")
    assert 1 not in pipeline.certificates()
    pipeline.produce(records[COUNT // 2:])
    for keep in (True, False):
        if not keep:
            wipe(worker)
        worker.start()
        worker.wait_log("level=error code=certificate_lost .*README, certificate_lost.*partition=1", deadline_s=60)
        wait_running(worker, [0, 2, 3])
        pipeline.wait_done([worker], partitions=[0, 2, 3])
        assert 1 not in running(worker)
        stop(worker)
        assert 1 not in pipeline.certificates()


def truncated_input_stops_one_partition(s: Scenario):
    """Records deleted before they were read are named, not passed over."""
    pipeline = Pipeline(s, "truncated")
    records = pipeline.stream(seed=204, count=COUNT)
    pipeline.produce(records[:COUNT // 2])
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    stop(worker)
    pipeline.verify()
    done = pipeline.broker.committed(pipeline.group)[pipeline.input, 2].offset
    pipeline.produce(records[COUNT // 2:])
    pipeline.broker.delete_records(pipeline.input, {2: done + 100})
    worker.start()
    line = worker.wait_log("level=error code=input_truncated .*partition=2", deadline_s=60)[0]
    assert str(done) in line and str(done + 100) in line, line
    pipeline.wait_done([worker], partitions=[0, 1, 3])
    stop(worker)
    # As the message says: with the offset reset, it goes on without them.
    pipeline.broker.reset_offsets(pipeline.group, f"{pipeline.input}:2", "--to-offset", done + 100)
    worker.start()
    worker.wait_log("code=offset_skipped .*partition=2", deadline_s=60)
    pipeline.wait_done([worker])
    stop(worker)


def truncated_while_running(s: Scenario):
    """The same while the partition runs but its owner is paused."""
    pipeline = Pipeline(s, "cut", config={"kafka": {"session.timeout.ms": "30000"}})
    records = pipeline.stream(seed=205, count=COUNT)
    pipeline.produce(records[:COUNT // 2])
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    worker.pause()
    # The request that is under way gets the first piece; the second is gone before there is another.
    pipeline.produce(records[COUNT // 2:-1000])
    pipeline.produce(records[-1000:])
    start = pipeline.ends()[3]
    pipeline.broker.delete_records(pipeline.input, {3: start})
    pipeline.produce(records[:200])
    worker.resume()
    worker.wait_log("level=error code=input_truncated .*partition=3", deadline_s=60)
    pipeline.wait_done([worker], partitions=[0, 1, 2])
    assert pipeline.broker.committed(pipeline.group)[pipeline.input, 3].offset < start
    stop(worker)


def restore(s: Scenario):
    s.kafka(BROKER)
    for part in (wiped_state_comes_back, rewound_offsets_emit_nothing_twice, lost_certificate_stops_one_partition,
                 truncated_input_stops_one_partition, truncated_while_running):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(restore)
