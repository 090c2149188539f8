#!/usr/bin/env python3
"""A real Prometheus reads two workers and a dispatcher through a load, a worker that is killed inside a transaction, and
a broker that does not answer: what it is asked has the right answers, and the alerts of deploy/ fire and end.

The picture of it is left in the build directory, as prometheus.svg.
"""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_circle import Circle, FirstBounces
from kafka_harness import Scenario, main, wait_until
from kafka_metrics import prometheus_tool
from kafka_pipeline import BROKER, claim, codes
from prometheus_server import FASTER, Prometheus
from timeline_picture import Picture, spans

PARTITIONS = 4
DELAY_S = 8
# The dead worker's transaction stays open until it comes back. The others' are over soon after the broker's silence.
LONG = {"kafka": {"transaction.timeout.ms": "90000"}}
SHORT = {"kafka": {"transaction.timeout.ms": "6000"}}
# Its partitions stay its own while the broker is silent: who has none knows of no command.
PATIENT = {"kafka": {"transaction.timeout.ms": "6000", "session.timeout.ms": "40000"}}
POLICY = {"policies": {"default": {"delays": [f"{DELAY_S}s"] * 4}}}

# What happens here, and what must not be taken for it.
EXPECTED = {"RimbalzoTargetDown", "RimbalzoLagging", "RimbalzoDispatcherOverdue"}
SILENT = {"RimbalzoWorkerAbsent", "RimbalzoDispatcherAbsent", "RimbalzoPartitionFailed", "RimbalzoDeadLetters",
          "RimbalzoSuppressionSpike", "RimbalzoStoreNearlyFull", "RimbalzoRebalanceStorm", "RimbalzoProducerRebuilds"}


class Load(FirstBounces):
    """A first soft bounce of another recipient each time; none is misrouted, so that all of the input is stable."""

    REFUSALS = FirstBounces.REFUSALS[:1]

    def next(self):
        self.recipient += 1
        return self.bounce()


