#!/usr/bin/env python3
"""A broker that is down at the start, stopped or killed in mid-run: the worker waits and goes on by itself."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim

ASKED_S = 18  # longer than a question is waited for


def down_at_the_start(pipeline, worker, feeder):
    """A clear line, no exit; SIGTERM ends it at once; with the broker it runs, without help."""
    line = r'level=warn code=(broker_unreachable|timeout) msg=".*" servers=(\S+) retry_ms=\d+'
    pipeline.broker.stop()
    worker.start()
    assert worker.wait_log(line, deadline_s=60)[2] == pipeline.broker.bootstrap
    began = time.monotonic()
    assert worker.terminate() == 0, worker.log_tail()
    assert time.monotonic() - began < 10
    worker.start()
    worker.wait_log(line, deadline_s=60)
    pipeline.broker.start()
    worker.wait_log("code=running", deadline_s=60, count=pipeline.partitions)
    feeder.give(4000)
    pipeline.wait_done([worker])


def comes_back(pipeline, worker, feeder, kill):
    """Stopped, or killed, while records flow."""
    feeder.give(1000)
    before = pipeline.broker.count(pipeline.changelog)
    wait_until(lambda: pipeline.broker.count(pipeline.changelog) > before, 60, "the worker to be at it", alive=[worker])
    if kill:
        pipeline.broker.kill()
    else:
        pipeline.broker.stop()
    feeder.give(1000)  # the producer keeps them until the broker is back
    said = len(worker.log_lines())
    wait_until(lambda: [line for line in worker.log_lines()[said:] if re.search("unreachable|librdkafka", line)], 60,
               "the worker to say that nobody answers", alive=[worker])
    # Longer than its session: it must join again.
    end = time.monotonic() + 5
    wait_until(lambda: time.monotonic() > end, 10, "five seconds", alive=[worker])
    pipeline.broker.start()
    feeder.give(1000)
    pipeline.wait_done([worker], deadline_s=120)


def stops_while_the_broker_is_away(pipeline, worker, feeder):
    """SIGTERM in mid-run with no broker: it ends in bounded time, and what it had open comes to nothing."""
    feeder.give(2000)
    wait_until(lambda: pipeline.broker.count(pipeline.changelog) > 0, 60, "the worker to be at it", alive=[worker])
    pipeline.broker.kill()
    began = time.monotonic()
    code = worker.terminate(deadline_s=60)
    took = time.monotonic() - began
    assert code == 0, f"exit {code}\n{worker.log_tail()}"
    assert took < 30, f"it took {took:.1f} s to end"
    pipeline.broker.start()
    worker.start()
    pipeline.wait_done([worker], deadline_s=120)


def asks_while_the_broker_is_away(s):
    """Partitions that are being taken over, with questions that nobody answers for longer than they are waited for:
    librdkafka would end the process when the broker is back."""
    pipeline = Pipeline(s, "asks", partitions=2)
    pipeline.produce(pipeline.stream(seed=402, count=1000))
    dead = pipeline.worker("w1", config={"kafka": {"transaction.timeout.ms": "25000"}})
    dead.start(failpoint="after-offsets:1")  # leaves offsets that are not stable
    dead.wait_exit(60)
    heir = pipeline.worker("w2").start()
    heir.wait_log("code=unstable_offsets", deadline_s=60)
    pipeline.broker.kill()
    end = time.monotonic() + ASKED_S
    wait_until(lambda: time.monotonic() > end, 2 * ASKED_S, f"{ASKED_S} seconds", alive=[heir])
    pipeline.broker.start()
    pipeline.wait_done([heir], deadline_s=120)
    assert heir.terminate() == 0
    return pipeline.verify()


def broker(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "broker", config={"kafka": {"transaction.timeout.ms": "6000"}})
    feeder = pipeline.feeder(pipeline.stream(seed=401, count=16000))
    worker = pipeline.worker("w1", config={"worker": {"threads": 2}})
    with claim("down_at_the_start"):
        down_at_the_start(pipeline, worker, feeder)
    for kill in (False, True):
        with claim(f"comes_back (killed: {kill})"):
            comes_back(pipeline, worker, feeder, kill)
    with claim("stops_while_the_broker_is_away"):
        stops_while_the_broker_is_away(pipeline, worker, feeder)
    feeder.finish()
    pipeline.wait_done([worker])
    assert worker.terminate() == 0
    print(f"       {pipeline.verify()}", flush=True)
    with claim("asks_while_the_broker_is_away"):
        asks_while_the_broker_is_away(s)


if __name__ == "__main__":
    main(broker)
