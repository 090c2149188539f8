#!/usr/bin/env python3
"""A group that has lost its offsets gets certificates again, and nothing is lost or counted twice by that."""

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim

COUNT = 3000


def input_offsets(pipeline):
    """{partition: i} of the certificates."""
    return {p: int(text.split()[1].removeprefix("i=")) for p, (_, text) in pipeline.certificates().items()}


def stop(worker):
    assert worker.terminate() == 0, worker.log_tail()


def recover(pipeline, worker, *arguments, **options):
    return pipeline.scenario.run("offsets", "recover", *arguments, config=worker, **options)


def wait_unused(pipeline, worker):
    """Until the stopped members are forgotten; the plan."""
    done, = wait_until(lambda: [d for d in [recover(pipeline, worker, "--dry-run", "-o", "json", expect=None)]
                                if d.returncode != 75], 60, "the session to end", every_s=0.3)
    assert done.returncode == 0, done.stderr
    return {row["partition"]: row for row in json.loads(done.stdout)}


def a_deleted_group_is_recovered(s: Scenario):
    """Killed, its group deleted: refused, recovered while nobody is there, gone on with; the oracle holds."""
    pipeline = Pipeline(s, "gone", config={"kafka": {"transaction.timeout.ms": "5000"}})
    records = pipeline.stream(seed=301, count=COUNT)
    worker = pipeline.worker("w1").start()
    pipeline.produce(records[:COUNT // 2])
    pipeline.wait_done([worker])
    before = input_offsets(pipeline)
    written = pipeline.counts()
    worker.kill()
    pipeline.broker.delete_offsets(pipeline.group)
    assert not pipeline.certificates()

    for keep in (True, False):  # with local state, and without
        if not keep:
            shutil.rmtree(worker.state_dir)
        worker.start()
        worker.wait_log("level=error code=certificate_lost", count=4)
        told = recover(pipeline, worker, "--yes", expect=75).stderr
        assert "gone-w1-0" in told, told
        stop(worker)

    plan = wait_unused(pipeline, worker)
    assert sorted(plan) == [0, 1, 2, 3] and not pipeline.certificates()
    recover(pipeline, worker, "--yes")
    after = input_offsets(pipeline)
    assert after == {p: row["input_offset"] for p, row in plan.items()}
    assert all(after[p] <= before[p] for p in before), (before, after)
    assert "every partition has" in recover(pipeline, worker, "--yes").stderr

    worker.start()
    pipeline.wait_done([worker])
    assert pipeline.counts() == written, "something was done again"
    pipeline.produce(records[COUNT // 2:])
    pipeline.wait_done([worker])
    stop(worker)
    pipeline.verify(calm=False)


class Forged(Pipeline):
    """With a record that says to be a copy, and is none: the oracle has to let it pass."""

    FORGED = b"1:999:1"

    def expect_none(self, differences):
        super().expect_none([d for d in differences if f"('rimbalzo-rerouted', {self.FORGED!r})" not in d])


def the_last_trace_may_be_any(s: Scenario):
    """A dead letter or a reroute at the end, with and without the group's input offsets; a forged header of a record
    that is not read yet is not believed."""
    pipeline = Forged(s, "trace", partitions=3)
    whole = pipeline.stream(seed=302, count=2 * COUNT)
    records = whole[:COUNT // 2]
    worker = pipeline.worker("w1").start()
    usable = [r for r in pipeline.stream(seed=303, count=100, without=("poison", "misrouted"))]
    astray = usable[-1]._replace(partition=(usable[-1].partition + 1) % 3)
    pipeline.produce(records + [r for r in records if r.value][-50:])  # the last once more: without effect
    pipeline.wait_done([worker])
    poison = usable[0]._replace(value=b"no record", partition=astray.partition)
    pipeline.produce([poison, astray])
    pipeline.wait_done([worker])
    pipeline.produce([poison._replace(partition=usable[-1].partition)])
    pipeline.wait_done([worker])
    true, written = input_offsets(pipeline), pipeline.counts()
    ends = pipeline.ends()
    stop(worker)
    forged = usable[1]._replace(headers=[("rimbalzo-rerouted", Forged.FORGED)])
    pipeline.produce([forged, *whole[COUNT // 2:]])
    assert ends[1] < 999 < pipeline.ends()[1], (ends, pipeline.ends())

    # Only the certificates are gone: the group still knows the input offsets.
    pipeline.broker.delete_offsets(pipeline.group, pipeline.changelog)
    assert not pipeline.certificates()
    rows = wait_unused(pipeline, worker)
    assert {p: row["input_offset"] for p, row in rows.items()} == true, (rows, true)
    pipeline.broker.delete_offsets(pipeline.group)
    rows = wait_unused(pipeline, worker)
    assert all(rows[p]["input_offset"] <= true[p] for p in rows), (rows, true)
    assert rows[astray.partition]["known_by"] == "reroutes", rows
    assert rows[usable[-1].partition]["known_by"] == "dead letters", rows
    recover(pipeline, worker, "--yes")
    worker.start()
    pipeline.wait_done([worker])
    stop(worker)
    assert all(pipeline.counts()[name] > written[name] for name in written)
    pipeline.verify()


def recover_offsets(s: Scenario):
    s.kafka(BROKER)
    for part in (a_deleted_group_is_recovered, the_last_trace_may_be_any):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(recover_offsets)