class Watched:
    """The processes, Prometheus, and what the test knows by other ways."""

    def __init__(self, s):
        self.s = s
        self.circle = Circle(s, "watched", PARTITIONS, config=POLICY)
        self.first = self.circle.worker("w1", command="worker", config=LONG)
        self.second = self.circle.worker("w2", command="worker", config=SHORT)
        self.dispatcher = self.circle.worker("d1", config=PATIENT)
        self.load = Load(self.circle, 100_000, seed=920)
        self.marks = []
        # One after the other, so that the second worker sees every generation of the group.
        self.second.start().wait_log("code=running", count=PARTITIONS)
        self.first.start(failpoint="after-offsets:40").wait_log("code=running", count=PARTITIONS // 2)
        self.dispatcher.start().wait_log("code=running", count=PARTITIONS)
        self.prometheus = Prometheus(s.dir, {"w1": self.first, "w2": self.second, "d1": self.dispatcher}).start()
        self.began = None  # when all was well for the first time

    def mark(self, text):
        self.marks.append((time.time(), text))

    def everybody(self):
        return [self.first, self.second, self.dispatcher, self.prometheus.process]

    def survivors(self):
        return [self.second, self.dispatcher, self.prometheus.process]

    def lag_of_kafka(self):
        """{partition: lag} of the input, by Kafka's own tool."""
        return {str(row["partition"]): row["lag"]
                for row in self.s.broker.describe_group(self.circle.worker_side.group)
                if row["topic"] == self.circle.worker_side.input}

    def lag_of_prometheus(self):
        return self.prometheus.by("partition", 'rimbalzo_lag_records{role="worker"}')

    def generation(self):
        return self.s.broker.generation(self.circle.worker_side.group)


def nothing_is_wrong(w):
    """Lag 0 everywhere, as Kafka's tool has it; no alert."""
    w.load.give(200)
    w.circle.worker_side.wait_done(w.everybody())
    kafka = w.lag_of_kafka()
    assert kafka == {str(p): 0 for p in range(PARTITIONS)}, kafka
    wait_until(lambda: w.lag_of_prometheus() == kafka, 20, "Prometheus to have Kafka's lag", alive=w.everybody())
    w.prometheus.wait_clear(alive=w.everybody())
    counted = wait_until(lambda: w.prometheus.value('sum(rimbalzo_records_total{role="worker"}) == 200'), 20,
                         "every record to be counted", alive=w.everybody())
    assert counted == w.s.broker.count(w.circle.worker_side.input) == 200
    w.began = time.time()


def a_worker_is_killed_under_load(w):
    """It dies inside a transaction that has offsets: its partitions stand still until the transaction is over. Target
    down and lag fire; lag and rebalances are what Kafka says they are."""
    generation = w.generation()
    wait_until(lambda: w.load.give(40) and not w.first.is_alive(), 60, "the worker to die", every_s=0.1,
               alive=w.survivors())
    w.mark("w1 is killed")
    w.load.give(400)
    wait_until(lambda: w.prometheus.value('up{instance="w1"}') == 0, 10, "the target to be down", alive=w.survivors())
    wait_until(lambda: codes(w.second).count("assigned") == generation + 1, 30, "the survivor to take over",
               alive=w.survivors())
    wait_until(lambda: sum(value == 0 for value in w.lag_of_kafka().values()) == PARTITIONS // 2, 30,
               "the survivor's own partitions to be done", alive=w.survivors())
    kafka = w.lag_of_kafka()
    assert sum(value > 0 for value in kafka.values()) == PARTITIONS // 2, kafka
    wait_until(lambda: w.lag_of_prometheus() == kafka, 20, "Prometheus to have Kafka's lag", alive=w.survivors())
    restoring = w.prometheus.by("instance", 'rimbalzo_partitions{role="worker", state="restoring"}')
    assert restoring == {"w2": PARTITIONS // 2}, restoring
    w.prometheus.wait_firing("RimbalzoTargetDown", "RimbalzoLagging", alive=w.survivors())
    assert w.prometheus.value('role:rimbalzo_lag_seconds:max{role="worker"}') > 600 / FASTER
    assert w.prometheus.value('role:rimbalzo_lag_records:sum{role="worker"}') == sum(kafka.values())


def the_worker_comes_back(w):
    """That ends the transaction at once; what waited is done, and the alerts end."""
    w.mark("w1 comes back")
    w.first.start()
    w.circle.worker_side.wait_done(w.everybody(), deadline_s=30)
    wait_until(lambda: w.lag_of_prometheus() == {str(p): 0 for p in range(PARTITIONS)}, 20, "no lag",
               alive=w.everybody())
    w.prometheus.wait_clear(alive=w.everybody())
    # The second worker saw each generation of the group, the first one lived twice.
    rebalances = w.prometheus.by("instance", 'rimbalzo_rebalances_total{role="worker"}')
    assert rebalances["w2"] == w.generation() == codes(w.second).count("assigned"), (rebalances, w.generation())
    assert rebalances["w1"] == len(re.findall("code=assigned", w.first.log_text())), rebalances
    kills = w.prometheus.value('changes(process_start_time_seconds{instance="w1"}[10m])')
    assert kills == w.first.starts - 1 == 1, kills


def retries_become_overdue(w):
    """Four commands wait; the broker falls silent. How long the first has been due is known all the same, and the alert
    fires; the lag is not known, and is absent."""
    wait_until(lambda: w.prometheus.value("rimbalzo_dispatcher_pending") == 0, 30, "all due commands to have left",
               alive=w.everybody())
    known = w.s.broker.count(w.circle.dispatch.input)
    w.load.give(4)
    wait_until(lambda: w.dispatcher.metric("rimbalzo_dispatcher_pending") == 4, DELAY_S, "four commands to wait",
               alive=w.everybody())
    records = wait_until(lambda: found if len(found := w.s.broker.read(w.circle.dispatch.input)) == known + 4 else None,
                         DELAY_S, "four commands to be read", alive=w.everybody())
    w.load.producer.close()
    w.s.broker.pause()
    w.mark("the broker is silent")
    first = min(due_at(w, record) for record in sorted(records, key=lambda record: record.timestamp_ms)[-4:]) / 1000
    assert time.time() < first, "too slow: they may have left"
    w.prometheus.wait_firing("RimbalzoDispatcherOverdue", alive=w.everybody())
    overdue = w.prometheus.query("rimbalzo_dispatcher_overdue_seconds")[0][1]
    asked_at = w.prometheus.value("timestamp(rimbalzo_dispatcher_overdue_seconds)")
    assert 60 / FASTER < overdue and 0 <= overdue - (asked_at - first) < 1, (overdue, asked_at - first)
    wait_until(lambda: w.lag_of_prometheus() == {}, 10, "a lag that nobody can know to be absent",
               alive=w.everybody())
    w.s.broker.resume()
    w.mark("it answers again")


def due_at(w, record):
    return w.circle.dispatch.codec.decode(record.value, ("RetryCommand",))[1]["due_at"]


def all_is_over(w):
    """Every command has left, the workers have their partitions back, and no alert is left."""
    w.circle.worker_side.wait_done(w.everybody())
    wait_until(w.circle.dispatch.is_done, 60, "every command to leave", every_s=0.2, alive=w.everybody())
    wait_until(lambda: w.prometheus.value("rimbalzo_dispatcher_overdue_seconds") == 0, 20, "nothing to be overdue",
               alive=w.everybody())
    wait_until(lambda: w.lag_of_prometheus() == {str(p): 0 for p in range(PARTITIONS)}, 60, "the lag to be known again",
               alive=w.everybody())
    w.prometheus.wait_clear(alive=w.everybody())
    fired = w.prometheus.fired(w.began, time.time())
    assert EXPECTED <= fired and not fired & SILENT, fired
    print(f"       fired and over: {', '.join(sorted(fired))}")


def draw(w, path):
    """What an operator would have seen."""
    start, end = w.began, time.time()

    def series(expression, label):
        return sorted((labels.get(label, ""), points) for labels, points in w.prometheus.range(expression, start, end))

    picture = Picture("Two workers and a dispatcher under load: one worker dies, later the broker falls silent", start,
                      end)
    for at_s, text in w.marks:
        picture.mark(at_s, text)
    picture.lines("lag", "records", series("role:rimbalzo_lag_records:sum", "role"))
    picture.lines("lag", "seconds", series("role:rimbalzo_lag_seconds:max", "role"))
    picture.lines("rebalances", "since each process began",
                  series('rimbalzo_rebalances_total{role="worker"}', "instance"))
    picture.lines("overdue retries", "seconds", series("rimbalzo_dispatcher_overdue_seconds", "instance"))
    alerts = {}
    for labels, points in w.prometheus.range("ALERTS", start, end):
        alerts.setdefault(labels["alertname"].removeprefix("Rimbalzo"), []).extend(
            spans(points, labels["alertstate"], end))
    picture.bars("alerts: pending, firing (a second is a minute of the rules)",
                 [(name, sorted(found, key=lambda span: span[2], reverse=True))
                  for name, found in sorted(alerts.items(), key=lambda item: min(item[1]))])
    with open(path, "w", encoding="utf-8") as file:
        file.write(picture.svg())


def prometheus(s: Scenario):
    if not prometheus_tool("prometheus") or not prometheus_tool("promtool"):
        print("       SKIPPED: prometheus is missing, run scripts/setup --with tests", flush=True)
        return
    s.kafka(BROKER)
    w = Watched(s)
    try:
        for part in (nothing_is_wrong, a_worker_is_killed_under_load, the_worker_comes_back, retries_become_overdue,
                     all_is_over):
            with claim(part.__name__):
                part(w)
        draw(w, os.path.join(kafka_read.build_dir(), "prometheus.svg"))
        w.prometheus.stop()
    finally:
        w.prometheus.process.kill()
    for worker in (w.first, w.second, w.dispatcher):
        assert worker.terminate() == 0
    w.circle.worker_side.verify(calm=False, texts=True)
    w.circle.dispatch.verify(calm=False)


if __name__ == "__main__":
    main(prometheus)
